"""Up, filter, down without zero insertion, the scaled leaky ReLU, and layers with equalised learning rates.

A filter is applied as a true convolution (flipped kernel). Where it upsamples, each input pixel is spread by a
transposed convolution or by phases, row by row and column by column: the picture with zeros between its pixels never
exists. [1, 3, 3, 1] along both axes is the filter of StyleGAN2 everywhere.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

TAPS = (1.0, 3.0, 3.0, 1.0)
SLOPE, GAIN = 0.2, math.sqrt(2)


def fir_kernel(*, gain: float = 1.0) -> Float[Tensor, "4 4"]:
    """The outer product of [1, 3, 3, 1] with itself, with the sum `gain`; up^2 where it upsamples."""
    taps = torch.tensor(TAPS)
    return torch.outer(taps, taps) * (gain / taps.sum() ** 2)


def upfirdn2d(
    x: Float[Tensor, "batch channels h w"], kernel: Float[Tensor, "kh kw"], *, up: int = 1, down: int = 1,
    pad: tuple[int, int] = (0, 0),
) -> Float[Tensor, "batch channels h2 w2"]:  # fmt: skip
    """`up` - 1 zeros after every pixel, padding before and after (negative crops), convolution, every `down`-th pixel.

    Any kernel. A side becomes (side * up + pad0 + pad1 - k) // down + 1.
    """
    channels, (kh, kw) = x.shape[1], kernel.shape
    before, after = pad
    if up == 1:
        weight = kernel.flip(0, 1).to(x.dtype).expand(channels, 1, kh, kw)
        return F.conv2d(F.pad(x, (before, after, before, after)), weight, stride=down, groups=channels)
    weight = kernel.to(x.dtype).expand(channels, 1, kh, kw)
    whole = F.conv_transpose2d(x, weight, stride=up, groups=channels)  # every shift at which kernel and picture meet
    sizes = [side * up + before + after - k + 1 for side, k in zip(x.shape[2:], kernel.shape, strict=True)]
    edges: list[int] = []
    for have, size, k in reversed(list(zip(whole.shape[2:], sizes, kernel.shape, strict=True))):
        start = before - k + 1  # zeros needed in front; below 0 that many are cut
        edges += [start, size - have - start]
    return F.pad(whole, edges)[:, :, ::down, ::down]


class Blur(nn.Module):
    """[1, 3, 3, 1] along both axes with the given gain, padding and stride: one depthwise convolution.

    channels: how many the picture has. The kernel is a constant and stays out of the state dict.
    """

    kernel: Tensor

    def __init__(self, channels: int, *, pad: int, gain: float = 1.0, stride: int = 1) -> None:
        super().__init__()
        self.channels, self.pad, self.stride = channels, pad, stride
        self.register_buffer("kernel", fir_kernel(gain=gain).repeat(channels, 1, 1, 1), persistent=False)

    def forward(
        self, x: Float[Tensor, "batch channels h w"], bias: Float[Tensor, " channels"] | None = None
    ) -> Float[Tensor, "batch channels h2 w2"]:
        """bias: added behind the filter."""
        return self.some(x, slice(0, self.channels), bias)

    def some(self, x: Tensor, channels: slice, bias: Tensor | None) -> Tensor:
        """The same for some of the channels."""
        kernel, bias = self.kernel[channels].to(x.dtype), None if bias is None else bias.to(x.dtype)
        return F.conv2d(x, kernel, bias, stride=self.stride, padding=self.pad, groups=kernel.shape[0])


def upsample_2x(x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h2 w2"]:
    """Twice the sides by [1, 3, 3, 1]: every new pixel is 3/4 of the nearest old one and 1/4 of the next.

    Equal to upfirdn2d with up 2, pad (2, 1) and gain 4; outside of the picture is 0.
    """
    return _doubled(_doubled(x, 3), 2)


def _doubled(x: Tensor, axis: int) -> Tensor:
    edges = (1, 1) if axis == 3 else (0, 0, 1, 1)
    padded, size = F.pad(x, edges), x.shape[axis]
    near = 0.75 * x
    first = near + 0.25 * padded.narrow(axis, 0, size)
    second = near + 0.25 * padded.narrow(axis, 2, size)
    return torch.stack((first, second), dim=axis + 1).flatten(axis, axis + 1)


def scaled_leaky_relu(x: Tensor, bias: Tensor | None = None) -> Tensor:
    """sqrt(2) * leaky ReLU of slope 0.2 of x + bias; bias along axis 1."""
    if bias is not None:
        x = x + bias.view(1, -1, *(1 for _ in x.shape[2:]))
    return GAIN * F.leaky_relu(x, SLOPE)


class EqualLinear(nn.Module):
    """Linear with weights of variance 1 that are scaled when they are used, so that all learn at the same rate.

    lr_multiplier: weights are kept divided by it. activate: scaled_leaky_relu behind it.
    """

    def __init__(
        self, inputs: int, outputs: int, *, bias: float = 0.0, lr_multiplier: float = 1.0, activate: bool = False
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr_multiplier)
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.scale, self.lr_multiplier, self.activate = lr_multiplier / math.sqrt(inputs), lr_multiplier, activate

    def forward(self, x: Float[Tensor, "... inputs"]) -> Float[Tensor, "... outputs"]:
        y = F.linear(x, self.weight * self.scale, self.bias * self.lr_multiplier)
        return GAIN * F.leaky_relu(y, SLOPE) if self.activate else y


class EqualConv(nn.Module):
    """Convolution without bias whose weights of variance 1 are scaled when they are used."""

    def __init__(self, inputs: int, outputs: int, side: int, *, stride: int = 1, padding: int = 0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, side, side))
        self.scale, self.stride, self.padding = 1 / math.sqrt(inputs * side**2), stride, padding

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        return F.conv2d(x, self.weight * self.scale, stride=self.stride, padding=self.padding)
