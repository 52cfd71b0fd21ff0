"""Which data set a folder looks like: said when a reader does not find its files."""

import os
from pathlib import Path

from mien.core.errors import MienError
from mien.core.extras import imported
from mien.data.readers.listing import folder_names

_FOLDERS_LOOKED_INTO = 50


def looks_like(root: Path) -> list[str]:
    """Names of the readers whose `signs` the folder shows; empty for none, and for what is no folder."""
    from mien.data.readers import READERS

    return [name for name in READERS if _shows(Path(root), name)]


def named_set(name: str, root: str) -> tuple[str, str]:
    """(reader, folder) of a data set that is named by its reader and folder, or by its folder or table alone.

    A folder whose layout is not recognised is taken for one folder a class. Raises MienError without a folder.
    """
    from mien.data.readers import READERS

    if root:
        return name, root
    if name not in READERS and Path(name).is_file():
        return "manifest", name
    if name in READERS or not Path(name).is_dir():
        known = f"--root DIR of {name}" if name in READERS else f"{name} is no folder, no table and no reader; name one"
        raise MienError(f"Name the folder of the data set: {known}. `mien data list` prints the readers.")
    return next(iter(looks_like(Path(name))), "image_folder"), name


def hint(root: Path, *, wanted: str) -> str:
    """What to say of the folder in an error of the reader `wanted`: what it looks like, or where the set does lie.

    Empty, or a sentence that begins with a space.
    """
    here = looks_like(root)
    if here and wanted not in here:
        return f" {root} looks like {' or '.join(here)}: say --data.name {here[0]}."
    near = next((folder for folder in _near(root) if _shows(folder, wanted)), None)
    return f" {near} looks like {wanted}: name that folder." if near and not here else ""


def _shows(root: Path, name: str) -> bool:
    from mien.data.readers import READERS

    return any(_matches(root, sign) for sign in imported(READERS[name]).signs)


def _near(root: Path) -> list[Path]:
    """The folders in the root, and the one that it lies in."""
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
