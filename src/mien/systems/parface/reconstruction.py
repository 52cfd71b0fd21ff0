"""The stages without labels: pictures are reconstructed against a discriminator, then the encoder is refined alone.

Browatzki & Wallraven, 3FabRec, CVPR 2020, section 3.1; Diaz Barros et al., FG 2024, for the in-domain inversion.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.options import at_least, check_choices, check_rules
from mien.core.records import Sample
from mien.nn.losses import reconstruction
from mien.nn.losses.adversarial import critic_loss, fooling_loss, generator_loss, gradient_penalty, real_or_fake_loss
from mien.nn.resnet_ae import load_resnet18
from mien.nn.weights import read_checkpoint
from mien.systems.frozen import FrozenNetwork
from mien.systems.optim import OptimOptions
from mien.systems.parface.network import ParFace
from mien.systems.parface.stage import ParFaceStage
from mien.systems.stage import Objective, ParameterGroup, Predictions, TorchBatch, every
from mien.systems.system import System

PIXELS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"l1": reconstruction.absolute, "l2": reconstruction.squared}


@dataclass(frozen=True)
class ReconstructionOptions:
    """Loss terms and update intervals of the autoencoder's stages; a weight of 0 turns a term off."""

    pixels: Literal["l1", "l2"] = "l2"
    """Reconstruction loss: l2 is the mean squared difference, l1 the mean absolute difference in grey levels, hundreds
    of times as large."""
    reconstruction: float = 1.0
    """Weight of the reconstruction loss."""
    perceptual: float = 0.1
    """Weight of the perceptual loss on VGG-19 features, which needs VGG-19's ImageNet weights."""
    perceptual_layers: tuple[int, ...] = (3, 8, 15, 22)
    """Indices of the VGG-19 layers whose features are compared."""
    vgg: str = ""
    """VGG-19 weight file; by default that in torchvision's cache."""
    structure: float = 0.0
    """Weight of the structural-similarity loss (published: 60); above 0 it halves the reconstruction and perceptual
    losses."""
    against: Literal["wgan_gp", "gan"] = "wgan_gp"
    """Adversarial loss: wgan_gp (Wasserstein with gradient penalty) or gan (binary cross-entropy)."""
    adversarial: float = 1.0
    """Weight of the adversarial loss on reconstructions."""
    generated: float = 0.0
    """Weight of the adversarial loss on images decoded between the latent vectors of two faces (published: 0.25)."""
    discriminator_every: int = 1
    """Training steps between updates of the image discriminator."""
    discriminator_rate: float = 0.5
    """Learning rate of the image discriminator, as a share of optim.lr."""
    generator_every: int = 1
    """Training steps between those that include the adversarial loss."""
    latent_gan: bool = False
    """Train latent vectors towards a standard normal distribution with the latent discriminator."""
    latent_every: int = 2
    """Training steps between those that include the latent adversarial loss."""
    latent_discriminator_every: int = 4
    """Training steps between updates of the latent discriminator."""
    train_encoder: bool = True
    """Update the encoder."""
    train_decoder: bool = True
    """Update the decoder."""
    reset_discriminator: bool = False
    """Initialise the image discriminator anew after the weights of --init are loaded."""
    resnet18: str = ""
    """ImageNet ResNet-18 weight file that the encoder starts from; empty for none."""

    def __post_init__(self) -> None:
        often = ("discriminator_every", "generator_every", "latent_every", "latent_discriminator_every")
        weights = ("reconstruction", "perceptual", "structure", "adversarial", "generated", "discriminator_rate")
        check_choices(self, "stage.options.")
        check_rules(self, "stage.options.", at_least(self, 1, *often) | at_least(self, 0, *weights))
        if not (self.train_encoder or self.train_decoder):
            raise MienError("stage.options: train_encoder and train_decoder are both false; nothing would learn.")


@dataclass(frozen=True)
class FineTuneOptions(ReconstructionOptions):
    """Options of stage 2: absolute pixel differences."""

    pixels: Literal["l1", "l2"] = "l1"


@dataclass(frozen=True)
class InversionOptions(ReconstructionOptions):
    """Options of stage 3: the decoder is frozen."""

    train_decoder: bool = False


class Reconstruction(NamedTuple):
    """Of a batch: latent vectors, pictures decoded from them, and pictures between two faces where asked for."""

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
    default_optim = OptimOptions(lr=2e-5, betas=(0.0, 0.999), schedule="constant")
    monitor = "abs_error"
    variant = "_autoencoder"
    begins_untrained = True

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        if self.optim_options.sam_rho:
            raise MienError(f"The stage {self.name} plays two networks against each other: --optim.sam_rho 0.")
        spec, options = system.picture, self.options
        self.vgg: FrozenNetwork | None = None
        if options.perceptual:
            file = reconstruction.vgg19_file(options.vgg)
            network = reconstruction.Perceptual(
                reconstruction.vgg19_weights(file), layers=options.perceptual_layers, mean=spec.mean,
                std=spec.std, legacy=self.step_options.legacy,
            )  # fmt: skip
            self.vgg = FrozenNetwork(network, file)
        if options.resnet18:
            load_resnet18(self.system.encoder, dict(read_checkpoint(options.resnet18)))

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        return {} if self.vgg is None else {"vgg": self.vgg}

    def trainable_parts(self) -> Sequence[str]:
        options = self.options
        wanted = {
            "encoder": options.train_encoder,
            "decoder": options.train_decoder,
            "discriminator": options.adversarial > 0,
            "latent_discriminator": options.latent_gan,
        }
        return [part for part, learns in wanted.items() if learns]

    def norms_in_train_mode(self) -> Sequence[str]:
        if self.step_options.legacy:  # the whole network was in train mode, also the parts described as frozen
            return [*{*self.trainable_parts(), "encoder", "decoder"}]
        return [part for part in self.trainable_parts() if part != "discriminator" or self.options.against == "gan"]

    def objectives(self) -> list[Objective]:
        options, found = self.options, []
        if options.adversarial:
            group = ParameterGroup(self.parameters_of("discriminator"), options.discriminator_rate)
            when = every(options.discriminator_every)
            found.append(Objective("discriminator", self.critic_terms, (group,), when=when, detached=True))
        if options.latent_gan:
            group, when = self._group("latent_discriminator"), every(options.latent_discriminator_every)
            terms = self.latent_critic_terms
            found.append(Objective("latent_discriminator", terms, (group,), when=when, detached=True))
        generators = [part for part in ("encoder", "decoder") if part in self.trainable_parts()]
        return [*found, Objective("generator", self.loss_terms, (self._group(*generators),))]

    def _group(self, *parts: str) -> ParameterGroup:
        return ParameterGroup(self.parameters_of(*parts))

    # What is minimised

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        options, decoded = self.options, self.shared(batch) if shared is None else shared
        terms = {"reconstruction": options.reconstruction * PIXELS[options.pixels](decoded.picture, batch.image)}
        if self.vgg is not None:
            terms["perceptual"] = options.perceptual * self.vgg(decoded.picture, batch.image)
        if options.structure:
            differing = reconstruction.structure(decoded.picture, batch.image, legacy=self.step_options.legacy).mean()
            terms = {name: 0.5 * term for name, term in terms.items()}
            terms["structure"] = 0.5 * options.structure * differing
        if options.adversarial and self.position.step % options.generator_every == 0:
            terms |= self._generator_terms(decoded)
        if options.latent_gan and self.position.step % options.latent_every == 0:
            critic = self.system.latent_discriminator
            assert critic is not None
            terms["latent"] = fooling_loss(critic.logits(decoded.latent).float())
        return terms

    def _generator_terms(self, decoded: Reconstruction) -> dict[str, Tensor]:
        options = self.options
        terms = {"generator": options.adversarial * self._fooled(decoded.picture)}
        if decoded.generated is not None:
            terms["generated"] = options.generated * self._fooled(decoded.generated)
        return terms

    def _fooled(self, picture: Tensor) -> Tensor:
        score = self._critic(picture).float()
        if self.options.against == "gan":
            return fooling_loss(score)
        return generator_loss(score, legacy=self.step_options.legacy)

    def critic_terms(self, batch: TorchBatch, shared: Reconstruction) -> dict[str, Tensor]:
        fake = shared.fakes().detach().float()
        with torch.autocast(self.device.type, enabled=False):  # the penalty is a second derivative
            real_score, fake_score = self._critic(batch.image), self._critic(fake)
            if self.options.against == "gan":
                return {"discriminator": real_or_fake_loss(real_score, fake_score)}
            critic = critic_loss(real_score, fake_score, legacy=self.step_options.legacy)
            mixing = self.mixing(batch.image)
            penalty = gradient_penalty(self._critic, batch.image, fake[: len(batch.image)], mixing=mixing)
        return {"critic": critic, "penalty": penalty}

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

    def latent_critic_terms(self, batch: TorchBatch, shared: Reconstruction) -> dict[str, Tensor]:
        latent = shared.latent.detach()
        critic = self.system.latent_discriminator
        assert critic is not None
        drawn = torch.randn_like(latent)
        return {"latent_discriminator": real_or_fake_loss(critic.logits(drawn).float(), critic.logits(latent).float())}

    def shared(self, batch: TorchBatch) -> Reconstruction:
        latent = self.system.encode(batch.image)
        picture = self.system.decoder(latent).picture.float()
        if not (self.options.generated and self.options.adversarial):
            return Reconstruction(latent, picture, None)
        start, along = latent.detach(), torch.rand(len(latent), 1, device=latent.device)
        between = start + along * (start[torch.randperm(len(start), device=start.device)] - start)
        return Reconstruction(latent, picture, self.system.decoder(between).picture.float())

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """By picture, both brought back to 0..1: the mean absolute difference in grey levels, PSNR, SSIM."""
        assert isinstance(system, ParFace)
        reconstructed, truth = (self._shown(p.float()) for p in (system.reconstruct(batch.image), batch.image))
        difference = (reconstructed - truth).flatten(1)
        found = {
            "abs_error": 255 * difference.abs().mean(1),
            "psnr": -10 * torch.log10(difference.square().mean(1).clamp(min=1e-10)),
            "ssim": reconstruction.ssim(reconstructed, truth),
        }
        return {name: value.cpu().numpy() for name, value in found.items()}

    def _shown(self, picture: Tensor) -> Tensor:
        spec = self.system.picture
        mean, std = (picture.new_tensor(v).view(3, 1, 1) for v in (spec.mean, spec.std))
        return (picture * std + mean).clamp(0, 1)

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        return {name: float(values.mean()) for name, values in predictions.items()}

    def start_from(self, role: str, other: System) -> None:
        super().start_from(role, other)
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
