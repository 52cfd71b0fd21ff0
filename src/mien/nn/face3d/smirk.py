"""SMIRK's networks: three encoders from a photo to FLAME's parameters, and the generator that draws the photo again.

Retsinas et al., 3D Facial Expressions through Analysis-by-Neural-Synthesis, CVPR 2024. Names are those of the released
file behind its prefixes `smirk_encoder.` and `smirk_generator.`. Pictures are RGB in 0..1, not normalised.
"""

from collections import OrderedDict
from dataclasses import dataclass, fields

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.face3d.mobilenet import MobileNetV3Minimal, pooled

Photo = Float[Tensor, "batch 3 size size"]
JAW_TURN = 0.2  # most that the jaw turns about the other axes, radians
FIRST_SCALE = 7.0


@dataclass(frozen=True, eq=False)
class FaceParameters:
    """What a face in a picture is, in FLAME's terms."""

    pose: Float[Tensor, "batch 3"]
    """Rotation of the head, axis times angle in radians."""
    camera: Float[Tensor, "batch 3"]
    """Scale, and shift along x and y before it (render.project)."""
    shape: Float[Tensor, "batch shapes"]
    """Identity."""
    expression: Float[Tensor, "batch expressions"]
    """Expression."""
    lids: Float[Tensor, "batch 2"]
    """How far the left and the right eye are closed, 0..1."""
    jaw: Float[Tensor, "batch 3"]
    """Rotation of the jaw, axis times angle in radians; the first opens it."""

    def tensors(self) -> dict[str, Tensor]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


class PoseEncoder(nn.Module):
    """Head rotation and camera."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = MobileNetV3Minimal("small")
        self.pose_cam_layers = nn.Sequential(nn.Linear(self.encoder.features, 6))
        with torch.no_grad():
            linear = self.pose_cam_layers[0]
            assert isinstance(linear, nn.Linear)
            linear.weight.mul_(0.001)
            linear.bias.mul_(0.001)
            linear.weight[3] = 0
            linear.bias[3] = FIRST_SCALE

    def forward(self, photo: Photo) -> tuple[Tensor, Tensor]:
        pose, camera = self.pose_cam_layers(pooled(self.encoder(photo))).split(3, dim=1)
        return pose, camera


class ShapeEncoder(nn.Module):
    """Identity; begins at the mean face."""

    def __init__(self, shapes: int) -> None:
        super().__init__()
        self.encoder = MobileNetV3Minimal("large")
        self.shape_layers = nn.Sequential(nn.Linear(self.encoder.features, shapes))
        for parameter in self.shape_layers.parameters():
            nn.init.zeros_(parameter)

    def forward(self, photo: Photo) -> Float[Tensor, "batch shapes"]:
        return self.shape_layers(pooled(self.encoder(photo)))


class ExpressionEncoder(nn.Module):
    """Expression, lids and jaw; the last two within what a face can do. Outside of it there is no gradient."""

    def __init__(self, expressions: int) -> None:
        super().__init__()
        self.encoder = MobileNetV3Minimal("large")
        self.expressions = expressions
        self.expression_layers = nn.Sequential(nn.Linear(self.encoder.features, expressions + 5))
        with torch.no_grad():
            for parameter in self.expression_layers.parameters():
                parameter.mul_(0.1)

    def forward(self, photo: Photo) -> tuple[Tensor, Tensor, Tensor]:
        found = self.expression_layers(pooled(self.encoder(photo)))
        expression, lids, jaw = found.split((self.expressions, 2, 3), dim=1)
        jaw = torch.cat([F.relu(jaw[:, :1]), jaw[:, 1:].clamp(-JAW_TURN, JAW_TURN)], dim=1)
        return expression, lids.clamp(0, 1), jaw


class SmirkEncoder(nn.Module):
    """A photo [batch, 3, 224, 224] to FaceParameters."""

    def __init__(self, *, shapes: int = 300, expressions: int = 50) -> None:
        super().__init__()
        self.pose_encoder = PoseEncoder()
        self.shape_encoder = ShapeEncoder(shapes)
        self.expression_encoder = ExpressionEncoder(expressions)

    def forward(self, photo: Photo) -> FaceParameters:
        pose, camera = self.pose_encoder(photo)
        expression, lids, jaw = self.expression_encoder(photo)
        return FaceParameters(pose, camera, self.shape_encoder(photo), expression, lids, jaw)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with reflected edges, added to what came in."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3, bias=False), nn.BatchNorm2d(channels),
        )  # fmt: skip

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch channels h w"]:
        return x + self.conv_block(x)


class SmirkGenerator(nn.Module):
    """A render and what is left of the photo outside the face, [batch, 6, size, size], to the photo in 0..1: a U-Net.

    width: channels of its first level; they double at each of the four others. blocks: residual ones at the bottom.
    size must be a multiple of 16.
    """

    def __init__(self, *, width: int = 32, blocks: int = 5) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(5)]
        for level, (before, after) in enumerate(zip((6, *widths), widths[:4], strict=False), 1):
            self.add_module(f"encoder{level}", _double(before, after, f"enc{level}"))
        self.bottleneck = _double(widths[3], widths[4], "bottleneck")
        self.resnet_blocks = nn.ModuleList(ResidualBlock(widths[4]) for _ in range(blocks))
        for level in (4, 3, 2, 1):
            self.add_module(f"upconv{level}", nn.ConvTranspose2d(widths[level], widths[level - 1], 2, stride=2))
            self.add_module(f"decoder{level}", _double(widths[level], widths[level - 1], f"dec{level}"))
        self.conv = nn.Conv2d(width, 3, 1)

    def forward(self, pair: Float[Tensor, "batch 6 size size"]) -> Photo:
        x, levels = pair, []
        for level in (1, 2, 3, 4):
            x = self.get_submodule(f"encoder{level}")(x)
            levels.append(x)
            x = F.max_pool2d(x, 2)
        x = self.bottleneck(x)
        for block in self.resnet_blocks:
            x = block(x)
        for level in (4, 3, 2, 1):
            x = torch.cat([self.get_submodule(f"upconv{level}")(x), levels[level - 1]], dim=1)
            x = self.get_submodule(f"decoder{level}")(x)
        return torch.sigmoid(self.conv(x))


def _double(inputs: int, outputs: int, name: str) -> nn.Sequential:
    layers: list[tuple[str, nn.Module]] = []
    for number, channels in ((1, inputs), (2, outputs)):
        layers.append((f"{name}conv{number}", nn.Conv2d(channels, outputs, 3, padding=1, bias=False)))
        layers.append((f"{name}norm{number}", nn.BatchNorm2d(outputs)))
        layers.append((f"{name}relu{number}", nn.ReLU()))
    return nn.Sequential(OrderedDict(layers))
