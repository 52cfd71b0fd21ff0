"""POSTER V2's training, in the order run: the landmark stream on 68 points, then the classifier on expressions.

The paper starts from two files of others (a landmark network, a face recogniser) and has only the second stage.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.core.options import check_choices
from mien.core.records import Sample
from mien.metrics.alignment import nme
from mien.nn.losses.alignment import wing
from mien.systems.class_stage import ClassStage, head_rows
from mien.systems.optim import OptimOptions
from mien.systems.poster_v2.landmarks import PosterV2Landmarks
from mien.systems.poster_v2.network import PosterV2
from mien.systems.stage import Predictions, Stage, TorchBatch
from mien.systems.system import System

HEAD = ("vit.head.weight", "vit.head.bias")
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


class Expression(ClassStage):
    """The classifier of the paper, on a landmark stream that stage 0 (or a file of others) trained; ours also learns
    valence and arousal, in a network with `affect`."""

    name = "expression"
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (PosterV2Landmarks, PosterV2)}
    system: PosterV2

    def start_from(self, role: str, other: System) -> None:
        """A landmark bundle gives the landmark stream; an expression bundle everything, but of its head only the rows
        of classes that have the same name (or a synonym) here, and of valence and arousal what both have."""
        if isinstance(other, PosterV2Landmarks):
            self.system.load_landmark_net(other.landmark_net.state_dict())
            return
        state = other.state_dict()
        before, names = other.outputs["expression"].names, self.system.outputs["expression"].names
        head_rows(state, self.system.state_dict(), HEAD, before=before, names=names)
        own = {name: value for name, value in self.system.state_dict().items() if name.startswith("affect_head.")}
        affect = {name: state.pop(name, value) for name, value in own.items()}
        self.load_weights({name: v for name, v in state.items() if not name.startswith("affect_head.")} | affect)

    def needs_init(self, role: str) -> str:
        config = self.system.config
        if config.landmark_branch and config.freeze_landmarks:
            return (
                "The landmark network is frozen, so it must come trained: --init BUNDLE of the stage landmarks "
                "(or --system.options.freeze_landmarks false; --init random to insist)."
            )
        return ""


STAGES: dict[str, type[Stage]] = {stage.name: stage for stage in (Landmarks, Expression)}
