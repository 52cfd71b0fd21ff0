"""ASIT: a picture of a face to a StyleGAN2 code for each layer and a structure code, and back to the picture.

Mao, Zhao, Chang, Yin, Peng and Xu, More comprehensive facial inversion for more effective expression recognition, arXiv
2211.13564, 2022; after Richardson et al., pSp, CVPR 2021.

What is unusual here
- The encoder is a GC ViT. Style codes come from the maps that enter its first three levels, by a head for each code;
  its last level gives the structure code, which takes the place of the generator's learned constant.
- The generator is trained before (`stylegan2`) and held still.

Where we depart from the released code (`legacy=True` gives its behaviour back where it says so)
- Each picture attends to its own global queries (legacy: to its neighbours' in the batch; nn/inversion/gcvit.py).
- Inference uses the structure code that training used. Released: it drops it.
- Sizes follow the generator. Released: 256 pixels, whatever the options say. From 512 on the encoder reads the picture
  at 256 pixels.
- Beyond the paper: a structure code of fewer channels, one style head for each scale instead of one for each code, and
  a residual of the generator's features (`feature_side`), since style codes alone saturate.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mien.core.options import Rules, check_rules
from mien.core.spec import Input, Output
from mien.nn.inversion.encoders import AsitEncoder, Encoded
from mien.nn.inversion.feature_residual import SIDES as FEATURE_SIDES
from mien.nn.inversion.feature_residual import FeatureResidual
from mien.nn.inversion.inversion import Inversion
from mien.nn.stylegan2.generator import Generator, Synthesised, channels_at, style_count
from mien.systems.ifer.generator import GeneratorConfig, face_input, generator_rules
from mien.systems.system import System

LARGEST_ENCODED = 256
SMALL_GENERATOR = {"size": 64, "style": 32, "mapping_layers": 4, "channel_multiplier": 0.5, "most_channels": 256}
SMALL_ENCODER = {
    "width": 32, "depths": (2, 2, 4, 2), "heads": (1, 2, 4, 8), "head_width": 128, "shared_heads": True,
    "drop_path": 0.0, "structure_channels": 8,
}  # fmt: skip


@dataclass(frozen=True)
class EncoderConfig(GeneratorConfig):
    """Configuration of the encoder and of the generator that it encodes for; the defaults are the published ones."""

    width: int = 128
    """Channels of GC ViT's first level; those of the others are 2, 4 and 8 times as many."""
    depths: tuple[int, ...] = (3, 4, 19, 5)
    """Blocks of the four levels."""
    heads: tuple[int, ...] = (4, 8, 16, 32)
    """Attention heads of the four levels."""
    drop_path: float = 0.5
    """Stochastic depth of the last block, in 0..1; it rises linearly from 0."""
    head_width: int = 512
    """Channels of the style heads."""
    shared_heads: bool = False
    """One style head for each scale with a query for each code, instead of one head for each code; the published heads
    are 64 % of the encoder."""
    structure_channels: int = 0
    """Channels of the structure code of 4 x 4 places; 0 for as many as the generator's constant has, as published. A
    code of fewer is spread by a 1x1 convolution."""
    legacy: bool = False
    """The published global queries, for released weights."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "depths", tuple(self.depths))
        object.__setattr__(self, "heads", tuple(self.heads))
        check_rules(self, "asit: ", self._rules())

    def _rules(self) -> Rules:
        rules = generator_rules(self)
        rules["size"] = (self.size in (64, 128, 256, 512, 1024), "one of 64, 128, 256, 512, 1024")
        four = all(len(values) == 4 and min(values, default=0) >= 1 for values in (self.depths, self.heads))
        rules["depths"] = rules["heads"] = (four, "four numbers of at least 1")
        rules["width"] = (self.width >= 4 and self.width % 4 == 0, "a multiple of 4")
        rules["drop_path"] = (0 <= self.drop_path < 1, "in 0..1, below 1")
        rules["head_width"] = (self.head_width >= 1, "at least 1")
        rules["structure_channels"] = (self.structure_channels >= 0, "at least 0")
        return rules

    @property
    def encoder_size(self) -> int:
        """Side of the picture that the encoder reads."""
        return min(self.size, LARGEST_ENCODED)

    @property
    def structure_width(self) -> int:
        """Channels of the structure code."""
        widest = channels_at(4, channel_multiplier=self.channel_multiplier, most_channels=self.most_channels)
        return self.structure_channels or widest

    def encoder(self) -> AsitEncoder:
        """A freshly initialised one."""
        return AsitEncoder(
            styles=style_count(self.size), outputs=self.style, head_width=self.head_width,
            structure_channels=self.structure_width, size=self.encoder_size, width=self.width, depths=self.depths,
            heads=self.heads, drop_path=self.drop_path, shared_heads=self.shared_heads, legacy=self.legacy,
        )  # fmt: skip


@dataclass(frozen=True)
class AsitConfig(EncoderConfig):
    """Configuration of ASIT."""

    from_mean: bool = True
    """Codes are offsets from the generator's mean code."""
    use_structure: bool = True
    """The structure code takes the place of the generator's constant."""
    feature_side: int = 0
    """Side of the generator's map to which a residual is added, 16, 32 or 64; 0 for none, as published."""
    feature_channels: int = 8
    """Numbers that the residual keeps of each place of that map."""

    def _rules(self) -> Rules:
        rules = super()._rules()
        sides = (0, *sorted(FEATURE_SIDES))
        rules["feature_side"] = (
            self.feature_side in sides and self.feature_side <= self.size, f"one of {', '.join(map(str, sides))}"
        )  # fmt: skip
        rules["feature_channels"] = (self.feature_channels >= 1, "at least 1")
        return rules

    @property
    def numbers(self) -> dict[str, int]:
        """How many numbers stand for a face, by their kind."""
        found = {"codes": style_count(self.size) * self.style}
        if self.use_structure:
            found["structure"] = 16 * self.structure_width
        if self.feature_side:
            found["features"] = self.feature_side**2 * self.feature_channels
        return found


class Asit(System):
    """image [batch, 3, size, size] in -1..1 to `picture` of the same size, `codes` [batch, styles x style] and, where
    they are used, `structure` [batch, channels x 16] and `features` [batch, channels x side x side]."""

    name = "asit"
    config_class = AsitConfig
    config: AsitConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {
        "base": {},
        "small": {**SMALL_GENERATOR, **SMALL_ENCODER, "feature_side": 16},
    }

    @classmethod
    def default_inputs(cls, config: AsitConfig) -> dict[str, Input]:
        return {"image": face_input(config.size)}

    @classmethod
    def default_outputs(cls, config: AsitConfig) -> dict[str, Output]:
        return {"picture": Output("picture"), **{name: Output("vector") for name in config.numbers}}

    def __init__(self, config: AsitConfig, **rest: Any) -> None:
        super().__init__(config, **rest)
        encoder, residual = config.encoder(), None
        if side := config.feature_side:
            outputs = channels_at(
                side, channel_multiplier=config.channel_multiplier, most_channels=config.most_channels
            )
            residual = FeatureResidual(
                encoder.trunk.widths[:3], outputs, side=side, channels=config.feature_channels
            )  # fmt: skip
        generator = Generator(**config.generator_options)
        self.inversion = Inversion(encoder, generator, from_mean=config.from_mean, residual=residual)

    def encode(self, image: Float[Tensor, "batch 3 size size"]) -> Encoded:
        """Codes as the generator takes them, structure and maps."""
        if image.shape[-1] != self.config.encoder_size:
            image = F.adaptive_avg_pool2d(image, self.config.encoder_size)
        return self.inversion.encode(image)

    def decode(
        self, encoded: Encoded, *, noise: list[Tensor] | None = None, use_residual: bool = True
    ) -> tuple[Synthesised, Tensor | None]:
        """The picture with the generator's features, and the residual's code where there is one.

        noise: None for the stored maps.
        """
        structure = encoded.structure if self.config.use_structure else None
        feature_code = self.inversion.feature_code(encoded) if use_residual else None
        return self.inversion.decode(encoded.codes, structure, noise=noise, feature_code=feature_code), feature_code

    def forward(self, image: Float[Tensor, "batch 3 size size"]) -> dict[str, Tensor]:
        encoded = self.encode(image)
        synthesised, feature_code = self.decode(encoded)
        outputs = {"picture": synthesised.image, "codes": encoded.codes.flatten(1)}
        if self.config.use_structure:
            outputs["structure"] = encoded.structure.flatten(1)
        if feature_code is not None:
            outputs["features"] = feature_code.flatten(1)
        return outputs
