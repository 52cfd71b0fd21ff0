"""LPIPS 0.1 (Zhang et al., CVPR 2018): how different two pictures look, from features of AlexNet or VGG-16.

The weights are read from files by path and never downloaded: the backbone as torchvision has it (`features.N.weight`)
and the linear heads as the authors released them (`lin0.model.1.weight` ...), which weigh the channels.
"""

import re
from collections.abc import Mapping
from typing import Literal, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError

MEAN, STD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
NORM_EPSILON = 1e-10
Backbone = Literal["alex", "vgg"]
# Widths of the convolutions by stage; a maximum stands between two stages.
_VGG = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def _alex_layers() -> tuple[list[nn.Module], tuple[int, ...]]:
    """(torchvision's list, the places of the ReLUs whose outputs are compared)"""
    layers: list[nn.Module] = [
        nn.Conv2d(3, 64, 11, stride=4, padding=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(64, 192, 5, padding=2),
        nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(192, 384, 3, padding=1), nn.ReLU(), nn.Conv2d(384, 256, 3, padding=1),
        nn.ReLU(), nn.Conv2d(256, 256, 3, padding=1), nn.ReLU(),
    ]  # fmt: skip
    return layers, (1, 4, 7, 9, 11)


def _vgg_layers() -> tuple[list[nn.Module], tuple[int, ...]]:
    layers: list[nn.Module] = []
    taps, channels = [], 3
    for widths in _VGG:
        layers += [nn.MaxPool2d(2)] if layers else []
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        taps.append(len(layers) - 1)
    return layers, tuple(taps)


class Lpips(nn.Module):
    """The distance [batch] of pictures in -1..1; 0 for equal ones.

    weights: of backbone and linear heads together, by the released names. Raises MienError for the name of a weight
    that is missing.
    """

    scale: Tensor
    centre: Tensor

    def __init__(self, weights: Mapping[str, Tensor], *, backbone: Backbone = "alex") -> None:
        super().__init__()
        layers, self.taps = _alex_layers() if backbone == "alex" else _vgg_layers()
        self.features = nn.Sequential(*layers)
        widths = [cast(nn.Conv2d, layers[tap - 1]).out_channels for tap in self.taps]
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(width)) for width in widths)
        given = {_our_name(name): value for name, value in weights.items()}
        own = self.state_dict()
        for name, value in own.items():
            if name not in given or given[name].numel() != value.numel():
                what = "backbone" if name.startswith("features") else "linear heads"
                raise MienError(f"Not the {what} of LPIPS with {backbone}: {name} is missing or of another shape.")
        self.load_state_dict({name: given[name].reshape(value.shape) for name, value in own.items()})
        self.register_buffer("centre", torch.tensor(MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(STD).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def features_of(self, image: Float[Tensor, "batch 3 h w"]) -> list[Tensor]:
        """The five maps that are compared: every place's features have length 1, or are all 0."""
        x, found = (image - self.centre) / self.scale, []
        for place, layer in enumerate(self.features):
            x = layer(x)
            if place in self.taps:
                found.append(_unit(x))
        return found

    def by_layer(
        self, image: Float[Tensor, "batch 3 h w"], other: Float[Tensor, "batch 3 h w"]
    ) -> Float[Tensor, "batch 5"]:
        """The distance layer by layer; no gradient goes to `other`."""
        with torch.no_grad():
            wanted = self.features_of(other)
        found = self.features_of(image)
        terms = [
            ((a - b).square() * head[:, None, None]).sum(1).mean((1, 2))
            for a, b, head in zip(found, wanted, self.heads, strict=True)
        ]
        return torch.stack(terms, dim=1)

    def forward(
        self, image: Float[Tensor, "batch 3 h w"], other: Float[Tensor, "batch 3 h w"]
    ) -> Float[Tensor, " batch"]:
        return self.by_layer(image, other).sum(1)


def _unit(x: Tensor) -> Tensor:
    """Every place's features to length 1; autograd never meets the root of 0."""
    squares = x.square().sum(1, keepdim=True)
    norm = torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)
    return x / (norm + NORM_EPSILON)


def _our_name(name: str) -> str:
    """Of the linear heads as released (lin0.model.1.weight) and as pSp renames them (0.1.weight); others unchanged."""
    found = re.fullmatch(r"(?:lin)?(\d)\.(?:model\.)?1\.weight", name)
    return f"heads.{found[1]}" if found else name
