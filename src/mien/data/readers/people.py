"""Synthetic people, as `mien data synth people` writes them: expressions with mixtures, affect, points, persons."""

import csv
import zipfile
from pathlib import Path

import numpy as np

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader, file_names, need_column

_NEEDED = ("path", "split", "person", "expression", "valence", "arousal", "x0", "y0", "x1", "y1")


class People(Reader):
    """`people.csv` and `truth.npz` beside `pictures/*.png`; a person stands in one split only.

    boxed: give the box that a face detector would about find (default), else the whole picture is the face.
    """

    name = "people"
    signs = ("people.csv",)

    def __init__(self, root: Path, *, boxed: bool = True, missing: str = "stop") -> None:
        super().__init__(root)
        self.missing = missing
        way_out = "Make such a folder with mien data synth people --output DIR."
        self.table = self.need(self.root / "people.csv", way_out=way_out)
        self.arrays = self.need(self.root / "truth.npz", way_out=way_out)
        self.labels, self.boxed = label_set("ferplus"), boxed
        self._rows = list(csv.DictReader(self.lines(self.table)))
        for column in _NEEDED:
            need_column(self, column, self._rows[0] if self._rows else (), where=self.table)
        found = {row["split"] for row in self._rows}
        self.splits = tuple(split for split in ("train", "valid", "test") if split in found)

    def _read(self, split: str) -> list[Sample]:
        mixture, points = self._truth()
        present = file_names(self.root / "pictures")
        places = [i for i, row in enumerate(self._rows) if row["split"] == split]
        missing = [self.root / self._rows[i]["path"] for i in places if Path(self._rows[i]["path"]).name not in present]
        self.refuse_missing(missing, listed_in=self.table, total=len(places))
        there = (i for i in places if Path(self._rows[i]["path"]).name in present)
        return [self._sample(self._rows[i], mixture[i], points[i]) for i in there]

    def _sample(self, row: dict[str, str], mixture: np.ndarray, points: np.ndarray) -> Sample:
        assert self.labels is not None
        box = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
        return Sample(
            row["path"], self.root / row["path"], row["split"], self.labels.index(row["expression"]),
            tuple(mixture.tolist()), box if self.boxed else None, points, float(row["valence"]), float(row["arousal"]),
            row["person"],
        )  # fmt: skip

    def _truth(self) -> tuple[np.ndarray, np.ndarray]:
        """Mixtures [rows, 8] and points [rows, 68, 2]."""
        try:
            with np.load(self.arrays, allow_pickle=False) as arrays:
                mixture, points = arrays["mixture"], arrays["landmarks_px"]
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise self.error(f"{self.arrays} is damaged or not ours ({error}). Make the folder anew.") from error
        if not len(mixture) == len(points) == len(self._rows):
            raise self.error(f"{self.arrays} holds {len(points)} pictures, {self.table} {len(self._rows)}.")
        return mixture, points.astype(np.float32)
