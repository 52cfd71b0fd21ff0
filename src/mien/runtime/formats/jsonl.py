"""JSON lines: one reading a line, as `Reading.to_dict()` gives it."""

import json
from pathlib import Path

from mien.media.files import atomic_path
from mien.media.tables.stored import StoredTable
from mien.runtime.stored_readings import StoredReadings

TITLE = "JSON lines"


def write(table: StoredTable, path: Path) -> list[Path]:
    """Writes PATH, a line for each row, in UTF-8; returns it."""
    readings = StoredReadings(table)
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        for rows in table.batches():
            file.writelines(f"{encode(reading.to_dict())}\n" for reading in readings.of(rows))
    return [path]
