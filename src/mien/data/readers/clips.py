"""Synthetic clips, as `mien data synth clips` writes them: frames of short films, some with a voice."""

import csv
import zipfile
from pathlib import Path

import numpy as np

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader, file_names, need_column

_NEEDED = ("clip", "split", "person", "expression", "frames")
_APEX = 2


class Clips(Reader):
    """`clips.csv` and `clips/0001/frames/*.jpg` with `truth.npz`; each frame is a sample, its clip and person named.

    phases: "apex" gives the frames in which the expression stands fully (default), "all" also those before and after,
    in which it is only partly or not yet there.
    """

    name = "clips"
    signs = ("clips.csv",)

    def __init__(self, root: Path, *, phases: str = "apex", missing: str = "stop") -> None:
        super().__init__(root)
        self.missing = missing
        if phases not in ("apex", "all"):
            raise self.error(f"phases must be 'apex' or 'all'; got {phases!r}.")
        self.table = self.need(
            root / "clips.csv", way_out="Make such a folder with mien data synth clips --output DIR."
        )
        self.labels, self.phases = label_set("ferplus"), phases
        self._rows = list(csv.DictReader(self.lines(self.table)))
        for column in _NEEDED:
            need_column(self, column, self._rows[0] if self._rows else (), where=self.table)
        found = {row["split"] for row in self._rows}
        self.splits = tuple(split for split in ("train", "valid", "test") if split in found)

    def _read(self, split: str) -> list[Sample]:
        return [sample for row in self._rows if row["split"] == split for sample in self._frames(row)]

    def _frames(self, row: dict[str, str]) -> list[Sample]:
        assert self.labels is not None
        folder = self.root / row["clip"]
        file = self.need(folder / "truth.npz", way_out="Make the folder anew.")
        names = ("phase", "box", "landmarks_px", "valence", "arousal")
        try:
            with np.load(file, allow_pickle=False) as arrays:
                phase, boxes, points, valence, arousal = (arrays[name] for name in names)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise self.error(f"{file} is damaged or not ours ({error}). Make the folder anew.") from error
        wanted = range(len(phase)) if self.phases == "all" else np.flatnonzero(phase == _APEX).tolist()
        present = file_names(folder / "frames")
        absent = [folder / "frames" / f"{i + 1:04d}.jpg" for i in wanted if f"{i + 1:04d}.jpg" not in present]
        self.refuse_missing(absent, listed_in=file, total=len(wanted))
        kept = [i for i in wanted if f"{i + 1:04d}.jpg" in present]
        label = self.labels.index(row["expression"])
        return [
            Sample(
                f"{row['clip']}/frames/{i + 1:04d}.jpg", folder / "frames" / f"{i + 1:04d}.jpg", row["split"], label,
                None, tuple(boxes[i].tolist()), points[i].astype(np.float32), float(valence[i]), float(arousal[i]),
                row["person"], row["clip"],
            )
            for i in kept
        ]  # fmt: skip
