"""A renderer of meshes in plain PyTorch: a z-buffer, smooth normals, lights from fixed directions. CPU and CUDA.

All rows of all triangles are bounded at once, then all their pixels, and the nearest triangle wins by a reduction over
the pixels. Which triangle a pixel shows is not differentiable; what it shows there is, by
the corners' places and values.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional as F

from mien.core.geometry import ALBEDO, LIGHT_INTENSITY, LIGHTS

Vertices = Float[Tensor, "batch vertices 3"]
Triangles = Int[Tensor, "triangles 3"]
CHUNK = 1 << 18  # triangles at a time: memory stays below some 300 MB
TINY_AREA = 1e-8  # square pixels, twice the area
EDGE = 1e-5  # of a weight: centres on an edge stay in, whatever the rounding
LEVEL = 1e-12  # of a weight per pixel: an edge along the row
NOTHING = torch.iinfo(torch.int64).max


@dataclass(frozen=True, eq=False)
class Fragments:
    """The pixels that show something, of all pictures of a batch in order."""

    shape: tuple[int, int, int]
    """Pictures, height, width."""
    places: Int[Tensor, " pixels"]
    """Flat index of each pixel in the batch of pictures, ascending."""
    triangle: Int[Tensor, " pixels"]
    """Index of the nearest triangle there."""
    barycentric: Float[Tensor, "pixels 3"]
    """Place in it, as weights of its corners; differentiable."""

    @property
    def sample(self) -> Int[Tensor, " pixels"]:
        """The picture that each pixel is of."""
        return self.places // (self.shape[1] * self.shape[2])

    @property
    def covered(self) -> Bool[Tensor, "batch height width"]:
        """Where the pictures show something."""
        return self.picture(torch.ones_like(self.places, dtype=torch.bool)[:, None])[..., 0]

    def interpolate(
        self, triangles: Triangles, values: Float[Tensor, "batch vertices n"]
    ) -> Float[Tensor, "pixels n"]:  # fmt: skip
        """The corners' values at each of the pixels."""
        corners = triangles[self.triangle] + (self.sample * values.shape[1])[:, None]
        return (values.flatten(0, 1)[corners] * self.barycentric[..., None]).sum(1)

    def picture(self, values: Shaped[Tensor, "pixels n"]) -> Shaped[Tensor, "batch height width n"]:
        """Values of the pixels put into pictures, 0 elsewhere."""
        batch, height, width = self.shape
        flat = values.new_zeros(batch * height * width, values.shape[1])
        return flat.index_put((self.places,), values).view(batch, height, width, -1)


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
    places = (nearest != NOTHING).nonzero()[:, 0]
    triangle, sample = nearest[places] & 0xFFFFFFFF, places // (size * size)
    corners = _pixels(projected, size).flatten(0, 1)[triangles[triangle] + (sample * projected.shape[1])[:, None]]
    weights = _barycentric(corners, places % size, places // size % size)
    return Fragments((len(projected), size, size), places, triangle, weights)


def render_grey(
    vertices: Vertices, triangles: Triangles, camera: Float[Tensor, "batch 3"], *, size: int = 224,
) -> Float[Tensor, "batch 3 size size"]:  # fmt: skip
    """A grey face in SMIRK's light, in 0..1, black around it; the normals are those of the unprojected mesh."""
    return grey_picture(rasterize(project(vertices, camera), triangles, size=size), vertices, triangles)


def grey_picture(
    fragments: Fragments, vertices: Vertices, triangles: Triangles
) -> Float[Tensor, "batch 3 height width"]:
    """What `render_grey` gives, of a mesh that is rasterised already."""
    grey = ALBEDO * shading(fragments.interpolate(triangles, vertex_normals(vertices, triangles)))
    return fragments.picture(grey).permute(0, 3, 1, 2).expand(-1, 3, -1, -1)


def _pixels(projected: Vertices, size: int) -> Vertices:
    """Places in pixels, whole numbers at pixel centres; z as it is."""
    return torch.cat([(projected[..., :2] + 1) * (size / 2) - 0.5, projected[..., 2:]], dim=2)


def _nearest_triangles(projected: Vertices, triangles: Triangles, size: int) -> Int[Tensor, " pixels"]:
    """For each pixel of all pictures NOTHING, or the nearest triangle's index in the lower 32 bits."""
    batch, count = len(projected), len(triangles)
    keys = torch.full((batch * size * size,), NOTHING, device=projected.device)
    for samples in torch.arange(batch, device=projected.device).split(max(CHUNK // max(count, 1), 1)):
        corners = _pixels(projected[samples], size)[:, triangles].reshape(-1, 3, 3)  # [triangles of all, corner, xyz]
        which, column, row, z = _covered_pixels(corners, size)
        sample = samples[which // count]
        key = (_ordered(z) << 32) | (which % count)  # the depth's order, then the triangle's index
        keys.scatter_reduce_(0, (sample * size + row) * size + column, key, "amin")
    return keys


def _covered_pixels(
    corners: Float[Tensor, "n 3 3"], size: int
) -> tuple[Int[Tensor, " pixels"], Int[Tensor, " pixels"], Int[Tensor, " pixels"], Float[Tensor, " pixels"]]:
    """Every pixel whose centre lies in a triangle: the triangle, column, row, depth. Of each row of each triangle the
    edges bound the columns, so that nothing else is compared."""
    low = corners[..., :2].amin(1).ceil().clamp(min=0, max=size)
    high = corners[..., :2].amax(1).floor().clamp(min=-1, max=size - 1)
    planes, area = _planes(corners)
    kept = ((high >= low).all(1) & (area.abs() >= TINY_AREA)).nonzero()[:, 0]
    low, high, planes = low[kept], high[kept], planes[kept]
    owner, place = _counted((high[:, 1] - low[:, 1]).long() + 1)
    of_row = planes[owner]  # [rows, weight or depth, (constant, per x, per y)]
    row = low[owner, 1] + place
    at_row = of_row[..., 0] + of_row[..., 2] * row[:, None]  # of each weight and the depth at column 0
    first, last = low[owner, 0], high[owner, 0]
    for weight in range(3):
        slope = of_row[:, weight, 1]
        bound = (-EDGE - at_row[:, weight]) / torch.where(slope.abs() < LEVEL, LEVEL, slope)
        rises, level = slope > 0, slope.abs() < LEVEL  # level: the whole row is in or out
        first = torch.where(rises | level, torch.maximum(first, bound), first)
        last = torch.where(rises | level, last, torch.minimum(last, bound))
    begin = first.ceil().clamp(0, size).long()
    line, place = _counted((last.floor().clamp(-1, size - 1).long() - begin + 1).clamp(min=0))
    column = begin[line] + place
    z = at_row[line, 3] + of_row[line, 3, 1] * column
    return kept[owner[line]], column, row[line].long(), z


def _planes(corners: Float[Tensor, "n 3 3"]) -> tuple[Float[Tensor, "n 4 3"], Float[Tensor, " n"]]:
    """The three weights and the depth as constant, change per column and per row; twice the areas."""
    a, b, c = corners[..., :2].unbind(1)
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    weights = []
    for start, end in ((b, c), (c, a), (a, b)):
        step = (end - start) / area[:, None]
        constant = step[:, 1] * start[:, 0] - step[:, 0] * start[:, 1]
        weights.append(torch.stack([constant, -step[:, 1], step[:, 0]], dim=1))
    of_weights = torch.stack(weights, dim=1)
    depth = (of_weights * corners[..., 2:]).sum(1, keepdim=True)
    return torch.cat([of_weights, depth], dim=1), area


def _counted(counts: Int[Tensor, " n"]) -> tuple[Int[Tensor, " total"], Int[Tensor, " total"]]:
    """For counts (2, 3): owners 0 0 1 1 1 and places 0 1 0 1 2."""
    owner = torch.repeat_interleave(torch.arange(len(counts), device=counts.device), counts)
    first = counts.cumsum(0) - counts
    return owner, torch.arange(len(owner), device=counts.device) - first[owner]


def _ordered(z: Float[Tensor, "*many"]) -> Int[Tensor, "*many"]:
    """Integers in the order of the floats."""
    bits = z.float().contiguous().view(torch.int32).long()
    return torch.where(bits < 0, -(bits & 0x7FFFFFFF), bits)


def _barycentric(
    corners: Float[Tensor, "pixels 3 3"], column: Int[Tensor, " pixels"], row: Int[Tensor, " pixels"]
) -> Float[Tensor, "pixels 3"]:
    """Weights of the corners (in pixels) at the pixel, by which the gradient reaches them."""
    (ax, ay), (bx, by), (cx, cy) = (corners[:, i, :2].unbind(1) for i in range(3))
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    first = ((bx - column) * (cy - row) - (by - row) * (cx - column)) / area
    second = ((cx - column) * (ay - row) - (cy - row) * (ax - column)) / area
    return torch.stack([first, second, 1 - first - second], dim=1)
