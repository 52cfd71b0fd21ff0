"""The openings of a scanned face: edges of eyes and mouth in the mesh, and whether anything lies behind them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

LEFT_EYE, RIGHT_EYE, INNER_LIPS = range(42, 48), range(36, 42), range(60, 68)
_DEPTH = 0.05  # metres behind an opening's edge in which eyeballs and mouths lie
_LEAST = 8  # vertices of an opening's edge
_ALIKE = 3  # vertices at one place, as where lips touch


@dataclass(frozen=True, eq=False)
class Holes:
    """Edges of the openings with nothing behind them: vertices in order, counter-clockwise as seen from in front.
    None: there is no such opening, or something fills it.
    """

    left_eye: Int[np.ndarray, " left"] | None
    right_eye: Int[np.ndarray, " right"] | None
    mouth: Int[np.ndarray, " mouth"] | None


def holes(
    points: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"],
    landmarks: Float[np.ndarray, "68 3"],
) -> Holes:  # fmt: skip
    """The openings of a face in metres, the eyes' and the mouth's."""
    edges, parts = _edges(triangles), _parts(triangles, len(points))

    def of(numbers: range) -> np.ndarray | None:
        target = landmarks[list(numbers)]
        width = float(np.ptp(target[:, 0]))
        near = [edge for edge in edges if _lies_in(points[edge], target, width)]
        if not near:
            return None
        edge = max(near, key=len)
        return None if _filled(points, parts, edge) else edge

    return Holes(of(LEFT_EYE), of(RIGHT_EYE), of(INNER_LIPS))


def _lies_in(edge: np.ndarray, target: np.ndarray, width: float) -> bool:
    """Whether the edge surrounds about the middle of these landmarks and is not much larger than they."""
    away = edge.mean(0) - target.mean(0)
    return bool(np.linalg.norm(away) < 0.5 * width and 0.4 * width < np.ptp(edge[:, 0]) < 1.6 * width)


def _filled(points: np.ndarray, parts: np.ndarray, edge: np.ndarray) -> bool:
    """Whether vertices of another part of the mesh lie behind the edge."""
    low, high = points[edge].min(0), points[edge].max(0)
    margin = 0.2 * (high - low) + (0, 0.002, 0)
    low, high = low - margin - (0, 0, _DEPTH), high + margin
    inside = ((points > low) & (points < high)).all(1)
    return bool((inside & (parts != parts[edge[0]])).any())


def _edges(triangles: np.ndarray) -> list[np.ndarray]:
    """Every closed boundary of at least `_LEAST` vertices, in order."""
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]).astype(np.int64)
    count = int(triangles.max()) + 1
    open_ = pairs[~np.isin(pairs[:, 0] * count + pairs[:, 1], pairs[:, 1] * count + pairs[:, 0])]
    # Triangles lie left of their edges, so these run clockwise round an opening: follow them backwards.
    before = {b: a for a, b in open_.tolist()}
    found = []
    while before:
        start, here = before.popitem()
        edge = [start]
        while here != start and here in before:
            edge.append(here)
            here = before.pop(here)
        if here == start and len(edge) >= _LEAST:
            found.append(np.array(edge))
    return found


def _parts(triangles: np.ndarray, count: int) -> np.ndarray:
    """A number per vertex, alike where triangles connect them."""
    part = np.arange(count)
    while True:
        before = part.copy()
        least = part[triangles].min(1)
        for corner in range(3):
            np.minimum.at(part, triangles[:, corner], least)
        part = part[part]  # what a number stands for may itself have a smaller one
        if (part == before).all():
            return part


def mirror_of(points: Float[np.ndarray, "vertices 3"], *, within: float = 2e-4) -> Int[np.ndarray, " vertices"]:
    """Index of the vertex nearest to each one's mirror image, itself where none is within that many metres."""
    cells, images = np.floor(points / within).astype(np.int64), points * (-1, 1, 1)
    low, span = cells.min(0) - 2, np.ptp(cells, axis=0) + 5

    def keys(cells: np.ndarray) -> np.ndarray:
        a, b, c = np.clip(cells - low, 0, span - 1).T
        return np.asarray((a * span[1] + b) * span[2] + c)

    order = np.argsort(keys(cells), kind="stable")
    known = keys(cells)[order]
    mirror, best = np.arange(len(points)), np.full(len(points), within)
    looked = np.floor(images / within).astype(np.int64)
    for step in np.stack(np.meshgrid(*[(0, -1, 1)] * 3), -1).reshape(-1, 3):
        at = np.searchsorted(known, keys(looked + step))
        for more in range(_ALIKE):
            candidate = order[np.minimum(at + more, len(order) - 1)]
            away = np.linalg.norm(points[candidate] - images, axis=1)
            better = away < best
            mirror[better], best[better] = candidate[better], away[better]
    return mirror
