"""MobileNetV3 in its minimal form: ReLU alone, 3x3 kernels alone, no squeeze-excitation.

Howard et al., Searching for MobileNetV3, ICCV 2019. Names, norms and the padding of halving convolutions are those of
timm's `tf_mobilenetv3_small_minimal_100` and `tf_mobilenetv3_large_minimal_100`, whose weights fit.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

EPS = 1e-3
Block = tuple[int, int, int]  # width inside (0: no expansion), channels that it gives, stride
SMALL: tuple[tuple[Block, ...], ...] = (
    ((0, 16, 2),),
    ((72, 24, 2), (88, 24, 1)),
    ((96, 40, 2), (240, 40, 1), (240, 40, 1)),
    ((120, 48, 1), (144, 48, 1)),
    ((288, 96, 2), (576, 96, 1), (576, 96, 1)),
)
LARGE: tuple[tuple[Block, ...], ...] = (
    ((0, 16, 1),),
    ((64, 24, 2), (72, 24, 1)),
    ((72, 40, 2), (120, 40, 1), (120, 40, 1)),
    ((240, 80, 2), (200, 80, 1), (184, 80, 1), (184, 80, 1)),
    ((480, 112, 1), (672, 112, 1)),
    ((672, 160, 2), (960, 160, 1), (960, 160, 1)),
)
STAGES = {"small": (SMALL, 576), "large": (LARGE, 960)}
STEM = 16


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution padded as TensorFlow does: where the total is odd, the last row and column get more."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, groups: int = 1) -> None:
        super().__init__(inputs, outputs, 3, stride=stride, groups=groups, bias=False)

    def forward(self, x: Float[Tensor, "batch inputs height width"]) -> Float[Tensor, "batch outputs h w"]:
        stride = self.stride[0]
        padding: list[int] = []
        for length in (x.shape[3], x.shape[2]):
            total = max((-(-length // stride) - 1) * stride + 3 - length, 0)
            padding += [total // 2, total - total // 2]
        return super().forward(F.pad(x, padding))


class DepthwiseSeparable(nn.Module):
    """Depthwise 3x3, then linear 1x1; with the identity added where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.conv_dw, self.bn1 = SameConv2d(inputs, inputs, stride=stride, groups=inputs), _norm(inputs)
        self.conv_pw, self.bn2 = nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv_pw(F.relu(self.bn1(self.conv_dw(x)))))
        return x + y if self.residual else y


class InvertedResidual(nn.Module):
    """1x1 to `hidden`, depthwise 3x3, linear 1x1; with the identity added where the shape stays."""

    def __init__(self, inputs: int, outputs: int, *, hidden: int, stride: int) -> None:
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.conv_pw, self.bn1 = nn.Conv2d(inputs, hidden, 1, bias=False), _norm(hidden)
        self.conv_dw, self.bn2 = SameConv2d(hidden, hidden, stride=stride, groups=hidden), _norm(hidden)
        self.conv_pwl, self.bn3 = nn.Conv2d(hidden, outputs, 1, bias=False), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv_pw(x)))
        y = self.bn3(self.conv_pwl(F.relu(self.bn2(self.conv_dw(y)))))
        return x + y if self.residual else y


class LastConvolution(nn.Module):
    """1x1 with norm and ReLU, to the features."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.bn1 = nn.Conv2d(inputs, outputs, 1, bias=False), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn1(self.conv(x)))


class MobileNetV3Minimal(nn.Module):
    """A picture [batch, 3, h, w] to a map [batch, features, h / 32, w / 32]; `features` is its number of channels."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        stages, self.features = STAGES[kind]
        self.conv_stem, self.bn1 = SameConv2d(3, STEM, stride=2), _norm(STEM)
        self.blocks = nn.ModuleList()
        inputs = STEM
        for stage in stages:
            built: list[nn.Module] = []
            for hidden, outputs, stride in stage:
                separable = DepthwiseSeparable(inputs, outputs, stride=stride) if not hidden else None
                built.append(separable or InvertedResidual(inputs, outputs, hidden=hidden, stride=stride))
                inputs = outputs
            self.blocks.append(nn.Sequential(*built))
        self.blocks.append(nn.Sequential(LastConvolution(inputs, self.features)))

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch features h w"]:
        x = F.relu(self.bn1(self.conv_stem(x)))
        for stage in self.blocks:
            x = stage(x)
        return x


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=EPS)


def pooled(x: Float[Tensor, "batch features h w"]) -> Float[Tensor, "batch features"]:
    """Means over the map."""
    return torch.mean(x, dim=(2, 3))
