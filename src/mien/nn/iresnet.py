"""IR-50, IR-SE50 and IR-101, residual networks of face recognisers: their maps, and the recogniser with its embedding.

Deng et al., ArcFace, CVPR 2019 (the "improved residual unit" of section 3.1, with squeeze-excitation on demand); Huang
et al., CurricularFace, CVPR 2020 (IR-101).
- A unit starts and ends with BatchNorm, and nothing is activated after the sum.
- Where a unit keeps its width, its shortcut is a plain subsampling (every second pixel), without weights.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.attention import SqueezeExcitation

Maps = tuple[Tensor, Tensor, Tensor]
SE50_WIDTHS, SE50_DEPTHS, SE_REDUCTION = (64, 128, 256, 512), (3, 4, 14, 3), 16
IR101_DEPTHS = (3, 13, 30, 3)


class IResNetUnit(nn.Module):
    """norm, 3x3, PReLU, 3x3 with the stride, norm, (squeeze-excitation); plus the (projected) shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1, reduction: int = 0) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.act = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.squeeze = SqueezeExcitation(outputs, reduction=reduction, activation=nn.ReLU) if reduction else None
        self.projected = inputs != outputs
        if self.projected:
            self.shortcut_conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        shortcut = (
            self.shortcut_norm(self.shortcut_conv(x)) if self.projected else x[:, :, :: self.stride, :: self.stride]
        )
        x = self.norm2(self.conv2(self.act(self.conv1(self.norm1(x)))))
        return (x if self.squeeze is None else self.squeeze(x)) + shortcut


class IResNet(nn.Module):
    """Maps at 1/2, 1/4, 1/8 ... of the input's side; the defaults are IR-50's first three stages.

    reduction: of the squeeze-excitation in every unit; 0 is without.
    """

    def __init__(
        self, *, stem: int = 64, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (3, 4, 14),
        reduction: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.stem_conv = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stem_act = nn.PReLU(stem)
        self.stages = nn.ModuleList()
        for width_in, width, depth in zip((stem, *widths[:-1]), widths, depths, strict=True):
            units = [IResNetUnit(width_in, width, stride=2, reduction=reduction)]
            units += [IResNetUnit(width, width, reduction=reduction) for _ in range(depth - 1)]
            self.stages.append(nn.Sequential(*units))

    def stem(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch stem h w"]:
        return self.stem_act(self.stem_norm(self.stem_conv(image)))

    def maps(self, image: Float[Tensor, "batch 3 h w"]) -> list[Tensor]:
        """The output of every stage."""
        found = [self.stem(image)]
        for stage in self.stages:
            found.append(stage(found[-1]))
        return found[1:]

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Maps:
        """The maps of a network of three stages."""
        map1, map2, map3 = self.maps(image)
        return map1, map2, map3


def ir_se50() -> IResNet:
    """The trunk of IR-SE50: four stages to 512 channels at 1/16 of the side."""
    return IResNet(widths=SE50_WIDTHS, depths=SE50_DEPTHS, reduction=SE_REDUCTION)


class FaceRecogniser(nn.Module):
    """A trunk with its head: a face of 112 x 112 pixels, -1 to 1, to an embedding of length 1; by default IR-SE50.

    The inner product of two embeddings is the similarity of the faces, at most 1. depths, reduction: of the trunk's
    four stages. affine: whether the embedding's norm has weights.
    """

    def __init__(
        self, *, outputs: int = 512, size: int = 112, depths: Sequence[int] = SE50_DEPTHS,
        reduction: int = SE_REDUCTION, affine: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.depths, width = tuple(depths), SE50_WIDTHS[-1]
        self.trunk = IResNet(widths=SE50_WIDTHS, depths=depths, reduction=reduction)
        self.norm, self.dropout = nn.BatchNorm2d(width), nn.Dropout()
        self.linear = nn.Linear(width * (size // 16) ** 2, outputs)
        self.output_norm = nn.BatchNorm1d(outputs, affine=affine)

    def forward(self, face: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch outputs"]:
        x = self.dropout(self.norm(self.trunk.maps(face)[-1]))
        return F.normalize(self.output_norm(self.linear(x.flatten(1))), dim=1)


def ir_101() -> FaceRecogniser:
    """CurricularFace's: 49 units without squeeze-excitation; the embedding's norm has no weights."""
    return FaceRecogniser(depths=IR101_DEPTHS, reduction=0, affine=False)
