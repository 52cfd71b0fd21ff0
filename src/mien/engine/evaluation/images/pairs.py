"""Rebuilt pictures and the true ones, paired by the file's name without its ending."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.core.errors import MienError
from mien.media.listing import picture_files

SOME = 3  # names in a message


@dataclass(frozen=True)
class Pair:
    """Two files of one name."""

    stem: str
    """Of both."""
    rebuilt: Path
    """The picture that is measured."""
    truth: Path
    """What it should be."""


def paired(rebuilt: str, truth: str) -> list[Pair]:
    """Every rebuilt picture with its true one, sorted by name.

    True pictures that nobody rebuilt count too: a failure must not raise a mean. Raises MienError where a picture of
    either folder has no partner, and where two files of a folder have one name.
    """
    ours, theirs = (_by_stem(folder) for folder in (rebuilt, truth))
    for missing, where in ((ours.keys() - theirs.keys(), truth), (theirs.keys() - ours.keys(), rebuilt)):
        if missing:
            raise MienError(
                f"{len(missing)} of {len(ours | theirs)} names have no picture in {where}: "
                f"{some_names(sorted(missing))}. Pictures are paired by name without the ending; take out what is not "
                "to be measured."
            )
    return [Pair(stem, ours[stem], theirs[stem]) for stem in sorted(ours)]


def _by_stem(folder: str) -> dict[str, Path]:
    if not Path(folder).expanduser().is_dir():
        raise MienError(f"{folder} is not a folder of pictures.")
    found: dict[str, Path] = {}
    for path in picture_files([Path(folder).expanduser()]):
        if path.stem in found:
            raise MienError(f"{folder}: {found[path.stem].name} and {path.name} have one name; keep one of them.")
        found[path.stem] = path
    return found


def some_names(stems: Sequence[str]) -> str:
    """The first of them."""
    return ", ".join(stems[:SOME]) + (", ..." if len(stems) > SOME else "")
