"""CSV tables that people write: by spreadsheets and statistics programs, with whatever separates cells there."""

import csv
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.core.errors import MienError

MISSING = frozenset(("NA", "N/A", "NaN", "nan", "<NA>", "null", "NULL", "#N/A"))
"""Cells that say that there is no value: of R, pandas, SQL and spreadsheets."""
_DELIMITERS = (",", ";", "\t")


def delimiter_of(header: str) -> str:
    """What separates the names in a table's first line: the comma where there is one, else semicolon or tab."""
    return next((sign for sign in _DELIMITERS if sign in header), ",")


def given_rows(path: str | Path, what: str = "") -> Iterator[dict[str, str]]:
    """The rows of a table, one at a time, by column name; empty lines are left out.

    what: in front of each message, such as an option. Raises MienError for a file that cannot be read, text that is not
    UTF-8, two columns of one name, and a row of another length than the header.
    """
    where = f"{what}: {path}" if what else str(path)
    with readable_table(where), Path(path).open(encoding="utf-8-sig", newline="") as file:
        sign = delimiter_of(file.readline())
        file.seek(0)
        rows = (row for row in csv.reader(file, delimiter=sign) if row)
        header = [name.strip() for name in next(rows, [])]
        if doubled := [name for name, times in Counter(header).items() if times > 1]:
            raise MienError(f"{where} has the column {doubled[0]!r} twice. Rename or delete one of them.")
        for number, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise MienError(f"{where}, row {number}: {len(row)} fields where the header has {len(header)}.")
            yield dict(zip(header, row, strict=True))


@contextmanager
def readable_table(where: str) -> Iterator[None]:
    """What reading a CSV file raises as MienError, which names `where`: other text than UTF-8, no table, no file."""
    try:
        yield
    except UnicodeDecodeError as error:
        raise MienError(f"{where} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
    except csv.Error as error:
        raise MienError(f"{where} is no CSV table ({error}).") from error
    except OSError as error:
        raise MienError(f"{where} cannot be read: {error.strerror or error}.") from error
