"""AFLW (Koestinger et al., ICCV workshops 2011) with 19 points (Zhu, Li, Loy, Tang, CVPR 2016), or with its own 21.

`AFLWinfo_release.mat`: `data` (faces x 38: 19 x, then 19 y), `mask_new` (1 where a point is visible), `bbox` (x0, x1,
y0, y1), `nameList`, `ra` (an order of the faces, from 1, whose first 20,000 are train). `aflw.sqlite` (tables Faces,
FaceImages, FeatureCoords) has up to 21 points, the visible ones; faces of which a point is missing are left out. Known
from public code only, which takes the coordinates as they are; so they are taken as from 0. No depth.
"""

import sqlite3
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mien.core.records import Box, Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.matlab import read_mat
from mien.data.readers.stores import Store

_TRAIN = 20_000
_OPTIONS = {"19": 19, "21": 21}
_FOLDERS = ("data/flickr", "flickr", "images", "")
_SQL = (
    "SELECT FaceImages.filepath, Faces.face_id, feature_id, FeatureCoords.x, FeatureCoords.y FROM Faces "
    "JOIN FaceImages ON FaceImages.file_id = Faces.file_id JOIN FeatureCoords ON FeatureCoords.face_id = Faces.face_id"
)


class Aflw(LandmarkSet):
    """`AFLWinfo_release.mat` and `data/flickr/{0,2,3}/*.jpg`: train (20,000), test (4,386), frontal.

    frontal is the part of test with all 19 points visible. points: 19; 21 reads `aflw.sqlite` (one split "all"), those
    faces of it that have all 21. box: the rectangle around the "points" or the list's own "rect". A picture may have
    several faces: keys are `PICTURE#FACE`, its number in the list from 1 (in the database its id).
    """

    name = "aflw"
    signs = ("AFLWinfo_release.mat", "aflw.sqlite", "data/aflw.sqlite")
    count = 19
    aliases = MappingProxyType({"full": "test"})

    def __init__(self, root: Path, *, points: int = 19, box: str = "points") -> None:
        super().__init__(root)
        self.choose("points", str(points), tuple(_OPTIONS))
        self.choose("box", box, ("points", "rect"))
        self.size, self.box = points, box
        names = ("AFLWinfo_release.mat",) if points == 19 else ("aflw.sqlite", "data/aflw.sqlite")
        way_out = f"Expected {names[0]} beside data/flickr; aflw.pkl is never read (a pickle can run code)."
        self.file = self.first_of((self.root / name for name in names), way_out=way_out)
        self.splits = ("train", "test", "frontal") if points == 19 else ("all",)

    def _read(self, split: str) -> list[Sample]:
        return self._of_19(split) if self.size == 19 else self._of_21(split)

    def _of_19(self, split: str) -> list[Sample]:
        values = read_mat(self.file, "data", "mask_new", "bbox", "nameList", "ra")
        names, order = values["nameList"], np.asarray(values["ra"]).ravel().astype(int) - 1
        self._refuse_unlike(values, order)
        # The release has 24,386 faces; of a smaller list the same share is train.
        cut = _TRAIN if len(order) > _TRAIN else round(len(order) * _TRAIN / 24_386)
        wanted = order[:cut] if split == "train" else order[cut:]
        mask = np.asarray(values["mask_new"]) == 1
        if split == "frontal":
            wanted = wanted[mask[wanted].all(1)]
        found = Store(self, folders=_FOLDERS).find_all([names[i].strip() for i in wanted], listed_in=self.file)
        points = np.asarray(values["data"], np.float32).reshape(-1, 2, 19).transpose(0, 2, 1)
        return [
            self.face(
                f"{place.key}#{i + 1}", place.path, split, self.points(points[i], f"{self.file}, face {i + 1}"),
                box=_box(values["bbox"][i]) if self.box == "rect" else None, visible=mask[i],
            )
            for i, place in zip(wanted.tolist(), found, strict=True)
            if place is not None
        ]  # fmt: skip

    def _refuse_unlike(self, values: dict[str, Any], order: np.ndarray) -> None:
        count = len(values["nameList"])
        shapes = {"data": (count, 38), "mask_new": (count, 19), "bbox": (count, 4)}
        for name, shape in shapes.items():
            if np.shape(values[name]) != shape:
                raise self.error(f"{self.file}: {name} should be {shape}; it is {np.shape(values[name])}.")
        if sorted(order.tolist()) != list(range(count)):
            raise self.error(f"{self.file}: ra should name each of the {count:,} faces once.")

    def _of_21(self, split: str) -> list[Sample]:
        faces: dict[tuple[str, int], dict[int, tuple[float, float]]] = {}
        try:
            with sqlite3.connect(f"{self.file.absolute().as_uri()}?mode=ro", uri=True) as database:
                for picture, face, feature, x, y in database.execute(_SQL):
                    faces.setdefault((str(picture), int(face)), {})[int(feature)] = (float(x), float(y))
        except (sqlite3.Error, TypeError, ValueError) as error:
            raise self.error(f"{self.file} is not AFLW's database ({error}).") from error
        whole = {face: places for face, places in faces.items() if set(places) == set(range(1, 22))}
        if left := len(faces) - len(whole):
            self.note(f"{left:,} of {len(faces):,} faces do not have all 21 points and are left out.")
        names = [picture for picture, _ in whole]
        found = Store(self, folders=_FOLDERS).find_all(names, listed_in=self.file)
        return [
            self.face(
                f"{place.key}#{face}", place.path, split,
                self.points([places[i] for i in range(1, 22)], f"{self.file}, face {face}", count=21),
            )
            for ((_, face), places), place in zip(whole.items(), found, strict=True)
            if place is not None
        ]  # fmt: skip


def _box(row: np.ndarray) -> Box | None:
    x0, x1, y0, y1 = map(float, row)
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None
