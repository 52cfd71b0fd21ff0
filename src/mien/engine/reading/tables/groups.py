"""Groups of sources: a CSV that says of each file which person, condition or visit it is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from mien.core.errors import MienError, nearest
from mien.media.csv_text import given_rows

ALL = "all"  # the one group without --groups
Key = tuple[str, str]  # source, track ("" where tracks are not told apart)


@dataclass(frozen=True)
class Groups:
    """What a person says about the sources."""

    by: tuple[str, ...]
    """Columns whose values name the group; empty: one group of all."""
    unit: str
    """Column whose values are drawn in the bootstrap, such as the person; "" for the source itself."""
    rows: Mapping[Key, Mapping[str, str]]
    """By source as the CSV names it, and track."""

    def find(self, source: str, track: str) -> Mapping[str, str] | None:
        """The row of a source: by its name, its file name, or its stem; by its track where the CSV has one."""
        path = PurePath(source)
        for name in (source, path.as_posix(), path.name, path.stem):
            for key in ((name, track), (name, "")):
                if key in self.rows:
                    return self.rows[key]
        return None

    def group(self, row: Mapping[str, str] | None) -> str | None:
        """`woman / smiling`; None for a source that the CSV does not name."""
        if not self.by:
            return ALL
        return None if row is None else " / ".join(row[name] for name in self.by)

    def unit_of(self, row: Mapping[str, str] | None, source: str) -> str:
        """What is drawn as one."""
        return row[self.unit] if self.unit and row is not None else source


def read_groups(path: str | None, by: str, unit: str) -> Groups:
    """Of --groups, --by and --unit. Raises MienError for a file without such columns and for doubled rows."""
    columns = tuple(name.strip() for name in by.split(",") if name.strip())
    if path is None:
        if columns or unit:
            raise MienError(f"--{'by' if columns else 'unit'} names a column of --groups FILE.csv: name the file too.")
        return Groups((), "", {})
    if not columns:
        raise MienError("--groups needs --by COLUMN: the column whose values are compared, such as condition.")
    if not Path(path).is_file():
        raise MienError(f"--groups {path}: no such file.")
    rows: dict[Key, Mapping[str, str]] = {}
    for number, row in enumerate(given_rows(path, "--groups"), 2):
        _check_columns(path, row, ("source", *columns, *((unit,) if unit else ())))
        key = (row["source"], (row.get("track_id") or "").strip())
        if key in rows:
            raise MienError(f"{path}: row {number} names {key[0]!r} again.")
        rows[key] = row
    if not rows:
        raise MienError(f"{path} has no rows. Expected a header such as source,person,condition.")
    return Groups(columns, unit, rows)


def _check_columns(path: str, row: Mapping[str, str], wanted: Sequence[str]) -> None:
    for name in wanted:
        if row.get(name) is None:
            raise MienError(f"{path} has no column {name!r}, or a row without it.{nearest(name, filter(None, row))}")
