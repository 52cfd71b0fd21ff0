"""What a reader is, and the few things that every reader does: look for its files, name what is missing.

Reading an index is cheap: one directory listing a folder, no stat of single files, no decoding.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import ClassVar

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet
from mien.core.records import Sample

PICTURE_SUFFIXES = frozenset((".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm"))
# The same split under other words. RAF-DB, FER+ and POSTER V2 write `valid`, ImageNet's descendants `val`.
SPLIT_WORDS = {"val": "valid", "validation": "valid", "dev": "valid", "training": "train", "testing": "test"}


class Reader(ABC):
    """A data set on disk.

    name: as in `READERS`. labels: the set's own class order, None where it has landmarks only. splits: those that are
    on this disk, in order: "train", "valid", "test", or "all" where the data are not divided.
    """

    name: ClassVar[str]
    labels: LabelSet | None = None
    splits: tuple[str, ...] = ()

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @abstractmethod
    def _read(self, split: str) -> list[Sample]:
        """The samples of one of `self.splits`, sorted by key."""

    def samples(self, split: str) -> list[Sample]:
        """The samples of a split, sorted by key. Raises MienError for a missing split and for broken labels."""
        name = self.resolve(split)
        samples = self._read(name)
        if not samples:
            raise self.error(f"split {name!r} is empty under {self.root}.")
        return sorted(samples, key=lambda sample: sample.key)

    def resolve(self, split: str) -> str:
        """The name in `self.splits` that `split` means ("val" is "valid"). Raises MienError for a missing one."""
        name = SPLIT_WORDS.get(split, split)
        if name not in self.splits:
            raise self.error(f"no split {split!r} under {self.root}. It has: {', '.join(self.splits)}.")
        return name

    def error(self, text: str) -> MienError:
        """A MienError that begins with the reader's name."""
        return MienError(f"{self.name}: {text}")

    def need(self, path: Path, *, way_out: str) -> Path:
        """`path` itself. Raises MienError with the way out when there is no such file or folder."""
        if path.exists():
            return path
        if not self.root.exists():
            raise self.error(f"no folder {self.root}. {way_out}")
        raise self.error(f"no {path.name} under {path.parent}. {way_out} See docs/data.md.")

    def lines(self, path: Path) -> list[str]:
        """Lines of a text file that are not empty, without a byte order mark. Raises MienError when it is not UTF-8."""
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
        return [line for line in text.splitlines() if line.strip()]

    def refuse_missing(self, missing: Sequence[Path], *, listed_in: Path, total: int) -> None:
        """Raises MienError that counts the missing pictures and names the first."""
        if missing:
            raise self.error(
                f"{len(missing)} of {total} pictures listed in {listed_in} are missing, first {missing[0]}. "
                "Copy the set again, or take their lines out."
            )


def file_names(folder: Path) -> set[str]:
    """Names of the entries of a folder; empty where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def folder_names(folder: Path) -> list[str]:
    """Sorted names of the folders in a folder, hidden ones left out."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []


def pictures_below(folder: Path) -> list[Path]:
    """Sorted picture files in a folder and the folders below it; links to folders are not followed."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(parent, name) for name in names if is_picture(name)]
    return sorted(found)


def is_picture(name: str) -> bool:
    """Whether a file name ends as pictures do, in small or capital letters, and is not hidden."""
    return os.path.splitext(name)[1].lower() in PICTURE_SUFFIXES and not name.startswith(".")  # noqa: PTH122 (300,000 names)


def need_column(reader: Reader, wanted: str, columns: Iterable[str], *, where: Path) -> None:
    """Raises MienError that names the nearest column when `wanted` is not among them."""
    columns = list(columns)
    if wanted not in columns:
        raise reader.error(f"{where} has no column {wanted!r}.{nearest(wanted, columns)}")
