"""FaceInCrop: the parameters of a 3D face, and where it stands in the crop of a photo."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.face3d import Face3D, project
from mien.core.framing import box_of
from mien.core.geometry import Crop, crop_of_box
from mien.core.spec import PictureInput

AROUND = 1.5  # side of the crop in sides of the landmarks' box


@dataclass(frozen=True, eq=False)
class FaceInCrop:
    """One face as its photo shows it."""

    crop: Crop
    """Of the photo; upright."""
    camera: Float[np.ndarray, "3"]
    """Scale, and shift along x and y before it, into the crop (core.face3d.project)."""
    pose: Float[np.ndarray, "3"]
    """Rotation of the head, axis times angle in radians."""
    shape: Float[np.ndarray, " shapes"]
    """Identity."""
    expression: Float[np.ndarray, " expressions"]
    """Expression; of the open face, action units."""
    jaw: Float[np.ndarray, "3"]
    """Rotation of the jaw, axis times angle in radians; the first opens it."""
    lids: Float[np.ndarray, "2"]
    """How far the left and the right eye are closed, 0..1."""

    def vertices(self, face: Face3D, *, posed: bool = True) -> Float[np.ndarray, "vertices 3"]:
        """In metres; posed: with the head turned as in the photo."""
        pose = self.pose[None] if posed else None
        return face.vertices(
            self.shape[None], self.expression[None], pose=pose, jaw=self.jaw[None], lids=self.lids[None]
        )[0]

    def landmarks(self, face: Face3D) -> Float[np.ndarray, "68 2"]:
        """In pixels of the crop, pixel centres at whole numbers."""
        return pixels_of(face.landmarks(self.vertices(face)[None])[0], self.camera, self.crop.size)[:, :2]

    def to_dict(self) -> dict[str, Any]:
        """Lists of numbers by name; the crop by its centre, sides and size in pixels of the photo."""
        values = {f.name: getattr(self, f.name).tolist() for f in fields(self) if f.name != "crop"}
        crop = {"centre": list(self.crop.centre), "sides": list(self.crop.sides), "size": self.crop.size}
        return {"crop": crop, **values}


def pixels_of(
    points: Float[np.ndarray, "points 3"], camera: Float[np.ndarray, "3"], size: int
) -> Float[np.ndarray, "points 3"]:
    """x, y in pixels of a crop of that side and z, smaller is nearer."""
    placed = project(points[None], np.asarray(camera, np.float32)[None])[0]
    return np.concatenate([(placed[:, :2] + 1) * (size / 2) - 0.5, placed[:, 2:]], axis=1).astype(np.float32)


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
