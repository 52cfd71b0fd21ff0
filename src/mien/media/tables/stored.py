"""Tables that mien wrote, read back in batches: Parquet, CSV, the journal of an interrupted run, and their sidecar.

Memory holds one batch (ROW_GROUP rows), however long the table is.
"""

import contextlib
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from arro3.core import Array
from arro3.io import read_ipc_stream, read_parquet
from jaxtyping import Float

from mien.core.errors import MienError, nearest
from mien.media.tables.columns import Column, Kind

BATCH = 4096  # rows of a CSV that are held at once; a Parquet file's own row groups are as large
SUFFIXES = (".parquet", ".arrows", ".csv")  # in the order of preference
_TYPES: dict[str, Kind] = {"string": "text", "int64": "integer", "float64": "number", "list of float32": "numbers"}
_ARROW: tuple[tuple[str, Kind], ...] = (
    ("utf8", "text"), ("string", "text"), ("list", "numbers"), ("int", "integer"), ("uint", "integer"),
    ("bool", "integer"), ("float", "number"), ("double", "number"),
)  # fmt: skip


@runtime_checkable
class Rows(Protocol):
    """Some rows of a table, by column."""

    @property
    def count(self) -> int:
        """How many."""
        ...

    def numbers(self, name: str) -> Float[np.ndarray, " rows"]:
        """float64, NaN where a cell is empty."""
        ...

    def texts(self, name: str) -> list[str | None]:
        """None where a cell is empty."""
        ...

    def plain(self, column: Column) -> list[Any]:
        """Values of the column's type, None where a cell is empty; of lists of numbers an empty one."""
        ...


@dataclass(frozen=True)
class StoredTable:
    """A table on disk. `open_table` finds it."""

    path: Path
    """The file that is read."""
    columns: tuple[Column, ...]
    """In order, with meaning, unit and range where the sidecar states them."""
    description: dict[str, Any]
    """What the sidecar says; empty without one."""

    @cached_property
    def names(self) -> frozenset[str]:
        """Of the columns."""
        return frozenset(column.name for column in self.columns)

    def batches(self) -> Iterator[Rows]:
        """All rows, in order. Raises MienError for a damaged file, once the rows before the damage were given."""
        if self.path.suffix == ".csv":
            yield from _csv_batches(self.path)
        else:
            for batch in _arrow_batches(self.path):
                yield _ArrowRows(batch)

    def require(self, *names: str) -> None:
        """Raises MienError for a column that the table does not have."""
        for name in names:
            if name not in self.names:
                raise MienError(f"{self.path} has no column {name!r}.{nearest(name, sorted(self.names))}")


def open_table(path: str | Path, *, name: str = "readings") -> StoredTable:
    """The table of a run's folder (by its name), a file (.parquet, .csv, .arrows, its .json), or a path without suffix.

    Of a folder Parquet is preferred, then the journal of a run that was interrupted, then CSV. Raises MienError where
    there is no table.
    """
    file = _found(Path(path), name)
    description = _description(file)
    return StoredTable(file, _columns(file, description), description)


def _found(path: Path, name: str) -> Path:
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    bases = [path / name] if path.is_dir() else [path.with_suffix("") if path.suffix == ".json" else path]
    for base in bases:
        for suffix in SUFFIXES:
            if (file := base.with_name(base.name + suffix)).is_file():
                return file
    kind = "no such file or folder"
    if path.is_dir():
        others = sorted(p.name for p in path.iterdir() if p.suffix in SUFFIXES)
        kind = f"a folder without {name}.parquet or {name}.csv" + (f", but with {others[0]}" if others else "")
    elif path.exists():
        kind = "no table"
    raise MienError(f"{path} is {kind}. Expected the --output folder of mien analyze, or a .parquet or .csv of it.")


def _description(file: Path) -> dict[str, Any]:
    sidecar = file.with_suffix(".json")
    if not sidecar.is_file():
        return {}
    try:
        found = json.loads(sidecar.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise MienError(f"{sidecar}, which describes {file.name}, cannot be read ({error}).") from error
    return found if isinstance(found, dict) and isinstance(found.get("columns", {}), dict) else {}


def _columns(file: Path, description: Mapping[str, Any]) -> tuple[Column, ...]:
    kinds = _csv_kinds(file, description) if file.suffix == ".csv" else _arrow_kinds(file)
    found = []
    for name, kind in kinds.items():
        given = description.get("columns", {}).get(name, {})
        stated = {key: str(given.get(key, "")) for key in ("unit", "range", "meaning")}
        found.append(Column(name, kind, **stated))
    return tuple(found)


@dataclass(frozen=True, eq=False)
class _ArrowRows:
    batch: Any

    @property
    def count(self) -> int:
        return int(self.batch.num_rows)

    def numbers(self, name: str) -> np.ndarray:
        column = self.batch.column(name)
        if column.null_count == 0:
            return np.asarray(column.to_numpy(), np.float64)
        filled = np.full(self.count, np.nan)
        if column.null_count == self.count:
            return filled
        if (faces := self._faces) is not None and len(faces) + column.null_count == self.count:
            found = column.take(Array.from_numpy(faces))
            if found.null_count == 0:
                filled[faces] = found.to_numpy()
                return filled
        return np.array(column.to_pylist(), np.float64)

    @cached_property
    def _faces(self) -> np.ndarray | None:
        """Rows with a face: those without have the empty cells, and arro3 gives no array of a column with some."""
        if "success" not in self.batch.column_names or self.batch.column("success").null_count:
            return None
        return np.flatnonzero(self.batch.column("success").to_numpy()).astype(np.uint64)

    def texts(self, name: str) -> list[str | None]:
        return [None if value is None else str(value) for value in self.batch.column(name).to_pylist()]

    def plain(self, column: Column) -> list[Any]:
        values: list[Any] = self.batch.column(column.name).to_pylist()
        return values


def _arrow_batches(path: Path) -> Iterator[Any]:
    with _readable(path):
        yield from read_ipc_stream(str(path)) if path.suffix == ".arrows" else read_parquet(str(path))


def _arrow_kinds(path: Path) -> dict[str, Kind]:
    with _readable(path):
        reader = read_ipc_stream(str(path)) if path.suffix == ".arrows" else read_parquet(str(path))
        fields = (reader.schema.field(i) for i in range(len(reader.schema.names)))
        return {field.name: _kind_of_arrow(str(field.type)) for field in fields}


def _kind_of_arrow(name: str) -> Kind:
    text = name.lower().removeprefix("arro3.core.datatype").strip("<>\n ")
    return next((kind for start, kind in _ARROW if text.startswith(start) or text.startswith(f"large_{start}")), "text")


@contextlib.contextmanager
def _readable(path: Path) -> Iterator[None]:
    """arro3's errors and panics (a panic is no Exception) as one line; a journal may end in half a batch."""
    try:
        yield
    except (MienError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        if path.suffix != ".arrows":
            raise MienError(f"{path} cannot be read: {' '.join(str(error).split())[:200]}") from error


@dataclass(frozen=True, eq=False)
class _CsvRows:
    header: Sequence[str]
    cells: list[list[str]]

    @property
    def count(self) -> int:
        return len(self.cells)

    def _cells(self, name: str) -> list[str]:
        place = self.header.index(name)
        return [row[place] for row in self.cells]

    def numbers(self, name: str) -> np.ndarray:
        return np.array(self._converted(name, float, np.nan))

    def texts(self, name: str) -> list[str | None]:
        return [cell or None for cell in self._cells(name)]

    def plain(self, column: Column) -> list[Any]:
        convert: Any = {"text": str, "integer": int, "number": float, "numbers": _number_list}[column.kind]
        empty: Any = [] if column.kind == "numbers" else None  # as the writer has it in Parquet
        return self._converted(column.name, convert, empty)

    def _converted(self, name: str, convert: Callable[[str], Any], empty: Any) -> list[Any]:
        """Raises MienError with the cell that is no number."""
        cells = self._cells(name)
        try:
            return [convert(cell) if cell else empty for cell in cells]
        except ValueError:
            bad = next(cell for cell in cells if cell and not _converts(cell, convert))
            raise MienError(f"The table's column {name} holds {bad[:40]!r}, which is no number as it has.") from None


def _converts(cell: str, convert: Callable[[str], Any]) -> bool:
    try:
        convert(cell)
    except ValueError:
        return False
    return True


def _number_list(cell: str) -> list[float]:
    return [float(each) for each in cell.split()]


def _csv_batches(path: Path) -> Iterator[Rows]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        number = 1
        while cells := list(islice(reader, BATCH)):
            short = next((i for i, row in enumerate(cells) if len(row) != len(header)), None)
            if short is not None:
                if short < len(cells) - 1 or next(reader, None) is not None:
                    raise MienError(
                        f"{path}: row {number + short + 1} has {len(cells[short])} cells, the header {len(header)}."
                    )
                cells.pop()  # the last row of a run that goes on, or that a kill cut off
            number += len(cells)
            yield _CsvRows(header, cells)


def _csv_kinds(path: Path, description: Mapping[str, Any]) -> dict[str, Kind]:
    """By the sidecar; without one by what the cells hold, from a pass over the file."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    if not header:
        raise MienError(f"{path} is empty.")
    stated = description.get("columns", {})
    if all(name in stated for name in header):
        return {name: _TYPES.get(str(stated[name].get("type")), "text") for name in header}
    kinds: dict[str, Kind] = dict.fromkeys(header, "integer")
    for rows in _csv_batches(path):
        for name in header:
            kinds[name] = _kind_of_cells(rows.texts(name), kinds[name])
    return kinds


def _kind_of_cells(cells: Sequence[str | None], kind: Kind) -> Kind:
    """The type that holds these too."""
    known = [cell for cell in cells if cell is not None]
    for each, convert in (("integer", int), ("number", float)):
        if kind in ("integer", each):
            with contextlib.suppress(ValueError):
                for cell in known:
                    convert(cell)
                return "number" if each == "number" else kind
    return "text"
