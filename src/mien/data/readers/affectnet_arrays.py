"""AffectNet's 8-class release: `images/<n>.jpg` and four tiny files a face, `annotations/<n>_{exp,val,aro,lnd}.npy`.

exp, val and aro hold one number each, as text (`<U1`, `<U18`); lnd holds 136 numbers, x, y, x, y, ... Reading 863,000
files takes a while, so that what they say is kept in the user's cache folder (`index_cache`). The landmarks are read
only when they are asked for. The pictures are the face crops (224 x 224), so there is no box.
"""

import os
import struct
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.readers.affectnet_lists import CODES
from mien.data.readers.index_cache import kept
from mien.data.readers.points import PointsInFile
from mien.data.readers.reader import Reader, file_names, is_picture
from mien.media.parallel.ahead import map_ahead
from mien.media.parallel.limits import cores

_KINDS = ("exp", "val", "aro")
_MAGIC = b"\x93NUMPY\x01"
_AT_A_TIME = 2048


class Annotations:
    """`train_set` or `val_set` of the release."""

    def __init__(self, reader: Reader, folder: Path, *, classes: int, index: str) -> None:
        self.reader, self.folder, self.classes, self.index = reader, folder, classes, index
        self.images, self.notes = folder / "images", folder / "annotations"
        reader.need(self.notes, way_out="It lies beside images in the 8-class release.")

    def samples(self, split: str) -> list[Sample]:
        """Raises MienError for a picture without annotations, and for a file that is not one number."""
        names = sorted(name for name in file_names(self.images) if is_picture(name))
        table = kept(
            f"affectnet {self.folder.absolute()}", self._stamp(len(names)), lambda: self._numbers(names), how=self.index
        )
        self._refuse_unlabelled(table["exp"], names)
        self._refuse_wrong(table, names)
        return list(self._samples(table, names, split))

    def _stamp(self, count: int) -> str:
        """Changes when a file comes or goes. (Not when one is written over: say index: rebuild then.)"""
        return f"{count} {self.images.stat().st_mtime_ns} {self.notes.stat().st_mtime_ns}"

    def _samples(self, table: dict[str, np.ndarray], names: Sequence[str], split: str) -> list[Sample]:
        within = table["exp"] < self.classes
        if not within.all():
            counts = Counter(table["exp"][~within].astype(int).tolist())
            by_code = ", ".join(f"{CODES[code]} {counts[code]:,}" for code in sorted(counts))
            self.reader.note(f"{self.folder.name}: {int((~within).sum()):,} faces are left out ({by_code}).")
        key, annotations = f"{self.folder.name}/images", str(self.notes)
        affect = [[None if v == -2 else v for v in table[kind].tolist()] for kind in ("val", "aro")]
        expression = table["exp"].astype(int).tolist()
        return [
            Sample(
                f"{key}/{name}", self.images / name, split, expression[i], None, None,
                PointsInFile(f"{annotations}/{name.rpartition('.')[0]}_lnd.npy"), affect[0][i], affect[1][i],
            )
            for i, name in enumerate(names) if within[i]
        ]  # fmt: skip

    def _refuse_unlabelled(self, expression: np.ndarray, names: Sequence[str]) -> None:
        missing = np.flatnonzero(np.isnan(expression))
        if len(missing):
            raise self.reader.error(
                f"{len(missing):,} of {len(names):,} pictures in {self.images} have no annotations, first "
                f"{names[missing[0]]}: no {names[missing[0]].rpartition('.')[0]}_exp.npy. Copy the set again."
            )

    def _refuse_wrong(self, table: dict[str, np.ndarray], names: Sequence[str]) -> None:
        codes = table["exp"]
        wrong = ~np.isin(codes, range(len(CODES)))
        rule = f"exp is one of 0..{len(CODES) - 1}"
        for kind in ("val", "aro"):
            outside = ~((np.abs(table[kind]) <= 1) | (table[kind] == -2))
            if not wrong.any() and outside.any():
                wrong, codes, rule = outside, table[kind], f"{kind} lies in -1..1, or is -2"
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise self.reader.error(
                f"{self.notes}: {rule}; that of {names[first]} is {codes[first]:g}, and {int(wrong.sum()):,} are wrong."
            )

    def _numbers(self, names: Sequence[str]) -> dict[str, np.ndarray]:
        """exp, val and aro of every picture, float64 [pictures]; nan where there is no such file."""
        stems = [name.rpartition(".")[0] for name in names]
        parts = [stems[i : i + _AT_A_TIME] for i in range(0, len(stems), _AT_A_TIME)]
        # Threads wait for the disk together; with everything in the page cache they cost nothing.
        read = map_ahead(self._part, parts, threads=min(16, 4 * cores()))
        values = np.array([row for part in read for row in part], np.float64).reshape(-1, len(_KINDS))
        return {kind: values[:, i] for i, kind in enumerate(_KINDS)}

    def _part(self, stems: Sequence[str]) -> list[tuple[float, ...]]:
        top = str(self.notes)
        return [tuple(number_in(f"{top}/{stem}_{kind}.npy") for kind in _KINDS) for stem in stems]


def number_in(path: str) -> float:
    """The one number of a `.npy` file, stored as text or as a number; nan where there is no such file.

    Raises MienError for anything else. (numpy.load takes 60 µs a file for what is done here in 10.)
    """
    try:
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return float("nan")
    try:
        content = os.read(handle, 4096)
    finally:
        os.close(handle)
    try:
        if content[:7] != _MAGIC:
            raise ValueError("no .npy file")
        begin = 10 + int.from_bytes(content[8:10], "little")
        return _decoder(content[10:begin])(content[begin:])
    except (ValueError, UnicodeDecodeError, struct.error) as error:
        raise MienError(f"{path}: not a .npy file with one number ({error}). Copy the set again.") from error


_DECODERS: dict[bytes, Callable[[bytes], float]] = {}


def _decoder(header: bytes) -> Callable[[bytes], float]:
    """How the bytes after this header become a number; a release has a handful of headers."""
    if header not in _DECODERS:
        description = header.decode("latin1").replace(" ", "")
        kind = description.partition("'descr':'")[2].partition("'")[0]
        if kind[:2] == "<U":
            _DECODERS[header] = _from_text
        elif kind[1:] and kind[1] in "iuf":
            _DECODERS[header] = lambda data: float(np.frombuffer(data, kind, 1)[0])
        else:
            raise ValueError(f"it holds {kind or 'nothing'}")
    return _DECODERS[header]


def _from_text(data: bytes) -> float:
    return float(data.decode("utf-32-le").rstrip("\0"))
