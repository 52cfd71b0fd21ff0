"""MEEI Facial Palsy Photo and Video Standard Set: 60 persons, no points. Greene et al., Laryngoscope 2020.

`flaccid`, `synkinetic` and `normal` hold photographs, every other folder the frames of one person's video; each may be
a `.tar` instead. With `MEEI_annotations.csv` (`image_path` = folder/picture, x1, y1, x2, y2, scale) the faces have
boxes. This is the form that ParFace's code reads; it could not be held against the set itself.
"""

from pathlib import Path

from mien.core.records import Sample
from mien.data.readers.pictures_only import PicturesOnly
from mien.data.readers.reader import folder_names
from mien.data.readers.stores import Place, Store, tars_in

_PHOTOS = ("flaccid", "synkinetic", "normal")
_WAY_OUT = "Expected the folders (or .tar files) flaccid, synkinetic and normal, and one for each video."


class Meei(PicturesOnly):
    """Undivided: one split "all". clip and subject of a video's frames are its folder, of photographs unknown."""

    name = "meei"
    signs = ("MEEI_annotations.csv", "csv/MEEI_annotations.csv", "synkinetic", "synkinetic.tar", "flaccid.tar")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._boxes, self.table = self.boxes("MEEI_annotations.csv")
        self._tars = tars_in(self.root)
        known = {*folder_names(self.root), *(tar.stem for tar in self._tars)}
        if not self.table and not known & set(_PHOTOS):
            self.need(self.root / "flaccid", way_out=_WAY_OUT)
        self.splits = ("all",)

    def _read(self, split: str) -> list[Sample]:
        store = Store(self, tars=self._tars)
        if self.table:
            names = list(self._boxes)
            found = zip(names, store.find_all(names, listed_in=self.table), strict=True)
            places = {name: place for name, place in found if place is not None}
        else:
            below = [self.key_of(path) for path in self.pictures_below(self.root)]
            places = {key: Place(key, self.root / key) for key in below} | store.unnamed
        videos = {name: sequence for name in places if (sequence := _sequence(name)) is not None}
        return self.boxed(places, split, boxes=self._boxes, subject=videos, clip=videos)


def _sequence(name: str) -> str | None:
    top = name.partition("/")[0].removesuffix(".tar")
    return None if top in _PHOTOS or "/" not in name else top
