"""3x3 convolution with a quarter of the multiplications: Winograd's F(4x4, 3x3), for wide maps on a CPU in float32.

Lavin & Gray, "Fast algorithms for convolutional neural networks", CVPR 2016. Tiles of 6 x 6 pixels become 36 matrix
products. It pays where there are many channels: the transforms cost the same for each of them. Rounding is some ten
times that of a direct convolution: about 1e-5 of the largest output.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

TILE = 4  # outputs along each axis of a tile
_INPUT = (
    (4.0, 0.0, -5.0, 0.0, 1.0, 0.0), (0.0, -4.0, -4.0, 1.0, 1.0, 0.0), (0.0, 4.0, -4.0, -1.0, 1.0, 0.0),
    (0.0, -2.0, -1.0, 2.0, 1.0, 0.0), (0.0, 2.0, -1.0, -2.0, 1.0, 0.0), (0.0, 4.0, 0.0, -5.0, 0.0, 1.0),
)  # fmt: skip
_WEIGHT = (
    (1 / 4, 0.0, 0.0), (-1 / 6, -1 / 6, -1 / 6), (-1 / 6, 1 / 6, -1 / 6), (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6), (0.0, 0.0, 1.0),
)  # fmt: skip
_OUTPUT = (
    (1.0, 1.0, 1.0, 1.0, 1.0, 0.0), (0.0, 1.0, -1.0, 2.0, -2.0, 0.0), (0.0, 1.0, 1.0, 4.0, 4.0, 0.0),
    (0.0, 1.0, -1.0, 8.0, -8.0, 1.0),
)  # fmt: skip


def winograd_weights(weight: Float[Tensor, "outputs inputs 3 3"]) -> Float[Tensor, "36 outputs inputs"]:
    """The weights transformed once for `winograd_conv`: four times as many numbers."""
    matrix = torch.tensor(_WEIGHT, dtype=torch.float64, device=weight.device)
    spread = torch.einsum("ai,ocij,bj->aboc", matrix, weight.double(), matrix)
    return spread.flatten(0, 1).to(weight.dtype).contiguous()


def winograd_conv(
    x: Float[Tensor, "batch inputs h w"], weights: Float[Tensor, "36 outputs inputs"]
) -> Float[Tensor, "batch outputs h w"]:
    """The convolution with padding 1; sides must be multiples of 4."""
    batch, inputs, height, width = x.shape
    rows, columns = height // TILE, width // TILE
    side = TILE + 2
    tiles = F.pad(x, (1, 1, 1, 1)).unfold(2, side, TILE).unfold(3, side, TILE)
    flat = tiles.permute(4, 5, 1, 0, 2, 3).reshape(side * side, -1)
    spread = (_both_axes(_INPUT, x) @ flat).view(side * side, inputs, -1)
    product = torch.bmm(weights, spread).view(side * side, -1)
    out = (_both_axes(_OUTPUT, x) @ product).view(TILE, TILE, -1, batch, rows, columns)
    return out.permute(3, 2, 4, 0, 5, 1).reshape(batch, -1, height, width)


def _both_axes(rows: tuple[tuple[float, ...], ...], like: Tensor) -> Tensor:
    """The transform of rows and columns together, as one matrix."""
    matrix = torch.tensor(rows, dtype=like.dtype, device=like.device)
    return torch.kron(matrix, matrix)
