"""NumPy arrays out of pickles, executing nothing: FLAME's model files and landmark embeddings, MTCNN's .npy files.

These are dicts of arrays, written by Python 2 or 3, in which SciPy's sparse matrices and Chumpy's arrays may stand as
objects of foreign classes. The restricted reader (nn.files.inert_pickle) leaves objects inert; here their state becomes
an array.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, one_line
from mien.nn.files.inert_pickle import LIMITS, Budget, Constructor, Inert, PickleError, inert_class, read_pickle

MOST_BYTES = 2**30
_KINDS = "fiub"  # of numbers: float, signed, unsigned, bool
_NPY = b"\x93NUMPY"
_RECONSTRUCT = {(module, "_reconstruct") for module in ("numpy.core.multiarray", "numpy._core.multiarray")}


class _Array(Inert):
    """An array whose shape, type and bytes come as its state."""


class _Type(Inert):
    """A dtype; code is the text it is made from, such as f8."""

    code = ""


def read_arrays(path: Path) -> dict[str, Any]:
    """{name: array} of a pickled dict (.pkl) or of a dict in a .npy file; what is no array is left as it is or out.

    Raises MienError, one line, for a missing, foreign or damaged file and one beyond the limits.
    """
    data = _content(path)
    try:
        found = _plain(_read(data, _start(data)))
    except Exception as error:  # damaged files raise nearly anything
        raise MienError(f"{path}: damaged, or no pickled dict of arrays ({one_line(error)[:160]}).") from error
    if isinstance(found, list) and len(found) == 1:  # a dict in an array without axes
        found = found[0]
    if not isinstance(found, dict):
        raise MienError(f"{path}: it holds a {type(found).__name__}, not a dict of arrays.")
    return {str(name): value for name, value in found.items()}


def _content(path: Path) -> bytes:
    if not path.is_file():
        raise MienError(f"No file at {path}.")
    if path.stat().st_size > MOST_BYTES:
        raise MienError(f"{path}: {path.stat().st_size:,} bytes; {MOST_BYTES:,} are the most.")
    return path.read_bytes()


def _start(data: bytes) -> int:
    """Where the pickle begins: behind the header of a .npy file."""
    if not data.startswith(_NPY):
        return 0
    width = 2 if data[6] == 1 else 4
    return 8 + width + int.from_bytes(data[8 : 8 + width], "little")


def _read(data: bytes, start: int) -> Any:
    limits = replace(LIMITS, pickle_bytes=len(data), steps=LIMITS.steps + len(data) // 16)

    def no_persistent(_: Any) -> Any:
        raise PickleError("it refers to objects outside of it")

    return read_pickle(data, start, lookup=_lookup, persistent=no_persistent, budget=Budget(limits))[0]


def _lookup(module: str, name: str) -> Any:
    if (module, name) in _RECONSTRUCT:
        return Constructor(lambda *_: _Array())
    if (module, name) == ("numpy", "dtype"):
        return Constructor(_type_of)
    if (module, name) == ("_codecs", "encode"):
        return Constructor(_encoded)
    return inert_class(module, name)


def _type_of(code: Any, *_: Any) -> _Type:
    made = _Type()
    made.code = _text(code)
    return made


def _encoded(text: Any, encoding: Any = "latin1") -> bytes:
    """How Python 3 writes bytes in protocol 2."""
    if not isinstance(text, str) or encoding not in ("latin1", "utf-8"):
        raise PickleError("its pickle encodes what is no text")
    return text.encode(encoding)


def _plain(value: Any) -> Any:
    """Arrays for what was one, or held one: Chumpy's `x`, SciPy's compressed columns."""
    if isinstance(value, _Array):
        return _array(value.state)
    if isinstance(value, Mapping):
        return {_text(name): _plain(item) for name, item in value.items()}
    if isinstance(value, Inert) and isinstance(value.state, Mapping):
        state = {_text(name): item for name, item in value.state.items()}
        if "indptr" in state:
            return _dense({name: _plain(item) for name, item in state.items()})
        return _plain(state["x"]) if "x" in state else None
    return value


def _array(state: Any) -> Any:
    _, shape, kind, by_column, content = state
    if not isinstance(kind, _Type):
        raise PickleError("an array in it has no type")
    if isinstance(content, list):  # of objects
        return [_plain(item) for item in content]
    order = kind.state[1] if isinstance(kind.state, tuple) else "<"
    dtype = np.dtype(_text(order).replace("|", "") + kind.code)
    if dtype.kind not in _KINDS:
        raise PickleError(f"an array in it is of {dtype}")
    # Bytes that happen to be UTF-8 were read as text (Python 2 wrote both alike).
    raw = content.encode() if isinstance(content, str) else bytes(content)
    return np.frombuffer(raw, dtype).reshape(shape, order="F" if by_column else "C").copy()


def _dense(state: Mapping[str, Any]) -> np.ndarray:
    """A matrix of its compressed columns. Raises PickleError where they do not fit."""
    rows, columns = (int(side) for side in state.get("_shape") or state.get("shape") or ())
    pointers, indices, values = (np.asarray(state[name]) for name in ("indptr", "indices", "data"))
    if rows * columns > MOST_BYTES // 8 or len(pointers) != columns + 1 or len(indices) != len(values):
        raise PickleError("a sparse matrix in it does not fit together")
    dense = np.zeros((rows, columns))
    dense[indices, np.repeat(np.arange(columns), np.diff(pointers))] = values
    return dense


def _text(value: Any) -> str:
    """Python 2 wrote some texts as bytes."""
    return value.decode("latin1") if isinstance(value, bytes) else str(value)
