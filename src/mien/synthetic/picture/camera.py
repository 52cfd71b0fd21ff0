"""Camera: a pinhole in front of a head that turns.

The head frame: metres, x to the viewer's right (the person's left), y up, z towards the viewer. The head turns about
`PIVOT`, then stands before the camera, which looks along -z.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

PIVOT = np.array([0.0, -0.02, -0.075], np.float32)  # between the ears, where the head sits on the neck


@dataclass(frozen=True)
class Camera:
    """One view of the head."""

    size: int = 128
    """Side of the square picture in pixels."""
    face_side: float = 90.0
    """Pixels that 0.22 m, about a head with the start of its neck, take at the pivot's distance."""
    distance: float = 1.0
    """Camera to pivot, metres; a short one enlarges the nose."""
    yaw_rad: float = 0.0
    """Positive: the face turns to the viewer's right."""
    pitch_rad: float = 0.0
    """Positive: it looks up."""
    roll_rad: float = 0.0
    """Positive: it tilts to the viewer's right."""
    centre: tuple[float, float] = (0.0, 0.0)
    """Where `aim` stands, as a share of the picture from its middle, x right, y down."""
    aim: tuple[float, float, float] = (0.0, -0.02, -0.02)
    """Point in the head's frame, turned with it, metres."""

    @classmethod
    def sample(cls, rng: np.random.Generator, *, size: int = 128, yaw_max_rad: float = math.radians(60)) -> "Camera":
        """A view as photographs have it: mostly frontal, near and far cameras, more and less around the face."""
        wide = rng.random() < 0.35
        yaw = float(np.clip(rng.normal(0, 0.5 if wide else 0.2), -yaw_max_rad, yaw_max_rad))
        return cls(
            size=size,
            face_side=size * float(rng.uniform(0.62, 1.02)),
            distance=float(np.exp(rng.uniform(math.log(0.45), math.log(2.5)))),
            yaw_rad=yaw,
            pitch_rad=float(np.clip(rng.normal(0, 0.16), -0.5, 0.5)),
            roll_rad=float(np.clip(rng.normal(0, 0.15), -0.6, 0.6)),
            centre=(float(rng.normal(0, 0.025)), float(rng.normal(0, 0.025))),
        )

    @property
    def focal_px(self) -> float:
        """Focal length in pixels."""
        return self.face_side / 0.22 * self.distance

    @property
    def rotation(self) -> Float[np.ndarray, "3 3"]:
        """Turns head-frame columns: yaw first, then pitch, then roll."""
        return turn(yaw_rad=self.yaw_rad, pitch_rad=self.pitch_rad, roll_rad=self.roll_rad)

    def enlarged(self, factor: int) -> "Camera":
        """The same view on `factor` times as many pixels a side; pixel p becomes factor * (p + 0.5) - 0.5."""
        return replace(self, size=self.size * factor, face_side=self.face_side * factor)

    def view(self, vertices: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
        """Head-frame points in the view frame: turned about the pivot, its origin; the camera at z = distance."""
        return ((np.asarray(vertices, np.float32) - PIVOT) @ self.rotation.T).astype(np.float32)

    def project_view(
        self, points: Float[np.ndarray, "*n 3"]
    ) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n"]]:
        """Pixels and depth (metres along the camera's axis) of points of the view frame."""
        aimed = self.view(np.array(self.aim))
        middle = (self.size - 1) / 2 + np.array(self.centre) * self.size
        scale = np.float32(self.focal_px)
        offset = middle - self.focal_px / (self.distance - aimed[2]) * np.array([aimed[0], -aimed[1]])
        depth = self.distance - points[..., 2]
        pixels = points[..., :2] * np.array([1, -1], np.float32) * (scale / depth)[..., None]
        return (pixels + offset).astype(np.float32), np.asarray(depth, np.float32)

    def project(self, vertices: Float[np.ndarray, "*n 3"]) -> tuple[Float[np.ndarray, "*n 2"], Float[np.ndarray, "*n"]]:
        """Pixels (x right, y down, centres at whole numbers) and depth of points of the head frame."""
        return self.project_view(self.view(vertices))


def turn(*, yaw_rad: float = 0.0, pitch_rad: float = 0.0, roll_rad: float = 0.0) -> Float[np.ndarray, "3 3"]:
    """Rotation of columns (x right, y up, z to the viewer), signs as Camera's."""
    cy, sy = math.cos(yaw_rad), math.sin(yaw_rad)
    cp, sp = math.cos(pitch_rad), math.sin(pitch_rad)
    cr, sr = math.cos(roll_rad), math.sin(roll_rad)
    yaw = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    pitch = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    roll = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return (roll @ pitch @ yaw).astype(np.float32)
