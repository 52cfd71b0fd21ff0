"""A whole table for a person's own tools: a pandas or polars DataFrame, or an Arrow table. None of them is required."""

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
from arro3.core import Table

from mien.core.errors import MienError
from mien.core.typed import checked
from mien.media.tables.arrow import ArrowFormat
from mien.media.tables.columns import Column
from mien.media.tables.stored import StoredTable, open_table

FrameKind = Literal["auto", "pandas", "polars", "arrow"]
KINDS = ("auto", "pandas", "polars", "arrow")


def read_table(path: str | Path, kind: FrameKind = "auto", *, columns: Sequence[str] | None = None) -> Any:
    """The table that mien wrote: the folder of a run, or a .parquet or .csv of it.

    kind: "pandas" or "polars" gives a DataFrame, "arrow" an Arrow table (arro3, which pyarrow.table and duckdb take
    without a copy); "auto" is the first of them that is installed. columns: names of those to read, by default all. The
    sidecar (units, ranges, models) is `.attrs["mien"]` of a pandas DataFrame, and the Arrow table's metadata. Raises
    MienError for what is no table of mien's, an unknown column or kind, and a package that is not installed.
    """
    kind = installed_kind(kind)
    table = open_table(checked(path, str, key="A table"))
    names = [column.name for column in table.columns] if columns is None else list(columns)
    table.require(*names)
    wanted = [column for name in names for column in table.columns if column.name == name]
    if kind == "pandas":
        return frame_of(wanted, _arrays(table, wanted), kind, description=table.description)
    arrow = ArrowFormat(wanted)
    batches = [arrow.batch({c.name: rows.plain(c) for c in wanted}) for rows in table.batches()]
    return _converted(Table.from_batches(batches, schema=arrow.schema), kind, table.description)


def frame_of(
    columns: Sequence[Column], values: Mapping[str, Any], kind: FrameKind, *,
    description: Mapping[str, Any] | None = None,
) -> Any:  # fmt: skip
    """A table of columns of plain values. kind: as `read_table`."""
    kind = installed_kind(kind)
    if kind == "pandas":
        frame = import_module("pandas").DataFrame(values)
        if description:
            frame.attrs["mien"] = dict(description)
        return frame
    arrow = ArrowFormat(columns)
    return _converted(Table.from_batches([arrow.batch(values)], schema=arrow.schema), kind, description or {})


def installed_kind(kind: str) -> FrameKind:
    """What "auto" stands for here. Raises MienError for an unknown kind, and for one that is not installed."""
    if kind not in KINDS:
        raise MienError(f"Kinds of tables are {', '.join(map(repr, KINDS[:-1]))} and {KINDS[-1]!r}; got {kind!r}.")
    if kind == "auto":
        return "pandas" if find_spec("pandas") else "polars" if find_spec("polars") else "arrow"
    if kind != "arrow" and not find_spec(kind):
        raise MienError(f"{kind} is not installed: pip install {kind}, or take kind='arrow'.")
    return kind  # type: ignore[return-value]


def _converted(table: Any, kind: str, description: Mapping[str, Any]) -> Any:
    if kind == "polars":
        return import_module("polars").DataFrame(table)
    if not description:
        return table
    schema = table.schema.with_metadata({"mien": json.dumps(dict(description), ensure_ascii=False)})
    return Table.from_batches(table.to_batches(), schema=schema)


def _arrays(table: StoredTable, wanted: Sequence[Column]) -> dict[str, Any]:
    """By column: an array of numbers (NaN is empty; whole numbers where none is), a list of all else."""
    parts: dict[str, list[Any]] = {column.name: [] for column in wanted}
    for rows in table.batches():
        for column in wanted:
            whole = column.kind in ("integer", "number")
            parts[column.name].append(rows.numbers(column.name) if whole else rows.plain(column))
    return {column.name: _joined(column, parts[column.name]) for column in wanted}


def _joined(column: Column, parts: list[Any]) -> Any:
    if column.kind in ("text", "numbers"):
        return [value for part in parts for value in part]
    values = np.concatenate([np.zeros(0), *parts])
    whole = column.kind == "integer" and not np.isnan(values).any()
    return values.astype(np.int64) if whole else values
