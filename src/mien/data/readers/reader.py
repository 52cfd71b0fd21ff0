"""What a reader is, and the few things that every reader does: look for its files, name what is missing.

Reading an index is cheap: one directory listing a folder, no stat of single files, no decoding.
"""

import csv
import gc
import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float

from mien.core.errors import MienError, nearest
from mien.core.labels import LabelSet, meaning, spelled
from mien.core.limits import CLASSES, COLUMNS, EDGE, TEXT_BYTES
from mien.core.records import Sample
from mien.data.readers.listing import (
    PICTURE_SUFFIXES,
    Listing,
    file_names,
    folder_names,
    is_picture,
    is_unreadable_picture,
    printable,
    walk,
)
from mien.data.splits import SPLIT_NAMES

MISSING, PICTURES = ("stop", "skip"), ("photo", "render")
ENDLESS_BOX = f"the edges of a box lie within {EDGE:,} pixels"


class Reader(ABC):
    """A data set on disk.

    name: as in `READERS`. signs: patterns below the root (`pathlib` globs) one of which only this layout matches.
    labels: the set's own class order, None where it has landmarks only. splits: those that are on this disk, in order:
    "train", "valid", "test", or "all" where the data are not divided. aliases: other words for them, as the set's own
    literature calls them. valid_is_test: published numbers are reported on
    what the set calls validation; it is then the split "test", and selecting an epoch on it is refused.
    affect_proxy: what valence and arousal were made of, where nobody rated them; a network trained on them says so.
    missing: what a listed picture that is not there does: "stop" raises, "skip" leaves it out, counted in `notes`.
    picture_kind: "render" takes each face's render in the place of its photo.
    Every reader takes both as options (`missing`, `pictures`). notes: what a person should be told, in words. absent:
    what was left out so.
    """

    name: ClassVar[str]
    signs: ClassVar[tuple[str, ...]] = ()
    published_folds: ClassVar[tuple[tuple[str, ...], ...]] = ()  # subjects held out in each fold of the literature
    labels: LabelSet | None = None
    splits: tuple[str, ...] = ()
    aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    valid_is_test: bool = False
    affect_proxy: str = ""
    missing: str = "stop"
    picture_kind: str = "photo"

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.notes: list[str] = []
        self.absent: list[Path] = []
        self._unreadable: set[Path] = set()
        self._samples: dict[str, list[Sample]] = {}

    @abstractmethod
    def _read(self, split: str) -> list[Sample]:
        """The samples of one of `self.splits`."""

    def samples(self, split: str) -> list[Sample]:
        """The samples of a split, sorted by key; read from disk once.

        Raises MienError for a missing split and for broken labels.
        """
        name = self.resolve(split)
        if name not in self._samples:
            self._samples[name] = self._read_checked(name)
        return list(self._samples[name])

    def _read_checked(self, split: str) -> list[Sample]:
        with _no_collection(), one_line(self.name, self.root):
            samples = _with_printable_keys(self._read(split))
            samples = [self._as_render(sample) for sample in samples] if self.picture_kind == "render" else samples
        self._note_unreadable()
        if not samples:
            raise self.error(f"split {split!r} is empty under {self.root}.{self._unreadable_text()}")
        self._refuse_endless_boxes(samples)
        return sorted(samples, key=attrgetter("key"))

    def _as_render(self, sample: Sample) -> Sample:
        if sample.render is None:
            raise self.error(f"pictures is render, and {sample.key} has none.")
        return replace(sample, path=sample.render, render=None, span=None, frame=None)

    def resolve(self, split: str) -> str:
        """The name in `self.splits` that `split` means ("val" is "valid"). Raises MienError for a missing one."""
        name = self.aliases.get(split, SPLIT_NAMES.get(split, split))
        if name == "valid" and self.valid_is_test:
            name = "test"
        if name not in self.splits:
            way_out = (
                f" Divide it: mien data split {self.name} --root {self.root} --output split.csv, then "
                "--data.split_file split.csv."
            )
            raise self.error(
                f"no split {split!r} under {self.root}. It has: {', '.join(self.splits)}."
                f"{way_out if self.splits == ('all',) else ''}"
            )
        return name

    def error(self, text: str) -> MienError:
        """A MienError that begins with the reader's name."""
        return MienError(printable(f"{self.name}: {text}"))

    def note(self, text: str) -> None:
        """Adds to `notes` what is not there yet."""
        text = printable(f"{self.name}: {text}")
        if text not in self.notes:
            self.notes.append(text)

    def need(self, path: Path, *, way_out: str) -> Path:
        """`path` itself. Raises MienError with the way out, and what the root looks like, when it is not there."""
        from mien.data.readers.recognise import hint

        if path.exists():
            return path
        if not self.root.exists():
            raise self.error(f"no folder {self.root}. {way_out}")
        raise self.error(
            f"no {path.name} under {path.parent}. {way_out}{hint(self.root, wanted=self.name)} See docs/data.md."
        )

    def first_of(self, places: Iterable[Path], *, way_out: str) -> Path:
        """The first of these that is there. Raises MienError as `need` of the first where none is."""
        places = list(places)
        return next((place for place in places if place.exists()), None) or self.need(places[0], way_out=way_out)

    def choose(self, option: str, given: object, known: Iterable[object]) -> None:
        """Raises MienError when the value of an option is none of the known ones."""
        known = list(known)
        if given not in known:
            raise self.error(f"{option} must be one of {', '.join(map(str, known))}; got {given!r}.")

    def key_of(self, path: Path) -> str:
        """The path below the root, with `/`."""
        return path.relative_to(self.root).as_posix()

    def lines(self, path: Path) -> list[str]:
        """Lines of a text file that are not empty, without a byte order mark. Raises MienError when it is not UTF-8."""
        if (size := path.stat().st_size) > TEXT_BYTES:
            raise self.error(f"{path}: a list of {size:,} bytes; {TEXT_BYTES:,} are the most.")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise self.error(f"{path} is not UTF-8 text (byte {error.start}). Save it as UTF-8.") from error
        return [line for line in text.splitlines() if line.strip()]

    def rows(self, path: Path, *, needed: Sequence[str] = (), blanks: bool = False) -> list[dict[str, str]]:
        """Rows of a CSV table by the names in its first line. blanks: they may stand after commas.

        Raises MienError as `lines`, for a missing or doubled column, and for rows of another length.
        """
        try:
            header, *rows = list(csv.reader(self.lines(path), skipinitialspace=blanks)) or [[]]
        except csv.Error as error:
            raise self.error(f"{path} is no CSV table ({error}).") from error
        self.check_header(path, header)
        for column in needed:
            need_column(self, column, header, where=path)
        for number, row in enumerate(rows, 2):
            if len(row) != len(header):
                raise self.error(f"{path}, row {number}: {len(row)} fields where the header has {len(header)}.")
        return [dict(zip(header, row, strict=True)) for row in rows]

    def check_header(self, path: Path, header: Sequence[str]) -> None:
        """Raises MienError for two columns of one name, and for more columns than are read."""
        if len(header) > COLUMNS:
            raise self.error(f"{path} has {len(header):,} columns; {COLUMNS:,} are the most.")
        if doubled := [name for name, times in Counter(header).items() if times > 1]:
            raise self.error(f"{path} has the column {doubled[0]!r} twice. Rename or delete one of them.")

    def label_set_of(self, words: Iterable[str], where: Path) -> LabelSet:
        """The words in order, as classes; spellings of one class (case, Unicode form, synonyms) are one, with a note.

        Raises MienError where there are too many to be classes.
        """
        spellings: dict[str, list[str]] = {}
        for word in sorted(set(words)):
            spellings.setdefault(meaning(word), []).append(word)
        for known, same in spellings.items():
            if len(same) > 1:
                written = ", ".join(map(repr, same))
                self.note(f"{written} are spellings of one class, {known!r}.")
        names = tuple(sorted(known if len(same) > 1 else spelled(same[0]) for known, same in spellings.items()))
        if len(names) > CLASSES:
            raise self.error(f"{where}: {len(names):,} different classes; {CLASSES:,} are the most. Are they names?")
        return LabelSet(self.name, names)

    def on_disk(
        self, listed: Sequence[str], listing: Listing, *, listed_in: Path, what: str = "pictures"
    ) -> list[str | None]:
        """Each listed path (below `listing.top`) as it lies on disk, None for a missing one that is to be skipped.

        Raises MienError that counts the missing pictures and names the first, unless `missing` is "skip".
        """
        found = [listing.find(path) for path in listed]
        missing = [Path(listing.top, path) for path, there in zip(listed, found, strict=True) if there is None]
        self.refuse_missing(missing, listed_in=listed_in, total=len(listed), what=what)
        return found

    def refuse_missing(self, missing: Sequence[Path], *, listed_in: Path, total: int, what: str = "pictures") -> None:
        """Raises MienError that counts the missing pictures and names the first; with `missing: skip` it is a note."""
        if not missing:
            return
        count = f"{len(missing):,} of {total:,} {what} listed in {listed_in} are missing, first {missing[0]}."
        if self.missing == "skip" and len(missing) < total:
            self.note(f"{count} They are left out.")
            self.absent.extend(missing)
        else:
            raise self.error(f"{count} Copy the set again, take their lines out, or say --data.reader.missing skip.")

    def pictures_below(self, folder: Path) -> list[Path]:
        """Sorted pictures in a folder and the folders below it; `samples` notes pictures of unreadable kinds there."""
        pictures: list[Path] = []
        for parent, names in walk(folder):
            pictures += (Path(parent, name) for name in names if is_picture(name))
            self._unreadable.update(Path(parent, name) for name in names if is_unreadable_picture(name))
        return sorted(pictures)

    def _note_unreadable(self) -> None:
        if self._unreadable:
            self.note(self._unreadable_text().strip())

    def _unreadable_text(self) -> str:
        if not self._unreadable:
            return ""
        kinds = Counter(path.suffix.lower() for path in self._unreadable)
        counts = ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items()))
        return (
            f" {len(self._unreadable):,} pictures are of kinds that are not read ({counts}), first "
            f"{min(self._unreadable)}. Export them as JPEG or PNG."
        )

    def _refuse_endless_boxes(self, samples: Sequence[Sample]) -> None:
        """Raises MienError for a box with an edge that is no number or lies beyond EDGE."""
        boxed = [sample for sample in samples if sample.box is not None]
        edges = np.array([sample.box for sample in boxed], float).reshape(-1, 4)
        if not (within := edges_are_within(edges)).all():
            first = boxed[int(np.argmin(within))]
            raise self.error(f"{first.key}: {ENDLESS_BOX}; got {first.box}.")

    def class_of(self, folder: Path) -> int:
        """Index of the class that a folder is named for. Raises MienError for a name that is no class."""
        assert self.labels is not None
        try:
            return self.labels.index(folder.name)
        except MienError as error:
            raise self.error(f"folder {folder}: {error}") from error

    def note_other_names(self, others: Sequence[Path]) -> None:
        """Notes pictures whose names are not the set's own."""
        if others:
            self.note(f"{len(others)} pictures do not have the set's names and are left out, first {others[0]}.")

    def note_unlisted(self, listing: Listing, found: Iterable[str | None], *, listed_in: Path) -> None:
        """Notes how many pictures lie in the listed folders without a label, and the first."""
        rest = listing.pictures_beside(path for path in found if path is not None)
        if rest:
            first = Path(listing.top, rest[0])
            self.note(f"{len(rest):,} pictures have no label in {listed_in} and are not read, first {first}.")


@contextmanager
def _no_collection() -> Iterator[None]:
    """No search for cyclic garbage meanwhile: it would walk through all the records again and again."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _with_printable_keys(samples: list[Sample]) -> list[Sample]:
    if all(map(str.isascii, map(attrgetter("key"), samples))):
        return samples
    keys = [printable(sample.key) for sample in samples]
    return [s if s.key == key else replace(s, key=key) for s, key in zip(samples, keys, strict=True)]


def edges_are_within(boxes: Float[np.ndarray, "boxes 4"]) -> Bool[np.ndarray, " boxes"]:
    """Whether all edges of each box are finite and within EDGE."""
    return (np.abs(boxes) <= EDGE).all(-1)


def need_column(reader: Reader, wanted: str, columns: Iterable[str], *, where: Path) -> None:
    """Raises MienError that names the nearest column when `wanted` is not among them."""
    columns = list(columns)
    if wanted not in columns:
        raise reader.error(f"{where} has no column {wanted!r}.{nearest(wanted, columns)}")


__all__ = [
    "PICTURE_SUFFIXES",
    "SPLIT_NAMES",
    "Listing",
    "Reader",
    "file_names",
    "folder_names",
    "is_picture",
    "need_column",
    "printable",
]


@contextmanager
def one_line(name: str, root: Path) -> Iterator[None]:
    """What reading a foreign data set raises unforeseen, as one line; `MIEN_DEBUG=1` lets it through."""
    try:
        yield
    except (MienError, OSError, ImportError):
        raise
    except Exception as error:
        if os.environ.get("MIEN_DEBUG"):
            raise
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise MienError(f"{name}: {root} is damaged, or not laid out as expected ({reason}).") from error
