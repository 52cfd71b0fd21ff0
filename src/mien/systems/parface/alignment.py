"""The stages with labels: heat maps of points in the picture's plane, with and without the encoder, then their depths.

Diaz Barros et al., FG 2024, section 3; the losses are weighted as in the published code.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.core.options import at_least, check_choices, check_rules
from mien.core.records import Sample
from mien.metrics import asymmetry
from mien.metrics.alignment import nme, nme_3d
from mien.nn.heatmaps import targets, to_map
from mien.nn.losses import alignment
from mien.systems.optim import OptimOptions
from mien.systems.parface.calibration import fit_calibration
from mien.systems.parface.network import Encoded, ParFace
from mien.systems.parface.stage import ParFaceStage
from mien.systems.stage import Objective, ParameterGroup, Predictions, TorchBatch

MapLoss = Callable[[Tensor, Tensor], Tensor]
# Of 68 points, what opens and closes: lids and brows above them, on both sides, and lips.
_RIGHT = np.array([ends for pairs in asymmetry.OPENINGS.values() for ends in pairs])
_LIPS = [(50, 58), (51, 57), (52, 56), (61, 67), (62, 66), (63, 65)]
OPENINGS = np.concatenate([_RIGHT, SCHEME_68.mirror[_RIGHT], _LIPS])


@dataclass(frozen=True)
class AlignmentOptions:
    """Loss terms of the landmark stages; a weight of 0 turns a term off.

    Squared errors of heat maps barely change when an eyelid lies a pixel lower, so a network learns the eye's mean
    shape from them; `places` and `openings` measure such errors directly.
    """

    loss: Literal["adaptive_wing", "mse"] = "adaptive_wing"
    """Loss of the heat maps: adaptive wing or mean squared error."""
    weight: float = 300.0
    """Weight of the heat-map loss, the mean over pixels."""
    weight_map: float = 0.0
    """Extra weight of heat-map pixels near a landmark; 0 for none (10 in the adaptive wing paper)."""
    encoder_rate: float = 0.2
    """Learning rate of the encoder, as a share of optim.lr, in the stages that train it."""
    norms_in_train_mode: bool = False
    """Update BatchNorm statistics of the trained parts; published: fixed in every landmark stage."""
    train_decoder: bool = False
    """Train the decoder too, at the full learning rate, where no stage without labels preceded; --init random then
    starts the network."""
    count_hidden: bool = False
    """Include landmarks that are annotated as hidden in the loss."""
    visibility: float = 1.0
    """Weight of the visibility head's cross-entropy, where there is such a head."""
    places: float = 0.0
    """Weight of the wing loss on the decoded landmarks, in hundredths of the crop's side."""
    openings: float = 0.0
    """Weight of the wing loss on the distances between opposite points of lids, brows and lips, in hundredths of the
    crop's side."""

    def __post_init__(self) -> None:
        check_choices(self, "stage.options.")
        weights = ("weight", "weight_map", "encoder_rate", "visibility", "places", "openings")
        check_rules(self, "stage.options.", at_least(self, 0, *weights))


@dataclass(frozen=True)
class Alignment3DAOptions(AlignmentOptions):
    """Options of stage 5: hidden landmarks count, since their true position is what this annotation adds."""

    count_hidden: bool = True


class Landmarks(ParFaceStage):
    """Stage 4: the landmark head learns heat maps; encoder and decoder stand still."""

    name = "landmarks"
    options_class: ClassVar[type] = AlignmentOptions
    options: AlignmentOptions
    renamed_options: ClassVar[Mapping[str, str]] = {"moving_norms": "norms_in_train_mode"}
    default_optim = OptimOptions(lr=1e-4, schedule="constant")
    monitor = "nme_interocular"
    constant_is = "the mean shape"
    variant = ""
    with_encoder: ClassVar[bool] = False

    def trainable_parts(self) -> Sequence[str]:
        parts = ["landmark_head"]
        parts += ["visibility_head"] if "visibility_head" in self.system.parts() else []
        parts += ["decoder"] if self.options.train_decoder else []
        return [*parts, "encoder"] if self.with_encoder else parts

    def norms_in_train_mode(self) -> Sequence[str]:
        return self.trainable_parts() if self.options.norms_in_train_mode else ()

    def objectives(self) -> list[Objective]:
        parts, rate = list(self.trainable_parts()), self.options.encoder_rate
        if not self.with_encoder or rate == 1:
            groups = [ParameterGroup(self.parameters_of(*parts))]
        else:
            parts.remove("encoder")
            groups = [ParameterGroup(self.parameters_of(*parts)), ParameterGroup(self.parameters_of("encoder"), rate)]
        return [Objective("landmarks", self.loss_terms, groups)]

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        encoded, maps = self._encoded(batch)
        return self._map_terms(batch, maps) | self._place_terms(batch, maps) | self._visibility_terms(batch, encoded)

    def _encoded(self, batch: TorchBatch) -> tuple[Encoded, Tensor]:
        with torch.set_grad_enabled(self.with_encoder and torch.is_grad_enabled()):
            encoded = self.system.encode_with_maps(batch.image)
        return encoded, self.system.heatmaps(encoded).float()

    def _map_terms(self, batch: TorchBatch, maps: Tensor) -> dict[str, Tensor]:
        options, wanted = self.options, self._targets(batch)
        losses = self._map_loss()(maps, wanted)
        if options.weight_map:
            losses = losses * alignment.weight_map(wanted, weight=options.weight_map)
        per_point = losses.mean((-2, -1))
        weights = self._counted(batch, per_point)
        return {options.loss: options.weight * (per_point * weights).sum() / weights.sum().clamp(min=1)}

    def _place_terms(self, batch: TorchBatch, maps: Tensor) -> dict[str, Tensor]:
        options = self.options
        if not (options.places or options.openings):
            return {}
        truth, points = 100 * _landmarks(batch, self.name), 100 * self.system.points(maps)
        counted = self._counted(batch, truth[..., 0])
        losses = {"places": (alignment.wing(points - truth).sum(-1), counted)}
        if options.openings:
            ends = torch.from_numpy(OPENINGS.T).to(points.device, non_blocking=True)
            wide, want = (torch.linalg.vector_norm(p[:, ends[0]] - p[:, ends[1]], dim=-1) for p in (points, truth))
            losses["openings"] = alignment.wing(wide - want), counted[:, ends].amin(1)
        weight = {"places": options.places, "openings": options.openings}
        return {
            name: weight[name] * (loss * count).sum() / count.sum().clamp(min=1)
            for name, (loss, count) in losses.items()
            if weight[name]
        }

    def _map_loss(self) -> MapLoss:
        if self.options.loss == "mse":
            return alignment.squared
        return partial(alignment.adaptive_wing, legacy=self.step_options.legacy)

    def _targets(self, batch: TorchBatch) -> Tensor:
        points, legacy, config = _landmarks(batch, self.name), self.step_options.legacy, self.system.config
        in_map = to_map(points, size=config.maps, legacy=legacy)
        return targets(in_map, size=config.maps, sigma=config.sigma, legacy=legacy)

    def _counted(self, batch: TorchBatch, like: Tensor) -> Tensor:
        if batch.visible is None or self.options.count_hidden:
            return torch.ones_like(like)
        return (batch.visible != 0).to(like)  # a point of unknown visibility counts

    def _visibility_terms(self, batch: TorchBatch, encoded: Encoded) -> dict[str, Tensor]:
        head = self.system.visibility_head
        if head is None or batch.visible is None or not self.options.visibility:
            return {}
        known = ~batch.visible.isnan()
        losses = F.binary_cross_entropy_with_logits(
            head(encoded.latent).float(), batch.visible.nan_to_num(), weight=known.float(), reduction="sum"
        )
        return {"visibility": self.options.visibility * losses / known.sum().clamp(min=1)}

    # How it is measured

    def predict(self, system: nn.Module, batch: TorchBatch) -> Predictions:
        assert isinstance(system, ParFace)
        encoded = system.encode_with_maps(batch.image)
        maps = system.heatmaps(encoded).float()
        points, truth = system.points(maps), _landmarks(batch, self.name)
        found = {"landmarks": points, "truth": truth.float(), "counted": self._counted(batch, truth[..., 0])}
        if system.config.uncertainty:
            found["spread"] = system.spread(maps, points)
        if batch.depth is not None and system.depth_head is not None:
            depth = system.depths(maps, encoded.latent).float()
            found |= {"depth": depth - depth.mean(1, keepdim=True), "true_depth": batch.depth.float()}
        return {name: value.detach().cpu().numpy() for name, value in found.items()}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        points, truth = predictions["landmarks"], predictions["truth"]
        if "spread" in predictions:
            self._calibrate(predictions)
        normalisers: tuple[Literal["interocular", "bbox"], ...] = ("interocular", "bbox")
        return {f"nme_{normaliser}": nme(points, truth, normaliser=normaliser) for normaliser in normalisers}

    def constant(self, predictions: Predictions) -> Predictions:
        known = {name: predictions[name] for name in ("truth", "true_depth") if name in predictions}
        names = {"truth": "landmarks", "true_depth": "depth"}
        return known | {names[n]: np.broadcast_to(truth.mean(0), truth.shape) for n, truth in known.items()}

    def _calibrate(self, predictions: Predictions) -> None:
        """Fits the expected errors to these faces, in both the trained and the evaluated network."""
        error = np.linalg.norm(predictions["landmarks"] - predictions["truth"], axis=-1)
        error = np.where(predictions["counted"] > 0, error, np.nan)
        fitted = torch.from_numpy(fit_calibration(predictions["spread"], error))
        for system in (self.system, self.evaluated):
            assert isinstance(system, ParFace)
            system.calibration.copy_(fitted)


class LandmarksEncoder(Landmarks):
    """Stage 4, second half: the encoder learns too, more slowly."""

    name = "landmarks_encoder"
    with_encoder = True


class Landmarks3DA(Landmarks):
    """Stage 5: the same head on the projections of 3D points, whose contour stays on the true jaw in profile."""

    name = "landmarks_3da"
    options_class = Alignment3DAOptions


class Landmarks3DAEncoder(Landmarks3DA):
    """Stage 5, second half."""

    name = "landmarks_3da_encoder"
    with_encoder = True


@dataclass(frozen=True)
class DepthOptions(Alignment3DAOptions):
    """Options of the depth stage."""

    maps: Literal["predicted", "true"] = "predicted"
    """Heat maps that the depth head reads in training: predicted, as in inference, or true, rendered from the annotated
    landmarks (published)."""
    depth_weight: float = 300.0
    """Weight of the mean squared depth error, in squared crop sides."""
    finetune_2d: bool = False
    """Train the landmark head too."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_rules(self, "stage.options.", at_least(self, 0, "depth_weight"))


class Depth(Landmarks):
    """Stage 6: the depth of each point, from the heat maps and the latent vector. Its BatchNorm follows the batches."""

    name = "depth"
    options_class = DepthOptions
    options: DepthOptions
    default_optim = OptimOptions(lr=1e-5, schedule="constant")
    monitor = "gte"
    variant = "_3d"

    def trainable_parts(self) -> Sequence[str]:
        return ["landmark_head", "depth_head"] if self.options.finetune_2d else ["depth_head"]

    def norms_in_train_mode(self) -> Sequence[str]:
        return ["depth_head"]

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> dict[str, Tensor]:
        if batch.depth is None:
            raise MienError("The stage depth needs a depth for each point; --data.name w300lp and people have them.")
        options = self.options
        with torch.set_grad_enabled(options.finetune_2d and torch.is_grad_enabled()):
            encoded, maps = self._encoded(batch)
            terms = self._map_terms(batch, maps) if options.finetune_2d else {}
        read = maps.detach() if options.maps == "predicted" else self._targets(batch)
        depth = self.system.depths(read, encoded.latent).float()
        return {"depth": options.depth_weight * F.mse_loss(depth, batch.depth), **terms}

    def validate(self, predictions: Predictions, samples: Sequence[Sample]) -> dict[str, float]:
        if "true_depth" not in predictions:
            raise MienError("The stage depth is validated on depths, which these validation faces do not have.")
        found, truth = (
            np.concatenate((predictions[xy], predictions[z][..., None]), -1)
            for xy, z in (("landmarks", "depth"), ("truth", "true_depth"))
        )
        return {"gte": nme_3d(found, truth), **super().validate(predictions, samples)}


def _landmarks(batch: TorchBatch, stage: str) -> Tensor:
    if batch.landmarks is None:
        raise MienError(
            f"The stage {stage} needs points for each picture; --data.name w300, w300lp and people have them."
        )
    return batch.landmarks
