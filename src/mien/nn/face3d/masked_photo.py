"""A photo without its face: what SMIRK's generator sees beside the render, so that it must read the expression there.

Retsinas et al., CVPR 2024, section 3.2: the face is cut out of the photo, and about one of a hundred pixels of it is
left, at places that are known on the mesh. When the expression changes, these pixels move with the mesh.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from mien.nn.face3d.render import Fragments, Triangles, Vertices

Photo = Float[Tensor, "batch 3 size size"]
Area = Bool[Tensor, "batch size size"]
DIRECTIONS = 48  # of the half-planes that bound a hull: an edge between two of them bulges by 3 % of its length
COLOUR_NOISE = 0.05  # standard deviation of the factor on the colour of a pixel that is left
HOLES, HOLE_SIDE = 5.0, 11 / 224  # mean number, and side in sides of the picture


@dataclass(frozen=True, eq=False)
class Marks:
    """Points of the mesh that are seen, with the photo's colour there."""

    sample: Int[Tensor, " marks"]
    """Which picture of the batch each is in."""
    triangle: Int[Tensor, " marks"]
    """In which triangle of the mesh it lies."""
    barycentric: Float[Tensor, "marks 3"]
    """Where in it, as weights of its corners."""
    colour: Float[Tensor, "marks 3"]
    """Of the photo there, RGB."""


def hull_area(points: Float[Tensor, "batch points 2"], *, size: int, margin: float = 0.0) -> Area:
    """Pixels within the convex hull of the points (in sides of the picture), grown by a margin, without any search: a
    hull is where no direction leads farther than the farthest point in that direction."""
    angle = torch.arange(DIRECTIONS, device=points.device) * (2 * torch.pi / DIRECTIONS)
    directions = torch.stack([angle.cos(), angle.sin()], dim=0)  # [2, directions]
    farthest = _dot(points, directions).amax(1) + margin  # [batch, directions]
    at = (torch.arange(size, device=points.device) + 0.5) / size
    places = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1).view(1, -1, 2)
    inside = (_dot(places, directions) <= farthest[:, None]).all(-1)
    return inside.view(-1, size, size)


def _dot(points: Float[Tensor, "batch points 2"], directions: Float[Tensor, "2 n"]) -> Float[Tensor, "batch points n"]:
    """Element by element: autocast would round a product of matrices."""
    return points[..., :1] * directions[0] + points[..., 1:] * directions[1]


def grown(area: Area, pixels: int) -> Area:
    """Dilated by a square of so many pixels to each side."""
    if pixels < 1:
        return area
    return F.max_pool2d(area[:, None].float(), 2 * pixels + 1, stride=1, padding=pixels)[:, 0] > 0


def marked(photo: Photo, fragments: Fragments, *, share: float, weight: Float[Tensor, " triangles"]) -> Marks:
    """Pixels of the mesh, on average `share` of the picture's where the mesh covers it with a mean weight of 1.

    weight: how likely a pixel of each triangle is taken, relative to others.
    """
    size = photo.shape[-1]
    odds = weight[fragments.triangle]
    per_picture = torch.zeros(len(photo), device=photo.device).index_add(0, fragments.sample, odds)
    odds = odds * (share * size * size / per_picture.clamp(min=1e-6))[fragments.sample]
    chosen = torch.rand(len(odds), device=photo.device) < odds
    sample, place = fragments.sample[chosen], fragments.places[chosen] % (size * size)
    colour = photo.flatten(2)[sample, :, place]
    return Marks(sample, fragments.triangle[chosen], fragments.barycentric[chosen].detach(), colour)


def masked_photo(
    photo: Photo, removed: Area, marks: Marks, projected: Vertices, triangles: Triangles
) -> Photo:  # fmt: skip
    """The photo, 0 where it is removed and in some holes, with the marks where the mesh now has them.

    projected: the vertices in the picture, as `project` gives them; those of another expression move the marks.
    """
    count, _, size, _ = photo.shape
    odds = HOLES / (size * size)
    holes = torch.rand(count, size, size, device=photo.device) < odds
    kept = ~(removed | grown(holes, round(HOLE_SIDE * size) // 2))
    corners = projected.detach()[marks.sample[:, None], triangles[marks.triangle], :2]
    place = ((corners * marks.barycentric[..., None]).sum(1) + 1) * (size / 2) - 0.5
    column, row = place.round().long().unbind(1)
    inside = (column >= 0) & (column < size) & (row >= 0) & (row < size)
    index = marks.sample[inside], slice(None), row[inside], column[inside]
    noise = 1 + COLOUR_NOISE * torch.randn(int(inside.sum()), 1, device=photo.device)
    result = photo * kept[:, None]
    result[index] = (marks.colour[inside] * noise).to(result.dtype)
    return result
