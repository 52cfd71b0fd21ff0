"""Columns of tables: names, types and meaning, and how a value stands in a cell."""

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import numpy as np

from mien.media.files import csv_writer, printable

Kind = Literal["text", "integer", "number", "numbers"]


Row = Mapping[str, Any]


@dataclass(frozen=True)
class Column:
    """One column: its name and type, and what its values mean."""

    name: str
    """Unique in its table."""
    kind: Kind = "number"
    """text, integer (64 bits), number (float64) or numbers (a list of float32 in each row)."""
    unit: str = ""
    """Such as "pixels"; empty for none."""
    range: str = ""
    """Such as "0..1"; empty where any value can occur."""
    meaning: str = ""
    """One line for the description."""
    csv_format: str = ""
    """Format of a number in CSV, such as ".3f"; empty for all digits. Parquet has full precision."""

    def described(self) -> dict[str, str]:
        """Plain values for a JSON description; empty ones are left out."""
        kinds = {"text": "string", "integer": "int64", "number": "float64", "numbers": "list of float32"}
        values = {"type": kinds[self.kind], "unit": self.unit, "range": self.range, "meaning": self.meaning}
        return {name: value for name, value in values.items() if value}


def csv_line(cells: Sequence[Any]) -> bytes:
    file = io.StringIO()
    csv_writer(file).writerow(cells)
    return file.getvalue().encode("utf-8")


def cell(column: Column, value: Any) -> Any:
    return "" if value is None else written(column)(value)


@cache
def written(column: Column) -> Callable[[Any], str]:
    """How the column's values stand in CSV; for None it is not called."""
    if column.kind == "number":
        return f"%{column.csv_format}".__mod__ if column.csv_format else lambda value: repr(float(value))
    if column.kind == "numbers":
        each = f"%{column.csv_format or '.9g'}".__mod__
        return lambda value: " ".join(map(each, value))
    return lambda value: printable(str(value))


def kind_of(values: Any) -> Kind:
    """The type that holds all of these values."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "biuf":
        return "numbers" if values.ndim > 1 else "number" if values.dtype.kind == "f" else "integer"
    known = [value for value in values if value is not None]
    if all(isinstance(value, str) for value in known):
        return "text"
    if all(isinstance(value, bool | int | np.integer | np.bool_) for value in known):
        return "integer"
    return "numbers" if any(isinstance(value, list | tuple | np.ndarray) for value in known) else "number"


def plain_list(values: Any) -> list[Any]:
    if isinstance(values, np.ndarray):
        return list(values.astype(np.int64) if values.dtype == bool else values) if values.ndim > 1 else _items(values)
    return [int(value) if isinstance(value, bool | np.bool_) else value for value in values]


def _items(values: np.ndarray) -> list[Any]:
    return list(values.astype(np.int64).tolist() if values.dtype == bool else values.tolist())
