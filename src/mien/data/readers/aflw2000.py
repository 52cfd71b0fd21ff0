"""AFLW2000-3D: 2,000 pictures of 450 x 450 with 68 points in 3D. Zhu, Lei, Liu, Shi, Li, CVPR 2016.

`image00002.jpg` with `image00002.mat`: `pt3d_68` (3 x 68; x and y from 1; z in pixels, larger is nearer: nose tips are
50 to 80 before the chin), `Pose_Para` (pitch, yaw, roll in radians, ...). The re-annotated 2D points are those of
Bulat, Tzimiropoulos, ICCV 2017, as 3DDFA's evaluation keeps them. Checked against twelve genuine files of each kind.
That the re-annotated points count from 1 too is inferred: 3DDFA compares both with the same prediction.
"""

from pathlib import Path
from types import MappingProxyType

import numpy as np

from mien.core.framing import box_of
from mien.core.records import Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.matlab import read_mat

_YAW = {"0_to_30": (-1.0, 30.0), "30_to_60": (30.0, 60.0), "60_to_90": (60.0, 1000.0)}  # degrees: above, to
_TABLES = ("reannotated_pts68.csv", "AFLW2000-3D-Reannotated.pts68.npy")
_WAY_OUT = "Expected image00002.jpg with image00002.mat, and more of them, there or below AFLW2000."


class Aflw2000(LandmarkSet):
    """`*.jpg` and `*.mat`, there or below `AFLW2000`; test is all of it ("full"), and the published ranges of yaw.

    labels: "original" (3D, fitted), or "reannotated" (2D of the same pictures, no depth) from `reannotated_pts68.csv`
    (`image`, x0, y0, ..., y67) or `AFLW2000-3D-Reannotated.pts68.npy` (in the pictures' order). The box is that of the
    original points in both. Ranges are of the absolute yaw in the `.mat`, degrees: to 30, to 60, above 60.
    """

    name = "aflw2000"
    signs = ("image[0-9]*.mat", "AFLW2000/image[0-9]*.mat")
    aliases = MappingProxyType({"full": "test", "all": "test"})

    def __init__(self, root: Path, *, labels: str = "original") -> None:
        super().__init__(root / "AFLW2000" if (root / "AFLW2000").is_dir() else root)
        self.choose("labels", labels, ("original", "reannotated"))
        self.reannotated = labels == "reannotated"
        if not any(self.root.glob("image[0-9]*.mat")):
            self.need(self.root / "image00002.mat", way_out=_WAY_OUT)
        self.splits = ("test", *_YAW)

    def _read(self, split: str) -> list[Sample]:
        pairs = self.paired(self.root, ".mat")
        other = self._reannotated([file.stem for file, _ in pairs]) if self.reannotated else {}
        samples = [self._sample(file, picture, split, other) for file, picture in pairs]
        if split == "test":
            return samples
        above, to = _YAW[split]
        return [s for s in samples if s.pose_rad and above < round(abs(np.rad2deg(s.pose_rad[1])), 4) <= to]

    def _sample(self, file: Path, picture: Path, split: str, other: dict[str, np.ndarray]) -> Sample:
        values = read_mat(file, "pt3d_68", "Pose_Para")
        points = self.points(np.asarray(values["pt3d_68"]).T, file, first=1)
        pitch, yaw, roll = (float(value) for value in values["Pose_Para"].ravel()[:3])
        box = box_of(points[:, :2])
        return self.face(
            self.key_of(picture), picture, split, other.get(file.stem, points), box=box, pose_rad=(pitch, yaw, roll)
        )

    def _reannotated(self, stems: list[str]) -> dict[str, np.ndarray]:
        places = [top / name for top in (self.root, self.root.parent) for name in _TABLES]
        way_out = (
            "It is not in AFLW2000-3D.zip: take it from 3DDFA's test.configs, or say --data.reader.labels original."
        )
        table = self.first_of(places, way_out=way_out)
        found = self._from_array(table, stems) if table.suffix == ".npy" else self._from_csv(table)
        if missing := [stem for stem in stems if stem not in found]:
            raise self.error(
                f"{table} has no points of {len(missing):,} of {len(stems):,} pictures, first {missing[0]}."
            )
        return {stem: self.points(found[stem], f"{table}, {stem}", first=1) for stem in stems}

    def _from_csv(self, table: Path) -> dict[str, np.ndarray]:
        rows = self.rows(table)
        try:
            names = [f"{axis}{i}" for i in range(68) for axis in "xy"]
            return {
                row["image"]: np.array([row[name] for name in names], np.float32).reshape(68, 2) for row in rows
            }  # fmt: skip
        except (KeyError, ValueError, TypeError) as error:
            raise self.error(f"{table}: expected the columns image, x0, y0, ..., x67, y67 with numbers.") from error

    def _from_array(self, table: Path, stems: list[str]) -> dict[str, np.ndarray]:
        try:
            values = np.load(table, allow_pickle=False)
        except Exception as error:  # NumPy raises nearly anything on damaged files
            raise self.error(f"{table} is not a .npy file of numbers.") from error
        if values.ndim != 3 or values.shape[1] not in (2, 3) or len(values) != len(stems):
            raise self.error(f"{table} is {values.shape}; {len(stems)} pictures need ({len(stems)}, 2, 68).")
        return {stem: value[:2].T for stem, value in zip(sorted(stems), values, strict=True)}
