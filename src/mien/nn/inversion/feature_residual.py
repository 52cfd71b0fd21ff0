"""The F-space option: a residual of one of the generator's feature maps, predicted from the encoder's map of that side.

W+ codes alone saturate (spec of ASIT, LPIPS about .13): a picture has details that no code for a whole layer can place.
After Yao et al., A Style-Based GAN Encoder for High Fidelity Reconstruction, ECCV 2022, and Wang et al., HFGI, CVPR
2022. Beyond ASIT's paper. What is kept of a picture passes through few channels, so that it can be counted and stored.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError

SIDES = (64, 32, 16)  # of the encoder's maps, in their order


class FeatureResidual(nn.Module):
    """A map of the encoder to `channels` numbers a place, and these to what is added to the generator's map.

    inputs: channels of the encoder's three maps. outputs: channels of the generator's map of that side. width: of the
    layers between. It begins as no residual at all. Raises MienError for a side that the encoder has no map of.
    """

    def __init__(self, inputs: Sequence[int], outputs: int, *, side: int, channels: int = 8, width: int = 128) -> None:
        super().__init__()
        if side not in SIDES:
            raise MienError(f"The feature residual lies at 16, 32 or 64 pixels; got {side}.")
        self.side, self.place = side, SIDES.index(side)
        self.first = nn.Conv2d(inputs[self.place], width, 3, padding=1)
        self.squeeze = nn.Conv2d(width, channels, 3, padding=1)
        self.spread = nn.Conv2d(channels, width, 3, padding=1)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)
        nn.init.zeros_(self.last.weight)
        assert self.last.bias is not None
        nn.init.zeros_(self.last.bias)

    def encode(self, maps: Sequence[Tensor]) -> Float[Tensor, "batch channels side side"]:
        """maps: of the encoder (64, 32 and 16 pixels). Values in -1..1."""
        return torch.tanh(self.squeeze(F.gelu(self.first(maps[self.place]))))

    def decode(self, code: Float[Tensor, "batch channels side side"]) -> Float[Tensor, "batch outputs side side"]:
        return self.last(F.gelu(self.spread(code)))
