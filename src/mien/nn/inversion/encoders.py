"""The encoders: ASIT's with a structure code beside the style codes, and pSp's; what IFER makes of the former.

Mao et al., "More comprehensive facial inversion for more effective expression recognition", arXiv 2211.13564;
Richardson et al., CVPR 2021 (pSp).
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.inversion.gcvit import GcVit
from mien.nn.inversion.style_heads import StylePyramid
from mien.nn.iresnet import SE50_WIDTHS, ir_se50
from mien.nn.stylegan2.modulation import ModulatedConv

FEATURE_SLOPE = 0.01


class Encoded(NamedTuple):
    codes: Tensor
    """[batch, styles, outputs]; what is added to the mean code, for encoders trained so"""
    structure: Tensor
    """[batch, structure_channels, 4, 4], in place of the generator's constant"""
    maps: list[Tensor]
    """What the codes were made of: maps of 64, 32 and 16 pixels"""


class AsitEncoder(nn.Module):
    """GC ViT whose inputs of levels 0 to 2 give the style codes and whose last level gives the structure code.

    styles: as many as the generator takes; outputs: their width. head_width: of the pyramid. size, width, depths,
    heads, legacy, ...: of the GC ViT. shared_heads: one style head for each scale instead of one for each code.
    """

    def __init__(
        self, *, styles: int = 14, outputs: int = 512, head_width: int = 512, structure_channels: int = 512,
        size: int = 256, width: int = 128, depths: Sequence[int] = (3, 4, 19, 5),
        heads: Sequence[int] = (4, 8, 16, 32), drop_path: float = 0.5, shared_heads: bool = False,
        legacy: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.trunk = GcVit(size=size, width=width, depths=depths, heads=heads, drop_path=drop_path, legacy=legacy)
        channels = self.trunk.widths
        self.styles = StylePyramid(
            channels[:3], styles=styles, width=head_width, outputs=outputs, attention=True, shared=shared_heads
        )
        self.structure_conv = nn.Conv2d(channels[3], structure_channels, 3, stride=2, padding=1)
        self.feature_convs = nn.ModuleList(nn.Conv2d(c, structure_channels, 1) for c in channels[:3])
        self.apply(_initialise)

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> Encoded:
        *maps, last = self.trunk(image)
        return Encoded(self.styles(maps), self.structure_conv(last), maps)

    def features(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """The maps in as many channels as the generator's, for the distribution loss: 64, 32 and 16 pixels."""
        pairs = zip(self.feature_convs, maps, strict=True)
        return [F.leaky_relu(conv(x), FEATURE_SLOPE) for conv, x in pairs]


# A laptop's: 1/4 of the widths and shared heads.
SMALL_ENCODER = {
    "width": 32, "depths": (2, 2, 4, 2), "heads": (1, 2, 4, 8), "head_width": 128, "shared_heads": True,
    "drop_path": 0.1,
}  # fmt: skip


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class PspEncoder(nn.Module):
    """IR-SE50 and a style head for each code: [batch, 3, 256, 256] to [batch, styles, 512]."""

    def __init__(self, *, styles: int = 18) -> None:
        super().__init__()
        self.trunk = ir_se50()
        self.styles = StylePyramid(SE50_WIDTHS[1:], styles=styles)

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch styles outputs"]:
        return self.styles(self.trunk.maps(image)[1:])


class CodePooling(nn.Module):
    """All codes to one: their mean, or a mean weighted by a softmax of their products with a learned query."""

    def __init__(self, width: int, *, pooling: Literal["mean", "attention"]) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(width)) if pooling == "attention" else None

    def forward(self, codes: Float[Tensor, "batch styles width"]) -> Float[Tensor, "batch width"]:
        if self.query is None:
            return codes.mean(1)
        weights = (codes @ self.query / codes.shape[2] ** 0.5).softmax(1)
        return (weights[:, :, None] * codes).sum(1)


class FeatureModulation(nn.Module):
    """IFER's classifier: the structure code, convolved with the pooled style code as modulation, to logits.

    structure_channels, width: of the encoder. pooling "attention" is ours; it starts as the mean.
    """

    def __init__(
        self, *, classes: int, structure_channels: int = 512, width: int = 512,
        pooling: Literal["mean", "attention"] = "mean",
    ) -> None:  # fmt: skip
        super().__init__()
        self.pool = CodePooling(width, pooling=pooling)
        self.conv = nn.Conv2d(structure_channels, structure_channels, 1)
        self.style_conv = ModulatedConv(structure_channels, structure_channels, 3, style=width)
        self.head = nn.Linear(structure_channels, classes)

    def forward(
        self, codes: Float[Tensor, "batch styles width"], structure: Float[Tensor, "batch channels h w"]
    ) -> Float[Tensor, "batch classes"]:
        return self.head(self.style_conv(self.conv(structure), self.pool(codes)).mean((2, 3)))
