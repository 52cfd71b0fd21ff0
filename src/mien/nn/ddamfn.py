"""DDAMFN: MixedFeatureNet, and attention heads that look along both directions of its last map.

Zhang et al., A Dual-Direction Attention Mixed Feature Network for Facial Expression Recognition, Electronics 12(17),
2023. MixedFeatureNet is a MobileFaceNet whose depthwise convolutions have several kernel sizes at once and whose
bottlenecks weight their channels by coordinate attention (Hou et al., CVPR 2021).

Left out is what the released network holds and never runs: a norm and a PReLU in each mixed convolution, a pooling
layer in each head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.mobilefacenet import ConvNorm

Map = Float[Tensor, "batch channels height width"]
Factors = tuple[Float[Tensor, "batch c h 1"], Float[Tensor, "batch c 1 w"]]  # for each row, for each column


class MixedDepthwise(nn.Module):
    """Depthwise convolutions of several kernel sizes side by side, each over its share of the channels."""

    def __init__(self, channels: int, kernels: Sequence[int], shares: Sequence[float], *, stride: int = 1) -> None:
        super().__init__()
        counts = [int(channels * share) for share in shares[1:]]
        self.counts = [channels - sum(counts), *counts]
        self.convs = nn.ModuleList(
            nn.Conv2d(count, count, kernel, stride=stride, padding=kernel // 2, groups=count, bias=False)
            for count, kernel in zip(self.counts, kernels, strict=True)
        )

    def forward(self, x: Map) -> Float[Tensor, "batch channels h w"]:
        parts = x.split(self.counts, dim=1)
        return torch.cat([conv(part) for conv, part in zip(self.convs, parts, strict=True)], dim=1)


class CoordinateAttention(nn.Module):
    """x times one factor for each channel and row and one for each channel and column, from the means along them."""

    def __init__(self, channels: int, *, reduction: int = 32) -> None:
        super().__init__()
        hidden = max(8, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1)
        self.norm = nn.BatchNorm2d(hidden)
        self.rows, self.columns = nn.Conv2d(hidden, channels, 1), nn.Conv2d(hidden, channels, 1)

    def factors(self, rows: Float[Tensor, "batch c h 1"], columns: Float[Tensor, "batch c 1 w"]) -> Factors:
        """Both factors, in 0..1."""
        height = rows.shape[2]
        both = F.hardswish(self.norm(self.squeeze(torch.cat([rows, columns.transpose(2, 3)], dim=2))))
        by_row, by_column = both[:, :, :height], both[:, :, height:].transpose(2, 3)
        return torch.sigmoid(self.rows(by_row)), torch.sigmoid(self.columns(by_column))

    def forward(self, x: Map) -> Map:
        by_row, by_column = self.factors(x.mean(3, keepdim=True), x.mean(2, keepdim=True))
        return x * by_column * by_row


class MixedBottleneck(nn.Module):
    """1x1 to `hidden`, mixed depthwise, coordinate attention, linear 1x1; with the identity added where `residual`."""

    def __init__(
        self, inputs: int, outputs: int, hidden: int, kernels: Sequence[int], shares: Sequence[float], *,
        stride: int = 1, residual: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.residual = residual
        self.expand = ConvNorm(inputs, hidden)
        self.depthwise = MixedDepthwise(hidden, kernels, shares, stride=stride)
        self.attention = CoordinateAttention(hidden)
        self.project = ConvNorm(hidden, outputs, act=False)

    def forward(self, x: Map) -> Float[Tensor, "batch outputs h w"]:
        y = self.project(self.attention(self.depthwise(self.expand(x))))
        return x + y if self.residual else y


@dataclass(frozen=True)
class MixedStage:
    """A bottleneck that halves the map, and those that keep it."""

    down_expansion: int
    """Width inside the first bottleneck over the width that enters it."""
    down_kernels: tuple[int, ...]
    """Kernel sizes of the first bottleneck's depthwise convolutions."""
    down_shares: tuple[float, ...]
    """Share of the channels that each of them gets; the first gets what remains."""
    kernels: tuple[int, ...]
    """Kernel sizes of the others."""
    shares: tuple[float, ...]
    """Their shares of the channels."""


HALF, THREE_QUARTERS, FOUR, THIRDS = (0.5, 0.25, 0.25), (0.75, 0.25), (0.25,) * 4, (1 / 3,) * 3
STAGES = (
    MixedStage(2, (3, 5, 7), HALF, (3, 5), THREE_QUARTERS),
    MixedStage(4, (3, 5, 7), HALF, (3, 5), THREE_QUARTERS),
    MixedStage(8, (3, 5, 7, 9), FOUR, (3, 5, 7), THIRDS),
)
KEEP_EXPANSION = 2


class MixedFeatureNet(nn.Module):
    """A face [batch, 3, size, size] to a map [batch, features, size / 16, size / 16].

    widths, depths: channels and residual bottlenecks of the three stages. embedding: length of the identity vector
    that the network is pretrained with, 0 to leave that head out; the head needs `size`.
    """

    def __init__(
        self, *, size: int = 112, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (9, 16, 6),
        features: int = 512, embedding: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        first = widths[0]
        self.conv1 = ConvNorm(3, first, 3, stride=2, padding=1)
        self.conv2 = ConvNorm(first, first, 3, padding=1, groups=first)
        self.stages = nn.ModuleList()
        for stage, inputs, width, depth in zip(STAGES, (first, *widths[:-1]), widths, depths, strict=True):
            hidden = stage.down_expansion * inputs
            down = MixedBottleneck(inputs, width, hidden, stage.down_kernels, stage.down_shares, stride=2)
            keep = (
                MixedBottleneck(width, width, KEEP_EXPANSION * width, stage.kernels, stage.shares, residual=True)
                for _ in range(depth)
            )
            self.stages.append(nn.Sequential(down, *keep))
        self.features = ConvNorm(widths[-1], features)
        self.head = IdentityHead(features, side=size // 16, length=embedding) if embedding else None

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch features side side"]:
        x = self.conv2(self.conv1(image))
        for stage in self.stages:
            x = stage(x)
        return self.features(x)


class IdentityHead(nn.Module):
    """The map to a vector of length 1 that stands for the person."""

    def __init__(self, features: int, *, side: int, length: int) -> None:
        super().__init__()
        self.pool = ConvNorm(features, features, side, groups=features, act=False)
        self.linear = nn.Linear(features, length, bias=False)
        self.norm = nn.BatchNorm1d(length)

    def forward(self, x: Float[Tensor, "batch features side side"]) -> Float[Tensor, "batch length"]:
        return F.normalize(self.norm(self.linear(self.pool(x).flatten(1))), dim=1, eps=0.0)


class DualDirectionHead(nn.Module):
    """Attention of one head over a map, [batch, channels, side, side] in 0..1.

    As coordinate attention, with means replaced by depthwise convolutions over whole rows and whole columns, so that
    the map must be side x side.
    """

    def __init__(self, channels: int, *, side: int = 7, reduction: int = 32) -> None:
        super().__init__()
        self.along_rows = _line(channels, (1, side))
        self.along_columns = _line(channels, (side, 1))
        self.coordinate = CoordinateAttention(channels, reduction=reduction)

    def forward(self, x: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch channels side side"]:
        by_row, by_column = self.coordinate.factors(self.along_rows(x), self.along_columns(x))
        return by_column * by_row


class DualDirectionHeads(nn.ModuleList):
    """Several heads; forward gives the attention of each, `attend` the map weighted by the largest of them."""

    def __init__(self, channels: int, heads: int, *, side: int = 7) -> None:
        super().__init__(DualDirectionHead(channels, side=side) for _ in range(heads))

    def forward(self, x: Float[Tensor, "batch c side side"]) -> Float[Tensor, "heads batch c side side"]:
        return torch.stack([head(x) for head in self])

    @staticmethod
    def attend(
        x: Float[Tensor, "batch c side side"], maps: Float[Tensor, "heads batch c side side"]
    ) -> Float[Tensor, "batch c side side"]:
        return x * maps.amax(0)


def _line(channels: int, kernel: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, kernel, groups=channels, bias=False), nn.BatchNorm2d(channels)
    )  # fmt: skip
