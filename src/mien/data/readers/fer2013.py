"""FER2013: 35,887 grey faces of 48 x 48 pixels in one CSV. Goodfellow et al., ICONIP 2013 (arXiv 1307.0414).

`fer2013.csv` has the columns `emotion,pixels,Usage`, `icml_face_data.csv` the same rows as `emotion, Usage, pixels`
(the blanks belong to the names). Verified against torchvision's reader, which knows both files by their MD5. Pixels are
not parsed here: a sample is a span of the file.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader

_TABLES = ("fer2013.csv", "icml_face_data.csv")
_USAGES = {b"Training": "train", b"PublicTest": "valid", b"PrivateTest": "test"}
_CODES = {str(code).encode(): code for code in range(7)}
_WAY_OUT = "Expected fer2013.csv or icml_face_data.csv, which say what each row is used for (train.csv does not)."


class _Row(NamedTuple):
    number: int  # of the picture, from 0
    split: str
    expression: int
    span: tuple[int, int]


class Fer2013(Reader):
    """`fer2013.csv` or `icml_face_data.csv`, also below a folder `fer2013`, or the table itself as root.

    Training is train, PublicTest valid, PrivateTest test, as FER+ has them. Keys are `TABLE/ROW`, rows from 0: they are
    not FER+'s numbers, which leave out the pictures without a face.
    """

    name = "fer2013"
    signs = (*_TABLES, *(f"fer2013/{name}" for name in _TABLES))

    def __init__(self, root: Path) -> None:
        super().__init__(root.parent if root.is_file() else root)
        tables = (self.root / top / name for top in ("", "fer2013") for name in _TABLES)
        self.table = root if root.is_file() else self.first_of(tables, way_out=_WAY_OUT)
        self.labels = label_set("fer2013")
        self._rows: dict[str, list[_Row]] = {split: [] for split in _USAGES.values()}
        for row in self._index():
            self._rows[row.split].append(row)
        self.splits = tuple(split for split, rows in self._rows.items() if rows)

    def _read(self, split: str) -> list[Sample]:
        return [
            Sample(f"{self.table.name}/{number:05d}", self.table, split, expression, span=span)
            for number, _, expression, span in self._rows[split]
        ]

    def _index(self) -> Iterator[_Row]:
        """One row a line: two commas are looked for, nothing between them is read."""
        if not self.table.stat().st_size:
            raise self.error(f"{self.table} is empty.")
        with self.table.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            header_end = content.find(b"\n") + 1 or len(content)
            columns = self._columns(content[:header_end])
            number, start = 0, header_end
            while start < len(content):
                end = content.find(b"\n", start)
                end = len(content) if end < 0 else end
                if end - start > 1:
                    yield self._row(content, start, end, number, columns)
                    number += 1
                start = end + 1

    def _columns(self, header: bytes) -> list[str]:
        columns = [column.strip(" \r\n\"'").lower() for column in header.decode("utf-8-sig", "replace").split(",")]
        if sorted(columns) != ["emotion", "pixels", "usage"]:
            raise self.error(f"{self.table} has the columns {', '.join(columns)[:60]!r}. {_WAY_OUT}")
        return columns

    def _row(self, content: mmap.mmap, start: int, end: int, number: int, columns: list[str]) -> _Row:
        last = columns[-1] == "pixels"  # then both commas stand before the pixels, else one on each side
        first = content.find(b",", start, end)
        second = content.find(b",", first + 1, end) if last else content.rfind(b",", start, end)
        if first < 0 or second <= first:
            raise self.error(f"{self.table}, line {number + 2}: fewer than three fields. Is the file cut short?")
        bounds = ((start, first), (first + 1, second), (second + 1, end))
        parts = dict(zip(columns, bounds, strict=True))
        code, usage = (content[slice(*parts[name])].strip(b' \r"') for name in ("emotion", "usage"))
        if code not in _CODES:
            raise self._bad(number, f"class {code.decode('utf-8', 'replace')!r} is not one of 0..6")
        if usage not in _USAGES:
            raise self._bad(
                number, f"use {usage.decode('utf-8', 'replace')[:20]!r} is none of Training, PublicTest, PrivateTest"
            )
        return _Row(number, _USAGES[usage], _CODES[code], _unquoted(content, *parts["pixels"]))

    def _bad(self, number: int, text: str) -> Exception:
        return self.error(f"{self.table}, line {number + 2}: {text}. Is the file cut short?")


def _unquoted(content: mmap.mmap, start: int, end: int) -> tuple[int, int]:
    """(offset, length) without quotation marks, blanks and a carriage return around it."""
    while start < end and content[start] in b' "':
        start += 1
    while start < end and content[end - 1] in b' "\r':
        end -= 1
    return start, end - start
