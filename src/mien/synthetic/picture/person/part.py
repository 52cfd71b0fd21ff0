"""Part: one mesh of the scene with its colours; and simple meshes (tubes, lofts, balls) to make things of."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mien.synthetic.picture.shading import vertex_normals


@dataclass(frozen=True, eq=False)
class Part:
    """A mesh in the view frame. gloss, sharpness and softness are those of Surface."""

    name: str
    """Begins with its label: hair, body or occluder."""
    points: Float[np.ndarray, "vertices 3"]
    """Metres."""
    triangles: Int[np.ndarray, "triangles 3"]
    """Indices of `points`."""
    colour: Float[np.ndarray, "vertices 3"]
    """Linear RGB."""
    normals: Float[np.ndarray, "vertices 3"] | None = None
    """Unit; None computes them from the triangles."""
    gloss: float = 0.03
    """Strength of the highlight."""
    sharpness: float = 12.0
    """Exponent of the highlight."""
    softness: float = 0.0
    """Softness of the terminator."""
    strand: bool = False
    """Hair, lit along its strands."""
    cull: bool = False
    """Leave out back faces, which are not visible of closed meshes."""
    grain: Float[np.ndarray, "vertices 2"] | None = None
    """Places of a strand on the noise."""

    def all_normals(self) -> np.ndarray:
        return vertex_normals(self.points, self.triangles) if self.normals is None else self.normals


def painted(colour: np.ndarray, count: int) -> np.ndarray:
    """One colour for that many vertices."""
    return np.broadcast_to(np.asarray(colour, np.float32), (count, 3))


def lofted(rings: Float[np.ndarray, "rings points 3"], *, closed: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Vertices [rings * points, 3] and triangles of a surface through rings, counter-clockwise outside where each ring
    runs counter-clockwise as seen from the last one."""
    count, around = rings.shape[:2]
    i, j = np.meshgrid(np.arange(count - 1), np.arange(around if closed else around - 1), indexing="ij")
    a = (i * around + j).ravel()
    b = (i * around + (j + 1) % around).ravel()
    c, d = a + around, b + around
    triangles = np.concatenate([np.stack([a, b, c], -1), np.stack([b, d, c], -1)])
    return rings.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32)


def tube(path: Float[np.ndarray, "n 3"], radius: float | np.ndarray, around: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A round tube along a path; `radius` may change along it."""
    path = np.asarray(path, np.float32)
    forward = np.gradient(path, axis=0)
    forward /= np.linalg.norm(forward, axis=-1, keepdims=True) + 1e-9
    helper = np.where(np.abs(forward[:, 1:2]) > 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    side = np.cross(forward, helper)
    side /= np.linalg.norm(side, axis=-1, keepdims=True) + 1e-9
    up = np.cross(forward, side)
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    ring = np.cos(angle)[:, None] * side[:, None] + np.sin(angle)[:, None] * up[:, None]
    return lofted(path[:, None] + ring * np.broadcast_to(radius, len(path))[:, None, None])


def ball(centre: np.ndarray, radii: np.ndarray, rings: int = 8, around: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """An ellipsoid."""
    polar = np.linspace(0, np.pi, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)[None]
    points = [np.sin(polar) * np.cos(angle), np.cos(polar) + 0 * angle, np.sin(polar) * np.sin(angle)]
    return lofted(np.stack(points, -1) * radii + centre)


def joined(meshes: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Several meshes as one."""
    offsets = np.cumsum([0, *(len(points) for points, _ in meshes)])
    triangles = [corners + offset for (_, corners), offset in zip(meshes, offsets[:-1], strict=True)]
    return np.concatenate([points for points, _ in meshes]), np.concatenate(triangles).astype(np.int32)
