"""codes/NAME.npz: what stands for one face, which bundle made it, and the face itself; and the layers of a code."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.media.files import atomic_path
from mien.nn.files import numpy_files

CODES, STRUCTURE, FEATURES = "codes", "structure", "features"
PARTS = (CODES, STRUCTURE, FEATURES)
SCALES = {"coarse": (0, 3), "middle": (3, 7), "fine": (7, 1000)}  # of pSp (Richardson et al. 2021): 16, 32, 64 pixels


@dataclass(frozen=True, eq=False)
class FaceCodes:
    """One face."""

    name: str
    """Of its files."""
    parts: dict[str, np.ndarray]
    """codes [styles, width]; structure [channels, 4, 4] and features [channels, side, side] where there are any."""
    bundle: str
    """Model id of what made them."""
    matrix: np.ndarray
    """[2, 3]: pixels of the aligned face to those of the photo."""
    face: np.ndarray | None = None
    """uint8 [side, side, 3], the aligned face; None in files of an earlier version."""

    @property
    def codes(self) -> np.ndarray:
        """[styles, width]"""
        return self.parts[CODES]

    def write(self, path: Path) -> None:
        about: dict[str, object] = {"bundle": self.bundle, "matrix": self.matrix}
        if self.face is not None:
            about["face"] = self.face
        with atomic_path(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **self.parts, **about)  # type: ignore[arg-type]


def read_codes(path: Path) -> FaceCodes:
    """Raises MienError for what `mien invert` did not write."""
    content = read_npz(path, needed=(CODES, "bundle"), what="codes of a face, which mien invert writes")
    if content[CODES].ndim != 2 or not np.isfinite(content[CODES]).all():
        raise MienError(f"{path}: codes must be finite numbers [styles, width]; got {content[CODES].shape}.")
    parts = {name: content[name].astype(np.float32) for name in PARTS if name in content}
    matrix = content.get("matrix", np.eye(2, 3))
    return FaceCodes(path.stem, parts, str(content["bundle"]), matrix, content.get("face"))


def read_npz(path: Path, *, needed: Sequence[str], what: str) -> Mapping[str, np.ndarray]:
    """The arrays of a file that holds no pickled objects. Raises MienError for another file, with what it should be."""
    if not path.is_file():
        raise MienError(f"{path}: no such file. Expected {what}.")
    try:
        content = numpy_files.read_npz(path)
    except MienError as error:
        raise MienError(f"{error} Expected {what}.") from error
    if missing := [name for name in needed if name not in content]:
        raise MienError(f"{path} has no {' and no '.join(missing)}. Expected {what}.")
    return content


def code_files(inputs: Sequence[str]) -> list[Path]:
    """Files of codes, and all that lie in a folder or in its folder `codes`.

    Raises MienError where there are none, and for two of one name, since what is made of them has that name.
    """
    found: list[Path] = []
    for item in inputs:
        path = Path(item).expanduser()
        if path.is_dir():
            inside = sorted((path / CODES if (path / CODES).is_dir() else path).glob("*.npz"))
            if not inside:
                raise MienError(f"{item}: no codes (.npz) lie in this folder. mien invert writes them.")
            found += inside
        elif path.suffix == ".npz":
            found.append(path)
        else:
            raise MienError(f"{item} is no file of codes (.npz): invert the photo first (mien invert), then name them.")
    names = [path.stem for path in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise MienError(f"Two files of codes are called {twice}.npz: rename one, or edit them one after the other.")
    return found


def layers_of(text: str, styles: int) -> list[int]:
    """`4-7`, `0,2`, `coarse` (0-2), `middle` (3-6), `fine` (7 and on), `all`, and several by commas; sorted.

    Raises MienError for another word, and for a layer that codes of so many layers do not have.
    """
    found: set[int] = set()
    for item in (part.strip() for part in text.split(",")):
        if item == "all":
            found |= set(range(styles))
        elif item in SCALES:
            found |= set(range(styles)) & set(range(*SCALES[item]))
        elif named := re.fullmatch(r"(\d{1,4})(?:-(\d{1,4}))?", item):
            first, last = int(named[1]), int(named[2] or named[1])
            if first > last or last >= styles:
                raise MienError(f"Layers lie in 0..{styles - 1}, from the lower to the higher; got {item}.")
            found |= set(range(first, last + 1))
        else:
            raise MienError(
                f"Layers are numbers and ranges such as 0-3,5 or coarse, middle, fine and all; got {item or 'nothing'}."
            )
    return sorted(found)
