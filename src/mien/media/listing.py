"""Which pictures, videos and sounds files, folders and patterns mean; which kinds are read.

By extension, except for what is named outright.
"""

import difflib
import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from mien.core.errors import MienError
from mien.media.files import home_expanded, is_own_folder

PICTURES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".jp2",
    ".ppm", ".pgm", ".pbm", ".pnm", ".avif",
)  # fmt: skip
# Kinds of pictures and videos that are not read: counted, so that none is left out in silence.
UNREAD_KINDS = (
    ".heic", ".heif", ".hif", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".dng", ".raf", ".orf",
    ".rw2", ".pef", ".srw", ".x3f", ".3fr", ".erf", ".kdc", ".mrw", ".raw", ".jxl", ".jxr", ".psd", ".tga", ".exr",
    ".hdr", ".ico", ".svg", ".rm", ".rmvb", ".insv", ".lrv",
)  # fmt: skip
VIDEOS = (
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp", ".mts", ".m2ts", ".m2v",
    ".vob", ".ogv", ".mxf", ".asf", ".divx", ".y4m",
)  # fmt: skip
SOUNDS = (
    ".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".amr", ".aif", ".aiff", ".aifc", ".au",
    ".caf", ".w64",
)  # fmt: skip
_TRANSPORT_STREAM, _PACKET = b"G", 188  # what each packet of a .ts begins with; the name is TypeScript's too


def is_video(path: Path | str) -> bool:
    """By its extension, in any case; a .ts by its content."""
    return Path(path).suffix.lower() in VIDEOS or _is_transport_stream(Path(path))


def is_sound(path: Path | str) -> bool:
    """By its extension, in any case."""
    return Path(path).suffix.lower() in SOUNDS


def _is_transport_stream(path: Path) -> bool:
    if path.suffix.lower() != ".ts" or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            start = file.read(2 * _PACKET + 1)
    except OSError:
        return False
    return start[::_PACKET] == 3 * _TRANSPORT_STREAM


def picture_files(
    inputs: Path | str | Sequence[Path | str], *, videos: bool = False, sounds: bool = False
) -> list[Path]:
    """The pictures (and videos and sounds) meant by files, folders and glob patterns: sorted, each file once.

    A file named outright is taken whatever its extension; folders are searched to the bottom, also through links, and
    they and patterns give files with a known extension that do not begin with a dot. Raises MienError for an input
    that gives nothing.
    """
    inputs = [inputs] if isinstance(inputs, str | os.PathLike) else inputs
    if not inputs:
        raise MienError("No input: name pictures, folders or patterns such as 'photos/*.jpg'.")
    extensions = PICTURES + (VIDEOS if videos else ()) + (SOUNDS if sounds else ())
    found: dict[str, Path] = {}
    for item in inputs:
        path = home_expanded(item)
        matches = sorted(_matches(path, extensions))
        if not matches:
            raise MienError(_nothing(path, extensions))
        for match in matches:
            found.setdefault(os.path.realpath(match), match)
    return sorted(found.values())


def left_out(inputs: Sequence[Path | str]) -> dict[str, int]:
    """How many pictures and videos of kinds that are not read the folders and patterns among the inputs hold.

    By extension, the most frequent first.
    """
    found: dict[str, str] = {}
    for item in inputs:
        path = home_expanded(item)
        if path.is_dir() or not os.path.lexists(path):
            found |= {os.path.realpath(each): each.suffix.lower() for each in _matches(path, UNREAD_KINDS)}
    return dict(Counter(found.values()).most_common())


def _matches(item: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    if item.is_dir():
        yield from _walk(item, extensions)
    elif os.path.lexists(item):  # also a link to nothing or to itself, which becomes a row that says so
        yield item
    else:
        for name in glob.glob(str(item), recursive=True):  # noqa: PTH207 (Path.glob wants relative patterns)
            if Path(name).is_dir():
                yield from _walk(Path(name), extensions)
            elif _wanted(Path(name), extensions):
                yield Path(name)


def _walk(folder: Path, extensions: tuple[str, ...]) -> Iterator[Path]:
    """Files below a folder; a folder reached twice, as through a link to its parent, is entered once.

    A folder that cannot be listed is given itself: reading it gives the reason.
    """
    entered: set[str] = set()
    refused: list[Path] = []
    for where, folders, names in os.walk(folder, followlinks=True, onerror=lambda e: refused.append(Path(e.filename))):
        entered.add(os.path.realpath(where))
        folders[:] = [
            name
            for name in sorted(folders)
            if is_own_folder(name) and os.path.realpath(Path(where, name)) not in entered
        ]
        yield from (Path(where, name) for name in names if _wanted(Path(where, name), extensions))
    yield from refused


def _wanted(path: Path, extensions: tuple[str, ...]) -> bool:
    known = path.suffix.lower() in extensions or (".mp4" in extensions and _is_transport_stream(path))
    return known and not path.name.startswith(".")


def _nothing(item: Path, extensions: tuple[str, ...]) -> str:
    more = [name for name, some in (("videos", VIDEOS), ("sounds", SOUNDS)) if some[0] in extensions]
    kinds = " or ".join(filter(None, [", ".join(["pictures", *more[:-1]]), *more[-1:]]))
    if item.is_dir():
        return f"{item}: no {kinds} in this folder or below it. Known: {' '.join(extensions)}."
    if glob.has_magic(str(item)):
        return f"{item}: the pattern matches no {kinds}."
    if not item.parent.is_dir():
        return f"{item}: no such file or folder."
    close = difflib.get_close_matches(item.name, [path.name for path in item.parent.iterdir()], n=1)
    return f"{item}: no such file or folder.{f' Did you mean {close[0]!r}?' if close else ''}"
