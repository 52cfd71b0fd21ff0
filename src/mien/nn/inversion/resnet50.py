"""ResNet-50 up to its mean over places (He et al., CVPR 2016), as momentum contrast trains it; torchvision's names."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

DEPTHS, WIDTHS, EXPANSION = (3, 4, 6, 3), (64, 128, 256, 512), 4


class Bottleneck(nn.Module):
    """1x1, 3x3 with the stride, 1x1 to four times the width, each with a norm; plus the (projected) shortcut."""

    def __init__(self, inputs: int, width: int, *, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * width
        self.conv1, self.bn1 = nn.Conv2d(inputs, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, outputs, 1, bias=False), nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride > 1 or inputs != outputs:
            project = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(project, nn.BatchNorm2d(outputs))

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs h2 w2"]:
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn3(self.conv3(F.relu(self.bn2(self.conv2(y)))))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet50(nn.Module):
    """[batch, 3, h, w] to [batch, 2048]."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64)
        inputs = 64
        for i, (width, depth) in enumerate(zip(WIDTHS, DEPTHS, strict=True)):
            blocks = [Bottleneck(inputs, width, stride=1 if i == 0 else 2)]
            inputs = EXPANSION * width
            blocks += [Bottleneck(inputs, width, stride=1) for _ in range(depth - 1)]
            setattr(self, f"layer{i + 1}", nn.Sequential(*blocks))

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 2048"]:
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(image))), 3, stride=2, padding=1)
        for i in range(len(DEPTHS)):
            x = getattr(self, f"layer{i + 1}")(x)
        return x.mean((2, 3))
