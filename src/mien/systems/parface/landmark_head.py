"""The landmark head: layers interleaved with the decoder's own (Browatzki & Wallraven, CVPR 2020, section 3.2)."""

from collections.abc import Collection

from jaxtyping import Float
from torch import Tensor, nn


class LandmarkHead(nn.Module):
    """Transfer convolutions, between which the decoder's layers run, and a last step up to one map per point.

    widths: channels into each transfer convolution, which keeps them: the decoder's x1, x2, .... laterals: channels of
    the encoder's maps that are added there, or none. No bias, no norm and no activation, as published.
    """

    def __init__(self, widths: Collection[int], points: int, *, laterals: Collection[int] = ()) -> None:
        super().__init__()
        widths = list(widths)
        self.to_maps = nn.ConvTranspose2d(widths[-1], points, 4, stride=2, padding=1, bias=False)
        self.transfers = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1, bias=False) for width in widths)
        pairs = zip(laterals, widths, strict=False)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, width, 1, bias=False) for channels, width in pairs)
        for lateral in self.laterals:
            nn.init.zeros_(lateral.weight)  # type: ignore[arg-type]

    def forward(
        self, x: Float[Tensor, "batch width 8 8"], layers: Collection[nn.Module], encoder_maps: Collection[Tensor] = ()
    ) -> Float[Tensor, "batch points maps maps"]:
        """x: the decoder's x1; layers: the decoder's after it; seen: the encoder's maps of the inputs' sides."""
        between, encoder_maps = list(layers), list(encoder_maps)
        for i, transfer in enumerate(self.transfers):
            x = x + self.laterals[i](encoder_maps[i]) if encoder_maps else x
            x = transfer(x)
            x = between[i](x) if i < len(self.transfers) - 1 else x
        return self.to_maps(x)
