"""The training of SMIRK's encoders, stage 1: landmarks, and the shape and expression of faces whose truth is known.

Where we depart from the released script
- The truth of shape and expression is exact, from synthetic people; photographs contribute their 68 landmarks.
  Released: photographs alone, with landmarks found by two networks, MICA's estimate of the shape, and a prior of
  expression 0.
- Shape and expression are compared by what they do to the vertices, beside the parameters themselves; what a
  similarity would take away counts little, since one photo does not show it.
- All parts learn at one rate. Released: the encoders at a quarter of it.

Stage 2 stands in synthesis.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.options import at_least, check_choices, check_rules
from mien.core.records import Sample
from mien.metrics.alignment import nme
from mien.metrics.face3d import vertex_errors_mm
from mien.nn.face3d.smirk import FaceParameters
from mien.nn.losses.alignment import wing
from mien.systems.optim import OptimOptions
from mien.systems.smirk import losses
from mien.systems.smirk.network import Smirk
from mien.systems.stage import Predictions, Stage, TorchBatch
from mien.systems.system import System

HUNDREDTHS = 100  # of the crop's side: wing's unit
OF_OPEN_FACE = "open"


@dataclass(frozen=True)
class PretrainOptions:
    """Weights of the loss terms; 0 turns a term off."""

    landmarks: float = 0.2
    """Wing loss of the 68 landmarks, in hundredths of the crop's side."""
    points: float = 0.2
    """The same of the points that an encoder finds first (encoder: points); without effect with others."""
    depth: float = 0.1
    """Wing loss of their depths, where the data have them."""
    vertices: float = 0.3
    """Mean squared distance of a vertex from its true place without pose, in mm, where the truth is known."""
    similarity: float = 0.1
    """Share that counts in `vertices` of what a similarity of the face would take away, 0..1: a photo does not show how
    large and how far away a head is. 1 for the plain distance."""
    expression: float = 10.0
    """Mean squared error of expression, jaw and eyelids, where the truth is known."""
    prior: float = 0.05
    """Distance of shape and expression from the mean face, where the truth is not known."""
    monitor: Literal["vertex_error_mm", "nme_interocular"] = "vertex_error_mm"
    """Validation score by which the best epoch is selected; vertex_error_mm needs faces whose truth is known."""

    def __post_init__(self) -> None:
        check_choices(self, "stage.options.")
        weights = ("landmarks", "points", "depth", "vertices", "expression", "prior")
        rules = at_least(self, 0, *weights) | {"similarity": (0 <= self.similarity <= 1, "in 0..1")}
        check_rules(self, "stage.options.", rules)


class Pretrain(Stage):
    """Stage 1: all encoders, from landmarks and, where it is known, the truth of the 3D face."""

    name = "pretrain"
    options_class = PretrainOptions
    options: PretrainOptions
    needs_labels = False
    larger_is_better = False
    constant_is = "the mean face"
    starts_from: ClassVar[Mapping[str, tuple[type[System], ...]]] = {"network": (Smirk,)}
    default_optim = OptimOptions(name="adamw", lr=1e-3, weight_decay=0.01, schedule="cosine", clip=5, ema=0.998)
    system: Smirk

    def __init__(self, system: System, **rest: Any) -> None:
        super().__init__(system, **rest)
        assert isinstance(system, Smirk)
        face = system.config.face3d
        if face is None:
            raise MienError(
                "The stage pretrain compares landmarks, which need a 3D face: --system.options.face open (or a name "
                "that mien assets list shows)."
            )
        self.monitor, self.face = self.options.monitor, face
        shapes, expressions = system.config.counts
        self.known_truth = face.name == OF_OPEN_FACE and (shapes, expressions) == (
            face.shape_count, face.expression_count
        )  # fmt: skip
        self.shapes, self.split_at = shapes, (shapes, shapes + expressions)
        metric = losses.vertex_metric(face, shapes=shapes, expressions=expressions, similarity=self.options.similarity)
        self.register_buffer("metric", torch.from_numpy(metric), persistent=False)

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        found, points = self.system.face_and_points(batch.image)
        return self.parameter_terms(found, points, batch)

    def parameter_terms(self, found: FaceParameters, points: Tensor | None, batch: TorchBatch) -> dict[str, Tensor]:
        """What landmarks, the truth and the prior say of the parameters, and of the points that were found first."""
        options = self.options
        terms = self._landmark_terms(self.system.outputs_of(found), batch)
        if points is not None:
            terms["points"] = options.points * _distance(points, landmarks_of(batch))
        truth = batch.face3d if self.known_truth else None
        if truth is not None:
            row = losses.row_of(found).float()
            assert isinstance(self.metric, Tensor)
            terms["vertices"] = options.vertices * losses.vertex_distance(row, truth, self.metric)
            terms["expression"] = options.expression * losses.expression_distance(row, truth, shapes=self.shapes)
        terms["prior"] = options.prior * losses.prior(found, truth, bounded=self.face.name == OF_OPEN_FACE)
        return {name: value for name, value in terms.items() if getattr(options, name)}

    def _landmark_terms(self, outputs: Mapping[str, Tensor], batch: TorchBatch) -> dict[str, Tensor]:
        options = self.options
        terms = {"landmarks": options.landmarks * _distance(outputs["landmarks"], landmarks_of(batch))}
        if batch.depth is not None:
            terms["depth"] = options.depth * wing(HUNDREDTHS * (outputs["depth"].float() - batch.depth)).mean()
        return terms

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert isinstance(system, Smirk)
        found = system.parameters_of_face(batch.image)
        values = {"landmarks": system.outputs_of(found)["landmarks"], "truth": landmarks_of(batch)}
        if self.known_truth and batch.face3d is not None:
            values |= {"row": losses.row_of(found), "true_row": batch.face3d}
        return {name: value.detach().float().cpu().numpy() for name, value in values.items()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        """Of the faces whose truth is known: the mean distance of a vertex after a similarity, and as it is, and the
        mean error of the expression's parameters."""
        scores = {"nme_interocular": nme(predictions["landmarks"], predictions["truth"], normaliser="interocular")}
        known = ~np.isnan(predictions["true_row"]).any(1) if "true_row" in predictions else np.zeros(0, bool)
        if known.any():
            row, truth = predictions["row"][known], predictions["true_row"][known]
            found, wanted = self._vertices(row), self._vertices(truth)
            expression = slice(*self.split_at)
            scores |= {
                "vertex_error_mm": float(vertex_errors_mm(found, wanted, aligned=True).mean()),
                "vertex_error_unaligned_mm": float(vertex_errors_mm(found, wanted, aligned=False).mean()),
                "expression_mae": float(np.abs(row[:, expression] - truth[:, expression]).mean()),
            }
        if self.monitor not in scores:
            raise MienError(
                "The stage pretrain selects its epoch by vertex_error_mm, which needs validation faces whose 3D truth "
                "is known (--data.name people) and the open face; else --stage.options.monitor nme_interocular."
            )
        return scores

    def constant(self, predictions: Predictions) -> Predictions:
        """The mean of the true rows and of the true landmarks."""
        truth = predictions["truth"]
        found = {"truth": truth, "landmarks": np.broadcast_to(truth.mean(0), truth.shape)}
        if "true_row" not in predictions or np.isnan(predictions["true_row"]).all():
            return found
        rows = predictions["true_row"]
        return found | {"true_row": rows, "row": np.broadcast_to(np.nanmean(rows, axis=0), rows.shape)}

    def _vertices(self, rows: np.ndarray) -> np.ndarray:
        """The shown vertices without pose, metres."""
        first, second = self.split_at
        posed = self.face.vertices(rows[:, :first], rows[:, first:second], jaw=rows[:, -5:-2], lids=rows[:, -2:])
        return posed[:, np.unique(self.face.render_triangles)]

    def start_from(self, role: str, other: System) -> None:
        """Every weight, from encoders of the same face and sizes. Raises MienError for others."""
        self.load_weights(other.state_dict())


def _distance(points: Tensor, truth: Tensor) -> Tensor:
    """Wing loss of points in crop sides, mean over the points."""
    return wing(HUNDREDTHS * (points.float() - truth)).sum(-1).mean()


def landmarks_of(batch: TorchBatch) -> Tensor:
    """[batch, 68, 2] in crop sides. Raises MienError where the data have none."""
    if batch.landmarks is None or batch.landmarks.shape[1] != 68:
        raise MienError(
            "Encoders of a 3D face are trained with 68 points for each picture; --data.name people and w300 have them."
        )
    return batch.landmarks
