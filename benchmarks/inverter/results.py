"""What comes back of a run: pictures to look at, and errors of the inverter beside those of plain baselines.

A baseline of as many numbers as the inverter keeps of a face: principal components of the mirrored training faces,
weighted as the batches are. The measures need no trained network: L2 in -1..1, SSIM, the gradient magnitude similarity
deviation (GMSD, Xue et al., IEEE TIP 23(2), 2014; 0 is equal), and the Laplacian pyramid's mean absolute difference.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from inverter.faces import REAL, Faces, normalised
from mien.media.files import atomic_path
from mien.nn.losses.laplacian import laplacian_pyramid
from mien.nn.losses.reconstruction import ssim
from mien.systems.ifer.inversion import Asit

BATCH, GAP, ENLARGED, COLUMNS = 256, 2, 2, 16
GMSD_C = 170 / 255**2  # the published constant, for grey levels in 0..1
Rebuild = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Components:
    """Principal components of pictures whose mirror images count as much."""

    mean: Tensor
    """[3, side, side], its own mirror image"""
    values: Tensor
    """Variances, descending, of both kinds together"""
    even: Tensor
    """[values of the left half, n]"""
    odd: Tensor
    order: Tensor
    """Places of the components: below the number of even ones an even one"""

    def rebuild(self, image: Tensor, numbers: int) -> Tensor:
        """The picture by so many numbers."""
        chosen = self.order[:numbers]
        count = self.even.shape[1]
        found = []
        for half, vectors, own in (
            (halves(image - self.mean)[0], self.even, chosen[chosen < count]),
            (halves(image - self.mean)[1], self.odd, chosen[chosen >= count] - count),
        ):
            basis = vectors[:, own]
            found.append((half.double() @ basis) @ basis.T)
        return self.mean + whole(found[0].float(), found[1].float(), image.shape[-1])


def halves(image: Tensor) -> tuple[Tensor, Tensor]:
    """[n, 3 x side x side / 2] each: what is alike in the mirror and what changes its sign, an orthonormal change."""
    left = image[..., : image.shape[-1] // 2]
    right = image.flip(-1)[..., : image.shape[-1] // 2]
    return ((left + right) / 2**0.5).flatten(1), ((left - right) / 2**0.5).flatten(1)


def whole(even: Tensor, odd: Tensor, side: int) -> Tensor:
    """`halves` undone."""
    even, odd = (half.view(-1, 3, side, side // 2) for half in (even, odd))
    return torch.cat(((even + odd) / 2**0.5, ((even - odd) / 2**0.5).flip(-1)), dim=-1)


def components_of(faces: Faces, shares: Tensor, *, most: int = 20_000) -> Components:
    """Of the faces with these weights. The mirrored faces make the two halves independent: two small problems."""
    pixels, weights = faces.pixels[:most], shares[:most].double() / shares[:most].sum()
    image = torch.cat([normalised(part) for part in pixels.split(BATCH)]).contiguous()
    mean = (weights[:, None, None, None].float() * image).sum(0)
    mean = (mean + mean.flip(-1)) / 2
    found = []
    for half in halves(image - mean):
        found.append(principal_axes(half.double() * weights.sqrt()[:, None]))
    values = torch.cat([variances for variances, _ in found])
    order = values.argsort(descending=True)
    return Components(mean, values[order], found[0][1], found[1][1], order)


def principal_axes(rows: Tensor) -> tuple[Tensor, Tensor]:
    """(variances, descending; axes in columns) of float64 rows [n, d], whose squares are summed."""
    if len(rows) >= rows.shape[1]:
        variances, axes = torch.linalg.eigh(rows.T @ rows)
    else:
        variances, left = torch.linalg.eigh(rows @ rows.T)
        known = variances > 1e-10 * variances.max()
        variances, axes = variances[known], rows.T @ left[:, known] / variances[known].sqrt()
    return variances.flip(0), axes.flip(1)


def measures(picture: Tensor, image: Tensor) -> dict[str, float]:
    """Means over the pictures; both in -1..1, the rebuilt one cut off there."""
    picture = picture.clamp(-1, 1)
    bands = laplacian_pyramid(picture - image)
    return {
        "l2": float((picture - image).square().mean()),
        "ssim": float(ssim((picture + 1) / 2, (image + 1) / 2).mean()),
        "gmsd": float(gmsd((picture + 1) / 2, (image + 1) / 2).mean()),
        "laplacian": float(torch.stack([band.abs().mean() for band in bands]).sum()),
    }


def gmsd(picture: Tensor, image: Tensor) -> Tensor:
    """[batch] of pictures in 0..1: the deviation of how alike the luminance's gradients are, at half the size."""
    luminance = torch.tensor([0.299, 0.587, 0.114], device=image.device).view(1, 3, 1, 1)
    kernel = torch.tensor([[1.0, 0.0, -1.0]] * 3, device=image.device) / 3
    kernels = torch.stack([kernel, kernel.T])[:, None]
    magnitudes = []
    for each in (picture, image):
        grey = F.avg_pool2d((each * luminance).sum(1, keepdim=True), 2)
        magnitudes.append(F.conv2d(grey, kernels, padding=1).square().sum(1).sqrt())
    first, second = magnitudes
    alike = (2 * first * second + GMSD_C) / (first.square() + second.square() + GMSD_C)
    return alike.flatten(1).std(1, unbiased=False)


def inverter_of(system: Asit, *, residual: bool) -> Rebuild:
    """The inverter as a function of pictures; residual: with the feature residual."""

    def rebuild(image: Tensor) -> Tensor:
        return system.decode(system.encode(image), use_residual=residual)[0].image

    return rebuild


@torch.no_grad()
def rebuilt(rebuild: Rebuild, pixels: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """(source, rebuilt) in -1..1, float32, batch by batch."""
    for part in pixels.split(BATCH):
        image = normalised(part)
        yield image, rebuild(image).float()


def errors(methods: dict[str, Rebuild], held: Faces) -> dict[str, dict[str, dict[str, float]]]:
    """{source, "real" or "people": {method: {measure: value}}} on the held-out faces."""
    groups = {name: held.of(name) for name in (*REAL, "people")} | {"real": held.of(*REAL)}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, faces in groups.items():
        if not len(faces):
            continue
        found[name] = {"faces": {"count": float(len(faces))}}
        for method, rebuild in methods.items():
            pairs = list(rebuilt(rebuild, faces.pixels))
            image, picture = (torch.cat([pair[i] for pair in pairs]) for i in range(2))
            found[name][method] = measures(picture, image)
    return found


def grid(path: Path, rows: list[Tensor]) -> None:
    """Writes pictures in -1..1 as a PNG: each row one tensor [n, 3, side, side], enlarged. Long rows are broken, all
    at the same place."""
    lines = []
    for row in [part for parts in zip(*(row.split(COLUMNS) for row in rows), strict=True) for part in parts]:
        pixels = ((row.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        padded = np.pad(pixels, ((0, COLUMNS - len(pixels)), (0, GAP), (0, GAP), (0, 0)), constant_values=255)
        lines.append(np.concatenate(list(padded), axis=1))
    picture = cv2.cvtColor(np.concatenate(lines), cv2.COLOR_RGB2BGR)
    size = (picture.shape[1] * ENLARGED, picture.shape[0] * ENLARGED)
    done, data = cv2.imencode(".png", cv2.resize(picture, size, interpolation=cv2.INTER_NEAREST))
    assert done
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.tobytes())
