"""ParFace: frames of videos of people with facial palsy, 68 points in 3D. Diaz Barros et al., FG 2024.

`palsy_test.ljson`, `palsy_labeled_1.ljson` .. `_6` (growing parts for training), `palsy_annotations.ljson` (all),
`palsy_unlabeled.ljson`: records of `img_path` and `landmarks_MAL3D` (68 x 3; of unlabelled frames `landmarks_FAN`, a
network's). Pictures are `<sequence>/<frame>`, the last two parts of img_path, or lie in one tar a sequence. x and y
from 0; z in pixels as stored, which the published code neither turns nor shifts; larger must be nearer here (as in
300-W-LP's lists, with which it is trained), and a set in which noses lie behind jaws is refused. Known from that code
only.
"""

from pathlib import Path
from types import MappingProxyType

from mien.core.records import Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.stores import Store, tars_in
from mien.data.readers.tables import first_there, read_records

_WAY_OUT = "Expected palsy_test.ljson and palsy_labeled_6.ljson (there or below csv), with the sequences' folders."
_POINTS = ("landmarks_MAL3D", "landmarks_FAN")


class ParFacePalsy(LandmarkSet):
    """train, test, all annotated frames ("all"), and "unlabelled" (points of a network).

    part: which of the six labelled lists is train; 6 is the largest. clip and subject are the sequence: one video, one
    person. As published, "all" holds test and train together, and nothing says that a person stands in one part only:
    see `mien data leaks`.
    """

    name = "parface_palsy"
    signs = ("palsy_*.ljson", "csv/palsy_*.ljson")
    aliases = MappingProxyType({"full": "all", "parface": "test", "unlabeled": "unlabelled"})

    def __init__(self, root: Path, *, part: int = 6) -> None:
        super().__init__(root)
        self.choose("part", str(part), tuple("123456"))
        lists = {
            "train": f"palsy_labeled_{part}.ljson", "test": "palsy_test.ljson", "all": "palsy_annotations.ljson",
            "unlabelled": "palsy_unlabeled.ljson",
        }  # fmt: skip
        self._lists = {split: path for split, name in lists.items() if (path := first_there(self, name))}
        if not self._lists:
            self.need(self.root / "palsy_test.ljson", way_out=_WAY_OUT)
        self.splits = tuple(self._lists)

    def _read(self, split: str) -> list[Sample]:
        path = self._lists[split]
        field = _POINTS[split == "unlabelled"]
        records = read_records(self, path, needed=("img_path", field))
        names = [str(record["img_path"]) for record in records]
        store = Store(self, tars=tars_in(self.root), folders=("", "images"))
        found = store.find_all(names, listed_in=path, parts=2)
        samples = []
        for number, (record, name, place) in enumerate(zip(records, names, found, strict=True), 1):
            points = self.points(record[field], f"{path}, record {number}")
            if place is not None:
                sequence = name.replace("\\", "/").split("/")[-2:][0]
                samples.append(
                    self.face(place.key, place.path, split, points, span=place.span, subject=sequence, clip=sequence)
                )
        return samples
