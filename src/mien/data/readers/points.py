"""Points that stay in their file until they are asked for."""

from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError


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
        except Exception as error:  # NumPy raises nearly anything on damaged files
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
