"""Convolution modulated by a style, computed as one convolution that the whole batch shares.

Karras et al. 2020, section 2.2, modulate the weights of each sample and run a grouped convolution over the batch. The
same numbers come from scaling the input by the style, one convolution, and scaling the output by the demodulation
d_o = rsqrt(sum_i s_i^2 sum_k w_oik^2 + 1e-8): no weights for each sample, and shapes that do not depend on the batch.
A single sample takes both scales into its weights where these are fewer than its pixels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.stylegan2.ops import GAIN, SLOPE, Blur, EqualLinear
from mien.nn.stylegan2.winograd import winograd_conv, winograd_weights

DEMODULATION_EPSILON = 1e-8
WINOGRAD_CHANNELS, WINOGRAD_SIDES = 512, (32, 64)
CHANNELS_LAST_SIDE, SPLIT_SIDE = 64, 128


class ModulatedConv(nn.Module):
    """side x side convolution of `inputs` to `outputs` channels, modulated by a style vector, without bias.

    demodulate: outputs have variance 1 where inputs had it. up: twice the sides, by a transposed convolution of stride
    2 and [1, 3, 3, 1] behind it.
    """

    fixed_energy: Tensor | None
    winograd: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, side: int, *, style: int, demodulate: bool = True, up: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.affine = EqualLinear(style, inputs, bias=1.0)
        self.scale, self.padding, self.demodulate = 1 / math.sqrt(inputs * side**2), side // 2, demodulate
        self.blur = Blur(outputs, pad=1, gain=4.0) if up else None
        self.register_buffer("fixed_energy", None, persistent=False)
        self.register_buffer("winograd", None, persistent=False)

    def scales(
        self, style: Float[Tensor, "batch width"]
    ) -> tuple[Float[Tensor, "batch inputs"], Float[Tensor, "batch outputs"] | None]:
        """(s, d): what inputs and outputs are multiplied by; the constant scale of the weights is in s.

        d is float32 whatever the precision around it, and None without demodulation.
        """
        s = self.affine(style) * self.scale
        if not self.demodulate:
            return s, None
        # a product and a sum, not a matrix product: autocast leaves them in float32
        norm = (s.float().square()[:, None] * self.energy()).sum(2)
        return s, torch.rsqrt(norm + DEMODULATION_EPSILON)

    def energy(self) -> Float[Tensor, "outputs inputs"]:
        """The sum of squares over the places of a kernel: computed, or kept from `freeze`."""
        return self.weight.float().square().sum((2, 3)) if self.fixed_energy is None else self.fixed_energy

    def freeze(self, *, side: int) -> None:
        """Keeps what depends on the weights alone; from now on their changes are not seen there. For inference.

        side: of the maps that come in. Wide maps of some size are convolved in Winograd's form on a CPU.
        """
        self.fixed_energy = self.energy().detach() if self.demodulate else None
        plain = self.blur is None and self.weight.shape[2] == 3
        if plain and self.weight.shape[1] >= WINOGRAD_CHANNELS and side in WINOGRAD_SIDES:
            self.winograd = winograd_weights(self.weight.detach())

    def forward(
        self, x: Float[Tensor, "batch inputs h w"], style: Float[Tensor, "batch width"], *,
        gain: float = 1.0, bias: Float[Tensor, " outputs"] | None = None,
    ) -> Float[Tensor, "batch outputs h2 w2"]:  # fmt: skip
        """gain * the modulated convolution + bias."""
        s, d = self.scales(style)
        d = gain * (s.new_ones(s.shape[0], self.weight.shape[0]) if d is None else d)
        if x.shape[0] == 1 and x.shape[2] * x.shape[3] > self.weight[:, 0].numel():  # more pixels than weights
            scale = d[0, :, None] * s[0]
            return self.convolve(x, self.weight * scale[:, :, None, None].to(self.weight.dtype), bias)
        if self._one_by_one(x):
            return self._single_samples(x, s, d, bias)
        y = self.convolve(x * s.to(x.dtype)[:, :, None, None], self.weight)
        scale = d.to(y.dtype)[:, :, None, None]
        if bias is None:
            return y * scale
        shift = bias.to(y.dtype)[:, None, None]
        return torch.addcmul(shift, y, scale) if torch.is_grad_enabled() else torch.addcmul(shift, y, scale, out=y)

    def _one_by_one(self, x: Tensor) -> bool:
        """Large maps on a CPU: a sample after the other, so that no scaled copy of the whole batch exists."""
        large = x.shape[3] >= SPLIT_SIDE and x.device.type == "cpu"
        return large and not torch.is_grad_enabled() and not torch.compiler.is_compiling()

    def _single_samples(self, x: Tensor, s: Tensor, d: Tensor, bias: Tensor | None) -> Tensor:
        factor = 1 if self.blur is None else 2
        y = x.new_empty(len(x), len(self.weight), factor * x.shape[2], factor * x.shape[3], dtype=_precision(x))
        for i in range(len(x)):
            weight = self.weight * (d[i, :, None] * s[i])[:, :, None, None].to(self.weight.dtype)
            y[i : i + 1] = self.convolve(x[i : i + 1], weight, bias)
        return y

    def convolve(self, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """The convolution with given weights [outputs, inputs, side, side], upsampling and filter included."""
        if self.blur is None:
            if self.winograd is not None and weight is self.weight and self._may_transform(x):
                return winograd_conv(x, self.winograd)
            return F.conv2d(x, weight, bias, padding=self.padding)
        if x.shape[3] <= CHANNELS_LAST_SIDE and x.device.type == "cpu":
            x = x.contiguous(memory_format=torch.channels_last)  # a transposed convolution of small maps is faster so
        parts = 2 if x.shape[3] >= SPLIT_SIDE and not torch.is_grad_enabled() else 1
        if parts == 1:
            return self.blur(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2), bias)
        return self._convolve_in_parts(x, weight, bias, parts)

    def _may_transform(self, x: Tensor) -> bool:
        """Compilers and exported graphs have better kernels of their own; half precision would round too much."""
        eager = not torch.compiler.is_compiling() and not torch.is_autocast_enabled(x.device.type)
        return eager and x.device.type == "cpu" and x.dtype == torch.float32

    def _convolve_in_parts(self, x: Tensor, weight: Tensor, bias: Tensor | None, parts: int) -> Tensor:
        """Some output channels after the others: the map before the filter never exists as a whole."""
        assert self.blur is not None
        y = x.new_empty(x.shape[0], len(weight), 2 * x.shape[2], 2 * x.shape[3], dtype=_precision(x))
        for i in range(parts):
            start, stop = (len(weight) * j // parts for j in (i, i + 1))
            spread = F.conv_transpose2d(x, weight[start:stop].transpose(0, 1), stride=2)
            y[:, start:stop] = self.blur.some(spread, slice(start, stop), None if bias is None else bias[start:stop])
        return y


def _precision(x: Tensor) -> torch.dtype:
    """Of a convolution's output."""
    device = x.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else x.dtype


class StyledConv(nn.Module):
    """Modulated convolution, noise, bias, scaled leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, *, style: int, up: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style=style, up=up)
        self.noise_strength = nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, x: Float[Tensor, "batch inputs h w"], style: Float[Tensor, "batch width"],
        noise: Float[Tensor, "noises 1 h2 w2"],
    ) -> Float[Tensor, "batch outputs h2 w2"]:  # fmt: skip
        """noise: of variance 1, one map for each sample or one for all."""
        # The leaky ReLU is positively homogeneous: its gain goes through it, into what is scaled anyway.
        y = self.conv(x, style, gain=GAIN, bias=GAIN * self.bias)
        shift = (GAIN * self.noise_strength * noise).to(y.dtype)
        return F.leaky_relu_(y + shift if torch.is_grad_enabled() else y.add_(shift), SLOPE)


class ToRgb(nn.Module):
    """Three colours out of a map: a 1x1 convolution modulated without demodulation, and a bias."""

    def __init__(self, inputs: int, *, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, 3, 1, style=style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3))

    def forward(
        self, x: Float[Tensor, "batch inputs h w"], style: Float[Tensor, "batch width"]
    ) -> Float[Tensor, "batch 3 h w"]:
        s, _ = self.conv.scales(style)
        weight = self.conv.weight.flatten(1) * s[:, None]  # [batch, 3, inputs]: fewer than the pixels
        colours = torch.bmm(weight.to(x.dtype), x.flatten(2)) + self.bias[:, None].to(x.dtype)
        return colours.unflatten(2, x.shape[2:])
