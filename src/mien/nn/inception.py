"""Inception v3 as the Fréchet inception distance looks through it, with the names of the file that FID is computed by.

Szegedy et al., Rethinking the Inception Architecture, CVPR 2016. The weights of 2015-12-05 were trained in TensorFlow,
whose average pooling leaves the border out and whose last block takes a maximum; torchvision's own network differs.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.weights import load_weights, weights_of

SIDE, FEATURES, CLASSES = 299, 2048, 1008
NORM_EPSILON = 0.001
Kernel = tuple[int, int]
Layer = tuple[str, int, Kernel]  # name, channels, kernel; two layers in one place stand side by side
Chain = Sequence["Layer | tuple[Layer, Layer]"]
Pool = Literal["average", "maximum", "halving"]

_ONE, _THREE, _FIVE, _WIDE, _TALL = (1, 1), (3, 3), (5, 5), (1, 7), (7, 1)


class ConvNorm(nn.Module):
    """Convolution without bias, norm, ReLU. The padding keeps the side where stride is 1."""

    def __init__(self, inputs: int, outputs: int, kernel: Kernel, *, stride: int = 1, padded: bool = True) -> None:
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=NORM_EPSILON)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Chains of convolutions side by side, and a pooling that may have a 1x1 convolution behind it.

    pool "halving": a maximum of stride 2, as which the last layer of every chain has too.
    """

    def __init__(self, inputs: int, chains: Sequence[Chain], *, pool: Pool, pool_outputs: int = 0) -> None:
        super().__init__()
        self.pool, self.chains = pool, list[list[tuple[str, ...]]]()
        self.outputs = pool_outputs or inputs
        for chain in chains:
            width, names = inputs, []
            for number, place in enumerate(chain):
                layers = (place,) if isinstance(place[0], str) else place
                halves = pool == "halving" and number == len(chain) - 1
                for name, outputs, kernel in layers:  # type: ignore[misc]
                    layer = ConvNorm(width, outputs, kernel, stride=2 if halves else 1, padded=not halves)
                    setattr(self, name, layer)
                names.append(tuple(layer[0] for layer in layers))
                width = sum(layer[1] for layer in layers)  # type: ignore[misc]
            self.chains.append(names)
            self.outputs += width
        if pool_outputs:
            self.branch_pool = ConvNorm(inputs, pool_outputs, _ONE)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        found = []
        for chain in self.chains:
            y = x
            for names in chain:
                y = torch.cat([getattr(self, name)(y) for name in names], dim=1)
            found.append(y)
        pooled = self._pooled(x)
        return torch.cat([*found, self.branch_pool(pooled) if hasattr(self, "branch_pool") else pooled], dim=1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "halving":
            return F.max_pool2d(x, 3, stride=2)
        if self.pool == "maximum":
            return F.max_pool2d(x, 3, stride=1, padding=1)
        return F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def _block_35(inputs: int, pool_outputs: int) -> Mixed:
    """At 35 x 35 places of a picture of 299 pixels."""
    chains = (
        [("branch1x1", 64, _ONE)],
        [("branch5x5_1", 48, _ONE), ("branch5x5_2", 64, _FIVE)],
        [("branch3x3dbl_1", 64, _ONE), ("branch3x3dbl_2", 96, _THREE), ("branch3x3dbl_3", 96, _THREE)],
    )
    return Mixed(inputs, chains, pool="average", pool_outputs=pool_outputs)


def _block_17(width: int) -> Mixed:
    """At 17 x 17 places; width: of the factorised 7 x 7 convolutions."""
    double = [("branch7x7dbl_1", width, _ONE), ("branch7x7dbl_2", width, _TALL), ("branch7x7dbl_3", width, _WIDE)]
    chains = (
        [("branch1x1", 192, _ONE)],
        [("branch7x7_1", width, _ONE), ("branch7x7_2", width, _WIDE), ("branch7x7_3", 192, _TALL)],
        [*double, ("branch7x7dbl_4", width, _TALL), ("branch7x7dbl_5", 192, _WIDE)],
    )
    return Mixed(768, chains, pool="average", pool_outputs=192)


def _block_8(inputs: int, pool: Pool) -> Mixed:
    """At 8 x 8 places."""
    rows, columns = (1, 3), (3, 1)
    double = [("branch3x3dbl_1", 448, _ONE), ("branch3x3dbl_2", 384, _THREE)]
    chains: tuple[Any, ...] = (
        [("branch1x1", 320, _ONE)],
        [("branch3x3_1", 384, _ONE), (("branch3x3_2a", 384, rows), ("branch3x3_2b", 384, columns))],
        [*double, (("branch3x3dbl_3a", 384, rows), ("branch3x3dbl_3b", 384, columns))],
    )
    return Mixed(inputs, chains, pool=pool, pool_outputs=192)


class Inception(nn.Module):
    """[batch, 3, h, w] in 0..1 to [batch, 2048], the mean over places of the last block.

    Pictures are resampled to 299 pixels, bilinear without a filter, as pytorch-fid does. `fc` never runs; the file has
    it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = ConvNorm(3, 32, _THREE, stride=2, padded=False)
        self.Conv2d_2a_3x3 = ConvNorm(32, 32, _THREE, padded=False)
        self.Conv2d_2b_3x3 = ConvNorm(32, 64, _THREE)
        self.Conv2d_3b_1x1 = ConvNorm(64, 80, _ONE)
        self.Conv2d_4a_3x3 = ConvNorm(80, 192, _THREE, padded=False)
        halved = [("branch3x3dbl_1", 64, _ONE), ("branch3x3dbl_2", 96, _THREE), ("branch3x3dbl_3", 96, _THREE)]
        seven = [("branch7x7x3_1", 192, _ONE), ("branch7x7x3_2", 192, _WIDE), ("branch7x7x3_3", 192, _TALL)]
        blocks = {
            "5b": _block_35(192, 32), "5c": _block_35(256, 64), "5d": _block_35(288, 64),
            "6a": Mixed(288, [[("branch3x3", 384, _THREE)], halved], pool="halving"),
            "6b": _block_17(128), "6c": _block_17(160), "6d": _block_17(160), "6e": _block_17(192),
            "7a": Mixed(
                768,
                [[("branch3x3_1", 192, _ONE), ("branch3x3_2", 320, _THREE)], [*seven, ("branch7x7x3_4", 192, _THREE)]],
                pool="halving",
            ),
            "7b": _block_8(1280, "average"), "7c": _block_8(2048, "maximum"),
        }  # fmt: skip
        self.block_names = [f"Mixed_{name}" for name in blocks]
        for name, block in zip(self.block_names, blocks.values(), strict=True):
            setattr(self, name, block)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def features(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 2048"]:
        """Of pictures in -1..1 at their own size."""
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(image)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, stride=2)))
        x = F.max_pool2d(x, 3, stride=2)
        for name in self.block_names:
            x = getattr(self, name)(x)
        return x.mean((2, 3))

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 2048"]:
        resized = F.interpolate(image, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
        return self.features(2 * resized - 1)


def inception_of(contents: Mapping[str, Any]) -> Inception:
    """The network of a released file (`pt_inception-2015-12-05-*.pth`). Raises MienError where a name does not meet."""
    network = Inception()
    load_weights(network, weights_of(contents), where="Inception of 2015-12-05")
    return network.eval().requires_grad_(False)
