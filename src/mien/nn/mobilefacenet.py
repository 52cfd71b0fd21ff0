"""MobileFaceNet as a landmark network: three maps on the way, 68 points at the end.

Chen et al., MobileFaceNets, CCBR 2018 (depthwise bottlenecks, PReLU, global depthwise convolution), in the 68-point
form that POSTER uses. Every convolution is followed by BatchNorm; a bottleneck's last one has no activation.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError

Maps = tuple[Tensor, Tensor, Tensor]

# Width inside a bottleneck over the width that enters it: the three that halve the map, and those that keep it.
DOWN_EXPANSIONS, KEEP_EXPANSION = (2, 4, 4), 2


class ConvNorm(nn.Module):
    """Convolution without bias, BatchNorm, and PReLU with one slope per channel unless `act` is False."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, *, stride: int = 1, padding: int = 0, groups: int = 1,
        act: bool = True,
    ) -> None:  # fmt: skip
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.act = nn.PReLU(outputs) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.conv(x)))


class Bottleneck(nn.Module):
    """1x1 to `hidden`, depthwise 3x3 with the stride, linear 1x1; with the identity added where `residual`."""

    def __init__(self, inputs: int, outputs: int, *, hidden: int, stride: int = 1, residual: bool = False) -> None:
        super().__init__()
        self.residual = residual
        self.expand = ConvNorm(inputs, hidden)
        self.depthwise = ConvNorm(hidden, hidden, 3, stride=stride, padding=1, groups=hidden)
        self.project = ConvNorm(hidden, outputs, act=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.depthwise(self.expand(x)))
        return x + y if self.residual else y


class LandmarkHead(nn.Module):
    """Global depthwise convolution over the whole last map, then a linear layer with BatchNorm on its outputs."""

    def __init__(self, features: int, *, side: int, points: int) -> None:
        super().__init__()
        self.pool = ConvNorm(features, features, side, groups=features, act=False)
        self.linear = nn.Linear(features, 2 * points, bias=False)
        self.norm = nn.BatchNorm1d(2 * points)

    def forward(self, map3: Float[Tensor, "batch features side side"]) -> Float[Tensor, "batch points 2"]:
        return self.norm(self.linear(self.pool(map3).flatten(1))).view(map3.shape[0], -1, 2)


class MobileFaceNet(nn.Module):
    """Maps at 1/4, 1/8 and 1/16 of `size`, of widths[0], widths[1] and `features` channels; `points` 0: no head."""

    def __init__(
        self, *, size: int = 112, widths: Sequence[int] = (64, 128, 128), features: int = 512,
        depths: Sequence[int] = (4, 6, 2), points: int = 68,
    ) -> None:  # fmt: skip
        super().__init__()
        first = widths[0]
        self.conv1 = ConvNorm(3, first, 3, stride=2, padding=1)
        self.conv2 = ConvNorm(first, first, 3, padding=1, groups=first)
        self.stages = nn.ModuleList()
        for inputs, width, depth, expansion in zip((first, *widths[:-1]), widths, depths, DOWN_EXPANSIONS, strict=True):
            down = Bottleneck(inputs, width, hidden=expansion * inputs, stride=2)
            hidden = KEEP_EXPANSION * width
            keep = (Bottleneck(width, width, hidden=hidden, residual=True) for _ in range(depth))
            self.stages.append(nn.Sequential(down, *keep))
        self.features = ConvNorm(widths[-1], features)
        self.head = LandmarkHead(features, side=size // 16, points=points) if points else None
        self.apply(_initialise)

    def forward_features(self, image: Float[Tensor, "batch 3 size size"]) -> Maps:
        map1 = self.stages[0](self.conv2(self.conv1(image)))
        map2 = self.stages[1](map1)
        return map1, map2, self.features(self.stages[2](map2))

    def landmarks(self, map3: Float[Tensor, "batch features side side"]) -> Float[Tensor, "batch points 2"]:
        """The points, in the unit the head was trained with (ours: crop sides). Raises MienError without a head."""
        if self.head is None:
            raise MienError("This MobileFaceNet was built without its landmark head. Build it with points=68.")
        return self.head(map3)

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> Maps:
        return self.forward_features(image)


def _initialise(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d | nn.Linear):
        nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
