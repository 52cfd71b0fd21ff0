"""Lists of faces as landmark code keeps them: JSON (or a JSON value a line) of records, and CSV tables of boxes."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from mien.core.records import Box
from mien.data.readers.reader import Reader, need_column

BOX_COLUMNS = ("image_path", "x1", "y1", "x2", "y2")


def read_records(reader: Reader, path: Path, *, needed: Sequence[str]) -> list[dict[str, Any]]:
    """The records of a `.json` or `.ljson` file: a list, one a line, or columns by name (as pandas writes them).

    Raises the reader's error for other text and for records without one of the `needed` names.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            value = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise reader.error(f"{path} is no JSON ({error}).") from error
    if isinstance(value, dict) and value and all(isinstance(column, dict | list) for column in value.values()):
        columns = {name: list(_values(column)) for name, column in value.items()}
        value = [dict(zip(columns, row, strict=False)) for row in zip(*columns.values(), strict=False)]
    records = [value] if isinstance(value, dict) else value
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise reader.error(f"{path}: expected a list of records.")
    for number, record in enumerate(records, 1):
        for name in needed:
            if name not in record:
                need_column(reader, name, record, where=Path(f"{path}, record {number},"))
    return records


def _values(column: Any) -> Iterable[Any]:
    return column.values() if isinstance(column, dict) else column


def read_boxes(reader: Reader, path: Path) -> dict[str, Box]:
    """Picture → box of a CSV `image_path,x1,y1,x2,y2,scale`, as ParFace's detections are written.

    Numbers may stand in brackets. Raises the reader's error for another table and for a box without area.
    """
    rows = reader.rows(path, needed=BOX_COLUMNS)
    found: dict[str, Box] = {}
    for number, row in enumerate(rows, 2):
        try:
            x0, y0, x1, y1 = (float(str(row[name]).strip("[] ")) for name in BOX_COLUMNS[1:])
        except ValueError:
            raise reader.error(f"{path}, row {number}: x1, y1, x2, y2 must be numbers.") from None
        if not (x1 > x0 and y1 > y0):
            raise reader.error(f"{path}, row {number}: a box needs x2 > x1 and y2 > y1; got {x0, y0, x1, y1}.")
        found[row["image_path"]] = (x0, y0, x1, y1)
    return found


def first_there(reader: Reader, *names: str) -> Path | None:
    """The first of the files below the root, or below `csv`, that is there."""
    places = (reader.root / top / name for name in names for top in ("", "csv", "annotations"))
    return next((place for place in places if place.is_file()), None)
