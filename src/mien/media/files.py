"""Files are written whole or not at all, and named by what is in them."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mien.core.errors import MienError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path`, with its suffix, that takes its place when the block ends without an error.

    Raises MienError when the folder cannot be written or the disk is full; an existing `path` is then untouched.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of 255 bytes leaves no room for more; 40 letters are 160 bytes at most.
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem[:40]}.", suffix=path.suffix)
        os.close(handle)
    except OSError as error:
        raise MienError(f"Cannot write {path}: {error.strerror}. Name another --output.") from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    except OSError as error:
        raise MienError(f"Cannot write {path}: {error.strerror or error}. What was written before is kept.") from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """UTF-8, atomically; of file names that are not UTF-8, as `printable`."""
    with atomic_path(path) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def printable(text: str) -> str:
    """Text that UTF-8 can hold: a byte of a file name that is not UTF-8 becomes %E9, so that such names stay apart."""
    with suppress(UnicodeEncodeError):
        text.encode("utf-8")
        return text
    return "".join(_hexadecimal(letter) if "\ud800" <= letter <= "\udfff" else letter for letter in text)


def _hexadecimal(surrogate: str) -> str:
    """Of a byte, as `os.fsdecode` hides it in U+DC80 to U+DCFF; else of the lone surrogate itself."""
    code = ord(surrogate)
    return f"%{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else f"%u{code:04X}"


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
