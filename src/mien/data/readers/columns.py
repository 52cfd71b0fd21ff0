"""A table's columns by name, from CSV and from Parquet: the file side of `manifest`."""

import csv
import math
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.data.readers.reader import Reader
from mien.media.csv_text import MISSING, delimiter_of

Column = Sequence[Any]
_AT_A_TIME = 10_000
_LISTS = ("landmarks", "landmark_depth", "landmark_visible")
# Few words that stand in many rows: kept once each.
_NAMES = ("path", "key")  # of which any text is one
_REPEATED = ("expression", "label", "split", "subject", "clip")


def read_csv(reader: Reader, path: Path) -> dict[str, Column]:
    """Columns of words. Raises the reader's error for rows of another length than the header, and for bad UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            sign = delimiter_of(file.readline())
            file.seek(0)
            rows = csv.reader(file, delimiter=sign)
            header = [name.strip() for name in next((row for row in rows if row), [])]
            if not header:
                raise reader.error(f"{path} is empty.")
            reader.check_header(path, header)
            return _columns(reader, path, rows, header)
    except UnicodeDecodeError as error:
        raise reader.error(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except csv.Error as error:
        raise reader.error(f"{path} is no CSV table ({error}).") from error


def _columns(reader: Reader, path: Path, rows: Any, header: list[str]) -> dict[str, Column]:
    columns: dict[str, list[str]] = {name: [] for name in header}
    unique: dict[str, str] = {}
    first = 2
    while block := list(islice(rows, _AT_A_TIME)):
        block = [row for row in block if row and (len(row) > 1 or row[0].strip())]
        for number, row in enumerate(block, first):
            if len(row) != len(header):
                raise reader.error(f"{path}, row {number}: {len(row)} fields where the header has {len(header)}.")
        for name, column in zip(header, zip(*block, strict=True), strict=bool(block)):
            cells: Sequence[str] = column
            if name not in _NAMES and not MISSING.isdisjoint(column):
                cells = ["" if cell in MISSING else cell for cell in column]
            columns[name] += map(unique.setdefault, cells, cells) if name in _REPEATED else cells
        first += len(block)
    return dict(columns)


def read_parquet(reader: Reader, path: Path) -> dict[str, Column]:
    """Columns of a Parquet file by arro3 (base install). Raises MienError when it is not one, and for doubled names."""
    import arro3.io  # a CSV is read without it, on machines for training that lack it

    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise MienError(f"{path}: not a Parquet file. Is it a CSV? Then name it .csv.")
    try:
        table = arro3.io.read_parquet(str(path)).read_all()
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # arro3 panics on damaged files, and a panic is no Exception
        raise MienError(f"{path}: damaged Parquet file ({str(error).splitlines()[0][:80]}).") from error
    header = [name.strip() for name in table.column_names]
    reader.check_header(path, header)
    return {name: _rows(name, table.column(given)) for name, given in zip(header, table.column_names, strict=True)}


def _rows(name: str, column: Any) -> Column:
    if name in _LISTS:
        return _lists(column)
    values = [None if isinstance(value, float) and math.isnan(value) else value for value in column.to_pylist()]
    unique: dict[Any, Any] = {}
    return list(map(unique.setdefault, values, values)) if name in _REPEATED else values


class Lists(Sequence[np.ndarray]):
    """The rows of a list column, each a view of one float32 array, made when it is asked for.

    300,000 faces' points as Python numbers would take gigabytes.
    """

    def __init__(self, values: np.ndarray, offsets: np.ndarray) -> None:
        self._values, self._offsets = values, offsets

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, row: Any) -> Any:
        return self._values[self._offsets[row] : self._offsets[row + 1]]


def _lists(column: Any) -> Column:
    from arro3.core import list_flatten, list_offsets

    chunk = column.chunks[0] if len(column.chunks) == 1 else column.combine_chunks()
    try:
        return Lists(np.asarray(list_flatten(chunk), np.float32), np.asarray(list_offsets(chunk)))
    except Exception:  # text, as in a CSV
        return list(column.to_pylist())
