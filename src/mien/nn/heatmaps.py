"""Heat maps of landmarks: what a network learns for a point, and where the point is in what it learned.

A map is a Gaussian of height 1 on the point. Coordinates are map pixels with centres at whole numbers, x then y;
`to_map` and `to_crop` lead there from crop sides and back. Everything runs on the maps' device, without loops over
points, changes no argument and exports to ONNX.

Legacy is ParFace-Net's published code (Diaz Barros et al., FG 2024, after 3FabRec, CVPR 2020): targets on whole pixels
in a square window, and points read as whole pixels of a blurred map.
"""

import math
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

SIGMA = 7.0  # map pixels, for maps of 128: the published width
BLUR = 9  # side of the published box blur, map pixels
FLOOR = 0.2  # share of a map's height below which `spread` takes it for background


def to_map(points: Tensor, *, size: int, legacy: bool = False) -> Tensor:
    """Map pixels of points in crop sides. Published maps lie a quarter of a map pixel aside: crop pixel 2 i is map
    pixel i, where by the edges of both it is pixel 2 i + 1/2."""
    return points * size - (0.25 if legacy else 0.5)


def to_crop(points: Tensor, *, size: int, legacy: bool = False) -> Tensor:
    """Crop sides of points in map pixels: the inverse of `to_map`."""
    return (points + (0.25 if legacy else 0.5)) / size


def targets(points: Tensor, *, size: int, sigma: float = SIGMA, legacy: bool = False) -> Tensor:
    """[batch, points, size, size] maps of points [batch, points, 2] in map pixels, 1 on the point itself.

    A point outside gives the part of its Gaussian that is inside. legacy: the centre is a whole pixel, one too far to
    the right and below for coordinates below 2.5 sigma; zero beyond a square of 5 sigma a side.
    """
    grid = torch.arange(size, dtype=points.dtype, device=points.device)
    if not legacy:
        profile = torch.exp(-((grid - points.unsqueeze(-1)) ** 2) / (2 * sigma**2))
    else:
        side = int(5 * sigma)
        first = torch.trunc(points.clamp(max=size - 1) - side / 2).unsqueeze(-1)
        profile = torch.exp(-((grid - first - (side // 2 + 1)) ** 2) / (2 * sigma**2))
        profile = torch.where((grid >= first) & (grid < first + side), profile, 0)
    across, down = profile.unbind(-2)
    return down.unsqueeze(-1) * across.unsqueeze(-2)


def decode(maps: Tensor, *, sigma: float = SIGMA, legacy: bool = False, blur: bool = True) -> Tensor:
    """[batch, points, 2] in map pixels: the summit of each map, between pixels.

    Around its highest pixel in every few rows the logarithm of the map is fitted by a quadratic, twice: exact for
    Gaussians of any width, also beside and just over a border. sigma: the targets', which says what "around" is.
    legacy: the first highest pixel itself, of the map averaged over 9 x 9 with zeros around, or of the map (no blur).
    """
    if legacy:
        return _highest(blurred(maps) if blur else maps).to(maps.dtype)
    size = maps.shape[-1]
    radius = window_radius(sigma, size)
    point = _highest(maps, every=2 ** int(math.log2(radius)) if size % 4 == 0 else 1).to(maps.dtype)
    for _ in range(2):
        centre = point.round().clamp(radius, size - 1 - radius)
        point = centre + _summit(_windows(maps, centre.long(), radius), radius)
    return point


def window_radius(sigma: float, size: int) -> int:
    """How far the fit looks: where a Gaussian is still above two thirds, at least 1 pixel, at most 4 or half a map."""
    return max(1, min(round(0.6 * sigma), 4, (size - 1) // 2))


def blurred(maps: Tensor) -> Tensor:
    """The published 9 x 9 box blur: zeros around, always divided by 81."""
    border = BLUR // 2
    padded = F.pad(maps, (border, border, border, border))
    return _sums_of_nine(_sums_of_nine(padded, -1), -2) / BLUR**2


def _sums_of_nine(values: Tensor, axis: int) -> Tensor:
    """Of nine neighbours along an axis: pairs, fours, eights and one."""
    sums, length = values, values.shape[axis]
    for step in (1, 2, 4):
        length -= step
        sums = sums.narrow(axis, 0, length) + sums.narrow(axis, step, length)
    length -= 1
    return sums.narrow(axis, 0, length) + values.narrow(axis, BLUR - 1, length)


def peak_confidence(maps: Tensor) -> Tensor:
    """[batch, points], 0..1: the height of each map. Published: a point is good above 0.8."""
    return maps.amax((-2, -1)).clamp(0, 1)


def spread(maps: Tensor, points: Tensor) -> Tensor:
    """[batch, points], map pixels: root of the mean squared distance from `points` over the upper part of each map.

    The upper part is what exceeds FLOOR of the height. For a Gaussian around its point it is in proportion to its
    width (0.957 sigma); a second summit, a broad or a flat map give more.
    """
    height = maps.amax((-2, -1), keepdim=True)
    mass = (maps - FLOOR * height).clamp(min=0)
    grid = torch.arange(maps.shape[-1], dtype=maps.dtype, device=maps.device)
    x, y = points.unsqueeze(-1).unbind(-2)
    moment = (mass.sum(-2) * (grid - x) ** 2).sum(-1) + (mass.sum(-1) * (grid - y) ** 2).sum(-1)
    return (moment / mass.sum((-2, -1)).clamp(min=1e-12)).clamp(min=1e-12).sqrt()


def _highest(maps: Tensor, *, every: int = 1) -> Tensor:
    """[batch, points, 2] whole numbers: the first highest pixel, in reading order, of every so manieth row.

    By the row and then in it: the highest value alone is found many times faster than its place. The rows looked at lie
    alike in the steps of an upsampling network, so what it does differently from row to row does not mislead.
    """
    first = (every - 1) // 2
    y = maps[..., first::every, :].amax(-1).argmax(-1) * every + first
    row = maps.gather(-2, y[..., None, None].expand(*y.shape, 1, maps.shape[-1]))
    return torch.stack((row.squeeze(-2).argmax(-1), y), -1)


def _windows(maps: Tensor, centre: Tensor, radius: int) -> Tensor:
    """[batch, points, window * window]: the pixels around each centre, in reading order."""
    size = maps.shape[-1]
    step = torch.arange(-radius, radius + 1, device=maps.device)
    x, y = (centre.unsqueeze(-1) + step).unbind(-2)
    index = y.unsqueeze(-1) * size + x.unsqueeze(-2)
    return maps.flatten(-2).gather(-1, index.flatten(-2))


def _summit(windows: Tensor, radius: int) -> Tensor:
    """[batch, points, 2] from the window's centre: where the quadratic through the logarithms has its maximum.

    0 where it has none. At most one and a half times the window's radius.
    """
    height = windows.amax(-1, keepdim=True)
    logs = torch.log((windows / height.clamp(min=1e-6)).clamp(min=1e-3))
    operator = torch.from_numpy(_quadratic(radius)).to(logs.device, logs.dtype, non_blocking=True)
    x, y, xx, xy, yy = (logs @ operator.T).unbind(-1)
    determinant = 4 * xx * yy - xy**2
    peaked = (determinant > 1e-12) & (xx < 0) & (height[..., 0] > 0)
    safe = torch.where(peaked, determinant, 1.0)
    offset = torch.stack((xy * y - 2 * yy * x, xy * x - 2 * xx * y), -1) / safe.unsqueeze(-1)
    return torch.where(peaked.unsqueeze(-1), offset, 0.0).clamp(-1.5 * radius, 1.5 * radius)


@lru_cache
def _quadratic(radius: int) -> Float[np.ndarray, "5 pixels"]:
    """Least squares of a + b x + c y + d x^2 + e x y + f y^2 over a window gives (b, c, d, e, f)."""
    step = np.arange(-radius, radius + 1, dtype=np.float64)
    y, x = (part.ravel() for part in np.meshgrid(step, step, indexing="ij"))
    return np.linalg.pinv(np.stack((np.ones_like(x), x, y, x * x, x * y, y * y), -1))[1:]
