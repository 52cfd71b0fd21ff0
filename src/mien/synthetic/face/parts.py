"""What is not skin: eyeballs, the lids' inner rims, teeth, the inside of the mouth, ears. Inter-ocular units.

A sided part is built on the left and mirrored; a centred one is built on its right half and mirrored about x = 0.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mien.synthetic.face.template import EYE_CENTRE, EYE_RADIUS

# Islands of the texture plane under the face: (left, top, width, height).
EYE_ISLANDS = {"R": (0.01, 0.805, 0.18, 0.18), "L": (0.21, 0.805, 0.18, 0.18)}
TEETH_ISLAND, MOUTH_ISLAND = (0.42, 0.81, 0.2, 0.17), (0.65, 0.81, 0.16, 0.17)
EAR_ISLANDS = {"R": (0.83, 0.81, 0.07, 0.17), "L": (0.92, 0.81, 0.07, 0.17)}
EYE_RINGS = np.radians([12, 26, 42, 62, 84, 108])  # angles from the pupil; 26 degrees is the iris's edge
_AROUND_EYE, _AROUND_EAR = 20, 18
_TEETH = 9  # columns of half a row of teeth
# Rings into the mouth from the lips' rims: backwards, apart, narrower.
_BAG = ((0.022, 0.012, 0.985), (0.05, 0.085, 0.965), (0.17, 0.135, 0.92), (0.42, 0.09, 0.62))


@dataclass(frozen=True)
class Part:
    """A part of the head's mesh."""

    points: np.ndarray
    """[n, 3], inter-ocular units."""
    triangles: np.ndarray
    """[t, 3], indices of `points`."""
    plane: np.ndarray
    """[n, 2], 0..1 within its texture island."""
    mirror: np.ndarray | None = None
    """Index of each point's mirror image; None for a sided part."""


def on_island(island: tuple[float, ...], plane: np.ndarray) -> np.ndarray:
    """Places 0..1 within an island as places on the texture plane."""
    left, top, width, height = island
    return np.array([left, top]) + plane * (width, height)


def quads(top: np.ndarray, bottom: np.ndarray) -> list[tuple[int, int, int]]:
    """Triangles of the strip between two rows of indices, counter-clockwise when `bottom` is below `top`."""
    pairs = zip(pairwise(top.tolist()), pairwise(bottom.tolist()), strict=True)
    return [t for (a, b), (c, d) in pairs for t in ((a, c, d), (a, d, b))]


def eyeball() -> Part:
    """The left eyeball: rings about the pupil, open at the back where the head hides it."""
    angle = 2 * np.pi * np.arange(_AROUND_EYE) / _AROUND_EYE
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    polar = EYE_RINGS[:, None, None]
    points = np.concatenate(
        [np.sin(polar) * ring, np.broadcast_to(np.cos(polar), (len(EYE_RINGS), _AROUND_EYE, 1))], -1
    )
    points = np.concatenate([[[0, 0, 1.0]], points.reshape(-1, 3)]) * EYE_RADIUS + EYE_CENTRE
    plane = 0.5 + 0.5 * (polar / EYE_RINGS[-1]) * ring * (1, -1)
    index = 1 + np.arange(len(EYE_RINGS) * _AROUND_EYE).reshape(len(EYE_RINGS), _AROUND_EYE)
    closed = np.concatenate([index, index[:, :1]], 1)
    triangles = [(0, a, b) for a, b in zip(closed[0, :-1], closed[0, 1:], strict=True)]
    for inner, outer in pairwise(closed):
        triangles += quads(inner, outer)
    return Part(points, np.array(triangles), np.concatenate([[[0.5, 0.5]], plane.reshape(-1, 2)]))


def lid_rim(rim: np.ndarray) -> np.ndarray:
    """The lids' thickness: the opening's contour [n, 3] drawn into the eyeball, so that no gap shows."""
    inward = EYE_CENTRE + (rim - EYE_CENTRE) * 0.86
    away = np.linalg.norm(rim - EYE_CENTRE, axis=-1, keepdims=True)
    return np.where(away > EYE_RADIUS, inward - (0, 0, 0.02), inward)


def teeth(*, upper: bool) -> Part:
    """A row of teeth as one band along the dental arch with a cutting edge: rows gum, middle, edge, back."""
    half = np.arange(_TEETH + 1) / _TEETH
    x = 0.28 * (0.8 * half + 0.2 * np.sin(np.pi / 2 * half))
    z = (0.262 if upper else 0.248) - 2.4 * x**2 - 14 * x**4
    gum, edge = (-0.672, -0.772) if upper else (-0.868, -0.779)
    smile = (0.25 if upper else 0.12) * x**2
    rows = [(gum, -0.012), (0.5 * (gum + edge), 0.004), (edge, 0.0), (edge + (0.01 if upper else -0.01), -0.03)]
    left = np.stack([np.stack([x, y + smile, z + back], -1) for y, back in rows])  # rows, columns, 3
    full = np.concatenate([left[:, :0:-1] * (-1, 1, 1), left], 1)
    columns = full.shape[1]
    index = np.arange(4 * columns).reshape(4, columns)
    order = index if upper else index[::-1]
    triangles = [t for a, b in pairwise(order) for t in quads(a, b)]
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.array([0, 0.2, 0.4, 0.48]) + (0 if upper else 0.51))
    return Part(full.reshape(-1, 3), np.array(triangles), np.stack([u, v], -1).reshape(-1, 2), index[:, ::-1].ravel())


def mouth_bag(rim: np.ndarray, upward: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rings [rings, n, 3] and the last point behind the lips' rim [n, 3]; upward: 1 on the upper lip, -1 on the lower,
    0 in the corners."""
    rings = [np.stack([rim[:, 0] * w, rim[:, 1] + up * upward, rim[:, 2] - back], -1) for back, up, w in _BAG]
    return np.stack(rings), np.array([0.0, rim[:, 1].mean(), rim[:, 2].mean() - 0.6])


def ear() -> Part:
    """The left ear: a shell on the side of the head with helix, antihelix and concha, leaning back."""
    around = 2 * np.pi * np.arange(_AROUND_EAR) / _AROUND_EAR
    rings = (
        (0.0, -0.05),
        (0.3, -0.05),
        (0.52, -0.015),
        (0.7, 0.03),
        (0.84, 0.012),
        (0.96, 0.045),
        (1.0, 0.02),
        (0.82, -0.045),
        (0.55, -0.12),
    )
    points, plane = [], []
    for rho, out in rings:
        c, s = np.cos(around), np.sin(around)
        back = 0.185 * rho * c * (1 + 0.22 * s)
        up = 0.315 * rho * s
        lean = back + 0.16 * up  # the top leans backwards
        lift = 0.12 * np.clip(back / 0.185 + 0.55, 0, 2) * (0.75 + 0.25 * s)
        points.append(np.stack([0.838 + lift + out, -0.29 + up, -1.0 - lean], -1))
        plane.append(np.stack([0.5 - 0.48 * rho * c, 0.5 - 0.48 * rho * s], -1))
    index = np.arange(len(rings) * _AROUND_EAR).reshape(len(rings), _AROUND_EAR)
    closed = np.concatenate([index, index[:, :1]], 1)
    triangles = [t for a, b in pairwise(closed[1:]) for t in quads(a, b)]
    triangles += [(0, a, b) for a, b in zip(closed[1, :-1], closed[1, 1:], strict=True)]
    keep = np.concatenate([[0], np.arange(_AROUND_EAR, len(rings) * _AROUND_EAR)])
    renumber = np.full(len(rings) * _AROUND_EAR, 0)
    renumber[keep] = np.arange(len(keep))
    return Part(np.concatenate(points)[keep], renumber[np.array(triangles)], np.concatenate(plane)[keep])
