"""A landmark evaluation's scores as text: errors in percent or pixels, other metrics with two or three decimals."""

from mien.engine.evaluation import page
from mien.engine.evaluation.points.predictions import PointEvaluation
from mien.engine.evaluation.scores import Score
from mien.report import parts

_SPACE = "\N{NO-BREAK SPACE}"
NORMALISER_TEXT = {
    "interocular": "distance of the outer eye corners",
    "interpupil": "distance of the pupils",
    "corners": "mean distance of the inner and the outer eye corners",
    "bbox": "size of the points' box, sqrt(w h)",
    "none": "pixel",
}
CROP_TEXT = {
    "data": "the data set's own boxes",
    "landmarks": "boxes around the true points, which no new picture has (an oracle)",
    "detector": "a face detector's boxes (dlib)",
    "reading": "a face detector's boxes, then the points found there, as mien analyze reads",
}


def score_of(result: PointEvaluation, name: str, *, crop: str = "") -> Score | None:
    """The score of that name on the headline's crop, or another."""
    wanted = f"{crop or result.main.crop}_crop/{name}"
    return next((s for s in result.scores if s.metric == wanted), None)


def scores_below(result: PointEvaluation, prefix: str) -> list[Score]:
    """The scores whose names begin so, on the headline's crop."""
    whole = f"{result.main.crop}_crop/{prefix}"
    return [s for s in result.scores if s.metric.startswith(whole)]


def format_value(score: Score | None) -> str:
    """`4.13 %`, `2.50 px`, `0.93` or `undefined`; "" for None."""
    if score is None:
        return ""
    return "undefined" if score.value is None else _format(score.metric, score.value)


def format_interval(score: Score | None) -> str:
    """`3.98 % to 4.29 %`; "" for a score without an interval."""
    return page.format_interval(score, format_value)


def row_of(text: str, score: Score) -> list[parts.Cell]:
    """Cells: the text, the number of faces, the value, its interval."""
    return [text, f"{score.n:,}", format_value(score), parts.small(format_interval(score))]


def _format(metric: str, value: float) -> str:
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
