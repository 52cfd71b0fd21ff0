"""Faces whose points are exact: the synthetic face model seen by its camera, without a picture."""

from collections.abc import Mapping

import numpy as np

from mien.core.records import FacePoints
from mien.synthetic.face.build import face_model
from mien.synthetic.face.palsy import Palsy
from mien.synthetic.picture.camera import Camera

FAR = Camera(size=512, face_side=400, distance=8)  # nearly without perspective
EYES = "AU43 AU45 AU7"
TASKS = {
    "rest": {},
    "brow_raise": {"AU1": 1.0, "AU2": 1.0},
    "eyes_closed_gently": {"AU43": 1.0},
    "eyes_closed_tightly": {"AU43": 1.0, "AU6": 0.7, "AU7": 0.8},
    "smile": {"AU12": 0.9, "AU6": 0.4, "AU25": 0.6, "AU10": 0.2},
    "snarl": {"AU9": 0.9, "AU10": 0.9},
    "pucker": {"AU18": 1.0, "AU22": 0.3},
    "lower_teeth": {"AU16": 1.0, "AU20": 0.5, "AU25": 0.8},
}


def both(units: Mapping[str, float]) -> dict[str, float]:
    """The same on both sides."""
    return {f"{unit}_{side}": value for unit, value in units.items() for side in "LR"}


def landmarks(units: list[dict[str, float]], *, palsy: Palsy | None = None) -> np.ndarray:
    """[n, 68, 3] in the head's frame, metres."""
    model = face_model()
    weights = model.weights([palsy.applied(row) if palsy else row for row in units])
    nobody = np.zeros((len(units), len(model.identity_names)), np.float32)
    return model.landmarks(model.vertices(nobody, weights))


def face_of(points: np.ndarray, camera: Camera = FAR, *, depth: bool = True, sigma: float | None = 1.0) -> FacePoints:
    """What a reader without error would say of these points [68, 3]."""
    z = camera.view(points)[:, 2].astype(float)
    pixels = camera.focal_px / camera.distance
    return FacePoints(
        camera.project(points)[0].astype(float),
        depth_px=(z - z.mean()) * pixels if depth else None,
        sigma_px=None if sigma is None else np.full(68, sigma),
        pose_rad=(camera.pitch_rad, camera.yaw_rad, camera.roll_rad),
    )


def face(
    units: Mapping[str, float] | None = None, *, palsy: Palsy | None = None, camera: Camera = FAR, **more
) -> FacePoints:
    return face_of(landmarks([dict(units or {})], palsy=palsy)[0], camera, **more)


def noisy(points: FacePoints, rng: np.random.Generator) -> FacePoints:
    """With errors as sigma_px says."""
    from dataclasses import replace

    spread = (points.sigma_px * np.sqrt(2 / np.pi))[:, None]
    moved = points.landmarks_px + rng.normal(size=(68, 2)) * spread
    depth = None if points.depth_px is None else points.depth_px + rng.normal(size=68) * spread[:, 0]
    return replace(points, landmarks_px=moved, depth_px=depth)


def severe(side: str, severity: float, **more: float) -> Palsy:
    return Palsy(side, forehead=severity, eye=severity, midface=severity, mouth=severity, **more)
