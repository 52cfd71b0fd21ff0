"""IR-50, the residual network of face recognisers, cut after its third stage.

Deng et al., ArcFace, CVPR 2019 (the "improved residual unit" of section 3.1, without squeeze-excitation).
- A unit starts and ends with BatchNorm, and nothing is activated after the sum.
- Where a unit keeps its width, its shortcut is a plain subsampling (every second pixel), without weights.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

Maps = tuple[Tensor, Tensor, Tensor]


class IResNetUnit(nn.Module):
    """norm, 3x3, PReLU, 3x3 with the stride, norm; plus the (projected) shortcut."""

    def __init__(self, inputs: int, outputs: int, *, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.act = nn.PReLU(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.projected = inputs != outputs
        if self.projected:
            self.shortcut_conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        shortcut = (
            self.shortcut_norm(self.shortcut_conv(x)) if self.projected else x[:, :, :: self.stride, :: self.stride]
        )
        return self.norm2(self.conv2(self.act(self.conv1(self.norm1(x))))) + shortcut


class IResNet(nn.Module):
    """Three maps at 1/2, 1/4 and 1/8 of the input's side; the defaults are IR-50's."""

    def __init__(
        self, *, stem: int = 64, widths: Sequence[int] = (64, 128, 256), depths: Sequence[int] = (3, 4, 14)
    ) -> None:
        super().__init__()
        self.stem_conv = nn.Conv2d(3, stem, 3, padding=1, bias=False)
        self.stem_norm = nn.BatchNorm2d(stem)
        self.stem_act = nn.PReLU(stem)
        self.stages = nn.ModuleList()
        for width_in, width, depth in zip((stem, *widths[:-1]), widths, depths, strict=True):
            first = IResNetUnit(width_in, width, stride=2)
            self.stages.append(nn.Sequential(first, *(IResNetUnit(width, width) for _ in range(depth - 1))))

    def stem(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch stem h w"]:
        return self.stem_act(self.stem_norm(self.stem_conv(image)))

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Maps:
        map1 = self.stages[0](self.stem(image))
        map2 = self.stages[1](map1)
        return map1, map2, self.stages[2](map2)
