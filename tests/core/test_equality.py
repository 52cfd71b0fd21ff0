"""Readings are equal where their numbers are, missing ones too."""

from dataclasses import replace

import numpy as np
import pytest

from mien.core.records import FacePoints, Reading

NAN = float("nan")


def reading() -> Reading:
    points = FacePoints(np.array([[1.0, 2.0], [3.0, NAN]]), depth_px=np.array([0.5, -0.5]), pose_rad=(0.1, 0.2, 0.3))
    return Reading("photo.jpg", True, box=(0.0, 0.0, 5.0, 5.0), points=points)


def test_the_same_numbers_are_equal() -> None:
    assert reading() == reading()
    assert reading().points is not None and reading().points != reading().points.landmarks_px  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "changed",
    [
        {"landmarks_px": np.array([[1.0, 2.0], [3.0, 4.0]])},
        {"depth_px": None},
        {"pose_rad": (0.1, 0.2, 0.4)},
    ],
)
def test_other_numbers_are_not(changed: dict) -> None:
    points = reading().points
    assert points is not None and replace(points, **changed) != points
    assert replace(reading(), points=replace(points, **changed)) != reading()


def test_it_cannot_be_hashed() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(reading().points)
