"""From a pyramid of maps to style codes: map2style heads of pSp and ASIT, and one head for each scale.

Richardson et al., "Encoding in Style", CVPR 2021: coarse codes (0 to 2) from 16 pixels, middle ones (3 to 6) from 32,
fine ones (7 and on) from 64, each by a head of its own that halves the map until one pixel is left.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.attention import Mlp
from mien.nn.inversion.gcvit import WindowAttention, from_windows, windows_of
from mien.nn.stylegan2.ops import EqualLinear

COARSE, MIDDLE = 3, 4  # how many codes come from 16 and from 32 pixels
SIDES = (16, 32, 64)
WINDOW, MLP_RATIO = 8, 2
SHARED_SIDE = 4


def codes_by_scale(styles: int) -> tuple[int, int, int]:
    """How many of the codes come from 16, 32 and 64 pixels. Raises MienError below 8: the finest would have none."""
    if styles <= COARSE + MIDDLE:
        raise MienError(f"Style heads are for 8 codes or more (StyleGAN2 of 64 pixels has 10); got {styles}.")
    return COARSE, MIDDLE, styles - COARSE - MIDDLE


class StyleBlock(nn.Module):
    """Attention of one head in windows of 8 pixels, then an MLP on the sum without a norm, as published."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads=1, side=WINDOW)
        self.mlp = Mlp(width, hidden=MLP_RATIO * width)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h w"]:
        x = x.permute(0, 2, 3, 1)
        windows = self.attention(windows_of(self.norm1(x), WINDOW))
        x = x + from_windows(windows, side=WINDOW, whole=x.shape[1])
        return (x + self.mlp(x)).permute(0, 3, 1, 2)


class StyleBody(nn.Module):
    """A map of side x side halved down to `last` pixels: convolutions of stride 2, or with `attention` a StyleBlock and
    a maximum wherever at least 8 pixels are left."""

    def __init__(self, inputs: int, width: int, *, side: int, attention: bool, last: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Conv2d(inputs, width, 3, stride=2, padding=1)])
        for i in range(1, int(math.log2(side // last))):
            if attention and side >> i >= WINDOW:
                self.layers.append(StyleBlock(width))
            else:
                self.layers.append(nn.Conv2d(width, width, 3, stride=2, padding=1))

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch width last last"]:
        for layer in self.layers:
            x = F.max_pool2d(layer(x), 2) if isinstance(layer, StyleBlock) else F.leaky_relu(layer(x), 0.01)
        return x


class StyleHead(nn.Module):
    """One code from a map of side x side."""

    def __init__(self, width: int, outputs: int, *, side: int, attention: bool) -> None:
        super().__init__()
        self.body = StyleBody(width, width, side=side, attention=attention)
        self.linear = EqualLinear(width, outputs)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch outputs"]:
        return self.linear(self.body(x).flatten(1))


class SharedStyleHead(nn.Module):
    """All codes of one scale: one body down to 4 x 4 pixels, where each code has a query of its own, and a linear.

    Ours; it takes the place of as many heads as there are codes.
    """

    def __init__(self, width: int, outputs: int, *, side: int, codes: int, attention: bool) -> None:
        super().__init__()
        self.body = StyleBody(width, width, side=side, attention=attention, last=SHARED_SIDE)
        self.queries = nn.Parameter(torch.randn(codes, width) / math.sqrt(width))
        self.places = nn.Parameter(torch.zeros(SHARED_SIDE**2, width))
        self.linears = nn.ModuleList(EqualLinear(width, outputs) for _ in range(codes))

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch codes outputs"]:
        tokens = self.body(x).flatten(2).transpose(1, 2)
        queries = self.queries.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        keys = tokens + self.places.to(tokens.dtype)
        # ONNX has attention with an axis of heads only
        pooled = F.scaled_dot_product_attention(queries[:, None], keys[:, None], tokens[:, None])[:, 0]
        return torch.stack([linear(pooled[:, i]) for i, linear in enumerate(self.linears)], dim=1)


class StylePyramid(nn.Module):
    """Maps of 64, 32 and 16 pixels, from fine to coarse, to [batch, styles, outputs].

    Coarser maps are enlarged (bilinear, corners aligned) and added to the finer ones' 1x1 convolutions. inputs:
    channels of the three maps. width: inside. attention: StyleBlocks, as in ASIT. shared: one head for each scale.
    """

    def __init__(
        self, inputs: Sequence[int], *, styles: int, width: int = 512, outputs: int = 512, attention: bool = False,
        shared: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        counts = codes_by_scale(styles)
        self.counts, self.shared = counts, shared
        fine, middle, coarse = inputs
        self.coarse = nn.Identity() if coarse == width else nn.Conv2d(coarse, width, 1)
        self.lateral = nn.ModuleList([nn.Conv2d(middle, width, 1), nn.Conv2d(fine, width, 1)])
        self.heads = nn.ModuleList()
        for side, count in zip(SIDES, counts, strict=True):
            if shared:
                head = SharedStyleHead(width, outputs, side=side, codes=count, attention=attention)
                self.heads.append(head)
            else:
                self.heads.extend(StyleHead(width, outputs, side=side, attention=attention) for _ in range(count))

    def pyramid(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """[coarse, middle, fine] maps that the heads read."""
        fine, middle, coarse = maps
        found = [self.coarse(coarse)]
        for lateral, own in zip(self.lateral, (middle, fine), strict=True):
            size = (own.shape[2], own.shape[3])
            larger = F.interpolate(found[-1], size=size, mode="bilinear", align_corners=True)
            found.append(larger + lateral(own))
        return found

    def forward(self, maps: Sequence[Tensor]) -> Float[Tensor, "batch styles outputs"]:
        scales = self.pyramid(maps)
        if self.shared:
            return torch.cat([head(x) for head, x in zip(self.heads, scales, strict=True)], dim=1)
        by_code = [x for x, count in zip(scales, self.counts, strict=True) for _ in range(count)]
        return torch.stack([head(x) for head, x in zip(self.heads, by_code, strict=True)], dim=1)
