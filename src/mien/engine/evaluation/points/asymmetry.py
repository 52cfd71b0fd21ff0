"""Scores of how a landmark network treats asymmetry: slope and gain, on frontal faces, with palsy, and in 3D."""

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine.evaluation.scores import Score

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from mien.engine.evaluation.points.predictions import PointAnswers
    from mien.metrics.significance import Interval

FRONTAL_DEG = 15.0  # up to here a turned head changes the asymmetry of its picture little
LEAST_FACES = 3  # for a line


def scores_of_asymmetry(answers: "PointAnswers", *, resamples: int, seed: int) -> list[Score]:
    """Of frontal faces where the pose is known, else of all; in 3D of all. Empty for points without 68 among them."""
    import numpy as np

    from mien.metrics.asymmetry import OPENINGS, REGIONS

    if answers.truth_px.shape[1] not in (68, 84, 98):
        return []
    places, note = frontal_faces(answers)
    scorer = _Scorer(answers, note, resamples, seed)
    found = scorer.line("asymmetry", answers.predicted_px, answers.truth_px, places)
    ill = np.array([k for k in places if answers.affected[k]], int)
    if len(ill) >= LEAST_FACES:
        found += scorer.line("asymmetry_of_palsy", answers.predicted_px, answers.truth_px, ill)
    if answers.has_depth:
        deep = replace(scorer, note="in 3D, all faces")
        found += deep.line("asymmetry_3d", *answers.in_3d(), np.arange(len(answers)))
    found += [scorer.opening(places, name) for name in OPENINGS]
    if not np.all(np.isfinite(answers.yaw_rad)):
        return found
    found += [scorer.at_equal_turn("asymmetry", places, region=region) for region in ("", *REGIONS)]
    return found + ([scorer.at_equal_turn("asymmetry_of_palsy", ill)] if len(ill) >= LEAST_FACES else [])


@dataclass(frozen=True, eq=False)
class _Scorer:
    answers: "PointAnswers"
    note: str
    resamples: int
    seed: int

    def line(self, name: str, predicted: "np.ndarray", truth: "np.ndarray", places: "np.ndarray") -> list[Score]:
        """Slope, intercept, R2 and gain; one undefined score where there is no line."""
        from mien.metrics.asymmetry import asymmetry_bias

        try:
            bias = asymmetry_bias(predicted[places], truth[places], resamples=self.resamples, seed=self.seed)
        except MienError as error:
            return [Score(f"{name}/slope", None, n=len(places), note=f"{self.note}; {error}")]
        parts = ("slope", "intercept", "r2", "gain")
        plain = [Score(f"{name}/{part}", getattr(bias, part), n=bias.n, note=self.note) for part in parts]
        if bias.intervals is None:
            return plain
        return [replace(s, **asdict(bias.intervals[part])) for s, part in zip(plain, parts, strict=True)]

    def opening(self, places: "np.ndarray", opening: str) -> Score:
        """How much of a difference between the right and the left opening is found."""
        from mien.metrics.asymmetry import opening_gain

        points = self.answers.predicted_px[places], self.answers.truth_px[places]
        return self._gain(
            f"asymmetry/opening_gain/{opening}",
            len(places),
            lambda: opening_gain(*points, opening=opening, resamples=self.resamples, seed=self.seed),
        )

    def at_equal_turn(self, name: str, places: "np.ndarray", *, region: str = "") -> Score:
        """The gain of what the turn of the head does not explain."""
        from mien.metrics.asymmetry import gain_at_equal_turn

        a, name = self.answers, f"{name}/gain_at_equal_turn" + (f"/{region}" if region else "")
        points = a.predicted_px[places], a.truth_px[places], a.yaw_rad[places]
        return self._gain(
            name,
            len(places),
            lambda: gain_at_equal_turn(*points, region=region, resamples=self.resamples, seed=self.seed),
        )

    def _gain(self, name: str, n: int, measured: "Callable[[], tuple[float, Interval | None]]") -> Score:
        try:
            value, interval = measured()
        except MienError as error:
            return Score(name, None, n=n, note=f"{self.note}; {error}")
        return replace(Score(name, value, n=n, note=self.note), **(asdict(interval) if interval else {}))


def frontal_faces(answers: "PointAnswers") -> "tuple[np.ndarray, str]":
    """Places of the faces that asymmetry is measured on, and what they are, in words."""
    import numpy as np

    if not np.all(np.isfinite(answers.yaw_rad)):
        return np.arange(len(answers)), "all faces, also turned ones, since their pose is unknown"
    frontal = np.abs(np.rad2deg(answers.yaw_rad)) <= FRONTAL_DEG
    by = " (estimated from the true points)" if answers.yaw_estimated else ""
    return np.flatnonzero(frontal), f"the {int(frontal.sum()):,} faces turned by up to {FRONTAL_DEG:g} degrees{by}"
