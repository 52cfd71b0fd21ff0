"""The camera, against projections done by hand."""

import math

import numpy as np
import pytest

from mien.synthetic.picture.camera import PIVOT, Camera, turn


def test_a_metre_away_is_focal_length_over_distance() -> None:
    camera = Camera(size=101, face_side=22.0, distance=2.0, aim=tuple(PIVOT.tolist()))
    assert camera.focal_px == pytest.approx(200)  # 22 px for 0.22 m at 2 m
    pixels, depth = camera.project(np.array([PIVOT, PIVOT + (0.1, 0, 0), PIVOT + (0, 0.1, 1.0)]))
    np.testing.assert_allclose(pixels, [[50, 50], [60, 50], [50, 30]], atol=1e-4)
    np.testing.assert_allclose(depth, [2, 2, 1], atol=1e-6)


@pytest.mark.parametrize(
    ("angles", "nose"),
    [
        ({"yaw_rad": math.pi / 2}, (1, 0, 0)),  # to the viewer's right
        ({"pitch_rad": math.pi / 2}, (0, 1, 0)),  # up
        ({"roll_rad": math.pi / 2}, (0, 0, 1)),
    ],
)
def test_signs_of_the_turns(angles: dict[str, float], nose: tuple[float, float, float]) -> None:
    np.testing.assert_allclose(turn(**angles) @ np.array([0, 0, 1]), nose, atol=1e-6)


def test_roll_tilts_the_crown_to_the_viewers_right() -> None:
    np.testing.assert_allclose(turn(roll_rad=math.pi / 2) @ np.array([0, 1, 0]), (1, 0, 0), atol=1e-6)


def test_twice_the_pixels_are_the_same_view() -> None:
    points = np.random.default_rng(0).normal(0, 0.1, (20, 3))
    camera = Camera(size=64, yaw_rad=0.3, pitch_rad=-0.2, roll_rad=0.1, centre=(0.05, -0.02))
    small, large = camera.project(points)[0], camera.enlarged(2).project(points)[0]
    np.testing.assert_allclose(2 * (small + 0.5) - 0.5, large, atol=1e-3)


def test_what_is_aimed_at_stands_in_the_middle_however_the_head_turns() -> None:
    for yaw in (-1.0, 0.0, 0.7):
        camera = Camera(size=100, yaw_rad=yaw, centre=(0.1, -0.2))
        np.testing.assert_allclose(camera.project(np.array(camera.aim))[0], [59.5, 29.5], atol=1e-3)


def test_near_cameras_enlarge_the_nose() -> None:
    nose_and_ears = PIVOT + np.array([[0.02, 0, 0.12], [0.07, 0, 0]])
    near, far = (Camera(distance=d, aim=tuple(PIVOT.tolist())).project(nose_and_ears)[0] for d in (0.4, 4.0))
    middle = 63.5
    assert (near[0, 0] - middle) / (near[1, 0] - middle) > 1.3 * (far[0, 0] - middle) / (far[1, 0] - middle)


def test_sampled_views_are_reproducible_and_within_their_range() -> None:
    first, second = ([Camera.sample(np.random.default_rng(5)) for _ in range(3)] for _ in range(2))
    assert first == second
    rng = np.random.default_rng(0)
    assert max(abs(Camera.sample(rng).yaw_rad) for _ in range(200)) <= math.radians(60)
