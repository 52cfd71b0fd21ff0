"""Triangles to pixels with a depth buffer, in NumPy: all pixels of all bounding boxes at once, no loop over triangles.

Pixel centres lie at whole numbers, x to the right, y down. A pixel belongs to a triangle when its centre does. Depth is
the distance from the camera; the nearest triangle wins, and of equally near ones the first.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

_NOTHING = np.int64(np.iinfo(np.int64).max)
_EDGE = 1e-5  # of a weight: centres on an edge stay in, whatever the rounding


@dataclass(frozen=True, eq=False)
class Raster:
    """What each pixel shows. Of `covered` pixels (flat indices, ascending): triangle, weights of its corners, depth."""

    size: tuple[int, int]  # height, width
    covered: Int[np.ndarray, "pixels"]
    triangle: Int[np.ndarray, "pixels"]
    weights: Float[np.ndarray, "pixels 3"]
    depth: Float[np.ndarray, "pixels"]

    @property
    def triangle_map(self) -> Int[np.ndarray, "height width"]:
        """int32, -1 where there is nothing."""
        return self.picture(self.triangle.astype(np.int32), -1)

    @property
    def depth_map(self) -> Float[np.ndarray, "height width"]:
        """float32, infinite where there is nothing."""
        return self.picture(self.depth, np.float32(np.inf))

    def picture(self, values: np.ndarray, empty: float | np.ndarray) -> np.ndarray:
        """[pixels, ...] values put into a picture [height, width, ...]."""
        flat = np.empty((self.size[0] * self.size[1], *values.shape[1:]), values.dtype)
        flat[:] = empty
        flat[self.covered] = values
        return flat.reshape(*self.size, *values.shape[1:])

    def interpolate(self, values: Float[np.ndarray, "vertices *channels"], corners: np.ndarray) -> np.ndarray:
        """Vertex values at the covered pixels; `corners` are the rasterised triangles of vertex indices."""
        values = np.asarray(values, np.float32)
        chosen = corners[self.triangle]
        flat = values[:, None] if values.ndim == 1 else values
        result = np.take(flat, chosen[:, 0], axis=0) * self.weights[:, 0, None]
        for corner in (1, 2):
            result += np.take(flat, chosen[:, corner], axis=0) * self.weights[:, corner, None]
        return result[:, 0] if values.ndim == 1 else result


def looked_up(picture: Float[np.ndarray, "height width *channels"], where: Float[np.ndarray, "pixels 2"]) -> np.ndarray:
    """Values of a float32 picture of up to four channels at places (x, y) of its pixels, linear, held at the border."""
    count = len(where)
    rows = -(-count // 256) if count else 1
    places = np.zeros((2, rows * 256), np.float32)  # OpenCV takes no side above 32767
    places[:, :count] = where.T
    x, y = places.reshape(2, rows, 256)
    found = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return found.reshape(rows * 256, *picture.shape[2:])[:count]


def rasterise(
    points_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, "vertices"],
    triangles: Int[np.ndarray, "triangles 3"],
    size: tuple[int, int],
    *,
    cull: bool = False,
) -> Raster:
    """The nearest triangle of every pixel. size: height, width. cull: leave out triangles that turn away.

    A triangle faces us when its corners run counter-clockwise as seen by us (so in pixels, y down, its area is
    negative). Weights are perspective-correct. Triangles with a corner behind the camera (depth <= 0) are left out.
    """
    corners = np.asarray(points_px, np.float32)[triangles]  # [triangles, 3, 2]
    distance = np.asarray(depth, np.float32)[triangles]
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    low, high = _boxes(corners, size)
    kept = (high >= low).all(-1) & (distance > 0).all(-1)
    kept &= (area < -1e-9) if cull else (np.abs(area) > 1e-9)
    index = np.flatnonzero(kept)
    which, x, y = _box_pixels(low[index], high[index])
    weights = _weights(corners[index], area[index], which, x, y)
    inside = np.flatnonzero(np.minimum(np.minimum(weights[0], weights[1]), weights[2]) >= -_EDGE)
    which, weights = which[inside], [w[inside] for w in weights]
    flat = y[inside].astype(np.int64) * size[1] + x[inside]
    near = 1 / distance[index]
    parts = [w * near[which, corner] for corner, w in enumerate(weights)]  # 1 / depth is linear on the screen
    total = parts[0] + parts[1] + parts[2]
    winner = _nearest(flat, 1 / total, which, size)
    shares = np.stack([part[winner] / total[winner] for part in parts], axis=-1)
    return Raster(size, flat[winner], index[which[winner]], shares, 1 / total[winner])


def _boxes(corners: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixel (x, y) whose centre may lie inside, cut at the picture's border."""
    xs, ys = corners[..., 0], corners[..., 1]
    border = np.array([size[1] - 1, size[0] - 1])
    low = np.stack([_least(xs), _least(ys)], -1)
    high = -np.stack([_least(-xs), _least(-ys)], -1)
    low = np.ceil(np.clip(np.nan_to_num(low), 0, border + 1)).astype(np.int32)
    return low, np.floor(np.clip(np.nan_to_num(high), -1, border)).astype(np.int32)


def _least(values: np.ndarray) -> np.ndarray:
    return np.minimum(np.minimum(values[:, 0], values[:, 1]), values[:, 2])


def _box_pixels(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every pixel of every box: which box, x, y."""
    width, height = (high - low + 1).T
    count = width * height
    which = np.repeat(np.arange(len(low), dtype=np.int32), count)
    first = np.cumsum(count) - count
    place = np.arange(len(which), dtype=np.int32) - np.repeat(first.astype(np.int32), count)
    row = place // width[which]
    return which, low[which, 0] + place - row * width[which], low[which, 1] + row


def _weights(
    corners: np.ndarray, area: np.ndarray, which: np.ndarray, x: np.ndarray, y: np.ndarray
) -> list[np.ndarray]:
    """Screen barycentrics as affine functions of x and y: their coefficients per triangle, then two products a pixel."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    found = []
    for start, end in ((b, c), (c, a)):
        step = (end - start) / area[:, None]
        constant = (step[:, 1] * start[:, 0] - step[:, 0] * start[:, 1]).astype(np.float32)
        found.append(constant[which] + step[which, 0] * y - step[which, 1] * x)
    return [*found, 1 - found[0] - found[1]]


def _nearest(flat: np.ndarray, depth: np.ndarray, which: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Index of the winning entry of each covered pixel, pixels ascending. Depth and triangle share one integer key."""
    key = (depth.astype(np.float32).view(np.int32).astype(np.int64) << 32) | which
    buffer = np.full(size[0] * size[1], _NOTHING)
    np.minimum.at(buffer, flat, key)
    winner = np.flatnonzero(buffer[flat] == key)
    return winner[np.argsort(flat[winner], kind="stable")]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
