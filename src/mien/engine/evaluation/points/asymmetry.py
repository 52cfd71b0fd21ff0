"""Scores of how a landmark network treats asymmetry: slope and gain, on frontal faces, with palsy, and in 3D."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.points.predictions import PointPredictions
from mien.engine.evaluation.scores import Score
from mien.metrics.asymmetry import OPENINGS, REGIONS, asymmetry_bias, gain_at_equal_turn, opening_gain
from mien.metrics.significance import Interval

FRONTAL_DEG = 15.0  # up to here a turned head changes the asymmetry of its picture little
LEAST_FACES = 3  # for a line


def scores_of_asymmetry(predictions: PointPredictions, bootstrap: Bootstrap) -> list[Score]:
    """Of frontal faces where the pose is known, else of all; in 3D of all. Empty for points without 68 among them."""
    if predictions.truth_px.shape[1] not in (68, 84, 98):
        return []
    places, note = frontal_faces(predictions)
    scorer = _Scorer(predictions, note, bootstrap)
    found = scorer.line("asymmetry", predictions.predicted_px, predictions.truth_px, places)
    ill = np.array([k for k in places if predictions.affected[k]], int)
    if len(ill) >= LEAST_FACES:
        found += scorer.line("asymmetry_of_palsy", predictions.predicted_px, predictions.truth_px, ill)
    if predictions.has_depth:
        deep = replace(scorer, note="in 3D, all faces")
        found += deep.line("asymmetry_3d", *predictions.in_3d(), np.arange(len(predictions)))
    found += [scorer.opening(places, name) for name in OPENINGS]
    if not np.all(np.isfinite(predictions.yaw_rad)):
        return found
    found += [scorer.at_equal_turn("asymmetry", places, region=region) for region in ("", *REGIONS)]
    return found + ([scorer.at_equal_turn("asymmetry_of_palsy", ill)] if len(ill) >= LEAST_FACES else [])


@dataclass(frozen=True, eq=False)
class _Scorer:
    predictions: PointPredictions
    note: str
    bootstrap: Bootstrap

    def line(self, name: str, predicted: np.ndarray, truth: np.ndarray, places: np.ndarray) -> list[Score]:
        """Slope, intercept, R2 and gain; one undefined score where there is no line."""
        try:
            bias = asymmetry_bias(predicted[places], truth[places], **asdict(self.bootstrap))
        except MienError as error:
            return [Score(f"{name}/slope", None, n=len(places), note=f"{self.note}; {error}")]
        parts = ("slope", "intercept", "r2", "gain")
        plain = [Score(f"{name}/{part}", getattr(bias, part), n=bias.n, note=self.note) for part in parts]
        if bias.intervals is None:
            return plain
        return [replace(s, **asdict(bias.intervals[part])) for s, part in zip(plain, parts, strict=True)]

    def opening(self, places: np.ndarray, opening: str) -> Score:
        """How much of a difference between the right and the left opening is found."""
        points = self.predictions.predicted_px[places], self.predictions.truth_px[places]
        return self._gain(
            f"asymmetry/opening_gain/{opening}",
            len(places),
            lambda: opening_gain(*points, opening=opening, **asdict(self.bootstrap)),
        )

    def at_equal_turn(self, name: str, places: np.ndarray, *, region: str = "") -> Score:
        """The gain of what the turn of the head does not explain."""
        a, name = self.predictions, f"{name}/gain_at_equal_turn" + (f"/{region}" if region else "")
        points = a.predicted_px[places], a.truth_px[places], a.yaw_rad[places]
        return self._gain(
            name,
            len(places),
            lambda: gain_at_equal_turn(*points, region=region, **asdict(self.bootstrap)),
        )

    def _gain(self, name: str, n: int, measured: Callable[[], tuple[float, Interval | None]]) -> Score:
        try:
            value, interval = measured()
        except MienError as error:
            return Score(name, None, n=n, note=f"{self.note}; {error}")
        return replace(Score(name, value, n=n, note=self.note), **(asdict(interval) if interval else {}))


def frontal_faces(predictions: PointPredictions) -> tuple[np.ndarray, str]:
    """Places of the faces that asymmetry is measured on, and what they are, in words."""
    if not np.all(np.isfinite(predictions.yaw_rad)):
        return np.arange(len(predictions)), "all faces, also turned ones, since their pose is unknown"
    frontal = np.abs(np.rad2deg(predictions.yaw_rad)) <= FRONTAL_DEG
    by = " (estimated from the true points)" if predictions.yaw_estimated else ""
    return np.flatnonzero(frontal), f"the {int(frontal.sum()):,} faces turned by up to {FRONTAL_DEG:g} degrees{by}"
