"""Faces on the device: a pack read once, and batches of it warped, lit, erased and mixed there, many at a time.

A grey face of 48 pixels is enlarged in the same warp that turns and shifts it, so it is resampled once. Without
augmentation that is exactly the enlargement that the network applies to a face of 48 pixels (`reduce_to`).
The ranges are those of `mien.data.transforms.Augmentation`; the random numbers come from a generator of one's own.
"""

import zipfile
from dataclasses import dataclass, fields
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.data.transforms import Augmentation

VERSION = 2
SIDE, MARGIN = 48, 12  # pixels of a face, and around a face with points
UNUSED, TRAIN, HELD_OUT = 0, 1, 2
MEAN, STD = 0.5, 0.25  # of PosterV2's grey input


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one kind, whole on one device."""

    pixels: Tensor
    """uint8 [n, side, side]; what is beyond SIDE is margin."""
    expression: Tensor
    """int64 [n]; -1 where there is none."""
    distribution: Tensor
    """[n, classes]; all 0 where there is none."""
    points: Tensor
    """[n, 68, 2] in sides of the crop without its margin; [n, 0, 2] where there are none."""
    part: Tensor
    """uint8 [n]: UNUSED, TRAIN or HELD_OUT."""

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: Tensor) -> "Faces":
        """Those at these places, or where a mask is true."""
        return Faces(**{f.name: getattr(self, f.name)[chosen] for f in fields(self)})

    def of(self, part: int) -> "Faces":
        return self.take(self.part == part)


@dataclass(frozen=True, eq=False)
class Pack:
    """What `benchmarks/teacher/pack.py` wrote."""

    classes: tuple[str, ...]
    names: list[str]
    """Of the training faces."""
    train: Faces
    valid: Faces
    valid_names: list[str]
    landmarks: Faces


def read_pack(path: Path, device: torch.device) -> Pack:
    """Raises MienError for another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MienError(f"{path} is no pack ({error}). benchmarks/teacher/pack.py writes one.") from error
    if int(arrays.get("version", 0)) != VERSION:
        raise MienError(f"{path} is not a pack of version {VERSION}. Write it again: benchmarks/teacher/pack.py.")
    points = arrays["points"]
    train, valid = _labelled(arrays, "train"), _labelled(arrays, "valid")
    crops = faces_of(arrays["points_sheet"], len(points), SIDE + 2 * MARGIN)
    none = np.zeros(len(points))
    landmarks = _faces(crops, none, np.zeros((len(points), 0)), points, arrays["points_part"])
    groups = [Faces(**{f.name: getattr(g, f.name).to(device) for f in fields(g)}) for g in (train, valid, landmarks)]
    names = arrays["train_names"].tolist(), arrays["valid_names"].tolist()
    return Pack(tuple(arrays["classes"].tolist()), names[0], groups[0], groups[1], names[1], groups[2])


def _labelled(arrays: dict[str, np.ndarray], side: str) -> Faces:
    expression = arrays[f"{side}_expression"]
    count = len(expression)
    pixels = faces_of(arrays[f"{side}_sheet"], count, SIDE)
    part = arrays.get(f"{side}_part", np.zeros(count))
    return _faces(pixels, expression, arrays[f"{side}_distribution"], np.zeros((count, 0, 2)), part)


def _faces(
    pixels: np.ndarray, expression: np.ndarray, distribution: np.ndarray, points: np.ndarray, part: np.ndarray
) -> Faces:
    return Faces(
        torch.from_numpy(pixels), torch.from_numpy(expression).long(), torch.from_numpy(distribution).float(),
        torch.from_numpy(points).float(), torch.from_numpy(part).to(torch.uint8),
    )  # fmt: skip


def faces_of(encoded: np.ndarray, count: int, side: int) -> np.ndarray:
    """uint8 [count, side, side] from a sheet."""
    grid = cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE)
    rows, columns = grid.shape[0] // side, grid.shape[1] // side
    cells = grid.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(-1, side, side)
    return np.ascontiguousarray(cells[:count])


@dataclass(frozen=True, eq=False)
class Warps:
    """An affine map for each face, in units of half a crop's side around its centre: new = linear @ old + shift."""

    linear: Tensor
    """[n, 2, 2]"""
    shift: Tensor
    """[n, 2]"""
    mirrored: Tensor
    """bool [n]"""


def random_warps(recipe: Augmentation, count: int, generator: Generator) -> Warps:
    """First mirrored, then scaled, sheared and turned, then shifted, as `Augmentation.warp`."""

    def u(*shape: int) -> Tensor:
        return torch.rand(*shape, count, generator=generator, device=generator.device)

    mirrored = u() < recipe.flip
    low, high = recipe.scale
    width = low * (high / low) ** u()
    height = low * (high / low) ** u() if recipe.scale_apart else width
    angle = torch.deg2rad((2 * u() - 1) * recipe.rotation_deg)
    lean = angle + torch.deg2rad((2 * u() - 1) * recipe.shear_deg)
    sign = torch.where(mirrored, -1.0, 1.0)
    rows = (sign * width * angle.cos(), -height * lean.sin()), (sign * width * angle.sin(), height * lean.cos())
    linear = torch.stack([torch.stack(row, dim=1) for row in rows], dim=1)
    return Warps(linear, (2 * u(2).T - 1) * 2 * recipe.shift, mirrored)


def fixed_warps(
    count: int,
    device: torch.device,
    *,
    mirrored: bool = False,
    scale: float = 1.0,
    shift: tuple[float, float] = (0.0, 0.0),
) -> Warps:
    """The same for every face; shift in sides of the crop."""
    linear = torch.tensor([[-scale if mirrored else scale, 0.0], [0.0, scale]], device=device).expand(count, 2, 2)
    offset = 2 * torch.tensor(shift, device=device).expand(count, 2)
    return Warps(linear, offset, torch.full((count,), mirrored, device=device))


def warped(pixels: Tensor, warps: Warps, size: int) -> Tensor:
    """Grey levels in 0..1 of uint8 [n, side, side], float32 [n, 1, size, size].

    Written out element by element: matrix products of float32 may be computed in fewer bits on a GPU.
    """
    (a, b), (c, d) = (row.unbind(1) for row in warps.linear.unbind(1))
    at = (2 * torch.arange(size, device=pixels.device) + 1) / size - 1
    dx = at[None, None, :] - warps.shift[:, 0, None, None]
    dy = at[None, :, None] - warps.shift[:, 1, None, None]
    scale = (SIDE / pixels.shape[1] / (a * d - b * c))[:, None, None]
    x = scale * (d[:, None, None] * dx - b[:, None, None] * dy)
    y = scale * (a[:, None, None] * dy - c[:, None, None] * dx)
    grid = torch.stack([x, y], dim=-1)
    return F.grid_sample(pixels[:, None].float() / 255, grid, padding_mode="reflection", align_corners=False)


def warped_points(points: Tensor, warps: Warps) -> Tensor:
    """The points [n, 68, 2], in sides of the crop; in a mirrored face the right eye is the one that was the left."""
    mirror = torch.as_tensor(SCHEME_68.mirror, device=points.device)
    points = torch.where(warps.mirrored[:, None, None], points[:, mirror], points)
    moved = (warps.linear[:, None] * (2 * points - 1)[:, :, None, :]).sum(-1) + warps.shift[:, None]
    return moved / 2 + 0.5


def lit(image: Tensor, recipe: Augmentation, generator: Generator) -> Tensor:
    """Brightness, contrast about the mean and gamma, as `Augmentation`'s own table of grey levels."""
    around = 2 * torch.rand(3, len(image), 1, 1, 1, generator=generator, device=image.device) - 1
    brightness, contrast = 1 + around[0] * recipe.brightness, 1 + around[1] * recipe.contrast
    mean = image.mean(dim=(1, 2, 3), keepdim=True) * brightness
    values = (contrast * (brightness * image - mean) + mean).clamp(1e-6, 1)  # 0 to a power has no finite logarithm
    return values ** torch.exp(around[2] * recipe.gamma)


def normalised(image: Tensor) -> Tensor:
    """As PosterV2's grey input: three equal channels, channels last."""
    three = ((image - MEAN) / STD).expand(-1, 3, -1, -1)
    return three.contiguous(memory_format=torch.channels_last)


def erased(image: Tensor, recipe: Augmentation, generator: Generator) -> Tensor:
    """RandomErasing after normalisation, one rectangle at most; one that would not fit is cut off at the border."""
    count, size = len(image), image.shape[-1]
    u = torch.rand(5, count, generator=generator, device=image.device)
    area = recipe.erase_scale[0] + u[0] * (recipe.erase_scale[1] - recipe.erase_scale[0])
    low, high = recipe.erase_ratio
    ratio = low * (high / low) ** u[1]
    hole = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()]).clamp(max=1)  # height, width in crop sides
    start = u[2:4] * (1 - hole)
    at = (torch.arange(size, device=image.device) + 0.5) / size
    inside = (at >= start[..., None]) & (at < (start + hole)[..., None])  # [2, n, size]
    where = inside[0][:, :, None] & inside[1][:, None, :] & (u[4] < recipe.erase_probability)[:, None, None]
    return image.masked_fill(where[:, None], 0.0)


def mixed(image: Tensor, distribution: Tensor, generator: Generator, *, probability: float) -> tuple[Tensor, Tensor]:
    """Mixup (Zhang et al., ICLR 2018) with a weight of Beta(1/2, 1/2), the arcsine law, for that share of the faces."""
    count, device = len(image), image.device
    u = torch.rand(2, count, generator=generator, device=device)
    weight = torch.where(u[0] < probability, torch.sin(u[1] * torch.pi / 2) ** 2, 0.0)
    partner = torch.randperm(count, generator=generator, device=device)
    weights = weight.view(-1, 1, 1, 1)
    return torch.lerp(image, image[partner], weights), torch.lerp(distribution, distribution[partner], weight[:, None])
