"""Arrays out of .npz and .npy files of others: plain numbers and texts, nothing unpickled, within limits."""

import io
import math
import zipfile
from pathlib import Path

import numpy as np

from mien.core.errors import MienError, one_line
from mien.core.limits import ARRAY_BYTES

_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Its arrays by name, not to be written to. Raises MienError, one line, for a damaged file and one too large."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.endswith(".npy")]
            _check_size(sum(member.file_size for member in members))
            return {member.filename.removesuffix(".npy"): _array(archive.read(member)) for member in members}
    except Exception as error:  # damaged files raise nearly anything
        raise MienError(f"{path}: not a .npz of plain arrays ({one_line(error)[:120]}).") from error


def read_npy(path: Path) -> np.ndarray:
    """Its array, not to be written to. Raises MienError as `read_npz` does."""
    try:
        _check_size(path.stat().st_size)
        return _array(path.read_bytes())
    except Exception as error:
        raise MienError(f"{path}: not a .npy of plain numbers ({one_line(error)[:120]}).") from error


def _check_size(size: int) -> None:
    if size > ARRAY_BYTES:
        raise ValueError(f"{size >> 20:,} MB of arrays; {ARRAY_BYTES >> 20} MB are the most")


def _array(content: bytes) -> np.ndarray:
    """Whose header states as much as there is."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"format {version[0]}.{version[1]}")
    shape, by_column, dtype = _HEADERS[version](stream)
    if dtype.hasobject or min(shape, default=0) < 0 or dtype.itemsize == 0:
        raise ValueError(f"an array {shape} of {dtype}")
    if math.prod(shape) * dtype.itemsize != len(content) - stream.tell():
        raise ValueError(f"{len(content) - stream.tell():,} bytes for an array {shape} of {dtype}")
    return np.frombuffer(content, dtype, offset=stream.tell()).reshape(shape, order="F" if by_column else "C")
