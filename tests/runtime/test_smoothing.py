"""Smoothing: still points tremble less, moving ones hardly lag, faces are not mixed up."""

import numpy as np
import pytest
from tiny_points import frontal_face

from mien.core.records import FacePoints, Reading
from mien.runtime.smoothing import FaceSmoother

FACE = frontal_face()[:, :2] * 200


def readings(*faces: np.ndarray, time_s: float) -> list[Reading]:
    found = []
    for points in faces:
        (x0, y0), (x1, y1) = points.min(0), points.max(0)
        box = (float(x0), float(y0), float(x1), float(y1))
        found.append(Reading("v", True, timestamp_s=time_s, box=box, points=FacePoints(points, pose_rad=(0, 0, 0))))
    return found


def track(frames: list[np.ndarray]) -> np.ndarray:
    smoother = FaceSmoother()
    smoothed = [smoother(readings(points, time_s=i / 25))[0].points for i, points in enumerate(frames)]
    return np.stack([face.landmarks_px for face in smoothed if face is not None])


def test_a_still_face_trembles_less() -> None:
    rng = np.random.default_rng(0)
    frames = [FACE + rng.normal(0, 1, FACE.shape) for _ in range(100)]
    raw, smooth = np.stack(frames)[20:], track(frames)[20:]
    assert np.diff(smooth, axis=0).std() < 0.45 * np.diff(raw, axis=0).std()
    assert np.abs(smooth.mean(0) - FACE).mean() < 0.4


def test_a_face_in_motion_lags_by_less_than_a_frame() -> None:
    frames = [FACE + [6.0 * i, 0.0] for i in range(40)]
    behind = (np.stack(frames) - track(frames))[20:, :, 0].mean()
    assert 0 <= behind < 6.0


def test_two_faces_that_change_places_in_the_list_stay_themselves() -> None:
    smoother, other = FaceSmoother(), FACE + [400.0, 0.0]
    for i in range(10):
        pair = (FACE, other) if i % 2 else (other, FACE)
        out = smoother(readings(*pair, time_s=i / 25))
        for wanted, reading in zip(pair, out, strict=True):
            assert reading.points is not None
            np.testing.assert_allclose(reading.points.landmarks_px, wanted, atol=1e-6)


def test_a_lost_face_starts_anew_and_readings_without_points_pass() -> None:
    smoother = FaceSmoother()
    smoother(readings(FACE, time_s=0.0))
    (late,) = smoother(readings(FACE + 20, time_s=3.0))
    assert late.points is not None
    np.testing.assert_allclose(late.points.landmarks_px, FACE + 20)
    nobody = Reading("v", False, timestamp_s=3.1)
    assert smoother([nobody]) == [nobody]
    assert late.points.pose_rad == pytest.approx((0, 0, 0), abs=0.2)
