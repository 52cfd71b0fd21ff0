"""The stages of the toys: one objective with one loss, and all that a stage may have."""

from collections import defaultdict
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.metrics.calibration import fit_temperature
from mien.systems.frozen import FrozenNetwork
from mien.systems.optim import OptimOptions
from mien.systems.stage import Objective, ParameterGroup, Stage
from toy.face_voice import FaceVoice
from toy.network import Toy


@dataclass(frozen=True)
class ToyOptions:
    scale: float = 1.0
    spike: float = 0.0
    """Added to every gradient of the head's bias in step 3, without a trace in the loss."""


class Guess(Stage):
    name = "guess"
    options_class = ToyOptions
    monitor = "accuracy"

    def loss_terms(self, batch, shared=None):
        logits = self(*batch.take(self.system.input_names))["expression"]
        loss = self.options.scale * F.cross_entropy(logits, batch.expression)
        if self.options.spike and self.position.step == 3:
            bias = self.system.head.bias.sum()
            loss = loss + self.options.spike * (bias - bias.detach())
        return {"cross_entropy": loss}

    def predict(self, system, batch):
        logits = system(*batch.take(system.input_names))["expression"]
        return {"logits": logits.cpu().numpy(), "truth": batch.expression.cpu().numpy()}

    def validate(self, predictions, samples):
        assert [sample.expression for sample in samples] == predictions["truth"].tolist()
        return {"accuracy": float(np.mean(predictions["logits"].argmax(-1) == predictions["truth"]))}

    def constant(self, predictions):
        logits, truth = predictions["logits"], predictions["truth"]
        most = np.eye(logits.shape[1])[np.bincount(truth).argmax()]
        return {"logits": np.broadcast_to(most, logits.shape), "truth": truth}


@dataclass(frozen=True)
class TogetherOptions:
    eye: str = ""
    """A safetensors file with `weight` [4, 3 * size * size]: how pictures are compared."""
    equilibrium: float = 0.3
    """The discriminator steps while its loss is at least this."""


class Together(Stage):
    """Two roles, two optimisers, a gate, a discriminator, a tracked copy, and a frozen network by path."""

    name = "together"
    options_class = TogetherOptions
    monitor = "accuracy"
    starts_from: ClassVar = {"face": (Toy, FaceVoice), "voice": (FaceVoice,)}
    default_optim = OptimOptions(name="adamw", lr=5e-3, schedule="cosine", weight_decay=0.01)

    def __init__(self, system, **rest):
        super().__init__(system, **rest)
        pixels = 3 * system.config.size**2
        self.discriminator = nn.Sequential(nn.Flatten(), nn.Linear(pixels, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
        self.slow_ear = nn.Linear(system.ear.in_features, system.ear.out_features).requires_grad_(False)
        self.slow_ear.load_state_dict(system.ear.state_dict())
        eye = nn.Linear(pixels, 4, bias=False)
        eye.load_state_dict(load_file(self.options.eye))
        self.eye = FrozenNetwork(nn.Sequential(nn.Flatten(), eye), self.options.eye)

    def companions(self):
        return {"discriminator": self.discriminator, "slow_ear": self.slow_ear}

    @torch.no_grad()
    def update_companions(self):
        self.slow_ear.weight.lerp_(self.system.ear.weight, 0.1)

    def frozen(self):
        return {"eye": self.eye}

    def shared(self, batch):
        return self(*batch.take(self.system.input_names))

    def monitored(self, shared):
        return {"spread": shared["picture"].std()}

    def objectives(self):
        named = list(self.system.named_parameters())
        heads = [parameter for name, parameter in named if "head" in name]
        rest = [parameter for name, parameter in named if "head" not in name]
        critic = OptimOptions(name="rmsprop", lr=1e-2, momentum=0.0, schedule="multistep", milestones=(1,), gamma=0.5)
        return [
            Objective(
                "discriminator", self.discriminator_terms, [ParameterGroup([*self.discriminator.parameters()])],
                optim=critic, when=self.is_not_too_good, detached=True,
            ),
            Objective("network", self.network_terms, [ParameterGroup(heads, 2.0, 0.0), ParameterGroup(rest)]),
        ]  # fmt: skip

    def is_not_too_good(self, step, losses):
        return losses["real_or_fake"] >= self.options.equilibrium and losses["spread"] > 0

    def discriminator_terms(self, batch, shared):
        real, fake = self.discriminator(batch.image), self.discriminator(shared["picture"].detach().float())
        return {"real_or_fake": (F.softplus(-real) + F.softplus(fake)).mean() / 2}

    def network_terms(self, batch, shared):
        known = ~batch.affect.isnan()
        errors = torch.where(known, shared["affect"].float() - batch.affect.nan_to_num(), 0.0)
        return {
            "cross_entropy": F.cross_entropy(shared["expression"].float(), batch.expression),
            "affect": errors.square().sum() / known.sum().clamp(min=1),
            "picture": F.mse_loss(self.eye(shared["picture"].float()), self.eye(batch.image)),
            "fooling": 0.1 * F.softplus(-self.discriminator(shared["picture"].float())).mean(),
        }

    def predict(self, system, batch):
        outputs = {name: value.float().cpu().numpy() for name, value in self._outputs(system, batch).items()}
        truth = {"truth": batch.expression.cpu().numpy(), "true_affect": batch.affect.cpu().numpy()}
        return {"logits": outputs["expression"], "affect": outputs["affect"], **truth}

    def _outputs(self, system, batch):
        return system(*batch.take(system.input_names))

    def validate(self, predictions, samples):
        """Also by subject, whose frames decide together."""
        right = predictions["logits"].argmax(-1) == predictions["truth"]
        by_subject = defaultdict(list)
        for sample, hit in zip(samples, right, strict=True):
            by_subject[sample.subject or sample.key].append(hit)
        errors = (predictions["affect"] - predictions["true_affect"]) ** 2
        return {
            "accuracy": float(right.mean()),
            "subject_accuracy": float(np.mean([np.mean(hits) > 0.5 for hits in by_subject.values()])),
            "affect_rmse": float(np.sqrt(np.nanmean(errors))),
        }

    def temperatures(self, predictions):
        try:
            return {"expression": fit_temperature(predictions["logits"], predictions["truth"])}
        except MienError:
            return {"expression": 1.0}

    def needs_init(self, role):
        return f"The stage together needs a {role}: --init.{role} BUNDLE (or random)."

    def start_from(self, role, other):
        if role == "face":
            self.system.first.load_state_dict(other.first.state_dict())
        else:
            self.system.ear.load_state_dict(other.ear.state_dict())


class Listen(Guess):
    """Without options of its own."""

    name = "listen"
    options_class = Stage.options_class

    def loss_terms(self, batch, shared=None):
        return {"cross_entropy": F.cross_entropy(self(*batch.take(("voice",)))["expression"], batch.expression)}


STAGES = {"guess": Guess, "together": Together, "listen": Listen}
