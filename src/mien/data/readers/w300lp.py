"""300W-LP: 300-W's pictures turned to large poses, 61,225 of them (122,450 with mirrored ones). Zhu et al., CVPR 2016.

`AFW/AFW_134212_1_0.jpg` with `AFW/AFW_134212_1_0.mat` (`pt2d`, `Pose_Para`: pitch, yaw, roll in radians) and
`landmarks/AFW/AFW_134212_1_0_pts.mat` (`pts_3d`: 68 x 2, the projections of points of the 3D face, and `pts_2d`, on the
visible outline). All count from 1. Depth is in the JVCR lists only (`300wLP_anno_tr.json`, `landmarks` 68 x 3): z in
pixels as the fitted model has it, larger is nearer (JVCR itself turns the sign when it loads them). The layout is that
which public code reads; the `.mat` format was checked against genuine files of AFLW2000-3D.
"""

from pathlib import Path
from typing import Any

import numpy as np

from mien.core.records import Box, Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.matlab import read_mat
from mien.data.readers.stores import Store
from mien.data.readers.tables import first_there, read_records

_PARTS = ("AFW", "HELEN", "IBUG", "LFPW")
_POINTS = {"3d": "pts_3d", "2d": "pts_2d", "mat": "pt2d"}
_LIST = ("300wLP_anno_tr.json", "300wLP/300wLP_anno_tr.json", "annot/300wLP_anno_tr.json")
_WAY_OUT = "Expected AFW, HELEN, IBUG, LFPW and landmarks, as in 300W-LP.zip, or 300wLP_anno_tr.json."


class W300Lp(LandmarkSet):
    """`AFW`, `HELEN`, `IBUG`, `LFPW` with `landmarks`, there or below `300W_LP`; undivided, one split "all".

    annotations: "json" (with depth), "mat", or "auto": the list where there is one. points, of mat: "3d" (`pts_3d`, the
    default), "2d", or "mat" (`pt2d`). flipped: also the folders `AFW_Flip`, which have `pt2d` only. pose: read
    `Pose_Para` too. clip is the photograph that a picture was turned from, so that a cut keeps its poses on one side.
    300-W's test photographs (IBUG and others) are among them.
    """

    name = "w300lp"
    signs = ("300W_LP", "AFW/AFW_*_0.mat", "landmarks/AFW", "300wLP_anno_tr.json", "csv/300wLP_anno_tr.json")

    def __init__(
        self, root: Path, *, annotations: str = "auto", points: str = "3d", flipped: bool = False, pose: bool = False
    ) -> None:
        super().__init__(root / "300W_LP" if (root / "300W_LP").is_dir() else root)
        self.choose("annotations", annotations, ("auto", "json", "mat"))
        self.choose("points", points, tuple(_POINTS))
        if flipped and points != "mat":
            raise self.error("flipped pictures have points in their .mat only: say points: mat, or leave them out.")
        self.kind, self.flipped, self.pose = points, flipped, pose
        self.list = None if annotations == "mat" else first_there(self, *_LIST)
        if annotations == "json" and self.list is None:
            self.need(self.root / _LIST[0], way_out="It is JVCR's list; or say --data.reader.annotations mat.")
        names = [*_PARTS, *(f"{part}_Flip" for part in _PARTS if flipped)]
        self._folders = [self.root / name for name in names if (self.root / name).is_dir()]
        if not self._folders and self.list is None:
            self.need(self.root / "AFW", way_out=_WAY_OUT)
        self.splits = ("all",)

    def _read(self, split: str) -> list[Sample]:
        if self.list is not None:
            return self._listed(self.list, split)
        return [sample for folder in self._folders for sample in self._folder(folder, split)]

    def _folder(self, folder: Path, split: str) -> list[Sample]:
        if self.kind == "mat":
            return [self._sample(*pair, split) for pair in self.paired(folder, ".mat")]
        points = self.need(self.root / "landmarks" / folder.name, way_out="Say --data.reader.points mat.")
        return [self._sample(*pair, split) for pair in self.paired(points, "_pts.mat", beside=folder)]

    def _sample(self, file: Path, picture: Path, split: str) -> Sample:
        name = _POINTS[self.kind]
        values = np.asarray(read_mat(file, name)[name])
        points = self.points(values.T if self.kind == "mat" else values, file, first=1)
        pose = _pose(picture.with_suffix(".mat")) if self.pose else None
        return self.face(self.key_of(picture), picture, split, points[:, :2], clip=clip_of(picture.stem), pose_rad=pose)

    def _listed(self, path: Path, split: str) -> list[Sample]:
        records = read_records(self, path, needed=("img_paths", "landmarks"))
        names = [str(record["img_paths"]) for record in records]
        store = Store(self, folders=("", "images", "300wLP/images"))
        found = store.find_all(names, listed_in=path)
        return [
            self.face(
                place.key, place.path, split, self.points(record["landmarks"], f"{path}, record {number}"),
                box=_box(record.get("bbox")), clip=clip_of(Path(name).stem),
            )
            for number, (record, name, place) in enumerate(zip(records, names, found, strict=True), 1)
            if place is not None
        ]  # fmt: skip


def clip_of(stem: str) -> str:
    """`AFW_134212_1_0` → `AFW_134212_1`: the last number is that of the pose."""
    return stem.rpartition("_")[0] or stem


def _pose(file: Path) -> tuple[float, float, float]:
    pitch, yaw, roll = read_mat(file, "Pose_Para")["Pose_Para"].ravel()[:3].tolist()
    return pitch, yaw, roll


def _box(values: Any) -> Box | None:
    """JVCR's x, y, width, height."""
    if not isinstance(values, list) or len(values) != 4 or min(values[2:]) <= 0:
        return None
    x, y, width, height = map(float, values)
    return x, y, x + width, y + height
