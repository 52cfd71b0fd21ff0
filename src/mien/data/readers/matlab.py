"""`.mat` files of MATLAB 5 to 7 (`save -v6`, `-v7`): numbers, text, cells and structs. Nothing in them can run.

After "MAT-File Format" (The MathWorks). Numbers come as arrays of their own type, text as str, cells as lists (column
by column), structs as dicts, or lists of them. Objects, function handles, sparse and complex arrays and version 7.3
(HDF5) are refused. SciPy's reader would do, but reading data sets must not need it.
"""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mien.core.errors import MienError

_LARGEST = 1 << 29  # bytes, unpacked: AFLW's list has 15 MB
_DEEPEST = 8
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_TEXT = {16: "utf-8", 17: "utf-16", 18: "utf-32", 4: "utf-16", 2: "utf-8", 1: "utf-8"}
_CLASSES = {6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"}
_REFUSED = {3: "an object", 5: "a sparse array", 16: "a function handle", 17: "an object"}
_MATRIX, _COMPRESSED, _COMPLEX = 14, 15, 0x0800


class _Element(NamedTuple):
    kind: int
    data: memoryview


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The variables of these names, of all there are without names. Raises MienError for a missing one, and for files
    and variables that are not as above.
    """
    try:
        content = memoryview(Path(path).read_bytes())
        order = _byte_order(content)
        found = dict(_Variables(order).of(content[128:], names))
    except (OSError, struct.error, ValueError, IndexError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise MienError(f"{path}: not a .mat file that can be read here ({reason}).") from error
    for name in names:
        if name not in found:
            raise MienError(f"{path} has no variable {name!r}. It has: {', '.join(sorted(found)) or 'nothing'}.")
    return found


def _byte_order(content: memoryview) -> str:
    if bytes(content[:8]) == b"\x89HDF\r\n\x1a\n" or bytes(content[:10]) == b"MATLAB 7.3":
        raise ValueError("version 7.3, which is HDF5: save it again in MATLAB with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(bytes(content[126:128]), "")
    if not order or struct.unpack_from(f"{order}H", content, 124)[0] != 0x0100:
        raise ValueError("it does not begin as MATLAB 5 to 7 begin")
    return order


class _Variables:
    """order: "<" or ">". wanted variables are read whole; of others the name only (their value is None)."""

    def __init__(self, order: str) -> None:
        self.order = order
        self.left = _LARGEST

    def of(self, content: memoryview, wanted: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for element in self._elements(content):
            whole = self._unpacked(element) if element.kind == _COMPRESSED else element
            if whole.kind != _MATRIX:
                raise ValueError(f"an element of type {whole.kind} where a variable should stand")
            name = self._head(whole.data)[2]
            yield name, self._value(whole.data, name, 0) if not wanted or name in wanted else None

    def _elements(self, data: memoryview) -> Iterator[_Element]:
        place = 0
        while place < len(data):
            kind, size = struct.unpack_from(f"{self.order}II", data, place)
            begin, step = place + 8, size + (-size % 8 if kind != _COMPRESSED else 0)
            if kind >> 16:  # a small element: its type, size and data in eight bytes
                kind, size, begin, step = kind & 0xFFFF, kind >> 16, place + 4, 0
                if size > 4:
                    raise ValueError("a damaged element")
            if begin + size > len(data):
                raise ValueError("cut short")
            yield _Element(kind, data[begin : begin + size])
            place = place + 8 + step

    def _unpacked(self, element: _Element) -> _Element:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(element.data, self.left)
        if not unpacker.eof:
            raise ValueError("cut short" if not unpacker.unconsumed_tail else "too large")
        self.left -= len(data)
        return _following(self._elements(memoryview(data)))

    def _head(self, data: memoryview) -> tuple[int, list[int], str, Iterator[_Element]]:
        """Class and flags, dimensions, name, and the elements that follow."""
        parts = self._elements(data)
        flags, sizes, name = (_following(parts) for _ in range(3))
        return (
            struct.unpack_from(f"{self.order}I", flags.data)[0],
            np.frombuffer(sizes.data, f"{self.order}i4").tolist(),
            bytes(name.data).decode("latin1"),
            parts,
        )

    def _value(self, data: memoryview, name: str, depth: int) -> Any:
        if not len(data):
            return np.zeros((0, 0))
        flags, sizes, _, parts = self._head(data)
        kind, count = flags & 0xFF, int(np.prod(sizes, dtype=object)) if sizes else 0
        if depth > _DEEPEST or count < 0 or count > _LARGEST or min(sizes, default=0) < 0:
            raise ValueError(f"{name} is nested too deep or too large")
        if kind in (1, 2):
            return self._nested(kind, parts, count, name, depth + 1)
        if kind in _REFUSED or flags & _COMPLEX or kind not in (4, *_CLASSES):
            raise ValueError(f"{name} is {_REFUSED.get(kind, 'complex or of an unknown class')}: only numbers and text")
        content = _following(parts)
        if kind == 4:
            return self._text(content, name)
        values = self._numbers(content, name)
        if len(values) != count:
            raise ValueError(f"{name} says {'x'.join(map(str, sizes))} and holds {len(values)} numbers")
        return values.astype(_CLASSES[kind]).reshape(sizes, order="F")

    def _nested(self, kind: int, parts: Iterator[_Element], count: int, name: str, depth: int) -> Any:
        fields = self._fields(parts) if kind == 2 else [""]
        values = [self._value(part.data, name, depth) for part in parts]
        if len(values) != count * len(fields):
            raise ValueError(f"{name} says {count} entries and holds {len(values)} values")
        if kind == 1:
            return values
        step = len(fields)
        rows = [dict(zip(fields, values[i : i + step], strict=True)) for i in range(0, len(values), step or 1)]
        return rows[0] if count == 1 and rows else rows

    def _fields(self, parts: Iterator[_Element]) -> list[str]:
        length = struct.unpack_from(f"{self.order}i", _following(parts).data)[0]
        text = bytes(_following(parts).data).decode("latin1")
        if length < 1:
            raise ValueError("a struct without names")
        return [text[i : i + length].partition("\0")[0] for i in range(0, len(text), length)]

    def _numbers(self, content: _Element, name: str) -> np.ndarray:
        if content.kind not in _NUMBERS:
            raise ValueError(f"{name} holds no numbers")
        return np.frombuffer(content.data, self.order + _NUMBERS[content.kind])

    def _text(self, content: _Element, name: str) -> str:
        if not content.data:
            return ""
        if content.kind not in _TEXT:
            raise ValueError(f"{name} holds no text")
        suffix = "" if _TEXT[content.kind] == "utf-8" else "-le" if self.order == "<" else "-be"
        return bytes(content.data).decode(_TEXT[content.kind] + suffix)


def _following(parts: Iterator[_Element]) -> _Element:
    """The next element. Raises ValueError where there is none: StopIteration would end a generator in silence."""
    element = next(parts, None)
    if element is None:
        raise ValueError("cut short")
    return element
