"""What the readers of mien's own synthetic folders share: a table with a split a row, and the truth beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mien.core.labels import label_set
from mien.data.readers.reader import Reader, file_names


def affected_side(reader: Reader, row: dict[str, str]) -> Literal["R", "L"] | None:
    """The column `palsy_side` of a row; None without a palsy. Raises MienError for another word."""
    sides: dict[str, Literal["R", "L"] | None] = {"R": "R", "L": "L", "": None}
    side = row.get("palsy_side") or ""
    if side not in sides:
        raise reader.error(f"palsy_side is R, L or empty; got {side!r}.")
    return sides[side]


class SyntheticSet(Reader):
    """A folder that `mien data synth` wrote: `_open` its table, `_truth` of an `.npz` file."""

    affect_proxy = "drawn expressions and their intensity, placed on the circumplex"

    def _open(self, table: str, columns: Sequence[str]) -> None:
        """Reads the table and the splits that it names. Raises MienError for a missing table or column."""
        way_out = f"Make such a folder with mien data synth {self.name} --output DIR."
        self.labels = label_set("ferplus")
        self.table = self.need(self.root / table, way_out=way_out)
        self._rows = self.rows(self.table, needed=columns)
        found = {row["split"] for row in self._rows}
        self.splits = tuple(split for split in ("train", "valid", "test") if split in found)

    def _present(self, folder: Path, names: Sequence[str], *, listed_in: Path) -> list[bool]:
        """Whether each picture lies in the folder. Raises MienError for missing ones, unless they are to be skipped."""
        present = file_names(folder)
        found = [name in present for name in names]
        missing = [folder / name for name, there in zip(names, found, strict=True) if not there]
        self.refuse_missing(missing, listed_in=listed_in, total=len(names))
        return found

    def _truth(self, file: Path, names: Sequence[str], *, also: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Arrays by name; those of `also` where they are there. Raises MienError for a damaged file."""
        self.need(file, way_out="Make the folder anew.")
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return {name: arrays[name] for name in (*names, *(name for name in also if name in arrays))}
        except Exception as error:  # NumPy and zlib raise nearly anything on damaged files
            raise self.error(f"{file} is damaged or not ours ({error}). Make the folder anew.") from error
