"""Encoder and decoder of the residual VAE-GAN (Blume et al., How Do You Perceive My Face?, GCPR 2024).

Larsen et al., Autoencoding beyond pixels using a learned similarity metric, ICML 2016, with residual blocks. Each block
has two 3x3 convolutions with BatchNorm and leaky ReLU of slope 0.2, and a shortcut without BatchNorm. Resolution
changes between blocks, by average pooling and by repeating pixels.
"""

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.vae_gan.gaussian import Gaussian

SLOPE = 0.2  # of every leaky ReLU
HALVINGS = 5  # the last map has a 32nd of the input's sides
ENCODER_WIDTHS = (64, 128, 256, 512, 512, 512)
DECODER_WIDTHS = (512, 512, 512, 256, 128, 64, 64)


class VaeBlock(nn.Module):
    """[batch, inputs, h, w] to [batch, outputs, h, w]."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shortcut_conv = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else None
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h w"]:
        shortcut = x if self.shortcut_conv is None else self.shortcut_conv(x)
        x = F.leaky_relu(self.norm1(self.conv1(x)), SLOPE)
        return F.leaky_relu(self.norm2(self.conv2(x)) + shortcut, SLOPE)


class ResidualEncoder(nn.Module):
    """[batch, channels, *shape] in 0..1 to a Gaussian over [batch, latent].

    shape: height and width, multiples of 32. Raises MienError for others.
    """

    def __init__(
        self, *, channels: int, shape: tuple[int, int], latent: int, widths: Sequence[int] = ENCODER_WIDTHS
    ) -> None:
        super().__init__()
        self.first_conv = nn.Conv2d(channels, widths[0], 5, padding=2, bias=False)
        self.first_norm = nn.BatchNorm2d(widths[0])
        pairs = pairwise(widths)
        self.blocks = nn.ModuleList(VaeBlock(inputs, outputs) for inputs, outputs in pairs)
        features = widths[-1] * math.prod(smallest_map(shape))
        self.mean, self.log_variance = nn.Linear(features, latent), nn.Linear(features, latent)
        draw_weights(self)

    def maps(self, x: Float[Tensor, "batch channels h w"]) -> list[Tensor]:
        """What each block gives, the finest first."""
        x = F.leaky_relu(self.first_norm(self.first_conv(x)), SLOPE)
        found = []
        for block in self.blocks:
            x = block(F.avg_pool2d(x, 2))
            found.append(x)
        return found

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Gaussian:
        features = self.maps(x)[-1].flatten(1)
        return Gaussian(self.mean(features), self.log_variance(features))


class ResidualDecoder(nn.Module):
    """[batch, latent] to [batch, channels, *shape], with no output activation: values may lie outside 0..1."""

    def __init__(
        self, *, channels: int, shape: tuple[int, int], latent: int, widths: Sequence[int] = DECODER_WIDTHS
    ) -> None:
        super().__init__()
        self.first_shape = (widths[0], *smallest_map(shape))
        self.linear = nn.Linear(latent, math.prod(self.first_shape))
        pairs = pairwise(widths)
        self.blocks = nn.ModuleList(VaeBlock(inputs, outputs) for inputs, outputs in pairs)
        self.picture_conv = nn.Conv2d(widths[-1], channels, 5, padding=2)
        draw_weights(self)

    def maps(self, code: Float[Tensor, "batch latent"]) -> list[Tensor]:
        """What each block gives, the coarsest first."""
        x = F.relu(self.linear(code)).unflatten(1, self.first_shape)
        found = []
        for place, block in enumerate(self.blocks):
            x = block(x if place == 0 else F.interpolate(x, scale_factor=2.0, mode="nearest"))
            found.append(x)
        return found

    def forward(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch channels h w"]:
        return self.picture_conv(self.maps(code)[-1])


def smallest_map(shape: tuple[int, int]) -> tuple[int, int]:
    """Height and width of the map between encoder and decoder. Raises MienError for a shape that is not divisible."""
    step = 2**HALVINGS
    if any(side < step or side % step for side in shape):
        raise MienError(f"Height and width must be multiples of {step}; got {shape[0]} x {shape[1]}.")
    return shape[0] // step, shape[1] // step


@torch.no_grad()
def draw_weights(network: nn.Module) -> None:
    """Weights of convolutions and linear layers uniform within 1 / sqrt(3 * fan in), biases 0, as published."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            bound = 1 / math.sqrt(3 * module.weight[0].numel())
            module.weight.uniform_(-bound, bound)
            if module.bias is not None:
                module.bias.zero_()
