"""The mirror test: a reader of points sees the picture and its mirror image; where the two answers differ it is wrong.

The true points of a mirrored picture are the mirrored true points, so any disagreement is the instrument's own error.
The mean of both answers has no preference for a side, whatever the reader has.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.landmarks import SCHEME_68
from mien.core.records import FacePoints
from mien.runtime.asymmetry.frame import METHOD, Method
from mien.runtime.asymmetry.static import analyse

Read = Callable[[UInt8[np.ndarray, "height width 3"]], FacePoints | None]


@dataclass(frozen=True, eq=False)
class MirrorTest:
    """Agreement of the readings of a picture and of its mirror image."""

    points_px: Float[np.ndarray, "68"]
    """Distance of the two readings of each point."""
    percent: float
    """Their mean over the distance of the outer eye corners."""
    measures: dict[str, tuple[float, ...]]
    """Name → difference of the readings of (right, left, difference), or of the one value of the whole face."""
    averaged: FacePoints
    """The mean of both readings."""


def mirrored_points(face: FacePoints, *, width: int) -> FacePoints:
    """The points of the mirror image of a picture `width` pixels wide. Twice gives the face back."""
    order = SCHEME_68.mirror

    def swapped(values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else np.asarray(values)[order]

    pose = None if face.pose_rad is None else (face.pose_rad[0], -face.pose_rad[1], -face.pose_rad[2])
    box = None if face.box is None else (width - face.box[2], face.box[1], width - face.box[0], face.box[3])
    return replace(
        face, landmarks_px=SCHEME_68.mirrored(np.asarray(face.landmarks_px), width=width - 1),
        depth_px=swapped(face.depth_px), sigma_px=swapped(face.sigma_px), confidence=swapped(face.confidence),
        visible=swapped(face.visible), pose_rad=pose, box=box,
    )  # fmt: skip


def mirror_test(
    pixels: UInt8[np.ndarray, "height width 3"], read: Read, *, face: FacePoints | None = None, method: Method = METHOD
) -> MirrorTest | None:
    """face: what `read` says of the picture, where it is known already. None where one of the two is not found."""
    first = face if face is not None else read(pixels)
    second = read_mirrored(pixels, read)
    if first is None or second is None:
        return None
    gaps = np.linalg.norm(first.landmarks_px - second.landmarks_px, axis=1)
    size = float(SCHEME_68.interocular(np.asarray(first.landmarks_px)))
    exact = replace(method, draws=0)
    one, two = analyse(first, method=exact), analyse(second, method=exact)
    measures = {}
    for a, b in zip(one.measures, two.measures, strict=True):
        sides = [(x, y) for x, y in ((a.right, b.right), (a.left, b.left), (a.difference, b.difference)) if x and y]
        measures[a.name] = tuple(abs(x.value - y.value) for x, y in sides)
    return MirrorTest(gaps, 100 * float(gaps.mean()) / size, measures, mean_of(first, second))


def read_mirrored(pixels: UInt8[np.ndarray, "height width 3"], read: Read) -> FacePoints | None:
    """What `read` says of the mirror image, brought back into the picture."""
    flipped = read(np.ascontiguousarray(pixels[:, ::-1]))
    return None if flipped is None else mirrored_points(flipped, width=pixels.shape[1])


def mean_of(first: FacePoints, second: FacePoints) -> FacePoints:
    """The mean of two readings of one face; what only one of them says is None."""

    def middle(a: np.ndarray | None, b: np.ndarray | None) -> np.ndarray | None:
        return None if a is None or b is None else (np.asarray(a) + np.asarray(b)) / 2

    pose = None
    if first.pose_rad is not None and second.pose_rad is not None:
        pitch, yaw, roll = ((a + b) / 2 for a, b in zip(first.pose_rad, second.pose_rad, strict=True))
        pose = (pitch, yaw, roll)
    return replace(
        first, landmarks_px=(first.landmarks_px + second.landmarks_px) / 2,
        depth_px=middle(first.depth_px, second.depth_px), sigma_px=middle(first.sigma_px, second.sigma_px),
        confidence=middle(first.confidence, second.confidence), visible=middle(first.visible, second.visible),
        pose_rad=pose,
    )  # fmt: skip
