"""Tables as CSV, Parquet and a JSON description: whole ones, and ones that grow row by row and survive a kill.

A growing table is three files. PATH.csv gets each row as it is appended, in one write. PATH.arrows (an Arrow IPC
stream, full precision) gets the rows since the last save, every few seconds; a save costs the same however long the
table is. PATH.parquet is written from it when the table is closed, row group by row group. After a kill PATH.csv holds
every row but a torn last one, and `resume=True` goes on from the last save.
"""

import contextlib
import csv
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from arro3.io import read_ipc_stream, write_parquet

from mien.core.errors import MienError
from mien.media.csv_text import readable_table
from mien.media.files import atomic_path, write_text
from mien.media.tables.arrow import ArrowFormat, arrow_errors, batches
from mien.media.tables.columns import Column, Row, cell, csv_line, kind_of, plain_list, written

SAVE_EVERY_S = 10.0
ROWS_HELD = 500  # rows in memory at most before they are saved
Describe = Callable[[str], Mapping[str, Any]]
ROW_GROUP = 4096  # rows of one Parquet row group: what a conversion holds in memory


class TableWriter:
    """A table that grows: PATH.csv at once, PATH.arrows every few seconds, PATH.parquet when it is closed.

    path: without suffix. describe: gives the values of PATH.json for a state ("under way", "complete", ...), at every
    save. resume: keeps the rows of an earlier table of the same columns; else an earlier one is replaced. As a context
    manager it closes itself, also after an error. Raises MienError where nothing can be written.
    """

    def __init__(
        self, path: str | Path, columns: Sequence[Column], *, describe: Describe | None = None, resume: bool = False,
        save_every_s: float = SAVE_EVERY_S, rows_held: int = ROWS_HELD,
    ) -> None:  # fmt: skip
        self.csv, self.journal, self.parquet, self.json = table_files(path)
        self.columns, self.describe = tuple(columns), describe
        self.save_every_s, self.rows_held = save_every_s, rows_held
        self._arrow = ArrowFormat(self.columns)
        self._written = [(column.name, written(column)) for column in self.columns]
        self._pending: list[Row] = []
        self.rows = 0
        """In the table so far."""
        try:
            self.csv.parent.mkdir(parents=True, exist_ok=True)
            kept = self._stored() if resume else 0
            if not kept:
                self.csv.write_bytes(csv_line([column.name for column in self.columns]))
                self.journal.write_bytes(self._arrow.head)
                self.parquet.unlink(missing_ok=True)
            self._file = self.csv.open("r+b", buffering=0)
        except OSError as error:
            raise _cannot_write(self.csv, error) from error
        self._size = self.csv.stat().st_size
        if kept:
            self.truncate(kept)
        self._saved = time.monotonic()
        self._write_description("under way")

    def __enter__(self) -> "TableWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            self.close()
            return
        state = "interrupted" if isinstance(error, KeyboardInterrupt) else f"stopped: {error}"
        with contextlib.suppress(MienError):  # the disk is full: the error that is already on its way says so
            self.close(state)

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows by column name; a missing or None value is an empty cell. They are in the CSV on return."""
        rows = list(rows)
        data = b"".join(csv_line(self._cells(row)) for row in rows)
        self._write(data)
        self._size, self.rows, self._pending = self._size + len(data), self.rows + len(rows), self._pending + rows
        if len(self._pending) >= self.rows_held or time.monotonic() - self._saved > self.save_every_s:
            self.save()

    def _cells(self, row: Row) -> list[str]:
        values = [(row.get(name), write) for name, write in self._written]
        return ["" if value is None else write(value) for value, write in values]

    def save(self) -> None:
        """Puts the rows since the last save into the journal; costs the same for any length of the table."""
        try:
            os.fsync(self._file.fileno())
            if self._pending:
                with self.journal.open("ab", buffering=0) as journal:
                    journal.write(self._arrow.message(self._pending))
        except OSError as error:
            raise _cannot_write(self.journal, error) from error
        self._pending, self._saved = [], time.monotonic()
        self._write_description("under way")

    def truncate(self, rows: int) -> None:
        """Keeps the first `rows` rows only."""
        if self._pending:
            self.save()
        _, self._size = _whole_csv_rows(self.csv, len(self.columns), limit=rows)
        self._file.truncate(self._size)
        self._file.seek(self._size)
        source = self.journal if self.journal.exists() else self.parquet
        with atomic_path(self.journal) as temporary, temporary.open("wb") as file:
            file.write(self._arrow.head)
            for batch in batches(source, limit=rows):
                file.write(self._arrow.message_of_batch(batch))
        self.parquet.unlink(missing_ok=True)
        self.rows = rows

    def close(self, state: str = "complete") -> list[Path]:
        """Writes the Parquet file; returns the paths. The journal is kept unless the state is "complete"."""
        if not self._file.closed:
            self._file.truncate(self._size)  # what an interrupted write left of a row
            self.save()
            self._file.close()
            self._write_parquet()
            self._write_description(state)
            if state == "complete":
                self.journal.unlink(missing_ok=True)
        return [self.csv, self.parquet, *([self.json] if self.describe else [])]

    def _stored(self) -> int:
        """Rows of an earlier table that both of its files hold. Raises MienError where its columns are others."""
        if not self.csv.is_file():
            return 0
        with self.csv.open(encoding="utf-8", newline="") as file:
            first = file.readline()
        header = next(csv.reader([first]), []) if first.endswith("\n") else []  # else a full disk cut it off
        names = [column.name for column in self.columns]
        if header and header != names:
            other = next((a for a, b in zip(header, names, strict=False) if a != b), "")
            what = f"its column {other!r} is not one of this run" if other else "it has more or fewer columns"
            raise MienError(f"{self.csv} was written with other models or options ({what}). Name another --output.")
        source = self.journal if self.journal.exists() else self.parquet
        held = sum(batch.num_rows for batch in batches(source)) if source.exists() else 0
        return min(held, _whole_csv_rows(self.csv, len(names))[0])

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            self._file.seek(self._size)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            raise _cannot_write(self.csv, error) from error

    def _write_parquet(self) -> None:
        with atomic_path(self.parquet) as temporary, arrow_errors(self.parquet):
            write_parquet(read_ipc_stream(str(self.journal)), str(temporary), max_row_group_size=ROW_GROUP)

    def _write_description(self, state: str) -> None:
        if self.describe is not None:
            write_text(self.json, json.dumps(self.describe(state), indent=2, ensure_ascii=False) + "\n")


def write_table(path: str | Path, columns: Mapping[str, Any], *, described: Iterable[Column] = ()) -> Path:
    """Writes a whole table as .csv or .parquet, by the path's suffix, whole or not at all; returns the path.

    columns: values (a list or an array) by name, all of one length; None is an empty cell. Types follow the values,
    unless a Column of that name in `described` states one. Raises MienError for columns of unequal length.
    """
    path = Path(path)
    known = {column.name: column for column in described}
    kinds = [known.get(name) or Column(name, kind_of(values)) for name, values in columns.items()]
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise MienError(f"The columns of {path} must have one length; got {lengths}.")
    plain = {name: plain_list(values) for name, values in columns.items()}
    if path.suffix == ".csv":
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            file.write(csv_line(list(columns)))
            for cells in zip(*plain.values(), strict=True):
                file.write(csv_line([cell(column, value) for column, value in zip(kinds, cells, strict=True)]))
    elif path.suffix == ".parquet":
        with atomic_path(path) as temporary, arrow_errors(path):
            table = ArrowFormat(kinds).batch(plain)
            write_parquet(table, str(temporary), max_row_group_size=16 * ROW_GROUP)
    else:
        raise MienError(f"{path}: a table is written as .csv or .parquet.")
    return path


def read_rows(path: str | Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV, one at a time, by column name; also of one that a spreadsheet began with a byte order mark.

    Raises MienError for a file that cannot be read, is not UTF-8 or is no table.
    """
    with readable_table(str(path)), Path(path).open(encoding="utf-8-sig", newline="") as file:
        yield from csv.DictReader(file)


def table_files(path: str | Path) -> tuple[Path, Path, Path, Path]:
    """PATH.csv, PATH.arrows, PATH.parquet and PATH.json; a suffix of the four on `path` is left out."""
    path = Path(path)
    path = path.with_suffix("") if path.suffix in (".csv", ".arrows", ".parquet", ".json") else path
    csv_path, journal, parquet, sidecar = (
        path.with_name(path.name + suffix) for suffix in (".csv", ".arrows", ".parquet", ".json")
    )
    return csv_path, journal, parquet, sidecar


def _whole_csv_rows(path: Path, width: int, *, limit: int | None = None) -> tuple[int, int]:
    """Complete rows after the header, at most `limit`, and the file's length up to their end, bytes."""
    length = rows = end = 0
    last = b"\n"
    with path.open("rb") as file:

        def lines() -> Iterator[str]:
            nonlocal length, last
            for line in file:
                length, last = length + len(line), line
                yield line.decode("utf-8", "replace")

        for number, cells in enumerate(csv.reader(lines())):
            if len(cells) != width or not last.endswith(b"\n"):
                break
            rows, end = number, length
            if rows == limit:
                break
    return rows, end


def _cannot_write(path: Path, error: OSError) -> MienError:
    return MienError(f"Cannot write {path}: {error.strerror or error}. What was written before is kept.")
