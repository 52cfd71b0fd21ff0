"""Where the pictures of a list lie: in folders below the root, or inside `.tar` files that are not unpacked."""

import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mien.core.errors import MienError
from mien.data.readers.listing import Listing, is_picture
from mien.data.readers.reader import Reader
from mien.media.parts import read_bytes


class Place(NamedTuple):
    """Where a picture lies."""

    key: str
    """Below the root, with `/`."""
    path: Path
    span: tuple[int, int] | None = None
    """Bytes (offset, length) of the picture inside `path`; None for a file of its own."""

    def read(self) -> bytes:
        """The content."""
        return read_bytes(self.path, self.span)


def members(path: Path) -> Iterator[tuple[str, Place]]:
    """(name inside, place) of every file in a tar. Raises MienError for a damaged or packed (`.tar.gz`) one."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.isreg() and not member.issparse():
                    name = member.name.removeprefix("./")
                    yield name, Place(f"{path.name}/{name}", path, (member.offset_data, member.size))
    except (tarfile.TarError, OSError, EOFError) as error:
        raise MienError(f"{path}: not a plain .tar file ({error}). Unpack it, or make it anew without gzip.") from error


class Store:
    """The pictures below the root of a reader, and in its tar files.

    A tar's record is called by its path inside, or, as ParFace's lists do, by that path with dots for slashes and
    without `.element.ext` (`rgb.png`); where there are several tars, after the tar's own name and a slash.
    """

    def __init__(self, reader: Reader, *, tars: Sequence[Path] = (), folders: Sequence[str] = ("",)) -> None:
        self._reader, self._folders, self._listing = reader, folders, Listing(reader.root)
        self._inside: dict[str, Place] = {}
        self.unnamed: dict[str, Place] = {}
        for tar in tars:
            for name, place in members(tar):
                if is_picture(name):
                    self.unnamed[place.key] = place
                    short = _record(name)
                    for spelling in (name, short, f"{tar.stem}/{name}", f"{tar.stem}/{short}"):
                        self._inside.setdefault(spelling, place)

    def find(self, name: str, *, parts: int = 0) -> Place | None:
        """The picture that a list calls `name`; with `parts`, only so many last parts of its path count."""
        name = name.replace("\\", "/").removeprefix("./").lstrip("/")
        name = "/".join(name.split("/")[-parts:]) if parts else name
        for folder in self._folders:
            path = f"{folder}/{name}" if folder else name
            found = self._listing.find(path)
            if found is not None and is_picture(found):
                return Place(path, Path(self._listing.top, found))
        top, _, rest = name.partition("/")
        spellings = (name, _record(name), _bare(name), f"{top}/{_record(rest)}", f"{top}/{_bare(rest)}")
        return next((self._inside[spelling] for spelling in spellings if spelling in self._inside), None)

    def find_all(self, names: Sequence[str], *, listed_in: Path, parts: int = 0) -> list[Place | None]:
        """Of each name. Raises the reader's error for missing ones, unless they are to be skipped."""
        found = [self.find(name, parts=parts) for name in names]
        missing = [Path(self._listing.top, name) for name, place in zip(names, found, strict=True) if place is None]
        self._reader.refuse_missing(missing, listed_in=listed_in, total=len(names))
        return found


def tars_in(root: Path) -> list[Path]:
    """The tar files of a folder, sorted."""
    return sorted(path for path in root.glob("*.tar") if path.is_file())


def _record(name: str) -> str:
    """`dir/sub/name.element.ext` → `dir.sub.name`."""
    return _bare(_stem(name))


def _bare(name: str) -> str:
    return _stem(name).replace("/", ".")


def _stem(name: str) -> str:
    head, _, last = name.rpartition("/")
    stem = last.rpartition(".")[0] or last
    return f"{head}/{stem}" if head else stem
