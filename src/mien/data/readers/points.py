"""Points on disk: `.pts` files, and points that stay in their file until they are asked for.

`.pts`: 68 points as text, 1-based (the first pixel's centre is 1, 1). Sagonas et al., 300-W, 2013.
"""

from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.records import Box


def read_pts(path: Path) -> Float[np.ndarray, "points 2"]:
    """float32 [points, 2] with pixel centres at whole numbers from 0. Raises MienError for another format."""
    try:
        head, _, rest = path.read_text(encoding="utf-8-sig").partition("{")
        body, closed, _ = rest.partition("}")
        points = np.array(body.split(), np.float32).reshape(-1, 2) - 1
        declared = int(head.split("n_points:")[1].split()[0])
    except (OSError, ValueError, IndexError) as error:
        raise MienError(f"{path}: not a .pts file (version, n_points, then x y lines in braces).") from error
    if not closed or len(points) != declared:
        raise MienError(f"{path}: n_points says {declared}, but {len(points)} points stand in braces.")
    return points


def write_pts(path: Path, landmarks_px: Float[np.ndarray, "points 2"]) -> None:
    """The genuine text format, 1-based, six decimals."""
    rows = "\n".join(f"{x + 1:.6f} {y + 1:.6f}" for x, y in landmarks_px)
    Path(path).write_text(f"version: 1\nn_points:  {len(landmarks_px)}\n{{\n{rows}\n}}\n", encoding="utf-8")


def box_of(landmarks_px: Float[np.ndarray, "points 2"]) -> Box:
    """The upright rectangle around the points, in edge coordinates (half a pixel beyond pixel centres)."""
    (x0, y0), (x1, y1) = landmarks_px.min(0) + 0.5, landmarks_px.max(0) + 0.5
    return float(x0), float(y0), float(x1), float(y1)


class PointsInFile:
    """Points that stand in a file and are read when they are asked for: `numpy.asarray` gives float32 [points, 2].

    It has an array's attributes and items too. A list of 300,000 faces with 68 points each would else take 200 MB and
    seconds to parse, for points that most runs never look at. offset, length: the bytes of `x;y;x;y...` in the file;
    without them the file is a `.npy` of x, y, x, y, ... Reading raises MienError for anything else.
    """

    __slots__ = ("length", "offset", "path")

    def __init__(self, path: str, offset: int = 0, length: int = 0) -> None:
        self.path, self.offset, self.length = path, offset, length

    def read(self) -> Float[np.ndarray, "points 2"]:
        """The points as they stand in the file now."""
        try:
            values = self._text() if self.length else np.load(self.path, allow_pickle=False)
            return np.asarray(values, np.float32).reshape(-1, 2)
        except (OSError, ValueError, EOFError) as error:
            where = f" at byte {self.offset}" if self.length else ""
            raise MienError(f"{self.path}{where}: no landmarks (x and y of each point, as numbers).") from error

    def _text(self) -> list[str]:
        with open(self.path, "rb") as file:  # noqa: PTH123 (the path is kept as text: half the memory)
            file.seek(self.offset)
            return file.read(self.length).decode("ascii").strip("; ").split(";")

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        points = self.read()
        return points if dtype is None else points.astype(dtype)

    def __getitem__(self, item: Any) -> Any:
        return self.read()[item]

    def __len__(self) -> int:
        return len(self.read())

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in self.__slots__:
            raise AttributeError(name)
        return getattr(self.read(), name)
