"""The residual discriminator of StyleGAN2, and the encoder that the inversion discriminator makes of its blocks."""

import math
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.stylegan2.generator import channels_at, check_size
from mien.nn.stylegan2.ops import Blur, EqualConv, EqualLinear, scaled_leaky_relu

DEVIATION_GROUP, DEVIATION_EPSILON = 4, 1e-8


class ConvAct(nn.Module):
    """(Filter,) convolution, bias, scaled leaky ReLU. down: half the sides, filtered before the stride."""

    def __init__(self, inputs: int, outputs: int, side: int, *, down: bool = False) -> None:
        super().__init__()
        self.blur = Blur(inputs, pad=2) if down else None
        self.conv = EqualConv(inputs, outputs, side, stride=2 if down else 1, padding=0 if down else side // 2)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        return scaled_leaky_relu(self.conv(x if self.blur is None else self.blur(x)), self.bias)


class ResidualDown(nn.Module):
    """Two convolutions that halve the sides, and a filtered 1x1 shortcut; their sum over sqrt(2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1, self.conv2 = ConvAct(inputs, inputs, 3), ConvAct(inputs, outputs, 3, down=True)
        self.shortcut_blur = Blur(inputs, pad=1, stride=2)  # only the pixels that the stride keeps
        self.shortcut = EqualConv(inputs, outputs, 1)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        return (self.conv2(self.conv1(x)) + self.shortcut(self.shortcut_blur(x))) / math.sqrt(2)


def residual_stack(size: int, *, channel_multiplier: int | float, most_channels: int) -> nn.Sequential:
    """Colours to a map of 4 x 4: one 1x1 convolution, and a block for each halving."""
    check_size(size)
    sides = [size >> i for i in range(int(math.log2(size)) - 1)]
    widths = [channels_at(side, channel_multiplier=channel_multiplier, most_channels=most_channels) for side in sides]
    blocks = [ResidualDown(inputs, outputs) for inputs, outputs in pairwise(widths)]
    return nn.Sequential(ConvAct(3, widths[0], 1), *blocks)


def minibatch_deviation(x: Float[Tensor, "batch channels h w"], *, group: int = DEVIATION_GROUP) -> Tensor:
    """[batch, channels + 1, h, w]: one map more, the mean standard deviation among the samples of a group.

    Samples i, i + batch / group, ... are a group; of a batch that groups of that size do not divide, such as the last
    one of an epoch, groups are the next smaller ones that do.
    """
    group = next(size for size in range(min(len(x), group), 0, -1) if len(x) % size == 0)
    grouped = x.float().unflatten(0, (group, -1))
    deviation = (grouped.var(0, unbiased=False) + DEVIATION_EPSILON).sqrt().mean((1, 2, 3))
    added = deviation.repeat(group)[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat((x, added.to(x.dtype)), dim=1)


class Discriminator(nn.Module):
    """[batch, 3, size, size] to the logit [batch, 1] that the picture is a real one."""

    def __init__(self, *, size: int = 256, channel_multiplier: int | float = 2, most_channels: int = 512) -> None:
        super().__init__()
        self.size = size
        self.convs = residual_stack(size, channel_multiplier=channel_multiplier, most_channels=most_channels)
        width = channels_at(4, channel_multiplier=channel_multiplier, most_channels=most_channels)
        self.last_conv = ConvAct(width + 1, width, 3)
        self.hidden, self.logit = EqualLinear(width * 16, width, activate=True), EqualLinear(width, 1)

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 1"]:
        if image.shape[-1] != self.size:
            raise MienError(f"This discriminator is for {self.size} pixels; got pictures of {image.shape[-1]}.")
        x = self.last_conv(minibatch_deviation(self.convs(image)))
        return self.logit(self.hidden(x.flatten(1)))


class PictureEmbedding(nn.Module):
    """[batch, 3, size, size] to [batch, outputs]: the discriminator's blocks, their mean over places, one linear."""

    def __init__(
        self, *, size: int = 256, outputs: int = 128, channel_multiplier: int | float = 2, most_channels: int = 512
    ) -> None:
        super().__init__()
        self.convs = residual_stack(size, channel_multiplier=channel_multiplier, most_channels=most_channels)
        width = channels_at(4, channel_multiplier=channel_multiplier, most_channels=most_channels)
        self.linear = nn.Linear(width, outputs)

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch outputs"]:
        return self.linear(self.convs(image).mean((2, 3)))


class InversionDiscriminator(nn.Module):
    """Cosine similarity [batch, 1] of a picture and another one, seen by a query network and by its moving average.

    As momentum contrast (He et al., CVPR 2020): the key network takes no gradient. `move_key` is called once in a
    training step; legacy: every forward does it first, in eval mode too, as released.
    """

    def __init__(self, *, momentum: float = 0.999, legacy: bool = False, **embedding: Any) -> None:
        super().__init__()
        self.query, self.key = PictureEmbedding(**embedding), PictureEmbedding(**embedding)
        self.key.load_state_dict(self.query.state_dict())
        self.key.requires_grad_(False)
        self.momentum, self.legacy = momentum, legacy

    @torch.no_grad()
    def move_key(self) -> None:
        """key = momentum * key + (1 - momentum) * query."""
        for key, query in zip(self.key.parameters(), self.query.parameters(), strict=True):
            key.mul_(self.momentum).add_(query, alpha=1 - self.momentum)

    def forward(
        self, image: Float[Tensor, "batch 3 h w"], other: Float[Tensor, "batch 3 h w"]
    ) -> Float[Tensor, "batch 1"]:
        """image: seen by the query network, with gradient; other: by the key network, without."""
        query = F.normalize(self.query(image), dim=1)
        with torch.no_grad():
            if self.legacy:
                self.move_key()
            key = F.normalize(self.key(other), dim=1)
        return (query * key).sum(1, keepdim=True)
