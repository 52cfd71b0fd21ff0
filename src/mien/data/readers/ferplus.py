"""FER+: the faces of FER2013 with ten votes each. Barsoum et al., ICMI 2016.

`FER2013Train|Valid|Test/ferXXXXXXX.png`, and in each folder `label.csv` without a header: file name, box, then the
votes for neutral, happiness, surprise, sadness, anger, disgust, fear, contempt, unknown, not a face. Valid is
FER2013's public test, Test its private test.
"""

import csv
from pathlib import Path

import numpy as np

from mien.core.errors import nearest
from mien.core.labels import circumplex, label_set
from mien.core.records import Box, Sample
from mien.data.readers.reader import Listing, Reader

_FOLDERS = {"train": "FER2013Train", "valid": "FER2013Valid", "test": "FER2013Test"}
_CLASSES = 8
_WHOLE: Box = (0.0, 0.0, 48.0, 48.0)
MAJORITIES = ("strict", "plurality", "soft")


class FerPlus(Reader):
    """The 8 classes of FER+; unknown and not-a-face are no classes.

    majority: which pictures count. "strict": more than half of all ten-column votes are for one class. "plurality":
    one class has more votes than any other of the ten columns. "soft": at most half of the votes are unknown or not a
    face; of equal classes the first in order is the expression. Each sample has its distribution: the votes of
    the 8 classes divided by their sum.
    drop_single_votes: a single vote for a column is an outlier and set to 0 first, as FER+'s own code does; the shipped
    numbers and the strict majority do without.
    affect: also give valence and arousal by the votes: the mean over them of the circumplex (core.labels). Nobody rated
    these faces so: it is a proxy, of what the words for expressions mean, and knows no intensity.
    """

    name = "ferplus"
    signs = tuple(f"{folder}/label.csv" for folder in _FOLDERS.values())

    def __init__(
        self, root: Path, *, majority: str = "strict", drop_single_votes: bool = False, affect: bool = False
    ) -> None:
        super().__init__(root)
        if majority not in MAJORITIES:
            raise self.error(f"no majority {majority!r}.{nearest(str(majority), MAJORITIES)}")
        self.affect_proxy = "FER+ votes for expressions, placed on the circumplex" if affect else ""
        self.majority, self.drop_single_votes, self.affect = majority, drop_single_votes, affect
        self.labels = label_set("ferplus")
        self.splits = tuple(split for split, name in _FOLDERS.items() if (self.root / name).is_dir())
        if not self.splits:
            self.need(
                self.root / "FER2013Train", way_out="Expected FER2013Train, FER2013Valid, FER2013Test with label.csv."
            )

    def _read(self, split: str) -> list[Sample]:
        folder = self.root / _FOLDERS[split]
        table = self.need(folder / "label.csv", way_out="It comes from github.com/microsoft/FERPlus.")
        names, boxes, votes = self._table(table)
        listing = Listing(folder)
        found = self.on_disk(names, listing, listed_in=table)
        self.note_unlisted(listing, found, listed_in=table)
        kept, expression, distribution = self._decide(votes)
        return [
            Sample(
                f"{folder.name}/{names[i]}", folder / name, split, int(expression[i]),
                tuple(distribution[i].tolist()), boxes[i], None, *self._affect(distribution[i].tolist()),
            )
            for i in np.flatnonzero(kept) if (name := found[i])
        ]  # fmt: skip

    def _affect(self, shares: list[float]) -> tuple[float, float] | tuple[None, None]:
        if not self.affect:
            return None, None
        return circumplex(dict(zip(label_set("ferplus").classes, shares, strict=True)))

    def _table(self, table: Path) -> tuple[list[str], list[Box | None], np.ndarray]:
        """File names, boxes (None: the whole 48x48 picture) and votes int64 [rows, 10]."""
        names: list[str] = []
        boxes: list[Box | None] = []
        votes = []
        for number, row in enumerate(csv.reader(self.lines(table)), 1):
            try:
                counts = [int(cell) for cell in row[2:]]
                box = tuple(float(cell) for cell in row[1].strip(" ()").split(","))
            except (ValueError, IndexError):
                raise self._bad_row(table, number, row) from None
            if len(counts) != 10 or len(box) != 4 or min(counts) < 0:
                raise self._bad_row(table, number, row)
            names.append(row[0])
            boxes.append(None if box == _WHOLE else box)
            votes.append(counts)
        return names, boxes, np.array(votes, np.int64).reshape(-1, 10)

    def _bad_row(self, table: Path, number: int, row: list[str]) -> Exception:
        text = ",".join(row)[:60]
        return self.error(
            f'{table}, line {number}: expected `name,"(x0, y0, x1, y1)",` and ten vote counts; got {text!r}.'
        )

    def _decide(self, votes: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Which rows count (bool), their class (int), their distribution over the 8 classes [rows, 8]."""
        if self.drop_single_votes:
            votes = np.where(votes == 1, 0, votes)
        classes, total = votes[:, :_CLASSES], votes.sum(1)
        most, best = classes.max(1), classes.argmax(1)
        if self.majority == "strict":
            kept = 2 * most > total
        elif self.majority == "plurality":
            kept = (most > 0) & ((votes == votes.max(1, keepdims=True)).sum(1) == 1) & (votes.argmax(1) < _CLASSES)
        else:
            kept = (most > 0) & (2 * votes[:, _CLASSES:].sum(1) <= total)
        return kept, best, classes / np.maximum(classes.sum(1, keepdims=True), 1)
