"""A landmark evaluation's scores by name, as people write them: errors in percent, the rest in three decimals."""

from html import escape
from typing import TYPE_CHECKING

from mien.engine.evaluation.scores import Score

if TYPE_CHECKING:
    from mien.engine.evaluation.points.predictions import PointEvaluation

_SPACE = "\N{NO-BREAK SPACE}"


def score_of(result: "PointEvaluation", name: str, *, crop: str = "") -> Score | None:
    """The score of that name on the headline's crop, or another."""
    wanted = f"{crop or result.main.crop}_crop/{name}"
    return next((s for s in result.scores if s.metric == wanted), None)


def shown(score: Score | None) -> str:
    """A value as people write it: errors and shares in percent, the rest in three decimals."""
    if score is None:
        return ""
    return "undefined" if score.value is None else _written(score.metric, score.value)


def shown_interval(score: Score | None) -> str:
    if score is None or score.low is None or score.high is None:
        return ""
    return f"{_written(score.metric, score.low)} to {_written(score.metric, score.high)}"


def _written(metric: str, value: float) -> str:
    name = metric.partition("/")[2]
    if _in_pixels(name):
        return f"{value:.2f}{_SPACE}px"
    if name.startswith("asymmetry") and not name.endswith("intercept"):
        return f"{value:.2f}"
    if name.startswith(("auc", "sigma/error", "sigma/corr")):
        return f"{value:.3f}"
    return f"{100 * value:.2f}{_SPACE}%"


def _in_pixels(name: str) -> bool:
    protocol = name.partition("/")[0]
    return name.endswith("_px") or (protocol.endswith("_none") and not name.startswith(("fr@", "auc@")))


def row(text: str, score: Score) -> list[str]:
    return [escape(text), f"{score.n:,}", shown(score), f"<small>{shown_interval(score)}</small>"]


def below(result: "PointEvaluation", prefix: str) -> list[Score]:
    whole = f"{result.main.crop}_crop/{prefix}"
    return [s for s in result.scores if s.metric.startswith(whole)]
