"""The autoencoder of 3FabRec and ParFace-Net: a ResNet-18 that ends in a latent vector, and its mirror image.

Browatzki & Wallraven, 3FabRec: Fast Few-shot Face alignment by Reconstruction, CVPR 2020; Diaz Barros, Rambach, Murthy
and Stricker, In-Domain Inversion for Improved 3D Face Alignment on Asymmetrical Expressions, FG 2024. The two differ in
the activation (ReLU in the first, leaky ReLU of slope 0.1 in the second) but in no name and no shape, so the activation
is an argument here and never guessed.
"""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError

Activation = Literal["leaky_relu", "relu"]

SIZES = (128, 256, 512)
ENCODER_WIDTHS = (64, 128, 256, 512)
DECODER_WIDTHS = (512, 256, 128, 64, 64, 64, 64)
FIRST_SIDE = 4  # of the decoder's first map, and of the encoder's last one


def activation_of(name: Activation) -> nn.Module:
    """A fresh layer that works in place."""
    return nn.ReLU(inplace=True) if name == "relu" else nn.LeakyReLU(0.1, inplace=True)


def initialise(network: nn.Module) -> None:
    """Every Conv2d from N(0, sqrt(2 / (k * k * outputs))); transposed ones and Linear keep PyTorch's start."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan = module.kernel_size[0] * module.kernel_size[1] * module.out_channels
            nn.init.normal_(module.weight, std=math.sqrt(2 / fan))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut; the shortcut is a 1x1 convolution where the shape changes."""

    def __init__(self, inputs: int, outputs: int, *, stride: int, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.act = activation_of(activation)
        self.projects = stride != 1 or inputs != outputs
        if self.projects:
            self.shortcut_conv = nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False)
            self.shortcut_norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs oh ow"]:
        shortcut = self.shortcut_norm(self.shortcut_conv(x)) if self.projects else x
        x = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return self.act(x + shortcut)


class ResNetEncoder(nn.Module):
    """[batch, in_channels, side, side] to [batch, outputs].

    size: 128, 256 or 512; it decides the stages before the four of every ResNet: none, one at the stem's width, or that
    and one more which halves. The last map has 4x4 places for an input of that size (the head's average pooling allows
    any other). widths: of the stem and of the four stages' doublings.
    """

    def __init__(
        self,
        *,
        size: int,
        outputs: int,
        in_channels: int = 3,
        activation: Activation = "leaky_relu",
        widths: Sequence[int] = ENCODER_WIDTHS,
    ) -> None:
        super().__init__()
        first = widths[0]
        early = {128: (), 256: (1,), 512: (1, 2)}[size]  # strides
        plan = [(first, stride) for stride in early]
        plan += [(first, 2 if early else 1), *((width, 2) for width in widths[1:])]
        self.stem_conv = nn.Conv2d(in_channels, first, 7, stride=2, padding=3, bias=False)
        self.stem_norm: nn.Module = nn.BatchNorm2d(first)
        self.act, self.pool = activation_of(activation), nn.MaxPool2d(3, stride=2, padding=1)
        stages, inputs = [], first
        for width, stride in plan:
            block = ResidualBlock(inputs, width, stride=stride, activation=activation)
            stages.append(nn.Sequential(block, ResidualBlock(width, width, stride=1, activation=activation)))
            inputs = width
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(inputs, outputs)
        self.widths = (first, *(width for width, _ in plan))
        strides = [2 * math.prod(stride for _, stride in plan[: i + 1]) for i in range(len(plan))]
        self.sides = (size // 2, *(size // (2 * stride) for stride in strides))
        initialise(self)

    def stem(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch first h2 w2"]:
        return self.act(self.stem_norm(self.stem_conv(x)))

    def maps(self, stem: Float[Tensor, "batch first h2 w2"]) -> list[Tensor]:
        """The stem's map before pooling, then each stage's; `widths` and `sides` tell their shapes."""
        maps, x = [stem], self.pool(stem)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def latent(self, last: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch outputs"]:
        """The vector of the last stage's map: its mean over all places, times a matrix."""
        return self.head(last.mean((2, 3)))

    def forward(self, x: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch outputs"]:
        return self.latent(self.maps(self.stem(x))[-1])


class InvertedBlock(nn.Module):
    """A residual block that doubles the side: both ways up are transposed 4x4 convolutions."""

    def __init__(self, inputs: int, outputs: int, *, activation: Activation) -> None:
        super().__init__()
        self.conv1 = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.norm1, self.norm2 = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.act = activation_of(activation)
        self.shortcut_conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
        self.shortcut_norm: nn.Module = nn.BatchNorm2d(outputs)

    def forward(self, x: Float[Tensor, "batch inputs h w"]) -> Float[Tensor, "batch outputs 2*h 2*w"]:
        shortcut = self.shortcut_norm(self.shortcut_conv(x))
        x = self.norm2(self.conv2(self.act(self.norm1(self.conv1(x)))))
        return self.act(x + shortcut)


class Decoded(NamedTuple):
    """picture [batch, 3, size, size] in -1..1; features: x0 (4x4), x1 (8x8), ... up to half the picture's side."""

    picture: Tensor
    features: list[Tensor]


class InvertedResNet(nn.Module):
    """[batch, latent] to a picture of side `size` (128, 256 or 512) and the features on the way.

    widths: of x0, x1, ...; as many are used as the size needs (5, 6, 7).
    """

    def __init__(
        self,
        *,
        size: int,
        latent: int,
        activation: Activation = "leaky_relu",
        widths: Sequence[int] = DECODER_WIDTHS,
    ) -> None:
        super().__init__()
        doublings = int(math.log2(size // (2 * FIRST_SIDE)))
        self.widths = tuple(widths[: doublings + 1])
        self.linear = nn.Linear(latent, self.widths[0])
        self.first_conv = nn.ConvTranspose2d(self.widths[0], self.widths[0], FIRST_SIDE, bias=False)
        self.first_norm: nn.Module = nn.BatchNorm2d(self.widths[0])
        self.act = activation_of(activation)
        pairs = zip(self.widths, self.widths[1:], strict=False)
        self.stages = nn.ModuleList(InvertedBlock(a, b, activation=activation) for a, b in pairs)
        self.picture_conv: nn.Module = nn.ConvTranspose2d(self.widths[-1], 3, 4, stride=2, padding=1, bias=False)
        self.start: nn.Linear | None = None
        initialise(self)

    def features(self, latent: Float[Tensor, "batch latent"], *, count: int | None = None) -> list[Tensor]:
        """x0, x1, ...: all of them, or the first `count`, for which no more is computed."""
        found = [self.act(self._first_map(latent))]
        for stage in list(self.stages)[: None if count is None else count - 1]:
            found.append(stage(found[-1]))
        return found

    def _first_map(self, latent: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch width 4 4"]:
        if self.start is not None:
            return self.start(latent).unflatten(1, (-1, FIRST_SIDE, FIRST_SIDE))
        return self.first_norm(self.first_conv(self.linear(latent)[:, :, None, None]))

    @torch.no_grad()
    def fold_start(self) -> None:
        """Makes one matrix of all that lies before the first activation (the norm must be folded already): a fifth of
        the weights as published, and the same map up to rounding. For inference: the weights' names change."""
        weight, bias = self.first_conv.weight.double().flatten(1), self.first_conv.bias
        assert bias is not None
        start = nn.Linear(self.linear.in_features, weight.shape[1]).to(self.linear.weight)
        start.weight.copy_((self.linear.weight.double().T @ weight).T)
        start.bias.copy_(self.linear.bias.double() @ weight + bias.double().repeat_interleave(FIRST_SIDE**2))
        self.start = start
        del self.linear, self.first_conv, self.first_norm

    def picture(self, last: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch 3 2*h 2*w"]:
        return torch.tanh(self.picture_conv(last))

    def forward(self, latent: Float[Tensor, "batch latent"]) -> Decoded:
        features = self.features(latent)
        return Decoded(self.picture(features[-1]), features)


class PlaneEncoder(ResNetEncoder):
    """maps [batch, maps, side, side] and a vector [batch, latent] to [batch, outputs].

    Equal to the encoder over the maps and, as further channels, one constant plane for each number of the vector; the
    planes are never built. Through the first convolution such a plane gives its number times the sum of the weights
    that lie inside the picture: one value everywhere but near the border. Those sums, 4 x 4 of them, meet the vector in
    one matrix product and are spread over the map by their index.
    """

    rows: Tensor
    place: Tensor
    frozen_sums: Tensor | None

    def __init__(
        self,
        *,
        maps: int,
        latent: int,
        side: int,
        outputs: int,
        activation: Activation = "leaky_relu",
        widths: Sequence[int] = ENCODER_WIDTHS,
    ) -> None:
        super().__init__(size=256, outputs=outputs, in_channels=maps + latent, activation=activation, widths=widths)
        self.map_count = maps
        starts = 2 * torch.arange((side + 1) // 2)[:, None] - 3 + torch.arange(7)[None]
        inside = ((starts >= 0) & (starts < side)).float()  # [places, taps]
        rows, place = inside.unique(dim=0, return_inverse=True)
        self.register_buffer("rows", rows, persistent=False)
        self.register_buffer("place", place, persistent=False)
        self.register_buffer("frozen_sums", None, persistent=False)

    @torch.no_grad()
    def freeze_sums(self) -> None:
        """Keeps the sums for the weights as they are now, for inference."""
        self.frozen_sums = self.plane_sums().clone()

    def plane_sums(self) -> Float[Tensor, "latent sums"]:
        """What one unit of each number of the vector adds: channels x kinds of rows x kinds of columns, flattened."""
        if self.frozen_sums is not None:
            return self.frozen_sums
        weight = self.stem_conv.weight[:, self.map_count :]
        sums = torch.einsum("ocyx,iy,jx->coij", weight, self.rows.to(weight), self.rows.to(weight))
        return sums.flatten(1)

    def stem_map(
        self, maps: Float[Tensor, "batch maps side side"], latent: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch first half half"]:
        """The first convolution's output, as if the planes were there."""
        conv, kinds = self.stem_conv, len(self.rows)
        x = F.conv2d(maps, conv.weight[:, : self.map_count], conv.bias, stride=2, padding=3)
        if conv.in_channels == self.map_count:
            return x
        added = (latent @ self.plane_sums()).unflatten(1, (-1, kinds, kinds))
        return x + added[:, :, self.place][:, :, :, self.place]

    def forward(  # type: ignore[override]
        self, maps: Float[Tensor, "batch maps side side"], latent: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, "batch outputs"]:
        stem = self.act(self.stem_norm(self.stem_map(maps, latent)))
        return self.latent(self.maps(stem)[-1])


def load_resnet18(encoder: ResNetEncoder, weights: dict[str, Tensor]) -> tuple[str, ...]:
    """Copies what fits of torchvision's ResNet-18 (ImageNet) and returns the names of ours that were filled.

    The published training begins so: the stem where it has three channels, and the last four stages, whose first has
    a shortcut convolution of ours alone (256 and 512). The early stages and the latent head stay as initialised. Raises
    MienError where the weights are another network's.
    """
    names = resnet18_names(encoder)
    own = encoder.state_dict()
    found = {ours: weights[name] for ours, name in names.items() if name in weights}
    fitting = {ours: value for ours, value in found.items() if value.shape == own[ours].shape}
    if f"stages.{len(encoder.stages) - 1}.0.conv1.weight" not in fitting:
        first = ", ".join(list(weights)[:3])
        raise MienError(
            f"Not the weights of a ResNet-18 of these widths (layer4.0.conv1.weight ...); they have {first}."
        )
    encoder.load_state_dict(fitting, strict=False)
    return tuple(fitting)


def resnet18_names(encoder: ResNetEncoder) -> dict[str, str]:
    """Our names -> the released ones, which are torchvision's; the early stages are `layer0` and `layer01`."""
    count = len(encoder.stages)
    stages = [*(("layer0", "layer01")[: count - 4]), *(f"layer{i}" for i in range(1, 5))]
    plain = {"stem_conv": "conv1", "stem_norm": "bn1", "head": "fc"}
    block = {"conv": "conv", "norm": "bn", "shortcut_conv": "downsample.0", "shortcut_norm": "downsample.1"}
    names = {}
    for ours in encoder.state_dict():
        parts = ours.split(".")
        if parts[0] == "stages":
            layer = parts[3]
            theirs = block.get(layer) or block[layer[:-1]] + layer[-1]
            names[ours] = ".".join([stages[int(parts[1])], parts[2], theirs, *parts[4:]])
        else:
            names[ours] = ".".join([plain[parts[0]], *parts[1:]])
    return names
