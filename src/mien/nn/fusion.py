"""Ways to join two maps of one face, such as a photo's and a render's: side by side, by attention, by a gate, pooled.

If3D's four fusions (its report of 2024). Each takes two maps [batch, channels, side, side]; `outputs` is the length of
the vector that it gives.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.mobilefacenet import ConvNorm

Map = Float[Tensor, "batch channels side side"]
Vector = Float[Tensor, "batch length"]


class Concatenation(nn.Module):
    """Each map to a vector by a depthwise convolution over the whole of it, one after the other."""

    def __init__(self, channels: int, *, side: int) -> None:
        super().__init__()
        self.pool = ConvNorm(channels, channels, side, groups=channels, act=False)
        self.outputs = 2 * channels

    def forward(self, photo: Map, render: Map) -> Vector:
        return torch.cat([self.pool(photo).flatten(1), self.pool(render).flatten(1)], dim=1)


class TokenAttention(nn.Module):
    """The photo's tokens ask the render's (softmax(q k / sqrt(d)) v), and the result is added to the photo's map.

    legacy: both maps are one token each before they meet, and the product is not scaled. The softmax over one key is 1,
    so that `query` and `key` have no effect and no gradient: the block is photo + W render + b.
    """

    def __init__(self, channels: int, *, side: int, reduction: int = 8, legacy: bool = False) -> None:
        super().__init__()
        self.legacy, self.outputs = legacy, channels
        kernel, padding = (side, 0) if legacy else (3, 1)
        self.local = ConvNorm(channels, channels, kernel, padding=padding, groups=channels, act=False)
        self.query, self.key = (nn.Conv2d(channels, channels // reduction, 1) for _ in range(2))
        self.value = nn.Conv2d(channels, channels, 1)
        if not legacy:
            self.position = nn.Parameter(torch.zeros(1, channels, side, side))
            nn.init.trunc_normal_(self.position, std=0.02)
            self.pool = ConvNorm(channels, channels, side, groups=channels, act=False)

    def attended(self, photo: Map, render: Map) -> Map:
        """What the photo's tokens read from the render's; added to the photo."""
        place: Tensor | float = 0.0 if self.legacy else self.position
        query, key = self.query(photo + place), self.key(render + place)
        q, k, v = (x.flatten(2).transpose(1, 2) for x in (query, key, self.value(render)))
        scale = 1.0 if self.legacy else None  # None: by the root of the width
        read = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None], scale=scale)[:, 0]
        return read.transpose(1, 2).reshape(photo.shape) + photo

    def forward(self, photo: Map, render: Map) -> Vector:
        x = self.attended(self.local(photo), self.local(render))
        return (x if self.legacy else self.pool(x)).flatten(1)


class Gate(nn.Module):
    """g photo + (1 - g) render, with g in 0..1 for each channel and place from a 1x1 convolution over both.

    legacy: the whole fused map is given, 25,088 numbers for 512 channels; else its pooled vector.
    """

    def __init__(self, channels: int, *, side: int, legacy: bool = False) -> None:
        super().__init__()
        self.outputs = channels * side * side if legacy else channels
        self.local = ConvNorm(channels, channels, 3, padding=1, groups=channels, act=False)
        self.gate = nn.Conv2d(2 * channels, channels, 1)
        self.pool = nn.Identity() if legacy else ConvNorm(channels, channels, side, groups=channels, act=False)

    def forward(self, photo: Map, render: Map) -> Vector:
        photo, render = self.local(photo), self.local(render)
        gate = torch.sigmoid(self.gate(torch.cat([photo, render], dim=1)))
        return self.pool(gate * photo + (1 - gate) * render).flatten(1)


def largest_in_windows(x: Map, count: int) -> Float[Tensor, "batch channels count count"]:
    """Adaptive max pooling to count x count windows, which overlap where count does not divide the side; by slices, for
    which ONNX has operators."""
    side = x.shape[-1]
    windows = [slice(i * side // count, -(-(i + 1) * side // count)) for i in range(count)]
    rows = torch.stack([x[:, :, window].amax(2) for window in windows], dim=2)
    return torch.stack([rows[..., window].amax(3) for window in windows], dim=3)


class PyramidPooling(nn.Module):
    """Maxima of each map over 1, 2 x 2 and 4 x 4 overlapping windows, one after the other (spatial pyramid pooling).

    He et al., ECCV 2014. reduced: channels that a 1x1 convolution leaves before the pooling; 0 for all of them, as
    published.
    """

    LEVELS = (1, 2, 4)

    def __init__(self, channels: int, *, reduced: int = 0) -> None:
        super().__init__()
        self.local = ConvNorm(channels, channels, 3, padding=1, groups=channels, act=False)
        self.reduce = ConvNorm(channels, reduced) if reduced else nn.Identity()
        self.outputs = 2 * (reduced or channels) * sum(level * level for level in self.LEVELS)

    def pooled(self, x: Map) -> Vector:
        x = self.reduce(self.local(x))
        return torch.cat([largest_in_windows(x, level).flatten(1) for level in self.LEVELS], dim=1)

    def forward(self, photo: Map, render: Map) -> Vector:
        return torch.cat([self.pooled(photo), self.pooled(render)], dim=1)
