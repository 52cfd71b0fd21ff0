"""CAN: two autoencoders, of faces and of voices, and attention by which the voice shifts the face's code.

Blume, Qu, Bideau, Maier, Abdel Rahman and Hellwich, How Do You Perceive My Face? Recognizing Facial Expressions in
Multi-Modal Context by Modeling Mental Representations, GCPR 2024.

What is unusual here
- Faces and voices are learned without labels: each by a VAE-GAN whose discriminator also says in which features a
  picture and its reconstruction are compared.
- The voice does not stand beside the face but shifts its code. What is classified is the shifted code, and decoding it
  draws the face as it is perceived with that voice.
- The numbers of a code are the tokens of the attention.

Where we depart from the released code (`legacy=True` gives its behaviour back)
- Outputs are those of the codes' means, so that the same input has the same output. Released: of one random draw for
  the attention, of the means for the product of experts. `Can.perceive` takes noise.
- The discriminators and the decoder of voices stay in the bundles of stage 1; `whole` keeps them.
- Linear heads for the face alone and the voice alone (`alone`) stand beside the one for both.
- Silence is a black spectrogram. Released: division by zero.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.core.labels import LabelSet
from mien.core.options import Rules
from mien.core.spec import Control, Input, Output
from mien.nn.vae_gan.context_attention import ContextAttention
from mien.nn.vae_gan.gaussian import Gaussian, divergence, product
from mien.nn.vae_gan.vae_gan import VaeGan
from mien.systems.can.autoencoders import CodeConfig, check_shapes, lean_copy, picture_input, sound_input
from mien.systems.system import System


@dataclass(frozen=True)
class FaceExpressionConfig(CodeConfig):
    """Configuration of the classifier of stage 2, on the code of the face alone."""

    num_classes: int = 7
    """Number of expressions."""
    principal: bool = False
    """The face's autoencoder has a linear path of principal components, as that of stage 1 (published: none)."""
    whole: bool = False
    """Keep the autoencoder's decoder and discriminator, which no output needs."""
    legacy: bool = False
    """Classify a random draw of the code while validating, as released."""

    def rules(self) -> Rules:
        return super().rules() | _class_rules(self.num_classes)


class FaceExpression(System):
    """image [batch, 3, size, size] in 0..1 to `expression` (logits), from the mean of the face's code, and `latent`."""

    name = "can_face_expression"
    config_class = FaceExpressionConfig
    feature_maps = ("face.encoder.blocks.3", "face.encoder.blocks.2", "face.encoder.blocks.1")

    @classmethod
    def default_inputs(cls, config: FaceExpressionConfig) -> dict[str, Input]:
        return {"image": picture_input(config.size)}

    @classmethod
    def default_outputs(cls, config: FaceExpressionConfig) -> dict[str, Output]:
        return {"expression": numbered_classes(config.num_classes), "latent": Output("vector")}

    def __init__(
        self, config: FaceExpressionConfig, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]
    ) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        check_shapes(self, image=(3, config.size, config.size))
        shape = (config.size, config.size)
        self.face = VaeGan(
            channels=3, shape=shape, latent=config.latent, width=config.width, decoder=config.whole,
            discriminator=config.whole, principal=config.principal,
        )  # fmt: skip
        self.classifier = nn.Linear(config.latent, config.num_classes)

    def encode(self, image: Float[Tensor, "batch 3 s s"]) -> Gaussian:
        return self.face.encode(image)

    def forward(self, image: Float[Tensor, "batch 3 s s"]) -> dict[str, Tensor]:
        code = self.encode(image).mean
        return {"expression": self.classifier(code), "latent": code}

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        return lean_copy(self)


@dataclass(frozen=True)
class CanConfig(CodeConfig):
    """Configuration of the context network; the defaults are the published network with heads of its own for the face
    alone and the voice alone.
    """

    num_classes: int = 7
    """Number of expressions."""
    principal: bool = False
    """The face's autoencoder has a linear path of principal components, as that of stage 1 (published: none)."""
    fusion: Literal["attention", "product", "face", "voice"] = "attention"
    """What is classified: attention (the face's code, shifted by the voice), product (of experts, the published
    baseline), face or voice (the baseline's code of one alone)."""
    alone: bool = True
    """Add a linear head for the face alone and one for the voice alone, to compare with the one for both."""
    picture: bool = True
    """Output the perceived face and the plain reconstruction, where the fusion is attention."""
    whole: bool = False
    """Keep the discriminators and the decoder of voices, which no output needs."""
    legacy: bool = False
    """Classify a random draw of the shifted code while validating, as released."""

    def rules(self) -> Rules:
        return super().rules() | _class_rules(self.num_classes)


class Codes(NamedTuple):
    """What is known of a face with a voice: three distributions over [batch, latent]."""

    face: Gaussian
    """Of the face alone."""
    voice: Gaussian
    """Of the voice alone."""
    fused: Gaussian
    """Of both: what is classified and drawn."""


class Can(System):
    """image [batch, 3, size, size] in 0..1 and voice [batch, 1, size, size] to expressions, and to the perceived face.

    Outputs: `expression` of both; with `alone` `expression_face` and `expression_voice`; with `picture` `picture` (the
    face as perceived) and `reconstruction` (the face without the voice); `latent` (the mean that is classified) and,
    for attention, `shift` (what the voice added to it). Logits, and vectors [batch, latent].

    Controls: `strength` of the shift by attention [batch, 1], 1 by default, and `noise` [batch, latent]: each code is
    its mean and so many of its standard deviations, 0 by default.

    face, voice: VaeGan. att_mean, att_log_variance: ContextAttention, None for other fusions.
    """

    name = "can"
    config_class = CanConfig
    variants: ClassVar[dict[str, dict[str, Any]]] = {"base": {}, "product": {"fusion": "product"}}
    input_names: ClassVar[tuple[str, ...]] = ("image", "voice")

    @classmethod
    def default_inputs(cls, config: CanConfig) -> dict[str, Input]:
        return {"image": picture_input(config.size), "voice": sound_input(config)}

    @classmethod
    def default_outputs(cls, config: CanConfig) -> dict[str, Output]:
        classes = numbered_classes(config.num_classes)
        outputs = {"expression": classes}
        if config.alone:
            outputs |= {"expression_face": classes, "expression_voice": classes}
        if config.picture and config.fusion == "attention":
            outputs |= {"picture": Output("picture"), "reconstruction": Output("picture")}
        outputs["latent"] = Output("vector")
        return outputs | ({"shift": Output("vector")} if config.fusion == "attention" else {})

    @classmethod
    def default_controls(cls, config: CanConfig) -> dict[str, Control]:
        strength = {"strength": Control(1, 1.0)} if config.fusion == "attention" else {}
        return strength | {"noise": Control(config.latent)}

    def __init__(self, config: CanConfig, *, inputs: Mapping[str, Input], outputs: Mapping[str, Output]) -> None:
        super().__init__(config, inputs=inputs, outputs=outputs)
        shape = (config.size, config.size)
        check_shapes(self, image=(3, *shape), voice=(1, *shape))
        wanted: dict[str, Any] = {"shape": shape, "latent": config.latent, "width": config.width}
        wanted["discriminator"] = config.whole
        self.face = VaeGan(channels=3, principal=config.principal, **wanted)
        self.voice = VaeGan(channels=1, decoder=config.whole, **wanted)
        self.att_mean: ContextAttention | None = None
        self.att_log_variance: ContextAttention | None = None
        if config.fusion == "attention":
            self.att_mean, self.att_log_variance = ContextAttention(config.latent), ContextAttention(config.latent)
        self.classifier = nn.Linear(config.latent, config.num_classes)
        self.face_classifier = nn.Linear(config.latent, config.num_classes) if config.alone else None
        self.voice_classifier = nn.Linear(config.latent, config.num_classes) if config.alone else None

    def encode(
        self, image: Float[Tensor, "batch 3 s s"], voice: Float[Tensor, "batch 1 s s"]
    ) -> tuple[Gaussian, Gaussian]:
        """The codes of face and voice."""
        return self.face.encode(image), self.voice.encode(voice)

    def fuse(self, face: Gaussian, voice: Gaussian, *, strength: float | Float[Tensor, "batch 1"] = 1.0) -> Codes:
        """The codes with that of both. strength: of the shift by attention, 0 for none."""
        if self.att_mean is not None and self.att_log_variance is not None:
            shifted = Gaussian(
                self.att_mean(face.mean, voice.mean, strength=strength),
                self.att_log_variance(face.log_variance, voice.log_variance, strength=strength),
            )
            return Codes(face, voice, shifted)
        if self.config.fusion == "product":
            return Codes(face, voice, product(face, voice))
        return Codes(face, voice, face if self.config.fusion == "face" else voice)

    def perceive(
        self, image: Float[Tensor, "batch 3 s s"], voice: Float[Tensor, "batch 1 s s"], *, strength: float = 1.0
    ) -> Codes:
        """Both encoded and fused."""
        return self.fuse(*self.encode(image, voice), strength=strength)

    def forward(
        self, image: Float[Tensor, "batch 3 s s"], voice: Float[Tensor, "batch 1 s s"],
        strength: Float[Tensor, "batch 1"] | None = None, noise: Float[Tensor, "batch latent"] | None = None,
    ) -> dict[str, Tensor]:  # fmt: skip
        """The outputs by name, of the codes' means at strength 1 where no control is set."""
        codes = self.fuse(*self.encode(image, voice), strength=1.0 if strength is None else strength)
        face, voice_code, fused = (code.mean if noise is None else code.sample(noise) for code in codes)
        found = self.logits(face, voice_code, fused)
        if "picture" in self.outputs:
            drawn = self.face.decode(torch.cat((fused, face)))
            found["picture"], found["reconstruction"] = drawn[: image.shape[0]], drawn[image.shape[0] :]
        found["latent"] = fused
        if "shift" in self.outputs:
            found["shift"] = codes.fused.mean - codes.face.mean
        return found

    def logits(
        self, face: Float[Tensor, "batch latent"], voice: Float[Tensor, "batch latent"],
        fused: Float[Tensor, "batch latent"],
    ) -> dict[str, Tensor]:  # fmt: skip
        """Of each head that there is, by its output's name."""
        found = {"expression": self.classifier(fused)}
        if self.face_classifier is not None and self.voice_classifier is not None:
            found["expression_face"] = self.face_classifier(face)
            found["expression_voice"] = self.voice_classifier(voice)
        return found

    @torch.no_grad()
    def for_inference(self) -> nn.Module:
        lean = lean_copy(self)
        assert isinstance(lean, Can)
        if "picture" not in self.outputs:
            lean.face.decoder = None
        return lean


def divergence_of(codes: Codes) -> Float[Tensor, " batch"]:
    """How far the voice moved the face: KL(face || fused) of each sample, nats."""
    return divergence(codes.face, codes.fused).sum(1)


def numbered_classes(count: int) -> Output:
    return Output.classes(LabelSet("unnamed", tuple(f"class_{i}" for i in range(count))))


def _class_rules(count: int) -> dict[str, tuple[bool, str]]:
    return {"num_classes": (count >= 2, "at least 2")}
