"""Every metric of predicted points, with its interval. The protocol is in the name, a fraction the value.

`CROP_crop/nme_NORMALISER`, then `/region/mouth`, `/half/right`, `/yaw/0-30`, `/point/48`, ... Intervals are of a
percentile bootstrap over faces, the same faces for every metric; shares of faces (fr@10, missed faces) have Wilson's.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from mien.core.errors import MienError
from mien.core.landmarks import scheme_of
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.points.asymmetry import scores_of_asymmetry
from mien.engine.evaluation.points.crops import DETECTED
from mien.engine.evaluation.points.inference import PointPass
from mien.engine.evaluation.points.predictions import PointPredictions, face_errors
from mien.engine.evaluation.scores import Score, mean_scores, share_score, statistic_score
from mien.metrics import uncertainty
from mien.metrics.alignment import (
    NORMALISERS,
    Normaliser,
    depth_aligned,
    errors,
    nme_per_face,
    sides,
    yaw_ranges,
)

THRESHOLDS = (8, 10)  # percent
STATISTIC_RESAMPLES = 500  # most of a statistic that is computed resample by resample
Columns = dict[str, np.ndarray]
"""Name → one value a face."""


def score_points(predictions: PointPredictions, *, normaliser: Normaliser, bootstrap: Bootstrap) -> list[Score]:
    """Every metric of faces that were cut out in one way."""
    scorer = _Scorer(predictions, normaliser, bootstrap)
    found = [
        *scorer.over_set(),
        *scorer.groups(),
        *scorer.depth(),
        *scores_of_asymmetry(predictions, bootstrap),
        *scorer.sigma(),
    ]
    return [replace(s, metric=f"{predictions.crop}_crop/{s.metric}") for s in [*found, *scorer.points()]]


class _Scorer:
    def __init__(self, predictions: PointPredictions, normaliser: Normaliser, bootstrap: Bootstrap) -> None:
        self.predictions, self.normaliser, self.bootstrap = predictions, normaliser, bootstrap
        self.errors = errors(predictions.predicted_px, predictions.truth_px, normaliser=normaliser)
        self.faces = self.errors.mean(1)
        self.nme = f"nme_{normaliser}"

    def over_set(self) -> list[Score]:
        """NME by every normaliser, spreads, median, failure rates and areas by the main one."""
        others = [name for name in NORMALISERS if name != self.normaliser]
        main = self.means({self.nme: self.faces})
        return [
            *main,
            *(score for name in others for score in self._by(name)),
            self._statistic(f"median_{self.normaliser}", lambda drawn: float(np.median(self.faces[drawn]))),
            self._statistic(f"std_of_faces_{self.normaliser}", lambda drawn: float(self.faces[drawn].std())),
            self._statistic(f"std_within_faces_{self.normaliser}", self._within),
            *(self._failures(percent) for percent in THRESHOLDS),
            *self.means({f"auc@{p}_{self.normaliser}": np.maximum(1 - 100 * self.faces / p, 0) for p in THRESHOLDS}),
        ]

    def groups(self) -> list[Score]:
        """By region, half of the face, turn of the head, and whether a point is in view."""
        return [*self._regions(), *self._halves(), *self._yaw(), *self._visible()]

    def points(self) -> list[Score]:
        return self.means({f"{self.nme}/point/{k}": self.errors[:, k] for k in range(self.errors.shape[1])})

    def means(self, columns: Columns) -> list[Score]:
        """The mean of each column over its faces."""
        return mean_scores(columns, self.bootstrap)

    def _by(self, normaliser: Normaliser) -> list[Score]:
        name, a = "nme_px" if normaliser == "none" else f"nme_{normaliser}", self.predictions
        try:
            return self.means({name: nme_per_face(a.predicted_px, a.truth_px, normaliser=normaliser)})
        except MienError as error:
            return [Score(name, None, n=len(a), note=str(error))]

    def _within(self, drawn: np.ndarray) -> float:
        return float(np.sqrt(self.errors.var(1)[drawn].mean()))

    def _statistic(self, name: str, statistic: Callable[[np.ndarray], float]) -> Score:
        """A statistic of places of faces; undefined where it raises."""
        few = Bootstrap(min(self.bootstrap.resamples, STATISTIC_RESAMPLES), self.bootstrap.seed)
        return statistic_score(name, statistic, n=len(self.predictions), bootstrap=few)

    def _failures(self, percent: int) -> Score:
        """Share of faces above the threshold; exactly at it is no failure."""
        failed = int((self.faces > percent / 100).sum())
        return share_score(
            f"fr@{percent}_{self.normaliser}", failed, len(self.faces), intervals=self.bootstrap.resamples > 0,
            note=f"{failed} faces",
        )  # fmt: skip

    def _regions(self) -> list[Score]:
        regions = dict(scheme_of(self.errors.shape[1]).regions)
        if "jaw" in regions and len(regions) > 1:
            regions["all_but_jaw"] = tuple(k for k in range(self.errors.shape[1]) if k not in regions["jaw"])
        return self.means({f"{self.nme}/region/{name}": self.errors[:, list(k)].mean(1) for name, k in regions.items()})

    def _halves(self) -> list[Score]:
        """The person's right and left; with a palsy the affected and the healthy half, and the difference."""
        halves = {name: self.errors[:, list(k)].mean(1) for name, k in sides(self.errors.shape[1]).items() if k}
        if not halves:
            return []
        found = self.means({f"{self.nme}/half/{name}": values for name, values in halves.items()})
        side = np.array(self.predictions.affected)
        ill = np.flatnonzero(side != "")
        if len(ill) == 0:
            return found
        right = side[ill] == "R"
        affected = np.where(right, halves["right"][ill], halves["left"][ill])
        healthy = np.where(right, halves["left"][ill], halves["right"][ill])
        columns = {"affected": affected, "healthy": healthy, "affected_minus_healthy": affected - healthy}
        found += self.means({f"{self.nme}/half/{name}": values for name, values in columns.items()})
        found += self.means({f"{self.nme}/palsy": self.faces[ill]})
        well = np.flatnonzero(side == "")
        return found + (self.means({f"{self.nme}/no_palsy": self.faces[well]}) if len(well) else [])

    def _yaw(self) -> list[Score]:
        """Where the pose of every face is known; the mean of the ranges counts each the same."""
        if not np.all(np.isfinite(self.predictions.yaw_rad)):
            return []
        ranges = yaw_ranges(self.predictions.yaw_rad)
        found = [self.means({f"{self.nme}/yaw/{name}": self.faces[k]})[0] for name, k in ranges.items()]
        mean = float(np.mean([self.faces[k].mean() for k in ranges.values()]))
        return [*found, Score(f"{self.nme}/yaw/mean_of_ranges", mean, n=len(self.faces))] if len(found) > 1 else found

    def _visible(self) -> list[Score]:
        visible = self.predictions.visible
        if visible is None or visible.all():
            return []
        found = []
        for name, chosen in (("in_view", visible.astype(bool)), ("hidden", ~visible.astype(bool))):
            counts, sums = chosen.sum(1), (self.errors * chosen).sum(1)
            ratio = _ratio(sums, counts, f"no point is {name}")
            found.append(replace(self._statistic(f"{self.nme}/points/{name}", ratio), note=f"{counts.sum()} points"))
        return found

    def depth(self) -> list[Score]:
        if not self.predictions.has_depth:
            return []
        predicted, truth = self.predictions.in_3d()
        name, aligned = f"nme_3d_{self.normaliser}_mean_z_aligned", depth_aligned(predicted, truth)
        deep = errors(aligned, truth, normaliser=self.normaliser).mean(1)
        only_z = abs(aligned[..., 2] - truth[..., 2]).mean(1)
        return [*self.means({name: deep}), *self.means({"depth_error_px": only_z})]

    def sigma(self) -> list[Score]:
        """Whether the errors that the network states come true, over all points."""
        sigma, error = self.predictions.sigma_px, self.errors_px
        if sigma is None:
            return []
        measures: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
            "error_over_sigma": uncertainty.error_ratio,
            "correlation": uncertainty.correlation,
        }
        for level in uncertainty.LEVELS:
            measures[f"coverage@{100 * level:g}"] = lambda s, e, p=level: uncertainty.coverage(s, e, level=p)  # type: ignore[misc]
        return [
            self._statistic(f"sigma/{name}", lambda drawn, f=measure: f(sigma[drawn], error[drawn]))  # type: ignore[misc]
            for name, measure in measures.items()
        ]

    @property
    def errors_px(self) -> np.ndarray:
        return np.linalg.norm(self.predictions.predicted_px - self.predictions.truth_px, axis=-1)


def detection_scores(found: PointPass, normaliser: Normaliser, *, faces: int, bootstrap: Bootstrap) -> list[Score]:
    """What a detector's misses do to the numbers: their share, the failures with them, and the other crops without.

    `CROP_crop/nme_.../found`: on the faces that the detector found only, so that crops compare on the same faces.
    """
    detected = [name for name in found.predictions if name in DETECTED]
    if not detected:
        return []
    scores = []
    for name in detected:
        by_face = face_errors(found.predictions[name], normaliser)
        failed = sum(bool(error > 0.1) for error in by_face.values()) + len(found.missed)
        counts = {"missed": len(found.missed), f"fr@10_{normaliser}_or_missed": failed}
        scores += [
            share_score(f"{name}_crop/{metric}", count, faces, intervals=bootstrap.resamples > 0)
            for metric, count in counts.items()
        ]
    keys = found.predictions[detected[0]].keys
    for name, predictions in found.predictions.items():
        if name not in detected:
            by_face = face_errors(predictions, normaliser)
            mean = sum(float(by_face[key]) for key in keys) / len(keys)
            scores.append(Score(f"{name}_crop/nme_{normaliser}/found", mean, n=len(keys)))
    return scores


def _ratio(above: np.ndarray, below: np.ndarray, why: str) -> Callable[[np.ndarray], float]:
    def ratio(drawn: np.ndarray) -> float:
        if not below[drawn].sum():
            raise MienError(f"undefined: {why}.")
        return float(above[drawn].sum() / below[drawn].sum())

    return ratio
