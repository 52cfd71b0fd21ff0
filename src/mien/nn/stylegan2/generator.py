"""The generator of StyleGAN2 with input from the constant or from a structure code, and with feature maps as outputs.

Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020: weight demodulation, skip connections
of colours. A code is a vector of the mapping network's space W; a picture takes one for each layer ("W+").
"""

import copy
import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.stylegan2.modulation import ModulatedConv, StyledConv, ToRgb
from mien.nn.stylegan2.ops import EqualLinear, upsample_2x

SIZES = (8, 16, 32, 64, 128, 256, 512, 1024)
FEATURE_SIDES = (64, 32, 16)
PIXEL_NORM_EPSILON = 1e-8
MAPPING_LR = 0.01


def check_size(size: int) -> None:
    """Raises MienError unless it is a power of two from 8 to 1024."""
    if size not in SIZES:
        raise MienError(f"StyleGAN2 makes pictures of 8 to 1024 pixels, powers of two; got {size}.")


def style_count(size: int) -> int:
    """Codes for a picture of `size` pixels: two for each resolution from 4 on: 10 at 64, 14 at 256, 18 at 1024."""
    check_size(size)
    return 2 * int(math.log2(size)) - 2


def channels_at(side: int, *, channel_multiplier: int | float = 2, most_channels: int = 512) -> int:
    """Channels of the maps of that side: 512 up to 32 pixels, then halved with each doubling from 256 * multiplier."""
    return min(most_channels, 512 if side <= 32 else int(16384 * channel_multiplier) // side)


class Synthesised(NamedTuple):
    image: Tensor
    """[batch, 3, size, size], -1 to 1 for a trained generator, not clipped"""
    features: list[Tensor]
    """Maps of 64, 32 and 16 pixels, those that the size has: outputs of the second convolution of each."""


class Mapping(nn.Module):
    """z, normalised to length sqrt(width), through equal layers to w."""

    def __init__(self, width: int, *, layers: int) -> None:
        super().__init__()
        equal = [EqualLinear(width, width, lr_multiplier=MAPPING_LR, activate=True) for _ in range(layers)]
        self.layers = nn.Sequential(*equal)

    def forward(self, z: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
        return self.layers(z * torch.rsqrt(z.square().mean(1, keepdim=True) + PIXEL_NORM_EPSILON))


class SynthesisBlock(nn.Module):
    """One resolution: convolution that doubles, convolution, colours added to the doubled ones from before."""

    def __init__(self, inputs: int, outputs: int, *, style: int) -> None:
        super().__init__()
        self.up = StyledConv(inputs, outputs, style=style, up=True)
        self.conv = StyledConv(outputs, outputs, style=style)
        self.rgb = ToRgb(outputs, style=style)

    def forward(
        self, x: Tensor, image: Tensor, codes: Float[Tensor, "batch 3 width"], noise: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        x = self.conv(self.up(x, codes[:, 0], noise[0]), codes[:, 1], noise[1])
        return x, upsample_2x(image) + self.rgb(x, codes[:, 2])


class Generator(nn.Module):
    """Mapping and synthesis, with stored noise and the mean code.

    size: pixels of a side. style: width of z and of the codes. channel_multiplier: 2 as released, 1 for the narrow
    variant. most_channels: of any map; below 512 for small networks.
    """

    constant: nn.Parameter
    latent_avg: Tensor

    def __init__(
        self, *, size: int = 256, style: int = 512, mapping_layers: int = 8, channel_multiplier: int | float = 2,
        most_channels: int = 512,
    ) -> None:  # fmt: skip
        super().__init__()
        check_size(size)
        self.size, self.style, self.style_count = size, style, style_count(size)
        sides = [2**i for i in range(2, int(math.log2(size)) + 1)]
        widths = [
            channels_at(side, channel_multiplier=channel_multiplier, most_channels=most_channels) for side in sides
        ]
        self.mapping = Mapping(style, layers=mapping_layers)
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        self.first = StyledConv(widths[0], widths[0], style=style)
        self.first_rgb = ToRgb(widths[0], style=style)
        pairs = pairwise(widths)
        self.blocks = nn.ModuleList(SynthesisBlock(inputs, outputs, style=style) for inputs, outputs in pairs)
        self.noise_sides = [4, *(side for side in sides[1:] for _ in range(2))]
        for i, side in enumerate(self.noise_sides):
            self.register_buffer(f"noise_{i}", torch.randn(1, 1, side, side))
        self.register_buffer("latent_avg", torch.zeros(style))

    def stored_noise(self) -> list[Float[Tensor, "1 1 side side"]]:
        """The noise maps that belong to the weights."""
        return [getattr(self, f"noise_{i}") for i in range(len(self.noise_sides))]

    def random_noise(self, batch: int, *, generator: torch.Generator | None = None) -> list[Tensor]:
        """New maps [batch, 1, side, side] from N(0, 1), as training draws them."""
        like = self.constant
        return [
            torch.randn(batch, 1, side, side, device=like.device, dtype=like.dtype, generator=generator)
            for side in self.noise_sides
        ]

    def codes(
        self, z: Float[Tensor, "batch width"], *, truncation: float = 1.0, mean: Tensor | None = None
    ) -> Float[Tensor, "batch styles width"]:
        """One code from z for all layers. truncation below 1 moves it towards `mean`, by default `latent_avg`."""
        w = self.mapping(z)
        if truncation < 1:
            centre = self.latent_avg if mean is None else mean
            w = centre + truncation * (w - centre)
        return w[:, None].expand(-1, self.style_count, -1)

    @torch.no_grad()
    def estimate_latent_avg(self, *, samples: int = 100_000, seed: int = 0) -> Float[Tensor, " width"]:
        """The mean of `samples` mapped vectors, for weights that come without it; same numbers for the same seed."""
        random = torch.Generator().manual_seed(seed)
        total, left = self.latent_avg.new_zeros(self.style, dtype=torch.float64), samples
        while left:
            z = torch.randn(min(left, 10_000), self.style, generator=random)
            total += self.mapping(z.to(self.latent_avg)).double().sum(0)
            left -= len(z)
        return (total / samples).to(self.latent_avg)

    def for_inference(self) -> "Generator":
        """A copy in eval mode whose weights no longer change: what depends on them alone is computed once."""
        lean = copy.deepcopy(self).eval().requires_grad_(False)
        parts: list[tuple[int, nn.Module]] = [(4, nn.ModuleList([lean.first, lean.first_rgb]))]
        parts += [(8 * 2**i, block) for i, block in enumerate(lean.blocks)]
        for side, part in parts:
            for module in part.modules():
                if isinstance(module, ModulatedConv):
                    module.freeze(side=side)
        return lean

    def forward(
        self, codes: Float[Tensor, "batch styles width"], *,
        structure: Float[Tensor, "batch channels 4 4"] | None = None, noise: Sequence[Tensor] | None = None,
        residuals: dict[int, Tensor] | None = None,
    ) -> Synthesised:  # fmt: skip
        """structure: takes the place of the learned constant. noise: as `random_noise` gives it; else the stored maps.
        residuals: by side, added to the map behind that resolution's second convolution (behind its colours).

        Raises MienError for another number of codes than this size takes.
        """
        if codes.shape[1] != self.style_count:
            raise MienError(
                f"A generator of {self.size} pixels takes {self.style_count} codes; got {codes.shape[1]}, "
                f"which is for {2 ** (codes.shape[1] // 2 + 1)} pixels."
            )
        noise = self.stored_noise() if noise is None else noise
        x = self.constant.expand(codes.shape[0], -1, -1, -1) if structure is None else structure
        x = self.first(x, codes[:, 0], noise[0])
        image = self.first_rgb(x, codes[:, 1])
        features: list[Tensor] = []
        for i, block in enumerate(self.blocks):
            x, image = block(x, image, codes[:, 2 * i + 1 : 2 * i + 4], noise[2 * i + 1 : 2 * i + 3])
            if residuals is not None and x.shape[2] in residuals:
                x = x + residuals[x.shape[2]]
            if x.shape[2] in FEATURE_SIDES:
                features.insert(0, x)
        return Synthesised(image, features)


def mixed(
    first: Float[Tensor, "batch styles width"], second: Float[Tensor, "batch styles width"], *, at: int
) -> Float[Tensor, "batch styles width"]:
    """The first `at` codes from `first`, the rest from `second` (style mixing)."""
    return torch.cat((first[:, :at], second[:, at:]), dim=1)
