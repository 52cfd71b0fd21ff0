"""A network that looks for the 68 points of a face first, and for what it sees at each of them.

Global means of a small network's maps say little of where something is. Here a point is the mean place under a map that
sums to 1 (soft-argmax; Sun et al., Integral Human Pose Regression, ECCV 2018). What the face's parameters are read
from is how the points differ from the mean face's after the similarity in the picture that fits these to them best,
that similarity, the maps' features at each point, and those of the whole face.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

Photo = Float[Tensor, "batch 3 size size"]
WIDTHS = (24, 48, 96, 128)  # of maps of a half, a quarter, an eighth and a sixteenth of the photo's side
PYRAMID = 64  # channels of the maps in which the points are looked for, at a quarter of the side
AT_POINT = 12  # channels that are read at each point
HIDDEN = 192
RESIDUAL_UNIT, SIMILARITY_UNIT = 30.0, 5.0  # so that features are about 1


class Residual(nn.Module):
    """Two 3x3 convolutions, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        return torch.relu(x + self.layers(x))


def _halving(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    )


class PointEncoder(nn.Module):
    """Photo to `outputs` numbers, and to its points [batch, points, 2] in crop sides.

    mean_points: [points, 2], those of the mean face in crop sides. The photo's side is a multiple of 16.
    """

    mean_points: Tensor

    def __init__(self, outputs: int, *, mean_points: Float[Tensor, "points 2"]) -> None:
        super().__init__()
        points, (half, quarter, eighth, last) = len(mean_points), WIDTHS
        self.register_buffer("mean_points", mean_points, persistent=False)
        self.quarter = nn.Sequential(_halving(3, half), _halving(half, quarter), Residual(quarter), Residual(quarter))
        self.eighth = nn.Sequential(_halving(quarter, eighth), Residual(eighth), Residual(eighth))
        self.last = nn.Sequential(_halving(eighth, last), Residual(last))
        self.from_last, self.from_eighth = nn.Conv2d(last, PYRAMID, 1), nn.Conv2d(eighth, PYRAMID, 1)
        self.from_quarter = nn.Conv2d(quarter, PYRAMID, 1)
        self.mixed = nn.Sequential(
            nn.Conv2d(PYRAMID, PYRAMID, 3, padding=1, bias=False), nn.BatchNorm2d(PYRAMID), nn.ReLU()
        )
        self.maps = nn.Conv2d(PYRAMID, points, 1)
        self.at_points = nn.Conv2d(PYRAMID, AT_POINT, 1)
        features = points * (2 + AT_POINT) + 4 + last
        self.norm = nn.BatchNorm1d(features)
        self.linear = nn.Linear(features, outputs)
        self.bent = nn.Sequential(nn.Linear(features, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs))
        with torch.no_grad():
            for layer in (self.linear, self.bent[2]):
                assert isinstance(layer, nn.Linear)
                layer.weight.mul_(0.1)
                layer.bias.zero_()

    def forward(self, photo: Photo) -> tuple[Float[Tensor, "batch outputs"], Float[Tensor, "batch points 2"]]:
        quarter = self.quarter(photo)
        eighth = self.eighth(quarter)
        last = self.last(eighth)
        x = _doubled(self.from_last(last)) + self.from_eighth(eighth)
        x = self.mixed(_doubled(x) + self.from_quarter(quarter))
        maps, seen = self.maps(x), self.at_points(x)
        with torch.autocast(photo.device.type, enabled=False):  # bf16 cannot place a point
            shares = maps.float().flatten(2).softmax(2)
            points = shares @ _places(maps.shape[-1], like=shares)
            at_points = shares @ seen.float().flatten(2).transpose(1, 2)
            rest, similarity = apart_from(self.mean_points, points)
            features = [
                RESIDUAL_UNIT * rest.flatten(1), SIMILARITY_UNIT * similarity, at_points.flatten(1),
                last.float().mean((2, 3)),
            ]  # fmt: skip
            features = self.norm(torch.cat(features, 1))
            return self.linear(features) + self.bent(features), points


def apart_from(
    mean_points: Float[Tensor, "points 2"], points: Float[Tensor, "batch points 2"]
) -> tuple[Float[Tensor, "batch points 2"], Float[Tensor, "batch 4"]]:
    """How points differ from the mean ones after the similarity that fits these to them best, in the mean ones' frame,
    and the similarity: scale times cosine and sine, and the points' centre."""
    own = mean_points - mean_points.mean(0)
    centre = points.mean(1)
    away = points - centre[:, None]
    size = own.square().sum()
    cosine = (away * own).sum((1, 2)) / size
    sine = (away[..., 1] * own[:, 0] - away[..., 0] * own[:, 1]).sum(1) / size
    square = (cosine.square() + sine.square()).clamp(min=1e-4)[:, None]
    across = (cosine[:, None] * away[..., 0] + sine[:, None] * away[..., 1]) / square
    down = (cosine[:, None] * away[..., 1] - sine[:, None] * away[..., 0]) / square
    return torch.stack([across, down], 2) - own, torch.cat([cosine[:, None], sine[:, None], centre], 1)


def _places(side: int, *, like: Tensor) -> Float[Tensor, "pixels 2"]:
    """Crop sides of the centres of a map's pixels, x then y."""
    at = (torch.arange(side, dtype=like.dtype, device=like.device) + 0.5) / side
    return torch.stack([at.repeat(side), at.repeat_interleave(side)], 1)


def _doubled(x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h2 w2"]:
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
