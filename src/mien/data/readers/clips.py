"""Synthetic clips, as `mien data synth clips` writes them: frames of short videos, some with a voice."""

from itertools import compress
from pathlib import Path

import numpy as np

from mien.core.records import Sample
from mien.data.readers.reader import file_names
from mien.data.readers.synthetic_set import SyntheticSet, affected_side

_NEEDED = ("clip", "split", "person", "expression", "frames")
_ARRAYS = ("phase", "box", "landmarks_px", "valence", "arousal")
_APEX = 2


class Clips(SyntheticSet):
    """`clips.csv` and `clips/0001/frames/*.jpg` with `truth.npz`; each frame is a sample, its clip and person named.

    phases: "apex" gives the frames in which the expression stands fully (default), "all" also those before and after,
    in which it is only partly or not yet there. Depth is the camera's z (towards it: larger is nearer) in metres, times
    the pixels a metre that fit the points best: the files do not name the camera.
    """

    name = "clips"
    signs = ("clips.csv",)

    def __init__(self, root: Path, *, phases: str = "apex", missing: str = "stop") -> None:
        super().__init__(root)
        self.missing = missing
        self.choose("phases", phases, ("apex", "all"))
        self.phases = phases
        self._open("clips.csv", _NEEDED)

    def _read(self, split: str) -> list[Sample]:
        return [sample for row in self._rows if row["split"] == split for sample in self._frames(row)]

    def _frames(self, row: dict[str, str]) -> list[Sample]:
        assert self.labels is not None
        folder = self.root / row["clip"]
        file = folder / "truth.npz"
        truth = self._truth(file, _ARRAYS, also=("landmarks_3d", "visible", "head_deg"))
        phase = truth["phase"]
        wanted = range(len(phase)) if self.phases == "all" else np.flatnonzero(phase == _APEX).tolist()
        present = self._present(folder / "frames", [f"{i + 1:04d}.jpg" for i in wanted], listed_in=file)
        label = self.labels.index(row["expression"])
        voice = folder / "voice.wav" if "voice.wav" in file_names(folder) else None
        return [
            self._sample(row, i, label, voice, {name: np.asarray(values[i]) for name, values in truth.items()})
            for i in compress(wanted, present)
        ]

    def _sample(
        self, row: dict[str, str], frame: int, label: int, voice: Path | None, truth: dict[str, np.ndarray]
    ) -> Sample:
        key = f"{row['clip']}/frames/{frame + 1:04d}.jpg"
        return Sample(
            key, self.root / key, row["split"], label, None, tuple(truth["box"].tolist()),
            truth["landmarks_px"].astype(np.float32), float(truth["valence"]), float(truth["arousal"]),
            row["person"], row["clip"], depth_px=_depth(truth), visible=truth.get("visible"),
            pose_rad=_pose(truth.get("head_deg")), affected=affected_side(self, row), frame=frame, voice=voice,
            voice_expression=row.get("voice_expression") or None if voice else None,
        )  # fmt: skip


def _depth(truth: dict[str, np.ndarray]) -> np.ndarray | None:
    if "landmarks_3d" not in truth:
        return None
    spread = [
        np.linalg.norm(values - values.mean(0)) for values in (truth["landmarks_px"], truth["landmarks_3d"][:, :2])
    ]
    return (truth["landmarks_3d"][:, 2] * (spread[0] / spread[1])).astype(np.float32)


def _pose(head_deg: np.ndarray | None) -> tuple[float, float, float] | None:
    """The files say yaw, pitch, roll."""
    if head_deg is None:
        return None
    yaw, pitch, roll = np.deg2rad(head_deg).tolist()
    return pitch, yaw, roll
