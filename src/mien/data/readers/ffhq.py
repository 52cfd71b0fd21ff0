"""FFHQ: 70,000 aligned faces of 1024 x 1024 (or 128, 256, 512). Karras, Laine, Aila, CVPR 2019.

`images1024x1024/00000/00000.png` or `thumbnails128x128/00000/00000.png`, also without the folders of a thousand; the
first 60,000 are for training, the last 10,000 for validation, as `ffhq-dataset-v2.json` says. ParFace has them at 256 x
256 as `FFHQ_lite.tar` with `FFHQ_annotations.csv` (`image_path`, x1, y1, x2, y2, scale). Layouts as public code reads
them.
"""

from pathlib import Path
from types import MappingProxyType

from mien.core.records import Sample
from mien.data.readers.pictures_only import PicturesOnly
from mien.data.readers.reader import folder_names
from mien.data.readers.stores import Place, Store, tars_in

_FIRST_VALID = 60_000
_FOLDERS = ("images1024x1024", "images512x512", "images256x256", "thumbnails128x128", "ffhq_lite")
_WAY_OUT = "Expected images1024x1024/00000/00000.png (or thumbnails128x128), or FFHQ_lite.tar."


class Ffhq(PicturesOnly):
    """train and valid by the number that a picture is called by; boxes where `FFHQ_annotations.csv` lies there.

    Without boxes the picture itself is the face: they are aligned. No subjects: a person may stand in both parts.
    """

    name = "ffhq"
    signs = (*_FOLDERS, "FFHQ_lite.tar", "ffhq-dataset-v2.json")
    aliases = MappingProxyType({"full": "all"})

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._boxes, self.table = self.boxes("FFHQ_annotations.csv")
        self._tars = [tar for tar in tars_in(self.root) if tar.stem.lower().startswith("ffhq")]
        self._folder = next((name for name in _FOLDERS if name in folder_names(self.root)), None)
        if not self._tars and self._folder is None:
            self.need(self.root / _FOLDERS[0], way_out=_WAY_OUT)
        self._places = self._all()
        found = {_split(place.key) for place in self._places.values()}
        self.splits = tuple(split for split in ("train", "valid") if split in found)

    def _all(self) -> dict[str, Place]:
        """By the name that boxes go by, or the key."""
        store = Store(self, tars=self._tars, folders=("", self._folder or ""))
        if self.table:
            names = list(self._boxes)
            found = zip(names, store.find_all(names, listed_in=self.table), strict=True)
            return {name: place for name, place in found if place is not None}
        if self._folder is None:
            return store.unnamed
        below = [self.key_of(path) for path in self.pictures_below(self.root / self._folder)]
        return {key: Place(key, self.root / key) for key in below}

    def _read(self, split: str) -> list[Sample]:
        places = {name: place for name, place in self._places.items() if _split(place.key) == split}
        return self.boxed(places, split, boxes=self._boxes)


def _split(key: str) -> str:
    number = key.rpartition("/")[2].partition(".")[0]
    return "valid" if number.isdigit() and int(number) >= _FIRST_VALID else "train"
