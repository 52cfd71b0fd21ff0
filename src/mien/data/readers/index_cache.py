"""What was read from many small files, kept in the user's cache folder: never in the data set's own.

The folder is `index` in `media.files.cache_folder`. Deleting it is safe.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.media.files import atomic_path, cache_folder

Table = dict[str, np.ndarray]
_FORMAT = "1"


def kept(what: str, stamp: str, build: Callable[[], Table], *, how: str = "auto") -> Table:
    """The arrays that `build` gives, from the cache where they are kept there with the same stamp.

    what: names the table, one file each. stamp: changes when the table would. how: "auto", "rebuild" (never taken from
    the cache) or "off" (nor written to it). A cache that cannot be read or written is done without.
    """
    folder = cache_folder()
    if folder is None:
        return build()
    path = folder / "index" / f"{hashlib.sha256(what.encode('utf-8', 'surrogateescape')).hexdigest()[:24]}.npz"
    mark = np.frombuffer(f"{_FORMAT} {stamp}".encode(), np.uint8)
    if how == "auto" and (table := _read(path, mark)) is not None:
        return table
    table = build()
    if how != "off":
        _write(path, {**table, "stamp": mark})
    return table


def _read(path: Path, mark: np.ndarray) -> Table | None:
    try:
        with np.load(path, allow_pickle=False) as file:
            return (
                {name: file[name] for name in file.files if name != "stamp"}
                if np.array_equal(file["stamp"], mark)
                else None
            )
    except Exception:  # damaged in any way: it is built anew
        return None


def _write(path: Path, table: Table) -> None:
    try:
        with atomic_path(path) as temporary:
            np.savez(temporary, **table)  # type: ignore[arg-type]
    except MienError:
        return
