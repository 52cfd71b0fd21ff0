"""Stages 1 and 2 of ASIT: the encoder learns to rebuild pictures through a trained generator; then on expression data.

Mao et al. 2022. What is unusual: the encoder's discriminator compares a picture with its inversion (a cosine of two
embeddings, one of them a moving average); the encoder's maps are aligned with the generator's by how similar the
pictures of a batch are among themselves.

Where we depart from the released code: the discriminator's gradient reaches the encoder (legacy: it does not); the
alignment uses all pictures of a batch and all layers (legacy: three random draws from the first two pictures).
Beyond the paper, for where no files of auxiliary networks are there: a Laplacian pyramid's difference, a second
discriminator that sees whether a picture is real (`realism`), and a generator that is tuned too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.options import at_least, check_rules
from mien.core.records import Sample
from mien.nn.inversion.encoders import Encoded
from mien.nn.losses.adversarial import fooling_loss, real_or_fake_loss
from mien.nn.losses.distribution import distribution_loss, draw, published_distribution_loss
from mien.nn.losses.inversion import inversion_loss, same_picture_loss
from mien.nn.losses.laplacian import laplacian_loss
from mien.nn.losses.reconstruction import ssim
from mien.nn.stylegan2.discriminator import Discriminator, InversionDiscriminator
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.training import r1_penalty
from mien.systems.frozen import FrozenNetwork
from mien.systems.ifer.generation import discriminator_for, picture_rows, to_pixels
from mien.systems.ifer.generator import StyleGan2
from mien.systems.ifer.inversion import Asit
from mien.systems.ifer.inversion_losses import InversionLosses, InversionLossOptions
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Predictions, Stage, TorchBatch
from mien.systems.system import System

R1_EVERY = 16
SHOWN = 16  # pictures of a sheet


@dataclass(frozen=True)
class InversionOptions(InversionLossOptions):
    """Weights of the terms; 0 turns a term off. The defaults of the first four are the published ones."""

    adversarial: float = 1e-4
    """Weight of the inversion discriminator's term."""
    distribution: float = 0.01
    """Weight of the alignment of the encoder's maps with the generator's features; needs batches of 3 or more."""
    laplacian: float = 0.0
    """Weight of the mean absolute difference of the Laplacian pyramids; needs no file (not in the paper)."""
    realism: float = 0.0
    """Weight of the non-saturating loss of a StyleGAN2 discriminator (not in the paper)."""
    r1: float = 0.2
    """Weight of R1 of that discriminator, computed every 16 steps."""
    codes_alone: float = 0.0
    """Weight of l2 and laplacian of the picture without the feature residual, as a share of their own weights."""
    tune_generator: float = 0.0
    """Learning rate of the generator as a share of the encoder's; 0 holds it still, as published."""

    def __post_init__(self) -> None:
        super().__post_init__()
        weights = ("adversarial", "distribution", "laplacian", "realism", "r1", "codes_alone", "tune_generator")
        check_rules(self, "stage.options.", at_least(self, 0, *weights))


class Rebuilt(NamedTuple):
    """Of one batch."""

    encoded: Encoded
    picture: Tensor
    """[batch, 3, size, size]"""
    plain: Tensor | None
    """The same without the residual, where it is asked for."""


class InversionStage(Stage):
    """What both stages have in common."""

    options_class: ClassVar[type] = InversionOptions
    options: InversionOptions
    needs_labels = False
    larger_is_better = False
    monitor = "loss"
    default_optim = OptimOptions(name="ranger", lr=1e-4, betas=(0.95, 0.999), eps=1e-5, schedule="constant")
    system: Asit

    @classmethod
    def system_name(cls, name: str) -> str:
        return name if name.startswith(Asit.name) else Asit.name

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        assert isinstance(system, Asit)
        options, config = self.options, system.config
        if self.optim_options.sam_rho:
            raise MienError(f"The stage {self.name} plays two networks against each other: --optim.sam_rho 0.")
        if options.codes_alone and not config.feature_side:
            raise MienError(
                "stage.options.codes_alone weights the picture without the feature residual, which this network has "
                "not: leave it out, or --system.options.feature_side 16."
            )
        self._shown: list[np.ndarray] = []
        self.losses_of_pictures = InversionLosses(options)
        self.discriminator: InversionDiscriminator | None = None
        self.critic: Discriminator | None = None
        if options.adversarial:
            self.discriminator = InversionDiscriminator(
                size=config.size, channel_multiplier=config.channel_multiplier, most_channels=config.most_channels,
                legacy=self.step_options.legacy,
            )  # fmt: skip
        if options.realism:
            self.critic = discriminator_for(config, channels_last=self.step_options.channels_last)
        self.generator.requires_grad_(bool(options.tune_generator))
        if not options.distribution:
            system.inversion.encoder.feature_convs.requires_grad_(False)
        if not config.use_structure:
            system.inversion.encoder.structure_conv.requires_grad_(False)

    @property
    def generator(self) -> Generator:
        return self.system.inversion.generator

    def companions(self) -> Mapping[str, nn.Module]:
        found = {"discriminator": self.discriminator, "critic": self.critic}
        return {name: network for name, network in found.items() if network is not None}

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        return self.losses_of_pictures.frozen()

    def update_companions(self) -> None:
        if self.discriminator is not None and not self.discriminator.legacy:  # released: in every forward
            self.discriminator.move_key()

    # What is minimised

    def shared(self, batch: TorchBatch) -> Rebuilt:
        encoded = self.system.encode(batch.image)
        noise = self.generator.random_noise(len(batch))
        picture = self.system.decode(encoded, noise=noise)[0].image.float()
        plain = None
        if self.options.codes_alone:
            plain = self.system.decode(encoded, noise=noise, use_residual=False)[0].image.float()
        return Rebuilt(encoded, picture, plain)

    def objectives(self) -> list[Objective]:
        found = []
        if self.discriminator is not None:
            query = [ParameterGroup([*self.discriminator.query.parameters()])]
            found.append(Objective("discriminator", self.discriminator_terms, query, detached=True))
        if self.critic is not None:
            own = [ParameterGroup([*self.critic.parameters()])]
            optim = OptimOptions(name="adam", lr=2e-3, betas=(0.0, 0.99), schedule="constant")
            found.append(Objective("critic", self.critic_terms, own, optim=optim, detached=True))
        generator = {id(p) for p in self.generator.parameters()}
        trained = [p for p in self.system.parameters() if p.requires_grad]
        groups = [ParameterGroup([p for p in trained if id(p) not in generator])]
        if self.options.tune_generator:
            tuned = [p for name, p in self.generator.named_parameters() if not name.startswith("mapping.")]
            groups.append(ParameterGroup(tuned, self.options.tune_generator, 0.0))
        return [*found, Objective("encoder", self.encoder_terms, groups)]

    def discriminator_terms(self, batch: TorchBatch, shared: Rebuilt) -> dict[str, Tensor]:
        assert self.discriminator is not None
        same = self.discriminator(batch.image, batch.image).float()
        inverted = self.discriminator(shared.picture.detach(), batch.image).float()
        return {"discriminator": same_picture_loss(same, inverted)}

    def critic_terms(self, batch: TorchBatch, shared: Rebuilt) -> dict[str, Tensor]:
        assert self.critic is not None
        fake = self.critic(shared.picture.detach()).float()
        terms = {"critic": real_or_fake_loss(self.critic(batch.image).float(), fake)}
        if self.options.r1 and self.position.step % R1_EVERY == 0:
            terms["r1"] = R1_EVERY * r1_penalty(self.critic, batch.image, weight=self.options.r1)
        return terms

    def encoder_terms(self, batch: TorchBatch, shared: Rebuilt) -> dict[str, Tensor]:
        options = self.options
        terms = self._picture_terms(batch.image, shared)
        if self.discriminator is not None:
            fooled = self.discriminator(shared.picture, batch.image).float()
            legacy = self.step_options.legacy
            terms["adversarial"] = options.adversarial * inversion_loss(fooled, legacy=legacy)
        if self.critic is not None:
            terms["realism"] = options.realism * fooling_loss(self.critic(shared.picture).float())
        if options.distribution:
            terms["distribution"] = options.distribution * self._alignment(batch, shared)
        return terms

    def _picture_terms(self, image: Tensor, rebuilt: Rebuilt) -> dict[str, Tensor]:
        options = self.options
        codes = rebuilt.encoded.codes.float()
        mean = self.system.inversion.latent_avg if self.system.config.from_mean else None
        terms: dict[str, Tensor] = self.losses_of_pictures(rebuilt.picture, image, codes, mean)
        if options.laplacian:
            terms["laplacian"] = options.laplacian * laplacian_loss(rebuilt.picture, image)
        if rebuilt.plain is not None:
            share = options.codes_alone
            terms["l2_codes"] = share * options.l2 * F.mse_loss(rebuilt.plain, image)
            if options.laplacian:
                terms["laplacian_codes"] = share * options.laplacian * laplacian_loss(rebuilt.plain, image)
        return terms

    def _alignment(self, batch: TorchBatch, shared: Rebuilt) -> Tensor:
        """Of the encoder's maps with the features of as many drawn pictures."""
        with torch.no_grad():
            z = torch.randn(len(batch), self.generator.style, device=batch.image.device)
            noise = self.generator.random_noise(len(batch))
            source = self.generator(self.generator.codes(z), noise=noise).features
        target = self.system.inversion.encoder.features(shared.encoded.maps)
        source, target = ([maps.float() for maps in each] for each in (source, target))
        if not self.step_options.legacy:
            return distribution_loss(source, target)
        layers, pictures = draw(torch.default_generator)
        return published_distribution_loss(source, target, layers=layers, pictures=pictures)

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """Of each sample: the batch's loss, and its errors with the stored noise."""
        assert isinstance(system, Asit)
        encoded = system.encode(batch.image)
        picture = system.decode(encoded)[0].image.float()
        plain = system.decode(encoded, use_residual=False)[0].image.float() if system.config.feature_side else None
        rebuilt = Rebuilt(encoded, picture, plain if self.options.codes_alone else None)
        terms = self._picture_terms(batch.image, rebuilt)
        loss = torch.stack([value.float() for value in terms.values()]).sum().expand(len(batch))
        found = {"loss": loss, **errors_of(picture, batch.image)}
        if not self._shown:
            self._shown = [to_pixels(each[:SHOWN]) for each in (batch.image, picture)]
        if plain is not None:
            found |= {f"{name}_codes": value for name, value in errors_of(plain, batch.image).items()}
        return {name: value.detach().float().cpu().numpy() for name, value in found.items()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        """Means over the pictures. l2 is of pictures in -1..1; psnr and ssim of the same in 0..1."""
        return {name: float(values.mean()) for name, values in predictions.items()}

    def sheet(self) -> np.ndarray | None:
        """Pictures above their reconstructions."""
        shown, self._shown = self._shown, []
        return picture_rows(shown, columns=8) if shown else None


def errors_of(picture: Tensor, image: Tensor) -> dict[str, Tensor]:
    """[batch] each: l2 (mean squared difference in -1..1), psnr in dB and ssim, of the picture cut off at -1 and 1."""
    picture, image = picture.clamp(-1, 1), image.float()
    l2 = (picture - image).square().flatten(1).mean(1)
    shares = (picture + 1) / 2, (image + 1) / 2
    return {"l2": l2, "psnr": -10 * torch.log10((l2 / 4).clamp(min=1e-10)), "ssim": ssim(*shares)}


class InversionTraining(InversionStage):
    """Stage 1, on faces without labels."""

    name = "inversion"
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"generator": (StyleGan2,)}

    def needs_init(self, role: str) -> str:
        return "The stage inversion needs a trained generator: --init.generator BUNDLE (or random)."

    def start_from(self, role: str, other: System) -> None:
        """Raises MienError for a generator of another size or width."""
        assert isinstance(other, StyleGan2)
        own, theirs = self.system.config.generator_options, other.config.generator_options
        if apart := [name for name in own if own[name] != theirs[name]]:
            options = " ".join(f"--system.options.{name} {theirs[name]}" for name in apart)
            stated = " and ".join(f"{name} {theirs[name]}" for name in apart)
            raise MienError(f"The generator has {stated}, the decoder of this network has not: {options}.")
        self.generator.load_state_dict(other.generator.state_dict())
        styles = self.generator.style_count
        self.system.inversion.latent_avg.copy_(other.generator.latent_avg.repeat(styles, 1))


class FineTuning(InversionStage):
    """Stage 2, on expression data."""

    name = "fine_tune"
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"inversion": (Asit,)}

    def needs_init(self, role: str) -> str:
        return "The stage fine_tune goes on with a trained ASIT: --init BUNDLE (or random)."

    def start_from(self, role: str, other: System) -> None:
        self.load_weights(other.state_dict())
