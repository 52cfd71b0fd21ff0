"""Context attention: one code shifts another, with the numbers of the codes as tokens (Blume et al., GCPR 2024)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class ContextAttention(nn.Module):
    """content [batch, latent] shifted by what context [batch, latent] brings out in it.

    q = query(context), k = key(content), v = value(content), each [batch, latent]. Every number of a code is a token of
    one dimension, so the map is the softmax over j of q_i k_j, and content_i moves by strength * sum_j map_ij v_j.

    The forward pass holds no map. Token i's sum depends on q_i alone: it is f(q_i) with

        f(q) = sum_j exp(q k_j) v_j / sum_j exp(q k_j),

    two sums over j which can be built up block by block with a running maximum. That is what torch's fused kernel of
    attention does, here with one head of one dimension and scale 1; memory grows with the batch times the latent, not
    with its square. `map` writes the map out.
    """

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(latent, latent) for _ in range(3))

    def forward(
        self, content: Float[Tensor, "batch latent"], context: Float[Tensor, "batch latent"], *,
        strength: float | Float[Tensor, "batch 1"] = 1.0,
    ) -> Float[Tensor, "batch latent"]:  # fmt: skip
        return content + strength * self.shift(content, context)

    def shift(
        self, content: Float[Tensor, "batch latent"], context: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch latent"]:
        """What is added at strength 1. float32 also under autocast: one dimension averages no rounding out."""
        with torch.autocast(content.device.type, enabled=False):
            tokens = (part.float()[:, None, :, None] for part in self._projected(content.float(), context.float()))
            query, key, value = tokens
            return F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0, :, 0]

    def map(
        self, content: Float[Tensor, "batch latent"], context: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch latent latent"]:
        """How much token j of the content counts for token i; each row sums to 1."""
        query, key, _ = self._projected(content, context)
        return torch.softmax(query[:, :, None] * key[:, None, :], -1)

    def _projected(self, content: Tensor, context: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.query(context), self.key(content), self.value(content)


def row_entropy(attention: Float[Tensor, "batch rows tokens"]) -> Float[Tensor, "batch rows"]:
    """Of each row of a map, nats: log(tokens) where nothing is attended to in particular."""
    return torch.special.entr(attention).sum(-1)
