"""Atlas: the part of the texture plane that holds the face, in metres, and drawing on it.

Textures are placed by the model's 68 landmarks, so any mesh with landmarks and texture coordinates can be painted.
Chart coordinates: metres from the nose's root (point 27), right and down as the viewer sees the face. They are exact
between the eyes and shrink what turns away.
"""

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float

_ABOVE, _BELOW, _BESIDE = 0.072, 0.045, 0.016  # metres beyond the landmarks: forehead, under the chin, temples
_SHIFT = 4  # bits of OpenCV's sub-pixel coordinates


class Atlas:
    """A square texture over the face. points: the 68 landmarks in chart coordinates. step: metres per texel (x, y)."""

    def __init__(self, landmarks: Float[np.ndarray, "68 3"], landmark_uv: Float[np.ndarray, "68 2"], side: int) -> None:
        self.side = side
        # The model's own front is symmetric to a hair; the eye corners give the scale across, the profile down.
        across = (landmark_uv[45, 0] - landmark_uv[36, 0]) / (landmarks[45, 0] - landmarks[36, 0])
        down = (landmark_uv[8, 1] - landmark_uv[27, 1]) / (landmarks[27, 1] - landmarks[8, 1])
        self.uv_per_metre = np.array([across, down])
        self.uv_origin = landmark_uv[27].astype(np.float64)
        self.points = (landmark_uv - self.uv_origin) / self.uv_per_metre
        low = self.points.min(0) - (_BESIDE, _ABOVE)
        high = self.points.max(0) + (_BESIDE, _BELOW)
        self.low, self.step = low, (high - low) / side
        xs, ys = (low[axis] + (np.arange(side) + 0.5) * self.step[axis] for axis in range(2))
        self.x, self.y = (grid.astype(np.float32) for grid in np.meshgrid(xs, ys))

    def texels(self, uv: Float[np.ndarray, "*n 2"]) -> Float[np.ndarray, "*n 2"]:
        """Texture coordinates to texel positions, centres at whole numbers."""
        chart = (uv - self.uv_origin) / self.uv_per_metre
        return ((chart - self.low) / self.step - 0.5).astype(np.float32)

    def fixed(self, points: np.ndarray) -> np.ndarray:
        """Chart coordinates to OpenCV's fixed-point texels."""
        return np.round(((points - self.low) / self.step - 0.5) * (1 << _SHIFT)).astype(np.int32)

    def blob(
        self, centre: Sequence[float] | np.ndarray, radii: tuple[float, float], *, angle_rad: float = 0.0
    ) -> np.ndarray:
        """exp(-r^2) with r = 1 on the ellipse of those radii (metres), turned clockwise by the angle."""
        x, y = self.x - np.float32(centre[0]), self.y - np.float32(centre[1])
        c, s = np.float32(np.cos(angle_rad)), np.float32(np.sin(angle_rad))
        return np.exp(-(((x * c + y * s) / radii[0]) ** 2) - ((y * c - x * s) / radii[1]) ** 2).astype(np.float32)

    def _window(self, points: np.ndarray, reach: float) -> tuple[slice, slice]:
        """Rows and columns within reach (metres) of the points."""
        low = np.floor((points.min(0) - reach - self.low) / self.step).clip(0, self.side - 1).astype(int)
        high = np.ceil((points.max(0) + reach - self.low) / self.step).clip(1, self.side).astype(int)
        return slice(low[1], max(high[1], low[1] + 1)), slice(low[0], max(high[0], low[0] + 1))

    def _distance(self, points: np.ndarray, window: tuple[slice, slice]) -> np.ndarray:
        """Metres to an open polyline, within a window."""
        xs, ys = self.x[window], self.y[window]
        nearest = np.full(xs.shape, np.inf, np.float32)
        for start, end in pairwise(points):
            dx, dy = (float(value) for value in end - start)
            length = max(dx * dx + dy * dy, 1e-12)
            x, y = xs - np.float32(start[0]), ys - np.float32(start[1])
            along = np.clip((x * dx + y * dy) / np.float32(length), 0, 1)
            np.minimum(nearest, (x - along * dx) ** 2 + (y - along * dy) ** 2, out=nearest)
        return np.sqrt(nearest)

    def line(self, points: np.ndarray, width: float, *, taper: bool = True) -> np.ndarray:
        """A soft line through the points, 1 in its middle, of that half-width in metres, thinning out at its ends."""
        curve = smooth(points, 24)
        window = self._window(curve, 3 * width)
        value = np.exp(-((self._distance(curve, window) / np.float32(width)) ** 2))
        if taper:
            for end, inner in ((curve[0], curve[4]), (curve[-1], curve[-5])):
                reach = float(np.hypot(*(inner - end))) + 1e-6
                near = np.hypot(self.x[window] - end[0], self.y[window] - end[1]) / np.float32(reach)
                value *= np.clip(near, 0, 1)
        whole = np.zeros((self.side, self.side), np.float32)
        whole[window] = value
        return whole

    def area(self, points: np.ndarray, softness: float) -> np.ndarray:
        """A filled polygon with edges blurred over that many metres."""
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [self.fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        sigma = max(softness / float(self.step.mean()), 0.3)
        return cv2.GaussianBlur(mask.astype(np.float32) / 255, (0, 0), sigma)

    def strokes(self, lines: Float[np.ndarray, "lines points 2"]) -> np.ndarray:
        """Hair-thin lines, 0..1, on twice the texels and averaged."""
        mask = np.zeros((2 * self.side, 2 * self.side), np.uint8)
        fixed = self.fixed(lines) * 2 + (1 << (_SHIFT - 1))
        cv2.polylines(mask, list(fixed), False, 255, 1, cv2.LINE_AA, _SHIFT)
        return cv2.resize(mask, (self.side, self.side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255

    def mirrored(self, points: np.ndarray) -> np.ndarray:
        return points * np.array([-1, 1])


def smooth(points: np.ndarray, count: int) -> np.ndarray:
    """Catmull-Rom curve of `count` points through the given ones."""
    points = np.asarray(points, np.float64)
    padded = np.concatenate([2 * points[:1] - points[1:2], points, 2 * points[-1:] - points[-2:-1]])
    place = np.linspace(0, len(points) - 1, count)
    index = np.minimum(place.astype(int), len(points) - 2)
    t = (place - index)[:, None]
    a, b, c, d = (padded[index + step] for step in range(4))
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)


@cache
def noise(kind: int, side: int, cells: int, octaves: int = 3) -> Float[np.ndarray, "side side"]:
    """Tileable value noise of mean 0, deviation 1: `cells` bumps across, each octave twice as fine and half as high."""
    rng = np.random.Generator(np.random.PCG64([7919, kind, side, cells]))
    total = np.zeros((side, side), np.float32)
    for octave in range(octaves):
        count = min(cells << octave, side)
        grid = rng.normal(size=(count, count)).astype(np.float32)
        padded = np.pad(grid, 2, mode="wrap")
        scale = side / count
        large = cv2.resize(padded, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        margin = round(2 * scale)
        total += large[margin : margin + side, margin : margin + side] * np.float32(0.5**octave)
    result = (total - total.mean()) / total.std()
    result.flags.writeable = False
    return result


def rolled(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The tile shifted and perhaps mirrored, so that one bank of noise serves every face."""
    turned = picture[:, ::-1] if rng.random() < 0.5 else picture
    return np.roll(turned, tuple(int(v) for v in rng.integers(0, picture.shape[0], 2)), (0, 1))
