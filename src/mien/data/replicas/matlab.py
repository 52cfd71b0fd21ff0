"""`.mat` files as MATLAB 5 writes them, for replicas: numbers, text, cells and structs, packed or not."""

import struct
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

# Class of the array, type of the data (MAT-File Format, tables 1-1 and 1-3).
_KINDS = {"float64": (6, 9), "float32": (7, 7), "int16": (10, 3), "int32": (12, 5), "uint8": (9, 2)}


def write_mat(path: Path, variables: Mapping[str, Any], *, packed: bool = False) -> None:
    """Arrays of two dimensions, str, lists (a row of cells; `Column`: a column), dicts (structs). Makes folders."""
    content = bytearray(b"MATLAB 5.0 MAT-file, drawn".ljust(116) + bytes(8) + struct.pack("<H2s", 0x0100, b"IM"))
    for name, value in variables.items():
        element = _matrix(value, name)
        content += _packed(element) if packed else element
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


class Column(list[Any]):
    """Cells below each other."""


def _packed(element: bytes) -> bytes:
    data = zlib.compress(element)
    return struct.pack("<II", 15, len(data)) + data


def _element(kind: int, data: bytes) -> bytes:
    if 0 < len(data) <= 4:
        return struct.pack("<HH", kind, len(data)) + data.ljust(4, b"\0")
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def _matrix(value: Any, name: str = "") -> bytes:
    if isinstance(value, str):
        head, rest = (4, (1, len(value))), _element(4, value.encode("utf-16-le"))
    elif isinstance(value, Mapping):
        names = b"".join(key.encode().ljust(32, b"\0") for key in value)
        rest = _element(5, struct.pack("<i", 32)) + _element(1, names) + b"".join(map(_matrix, value.values()))
        head = (2, (1, 1))
    elif isinstance(value, Sequence):
        head = (1, (len(value), 1) if isinstance(value, Column) else (1, len(value)))
        rest = b"".join(map(_matrix, value))
    else:
        kind, data = _KINDS[value.dtype.name]
        head, rest = (kind, value.shape), _element(data, np.asarray(value).tobytes(order="F"))
    start = _element(6, struct.pack("<II", head[0], 0)) + _element(5, struct.pack("<ii", *head[1]))
    body = start + _element(1, name.encode()) + rest
    return struct.pack("<II", 14, len(body)) + body
