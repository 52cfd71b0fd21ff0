"""Attention with torch's fused kernel: across two streams with a relative position bias, and among tokens.

`CrossAttention` is the global-query attention of GC ViT (Hatamizadeh et al., ICML 2023) as POSTER V2 uses it: the
queries are another stream's features as they are, without projection or norm. Its window is the whole map, so there is
nothing to partition. The bias index is Swin's (Liu et al., ICCV 2021).
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError


def relative_position_index(side: int) -> Int[Tensor, "tokens tokens"]:
    """Row of the bias table for each pair of side * side positions: (yi - yj + s - 1)(2s - 1) + (xi - xj + s - 1)."""
    y, x = torch.arange(side).repeat_interleave(side), torch.arange(side).repeat(side)
    return (y[:, None] - y + side - 1) * (2 * side - 1) + (x[:, None] - x + side - 1)


def attention_weights(
    query: Float[Tensor, "batch heads queries head"], key: Float[Tensor, "batch heads keys head"],
    bias: Float[Tensor, "_ heads queries keys"] | None = None,
) -> Float[Tensor, "batch heads queries keys"]:  # fmt: skip
    """softmax(q k / sqrt(head) + bias), which the fused kernel does not give."""
    scores = query @ key.transpose(2, 3) / query.shape[3] ** 0.5
    return (scores if bias is None else scores + bias).softmax(3)


class DropPath(nn.Module):
    """Drops whole samples of a residual branch with probability `rate` in training, and rescales the others."""

    def __init__(self, rate: float = 0.0) -> None:
        super().__init__()
        self.rate = rate

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = x.new_empty((x.shape[0],) + (1,) * (x.ndim - 1)).bernoulli_(1 - self.rate)
        return x * keep / (1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate:g}"


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, *, hidden: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, hidden), nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(F.gelu(self.fc1(x)))


class SqueezeExcitation(nn.Module):
    """Scales each channel of a map by a sigmoid of all channels' means (Hu et al., CVPR 2018); no biases."""

    def __init__(self, width: int, *, reduction: int, activation: type[nn.Module]) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, width // reduction, bias=False)
        self.act, self.fc2 = activation(), nn.Linear(width // reduction, width, bias=False)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h w"]:
        scale = torch.sigmoid(self.fc2(self.act(self.fc1(x.mean((2, 3))))))
        return x * scale[:, :, None, None]


class CrossAttention(nn.Module):
    """Keys and values from image tokens, queries given: softmax(q k / sqrt(head_dim) + bias) v on a side x side map."""

    index: Tensor
    fixed_bias: Tensor | None

    def __init__(self, width: int, *, heads: int, side: int) -> None:
        super().__init__()
        if width % heads:
            raise MienError(f"CrossAttention: {heads} heads do not divide the width {width}.")
        self.heads, self.head_dim = heads, width // heads
        self.bias_table = nn.Parameter(nn.init.trunc_normal_(torch.empty((2 * side - 1) ** 2, heads), std=0.02))
        self.kv, self.proj = nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.register_buffer("index", relative_position_index(side), persistent=False)
        self.register_buffer("fixed_bias", None, persistent=False)

    def bias(self) -> Float[Tensor, "1 heads tokens tokens"]:
        """The bias of every pair: gathered from the table, or kept from `freeze_bias`."""
        if self.fixed_bias is not None:
            return self.fixed_bias
        pairs = self.bias_table[self.index.flatten()].unflatten(0, self.index.shape)
        return pairs.permute(2, 0, 1).contiguous()[None]  # the fused kernels of a GPU read it row by row

    def freeze_bias(self) -> None:
        """Gathers the bias once; from now on changes of the table are not seen."""
        self.fixed_bias = self.bias().detach()

    def split_heads(self, x: Float[Tensor, "batch tokens width"]) -> Float[Tensor, "batch heads tokens head_dim"]:
        return x.view(x.shape[0], -1, self.heads, self.head_dim).transpose(1, 2)

    def _parts(self, tokens: Tensor, query: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each [batch, heads, tokens, head_dim]."""
        key, value = self.kv(tokens).chunk(2, dim=-1)
        q, k, v = (self.split_heads(t) for t in (query.to(key.dtype), key, value))
        return q, k, v

    def weights(
        self, tokens: Float[Tensor, "batch tokens width"], query: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch heads tokens tokens"]:
        """How much each place (third axis) reads from each other one; rows sum to 1."""
        q, k, _ = self._parts(tokens, query)
        return attention_weights(q, k, self.bias())

    def forward(
        self, tokens: Float[Tensor, "batch tokens width"], query: Float[Tensor, "batch tokens width"]
    ) -> Float[Tensor, "batch tokens width"]:
        q, k, v = self._parts(tokens, query)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.bias().to(q.dtype))
        return self.proj(out.transpose(1, 2).flatten(2))


class SelfAttention(nn.Module):
    """Multi-head attention among tokens; `first_only` asks for the first token's output alone."""

    def __init__(self, width: int, *, heads: int) -> None:
        super().__init__()
        if width % heads:
            raise MienError(f"SelfAttention: {heads} heads do not divide the width {width}.")
        self.heads = heads
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def _split(self, joint: Tensor, parts: int) -> tuple[Tensor, ...]:
        """The parts of a joint projection, each [batch, heads, tokens, head_dim]."""
        batch, tokens, width = joint.shape
        split = joint.view(batch, tokens, parts, self.heads, width // parts // self.heads)
        return split.permute(2, 0, 3, 1, 4).unbind(0)

    def _first_query(self, x: Tensor) -> Tensor:
        width = x.shape[2]
        q = F.linear(x[:, :1], self.qkv.weight[:width], self.qkv.bias[:width])
        return q.view(x.shape[0], 1, self.heads, -1).transpose(1, 2)

    def _parts(self, x: Tensor, first_only: bool) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (of the first token alone, where asked for), keys and values."""
        if first_only:
            q, kv = self._first_query(x), F.linear(x, self.qkv.weight[x.shape[2] :], self.qkv.bias[x.shape[2] :])
            k, v = self._split(kv, 2)
        else:
            q, k, v = self._split(self.qkv(x), 3)
        return q, k, v

    def weights(
        self, x: Float[Tensor, "batch tokens width"], *, first_only: bool = False
    ) -> Float[Tensor, "batch heads queries tokens"]:
        """How much each token (third axis) reads from each; rows sum to 1."""
        q, k, _ = self._parts(x, first_only)
        return attention_weights(q, k)

    def forward(self, x: Float[Tensor, "batch tokens width"], *, first_only: bool = False) -> Tensor:
        q, k, v = self._parts(x, first_only)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Pre-norm block: attention and MLP, each added to its input.

    With `first_only` the result is that of the first token, [batch, 1, width]: equal to `block(x)[:, :1]`, and without
    the work for tokens that nobody will read.
    """

    def __init__(self, width: int, *, heads: int, mlp_ratio: float = 4.0) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attention = SelfAttention(width, heads=heads)
        self.mlp = Mlp(width, hidden=int(width * mlp_ratio))

    def forward(self, x: Float[Tensor, "batch tokens width"], *, first_only: bool = False) -> Tensor:
        kept = x[:, :1] if first_only else x
        x = kept + self.attention(self.norm1(x), first_only=first_only)
        return x + self.mlp(self.norm2(x))
