"""Every metric of a landmark network's answers, with its interval. The protocol is in the name, a fraction the value.

`CROP_crop/nme_NORMALISER`, then `/region/mouth`, `/half/right`, `/yaw/0-30`, `/point/48`, ... Intervals are of a
percentile bootstrap over faces, the same faces for every metric; shares of faces (fr@10, missed faces) have Wilson's.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine.evaluation.points.crops import DETECTED
from mien.engine.evaluation.scores import Score

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.evaluation.points.predictions import Found, PointAnswers
    from mien.metrics.alignment import Normaliser

THRESHOLDS = (8, 10)  # percent
Columns = dict[str, "np.ndarray"]  # name -> one value a face


def score_points(
    answers: "PointAnswers", *, normaliser: "Normaliser", resamples: int = 2000, seed: int = 0
) -> list[Score]:
    """All that can be said of these faces. resamples=0 leaves the intervals out."""
    from mien.engine.evaluation.points.asymmetry import scores_of_asymmetry

    scorer = _Scorer(answers, normaliser, resamples, seed)
    found = [
        *scorer.over_set(),
        *scorer.groups(),
        *scorer.depth(),
        *scores_of_asymmetry(answers, resamples=resamples, seed=seed),
        *scorer.sigma(),
    ]
    return [replace(s, metric=f"{answers.crop}_crop/{s.metric}") for s in [*found, *scorer.points()]]


class _Scorer:
    def __init__(self, answers: "PointAnswers", normaliser: "Normaliser", resamples: int, seed: int) -> None:
        from mien.metrics.alignment import errors

        self.answers, self.normaliser, self.resamples, self.seed = answers, normaliser, resamples, seed
        self.errors = errors(answers.predicted_px, answers.truth_px, normaliser=normaliser)
        self.faces = self.errors.mean(1)
        self.nme = f"nme_{normaliser}"

    def over_set(self) -> list[Score]:
        """NME by every normaliser, spreads, median, failure rates and areas by the main one."""
        import numpy as np

        from mien.metrics.alignment import NORMALISERS

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
        """The mean of each column over its faces, with intervals from the same resampled faces."""
        import numpy as np

        from mien.metrics.significance import bootstrap_means, percentiles

        if not columns:
            return []
        values = np.stack(list(columns.values()), axis=-1)
        scores = [Score(name, float(v), n=len(values)) for name, v in zip(columns, values.mean(0), strict=True)]
        if not self.resamples:
            return scores
        drawn = bootstrap_means(values, resamples=self.resamples, seed=self.seed)
        return [replace(s, **asdict(percentiles(column))) for s, column in zip(scores, drawn.T, strict=True)]

    def _by(self, normaliser: "Normaliser") -> list[Score]:
        from mien.metrics.alignment import nme_per_face

        name, a = "nme_px" if normaliser == "none" else f"nme_{normaliser}", self.answers
        try:
            return self.means({name: nme_per_face(a.predicted_px, a.truth_px, normaliser=normaliser)})
        except MienError as error:
            return [Score(name, None, n=len(a), note=str(error))]

    def _within(self, drawn: "np.ndarray") -> float:
        import numpy as np

        return float(np.sqrt(self.errors.var(1)[drawn].mean()))

    def _statistic(self, name: str, statistic: "Callable[[np.ndarray], float]", *, n: int | None = None) -> Score:
        """A statistic of places of faces; undefined where it raises."""
        import numpy as np

        from mien.metrics.significance import bootstrap_samples

        n = len(self.answers) if n is None else n
        try:
            plain = Score(name, statistic(np.arange(n)), n=n)
            if not self.resamples:
                return plain
            few = min(self.resamples, 500)
            return replace(plain, **asdict(bootstrap_samples(statistic, n, resamples=few, seed=self.seed)))
        except MienError as error:
            return Score(name, None, n=n, note=str(error))

    def _failures(self, percent: int) -> Score:
        """Share of faces above the threshold; exactly at it is no failure."""
        failed = int((self.faces > percent / 100).sum())
        return share(
            f"fr@{percent}_{self.normaliser}", failed, len(self.faces), intervals=self.resamples > 0,
            note=f"{failed} faces",
        )  # fmt: skip

    def _regions(self) -> list[Score]:
        from mien.core.landmarks import scheme_of

        regions = dict(scheme_of(self.errors.shape[1]).regions)
        if "jaw" in regions and len(regions) > 1:
            regions["all_but_jaw"] = tuple(k for k in range(self.errors.shape[1]) if k not in regions["jaw"])
        return self.means({f"{self.nme}/region/{name}": self.errors[:, list(k)].mean(1) for name, k in regions.items()})

    def _halves(self) -> list[Score]:
        """The person's right and left; with a palsy the affected and the healthy half, and the difference."""
        import numpy as np

        from mien.metrics.alignment import sides

        halves = {name: self.errors[:, list(k)].mean(1) for name, k in sides(self.errors.shape[1]).items() if k}
        if not halves:
            return []
        found = self.means({f"{self.nme}/half/{name}": values for name, values in halves.items()})
        side = np.array(self.answers.affected)
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
        import numpy as np

        from mien.metrics.alignment import yaw_ranges

        if not np.all(np.isfinite(self.answers.yaw_rad)):
            return []
        ranges = yaw_ranges(self.answers.yaw_rad)
        found = [self.means({f"{self.nme}/yaw/{name}": self.faces[k]})[0] for name, k in ranges.items()]
        mean = float(np.mean([self.faces[k].mean() for k in ranges.values()]))
        return [*found, Score(f"{self.nme}/yaw/mean_of_ranges", mean, n=len(self.faces))] if len(found) > 1 else found

    def _visible(self) -> list[Score]:
        visible = self.answers.visible
        if visible is None or visible.all():
            return []
        found = []
        for name, chosen in (("in_view", visible.astype(bool)), ("hidden", ~visible.astype(bool))):
            counts, sums = chosen.sum(1), (self.errors * chosen).sum(1)
            ratio = _ratio(sums, counts, f"no point is {name}")
            found.append(replace(self._statistic(f"{self.nme}/points/{name}", ratio), note=f"{counts.sum()} points"))
        return found

    def depth(self) -> list[Score]:
        from mien.metrics.alignment import depth_aligned, errors

        if not self.answers.has_depth:
            return []
        predicted, truth = self.answers.in_3d()
        name, aligned = f"nme_3d_{self.normaliser}_mean_z_aligned", depth_aligned(predicted, truth)
        deep = errors(aligned, truth, normaliser=self.normaliser).mean(1)
        only_z = abs(aligned[..., 2] - truth[..., 2]).mean(1)
        return [*self.means({name: deep}), *self.means({"depth_error_px": only_z})]

    def sigma(self) -> list[Score]:
        """Whether the errors that the network states come true, over all points."""
        from mien.metrics import uncertainty

        sigma, error = self.answers.sigma_px, self.errors_px
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
    def errors_px(self) -> "np.ndarray":
        import numpy as np

        return np.linalg.norm(self.answers.predicted_px - self.answers.truth_px, axis=-1)


def found_scores(found: "Found", normaliser: "Normaliser", *, looked_at: int, resamples: int) -> list[Score]:
    """What a detector's misses do to the numbers: their share, the failures with them, and the other crops without.

    `CROP_crop/nme_.../found`: on the faces that the detector found only, so that crops compare on the same faces.
    """
    from mien.engine.evaluation.result import face_errors

    detected = [name for name in found.answers if name in DETECTED]
    if not detected:
        return []
    scores = []
    for name in detected:
        errors = face_errors(found.answers[name], normaliser)
        failed = sum(bool(error > 0.1) for error in errors.values()) + len(found.missed)
        told = {"missed": len(found.missed), f"fr@10_{normaliser}_or_missed": failed}
        scores += [share(f"{name}_crop/{k}", count, looked_at, intervals=resamples > 0) for k, count in told.items()]
    keys = found.answers[detected[0]].keys
    for name, answers in found.answers.items():
        if name not in detected:
            errors = face_errors(answers, normaliser)
            mean = sum(float(errors[key]) for key in keys) / len(keys)
            scores.append(Score(f"{name}_crop/nme_{normaliser}/found", mean, n=len(keys)))
    return scores


def share(metric: str, count: int, n: int, *, intervals: bool = True, note: str = "") -> Score:
    """A share of n faces, with Wilson's interval."""
    from mien.metrics.significance import wilson_interval

    plain = Score(metric, count / n, n=n, note=note)
    return replace(plain, **asdict(wilson_interval(count, n))) if intervals else plain


def _ratio(above: "np.ndarray", below: "np.ndarray", why: str) -> "Callable[[np.ndarray], float]":
    def ratio(drawn: "np.ndarray") -> float:
        if not below[drawn].sum():
            raise MienError(f"undefined: {why}.")
        return float(above[drawn].sum() / below[drawn].sum())

    return ratio
