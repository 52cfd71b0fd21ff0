"""Where the bytes of a picture come from: its own file, or a part of a larger one; read within the limits."""

import io
import math
import re
from pathlib import Path
from typing import Any, BinaryIO

from mien.core.errors import MienError
from mien.core.limits import COMPRESSED_BYTES, HEADER_BYTES, PARTS

Span = tuple[int, int]  # bytes: where it begins, how many
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # what ends the data of a JPEG's scan
_END, _SCAN = 0xD9, 0xDA
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


class Metered:
    """A file for a decoder. Raises ValueError where more is asked for than a picture has.

    That is a great many small pieces (a million empty comments), or more bytes than `allowed`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._pieces, self._bytes = file, 0, 0
        self.allowed = HEADER_BYTES

    def read(self, size: int | None = -1) -> bytes:
        whole = size is None or size < 0
        data = self._file.read(COMPRESSED_BYTES + 1 if whole else min(size or 0, self.allowed + 1))
        self._pieces += 1
        self._bytes += 0 if whole else len(data)
        if len(data) > COMPRESSED_BYTES or self._bytes > self.allowed or self._pieces > PARTS + self._bytes // 256:
            raise ValueError("more data, or in smaller pieces, than a picture of this size has")
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def read_bytes(path: Path, span: Span | None) -> bytes:
    """The content of a file, or of that part of it."""
    with path.open("rb") as file:
        file.seek(span[0] if span else 0)
        return file.read(span[1] if span else -1)


def part_of(file: BinaryIO, path: Path, span: Span) -> BinaryIO:
    """The bytes of the picture as a file of its own; the text of grey pixels in a .csv becomes a PGM picture.

    Raises MienError when the file ends before the picture does, and for text that is no square of values 0..255.
    """
    offset, length = span
    if length > COMPRESSED_BYTES:
        raise MienError(f"{path}: a picture of {length:,} bytes; {COMPRESSED_BYTES:,} are the most.")
    file.seek(offset)
    content = file.read(length)
    if len(content) < length:
        raise MienError(f"{path}: cut short, {len(content)} of {length} bytes at {offset}. Copy or prepare it anew.")
    return io.BytesIO(_pgm(content, path, offset) if path.suffix.lower() == ".csv" else content)


def _pgm(text: bytes, path: Path, offset: int) -> bytes:
    try:
        values = bytes(map(int, text.split()))
    except ValueError:
        raise MienError(f"{path}: the text at byte {offset} is not a row of grey values 0..255.") from None
    side = math.isqrt(len(values))
    if not side or side * side != len(values):
        raise MienError(f"{path}: {len(values)} grey values at byte {offset} are not a square picture.")
    return b"P5 %d %d 255\n" % (side, side) + values


def jpeg_scans(file: BinaryIO) -> int:
    """How often a decoder passes over the pixels of a JPEG: 1 for most, more where it is progressive or by colour.

    Its other scans are looked for only where the first one does not hold everything, since that reads the whole file.
    """
    file.seek(0)
    content = file.read(HEADER_BYTES)
    place, scans, progressive, colours = 2, 0, False, b""
    while (found := _MARKER.search(content, place)) is not None:
        kind, place = content[found.end() - 1], found.end()
        if kind == _END:
            break
        length = int.from_bytes(content[place : place + 2], "big")
        if kind in _FRAMES:
            progressive, colours = (kind & 3) == 2, content[place + 7 : place + 8]
        if kind == _SCAN:
            scans += 1
            if not progressive and content[place + 2 : place + 3] == colours:
                return 1
            if scans == 1:
                content += file.read(COMPRESSED_BYTES)
        place += max(2, length)
    return scans
