"""A renderer of meshes in plain PyTorch: a z-buffer, smooth normals, lights from fixed directions. CPU and CUDA.

Every triangle is compared with the pixels of its bounding box alone, all triangles of one size of box at once, and the
nearest wins by a reduction over pixels. Which triangle a pixel shows is not differentiable; what it shows there is, by
the corners' places and values.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mien.core.geometry import ALBEDO, LIGHT_INTENSITY, LIGHTS

Vertices = Float[Tensor, "batch vertices 3"]
Triangles = Int[Tensor, "triangles 3"]
CHUNK = 1 << 22  # pixel candidates compared at a time: memory stays below some 200 MB
TINY_AREA = 1e-8


@dataclass(frozen=True, eq=False)
class Fragments:
    """What each pixel shows."""

    triangle: Int[Tensor, "batch height width"]
    """Index of the nearest triangle, -1 where there is none."""
    barycentric: Float[Tensor, "batch height width 3"]
    """Place in it, as weights of its corners; 0 where there is none."""

    @property
    def covered(self) -> Bool[Tensor, "batch height width"]:
        return self.triangle >= 0


def vertex_normals(vertices: Vertices, triangles: Triangles) -> Vertices:
    """Unit normals: means of the normals of the triangles around, weighted by their areas."""
    a, b, c = (vertices[:, triangles[:, i]] for i in range(3))
    face = torch.linalg.cross(b - a, c - a)
    normals = torch.zeros_like(vertices)
    for corner in range(3):
        normals = normals.index_add(1, triangles[:, corner], face)
    return F.normalize(normals, dim=2, eps=1e-6)


def shading(normals: Float[Tensor, "*many 3"]) -> Float[Tensor, "*many 1"]:
    """Light that a white surface of that normal sends to the viewer: the mean over the lights of 1.7 times the cosine,
    cut to 0..1."""
    lights = F.normalize(torch.tensor(LIGHTS, dtype=normals.dtype, device=normals.device), dim=1)
    return LIGHT_INTENSITY * (normals @ lights.T).clamp(0, 1).mean(-1, keepdim=True)


def project(points: Float[Tensor, "batch n 3"], camera: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch n 3"]:
    """Weak perspective into the picture, -1..1: s (x + tx), -s (y + ty), -s z; y down, and smaller z is nearer.

    camera: scale, tx, ty.
    """
    scale, shift = camera[:, None, :1], camera[:, None, 1:]
    flat = scale * (points[..., :2] + shift)
    return torch.cat([flat[..., :1], -flat[..., 1:], -scale * points[..., 2:]], dim=2)


def rasterize(projected: Vertices, triangles: Triangles, *, size: int) -> Fragments:
    """The nearest triangle of each of size x size pixels; projected as `project` gives it.

    A pixel belongs to a triangle that contains its centre; both sides of a triangle are seen.
    """
    nearest = _nearest_triangles(projected.detach(), triangles, size)
    return Fragments(nearest, _barycentric(projected, triangles, nearest))


def interpolate(
    fragments: Fragments, triangles: Triangles, values: Float[Tensor, "batch vertices n"]
) -> Float[Tensor, "batch height width n"]:
    """The corners' values at each pixel; 0 where there is no triangle."""
    batch = torch.arange(len(values), device=values.device)[:, None, None, None]
    corners = values[batch, triangles[fragments.triangle.clamp(min=0)]]
    return (corners * fragments.barycentric[..., None]).sum(-2)


def render_grey(
    vertices: Vertices, triangles: Triangles, camera: Float[Tensor, "batch 3"], *, size: int = 224,
) -> Float[Tensor, "batch 3 size size"]:  # fmt: skip
    """A grey face in SMIRK's light, in 0..1, black around it; the normals are those of the unprojected mesh."""
    fragments = rasterize(project(vertices, camera), triangles, size=size)
    normals = interpolate(fragments, triangles, vertex_normals(vertices, triangles))
    grey = ALBEDO * shading(normals) * fragments.covered[..., None]
    return grey.permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


def _pixels(projected: Vertices, size: int) -> Vertices:
    """Places in pixels, whole numbers at pixel centres; z as it is."""
    return torch.cat([(projected[..., :2] + 1) * (size / 2) - 0.5, projected[..., 2:]], dim=2)


def _nearest_triangles(projected: Vertices, triangles: Triangles, size: int) -> Int[Tensor, "batch size size"]:
    batch, count = len(projected), len(triangles)
    corners = _pixels(projected, size)[:, triangles].reshape(-1, 3, 3)  # [batch * triangles, corner, xyz]
    low = corners[..., :2].amin(1).ceil().clamp(min=0, max=size)
    high = corners[..., :2].amax(1).floor().clamp(min=-1, max=size - 1)
    extent = (high - low).amax(1) + 1  # pixels along the longer side of the box; below 1: no centre in it
    inside = (high >= low).all(1)
    depth = torch.full((batch * size * size,), torch.iinfo(torch.int64).max, device=projected.device)
    side = 1
    while side < 2 * size:
        chosen = (inside & (extent <= side) & (extent > side // 2)).nonzero()[:, 0]
        for part in chosen.split(max(CHUNK // (side * side), 1)):
            _draw(depth, corners[part], low[part].long(), part // count, part % count, side=side, size=size)
        side *= 2
    shown = depth.view(batch, size, size)
    return torch.where(shown == torch.iinfo(torch.int64).max, -1, shown & 0xFFFFFFFF)


def _draw(
    depth: Int[Tensor, " pixels"], corners: Float[Tensor, "part 3 3"], low: Int[Tensor, "part 2"],
    sample: Int[Tensor, " part"], triangle: Int[Tensor, " part"], *, side: int, size: int,
) -> None:  # fmt: skip
    """Keeps in `depth`, in place, the smaller of what is there and these triangles: the depth's order in the upper 32
    bits, the triangle's index in the lower."""
    steps = torch.arange(side, device=depth.device)
    x, y = low[:, 0, None, None] + steps, low[:, 1, None, None] + steps[:, None]
    weights = _edge_weights(corners, x.to(corners.dtype), y.to(corners.dtype))
    z = sum(w * corners[:, i, 2, None, None] for i, w in enumerate(weights))
    assert isinstance(z, Tensor)
    hit = (weights[0] >= 0) & (weights[1] >= 0) & (weights[2] >= 0) & (x < size) & (y < size)
    where = (sample[:, None, None] * size + y) * size + x
    key = (_ordered(z) << 32) | triangle[:, None, None]
    depth.scatter_reduce_(0, where[hit], key[hit], "amin")


def _ordered(z: Float[Tensor, "*many"]) -> Int[Tensor, "*many"]:
    """Integers in the order of the floats."""
    bits = z.float().contiguous().view(torch.int32).long()
    return torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _edge_weights(
    corners: Float[Tensor, "n 3 3"], x: Float[Tensor, "n #h #w"], y: Float[Tensor, "n #h #w"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Barycentric weights of the points (x, y); outside a triangle one is negative, and NaN without an area."""
    (ax, ay), (bx, by), (cx, cy) = (corners[..., i, :2, None, None].unbind(-3) for i in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    area = torch.where(area.abs() < TINY_AREA, torch.nan, area)
    first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area
    second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area
    return first, second, 1 - first - second


def _barycentric(
    projected: Vertices, triangles: Triangles, nearest: Int[Tensor, "batch size size"]
) -> Float[Tensor, "batch size size 3"]:
    """Weights at each pixel of the triangle that it shows, by which the gradient reaches the corners."""
    size, covered = nearest.shape[-1], nearest >= 0
    sample, row, column = covered.nonzero(as_tuple=True)
    corners = _pixels(projected, size)[sample[:, None], triangles[nearest[covered]]]
    x, y = (place.to(projected.dtype)[:, None, None] for place in (column, row))
    weights = torch.stack([w[:, 0, 0] for w in _edge_weights(corners, x, y)], dim=1)
    result = projected.new_zeros(*nearest.shape, 3)
    return result.index_put((sample, row, column), weights)
