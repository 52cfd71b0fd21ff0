"""Which data set a folder looks like: said when a reader does not find its files."""

import os
from importlib import import_module
from pathlib import Path

_FOLDERS_LOOKED_INTO = 50


def looks_like(root: Path) -> list[str]:
    """Names of the readers whose `signs` the folder shows; empty for none, and for what is no folder."""
    from mien.data.readers import READERS

    found = []
    for name, target in READERS.items():
        module, attribute = target.split(":")
        if any(_matches(Path(root), sign) for sign in getattr(import_module(module), attribute).signs):
            found.append(name)
    return found


def hint(root: Path, *, wanted: str) -> str:
    """What to say of the folder in an error of the reader `wanted`: what it looks like, or where the set does lie.

    Empty, or one or two sentences that begin with a space.
    """
    here = looks_like(root)
    if here and wanted not in here:
        return f" {root} looks like {here[0]}: say --data.name {here[0]}."
    for folder in _near(root):
        if wanted in looks_like(folder):
            return f" {folder} looks like {wanted}: name that folder."
    return ""


def _near(root: Path) -> list[Path]:
    """The folders in the root, and the one that it lies in."""
    from mien.data.readers.listing import folder_names

    try:
        return [root / name for name in folder_names(root)[:_FOLDERS_LOOKED_INTO]] + [root.absolute().parent]
    except OSError:
        return []


def _matches(root: Path, sign: str) -> bool:
    try:
        return (
            os.path.lexists(root / sign) if "*" not in sign and "[" not in sign else any(True for _ in root.glob(sign))
        )
    except OSError:
        return False
