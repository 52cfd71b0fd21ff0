"""StyleGAN2's generator and ASIT's encoder computed the published way: what ours are timed against.

Our own code, written from the papers' equations and the released files' names and shapes. It repeats what makes the
published way slow. Generator: weights for each sample in a grouped convolution, filters as a convolution of single
channels over a picture with zeros between its pixels. Encoder: attention unfused with its position bias gathered in
every forward, queries repeated for every window, activations and maxima out of place, and a feature pyramid that nobody
reads.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.inversion import gcvit, style_heads
from mien.nn.inversion.encoders import AsitEncoder
from mien.nn.stylegan2.ops import fir_kernel


def native_upfirdn2d(x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Zeros between the pixels, padding, a convolution of one channel over batch * channels pictures."""
    batch, channels, h, w = x.shape
    flat = x.reshape(-1, h, w, 1)
    spread = F.pad(flat.view(-1, h, 1, w, 1, 1), [0, 0, 0, up - 1, 0, 0, 0, up - 1]).view(-1, h * up, w * up, 1)
    spread = F.pad(spread, [0, 0, max(pad[0], 0), max(pad[1], 0), max(pad[0], 0), max(pad[1], 0)])
    rows, columns = spread.shape[1], spread.shape[2]
    spread = spread.permute(0, 3, 1, 2).reshape(-1, 1, rows, columns)
    kh, kw = kernel.shape
    out = F.conv2d(spread, kernel.flip(0, 1).view(1, 1, kh, kw))
    out = out.reshape(-1, 1, rows - kh + 1, columns - kw + 1).permute(0, 2, 3, 1)[:, ::down, ::down]
    return out.reshape(batch, channels, out.shape[1], out.shape[2])


def activated(x: Tensor, bias: Tensor) -> Tensor:
    return F.leaky_relu(x + bias.view(1, -1, 1, 1), 0.2) * math.sqrt(2)


class GroupedConv(nn.Module):
    """Modulated weights for each sample, folded into the groups of one convolution."""

    def __init__(self, inputs: int, outputs: int, side: int, *, demodulate: bool = True, up: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(1, outputs, inputs, side, side))
        self.modulation = nn.Linear(512, inputs)  # holds weight and bias; scaled in forward
        self.scale, self.side, self.demodulate, self.up = 1 / math.sqrt(inputs * side**2), side, demodulate, up
        self.register_buffer("kernel", fir_kernel(gain=4.0))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        batch, inputs, h, w = x.shape
        outputs = self.weight.shape[1]
        style = F.linear(style, self.modulation.weight / math.sqrt(512), self.modulation.bias)
        weight = self.scale * self.weight * style.view(batch, 1, inputs, 1, 1)
        if self.demodulate:
            weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8).view(batch, outputs, 1, 1, 1)
        x = x.reshape(1, batch * inputs, h, w)
        if not self.up:
            weight = weight.view(batch * outputs, inputs, self.side, self.side)
            out = F.conv2d(x, weight, padding=self.side // 2, groups=batch)
            return out.view(batch, outputs, h, w)
        weight = weight.transpose(1, 2).reshape(batch * inputs, outputs, self.side, self.side)
        out = F.conv_transpose2d(x, weight, stride=2, groups=batch)
        return native_upfirdn2d(out.view(batch, outputs, *out.shape[2:]), self.kernel, pad=(1, 1))


class Layer(nn.Module):
    def __init__(self, inputs: int, outputs: int, side: int, *, up: bool = False) -> None:
        super().__init__()
        self.conv, self.strength = GroupedConv(inputs, outputs, 3, up=up), nn.Parameter(torch.zeros(1))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("noise", torch.randn(1, 1, side, side))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return activated(self.conv(x, style) + self.strength * self.noise, self.bias)


class PublishedGenerator(nn.Module):
    """[batch, styles, 512] to [batch, 3, size, size]; widths from 4 pixels on."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.randn(1, widths[0], 4, 4))
        pairs = list(zip([widths[0], *widths], widths, strict=False))
        sides = [4 * 2**i for i in range(len(widths))]
        self.layers = nn.ModuleList([Layer(widths[0], widths[0], 4)])
        for (inputs, outputs), side in zip(pairs[1:], sides[1:], strict=True):
            self.layers += [Layer(inputs, outputs, side, up=True), Layer(outputs, outputs, side)]
        self.colours = nn.ModuleList(GroupedConv(width, 3, 1, demodulate=False) for width in widths)
        self.biases = nn.ParameterList(torch.zeros(1, 3, 1, 1) for _ in widths)
        self.register_buffer("kernel", fir_kernel(gain=4.0))

    def forward(self, codes: Tensor) -> Tensor:
        x = self.layers[0](self.constant.repeat(len(codes), 1, 1, 1), codes[:, 0])
        image = self.colours[0](x, codes[:, 1]) + self.biases[0]
        for i in range(1, len(self.colours)):
            x = self.layers[2 * i - 1](x, codes[:, 2 * i - 1])
            x = self.layers[2 * i](x, codes[:, 2 * i])
            more = self.colours[i](x, codes[:, 2 * i + 1]) + self.biases[i]
            image = more + native_upfirdn2d(image, self.kernel, up=2, pad=(2, 1))
        return image

    @torch.no_grad()
    def copy_from(self, ours: nn.Module) -> None:
        """The weights of a `mien` generator of the same widths."""
        pairs = [(self.layers[0], ours.first, 0)]
        rgbs = [ours.first_rgb]
        for i, block in enumerate(ours.blocks):
            pairs += [(self.layers[2 * i + 1], block.up, 2 * i + 1), (self.layers[2 * i + 2], block.conv, 2 * i + 2)]
            rgbs.append(block.rgb)
        self.constant.copy_(ours.constant)
        for layer, styled, place in pairs:
            _copy_conv(layer.conv, styled.conv)
            layer.strength.copy_(styled.noise_strength)
            layer.bias.copy_(styled.bias)
            layer.noise.copy_(getattr(ours, f"noise_{place}"))
        for conv, bias, rgb in zip(self.colours, self.biases, rgbs, strict=True):
            _copy_conv(conv, rgb.conv)
            bias.copy_(rgb.bias.view(1, 3, 1, 1))


def _copy_conv(theirs: GroupedConv, ours: nn.Module) -> None:
    theirs.weight.copy_(ours.weight[None])
    theirs.modulation.weight.copy_(ours.affine.weight)
    theirs.modulation.bias.copy_(ours.affine.bias)


def unfused_attention(self: gcvit.WindowAttention, windows: Tensor, queries: Tensor | None = None) -> Tensor:
    """q k^T, bias gathered from the table, softmax, v: each a pass over all pairs of tokens."""
    count, tokens, width = windows.shape
    joint = self.qkv(windows).reshape(count, tokens, -1, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
    *own, k, v = joint
    q = (own[0] if queries is None else queries) * (width // self.heads) ** -0.5
    pairs = self.bias_table[self.index.view(-1)].view(tokens, tokens, -1).permute(2, 0, 1).contiguous()
    weights = (q @ k.transpose(-2, -1) + pairs.unsqueeze(0)).softmax(-1)
    return self.proj((weights @ v).transpose(1, 2).reshape(count, tokens, width))


class PublishedEncoder(nn.Module):
    """The same weights in the published way: unfused attention everywhere, and the feature pyramid in every forward."""

    def __init__(self, ours: AsitEncoder) -> None:
        super().__init__()
        self.ours = ours
        for module in ours.modules():
            if isinstance(module, gcvit.WindowAttention):
                module.forward = unfused_attention.__get__(module)
            if isinstance(module, style_heads.StyleBody):
                module.forward = published_body.__get__(module)

    def forward(self, image: Tensor) -> Tensor:
        encoded = self.ours(image)
        self.ours.features(encoded.maps)
        return encoded.codes


def published_body(self: style_heads.StyleBody, x: Tensor) -> Tensor:
    x = x.contiguous()
    for layer in self.layers:
        if isinstance(layer, style_heads.StyleBlock):
            x = F.max_pool2d(layer(x).contiguous(), 2)
        else:
            x = F.leaky_relu(layer(x), 0.01)
    return x
