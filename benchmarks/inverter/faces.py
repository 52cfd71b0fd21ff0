"""Faces on the device: a pack read once, and batches of it mirrored, moved a little and lit there, many at a time."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from mien.core.errors import MienError

VERSION = 1
SIDE = 64
TRAIN, HELD_OUT = 0, 1
SOURCES = ("london", "lfw", "w300", "people")
REAL = ("london", "lfw", "w300")


@dataclass(frozen=True, eq=False)
class Faces:
    """Faces of one part, whole on one device."""

    pixels: Tensor
    """uint8 [n, 3, side, side]"""
    source: Tensor
    """int64 [n]: place in SOURCES."""

    def __len__(self) -> int:
        return len(self.pixels)

    def of(self, *sources: str) -> "Faces":
        places = torch.tensor([SOURCES.index(name) for name in sources], device=self.source.device)
        chosen = torch.isin(self.source, places)
        return Faces(self.pixels[chosen], self.source[chosen])

    def shares(self, weights: dict[str, float]) -> Tensor:
        """[n] probabilities of being drawn, so that each source has about the given share of a batch."""
        share = torch.zeros(len(self), device=self.source.device)
        for name, weight in weights.items():
            own = self.source == SOURCES.index(name)
            share[own] = weight / max(int(own.sum()), 1)
        return share / share.sum()


def read_pack(path: Path, device: torch.device) -> tuple[Faces, Faces]:
    """The faces to train on and those that are held out. Raises MienError for another file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise MienError(f"{path} is no pack ({error}). benchmarks/inverter/pack.py writes one.") from error
    if int(arrays.get("version", 0)) != VERSION or int(arrays.get("side", 0)) != SIDE:
        raise MienError(f"{path} is not a pack of version {VERSION}. Write it again: benchmarks/inverter/pack.py.")
    return _part(arrays, TRAIN, device), _part(arrays, HELD_OUT, device)


def _part(arrays: dict[str, np.ndarray], part: int, device: torch.device) -> Faces:
    pixels, source = [], []
    for place, name in enumerate(SOURCES):
        if f"{name}_{part}_jpg" in arrays and (count := int(arrays[f"{name}_{part}_count"])):
            pixels.append(faces_of(arrays[f"{name}_{part}_jpg"], count))
            source.append(np.full(count, place))
    whole = torch.from_numpy(np.concatenate(pixels)).permute(0, 3, 1, 2).contiguous()
    return Faces(whole.to(device), torch.from_numpy(np.concatenate(source)).to(device))


def faces_of(jpg: np.ndarray, count: int) -> np.ndarray:
    """uint8 [count, side, side, 3], RGB, from a sheet."""
    grid = cv2.cvtColor(cv2.imdecode(jpg, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    rows, columns = grid.shape[0] // SIDE, grid.shape[1] // SIDE
    cells = grid.reshape(rows, SIDE, columns, SIDE, 3).transpose(0, 2, 1, 3, 4).reshape(-1, SIDE, SIDE, 3)
    return np.ascontiguousarray(cells[:count])


def normalised(pixels: Tensor) -> Tensor:
    """float32 [n, 3, side, side] in -1..1, channels last."""
    return (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def mirrored(image: Tensor, generator: Generator) -> Tensor:
    """Half of the pictures mirrored."""
    flip = torch.rand(len(image), 1, 1, 1, generator=generator, device=image.device) < 0.5
    return torch.where(flip, image.flip(3), image)


def moved(
    image: Tensor, generator: Generator, *, shift: float = 0.03, turn_deg: float = 4.0, scale: float = 0.05
) -> Tensor:
    """Shifted (shares of a side), turned and scaled a little, as points that are a little off would have it."""
    count, device = len(image), image.device
    u = 2 * torch.rand(4, count, generator=generator, device=device) - 1
    angle, size = torch.deg2rad(turn_deg * u[0]), torch.exp(scale * u[1])
    cos, sin = size * angle.cos(), size * angle.sin()
    rows = torch.stack([cos, -sin, 2 * shift * u[2], sin, cos, 2 * shift * u[3]], dim=1)
    grid = F.affine_grid(rows.view(count, 2, 3), list(image.shape), align_corners=False)
    return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)


def lit(image: Tensor, generator: Generator, *, brightness: float = 0.15, contrast: float = 0.2) -> Tensor:
    """Brightness and contrast about the mean, within -1..1; a quarter of the pictures grey."""
    u = 2 * torch.rand(3, len(image), 1, 1, 1, generator=generator, device=image.device) - 1
    mean = image.mean(dim=(1, 2, 3), keepdim=True)
    image = (1 + contrast * u[0]) * (image - mean) + mean + brightness * u[1]
    grey = image.mean(dim=1, keepdim=True)
    return torch.where(u[2] < -0.5, grey, image).clamp(-1, 1)
