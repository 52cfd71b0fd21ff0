"""Where a 3D face stands in a photo: the crop around its landmarks, and the camera of that crop."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.face3d import Face3D, FaceInCrop
from mien.core.framing import box_of
from mien.core.geometry import Crop, crop_of_box
from mien.core.spec import PictureInput

AROUND = 1.5  # side of the crop in sides of the landmarks' box


def crop_around(landmarks_px: Float[np.ndarray, "points 2"], size: int) -> Crop:
    """The upright square crop around these points of a photo."""
    x0, y0, x1, y1 = box_of(landmarks_px)
    x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, max(x1 - x0, y1 - y0) / 2
    return crop_of_box((x - half, y - half, x + half, y + half), PictureInput(size=size, box_scale=AROUND))


def camera_in(crop: Crop, *, scale_px: float, shift_px: Float[np.ndarray, "2"]) -> Float[np.ndarray, "3"]:
    """The camera of a crop for a face of which a point (x, y) stands at scale_px (x, -y) + shift_px in the photo."""
    side = crop.sides[0]
    scale = 2 * scale_px / side
    at = (np.asarray(shift_px) + 0.5 - np.array(crop.centre)) * 2 / side  # of the origin, -1..1
    return np.array([scale, at[0] / scale, -at[1] / scale], np.float32)


def placed(
    face: Face3D, landmarks_px: Float[np.ndarray, "68 2"], *, size: int, pose: Float[np.ndarray, "3"], **rest: Any
) -> FaceInCrop:
    """The face in the crop around its landmarks in the photo, with the camera that places its own landmarks best there.

    rest: shape, expression, jaw and lids.
    """
    crop = crop_around(landmarks_px, size)
    found = FaceInCrop(crop, np.ones(3, np.float32), pose, **rest)
    flat = face.landmarks(found.vertices(face)[None])[0, :, :2].astype(float) * (1, -1)
    off, target = flat - flat.mean(0), landmarks_px - landmarks_px.mean(0)
    scale = float((off * target).sum() / (off**2).sum())
    camera = camera_in(crop, scale_px=scale, shift_px=landmarks_px.mean(0) - scale * flat.mean(0))
    return replace(found, camera=camera)


def origin_in_photo(found: FaceInCrop) -> tuple[float, Float[np.ndarray, "2"]]:
    """Pixels of the photo that a metre of the face takes, and where its origin stands: the way back of `camera_in`."""
    side, (scale, x, y) = found.crop.sides[0], found.camera.astype(float)
    place = np.array([x * scale, -y * scale]) * side / 2 + np.array(found.crop.centre) - 0.5
    return float(scale * side / 2), place
