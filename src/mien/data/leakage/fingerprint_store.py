"""Store: fingerprints and found twins, kept between runs in one SQLite file of the user's cache folder.

The folder is `media.files.cache_folder`. The file may be deleted at any time. Where it cannot be read or written,
everything works without it, only slower.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from mien.media.files import cache_folder

_TABLES = ("prints", "twins")
_AT_ONCE = 500  # SQLite's limit on the values of one question was 999 once


class Store:
    """Two tables from 16-byte keys to bytes. A context manager; each `keep` is on disk when it returns."""

    def __init__(self) -> None:
        self._file: sqlite3.Connection | None = None

    def __enter__(self) -> "Store":
        folder = cache_folder()
        if folder is None:
            return self
        path = folder / "fingerprints.sqlite"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = _opened(path)
        except sqlite3.DatabaseError:  # no database: cut short, or another program's file
            self._begin_again(path)
        except OSError:
            self._file = None
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def prints(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The fingerprints that are known, by key."""
        return self._get("prints", keys)

    def keep_prints(self, items: Iterable[tuple[bytes, bytes]]) -> None:
        self._keep("prints", items)

    def twins(self, key: bytes) -> bytes | None:
        """What was found for a whole set of pictures; `key` names all of them."""
        return self._get("twins", [key]).get(key)

    def keep_twins(self, key: bytes, found: bytes) -> None:
        self._keep("twins", [(key, found)])

    def _get(self, table: str, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        known: dict[bytes, bytes] = {}
        for start in range(0, len(keys) if self._file else 0, _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            marks = ",".join("?" * len(part))
            known.update(self._ask(f"SELECT key, value FROM {table} WHERE key IN ({marks})", part))
        return known

    def _keep(self, table: str, items: Iterable[tuple[bytes, bytes]]) -> None:
        if self._file is not None:
            try:
                with self._file:
                    self._file.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", items)
            except sqlite3.Error:  # a full disk, or another process that holds it for long
                self._file = None

    def _ask(self, question: str, values: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
        try:
            return self._file.execute(question, values).fetchall() if self._file else []
        except sqlite3.Error:
            self._file = None
            return []

    def _begin_again(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
            self._file = _opened(path)
        except (OSError, sqlite3.Error):
            self._file = None


def _opened(path: Path) -> Any:
    file = sqlite3.connect(path, timeout=10)
    for table in _TABLES:
        file.execute(f"CREATE TABLE IF NOT EXISTS {table} (key BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")
    return file
