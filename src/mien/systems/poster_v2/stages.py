"""POSTER V2's training, in the order run: the landmark stream on 68 points, then the classifier on expressions.

The paper starts from two files of others (a landmark network, a face recogniser) and has only the second stage.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.labels import meaning
from mien.core.landmarks import SCHEME_68
from mien.core.options import check_choices, check_rules
from mien.core.records import Sample
from mien.metrics.alignment import nme
from mien.metrics.calibration import fit_temperature, nll
from mien.metrics.expression import accuracy, balanced_accuracy, confusion_matrix
from mien.nn.losses.alignment import wing
from mien.systems.optim import OptimOptions
from mien.systems.poster_v2.landmarks import PosterV2Landmarks
from mien.systems.poster_v2.network import PosterV2
from mien.systems.stage import Predictions, Stage, TorchBatch
from mien.systems.system import System

LANDMARK_LOSSES: dict[str, Callable[[Tensor], Tensor]] = {"wing": wing, "l1": torch.abs, "l2": torch.square}


@dataclass(frozen=True)
class LandmarkOptions:
    """Options of the landmark stage."""

    loss: Literal["wing", "l1", "l2"] = "wing"
    """Loss of each coordinate's error, in hundredths of the crop's side."""

    def __post_init__(self) -> None:
        check_choices(self, "stage.options.")


class Landmarks(Stage):
    """Stage 0: MobileFaceNet finds 68 points. Its bundle starts the landmark stream of `Expression`."""

    name = "landmarks"
    options_class = LandmarkOptions
    needs_labels = False
    options: LandmarkOptions
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (PosterV2Landmarks,)}
    default_optim = OptimOptions(name="adamw", lr=1e-3, weight_decay=0.01, schedule="cosine", warmup_epochs=2)
    monitor = "nme_interocular"
    larger_is_better = False
    constant_is = "the mean shape"

    @classmethod
    def system_name(cls, name: str) -> str:
        return name.replace("poster_v2", "poster_v2_landmarks") if "landmarks" not in name else name

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        if batch.landmarks is None:
            raise MienError("The stage landmarks needs 68 points for each picture; --data.name w300 has them.")
        error = 100 * (self(batch.image)["landmarks"].float() - batch.landmarks)
        return {self.options.loss: LANDMARK_LOSSES[self.options.loss](error).mean()}

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert batch.landmarks is not None
        found = system(batch.image)["landmarks"].float()
        return {"landmarks": found.cpu().numpy(), "truth": batch.landmarks.float().cpu().numpy()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        assert predictions["truth"].shape[1] == SCHEME_68.points
        return {"nme_interocular": nme(predictions["landmarks"], predictions["truth"], normaliser="interocular")}

    def constant(self, predictions: Predictions) -> Predictions:
        truth = predictions["truth"]
        return {"landmarks": np.broadcast_to(truth.mean(0), truth.shape), "truth": truth}

    def start_from(self, role: str, other: System) -> None:
        """Goes on from another run of this stage."""
        self.load_weights(other.state_dict())


@dataclass(frozen=True)
class ExpressionOptions:
    """Options of the expression stage. With data.soft_labels the target is the distribution of votes."""

    label_smoothing: float = 0.0
    """Share of the target probability spread evenly over all classes, in 0..1."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of the classes in the loss: balanced is 1 / class count, scaled to mean 1 over the samples."""
    monitor: Literal["accuracy", "balanced_accuracy", "nll"] = "accuracy"
    """Validation score by which the best epoch is selected; nll (negative log-likelihood, lowest is best) is the
    steadiest of them on a few dozen faces."""

    def __post_init__(self) -> None:
        check_choices(self, "stage.options.")
        check_rules(self, "stage.options.", {"label_smoothing": (0 <= self.label_smoothing < 1, "in 0..1")})


class Expression(Stage):
    """The classifier of the paper, on a landmark stream that stage 0 (or a file of others) trained."""

    name = "expression"
    options_class = ExpressionOptions
    options: ExpressionOptions
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (PosterV2Landmarks, PosterV2)}
    system: PosterV2

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        self.monitor = self.options.monitor
        self.larger_is_better = self.monitor != "nll"

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        logits = self(batch.image)["expression"].float()
        if batch.distribution is not None:
            target = F.pad(batch.distribution, (0, logits.shape[1] - batch.distribution.shape[1]))
        elif batch.expression is not None:
            target = batch.expression
        else:
            raise MienError("The stage expression needs a label for each picture; these data have none.")
        losses = F.cross_entropy(
            logits, target, weight=self._weights(logits), label_smoothing=self.options.label_smoothing, reduction="none"
        )
        return {"cross_entropy": losses.mean()}

    def _weights(self, logits: Tensor) -> Tensor | None:
        if self.options.class_weights == "none":
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32)
        weights = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
        wide = F.pad(weights, (0, logits.shape[1] - len(weights)), value=1.0)  # a wider legacy head
        return wide.to(logits.device, non_blocking=True)

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert batch.expression is not None
        logits = system(batch.image)["expression"].float()
        return {"logits": logits.cpu().numpy(), "truth": batch.expression.cpu().numpy()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        logits, truth = predictions["logits"], predictions["truth"]
        confusion = confusion_matrix(truth, logits.argmax(-1), classes=logits.shape[1])
        return {
            "accuracy": float(accuracy(confusion)),
            "balanced_accuracy": float(balanced_accuracy(confusion)),
            "nll": nll(logits, truth),
        }

    def temperatures(self, predictions: Predictions) -> dict[str, float]:
        try:
            return {"expression": fit_temperature(predictions["logits"], predictions["truth"])}
        except MienError:  # every prediction right, or none better than chance: nothing to calibrate on
            return {"expression": 1.0}

    def start_from(self, role: str, other: System) -> None:
        """A landmark bundle gives the landmark stream; an expression bundle everything, but of its head only the rows
        of classes that have the same name (or a synonym) here."""
        if isinstance(other, PosterV2Landmarks):
            self.system.load_landmark_net(other.landmark_net.state_dict())
            return
        state = other.state_dict()
        before, names = other.outputs["expression"].names, self.system.outputs["expression"].names
        if before != names:
            own, place_of = self.system.state_dict(), {meaning(name): i for i, name in enumerate(before)}
            places = [place_of.get(meaning(name)) for name in names]
            for key in ("vit.head.weight", "vit.head.bias"):
                rows = [own[key][i] if place is None else state[key][place] for i, place in enumerate(places)]
                state[key] = torch.stack([*rows, *own[key][len(names) :]])
        self.load_weights(state)

    def needs_init(self, role: str) -> str:
        config = self.system.config
        if config.landmark_branch and config.freeze_landmarks:
            return (
                "The landmark network is frozen, so it must come trained: --init BUNDLE of the stage landmarks "
                "(or --system.options.freeze_landmarks false; --init random to insist)."
            )
        return ""


STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (Landmarks, Expression)}
