"""`.mat` files of MATLAB 5 to 7 (`save -v6`, `-v7`), read by SciPy: numbers, text, cells and structs.

SciPy allocates what a file declares and follows cells as deep as they go, so a file is unpacked within a limit and its
declared sizes are compared with what it holds before SciPy sees it. Layout: "MAT-File Format" (The MathWorks).
"""

import struct
import warnings
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mien.core.errors import MienError, one_line
from mien.core.extras import install_hint

_LARGEST = 1 << 29  # bytes, unpacked: AFLW's list has 15 MB
_DEEPEST = 8
_HEADER = 128
_MATRIX, _COMPRESSED, _COMPLEX = 14, 15, 0x0800
_REFUSED = {3: "an object", 5: "a sparse array", 16: "a function handle", 17: "an object"}


class _Element(NamedTuple):
    kind: int
    data: memoryview


def read_mat(path: Path, *names: str) -> dict[str, Any]:
    """The variables of these names, or all without names.

    Numbers are arrays of MATLAB's type, text is str, cells are lists (column by column), structs dicts or lists of
    them. Raises MienError for a missing variable, for objects, function handles, sparse and complex arrays, for
    version 7.3 (HDF5), for damaged or oversized files, and where SciPy is not installed.
    """
    scipy_io = import_scipy_io(f"Reading {path}")
    try:
        content = _unpacked(Path(path).read_bytes(), names)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged names; damaged values raise
            found = scipy_io.loadmat(BytesIO(content), variable_names=names or None, mat_dtype=True)
        values = {name: _plain(value) for name, value in found.items() if not name.startswith("__")}
        present = [name for name, *_ in scipy_io.whosmat(BytesIO(content))] if names else []
    except Exception as error:  # SciPy raises nearly anything on damaged files
        reason = getattr(error, "strerror", None) or one_line(error)
        raise MienError(f"{path}: not a .mat file that can be read here ({reason}).") from error
    for name in names:
        if name not in values:
            raise MienError(f"{path} has no variable {name!r}. It has: {', '.join(sorted(present)) or 'nothing'}.")
    return values


def import_scipy_io(what: str) -> Any:
    """The module scipy.io. Raises MienError where SciPy is not installed."""
    try:
        import scipy.io
    except ImportError as error:
        raise MienError(f"{what} needs SciPy: {install_hint('train')}.") from error
    return scipy.io


def _plain(value: Any) -> Any:
    """SciPy's array as the value it stands for."""
    if value.dtype.names is not None:
        rows = [{name: _plain(row[name]) for name in value.dtype.names} for row in value.ravel(order="F")]
        return rows[0] if len(rows) == 1 else rows
    if value.dtype == object:
        return [_plain(np.asarray(entry)) for entry in value.ravel(order="F")]
    if value.dtype.kind == "U":
        lines = value.ravel().tolist()
        return lines[0] if len(lines) == 1 else "\n".join(lines)
    return value


def _unpacked(content: bytes, wanted: tuple[str, ...]) -> bytes:
    """The file with its packed variables unpacked. Raises ValueError for what `read_mat` refuses."""
    order = _byte_order(content)
    parts, left = [content[:_HEADER]], _LARGEST
    for element in _elements(memoryview(content)[_HEADER:], order):
        packed = element.kind == _COMPRESSED
        whole = _inflated(element.data, left) if packed else _tagged(element, order)
        left -= len(whole)
        if left < 0:
            raise ValueError("too large")
        for variable in _elements(memoryview(whole), order):
            _check_variable(variable, order, wanted)
        parts.append(whole)
    return b"".join(parts)


def _byte_order(content: bytes) -> str:
    if content[:8] == b"\x89HDF\r\n\x1a\n" or content[:10] == b"MATLAB 7.3":
        raise ValueError("version 7.3, which is HDF5: save it again in MATLAB with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:_HEADER], "")
    if not order or struct.unpack_from(f"{order}H", content, 124)[0] != 0x0100:
        raise ValueError("it does not begin as MATLAB 5 to 7 begin")
    return order


def _elements(data: memoryview, order: str) -> Iterator[_Element]:
    """The elements that follow each other in `data`."""
    place = 0
    while place < len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        begin, step = place + 8, size + (-size % 8 if kind != _COMPRESSED else 0)
        if kind >> 16:  # a small element: its type, size and data in eight bytes
            kind, size, begin, step = kind & 0xFFFF, kind >> 16, place + 4, 0
        if begin + size > len(data):
            raise ValueError("cut short")
        yield _Element(kind, data[begin : begin + size])
        place += 8 + step


def _tagged(element: _Element, order: str) -> bytes:
    return struct.pack(f"{order}II", element.kind, len(element.data)) + bytes(element.data)


def _inflated(data: memoryview, limit: int) -> bytes:
    unpacker = zlib.decompressobj()
    whole = unpacker.decompress(data, limit)
    if not unpacker.eof:
        raise ValueError("too large" if unpacker.unconsumed_tail else "cut short")
    return whole


def _check_variable(element: _Element, order: str, wanted: tuple[str, ...]) -> None:
    if element.kind != _MATRIX:
        raise ValueError(f"an element of type {element.kind} where a variable should stand")
    head = list(zip(range(3), _elements(element.data, order), strict=False))
    if len(head) < 3:
        raise ValueError("cut short")
    name = bytes(head[2][1].data).decode("latin1")
    if not wanted or name in wanted:
        _check_matrix(element.data, order, name, depth=0)


def _check_matrix(data: memoryview, order: str, name: str, *, depth: int) -> None:
    """Raises ValueError for refused classes, for more entries than bytes, and for matrices nested too deep."""
    if not len(data):
        return
    if depth > _DEEPEST:
        raise ValueError(f"{name} is nested too deep")
    parts = list(_elements(data, order))
    if len(parts) < 3:
        raise ValueError("cut short")
    flags = struct.unpack_from(f"{order}I", parts[0].data)[0]
    if flags & 0xFF in _REFUSED or flags & _COMPLEX:
        kind = _REFUSED.get(flags & 0xFF, "complex")
        raise ValueError(f"{name} is {kind}: only real numbers, text, cells and structs are read")
    sizes = np.frombuffer(parts[1].data, f"{order}i4").tolist()
    if min(sizes, default=0) < 0 or np.prod(sizes, dtype=object) > len(data):
        raise ValueError(f"{name} is too large: {'x'.join(map(str, sizes))} entries in {len(data)} bytes")
    for part in parts[3:]:
        if part.kind == _MATRIX:
            _check_matrix(part.data, order, name, depth=depth + 1)
