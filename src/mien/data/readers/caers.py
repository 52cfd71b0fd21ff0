"""CAER-S: still frames of television series, with their surroundings. Lee et al., ICCV 2019.

`train|test/{Anger,Disgust,Fear,Happy,Neutral,Sad,Surprise}/0001.png`. The frames come from clips, and nothing on disk
says from which: train and test hold near-duplicates of each other (`mien data leaks` finds them).
"""

from dataclasses import replace
from pathlib import Path

from mien.core.labels import label_set
from mien.core.records import Box, Sample
from mien.data.readers.class_folders import ClassFolders
from mien.data.readers.listing import split_folders

_FIELDS = 6


class CaerS(ClassFolders):
    """The 7 classes of CAER-S, `train` and `test`; a `valid` folder of one's own beside them is read too.

    boxes: take the face's box from `train.txt` and `test.txt` beside the folders, lines `Anger/0001.png,0,x0,y0,x1,y1`
    (class, then edges in pixels), as the detections that go with the public CAER-Net code; a picture without a line is
    left out. Without: the whole frame, which shows the face and its surroundings.
    """

    name = "caers"
    class_folders = "Expected Anger/0001.png and so on."
    signs = ("train/Anger/*.png", "test/Anger/*.png")

    def __init__(self, root: Path, *, boxes: bool = False) -> None:
        super().__init__(root / "CAER-S" if (root / "CAER-S").is_dir() else root)
        self.labels = label_set("caers")
        self.boxes = boxes
        self.folders = split_folders(self.root)
        self.splits = tuple(self.folders)
        if not self.folders:
            self.need(self.root / "train", way_out="Expected train/Anger/0001.png and test/Anger/0001.png.")

    def _read(self, split: str) -> list[Sample]:
        folder = self.folders[split]
        boxes = self._boxes(folder) if self.boxes else {}
        samples = super()._read(split)
        return self._boxed(samples, boxes, folder) if self.boxes else samples

    def _boxed(self, samples: list[Sample], boxes: dict[str, Box], folder: Path) -> list[Sample]:
        named = [(sample, boxes.get(f"{sample.path.parent.name}/{sample.path.name}")) for sample in samples]
        kept = [replace(sample, box=box) for sample, box in named if box is not None]
        if len(kept) < len(samples):
            first = next(sample.key for sample, box in named if box is None)
            self.note(
                f"{len(samples) - len(kept):,} of {len(samples):,} pictures have no box in {folder.name}.txt and are "
                f"left out, first {first}."
            )
        return kept

    def _boxes(self, folder: Path) -> dict[str, Box]:
        table = self.need(self.root / f"{folder.name}.txt", way_out="boxes: true reads the face detections from it.")
        boxes = {}
        for number, line in enumerate(self.lines(table), 1):
            cells = line.split(",")
            try:
                x0, y0, x1, y1 = map(float, cells[2:])
                if len(cells) != _FIELDS or not (x1 > x0 and y1 > y0):
                    raise ValueError
            except ValueError:
                raise self.error(
                    f"{table}, line {number}: expected `Anger/0001.png,0,x0,y0,x1,y1`; got {line.strip()[:60]!r}."
                ) from None
            boxes[cells[0].strip().replace("\\", "/")] = (x0, y0, x1, y1)
        return boxes
