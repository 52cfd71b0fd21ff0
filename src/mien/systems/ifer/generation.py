"""Stage 0: a StyleGAN2 is trained on pictures, without labels, against a discriminator.

Karras et al. 2020: the non-saturating loss, R1 and path length regularisation computed every n-th step (lazy), style
mixing, an average of the weights; with the adaptive augmentation of Karras et al., NeurIPS 2020, for few pictures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.options import at_least, check_rules
from mien.core.records import Sample
from mien.metrics.generation import sliced_wasserstein
from mien.nn.losses.adversarial import fooling_loss, real_or_fake_loss
from mien.nn.stylegan2.augment import AdaptiveAugment
from mien.nn.stylegan2.discriminator import Discriminator
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.training import PathLength, r1_penalty, track_latent_avg, training_codes
from mien.systems.ifer.generator import GeneratorConfig, StyleGan2
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Predictions, Stage, TorchBatch
from mien.systems.system import System

SHOWN = 32  # pictures of a sheet


@dataclass(frozen=True)
class GenerationOptions:
    """Regularisation and augmentation; a weight of 0 turns a term off."""

    r1: float = 10.0
    """Weight of R1 (gamma); small pictures need less, about 1 at 128 pixels and 0.2 at 64."""
    r1_every: int = 16
    """R1 is computed every so many steps and weighted as many times."""
    path_length: float = 2.0
    """Weight of the path length regularisation."""
    path_every: int = 4
    """It is computed every so many steps and weighted as many times."""
    path_shrink: int = 2
    """On a batch of this fraction of the size."""
    mixing: float = 0.9
    """Share of batches in which two codes meet (style mixing), in 0..1."""
    augment: bool = True
    """Adaptive augmentation of what the discriminator sees."""
    augment_target: float = 0.6
    """Mean sign of the discriminator's logits of real pictures that the augmentation is steered to, in 0..1."""
    augment_pictures: float = 500_000.0
    """Pictures that it takes to raise the augmentation's probability from 0 to 1."""

    def __post_init__(self) -> None:
        rules = at_least(self, 0, "r1", "path_length") | at_least(self, 1, "r1_every", "path_every", "path_shrink")
        rules["mixing"] = (0 <= self.mixing <= 1, "in 0..1")
        rules["augment_target"] = (0 < self.augment_target < 1, "in 0..1")
        rules |= at_least(self, 1, "augment_pictures")
        check_rules(self, "stage.options.", rules)


class Drawn(NamedTuple):
    """Of one batch."""

    codes: Tensor
    """[batch, styles, style]"""
    image: Tensor
    """[batch, 3, size, size]"""


class Generation(Stage):
    """The generator against a discriminator of the same widths; `optim.ema` averages the generator."""

    name = "generator"
    options_class = GenerationOptions
    options: GenerationOptions
    needs_labels = False
    monitor = "swd"
    larger_is_better = False
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (StyleGan2,)}
    # The published rates, without the correction for steps that lazy regularisation leaves out, which is one of 6 %.
    default_optim = OptimOptions(name="adam", lr=2e-3, betas=(0.0, 0.99), schedule="constant", ema=0.998)
    system: StyleGan2

    @classmethod
    def system_name(cls, name: str) -> str:
        return name if name.startswith(StyleGan2.name) else StyleGan2.name

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        assert isinstance(system, StyleGan2)
        if self.optim_options.sam_rho:
            raise MienError(f"The stage {self.name} plays two networks against each other: --optim.sam_rho 0.")
        self.discriminator = discriminator_for(system.config, channels_last=self.step_options.channels_last)
        self.path = PathLength(weight=self.options.path_length)
        options = self.options
        self.augment = AdaptiveAugment(target=options.augment_target, pictures=options.augment_pictures)
        self._observed: list[Tensor] = []  # logits of the step's real pictures
        self._codes: Tensor | None = None

    @property
    def generator(self) -> Generator:
        return self.system.generator

    def start_from(self, role: str, other: System) -> None:
        self.load_weights(other.state_dict())

    def companions(self) -> Mapping[str, nn.Module]:
        return {"discriminator": self.discriminator, "path": self.path, "augment": self.augment}

    def update_companions(self) -> None:
        if self.options.augment:
            self.augment.observe(torch.cat(self._observed))
        assert self._codes is not None
        track_latent_avg(self.generator, self._codes)
        self._observed, self._codes = [], None

    # What is minimised

    def shared(self, batch: TorchBatch) -> Drawn:
        codes = self._new_codes(len(batch))
        self._codes = codes.detach()
        return Drawn(codes, self._picture(codes))

    def _new_codes(self, count: int) -> Tensor:
        """In float32 throughout, as released: half precision moves every picture of a code."""
        with torch.autocast(self.device.type, enabled=False):
            return training_codes(self.generator, count, mixing=self.options.mixing)

    def _picture(self, codes: Tensor) -> Tensor:
        return self.generator(codes, noise=self.generator.random_noise(len(codes))).image.float()

    def objectives(self) -> list[Objective]:
        judge = [ParameterGroup([*self.discriminator.parameters()])]
        own = [ParameterGroup([*self.generator.parameters()])]
        return [
            Objective("discriminator", self.discriminator_terms, judge, detached=True),
            Objective("generator", self.generator_terms, own),
        ]

    def _seen(self, image: Tensor) -> Tensor:
        """What the discriminator is shown of pictures."""
        return self.augment(image) if self.options.augment else image

    def discriminator_terms(self, batch: TorchBatch, shared: Drawn) -> dict[str, Tensor]:
        options, real = self.options, self._seen(batch.image)
        logits = self.discriminator(real).float()
        self._observed.append(logits.detach())
        fake_logits = self.discriminator(self._seen(shared.image.detach())).float()
        terms = {"discriminator": real_or_fake_loss(logits, fake_logits)}
        if options.r1 and self.position.step % options.r1_every == 0:
            terms["r1"] = options.r1_every * r1_penalty(self.discriminator, real, weight=options.r1)
        return terms

    def generator_terms(self, batch: TorchBatch, shared: Drawn) -> dict[str, Tensor]:
        options = self.options
        terms = {"adversarial": fooling_loss(self.discriminator(self._seen(shared.image)).float())}
        if options.path_length and self.position.step % options.path_every == 0:
            count = max(1, len(batch) // options.path_shrink)
            codes = self._new_codes(count)
            terms["path_length"] = options.path_every * self.path(self._picture(codes), codes)
        return terms

    def monitored(self, shared: Drawn) -> dict[str, Tensor]:
        return {"augmentation": self.augment.p.clone()} if self.options.augment else {}

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """Of each real picture itself, and a picture drawn from the z that belongs to its number."""
        assert isinstance(system, StyleGan2)
        z = numbered_z(batch.index, system.config.style)
        drawn = system(z.to(batch.image.device))["picture"]
        return {"generated": to_pixels(drawn), "real": to_pixels(batch.image)}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        """The sliced Wasserstein distance x 1000 to the validation pictures by level, and its mean."""
        levels = sliced_wasserstein(predictions["generated"], predictions["real"])
        scores = {f"swd_{side}": value for side, value in levels.items()}
        return {"swd": float(np.mean(list(levels.values())))} | scores

    def sheet(self) -> np.ndarray | None:
        """Drawn pictures, always of the same z."""
        return picture_rows([self.predictions["generated"][:SHOWN]], columns=8)


def picture_rows(groups: Sequence[np.ndarray], *, columns: int) -> np.ndarray:
    """uint8 [height, width, 3]: pictures [n, side, side, 3] in rows, those of the first group above of the second's."""
    lines = []
    for start in range(0, len(groups[0]), columns):
        for pictures in groups:
            row = pictures[start : start + columns]
            padded = np.pad(row, ((0, columns - len(row)), (0, 2), (0, 2), (0, 0)), constant_values=255)
            lines.append(np.concatenate(list(padded), axis=1))
    return np.concatenate(lines)


def discriminator_for(config: GeneratorConfig, *, channels_last: bool) -> Discriminator:
    """A fresh one of the generator's widths."""
    network = Discriminator(
        size=config.size, channel_multiplier=config.channel_multiplier, most_channels=config.most_channels
    )
    return network.to(memory_format=torch.channels_last) if channels_last else network  # type: ignore[call-overload, no-any-return]


def numbered_z(numbers: Tensor, width: int) -> Tensor:
    """float32 [n, width] on the CPU: of each number always the same, N(0, 1)."""
    drawn = [torch.randn(width, generator=torch.Generator().manual_seed(int(i))) for i in numbers.tolist()]
    return torch.stack(drawn)


def to_pixels(image: Tensor) -> np.ndarray:
    """uint8 [batch, height, width, 3] of pictures in -1..1, which are cut off there and rounded."""
    pixels = ((image.detach().float().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return pixels.permute(0, 2, 3, 1).cpu().numpy()
