"""What lies on disk: each folder is listed once, no file is opened or asked for by itself."""

import errno
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from mien.core.errors import MienError
from mien.data.splits import SPLIT_NAMES
from mien.media.files import is_own_folder
from mien.media.listing import PICTURES, UNREAD_KINDS

PICTURE_SUFFIXES = frozenset(PICTURES)
_UNREADABLE_SUFFIXES = frozenset(UNREAD_KINDS)
_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)  # no such folder; a file; a link that leads to itself
_DOTS = ("", ".", "..")
_BACKSLASH = os.sep if os.sep == "\\" else "\0"  # parts paths on Windows; elsewhere a letter like others


class Listing:
    """The names in the folders below `top`. Paths are given below `top`, with `/`; absolute ones stay as they are."""

    def __init__(self, top: str | Path) -> None:
        self.top = os.fspath(top)
        self._names: dict[str, set[str]] = {}
        self._folded: dict[str, dict[str, str]] = {}
        self._children: dict[str, Callable[[str], Path]] = {}

    def names(self, folder: str = "") -> set[str]:
        """Names of the entries of a folder; empty where there is no such folder."""
        if folder not in self._names:
            self._names[folder] = file_names(Path(self.top, folder))
        return self._names[folder]

    def find(self, path: str) -> str | None:
        """The path as it lies on disk, None where it does not.

        A name that differs in the case of its extension only (`a.JPG`), or in how Unicode composes its letters, as
        copying to and from macOS makes it, is the same name. A path of Windows is one whose signs are `/` here.
        """
        folder, _, name = path.rpartition("/")
        names = self._names.get(folder)
        if name in (self.names(folder) if names is None else names):
            return path
        other = self._other_spelling(folder).get(_folded(name))
        if other is None and "\\" in path:
            return self.find(path.replace("\\", "/"))
        return None if other is None else f"{folder}/{other}" if folder else other

    def place(self, path: str | None) -> Path | None:
        """The whole path: one Path a folder, and a child of it a picture. None stays None."""
        if path is None:
            return None
        folder, _, name = path.rpartition("/")
        if not folder or name in _DOTS or _BACKSLASH in path:
            return Path(self.top, path)  # for pathlib to take apart
        if folder not in self._children:
            self._children[folder] = child_of(Path(self.top, folder))
        return self._children[folder](name)

    def pictures_beside(self, found: Iterable[str]) -> list[str]:
        """Sorted pictures in the folders listed so far that are not among `found`."""
        known = set(found)
        if sum(map(len, self._names.values())) == len(known):
            return []
        below = (
            (f"{folder}/{name}" if folder else name, name) for folder in self._names for name in self._names[folder]
        )
        return sorted(path for path, name in below if path not in known and is_picture(name))

    def _other_spelling(self, folder: str) -> dict[str, str]:
        if folder not in self._folded:
            self._folded[folder] = {_folded(name): name for name in sorted(self.names(folder))}
        return self._folded[folder]


def file_names(folder: Path) -> set[str]:
    """Names of the entries of a folder; empty where there is no such folder."""
    try:
        return set(os.listdir(folder))  # noqa: PTH208 (names, not 300,000 Paths)
    except OSError as error:
        if error.errno in _NOT_THERE:
            return set()
        raise


def folder_names(folder: Path) -> list[str]:
    """Sorted names of the folders in a folder, without hidden ones, system folders and links that lead nowhere."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if is_own_folder(entry.name) and _is_folder(entry))
    except OSError as error:
        if error.errno in _NOT_THERE:
            return []
        raise


def split_folders(folder: Path) -> dict[str, Path]:
    """Split ("train", "valid", "test", in this order) → the folder in `folder` that is called so or by another word.

    Raises MienError for two folders of one split, such as `val` and `valid`.
    """
    found: dict[str, list[str]] = {}
    for name in folder_names(folder):
        found.setdefault(SPLIT_NAMES.get(name.lower(), name.lower()), []).append(name)
    splits = [split for split in ("train", "valid", "test") if split in found]
    for split in splits:
        if len(found[split]) > 1:
            names = " and ".join(map(repr, found[split]))
            raise MienError(printable(f"{folder}: {names} are both the split {split!r}. Merge them or rename one."))
    return {split: folder / found[split][0] for split in splits}


def walk(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """(folder, its file names) for a folder and those below it, sorted, without hidden and system folders.

    Links to folders are not followed.
    """
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(filter(is_own_folder, folders))
        yield parent, sorted(names)


def is_picture(name: str) -> bool:
    """Whether a file name ends as pictures do, in small or capital letters, and is not hidden."""
    return _suffix(name) in PICTURE_SUFFIXES and not name.startswith(".")


def is_unreadable_picture(name: str) -> bool:
    """Whether a file name ends as those of pictures that nothing here decodes: HEIC, raw files, JPEG XL."""
    return _suffix(name) in _UNREADABLE_SUFFIXES and not name.startswith(".")


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 (300,000 names)


def child_of(folder: Path) -> Callable[[str], Path]:
    """Makes `folder / name` of a plain file name in a fifth of the time: Python 3.11 takes the name apart again."""
    child: Callable[[str], Path] = getattr(folder, "_make_child_relpath", folder.__truediv__)  # there in 3.11 and 3.12
    return child


def printable(text: str) -> str:
    """The text with bytes of file names that are not UTF-8 written as `\\udcff`: it can be printed and hashed."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _folded(name: str) -> str:
    stem, dot, suffix = unicodedata.normalize("NFC", name).rpartition(".")
    return stem + dot + suffix.lower()


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False
