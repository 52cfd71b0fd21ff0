"""Synthetic people, as `mien data synth people` writes them: expressions with mixtures, affect, points, persons."""

from itertools import compress
from pathlib import Path

import numpy as np

from mien.core.records import Sample
from mien.data.readers.listing import file_names
from mien.data.readers.synthetic_set import SyntheticSet, affected_side
from mien.synthetic.face.build import face_model
from mien.synthetic.face.open_face import parameter_row

_NEEDED = ("path", "split", "person", "expression", "valence", "arousal", "x0", "y0", "x1", "y1")
ALSO = ("landmarks_3d", "visible", "identity", "action_units")
_POSE = ("pitch_deg", "yaw_deg", "roll_deg")


class People(SyntheticSet):
    """`people.csv` and `truth.npz` beside `pictures/*.png`; a person stands in one split only.

    boxed: give the box that a face detector would about find (default), else the whole picture is the face. Depth is
    the camera's z (towards it: larger is nearer) in metres, times focal_px / distance_m: pixels at the head's distance.
    Where the folder has `renders`, each picture has the one of its name. Folders with `identity` in truth.npz also give
    the parameters of the open 3D face.
    """

    name = "people"
    signs = ("people.csv",)

    def __init__(self, root: Path, *, boxed: bool = True, missing: str = "stop") -> None:
        super().__init__(root)
        self.missing, self.boxed = missing, boxed
        self._open("people.csv", _NEEDED)
        self.arrays = self.need(self.root / "truth.npz", way_out="Make the folder anew.")
        self._renders = file_names(self.root / "renders")

    def _read(self, split: str) -> list[Sample]:
        truth = self._truth(self.arrays, ("mixture", "landmarks_px"), also=ALSO)
        if {len(values) for values in truth.values()} != {len(self._rows)}:
            count = len(truth["landmarks_px"])
            raise self.error(f"{self.arrays} holds {count} pictures, {self.table} {len(self._rows)}.")
        places = [i for i, row in enumerate(self._rows) if row["split"] == split]
        names = [Path(self._rows[i]["path"]).name for i in places]
        present = self._present(self.root / "pictures", names, listed_in=self.table)
        return [
            self._sample(self._rows[i], {name: values[i] for name, values in truth.items()})
            for i in compress(places, present)
        ]

    def _sample(self, row: dict[str, str], truth: dict[str, np.ndarray]) -> Sample:
        assert self.labels is not None
        picture = self.root / row["path"]
        render = self.root / "renders" / picture.name
        box = (float(row["x0"]), float(row["y0"]), float(row["x1"]), float(row["y1"]))
        return Sample(
            row["path"], picture, row["split"], self.labels.index(row["expression"]),
            tuple(truth["mixture"].tolist()), box if self.boxed else None, truth["landmarks_px"].astype(np.float32),
            float(row["valence"]), float(row["arousal"]), row["person"], depth_px=_depth(row, truth),
            visible=truth.get("visible"), pose_rad=_pose(row), affected=affected_side(self, row),
            render=render if render.name in self._renders else None, face3d=_face3d(truth),
        )  # fmt: skip


def _face3d(truth: dict[str, np.ndarray]) -> np.ndarray | None:
    """None in folders of an earlier version, and where the face model has changed since."""
    if "identity" not in truth or "action_units" not in truth:
        return None
    model = face_model()
    if (len(truth["identity"]), len(truth["action_units"])) != (len(model.identity), len(model.expression)):
        return None
    return parameter_row(truth["identity"], truth["action_units"])


def _depth(row: dict[str, str], truth: dict[str, np.ndarray]) -> np.ndarray | None:
    if "landmarks_3d" not in truth or "focal_px" not in row:
        return None
    return (truth["landmarks_3d"][:, 2] * (float(row["focal_px"]) / float(row["distance_m"]))).astype(np.float32)


def _pose(row: dict[str, str]) -> tuple[float, float, float] | None:
    if any(name not in row for name in _POSE):
        return None
    pitch, yaw, roll = (float(np.deg2rad(float(row[name]))) for name in _POSE)
    return pitch, yaw, roll
