"""VGGFace2: 3.3 million pictures of 9,131 persons, with boxes. Cao, Shen, Xie, Parkhi, Zisserman, FG 2018.

`train/n000002/0001_01.jpg` (also `train/imgs/n000002/...`), and `bb_landmark/loose_bb_train.csv` (`NAME_ID,X,Y,W,H`
with `"n000002/0001_01",161,140,224,324`). The layout is that of the release as public code reads it.
"""

from pathlib import Path

from mien.core.records import Box, Sample
from mien.data.readers.pictures_only import PicturesOnly
from mien.data.readers.stores import Store

_COLUMNS = ("NAME_ID", "X", "Y", "W", "H")
_WAY_OUT = "Expected bb_landmark/loose_bb_train.csv with train/n000002/*.jpg."


class VggFace2(PicturesOnly):
    """train and test, those with a list and a folder. subject is the person (`n000002`): train and test share none.

    min_height: faces whose box is not higher than so many pixels are left out and counted; ParFace's code takes 100.
    """

    name = "vggface2"
    signs = ("bb_landmark/loose_bb_*.csv", "loose_bb_*.csv")

    def __init__(self, root: Path, *, min_height: float = 100.0) -> None:
        super().__init__(root)
        self.min_height = float(min_height)
        tops = (self.root / "bb_landmark", self.root)
        lists = {
            split: next((p for top in tops if (p := top / f"loose_bb_{split}.csv").is_file()), None)
            for split in ("train", "test")
        }
        self._lists = {split: path for split, path in lists.items() if path and (self.root / split).is_dir()}
        if not self._lists:
            self.need(self.root / "bb_landmark" / "loose_bb_train.csv", way_out=_WAY_OUT)
            self.need(self.root / "train", way_out=_WAY_OUT)
        self.splits = tuple(self._lists)

    def _read(self, split: str) -> list[Sample]:
        path = self._lists[split]
        boxes = self._boxes_of(path)
        names = list(boxes)
        store = Store(self, folders=(split, f"{split}/imgs"))
        found = store.find_all([f"{name}.jpg" for name in names], listed_in=path)
        places = {name: place for name, place in zip(names, found, strict=True) if place is not None}
        return self.boxed(places, split, boxes=boxes, subject={name: name.partition("/")[0] for name in names})

    def _boxes_of(self, path: Path) -> dict[str, Box]:
        rows = self.rows(path, needed=_COLUMNS, blanks=True)
        boxes: dict[str, Box] = {}
        for number, row in enumerate(rows, 2):
            try:
                x, y, width, height = (float(row[name]) for name in _COLUMNS[1:])
            except (ValueError, TypeError):
                raise self.error(f"{path}, row {number}: X, Y, W, H must be numbers.") from None
            if height > self.min_height and width > 0:
                boxes[row["NAME_ID"]] = (x, y, x + width, y + height)
        if left := len(rows) - len(boxes):
            self.note(f"{path.name}: {left:,} faces are not higher than {self.min_height:g} pixels and are left out.")
        return boxes
