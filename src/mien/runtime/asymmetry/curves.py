"""Curves through a few points of the face, for any number of faces at once. x rises or falls along each curve."""

import numpy as np
from jaxtyping import Float

Curve = Float[np.ndarray, "*batch points 2"]


def chord(curve: Curve, x: np.ndarray) -> np.ndarray:
    """y at x on the polyline; beyond its ends that of the nearer end. [*batch], as x."""
    start, end = curve[..., :-1, :], curve[..., 1:, :]
    run = end[..., 0] - start[..., 0]
    share = (x[..., None] - start[..., 0]) / np.where(run == 0, 1, run)
    height = start[..., 1] + np.clip(share, 0, 1) * (end[..., 1] - start[..., 1])
    outside = np.maximum(np.maximum(-share, share - 1), 0) * np.abs(run)
    segment = np.argmin(np.where(run == 0, np.inf, outside), axis=-1)
    return np.take_along_axis(height, segment[..., None], axis=-1)[..., 0]


def cubic(curve: Curve, x: np.ndarray) -> np.ndarray:
    """y at x on the polynomial through all points (Lagrange): for the four points of a lid. [*batch].

    On the polyline where two points stand one above the other, as the lids of a profile may: no polynomial goes there.
    """
    result = np.zeros_like(x)
    apart = curve[..., :, None, 0] - curve[..., None, :, 0]
    apart = np.where(apart == 0, np.inf, apart)
    for i in range(curve.shape[-2]):
        weight = np.ones_like(x)
        for j in range(curve.shape[-2]):
            if j != i:
                weight = weight * (x - curve[..., j, 0]) / apart[..., i, j]
        result = result + weight * curve[..., i, 1]
    upright = np.isinf(apart).sum((-2, -1)) > curve.shape[-2]  # beside each point and itself
    return np.where(upright, chord(curve, x), result)


def parabola(curve: Curve, x: np.ndarray) -> np.ndarray:
    """y at x on the parabola of least squared distance in y: smooths the five points of a brow. [*batch]."""
    offset = curve[..., 0] - curve[..., :1, 0]
    size = np.maximum(np.abs(offset).max(-1, keepdims=True), 1e-9)
    basis = np.stack([np.ones_like(offset), offset / size, (offset / size) ** 2], axis=-1)
    coefficients = (np.linalg.pinv(basis) @ curve[..., 1:2])[..., 0]
    at = (x - curve[..., 0, 0]) / size[..., 0]
    return np.asarray(coefficients[..., 0] + coefficients[..., 1] * at + coefficients[..., 2] * at**2)


def area(polygon: Curve) -> np.ndarray:
    """Shoelace formula, without sign. [*batch]."""
    x, y = polygon[..., 0], polygon[..., 1]
    return np.asarray(np.abs((x * np.roll(y, -1, -1) - y * np.roll(x, -1, -1)).sum(-1)) / 2)


def angle(corner: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Degrees at the corner between the directions to two points, 0..180. [*batch]."""
    a, b = first - corner, second - corner
    cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    return np.asarray(np.degrees(np.arctan2(np.abs(cross), (a * b).sum(-1))))
