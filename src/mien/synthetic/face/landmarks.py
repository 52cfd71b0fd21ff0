"""Where the 68 iBUG landmarks lie on the mesh: eyes and lips on vertices, brows and nose by their frontal place, the
jaw by azimuth and height along its edge (fixed places in 3D: in a turned picture they do not slide to the silhouette).
"""

import numpy as np

from mien.core.landmarks import SCHEME_68
from mien.synthetic.face import template as plan
from mien.synthetic.face.mesh import Mesh, brow_height, column
from mien.synthetic.face.template import EYE_FIRST, EYE_LAST, EYE_ROW, LIP_ROWS, MOUTH_LAST, MOUTH_ROW

# Right half, subject's right ear to chin: azimuth in degrees, height.
_JAW = (
    (94, 0.03),
    (92, -0.21),
    (87, -0.43),
    (81, -0.635),
    (71, -0.835),
    (53, -1.02),
    (33, -1.125),
    (14, -1.18),
    (0, -1.20),
)
_BROW_X = (0.655, 0.555, 0.425, 0.275, 0.135)
_RIDGE_Y = (0.025, -0.11, -0.24, -0.365)
_NOSTRILS = ((0.148, -0.497), (0.072, -0.515), (0.0, -0.527))

Embedding = dict[int, tuple[int, np.ndarray]]


def landmark_embedding(mesh: Mesh) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [68] and barycentric weights [68, 3] of the landmarks in order; left mirrors right."""
    triangles = np.concatenate(mesh.triangles)
    skin = np.nonzero((triangles < mesh.grid.size).all(1) & np.isin(triangles, mesh.grid).all(1))[0]
    found = {i: _at_vertex(triangles, vertex) for i, vertex in _vertices(mesh).items()}
    places = [(17 + i, -x, float(brow_height(np.array(x)))) for i, x in enumerate(_BROW_X)]
    places += [(27 + i, 0.0, y) for i, y in enumerate(_RIDGE_Y)] + [
        (31 + i, -x, y) for i, (x, y) in enumerate(_NOSTRILS)
    ]
    for i, x, y in places:
        found[i] = _at_place(mesh.points[:, :2], triangles, skin, np.array([x, y]))
    unrolled = _unrolled(mesh)
    for i, (azimuth, height) in enumerate(_JAW):
        found[i] = _at_place(unrolled, triangles, skin, np.array([-np.radians(azimuth), height]))
    return _both_sides(mesh, triangles, found)


def _vertices(mesh: Mesh) -> dict[int, int]:
    """Eye and lip landmarks of the right half and the midline: vertices of the rims and of the red's borders."""
    g, e, m = mesh.grid, EYE_ROW, MOUTH_ROW
    top, low = m - LIP_ROWS, m + 1 + LIP_ROWS
    places = {36: (e, EYE_LAST), 37: (e, 17), 38: (e, 13), 39: (e, EYE_FIRST), 40: (e + 1, 13), 41: (e + 1, 17)}
    places |= {
        48: (m, MOUTH_LAST + 1),
        49: (top, 6),
        50: (top, 2),
        51: (top, 0),
        57: (low, 0),
        58: (low, 3),
        59: (low, 6),
    }
    places |= {60: (m, MOUTH_LAST), 61: (m, 3), 62: (m, 0), 66: (m + 1, 0), 67: (m + 1, 3)}
    return {i: int(g[row, column(-c)]) for i, (row, c) in places.items()}


def _unrolled(mesh: Mesh) -> np.ndarray:
    """Azimuth and height of every skin vertex, far away for the others, [vertices, 2]."""
    x, _, z = mesh.points.T
    azimuth = np.arctan2(x, z - plan.AXIS_Z)
    return np.stack([azimuth, mesh.points[:, 1]], -1)


def _at_vertex(triangles: np.ndarray, vertex: int) -> tuple[int, np.ndarray]:
    """The first triangle with that corner, and all weight on it."""
    triangle = int(np.nonzero((triangles == vertex).any(1))[0][0])
    return triangle, (triangles[triangle] == vertex).astype(float)


def _at_place(plane: np.ndarray, triangles: np.ndarray, among: np.ndarray, place: np.ndarray) -> tuple[int, np.ndarray]:
    """The triangle that covers a place of the plane, nearest to its middle if several do, and the place's weights."""
    a, b, c = (plane[triangles[among, k]] for k in range(3))
    twice = _cross(b - a, c - a)
    one, two = _cross(place - a, c - a), _cross(b - a, place - a)
    with np.errstate(divide="ignore", invalid="ignore"):
        weights = np.stack([1 - (one + two) / twice, one / twice, two / twice], -1)
    weights[twice <= 0] = -np.inf  # turned away
    best = int(np.argmax(weights.min(1)))
    share = np.clip(weights[best], 0, 1)
    return int(among[best]), share / share.sum()


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def _both_sides(mesh: Mesh, triangles: np.ndarray, found: Embedding) -> tuple[np.ndarray, np.ndarray]:
    """Fills in the left half through the mesh's mirror map."""
    number = {tuple(sorted(corners)): i for i, corners in enumerate(triangles.tolist())}
    index, weights = np.zeros(68, np.int32), np.zeros((68, 3))
    for i, (triangle, share) in found.items():
        index[i], weights[i] = triangle, share
        other = int(SCHEME_68.mirror[i])
        if other != i:
            image = mesh.mirror[triangles[triangle]].tolist()
            index[other] = number[tuple(sorted(image))]
            order = [image.index(corner) for corner in triangles[index[other]].tolist()]
            weights[other] = share[order]
    return index, weights
