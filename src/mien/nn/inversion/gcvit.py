"""GC ViT (Hatamizadeh et al., ICML 2023): windows attend to themselves and to queries of the whole picture by turns.

Inside, maps are [batch, h, w, channels]. Two faults of the published code are behind `legacy`: the map from which a
level's global queries come is reinterpreted as [batch, channels, h, w] without moving axes, and the queries of the
pictures of a batch are laid out picture by picture for windows that are laid out window by window, so that a picture
attends with its neighbours' queries. Weights released before both were mended need `legacy`.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.attention import DropPath, Mlp, SqueezeExcitation, attention_weights, relative_position_index

LAYER_SCALE, SQUEEZE = 1e-5, 4
SIDES = (64, 32, 16, 8)  # of the maps of the four levels, whatever the picture's


class LocalMix(nn.Module):
    """x + (depthwise 3x3, GELU, squeeze-excitation, 1x1)(x); no biases. Maps [batch, width, h, w]."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.squeeze = SqueezeExcitation(width, reduction=SQUEEZE, activation=nn.GELU)
        self.pointwise = nn.Conv2d(width, width, 1, bias=False)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h w"]:
        return x + self.pointwise(self.squeeze(F.gelu(self.depthwise(x))))


def sine_positions(height: int, width: int, channels: int) -> Float[Tensor, "height width channels"]:
    """Sines and cosines of columns in the first half of the channels, of rows in the second; places count from 1."""
    quarter = channels // 4
    rates = torch.exp(torch.arange(quarter) * (-math.log(1e4) / max(quarter - 1, 1)))

    def waves(count: int) -> Tensor:
        angles = torch.arange(1, count + 1)[:, None] * rates
        return torch.cat((angles.sin(), angles.cos()), dim=1)

    columns = waves(width)[None].expand(height, -1, -1)
    return torch.cat((columns, waves(height)[:, None].expand(-1, width, -1)), dim=2)


class Reduce(nn.Module):
    """Halves a map of side x side: norm, LocalMix, 3x3 of stride 2, norm, and sine positions weighted by `alpha`."""

    positions: Tensor

    def __init__(self, width: int, outputs: int, *, side: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(outputs)
        self.mix, self.alpha = LocalMix(width), nn.Parameter(torch.zeros(1))
        self.reduction = nn.Conv2d(width, outputs, 3, stride=2, padding=1, bias=False)
        self.register_buffer("positions", sine_positions(side // 2, side // 2, outputs), persistent=False)

    def forward(self, x: Float[Tensor, "batch h w width"]) -> Float[Tensor, "batch h2 w2 outputs"]:
        x = self.reduction(self.mix(self.norm1(x).permute(0, 3, 1, 2)))
        return self.norm2(x.permute(0, 2, 3, 1)) + self.alpha * self.positions


def windows_of(x: Float[Tensor, "batch h w width"], side: int) -> Float[Tensor, "windows tokens width"]:
    """Windows of side x side pixels, row by row, those of the first picture first."""
    x = x.unflatten(2, (-1, side)).unflatten(1, (-1, side))  # batch, rows, side, columns, side, width
    return x.transpose(2, 3).flatten(3, 4).flatten(0, 2)


def from_windows(windows: Float[Tensor, "windows tokens width"], *, side: int, whole: int) -> Tensor:
    """[batch, whole, whole, width]: `windows_of` undone."""
    x = windows.unflatten(1, (side, side)).unflatten(0, (-1, whole // side, whole // side))
    return x.transpose(2, 3).flatten(3, 4).flatten(1, 2)


class WindowAttention(nn.Module):
    """Attention within windows, with Swin's position bias; `whole_queries`: keys and values alone come from them."""

    index: Tensor
    fixed_bias: Tensor | None

    def __init__(self, width: int, *, heads: int, side: int, whole_queries: bool = False) -> None:
        super().__init__()
        if width % heads:
            raise MienError(f"WindowAttention: {heads} heads do not divide the width {width}.")
        self.heads, self.whole_queries = heads, whole_queries
        self.bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * side - 1) ** 2, heads), std=0.02))
        self.qkv, self.proj = nn.Linear(width, (2 if whole_queries else 3) * width), nn.Linear(width, width)
        self.register_buffer("index", relative_position_index(side), persistent=False)
        self.register_buffer("fixed_bias", None, persistent=False)

    def bias(self) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias of every pair: gathered from the table, or kept from `freeze_bias`."""
        if self.fixed_bias is not None:
            return self.fixed_bias
        pairs = self.bias_table[self.index.flatten()].unflatten(0, self.index.shape)
        return pairs.permute(2, 0, 1).contiguous()[None]

    def freeze_bias(self) -> None:
        """Gathers the bias once; from now on changes of the table are not seen."""
        self.fixed_bias = self.bias().detach()

    def _parts(self, windows: Tensor, queries: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [windows, heads, tokens, head]."""
        joint = self.qkv(windows).unflatten(2, (-1, self.heads, windows.shape[2] // self.heads))
        *own, k, v = joint.permute(2, 0, 3, 1, 4).unbind(0)
        return own[0] if queries is None else queries.to(k.dtype), k, v

    def weights(
        self, windows: Float[Tensor, "windows tokens width"],
        queries: Float[Tensor, "windows heads tokens head"] | None = None,
    ) -> Float[Tensor, "windows heads tokens tokens"]:  # fmt: skip
        """How much each place (third axis) reads from each other one of its window; rows sum to 1."""
        q, k, _ = self._parts(windows, queries)
        return attention_weights(q, k, self.bias())

    def forward(
        self, windows: Float[Tensor, "windows tokens width"],
        queries: Float[Tensor, "windows heads tokens head"] | None = None,
    ) -> Float[Tensor, "windows tokens width"]:  # fmt: skip
        q, k, v = self._parts(windows, queries)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias().to(q.dtype))
        out = out.transpose(1, 2)
        if torch.compiler.is_compiling():  # an exporter takes the kernel apart, and then its axes lie otherwise
            out = out.clone(memory_format=torch.contiguous_format)
        return self.proj(out.flatten(2))


class Block(nn.Module):
    """Attention and MLP, each on a norm of its input, scaled by channel and added to it."""

    def __init__(
        self, width: int, *, heads: int, side: int, mlp_ratio: float, drop_path: float, whole_queries: bool
    ) -> None:
        super().__init__()
        self.side = side
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = WindowAttention(width, heads=heads, side=side, whole_queries=whole_queries)
        self.mlp, self.drop_path = Mlp(width, hidden=int(width * mlp_ratio)), DropPath(drop_path)
        self.gamma1 = nn.Parameter(torch.full((width,), LAYER_SCALE))
        self.gamma2 = nn.Parameter(torch.full((width,), LAYER_SCALE))

    def forward(self, x: Float[Tensor, "batch h w width"], queries: Tensor | None) -> Tensor:
        windows = self.attention(windows_of(self.norm1(x), self.side), queries)
        x = x + self.drop_path(self.gamma1 * from_windows(windows, side=self.side, whole=x.shape[1]))
        return x + self.drop_path(self.gamma2 * self.mlp(self.norm2(x)))


class QueryStep(nn.Module):
    """LocalMix, and a maximum over 3x3 of stride 2 where the map is still larger than a window."""

    def __init__(self, width: int, *, pool: bool) -> None:
        super().__init__()
        self.mix, self.pool = LocalMix(width), pool

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h2 w2"]:
        x = self.mix(x)
        return F.max_pool2d(x, 3, stride=2, padding=1) if self.pool else x


class Level(nn.Module):
    """Blocks of local and whole-picture attention by turns on maps of side x side; no reduction behind them."""

    def __init__(
        self, width: int, *, side: int, window: int, depth: int, heads: int, mlp_ratio: float,
        drop_path: Sequence[float], legacy: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        self.heads, self.window, self.legacy = heads, window, legacy
        self.blocks = nn.ModuleList(
            Block(
                width, heads=heads, side=window, mlp_ratio=mlp_ratio, drop_path=drop_path[i], whole_queries=i % 2 == 1
            )
            for i in range(depth)
        )
        steps = int(math.log2(side // window))
        self.query = nn.Sequential(*(QueryStep(width, pool=i < steps) for i in range(max(steps, 1))))

    def queries(self, x: Float[Tensor, "batch h w width"]) -> Float[Tensor, "windows heads tokens head"]:
        """The queries of the whole picture, once for each window."""
        batch, height, width, channels = x.shape
        count = (height // self.window) * (width // self.window)
        if self.legacy:
            small = self.query(x.contiguous().view(batch, channels, height, width))
            return small.repeat(count, 1, 1, 1).reshape(batch * count, self.heads, -1, channels // self.heads)
        small = self.query(x.permute(0, 3, 1, 2))
        heads = small.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)  # batch, heads, tokens, head
        return heads[:, None].expand(-1, count, -1, -1, -1).flatten(0, 1)

    def forward(self, x: Float[Tensor, "batch h w width"]) -> Float[Tensor, "batch h w width"]:
        queries = self.queries(x)
        for i, block in enumerate(self.blocks):
            x = block(x, queries if i % 2 else None)
        return x


class GcVit(nn.Module):
    """[batch, 3, size, size] to the inputs of levels 0 to 2 (64, 32, 16 pixels) and the output of level 3 (8 pixels).

    size: 64, 128 or 256; the stem has stride size / 64, so that the maps are the same for all. Channels are width times
    1, 2, 4, 8. windows of 64, 32, 16 and 8 pixels' maps.
    """

    def __init__(
        self, *, size: int = 256, width: int = 128, depths: Sequence[int] = (3, 4, 19, 5),
        heads: Sequence[int] = (4, 8, 16, 32), windows: Sequence[int] = (8, 8, 16, 8), mlp_ratio: float = 2.0,
        drop_path: float = 0.5, legacy: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if size not in (64, 128, 256):
            raise MienError(f"The GC ViT encoder reads pictures of 64, 128 or 256 pixels; got {size}.")
        self.size, self.widths = size, [width * 2**i for i in range(4)]
        self.stem = nn.Conv2d(3, width, 3, stride=min(size // 64, 2), padding=1)
        self.stem_reduce = Reduce(width, width, side=128) if size == 256 else None
        rates = [drop_path * i / max(sum(depths) - 1, 1) for i in range(sum(depths))]
        self.levels, self.reductions = nn.ModuleList(), nn.ModuleList()
        for i, (side, channels) in enumerate(zip(SIDES, self.widths, strict=True)):
            level_rates = rates[sum(depths[:i]) : sum(depths[: i + 1])]
            self.levels.append(
                Level(
                    channels,
                    side=side,
                    window=windows[i],
                    depth=depths[i],
                    heads=heads[i],
                    mlp_ratio=mlp_ratio,
                    drop_path=level_rates,
                    legacy=legacy,
                )
            )
            if i < 3:
                self.reductions.append(Reduce(channels, 2 * channels, side=side))

    def embed(self, image: Float[Tensor, "batch 3 size size"]) -> Float[Tensor, "batch 64 64 width"]:
        """The input of level 0. Raises MienError for pictures of another size."""
        if image.shape[-1] != self.size or image.shape[-2] != self.size:
            raise MienError(
                f"This encoder reads {self.size} x {self.size} pixels; got {image.shape[-1]} x {image.shape[-2]}."
            )
        x = self.stem(image).permute(0, 2, 3, 1)
        return x if self.stem_reduce is None else self.stem_reduce(x)

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> list[Tensor]:
        x, maps = self.embed(image), []
        for i, level in enumerate(self.levels):
            if i < 3:
                maps.append(x.permute(0, 3, 1, 2))
            x = level(x)
            x = self.reductions[i](x) if i < 3 else x
        return [*maps, x.permute(0, 3, 1, 2)]

    def freeze_biases(self) -> None:
        """Gathers every position bias once, for inference."""
        for module in self.modules():
            if isinstance(module, WindowAttention):
                module.freeze_bias()
