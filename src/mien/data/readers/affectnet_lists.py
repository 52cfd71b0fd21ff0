"""AffectNet's full release: one CSV row a face. Only what `affectnet` needs of it.

Columns, by name: subDirectory_filePath (`12/<hash>.jpg`), face_x, face_y, face_width, face_height (pixels),
facial_landmarks (68 points, `x;y;x;y...`), expression (0..10), valence, arousal (-2 where nobody gave them). Lists
without a header are read in this order; of the columns only the path and the expression are needed.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, compress, islice, repeat
from pathlib import Path

from mien.core.records import Box
from mien.data.readers.points import PointsInFile
from mien.data.readers.reader import Reader, need_column

COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
CODES = (
    "neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt", "none", "uncertain",
    "non-face",
)  # fmt: skip
_NOTHING = (b"", b"NULL", b"null", b"nan", b"NaN", b"None")
_BOX = COLUMNS[1:5]
_POINTS = 2 * 68
_AT_A_TIME = 10_000  # rows: 10 MB of text
Column = Sequence[bytes]


@dataclass
class Rows:
    """Columns of the rows that have a class."""

    paths: list[str] = field(default_factory=list)
    """As the list writes them."""
    expression: list[int] = field(default_factory=list)
    """Class index."""
    boxes: list[Box | None] = field(default_factory=list)
    """x0, y0, x1, y1 in pixels."""
    points: list[PointsInFile | None] = field(default_factory=list)
    """Landmarks."""
    valence: list[float | None] = field(default_factory=list)
    """-1..1."""
    arousal: list[float | None] = field(default_factory=list)
    """-1..1."""
    unused: list[str] = field(default_factory=list)
    """Paths of the other rows."""
    left_out: Counter[str] = field(default_factory=Counter)
    """Codes of the other rows."""


@dataclass
class Block:
    """Some rows of a list, by column."""

    numbers: list[int]
    """Their rows in the file, from 1."""
    starts: list[int]
    """The bytes they begin at."""
    columns: dict[str, Column]
    """Name → cells."""

    def kept(self, keep: Sequence[bool], name: str) -> list[bytes]:
        return list(compress(self.columns[name], keep))


class ListFile:
    """A list file of AffectNet. classes: how many of the codes 0.. are classes."""

    def __init__(self, reader: Reader, table: Path, *, classes: int) -> None:
        self.reader, self.table = reader, table
        self._codes = {str(code).encode(): code for code in range(len(CODES))}
        self._classes = classes
        with table.open("rb") as file:
            first = file.readline()
        cells = [cell.strip() for cell in first.decode("utf-8-sig", "replace").rstrip("\r\n").split(",")]
        self._has_header = COLUMNS[0] in cells or not cells[COLUMNS.index("expression") % len(cells)].isdigit()
        self._names = tuple(cells) if self._has_header else COLUMNS
        for name in (COLUMNS[0], "expression"):
            need_column(reader, name, self._names, where=table)

    def paths(self) -> Iterator[str]:
        """The path column alone."""
        return (_text(path) for block in self._blocks() for path in block.columns[COLUMNS[0]])

    def read(self) -> Rows:
        """Every row. Raises MienError with file, row and rule for one that is not as the columns say."""
        rows = Rows()
        for block in self._blocks():
            self._add(rows, block)
        return rows

    def _blocks(self) -> Iterator[Block]:
        """Columns of some thousand rows at a time: much faster than row by row, and the text is not kept."""
        with self.table.open("rb") as file:
            start = len(file.readline()) if self._has_header else 0
            number = 1 + self._has_header
            while lines := list(islice(file, _AT_A_TIME)):
                starts = list(accumulate(map(len, lines), initial=start))
                fields = [line.rstrip().split(b",") for line in lines]
                start = starts.pop()
                numbers = list(range(number, number + len(lines)))
                for i in sorted((i for i, line in enumerate(lines) if line.isspace()), reverse=True):
                    del fields[i], starts[i], numbers[i]
                self._refuse_ragged(fields, numbers)
                if fields:
                    yield Block(numbers, starts, dict(zip(self._names, zip(*fields, strict=True), strict=True)))
                number += len(lines)

    def _refuse_ragged(self, fields: list[list[bytes]], numbers: list[int]) -> None:
        if set(map(len, fields)) - {len(self._names)}:
            first, row = next((i, row) for i, row in enumerate(fields) if len(row) != len(self._names))
            raise self._bad(numbers[first], f"{len(row)} fields where {len(self._names)} are expected")

    def _add(self, rows: Rows, block: Block) -> None:
        paths = [_text(path) for path in block.columns[COLUMNS[0]]]
        codes = list(map(self._codes.get, block.columns["expression"]))
        if None in codes:
            first = codes.index(None)
            cell = _text(block.columns["expression"][first])
            raise self._bad(block.numbers[first], f"expression {cell!r} is not one of 0..{len(CODES) - 1}")
        keep = [code is not None and code < self._classes for code in codes]
        rows.unused += [path for path, kept in zip(paths, keep, strict=True) if not kept]
        rows.left_out.update(
            CODES[code] for code, kept in zip(codes, keep, strict=True) if not kept and code is not None
        )
        rows.paths += compress(paths, keep)
        rows.expression += [code for code in compress(codes, keep) if code is not None]
        numbers = list(compress(block.numbers, keep))
        rows.boxes += self._boxes(block, keep, numbers)
        rows.points += self._points(block, keep, numbers)
        rows.valence += self._affect("valence", block, keep, numbers)
        rows.arousal += self._affect("arousal", block, keep, numbers)

    def _boxes(self, block: Block, keep: Sequence[bool], numbers: list[int]) -> list[Box | None]:
        """Edges, from left, top, width and height; None where no face was found."""
        if any(name not in block.columns for name in _BOX):
            return [None] * len(numbers)
        columns = [self._floats(name, block.kept(keep, name), numbers) for name in _BOX]
        return [
            (x, y, x + w, y + h) if w is not None and h is not None and x is not None and y is not None and w > 0 < h
            else None
            for x, y, w, h in zip(*columns, strict=True)
        ]  # fmt: skip

    def _points(self, block: Block, keep: Sequence[bool], numbers: list[int]) -> list[PointsInFile | None]:
        if "facial_landmarks" not in block.columns:
            return [None] * len(numbers)
        texts = block.kept(keep, "facial_landmarks")
        wrong = [i for i, text in enumerate(texts) if text.count(b";") != _POINTS - 1 and text not in _NOTHING]
        if wrong:
            came = texts[wrong[0]].count(b";") + 1
            raise self._bad(numbers[wrong[0]], f"facial_landmarks are {_POINTS} numbers `x;y;x;y...`; got {came}")
        before = self._names[: self._names.index("facial_landmarks")]
        offsets = [sum(row) for row in zip(*(map(len, block.columns[name]) for name in before), strict=True)]
        places = (start + offset + len(before) for start, offset in zip(block.starts, offsets, strict=True))
        found = map(PointsInFile, repeat(str(self.table)), compress(places, keep), map(len, texts))
        return [None if text in _NOTHING else points for text, points in zip(texts, found, strict=True)]

    def _affect(self, name: str, block: Block, keep: Sequence[bool], numbers: list[int]) -> list[float | None]:
        """-1..1, or None where the release writes -2 for "not given"."""
        if name not in block.columns:
            return [None] * len(numbers)
        values = self._floats(name, block.kept(keep, name), numbers)
        wrong = [i for i, value in enumerate(values) if value is not None and not -1 <= value <= 1 and value != -2]
        if wrong:
            raise self._bad(numbers[wrong[0]], f"{name} lies in -1..1, or is -2; got {values[wrong[0]]:g}")
        return [None if value == -2 else value for value in values]

    def _floats(self, name: str, cells: list[bytes], numbers: list[int]) -> Sequence[float | None]:
        try:
            return list(map(float, cells))
        except ValueError:
            return [
                None if cell in _NOTHING else self._float(name, cell, i) for cell, i in zip(cells, numbers, strict=True)
            ]

    def _float(self, name: str, cell: bytes, number: int) -> float:
        try:
            return float(cell)
        except ValueError:
            raise self._bad(number, f"{name} {_text(cell)!r} is no number") from None

    def _bad(self, number: int, text: str) -> Exception:
        return self.reader.error(f"{self.table}, row {number}: {text}.")


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape").strip()
