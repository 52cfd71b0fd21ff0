"""Files are written whole or not at all, and named by what is in them."""

import csv
import errno
import hashlib
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from io import TextIOBase
from pathlib import Path
from typing import Any

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.json_text import MAX_BYTES

INFO_FILE = "system.json"
_LEFT = re.compile(r"\.(.{1,40})\.[a-z0-9_]{8}(\.\w+)?", re.DOTALL)  # names as mkstemp gives them
# What operating systems, file servers and archives leave beside a person's own files; compared in small letters.
SYSTEM_FOLDERS = frozenset((
    "__macosx", "@eadir", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin", "recycler",
    "system volume information", "lost+found", "network trash folder", "temporary items",
))  # fmt: skip


def is_own_folder(name: str) -> bool:
    """Whether a folder of this name may hold a person's files: it is neither hidden nor a system folder."""
    return not name.startswith(".") and name.casefold() not in SYSTEM_FOLDERS


def cache_folder() -> Path | None:
    """`$MIEN_CACHE`, or mien's own folder where this platform keeps caches; None for a user without a home."""
    try:
        if own := os.environ.get("MIEN_CACHE"):
            return Path(own).expanduser()
        if sys.platform == "win32":
            return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "mien" / "cache"
        if sys.platform == "darwin":
            return Path("~/Library/Caches/mien").expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "mien"
    except RuntimeError:
        return None


def required_file(path: str, *, what: str, option: str, otherwise: str = "") -> Path:
    """A file that the user must name; what: who needs it. Raises MienError, with the option, where it is not there."""
    if path and (file := Path(path).expanduser()).is_file():
        return file
    found = f"there is no file {path}" if path else "none is named"
    raise MienError(f"{what} needs a file and {found}: {option} FILE. {otherwise}".rstrip())


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


def sweep(folder: Path, *stems: str) -> None:
    """Takes away what a killed process left of `atomic_path` in a folder: half files of these stems, or of any."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if (left := _LEFT.fullmatch(path.name)) and (not stems or left[1].startswith(stems)):
            path.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """UTF-8, atomically; of file names that are not UTF-8, as `printable`."""
    with atomic_path(path) as temporary:
        temporary.write_text(printable(text), encoding="utf-8")


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A header and rows of cells as CSV in UTF-8, each line ended by \\n; whole or not at all."""
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv_writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def csv_writer(file: TextIOBase) -> Any:
    """A `csv.writer` whose rows end in \\n and whose cells survive, also one with a carriage return in it."""
    return csv.writer(_LineFeeds(file))


class _LineFeeds:
    """`csv.writer` quotes a carriage return only where rows end in one, so each row's end is replaced here."""

    def __init__(self, file: TextIOBase) -> None:
        self._file = file

    def write(self, row: str) -> int:
        return self._file.write(row.removesuffix("\r\n") + "\n")


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


def refuse_inside(output: Path | str, root: Path | str) -> None:
    """Raises MienError for an output in the folder of a data set, of which it would be a part from then on."""
    if home_expanded(output).resolve().is_relative_to(home_expanded(root).resolve()):
        raise MienError(f"--output {output} lies inside the data set {root}, which is never written to. Name another.")


def writable_folder(path: Path | str) -> Path:
    """The folder, made where it is missing, once a file could be written into it: tried before the work, not after it.

    Raises MienError for a path that is a file, and for a folder that cannot be made or written.
    """
    folder = home_expanded(path)
    if folder.is_file():
        raise MienError(f"Cannot write --output {folder}: it is a file; a folder is needed.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=folder, prefix=".mien_")
        os.close(handle)
        Path(name).unlink()
    except OSError as error:
        raise MienError(f"Cannot write --output {folder}: {error.strerror}. Name another folder.") from error
    return folder


def refuse_existing(paths: Iterable[Path], *, overwrite: bool) -> None:
    """Raises MienError for the first of these files that exists, unless it may be overwritten."""
    there = next((path for path in paths if path.exists()), None)
    if there is not None and not overwrite:
        raise MienError(f"{there} exists. Add --overwrite to replace it, or name another --output.")


def home_expanded(path: os.PathLike[Any] | str) -> Path:
    """The path with a leading `~` or `~/` replaced by the home folder; `~draft.jpg` is a file's own name.

    Raises MienError where the user has no home folder, and for an empty text, which pathlib takes for the folder that
    the user is in.
    """
    text = os.fspath(path)
    if not text:
        raise MienError("A path is empty: name a file or a folder; the folder that you are in is `.`.")
    if text != "~" and not text.startswith(("~/", f"~{os.sep}")):
        return Path(path)
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise MienError(f"{path}: this user has no home folder (HOME is not set). Write the whole path.") from error


def read_info(folder: Path | str) -> BundleInfo:
    """What `system.json` in a bundle's folder says: its one reader. Raises MienError where there is none."""
    path = Path(folder) / INFO_FILE
    try:
        return BundleInfo.from_json(read_limited(path, MAX_BYTES), where=str(path))
    except OSError as error:
        raise MienError(f"{folder} is not a bundle: cannot read {path} ({error.strerror}).") from error


def read_limited(path: Path, most: int) -> bytes:
    """The bytes of a file, at most one more than `most`. Raises OSError for a pipe or device, which may not end."""
    if not path.is_file():
        path.stat()  # a missing file says so itself
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    with path.open("rb") as file:
        return file.read(most + 1)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
