"""ClassStage: what stages that train classes have in common: the cross-entropy, the scores, the calibration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.decode import energies, probabilities
from mien.core.errors import MienError
from mien.core.labels import AFFECT, meaning
from mien.core.options import check_choices, check_rules
from mien.core.records import Sample
from mien.core.trust.calibration import Calibration
from mien.core.trust.prediction_sets import calibrated
from mien.metrics import affect
from mien.metrics.calibration import fit_temperature, nll
from mien.metrics.expression import accuracy, balanced_accuracy, confusion_matrix
from mien.nn.losses.affect import affect_loss
from mien.systems.stage import Predictions, Stage, TorchBatch
from mien.systems.system import System


@dataclass(frozen=True)
class ClassOptions:
    """Options of a stage that trains classes. With data.soft_labels the target is the distribution of votes."""

    label_smoothing: float = 0.0
    """Share of the target probability spread evenly over all classes, in 0..1."""
    class_weights: Literal["none", "balanced"] = "none"
    """Weights of the classes in the loss: balanced is 1 / class count, scaled to mean 1 over the samples."""
    monitor: Literal["accuracy", "balanced_accuracy", "nll", "ccc"] = "accuracy"
    """Validation score by which the best epoch is selected; nll (negative log-likelihood, lowest is best) is the
    steadiest of them on a few dozen faces; ccc is the mean of valence's and arousal's, where they are learned."""
    affect: float = 0.5
    """Weight of the losses of valence and arousal, squared error and CCC, at least 0; without effect in a network
    without that output, and on faces of which they are not known."""

    def __post_init__(self) -> None:
        check_choices(self, "stage.options.")
        rules = {
            "label_smoothing": (0 <= self.label_smoothing < 1, "in 0..1"),
            "affect": (self.affect >= 0, "at least 0"),
        }
        check_rules(self, "stage.options.", rules)


class ClassStage(Stage):
    """Trains a system with the output `expression`, logits over classes, and `affect`, where it has one."""

    options_class = ClassOptions
    mixes = True
    options: ClassOptions

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        self.monitor = self.options.monitor
        self.larger_is_better = self.monitor != "nll"

    def cross_entropy(self, logits: Float[Tensor, "batch outputs"], batch: TorchBatch) -> Float[Tensor, ""]:
        """The batch's mean, as the options say. Raises MienError for data without labels."""
        logits = logits.float()
        if batch.distribution is not None:
            target = F.pad(batch.distribution, (0, logits.shape[1] - batch.distribution.shape[1]))
        elif batch.expression is not None:
            target = batch.expression
        else:
            raise MienError("The stage expression needs a label for each picture; these data have none.")
        losses = F.cross_entropy(
            logits, target, weight=self._weights(logits), label_smoothing=self.options.label_smoothing, reduction="none"
        )
        return losses.mean()

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        outputs = self(*batch.take(self.system.input_names))
        return {"cross_entropy": self.cross_entropy(outputs["expression"], batch)} | self.affect_terms(outputs, batch)

    def affect_terms(self, outputs: Mapping[str, Tensor], batch: TorchBatch) -> dict[str, Tensor]:
        """Squared error and CCC of valence and arousal; none where they are not given, not known or not wanted."""
        weight = self.options.affect
        if "affect" not in outputs or not weight or batch.affect is None:
            return {}
        return affect_loss(outputs["affect"].float(), batch.affect, mse=weight, ccc=weight)

    def _weights(self, logits: Tensor) -> Tensor | None:
        if self.options.class_weights == "none":
            return None
        counts = torch.tensor(self.class_counts, dtype=torch.float32)
        weights = counts.sum() / ((counts > 0).sum() * counts.clamp(min=1))
        wide = F.pad(weights, (0, logits.shape[1] - len(weights)), value=1.0)  # a wider legacy head
        return wide.to(logits.device, non_blocking=True)

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert batch.expression is not None
        outputs = system(*batch.take(self.system.input_names))
        found = {"logits": outputs["expression"].float(), "truth": batch.expression}
        if "affect" in outputs and batch.affect is not None:
            found |= {"affect": outputs["affect"].float(), "affect_truth": batch.affect}
        return {name: value.cpu().numpy() for name, value in found.items()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        logits, truth = predictions["logits"], predictions["truth"]
        confusion = confusion_matrix(truth, logits.argmax(-1), classes=logits.shape[1])
        scores = {
            "accuracy": float(accuracy(confusion)),
            "balanced_accuracy": float(balanced_accuracy(confusion)),
            "nll": nll(logits, truth),
        }
        return scores | self._agreement(predictions)

    def _agreement(self, predictions: Predictions) -> dict[str, float]:
        """CCC of valence and arousal over the faces where they are known, and their mean; left out where undefined.

        Raises MienError where the epoch is selected by it and it is undefined.
        """
        found = {}
        for place, name in enumerate(AFFECT if "affect" in predictions else ()):
            predicted, truth = predictions["affect"][:, place], predictions["affect_truth"][:, place]
            known = ~np.isnan(truth)
            try:
                found[f"ccc/{name}"] = affect.ccc(predicted[known], truth[known])
            except MienError:  # no label, or all values the same
                continue
        if len(found) == len(AFFECT):
            found["ccc"] = sum(found.values()) / len(AFFECT)
        elif self.monitor == "ccc":
            raise MienError(
                "--stage.options.monitor ccc needs a network with the output affect (--system.options.affect true) and "
                "validation faces whose valence and arousal are known and differ."
            )
        return found

    def constant(self, predictions: Predictions) -> Predictions:
        """The logits of the classes' shares; of valence and arousal the means, whose CCC is 0."""
        logits, truth = predictions["logits"], predictions["truth"]
        shares = np.bincount(truth, minlength=logits.shape[1]) / len(truth)
        found = {"logits": np.broadcast_to(np.log(np.maximum(shares, 1e-6)), logits.shape)}
        if "affect" in predictions:
            known = ~np.isnan(predictions["affect_truth"])
            means = predictions["affect_truth"].sum(0, where=known) / known.sum(0).clip(min=1)
            found["affect"] = np.broadcast_to(means, predictions["affect"].shape)
        return predictions | found

    def temperatures(self, predictions: Predictions) -> dict[str, float]:
        try:
            return {"expression": fit_temperature(predictions["logits"], predictions["truth"])}
        except MienError:  # every prediction right, or none better than chance: nothing to calibrate on
            return {"expression": 1.0}

    def calibration(self, predictions: Predictions, temperatures: Mapping[str, float]) -> dict[str, Calibration]:
        """Of the one output; a stage with several outputs of classes has them in `predictions` by their names."""
        found = {name: predictions[name if name in predictions else "logits"] for name in temperatures}
        return {
            name: calibrated(
                probabilities(logits, temperature=temperatures[name]), predictions["truth"], energies(logits)
            )
            for name, logits in found.items()
        }


def head_rows(
    state: dict[str, Tensor],
    own: dict[str, Tensor],
    keys: Sequence[str],
    *,
    before: Sequence[str],
    names: Sequence[str],
) -> None:
    """Puts into `state`, for these weights of a classifier, the rows of classes of the same name or a synonym, and the
    own, fresh rows for every other class and for what follows the classes.

    before, names: class names in the order of `state` and of `own`.
    """
    if tuple(before) != tuple(names):
        place_of = {meaning(name): i for i, name in enumerate(before)}
        places = [place_of.get(meaning(name)) for name in names]
        for key in keys:
            rows = [own[key][i] if place is None else state[key][place] for i, place in enumerate(places)]
            state[key] = torch.stack([*rows, *own[key][len(names) :]])
