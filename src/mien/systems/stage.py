"""Stage: one training run of a System. It states what is minimised and how a network is measured.

How a batch becomes a step is the same for all stages (training_step.py).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.trust.calibration import Calibration
from mien.systems.bundle import check_state
from mien.systems.config import config_from
from mien.systems.optim import OptimOptions
from mien.systems.step import Objective, ParameterGroup, Position, StepOptions, TorchBatch, every, split, step_seed
from mien.systems.system import System
from mien.systems.training_step import TrainingStep

__all__ = [
    "Objective", "ParameterGroup", "Position", "Predictions", "Stage", "StepOptions", "TorchBatch", "every", "split",
    "step_seed",
]  # fmt: skip
Predictions = dict[str, np.ndarray]


@dataclass(frozen=True)
class NoOptions:
    """Of a stage without options of its own."""


class Stage(TrainingStep):
    """Subclasses define `loss_terms` or `objectives`, and `predict` and `validate`."""

    name: ClassVar[str]
    options_class: ClassVar[type] = NoOptions
    renamed_options: ClassVar[Mapping[str, str]] = {}  # former name -> name, for the configs of old runs
    needs_labels: ClassVar[bool] = True  # False where the targets are not classes
    mixes: ClassVar[bool] = False  # whether its targets are still true of two faces in one picture (mixup, CutMix)
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {}  # role of a bundle -> the systems it may be
    default_optim: ClassVar[OptimOptions] = OptimOptions()  # for the values that a config does not state
    monitor: str  # the score of `validate` by which an epoch is chosen
    larger_is_better: bool = True
    constant_is: ClassVar[str] = "the most frequent class"  # what `constant` predicts, for messages

    @classmethod
    def system_name(cls, name: str) -> str:
        """The registered name of what this stage trains when the config asks for the system `name`."""
        return name

    @classmethod
    def options_from(cls, options: Mapping[str, Any]) -> Any:
        """The `options_class` of plain values. Raises MienError for an unknown name and a value that it refuses."""
        options = {cls.renamed_options.get(name, name): value for name, value in options.items()}
        return config_from(cls.options_class, options, where=f"The stage {cls.name}")

    def __init__(self, system: System, *, options: Mapping[str, Any], **rest: Any) -> None:
        """rest: optim, step and epochs, as of TrainingStep."""
        super().__init__(system, **rest)
        self.options = self.options_from(options)
        self.class_counts: tuple[int, ...] = ()  # training samples of each class; set by who brings the data, like
        self.validation_samples: Sequence[Sample] = ()
        self.class_names: tuple[str, ...] = ()  # of the data, also for a stage that needs no labels
        self.scores: dict[str, float] = {}  # of the last validation
        self.predictions: Predictions = {}  # in the last validation
        self.constant_scores: dict[str, float] = {}  # what `constant` reaches on the same samples
        self._validated: list[tuple[Tensor, Predictions]] = []

    # What a subclass defines

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        """What `validate` needs of each sample of a validation batch: arrays [batch, ...] by name."""
        raise AssertionError(f"{type(self).__name__} has no predict")

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        """The scores of the whole validation set, by a name that states the protocol. The samples stand in the
        predictions' order, each once."""
        raise AssertionError(f"{type(self).__name__} has no validate")

    def constant(self, predictions: Predictions) -> Predictions:
        """Predictions for the same samples by what knows their average and no picture, as `validate` takes them; {}
        where there is none such."""
        return {}

    def sheet(self) -> np.ndarray | None:
        """Pictures of the last validation to look at, as one RGB picture, uint8 [height, width, 3]; None for none."""
        return None

    def temperatures(self, predictions: Predictions) -> dict[str, float]:
        """For outputs of classes, by name: what the logits of the evaluated network are divided by to be calibrated."""
        return {}

    def calibration(self, predictions: Predictions, temperatures: Mapping[str, float]) -> dict[str, Calibration]:
        """For outputs of classes, by name: thresholds of prediction sets, of the same faces."""
        return {}

    def initialize(self, role: str, other: System) -> None:
        """`start_from`, after a check of the system. Raises MienError for one that the role does not accept."""
        accepted = self.starts_from[role]
        if not isinstance(other, accepted):
            names = " or ".join(kind.name for kind in accepted)
            option = "--init" if len(self.starts_from) == 1 else f"--init.{role}"
            raise MienError(f"The stage {self.name} takes a {names} bundle as {option}; got {other.name}.")
        self.start_from(role, other)

    def start_from(self, role: str, other: System) -> None:
        """Takes over weights of an earlier stage's bundle, which is one of `starts_from[role]`."""
        raise AssertionError(f"{type(self).__name__} has no start_from")

    def needs_init(self, role: str) -> str:
        """Why this stage cannot do without a bundle in that role, or nothing. `--init random` overrules it."""
        return ""

    def begin(self, batches: Callable[[], Iterable[TorchBatch]]) -> None:
        """Once, before the first step of a new run, for what follows from the training samples and is not learned in
        steps. batches: every training sample once, in the data's order, not augmented. A resumed run goes on from its
        checkpoint instead, in which what is set here must therefore stand: weights and buffers of the system do."""

    def load_weights(self, state: Mapping[str, Tensor]) -> None:
        """Strictly loads these weights into the system; the average starts at the first step."""
        check_state(self.system, state, where="--init")
        self.system.load_state_dict(dict(state))

    # Validation

    @property
    def evaluated(self) -> System:
        """The network that is validated and saved: the averaged one where there is one."""
        evaluated = self.system if self.ema is None else self.ema.module
        assert isinstance(evaluated, System)
        return evaluated

    def on_validation_epoch_start(self) -> None:
        self.check_finite()
        self._validated = []
        self.evaluated.eval()
        if self.trainer.world_size > 1:  # BatchNorm's statistics are each process's own
            for value in self.evaluated.buffers():
                torch.distributed.broadcast(value, src=0)

    def validation_step(self, batch: TorchBatch, batch_index: int) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.step_options.bf16):
            self._validated.append((batch.index.cpu(), self.predict(self.evaluated, batch)))

    def on_validation_epoch_end(self) -> None:
        index, self.predictions = self.gathered()
        samples = [self.validation_samples[i] for i in index] if self.validation_samples else []
        self.scores = self.validate(self.predictions, samples)
        if not self.constant_scores and (constant := self.constant(self.predictions)):
            self.constant_scores = self.validate(constant, samples)
        if not np.isfinite(self.scores[self.monitor]):
            raise self.diverged(f"The validation score {self.monitor!r} is {self.scores[self.monitor]}")

    def gathered(self) -> tuple[list[int], Predictions]:
        """The last validation's indices and arrays, each sample once and in the data's order, from all processes."""
        parts = self._validated
        if self.trainer.world_size > 1:
            lists: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(lists, parts)
            parts = [part for some in lists for part in some]
        index = np.concatenate([i.numpy() for i, _ in parts])
        found, first = np.unique(index, return_index=True)
        names = parts[0][1]
        return found.tolist(), {name: np.concatenate([each[name] for _, each in parts])[first] for name in names}
