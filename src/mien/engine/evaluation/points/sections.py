"""Sections of a landmark report: error by region, side and yaw, asymmetry bias, predicted errors, largest errors."""

from dataclasses import replace

import numpy as np
from markupsafe import Markup
from PIL import Image, ImageDraw

from mien.core.errors import MienError
from mien.core.geometry import fit_similarity
from mien.engine.evaluation.points.asymmetry import frontal_faces
from mien.engine.evaluation.points.plots import asymmetry_figure, face_figure, sigma_figure
from mien.engine.evaluation.points.predictions import PointEvaluation, PointPredictions, face_errors
from mien.engine.evaluation.points.text import format_interval, format_value, row_of, score_of, scores_below
from mien.engine.evaluation.scores import Score
from mien.media.crop import crop_pixels
from mien.media.image import load_image
from mien.metrics.alignment import errors, face_sizes
from mien.metrics.asymmetry import asymmetry_index
from mien.metrics.uncertainty import sigma_bins
from mien.report import parts
from mien.report.page import macro
from mien.report.svg import Scene

TEMPLATE = "points.html"
LARGEST_SHOWN = 12
SIDES = {
    "right": "the person's right side", "left": "the person's left side", "affected": "the side with the palsy",
    "healthy": "the other side of these faces", "affected_minus_healthy": "affected minus healthy",
}  # fmt: skip
ASYMMETRY_SETS = {
    "asymmetry": "all faces", "asymmetry_of_palsy": "faces with a palsy", "asymmetry_3d": "all faces, points in 3D",
}  # fmt: skip
ASYMMETRY_COLUMNS = ("slope", "gain", "gain_at_equal_turn", "intercept", "r2")
OPENINGS = {"lids": "right against left opening of the lids", "brows": "height of the brows above them"}
SIGMA_TEXT = {
    "error_over_sigma": "measured over predicted error",
    "correlation": "correlation of both",
}
SIDE = 192  # CSS pixels of the picture in the report; it is drawn with twice as many
TRUE, PREDICTED = (0, 200, 110), (255, 120, 20)
_RADIUS = 2.5  # pixels of a point
_CALIBRATED = (0.9, 1.1)  # measured over predicted error within which sigma counts as calibrated


def places(result: PointEvaluation) -> Markup:
    """Errors by region as bars beside a face whose dots are as large as their errors."""
    found = scores_below(result, f"nme_{result.normaliser}/region/")
    largest = max((s.value or 0 for s in found), default=1) or 1
    rows = [
        [_plain(_last(s)), parts.bar((s.value or 0) / largest, format_value(s)), parts.small(format_interval(s))]
        for s in found
    ]
    return macro(TEMPLATE, "places", face_figure(*mean_face(result.main)), rows)


def mean_face(predictions: PointPredictions) -> tuple[np.ndarray, np.ndarray]:
    """Mean of the true points, each face upright and of size 1, and mean error of each point in that unit."""
    truth = predictions.truth_px
    size = np.sqrt(np.ptp(truth, axis=1).prod(-1))[:, None, None]
    faces = (truth - truth.mean(1, keepdims=True)) / size
    first = faces[np.argmin(np.abs(faces - np.median(faces, axis=0)).sum((1, 2)))]
    aligned = []
    for face in faces:
        try:
            _, rotation, _ = fit_similarity(face, first)
        except MienError:
            continue
        aligned.append(face @ rotation.T)
    return np.mean(aligned, axis=0), errors(predictions.predicted_px, truth, normaliser="bbox").mean(0)


def sides(result: PointEvaluation) -> Markup | str:
    """Right and left; with a palsy affected and healthy. "" without such scores."""
    found = {_last(s): s for s in scores_below(result, f"nme_{result.normaliser}/half/")}
    rows = [row_of(SIDES[name], score) for name, score in found.items()]
    for name, text in (("palsy", "faces with a palsy, whole"), ("no_palsy", "faces without, whole")):
        if (score := score_of(result, f"nme_{result.normaliser}/{name}")) is not None:
            rows.append(row_of(text, score))
    caption = "Points on the midline belong to neither side."
    return parts.table(["side", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def yaw(result: PointEvaluation) -> Markup | str:
    """A row for each range of head yaw."""
    found = {_last(s): s for s in scores_below(result, f"nme_{result.normaliser}/yaw/")}
    rows = [
        row_of(name.replace("-", " to ") + " degrees" if "-" in name else "mean of the ranges", score)
        for name, score in found.items()
    ]
    how = "estimated from the true points" if result.main.yaw_estimated else "as the data set states it"
    caption = f"Head yaw to either side, {how}."
    return parts.table(["yaw", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def asymmetry(result: PointEvaluation) -> Markup | str:
    """The regression of predicted on true asymmetry, in a sentence, a figure and a table."""
    slope = score_of(result, "asymmetry/slope")
    if slope is None:
        return ""
    if slope.value is None:
        return macro(TEMPLATE, "paragraph", slope.note)
    regions = [row_of(_last(s), s) for s in scores_below(result, "asymmetry/gain_at_equal_turn/")]
    regions += [row_of(OPENINGS[_last(s)], s) for s in scores_below(result, "asymmetry/opening_gain/")]
    verdict = _asymmetry_verdict(slope, score_of(result, "asymmetry/gain_at_equal_turn"))
    figure = _asymmetry_figure(result, slope)
    return macro(TEMPLATE, "asymmetry", verdict, _asymmetry_rows(result), figure, regions, slope.note)


def _asymmetry_rows(result: PointEvaluation) -> list[list[parts.Cell]]:
    rows: list[list[parts.Cell]] = []
    for name, text in ASYMMETRY_SETS.items():
        found = [score_of(result, f"{name}/{column}") for column in ASYMMETRY_COLUMNS]
        if found[0] is not None:
            cells = [macro(TEMPLATE, "asymmetry_cell", format_value(s), format_interval(s)) for s in found]
            rows.append([text, f"{found[0].n:,}", *cells])
    return rows


def _asymmetry_verdict(slope: Score, gain: Score | None) -> str:
    """By the gain at equal turn where the turn is known, else by the slope."""
    by, name = (gain, "gain at equal turn") if gain and gain.value is not None else (slope, "slope")
    assert by.value is not None
    low, high = (by.low, by.high) if by.low is not None and by.high is not None else (by.value,) * 2
    number = f"{name} {by.value:.2f}" + (f", 95 % interval {low:.2f} to {high:.2f}" if by.low is not None else "")
    if high < 1:
        return f"Faces are predicted more symmetric than they are ({number})."
    if low > 1:
        return f"Faces are predicted less symmetric than they are ({number})."
    return f"No bias towards symmetry is significant on these faces ({number}, which includes 1)."


def _asymmetry_figure(result: PointEvaluation, slope: Score) -> Scene:
    predictions, intercept = result.main, score_of(result, "asymmetry/intercept")
    chosen, _ = frontal_faces(predictions)
    assert slope.value is not None and intercept is not None and intercept.value is not None
    truth, predicted = (asymmetry_index(p[chosen]) for p in (predictions.truth_px, predictions.predicted_px))
    marked = np.array(predictions.affected)[chosen] != ""
    return asymmetry_figure(truth, predicted, slope.value, intercept.value, marked=marked)


def predicted_errors(result: PointEvaluation) -> Markup | str:
    """Predicted errors (sigma) against measured ones. "" for a network without sigma."""
    found, normaliser = result.main, result.normaliser
    if found.sigma_px is None:
        return ""
    sigma = found.sigma_px / face_sizes(found.truth_px, normaliser=normaliser)[:, None]
    figure = sigma_figure(sigma_bins(sigma, errors(found.predicted_px, found.truth_px, normaliser=normaliser)))
    measured_px = errors(found.predicted_px, found.truth_px, normaliser="none")
    ratio = float(np.mean(measured_px) / np.mean(found.sigma_px))
    low, high = _CALIBRATED
    finding = "overconfident" if ratio > high else "underconfident" if ratio < low else "calibrated on average"
    rows = [row_of(_sigma_text(_last(score)), score) for score in scores_below(result, "sigma/")]
    return macro(TEMPLATE, "sigma", ratio, finding, figure, rows)


def _sigma_text(name: str) -> str:
    return SIGMA_TEXT.get(name) or f"points within the {name.partition('@')[2]} % radius"


def largest_errors(result: PointEvaluation, *, show_faces: bool) -> Markup:
    """The faces with the largest errors, by file name; with their pictures only when asked."""
    found = sorted(face_errors(result.main, result.normaliser).items(), key=lambda pair: -pair[1])[:LARGEST_SHOWN]
    shown = [(key, f"{error:.2f} px" if result.normaliser == "none" else f"{error:.2%}") for key, error in found]
    if show_faces:
        faces = [(key, error, _face_with_points(result, key)) for key, error in shown]
        return macro(TEMPLATE, "largest_pictures", faces)
    return macro(TEMPLATE, "largest", [[parts.code(key), error] for key, error in shown])


def _face_with_points(result: PointEvaluation, key: str) -> Markup:
    """An <img> of the network's crop, enlarged. Green points are true, orange ones predicted."""
    predictions = result.main
    place = predictions.keys.index(key)
    sample = next(s for s in result.target.samples if s.key == key)
    crop = replace(predictions.crops[place], size=2 * SIDE)
    loaded = load_image(sample.path, span=sample.span)
    image = Image.fromarray(crop_pixels(loaded, crop, replace(result.info.picture, color="rgb", size=2 * SIDE)))
    draw = ImageDraw.Draw(image)
    for points, colour in ((predictions.truth_px[place], TRUE), (predictions.predicted_px[place], PREDICTED)):
        for x, y in np.asarray(crop.to_crop(points)):
            draw.ellipse([x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS], fill=colour)
    return parts.photo(image, alt=f"the face in {key}", css_class="face large")


def _last(score: Score) -> str:
    """The last part of the metric's name."""
    return score.metric.rpartition("/")[2]


def _plain(name: str) -> str:
    return name.replace("_", " ")
