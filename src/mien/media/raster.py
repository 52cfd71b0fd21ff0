"""Triangles to pixels with a depth buffer, in NumPy: all rows of all triangles at once, then all their pixels at once.

Pixel centres lie at whole numbers, x to the right, y down. A pixel belongs to a triangle when its centre does. Depth is
the distance from the camera; the nearest triangle wins, and of equally near ones the first.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float, Int

from mien.core.geometry import ALBEDO, LIGHT_INTENSITY, LIGHTS

_NOTHING = np.int64(np.iinfo(np.int64).max)
_EDGE = 1e-5  # of a weight: centres on an edge stay in, whatever the rounding


@dataclass(frozen=True, eq=False)
class Raster:
    """Which triangle each pixel shows."""

    size: tuple[int, int]
    """Height, width."""
    covered: Int[np.ndarray, "pixels"]
    """Flat indices of the pixels that show a triangle, ascending."""
    triangle: Int[np.ndarray, "pixels"]
    """Index, for each covered pixel."""
    weights: Float[np.ndarray, "pixels 3"]
    """Barycentric weights of its corners."""
    depth: Float[np.ndarray, "pixels"]
    """For each covered pixel."""

    @property
    def depth_map(self) -> Float[np.ndarray, "height width"]:
        """float32, infinite where there is nothing."""
        return self.picture(self.depth, np.inf)

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


def grey_shading(normals: Float[np.ndarray, "*many 3"]) -> Float[np.ndarray, "*many"]:
    """Grey level in 0..1 of skin with these normals (y up, z to the viewer), in SMIRK's light: the same as
    nn.face3d.render gives."""
    lights = np.array(LIGHTS, np.float32)
    lights /= np.sqrt((lights**2).sum(1, keepdims=True))
    return ALBEDO * LIGHT_INTENSITY * (normals @ lights.T).clip(0, 1).mean(-1)


def rasterise(
    points_px: Float[np.ndarray, "vertices 2"],
    depth: Float[np.ndarray, "vertices"],
    triangles: Int[np.ndarray, "triangles 3"],
    size: tuple[int, int],
    *,
    cull: bool | Bool[np.ndarray, "triangles"] = False,
) -> Raster:
    """The nearest triangle of every pixel. size: height, width. cull: leave out triangles (all, or those
    marked) that turn away.

    A triangle faces us when its corners run counter-clockwise as seen by us (so in pixels, y down, its area is
    negative). Weights are perspective-correct. Triangles with a corner behind the camera (depth <= 0) are left out.
    """
    corners = np.asarray(points_px, np.float32)[triangles]  # [triangles, 3, 2]
    near = 1 / np.asarray(depth, np.float32)[triangles]  # linear on the screen, unlike depth
    area = _cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    low, high = _boxes(corners, size)
    kept = (high >= low).all(-1) & (near > 0).all(-1) & (np.abs(area) > 1e-9)
    if cull is not False:
        kept &= (area < 0) | ~np.asarray(cull)
    index = np.flatnonzero(kept)
    planes = _planes(corners[index], area[index])
    which, x, y, nearness = _pixels(planes, near[index], low[index], high[index])
    flat = y.astype(np.int64) * size[1] + x
    winner = _nearest(flat, nearness, which, size)
    which, x, y, nearness = which[winner], x[winner], y[winner], nearness[winner]
    first, second = (planes[k, 0, which] + planes[k, 1, which] * x + planes[k, 2, which] * y for k in (0, 1))
    shares = np.stack([first, second, 1 - first - second], -1) * near[index[which]]
    shares = np.maximum(shares, 0)
    shares /= shares.sum(-1, keepdims=True)
    return Raster(size, flat[winner], index[which], shares, 1 / nearness)


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


def _planes(corners: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Screen weights as affine functions: [3 corners, (constant, per x, per y), triangles]."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    planes = np.empty((3, 3, len(area)), np.float32)
    for plane, start, end in zip(planes, (b, c, a), (c, a, b), strict=True):
        step = (end - start) / area[:, None]
        plane[0] = step[:, 1] * start[:, 0] - step[:, 0] * start[:, 1]
        plane[1], plane[2] = -step[:, 1], step[:, 0]
    return planes


def _pixels(
    planes: np.ndarray, near: np.ndarray, low: np.ndarray, high: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Every pixel inside every triangle: which triangle, x, y, 1 / depth. Per row the three edges bound x."""
    height = high[:, 1] - low[:, 1] + 1
    owner, place = _counted(height)
    row = low[owner, 1] + place
    first, last = low[owner, 0].astype(np.float32), high[owner, 0].astype(np.float32)
    for constant, per_x, per_y in planes:
        slope = np.where(np.abs(per_x) < 1e-12, np.float32(1e-12), per_x)
        bound = (-_EDGE - constant[owner] - per_y[owner] * row) / slope[owner]
        rising = per_x[owner] > 0
        flat = np.abs(per_x[owner]) < 1e-12  # level edge: the whole row is in or out
        np.copyto(first, np.maximum(first, bound), where=rising | flat)
        np.copyto(last, np.minimum(last, bound), where=~rising & ~flat)
    start = np.ceil(first).clip(0, 1 << 20).astype(np.int32)
    count = np.maximum(np.floor(last).clip(-1, 1 << 20).astype(np.int32) - start + 1, 0)
    line, place = _counted(count)
    depth_plane = [(planes[:, part] * near.T).sum(0) for part in range(3)]
    base = depth_plane[0][owner] + depth_plane[2][owner] * row
    which, x = owner[line], start[line] + place
    return which, x, row[line], base[line] + depth_plane[1][which] * x


def _counted(count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For counts (2, 3): owners 0 0 1 1 1 and places 0 1 0 1 2."""
    owner = np.repeat(np.arange(len(count), dtype=np.int32), count)
    first = (np.cumsum(count) - count).astype(np.int32)
    return owner, np.arange(len(owner), dtype=np.int32) - first[owner]


def _nearest(flat: np.ndarray, nearness: np.ndarray, which: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Index of the winning entry of each covered pixel, pixels ascending. Depth and triangle share one integer key."""
    bits = np.maximum(nearness, 0).astype(np.float32).view(np.int32).astype(np.int64)
    key = ((np.int64(0x7FFFFFFF) - bits) << 32) | which
    buffer = np.full(size[0] * size[1], _NOTHING)
    np.minimum.at(buffer, flat, key)
    winner = np.flatnonzero(buffer[flat] == key)
    order = np.empty(len(buffer), np.int64)
    order[flat[winner]] = winner
    return order[buffer != _NOTHING]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]
