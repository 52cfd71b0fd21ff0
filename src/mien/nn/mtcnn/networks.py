"""The three networks of MTCNN. Pictures are RGB, (value - 127.5) / 128; offsets are shares of a box's width and height.

Zhang et al., Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks, IEEE SPL 23(10), 2016,
figure 2, with the pooling of the released networks, which rounds sizes up. Each gives a score and how far a box's edges
are off (x0, y0, x1, y1); O-Net also five points.
"""

from collections import OrderedDict

from jaxtyping import Float
from torch import Tensor, nn

POINTS = 5  # eyes, nose tip, corners of the mouth; the person's right first
Layer = tuple[int, int, int]  # channels, side of the kernel, side of the pooling at stride 2 (0: none)


def _trunk(*layers: Layer) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    inputs = 3
    for number, (channels, kernel, pooling) in enumerate(layers, 1):
        parts[f"conv{number}"], parts[f"act{number}"] = nn.Conv2d(inputs, channels, kernel), nn.PReLU(channels)
        if pooling:
            parts[f"pool{number}"] = nn.MaxPool2d(pooling, 2, ceil_mode=True)
        inputs = channels
    return nn.Sequential(parts)


class PNet(nn.Module):
    """P-Net, of a picture of any size: a value for each window of 12 pixels at a stride of 2.

    legacy: the softmax of pSp's code, which runs over a row of windows instead of over face and background. A window
    scores high where nothing else in its row looks more like a face, whatever it shows.
    """

    def __init__(self, *, legacy: bool = False) -> None:
        super().__init__()
        self.trunk = _trunk((10, 3, 2), (16, 3, 0), (32, 3, 0))
        self.face, self.offsets = nn.Conv2d(32, 2, 1), nn.Conv2d(32, 4, 1)
        self.legacy = legacy

    def forward(
        self, picture: Float[Tensor, "batch 3 h w"]
    ) -> tuple[Float[Tensor, "batch rows columns"], Float[Tensor, "batch 4 rows columns"]]:
        """How sure each window is of a face, 0..1, and its offsets."""
        x = self.trunk(picture)
        return self.face(x).softmax(-1 if self.legacy else 1)[:, 1], self.offsets(x)


class RNet(nn.Module):
    """R-Net, of boxes brought to 24 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((28, 3, 3), (48, 3, 3), (64, 2, 0))
        self.linear, self.act = nn.Linear(64 * 3 * 3, 128), nn.PReLU(128)
        self.face, self.offsets = nn.Linear(128, 2), nn.Linear(128, 4)

    def forward(
        self, boxes: Float[Tensor, "batch 3 24 24"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch 4"]]:
        """How sure each is a face, 0..1, and its offsets."""
        x = self.act(self.linear(self.trunk(boxes).flatten(1)))
        return self.face(x).softmax(1)[:, 1], self.offsets(x)


class ONet(nn.Module):
    """O-Net, of boxes brought to 48 pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = _trunk((32, 3, 3), (64, 3, 3), (64, 3, 2), (128, 2, 0))
        self.linear, self.act = nn.Linear(128 * 3 * 3, 256), nn.PReLU(256)
        self.face, self.offsets, self.points = nn.Linear(256, 2), nn.Linear(256, 4), nn.Linear(256, 2 * POINTS)

    def forward(
        self, boxes: Float[Tensor, "batch 3 48 48"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, "batch 4"], Float[Tensor, "batch 5 2"]]:
        """How sure each is a face, 0..1, its offsets, and its points in shares of its width and height."""
        x = self.act(self.linear(self.trunk(boxes).flatten(1)))
        points = self.points(x).unflatten(1, (2, POINTS)).transpose(1, 2)
        return self.face(x).softmax(1)[:, 1], self.offsets(x), points
