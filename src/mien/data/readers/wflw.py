"""WFLW: 10,000 faces of WIDER FACE with 98 points and six attributes. Wu et al., CVPR 2018.

A line is 196 numbers, the box x0 y0 x1 y1, pose expression illumination make-up occlusion blur (0 or 1), the picture.
The layout is that of the release's read-me as public code reads it; coordinates are taken as from 0. No depth; which
points are hidden is not said (`occlusion` is of the face).
"""

from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from mien.core.landmarks import to_68
from mien.core.records import Box, Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.stores import Store

_ATTRIBUTES = ("largepose", "expression", "illumination", "makeup", "occlusion", "blur")
_LISTS = "WFLW_annotations/list_98pt_rect_attr_train_test"
_WAY_OUT = f"Expected {_LISTS}/list_98pt_rect_attr_train.txt (and _test.txt) with WFLW_images."


class _Line(NamedTuple):
    picture: str
    points: np.ndarray
    box: Box
    attributes: tuple[bool, ...]


class Wflw(LandmarkSet):
    """`WFLW_annotations` and `WFLW_images`: train, test (7,500 and 2,500), and the six parts of test by attribute.

    box: the rectangle around the "points", or the set's own "rect". points: 98, or the 68 of them that iBUG has. A
    picture may have several faces: keys are `PICTURE#LINE`, the place among the lines of its list.
    """

    name = "wflw"
    signs = ("WFLW_images", "WFLW_annotations", "list_98pt_rect_attr_*.txt")
    count = 98
    aliases = MappingProxyType({"full": "test", "pose": "largepose"})

    def __init__(self, root: Path, *, box: str = "points", points: int = 98) -> None:
        super().__init__(root)
        self.choose("box", box, ("points", "rect"))
        self.choose("points", str(points), ("98", "68"))
        self.box, self.wanted = box, points
        tops = (_LISTS, "list_98pt_rect_attr_train_test", "")
        self._lists = {
            split: path
            for split in ("train", "test")
            for path in (self.root / top / f"list_98pt_rect_attr_{split}.txt" for top in reversed(tops))
            if path.is_file()
        }
        if not self._lists:
            self.need(self.root / _LISTS / "list_98pt_rect_attr_train.txt", way_out=_WAY_OUT)
        self.splits = (*self._lists, *(_ATTRIBUTES if "test" in self._lists else ()))

    def _read(self, split: str) -> list[Sample]:
        part = None if split in self._lists else _ATTRIBUTES.index(split)
        path = self._lists[split if part is None else "test"]
        lines = [(number, self._line(text, path, number)) for number, text in enumerate(self.lines(path), 1)]
        lines = [(number, line) for number, line in lines if part is None or line.attributes[part]]
        store = Store(self, folders=("WFLW_images", ""))
        found = store.find_all([line.picture for _, line in lines], listed_in=path)
        return [
            self.face(
                f"{place.key}#{number}", place.path, split, line.points, box=line.box if self.box == "rect" else None
            )
            for (number, line), place in zip(lines, found, strict=True)
            if place is not None
        ]

    def _line(self, text: str, path: Path, number: int) -> _Line:
        cells = text.split(maxsplit=206)
        where = f"{path}, line {number}"
        try:
            values = np.array(cells[:206], np.float32)
        except ValueError:
            values = np.zeros(0, np.float32)
        if len(cells) != 207 or len(values) != 206 or not np.isin(values[200:], (0, 1)).all():
            raise self.error(f"{where}: expected 196 coordinates, x0 y0 x1 y1, six attributes (0 or 1), a picture.")
        x0, y0, x1, y1 = values[196:200].tolist()
        points = self.points(values[:196].reshape(98, 2), where)
        points = points if self.wanted == 98 else to_68(points)
        return _Line(cells[206].strip(), points, (x0, y0, x1, y1), tuple((values[200:] == 1).tolist()))
