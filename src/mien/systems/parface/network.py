"""ParFace-Net: an autoencoder of faces whose decoder, run again with layers in between, draws heat maps of landmarks.

Diaz Barros, Rambach, Murthy and Stricker, In-Domain Inversion for Improved 3D Face Alignment on Asymmetrical
Expressions, FG 2024; after Browatzki and Wallraven, 3FabRec, CVPR 2020.

What is unusual here
- What a face is, is learned without labels: encoder and decoder reconstruct pictures against a discriminator.
- The encoder is then refined against the decoder held still (in-domain inversion), so that pictures of asymmetrical
  faces get latent vectors that the decoder understands.
- The landmark head has only transfer convolutions; between them run the decoder's own layers.
- A second ResNet reads the depth of each point from the heat maps and the latent vector.

Where we depart from the released code (`legacy=True` gives its behaviour back)
- Points are read between the map's pixels. Released: whole pixels, times 2; see nn/heatmaps.py.
- The 99 constant planes of the depth head are never built; nothing but rounding differs, in either mode.
- `forward` gives depths with zero mean; the head's own (`depths`) have the offset of the training data.
"""

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError, nearest
from mien.core.options import check_rules
from mien.core.spec import Input, Output, PictureInput
from mien.core.typed import shown
from mien.nn.discriminators import DISCRIMINATOR_WIDTHS, LatentDiscriminator, PictureDiscriminator
from mien.nn.folding import fold_norms
from mien.nn.heatmaps import decode, spread, to_crop, to_map
from mien.nn.resnet_ae import (
    DECODER_WIDTHS,
    ENCODER_WIDTHS,
    FIRST_SIDE,
    SIZES,
    Activation,
    InvertedResNet,
    PlaneEncoder,
    ResNetEncoder,
)
from mien.systems.parface.landmark_head import LandmarkHead
from mien.systems.system import System

HEADS, DISCRIMINATORS = ("landmarks", "depth"), ("latent", "picture")
TRUNK = ("encoder", "decoder", "latent_discriminator", "discriminator")
PARTS = (*TRUNK, "landmark_head", "depth_head", "visibility_head")


@dataclass(frozen=True)
class ParFaceConfig:
    """Configuration of ParFace-Net; the defaults are the published network without its depth head (variant "3d" has
    it).
    """

    size: int = 256
    """Side of the input image, in pixels: 128, 256 or 512."""
    latent: int = 99
    """Length of the latent vector between encoder and decoder."""
    activation: Activation = "leaky_relu"
    """Activation of encoder, decoder and depth head: leaky_relu (ParFace), or relu (3FabRec, whose files have the same
    names and shapes)."""
    points: int = 68
    """Number of landmarks; 68."""
    heads: tuple[str, ...] = ("landmarks",)
    """Output heads: landmarks, and depth on top of it; an empty list is the autoencoder alone."""
    discriminators: tuple[str, ...] = DISCRIMINATORS
    """Discriminators that the network holds: latent, picture; only the training of the autoencoder uses them."""
    width: float = 1.0
    """Factor of every channel count, above 0 and at most 4; counts are rounded to multiples of 8."""
    widest: int = 512
    """Largest published channel count; larger ones are reduced to it before width is applied."""
    depth_width: float | None = None
    """Factor of the depth head's channel counts; null takes width."""
    depth_latent: bool = True
    """Feed the latent vector to the depth head, as published; false for a depth head that learns from synthetic faces
    alone, since the latent vector distinguishes them from photographs."""
    head_layers: int = 3
    """Decoder layers between the transfer convolutions; each doubles the side of the heat maps."""
    lateral: bool = False
    """Add the encoder's feature maps to the inputs of the transfer convolutions, through 1x1 convolutions that start at
    zero (not in the paper; for networks with a narrow latent vector)."""
    sigma: float = 7.0
    """Standard deviation of the target heat maps, in heat-map pixels, above 0."""
    uncertainty: bool = False
    """Output the expected error of each landmark (`sigma`, in crop sides)."""
    visibility: bool = False
    """Add a head for the probability that each landmark is visible."""
    legacy: bool = False
    """Decode heat maps as the released code does."""

    def __post_init__(self) -> None:
        layers = SIZES.index(self.size) + 3 if self.size in SIZES else 3
        for name, known in (("heads", HEADS), ("discriminators", DISCRIMINATORS)):
            for value in getattr(self, name):
                if value not in known:
                    raise MienError(f"parface: {name} has no {shown(value)}.{nearest(value, known)}")
        rules = {
            "size": (self.size in SIZES, "128, 256 or 512"),
            "latent": (self.latent >= 1, "at least 1"),
            "activation": (self.activation in ("leaky_relu", "relu"), "'leaky_relu' (ParFace) or 'relu' (3FabRec)"),
            "points": (self.points >= 1, "at least 1"),
            "heads": ("depth" not in self.heads or "landmarks" in self.heads, "with 'landmarks' where 'depth' is"),
            "width": (0 < self.width <= 4, "above 0 and at most 4"),
            "depth_width": (self.depth_width is None or 0 < self.depth_width <= 4, "above 0 and at most 4, or null"),
            "head_layers": (1 <= self.head_layers <= layers, f"in 1..{layers} for size {self.size}"),
            "sigma": (self.sigma > 0, "above 0"),
            "lateral": (not self.lateral or self.side(self.head_layers) <= self.size // 2, "False for so many layers"),
        }
        check_rules(self, "parface: ", rules)

    def widths(self, published: Collection[int], *, width: float | None = None) -> tuple[int, ...]:
        """Channel counts, scaled by `width`, or that given."""
        factor = self.width if width is None else width
        return tuple(max(8, round(min(each, self.widest) * factor / 8) * 8) for each in published)

    def side(self, layer: int) -> int:
        """Side of the map that goes into transfer convolution `layer`, 0 for the first: 8, 16, ..."""
        return 2 * FIRST_SIDE << layer

    @property
    def maps(self) -> int:
        """Side of the heat maps: 128 as published, whatever the picture's size."""
        return self.side(self.head_layers + 1)


# For laptops: 128 pixels, 0.3 GMAC, 2.8 M weights; the encoder's own maps help the latent vector.
SMALL: dict[str, Any] = {
    "size": 128,
    "width": 0.5,
    "widest": 256,
    "head_layers": 2,
    "lateral": True,
    "sigma": 2.0,
    "discriminators": (),
    "uncertainty": True,
    "visibility": True,
}


class Encoded(NamedTuple):
    """What the encoder makes of a picture: the latent vector, and its own maps for the lateral convolutions, if any."""

    latent: Tensor
    maps: list[Tensor]


class ParFace(System):
    """image [batch, 3, size, size] to `landmarks` [batch, points, 2] in crop sides; without heads, to `picture`.

    Parts, each None where the config has it not: encoder, decoder, latent_discriminator, discriminator, landmark_head,
    depth_head, visibility_head. calibration [points, 2]: `sigma` is exp(a * log(s) + b) for the spread s of a map.
    """

    name = "parface"
    config_class = ParFaceConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "base": {},
        "3d": {"heads": ("landmarks", "depth")},
        "autoencoder": {"heads": ()},
        "small": SMALL,
        "small_3d": SMALL | {"heads": ("landmarks", "depth"), "depth_width": 0.25, "depth_latent": False},
    }
    calibration: Tensor

    @classmethod
    def default_inputs(cls, config: ParFaceConfig) -> dict[str, Input]:
        """Published (--normalize): the channel means of the training pictures are taken off, nothing is divided."""
        return {"image": PictureInput(size=config.size, mean=(0.518, 0.418, 0.361), std=(1.0, 1.0, 1.0))}

    @classmethod
    def default_outputs(cls, config: ParFaceConfig) -> dict[str, Output]:
        """Points in the order of the scheme of that many, with what is known of each; without heads the picture."""
        if "landmarks" not in config.heads:
            return {"picture": Output("picture"), "latent": Output("vector")}
        outputs = {"landmarks": Output.points(config.points)}
        describe = partial(Output.per_point, "landmarks", config.points)
        if config.uncertainty:
            outputs["sigma"] = describe(unit="crop sides")
        if config.visibility:
            outputs["visible"] = describe(unit="probability", limits=(0.0, 1.0))
        if "depth" in config.heads:
            outputs["depth"] = describe(unit="crop sides")
        return outputs | {"latent": Output("vector")}

    def __init__(self, config: ParFaceConfig, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        c, encoder_widths = config, config.widths(ENCODER_WIDTHS)
        shape: dict[str, Any] = {"activation": c.activation}
        self.encoder = ResNetEncoder(size=c.size, outputs=c.latent, widths=encoder_widths, **shape)
        self.decoder = InvertedResNet(size=c.size, latent=c.latent, widths=c.widths(DECODER_WIDTHS), **shape)
        self.latent_discriminator = LatentDiscriminator(c.latent) if "latent" in c.discriminators else None
        self.discriminator = (
            PictureDiscriminator(widths=c.widths(DISCRIMINATOR_WIDTHS)) if "picture" in c.discriminators else None
        )
        self.landmark_head: LandmarkHead | None = None
        self.depth_head: PlaneEncoder | None = None
        self.visibility_head: nn.Linear | None = None
        self._lateral_places: tuple[int, ...] = ()
        if "landmarks" in c.heads:
            self._lateral_places = self._places() if c.lateral else ()
            encoded = [self.encoder.widths[i] for i in self._lateral_places]
            self.landmark_head = LandmarkHead(self.decoder.widths[1 : c.head_layers + 2], c.points, laterals=encoded)
        if "depth" in c.heads:
            depth_widths = c.widths(ENCODER_WIDTHS, width=c.depth_width)
            latent = c.latent if c.depth_latent else 0
            self.depth_head = PlaneEncoder(
                maps=c.points, latent=latent, side=c.maps, outputs=c.points, widths=depth_widths, **shape
            )
        if c.visibility and "landmarks" in c.heads:
            self.visibility_head = nn.Linear(c.latent, c.points)
        if c.uncertainty and "landmarks" in c.heads:
            self.register_buffer("calibration", torch.tensor([1.0, 0.0]).repeat(c.points, 1))

    def _places(self) -> tuple[int, ...]:
        """Which of the encoder's maps goes to each transfer convolution: the last one of the same side."""
        sides = self.encoder.sides
        return tuple(
            len(sides) - 1 - sides[::-1].index(self.config.side(i)) for i in range(self.config.head_layers + 1)
        )

    def encode_with_maps(self, image: Float[Tensor, "batch 3 s s"]) -> Encoded:
        maps = self.encoder.maps(self.encoder.stem(image))
        return Encoded(self.encoder.latent(maps[-1]), [maps[i] for i in self._lateral_places])

    def encode(self, image: Float[Tensor, "batch 3 s s"]) -> Float[Tensor, "batch latent"]:
        return self.encoder(image)

    def reconstruct(self, image: Float[Tensor, "batch 3 s s"]) -> Float[Tensor, "batch 3 s s"]:
        """The picture as the autoencoder has it, in the input's own units (means off, not divided)."""
        return self.decoder(self.encoder(image)).picture

    def heatmaps(self, encoded: Encoded, *, first: Tensor | None = None) -> Float[Tensor, "batch points maps maps"]:
        """The maps of the landmark head. first: the decoder's x1, where it has been computed."""
        if self.landmark_head is None:
            raise MienError("parface: heads is empty, so there are no landmarks. Train a landmark stage first.")
        x = self.decoder.features(encoded.latent, count=2)[1] if first is None else first
        return self.landmark_head(x, list(self.decoder.stages)[1:], encoded.maps)

    def points(self, maps: Float[Tensor, "batch points m m"], *, blur: bool | None = None) -> Tensor:
        """Landmarks [batch, points, 2] in crop sides. blur: by default as released with legacy, where the landmark path
        averages the maps before reading and the depth path does not; and always without legacy."""
        blur = self.depth_head is None or not self.config.legacy if blur is None else blur
        found = decode(maps, sigma=self.config.sigma, legacy=self.config.legacy, blur=blur)
        return to_crop(found, size=maps.shape[-1], legacy=self.config.legacy)

    def depths(self, maps: Float[Tensor, "batch points m m"], latent: Float[Tensor, "batch latent"]) -> Tensor:
        """[batch, points] in crop sides, larger is nearer, with the offset of the training data."""
        if self.depth_head is None:
            raise MienError("parface: heads has no 'depth', so there are no depths. Train the depth stage first.")
        return self.depth_head(maps, latent)

    def spread(self, maps: Float[Tensor, "batch points m m"], points: Tensor) -> Float[Tensor, "batch points"]:
        """How wide each map is around its point [batch, points, 2] in crop sides; in crop sides too."""
        side = maps.shape[-1]
        return spread(maps, to_map(points, size=side, legacy=self.config.legacy)) / side

    def sigma(self, maps: Float[Tensor, "batch points m m"], points: Tensor) -> Float[Tensor, "batch points"]:
        """Radial error to expect, crop sides: from the spread of each map around its point, calibrated."""
        measured = self.spread(maps, points)
        return torch.exp(self.calibration[:, 0] * measured.log() + self.calibration[:, 1])

    def forward(self, image: Float[Tensor, "batch 3 s s"]) -> dict[str, Tensor]:
        """landmarks, and where they are on sigma, visible and depth; latent. Without heads: picture and latent."""
        if self.landmark_head is None:
            latent = self.encoder(image)
            return {"picture": self.decoder(latent).picture, "latent": latent}
        encoded = self.encode_with_maps(image)
        maps = self.heatmaps(encoded)
        found = {"landmarks": self.points(maps)}
        if self.config.uncertainty:
            found["sigma"] = self.sigma(maps, found["landmarks"])
        if self.visibility_head is not None:
            found["visible"] = torch.sigmoid(self.visibility_head(encoded.latent))
        if self.depth_head is not None:
            depth = self.depths(maps, encoded.latent)
            found["depth"] = depth - depth.mean(1, keepdim=True)
        return {**found, "latent": encoded.latent}

    def parts(self) -> dict[str, nn.Module]:
        """The parts that there are, by name."""
        found = {name: getattr(self, name) for name in PARTS}
        return {name: part for name, part in found.items() if part is not None}

    def train_only(self, trained: Collection[str], *, in_train_mode: Collection[str] | None = None) -> None:
        """Only the named parts get gradients. moving: those whose BatchNorm follows the batch in train mode, by default
        the trained ones; the others stay in eval mode whatever `train` is told."""
        parts = self.parts()
        for name in (*trained, *(in_train_mode or ())):
            if name not in parts:
                raise MienError(f"parface: this network has no part {name!r}.{nearest(name, parts)}")
        self._in_train_mode = frozenset(trained if in_train_mode is None else in_train_mode)
        for name, part in parts.items():
            part.requires_grad_(name in trained)
        self.train(self.training)

    _in_train_mode: frozenset[str] = frozenset(PARTS)

    def train(self, mode: bool = True) -> "ParFace":
        super().train(mode)
        for name, part in self.parts().items():
            if name not in self._in_train_mode:
                part.eval()
        return self

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        """A copy in eval mode for speed and export: no discriminators, no layers that the outputs do not need, norms
        folded. With heads it cannot reconstruct, and it cannot be trained."""
        lean: ParFace = copy.deepcopy(self).eval()
        lean.discriminator = lean.latent_discriminator = None
        if lean.landmark_head is not None:
            del lean.decoder.stages[self.config.head_layers + 1 :]
            lean.decoder.picture_conv = nn.Identity()
        fold_norms(lean)
        lean.decoder.fold_start()
        if lean.depth_head is not None:
            lean.depth_head.freeze_sums()
        return lean.requires_grad_(False).to(memory_format=torch.channels_last)
