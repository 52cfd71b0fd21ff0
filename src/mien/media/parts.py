"""A picture that lies inside a larger file: a row of pixels in fer2013.csv, a picture in a tar shard."""

import io
import math
from pathlib import Path
from typing import BinaryIO

from mien.core.errors import MienError

Span = tuple[int, int]  # bytes: where it begins, how many


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
