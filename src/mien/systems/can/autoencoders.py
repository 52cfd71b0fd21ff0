"""The systems of stage 1: a VAE-GAN of faces and one of voices, and what all of CAN's systems take in."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.options import Rules, check_choices, check_rules
from mien.core.spec import Input, Output, PictureInput, SoundInput
from mien.nn.folding import fold_norms
from mien.nn.vae_gan.vae_gan import VaeGan
from mien.systems.system import System

HOP = SoundInput().hop


SystemT = TypeVar("SystemT", bound=System)


@dataclass(frozen=True)
class CodeConfig:
    """What the configs of all networks of CAN have in common; the defaults are the published networks."""

    size: int = 128
    """Side of the picture in pixels, and bands and frames of the spectrogram; a multiple of 32."""
    latent: int = 512
    """Length of a code."""
    width: float = 1.0
    """Factor of every channel count, above 0 and at most 4; counts are rounded to multiples of 8."""
    limit_hz: float = 0.0
    """Highest frequency of the voice that is heard; 0 for all. 8000 where training recordings have 16 kHz: what lies
    above is silent in them and not in others."""

    def __post_init__(self) -> None:
        check_choices(self, "can: ")
        check_rules(self, "can: ", self.rules())

    def rules(self) -> Rules:
        """Subclasses add theirs."""
        return {
            "size": (self.size >= 32 and self.size % 32 == 0, "a multiple of 32"),
            "latent": (self.latent >= 1, "at least 1"),
            "limit_hz": (self.limit_hz >= 0, "at least 0"),
            "width": (0 < self.width <= 4, "above 0 and at most 4"),
        }


@dataclass(frozen=True)
class VaeGanConfig(CodeConfig):
    """Configuration of a VAE-GAN; the defaults are the published network."""

    feature_level: int = 2
    """Convolution of the discriminator after which pictures are compared: 1 to 3, at halved sides each."""
    discriminator: bool = True
    """Hold the discriminator, which only training needs."""
    legacy: bool = False
    """Nothing: the published network has no other behaviour."""

    def rules(self) -> Rules:
        return super().rules() | {"feature_level": (1 <= self.feature_level <= 3, "in 1..3")}

    def network(self, *, channels: int, principal: bool = False) -> VaeGan:
        return VaeGan(
            channels=channels, shape=(self.size, self.size), latent=self.latent, width=self.width,
            level=self.feature_level, discriminator=self.discriminator, principal=principal,
        )  # fmt: skip


@dataclass(frozen=True)
class FaceVaeGanConfig(VaeGanConfig):
    """The same for faces."""

    principal: bool = False
    """Add a linear autoencoder of principal components, which the stage fits to the training faces before it begins;
    the convolutions learn what it lacks. Published: none."""


class FaceVaeGan(System):
    """image [batch, 3, size, size] in 0..1 to `picture`, decoded from the mean of its code, and `latent`, that mean."""

    name = "can_face"
    config_class = FaceVaeGanConfig

    @classmethod
    def default_inputs(cls, config: FaceVaeGanConfig) -> dict[str, Input]:
        return {"image": picture_input(config.size)}

    @classmethod
    def default_outputs(cls, config: FaceVaeGanConfig) -> dict[str, Output]:
        return {"picture": Output("picture"), "latent": Output("vector")}

    def __init__(self, config: FaceVaeGanConfig, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        check_shapes(self, image=(3, config.size, config.size))
        self.face = config.network(channels=3, principal=config.principal)

    @property
    def vae_gan(self) -> VaeGan:
        return self.face

    def forward(self, image: Float[Tensor, "batch 3 s s"]) -> dict[str, Tensor]:
        code = self.face.encode(image).mean
        return {"picture": self.face.decode(code), "latent": code}

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        return lean_copy(self)


class VoiceVaeGan(System):
    """voice [batch, 1, size, size] in 0..1 to `latent`, the mean of its code."""

    name = "can_voice"
    config_class = VaeGanConfig
    input_names = ("voice",)

    @classmethod
    def default_inputs(cls, config: VaeGanConfig) -> dict[str, Input]:
        return {"voice": sound_input(config)}

    @classmethod
    def default_outputs(cls, config: VaeGanConfig) -> dict[str, Output]:
        return {"latent": Output("vector")}

    def __init__(self, config: VaeGanConfig, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        check_shapes(self, voice=(1, config.size, config.size))
        self.voice = config.network(channels=1)

    @property
    def vae_gan(self) -> VaeGan:
        return self.voice

    def forward(self, voice: Float[Tensor, "batch 1 s s"]) -> dict[str, Tensor]:
        return {"latent": self.voice.encode(voice).mean}

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        return lean_copy(self)


def picture_input(size: int) -> PictureInput:
    """Pixel values in 0..1 as they are."""
    return PictureInput(size=size, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))


def sound_input(config: CodeConfig) -> SoundInput:
    """The shortest window with as many frames as the size, and as many bands: 3.77 s for 128."""
    return SoundInput(samples=(config.size - 1) * HOP, mels=config.size, limit_hz=config.limit_hz)


def check_shapes(system: System, **shapes: tuple[int, ...]) -> None:
    """Raises MienError where an input's shape is not the network's."""
    for name, wanted in shapes.items():
        if (found := system.inputs[name].shape) != wanted:
            raise MienError(f"{system.name}: the input {name!r} must be {list(wanted)}; got {list(found)}.")


def lean_copy(system: SystemT) -> SystemT:
    """In eval mode, without discriminators and decoders of voices, norms folded; not to be trained."""
    lean = copy.deepcopy(system).eval()
    for name in ("face", "voice"):
        if isinstance(part := getattr(lean, name, None), VaeGan):
            part.discriminator = None
            part.decoder = None if name == "voice" else part.decoder
    fold_norms(lean)
    return lean.requires_grad_(False).to(memory_format=torch.channels_last)
