"""AffectNet's full release: one CSV row a face. Only what `affectnet` needs of it.

Columns, by name: subDirectory_filePath (`12/<hash>.jpg`), face_x, face_y, face_width, face_height (pixels),
facial_landmarks (68 points, `x;y;x;y...`), expression (0..10), valence, arousal (-2 where nobody gave them). Lists
without a header are read in this order; of the columns only the path and the expression are needed.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

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
_POINTS = 2 * 68


@dataclass
class Rows:
    """Columns of the rows that have a class; `paths` and `left_out` cover the rest too."""

    paths: list[str] = field(default_factory=list)
    expression: list[int] = field(default_factory=list)
    boxes: list[Box | None] = field(default_factory=list)
    points: list[Any] = field(default_factory=list)
    affect: list[tuple[float | None, float | None]] = field(default_factory=list)
    unused: list[str] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    boxless: int = 0


class ListFile:
    """A list file of AffectNet. classes: how many of the codes 0.. are classes."""

    def __init__(self, reader: Reader, table: Path, *, classes: int) -> None:
        self.reader, self.table = reader, table
        self._codes = {str(code).encode(): (code if code < classes else None) for code in range(len(CODES))}
        with table.open("rb") as file:
            first = file.readline()
        words = [word.strip() for word in first.decode("utf-8-sig", "replace").rstrip("\r\n").split(",")]
        self._has_header = COLUMNS[0] in words or not words[COLUMNS.index("expression") % len(words)].isdigit()
        self._place = {name: place for place, name in enumerate(words if self._has_header else COLUMNS)}
        self._width = len(words)
        for name in (COLUMNS[0], "expression"):
            need_column(reader, name, self._place, where=table)

    def paths(self) -> Iterator[str]:
        """The path column alone."""
        place = self._place[COLUMNS[0]]
        with self.table.open("rb") as file:
            for number, line in enumerate(file):
                if (number or not self._has_header) and line.strip():
                    yield _text(line.split(b",", place + 1)[place])

    def read(self) -> Rows:
        """Every row. Raises MienError with file, row and rule for one that is not as the columns say."""
        rows, start = Rows(), 0
        with self.table.open("rb") as file:
            for number, line in enumerate(file, 1):
                if (number > 1 or not self._has_header) and line.strip():
                    self._add(rows, line.rstrip(b"\r\n").split(b","), start, number)
                start += len(line)
        return rows

    def _add(self, rows: Rows, fields: list[bytes], start: int, number: int) -> None:
        place = self._place
        if len(fields) != self._width:
            raise self._bad(number, f"{len(fields)} fields where {self._width} are expected")
        path, code = _text(fields[place[COLUMNS[0]]]), fields[place["expression"]]
        if code not in self._codes:
            raise self._bad(number, f"expression {_text(code)!r} is not one of 0..{len(CODES) - 1}")
        if (expression := self._codes[code]) is None:
            rows.unused.append(path)
            rows.left_out[CODES[int(code)]] += 1
            return
        box = self._box(fields, number)
        rows.paths.append(path)
        rows.expression.append(expression)
        rows.boxes.append(box)
        rows.boxless += box is None
        rows.points.append(self._points(fields, start, number))
        rows.affect.append((self._affect("valence", fields, number), self._affect("arousal", fields, number)))

    def _box(self, fields: list[bytes], number: int) -> Box | None:
        """Edges, from left, top, width and height; None where no face was found."""
        if "face_width" not in self._place:
            return None
        first = self._place["face_x"]
        words = fields[first : first + 4] if self._in_a_row else [fields[self._place[name]] for name in COLUMNS[1:5]]
        try:
            x, y, width, height = map(float, words)
        except ValueError:
            if any(word in _NOTHING for word in words):
                return None
            raise self._bad(
                number, f"the face's box {b','.join(words).decode(errors='replace')} is no numbers"
            ) from None
        return (x, y, x + width, y + height) if width > 0 and height > 0 else None

    @property
    def _in_a_row(self) -> bool:
        return all(self._place.get(name) == self._place["face_x"] + i for i, name in enumerate(COLUMNS[1:5]))

    def _points(self, fields: list[bytes], start: int, number: int) -> PointsInFile | None:
        place = self._place.get("facial_landmarks")
        if place is None or fields[place] in _NOTHING:
            return None
        if fields[place].count(b";") != _POINTS - 1:
            raise self._bad(
                number, f"facial_landmarks are {_POINTS} numbers `x;y;x;y...`; got {_counted(fields[place])}"
            )
        return PointsInFile(str(self.table), start + sum(map(len, fields[:place])) + place, len(fields[place]))

    def _affect(self, column: str, fields: list[bytes], number: int) -> float | None:
        place = self._place.get(column)
        if place is None or fields[place] in _NOTHING:
            return None
        try:
            value = float(fields[place])
        except ValueError:
            raise self._bad(number, f"{column} {_text(fields[place])!r} is no number") from None
        if -1 <= value <= 1:
            return value
        if value == -2:  # what the release writes for "not given"
            return None
        raise self._bad(number, f"{column} lies in -1..1, or is -2; got {value:g}")

    def _bad(self, number: int, text: str) -> Exception:
        return self.reader.error(f"{self.table}, row {number}: {text}.")


def _text(field: bytes) -> str:
    return field.decode("utf-8", "surrogateescape").strip()


def _counted(field: bytes) -> int:
    return field.count(b";") + 1
