"""The stages without labels: pictures are reconstructed against a discriminator, then the encoder is refined alone.

Browatzki & Wallraven, 3FabRec, CVPR 2020, section 3.1; Diaz Barros et al., FG 2024, for the in-domain inversion.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.losses import reconstruction
from mien.nn.losses.adversarial import critic_loss, fooling_loss, generator_loss, gradient_penalty, real_or_fake_loss
from mien.nn.resnet_ae import load_resnet18
from mien.nn.sam import frozen_batch_norm
from mien.nn.weights import read_checkpoint
from mien.systems.parface.network import ParFace
from mien.systems.parface.stage import ParFaceStage, check_choices
from mien.systems.stage import TorchBatch
from mien.systems.steps import Objective, held
from mien.systems.system import System

PIXELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": reconstruction.absolute, "l2": reconstruction.squared}


@dataclass(frozen=True)
class ReconstructionOptions:
    """pixels: "l2" (mean square, small) or "l1" (mean distance in grey levels, large). Weights of the terms, 0 for
    none: reconstruction of pixels, perceptual, structure (published 60; it halves the two before), adversarial,
    generated (pictures decoded between two faces; published 0.25).

    perceptual_layers: of VGG-19; vgg: its weight file, "" for torchvision's cache. against: "wgan_gp" or "gan".
    discriminator_every: it steps in every so many steps; discriminator_rate: at this share of the learning rate.
    generator_every: the adversarial term is there in every so many steps. latent_gan: latent vectors are drawn to a
    normal distribution; latent_every, latent_discriminator_every: so often. train_encoder, train_decoder: what learns.
    reset_discriminator: after --init it begins anew. resnet18: an ImageNet weight file the encoder begins with.
    """

    pixels: Literal["l1", "l2"] = "l2"
    reconstruction: float = 1.0
    perceptual: float = 0.1
    perceptual_layers: tuple[int, ...] = (3, 8, 15, 22)
    vgg: str = ""
    structure: float = 0.0
    against: Literal["wgan_gp", "gan"] = "wgan_gp"
    adversarial: float = 1.0
    generated: float = 0.0
    discriminator_every: int = 1
    discriminator_rate: float = 0.5
    generator_every: int = 1
    latent_gan: bool = False
    latent_every: int = 2
    latent_discriminator_every: int = 4
    train_encoder: bool = True
    train_decoder: bool = True
    reset_discriminator: bool = False
    resnet18: str = ""

    def __post_init__(self) -> None:
        often = ("discriminator_every", "generator_every", "latent_every", "latent_discriminator_every")
        weights = ("reconstruction", "perceptual", "structure", "adversarial", "generated", "discriminator_rate")
        least = dict.fromkeys(often, 1.0) | dict.fromkeys(weights, 0.0)
        check_choices(self, {"pixels": tuple(PIXELS), "against": ("wgan_gp", "gan")}, least)
        if not (self.train_encoder or self.train_decoder):
            raise MienError("stage.options: train_encoder and train_decoder are both false; nothing would learn.")


@dataclass(frozen=True)
class FineTuneOptions(ReconstructionOptions):
    pixels: Literal["l1", "l2"] = "l1"


@dataclass(frozen=True)
class InversionOptions(ReconstructionOptions):
    train_decoder: bool = False


class Made(NamedTuple):
    """Of a batch: the latent vectors, the pictures made of them, and pictures between two faces where asked for."""

    latent: Tensor
    picture: Tensor
    generated: Tensor | None

    def fakes(self) -> Tensor:
        return self.picture if self.generated is None else torch.cat((self.picture, self.generated))


class SelfSupervised(ParFaceStage):
    """Stage 1: encoder and decoder learn to make each picture again, by squared pixel differences.

    By default the discriminator is a critic: its scores are unbounded and its BatchNorm stands still, without which the
    gradient penalty of a picture would mean nothing. legacy: as published, probabilities of a network whose BatchNorm
    follows each pass.
    """

    name = "self_supervised"
    options_class: ClassVar[type] = ReconstructionOptions
    options: ReconstructionOptions
    monitor = "abs_error"
    variant = "_autoencoder"
    begins_untrained = True

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        if self.optim_options.sam_rho:
            raise MienError(f"The stage {self.name} plays two networks against each other: --optim.sam_rho 0.")
        spec, options = system.picture, self.options
        self.vgg: reconstruction.Perceptual | None = None
        if options.perceptual:
            self.vgg = reconstruction.Perceptual(
                reconstruction.vgg19_weights(options.vgg), layers=options.perceptual_layers, mean=spec.mean,
                std=spec.std, legacy=self.step_options.legacy,
            )  # fmt: skip
        if options.resnet18:
            load_resnet18(self.system.encoder, dict(read_checkpoint(options.resnet18)))
        self._made: tuple[TorchBatch, Made] | None = None

    def trained(self) -> Sequence[str]:
        options = self.options
        wanted = {
            "encoder": options.train_encoder,
            "decoder": options.train_decoder,
            "discriminator": options.adversarial > 0,
            "latent_discriminator": options.latent_gan,
        }
        return [part for part, learns in wanted.items() if learns]

    def moving(self) -> Sequence[str]:
        if self.step_options.legacy:  # the whole network was in train mode, also what was said to be frozen
            return [*{*self.trained(), "encoder", "decoder"}]
        return [part for part in self.trained() if part != "discriminator" or self.options.against == "gan"]

    def objectives(self) -> list[Objective]:
        options = self.options
        found = []
        if options.adversarial:
            share = {options.discriminator_rate: self.parameters_of("discriminator")}
            found.append(Objective(self.critic_terms, share, every=options.discriminator_every))
        if options.latent_gan:
            mine = {1.0: self.parameters_of("latent_discriminator")}
            found.append(Objective(self.latent_critic_terms, mine, every=options.latent_discriminator_every))
        generators = [part for part in ("encoder", "decoder") if part in self.trained()]
        return [*found, Objective(self.loss_terms, {1.0: self.parameters_of(*generators)})]

    # What is made small

    def loss_terms(self, batch: TorchBatch) -> dict[str, Tensor]:
        options, (latent, picture, _) = self.options, self._made_of(batch)
        terms = {"reconstruction": options.reconstruction * PIXELS[options.pixels](picture, batch.image)}
        if self.vgg is not None:
            terms["perceptual"] = options.perceptual * self.vgg(picture, batch.image)
        if options.structure:
            differing = reconstruction.structure(picture, batch.image, legacy=self.step_options.legacy).mean()
            terms = {name: 0.5 * term for name, term in terms.items()}
            terms["structure"] = 0.5 * options.structure * differing
        if options.adversarial and self.position.step % options.generator_every == 0:
            terms |= self._generator_terms(self._made_of(batch))
        if options.latent_gan and self.position.step % options.latent_every == 0:
            critic = self.system.latent_discriminator
            assert critic is not None
            with held(critic):
                terms["latent"] = fooling_loss(critic.logits(latent).float())
        self._made = None  # its graph goes with the backward
        return terms

    def _generator_terms(self, made: Made) -> dict[str, Tensor]:
        options = self.options
        assert self.system.discriminator is not None
        with held(self.system.discriminator):
            terms = {"generator": options.adversarial * self._fooled(made.picture)}
            if made.generated is not None:
                terms["generated"] = options.generated * self._fooled(made.generated)
        return terms

    def _fooled(self, picture: Tensor) -> Tensor:
        score = self._critic(picture).float()
        if self.options.against == "gan":
            return fooling_loss(score)
        return generator_loss(score, legacy=self.step_options.legacy)

    def critic_terms(self, batch: TorchBatch) -> dict[str, Tensor]:
        fake = self._made_of(batch, for_critic=True).fakes().detach().float()
        with torch.autocast(self.device.type, enabled=False):  # the penalty is a second derivative
            real_score, fake_score = self._critic(batch.image), self._critic(fake)
            if self.options.against == "gan":
                return {"discriminator": real_or_fake_loss(real_score, fake_score)}
            told_apart = critic_loss(real_score, fake_score, legacy=self.step_options.legacy)
            mixing = self.mixing(batch.image)
            penalty = gradient_penalty(self._critic, batch.image, fake[: len(batch.image)], mixing=mixing)
        return {"critic": told_apart, "penalty": penalty}

    def mixing(self, image: Tensor) -> Tensor:
        """[batch, 1, 1, 1] in 0..1: where between real and made the penalty is taken."""
        return torch.rand(len(image), 1, 1, 1, device=image.device)

    def _critic(self, picture: Tensor) -> Tensor:
        """Scores: unbounded, or as published probabilities."""
        critic = self.system.discriminator
        assert critic is not None
        published = self.step_options.legacy and self.options.against == "wgan_gp"
        score: Tensor = critic(picture) if published else critic.logits(picture)
        return score

    def latent_critic_terms(self, batch: TorchBatch) -> dict[str, Tensor]:
        latent = self._made_of(batch, for_critic=True).latent.detach()
        critic = self.system.latent_discriminator
        assert critic is not None
        drawn = torch.randn_like(latent)
        return {"latent_discriminator": real_or_fake_loss(critic.logits(drawn).float(), critic.logits(latent).float())}

    def _made_of(self, batch: TorchBatch, *, for_critic: bool = False) -> Made:
        """Made once for all of a step's objectives; where the batch comes in parts, whose graphs would not fit into
        memory together, the critic gets its own, without a trace in BatchNorm."""
        if self._made is not None and self._made[0] is batch:
            return self._made[1]
        if for_critic and self.step_options.parts > 1:
            with torch.no_grad(), frozen_batch_norm(self.system):
                return self._make(batch)
        self._made = (batch, self._make(batch))
        return self._made[1]

    def _make(self, batch: TorchBatch) -> Made:
        latent = self.system.encode(batch.image)
        picture = self.system.decoder(latent).picture.float()
        if not (self.options.generated and self.options.adversarial):
            return Made(latent, picture, None)
        start, along = latent.detach(), torch.rand(len(latent), 1, device=latent.device)
        between = start + along * (start[torch.randperm(len(start), device=start.device)] - start)
        return Made(latent, picture, self.system.decoder(between).picture.float())

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> dict[str, np.ndarray]:
        """By picture, both brought back to 0..1: the mean absolute difference in grey levels, PSNR, SSIM."""
        assert isinstance(system, ParFace)
        made, truth = (self._shown(p.float()) for p in (system.reconstruct(batch.image), batch.image))
        difference = (made - truth).flatten(1)
        found = {
            "abs_error": 255 * difference.abs().mean(1),
            "psnr": -10 * torch.log10(difference.square().mean(1).clamp(min=1e-10)),
            "ssim": reconstruction.ssim(made, truth),
        }
        return {name: value.cpu().numpy() for name, value in found.items()}

    def _shown(self, picture: Tensor) -> Tensor:
        spec = self.system.picture
        mean, std = (picture.new_tensor(v).view(3, 1, 1) for v in (spec.mean, spec.std))
        return (picture * std + mean).clamp(0, 1)

    def judge(self, predicted: dict[str, np.ndarray]) -> dict[str, float]:
        return {name: float(values.mean()) for name, values in predicted.items()}

    def start_from(self, other: System) -> None:
        super().start_from(other)
        if self.options.reset_discriminator and self.system.discriminator is not None:
            for module in self.system.discriminator.modules():
                if isinstance(module, nn.Conv2d):
                    nn.init.xavier_uniform_(module.weight)


class FineTune(SelfSupervised):
    """Stage 2: the same by absolute pixel differences, which weigh hundreds of times as much."""

    name = "fine_tune"
    options_class = FineTuneOptions
    begins_untrained = False


class Inversion(SelfSupervised):
    """Stage 3, in-domain inversion: the encoder learns alone, against a decoder that stands still.

    legacy: the decoder's BatchNorm statistics drift with the batches, as published.
    """

    name = "inversion"
    options_class = InversionOptions
    begins_untrained = False
