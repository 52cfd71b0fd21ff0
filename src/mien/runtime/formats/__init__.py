"""The table of a run in the formats of others: OpenFace's CSV, py-feat's Fex, JSON lines, COCO keypoints.

All are made from the finished table, batch by batch, so memory does not grow with its length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import MienError, nearest
from mien.media.tables.stored import StoredTable
from mien.runtime.formats import coco, fex, jsonl, openface
from mien.runtime.formats.layout import Layout, write_layout


@dataclass(frozen=True)
class Format:
    """One of them."""

    title: str
    """What it is called."""
    file: str
    """Name of the file beside the table."""
    write: Callable[[StoredTable, Path], list[Path]]
    """Writes the table as that file, whole or not at all; returns what was written: the file, and its sidecar."""


def _csv(title: str, file: str, layout: Callable[[StoredTable], Layout]) -> Format:
    return Format(title, file, lambda table, path: write_layout(table, layout(table), path, title=title))


FORMATS = {
    "openface": _csv(openface.TITLE, "readings_openface.csv", openface.layout),
    "fex": _csv(fex.TITLE, "readings_fex.csv", fex.layout),
    "jsonl": Format(jsonl.TITLE, "readings.jsonl", jsonl.write),
    "coco": Format(coco.TITLE, "readings_coco.json", coco.write),
}


def formats_of(names: str | Sequence[str]) -> list[str]:
    """Names separated by commas, or a list of such; each once. Raises MienError for an unknown one."""
    given = [names] if isinstance(names, str) else names
    wanted = list(dict.fromkeys(name.strip() for text in given for name in text.split(",") if name.strip()))
    for name in wanted:
        if name not in FORMATS:
            raise MienError(f"--format takes {', '.join(FORMATS)}; got {name!r}.{nearest(name, FORMATS)}")
    return wanted


def files_of(name: str, path: Path) -> list[Path]:
    """What writing that format as `path` writes."""
    return [path, path.with_suffix(".json")] if FORMATS[name].file.endswith(".csv") else [path]
