"""Figures of a landmark evaluation: error distribution, error by point, predicted over true asymmetry, sigma."""

from collections.abc import Mapping, Sequence

import numpy as np

from mien.engine.evaluation.points.crops import DETECTED
from mien.engine.evaluation.points.predictions import PointEvaluation, face_errors
from mien.engine.evaluation.points.text import NORMALISER_TEXT
from mien.metrics.uncertainty import SigmaBins
from mien.report.axes import Axes, add_legend, legend_height
from mien.report.svg import Dot, Scene, Text, series_colour

CED_LIMIT = 0.10  # of the face's size
CED_LIMIT_PX = 10.0  # where errors are in pixels
_LEFT, _TOP = 60.0, 32.0  # of a plot in its scene: room for tick labels and the title of the y axis


def ced_figure(result: PointEvaluation, *, title: str = "") -> Scene:
    """The cumulative error distribution up to 10 percent: the share of faces with at most that error, a line a crop.

    A face that the detector missed counts as one with too large an error.
    """
    curves, pixels = _ced_curves(result), result.normaliser == "none"
    limit = CED_LIMIT_PX if pixels else CED_LIMIT
    top, width, height = _TOP + 30.0 * bool(title), 500.0, 260.0
    entries = [(name, series_colour(k), 1.0) for k, name in enumerate(curves)]
    label = f"Cumulative error distribution: {_ced_text(curves, limit)}"
    scene = Scene(_LEFT + width + 24, top + height + 50 + legend_height(entries, width), label)
    if title:
        scene.add(Text(14, 20, title, 15, bold=True))
    axes = Axes(scene, (_LEFT, top, width, height), (0, limit), (0, 1))
    axes.add_y_ticks(percent=True)
    axes.add_x_ticks(percent=not pixels, grid=True)
    unit = "pixels" if pixels else f"percent of the {NORMALISER_TEXT[result.normaliser]}"
    axes.add_titles(x=f"mean error of a face, {unit}", y="share of faces")
    for (_, colour, _), (errors, faces) in zip(entries, curves.values(), strict=True):
        axes.add_curve(_steps(errors, faces, limit), colour)
    add_legend(scene, entries, _LEFT, top + height + 46, width)
    return scene


def _steps(errors: Sequence[float], faces: int, limit: float) -> list[tuple[float, float]]:
    """The corners of the distribution's steps, from error 0 to the limit. errors: sorted."""
    steps = [(0.0, 0.0)]
    for rank, error in enumerate((e for e in errors if e <= limit), start=1):
        steps += [(float(error), (rank - 1) / faces), (float(error), rank / faces)]
    return [*steps, (limit, steps[-1][1])]


def _ced_curves(result: PointEvaluation) -> dict[str, tuple[Sequence[float], int]]:
    """Text -> sorted errors and how many faces there were to find."""
    found: dict[str, tuple[Sequence[float], int]] = {}
    for one in (result, result.against):
        if one is None:
            continue
        for crop, predictions in one.predictions.items():
            missed = len(one.missed) if crop in DETECTED else 0
            model = f"{one.bundle}, " if result.against is not None else ""
            name = f"{model}{crop} crop" + (f", {missed} faces missed" if missed else "")
            errors = sorted(map(float, face_errors(predictions, result.normaliser).values()))
            found[name] = errors, len(predictions) + missed
    return found


def _ced_text(curves: Mapping[str, tuple[Sequence[float], int]], limit: float) -> str:
    shares = {name: sum(e <= limit for e in errors) / faces for name, (errors, faces) in curves.items()}
    return "; ".join(f"{share:.1%} of the faces below the limit ({name})" for name, share in shares.items()) + "."


def face_figure(shape: np.ndarray, errors: np.ndarray) -> Scene:
    """A face of dots, each as wide as the mean error of its point, in the face's own measure.

    shape: mean true points [points, 2] in units of the face's size. errors: [points] in the same unit. Dots above one
    and a half of the mean are drawn in the warning colour.
    """
    side, margin, top = 300.0, 26.0, 12.0
    low, span = shape.min(0), float(np.ptp(shape, axis=0).max())
    scale = (side - 2 * margin) / span
    limit, worst = 1.5 * float(errors.mean()), int(errors.argmax())
    height = float(np.ptp(shape[:, 1])) * scale + 2 * margin + top
    label = f"Mean error of each point on a mean face; largest at point {worst}: {errors[worst]:.1%}."
    scene = Scene(side, height, label)
    for (x, y), error in zip((shape - low) * scale + [margin, margin + top], errors, strict=True):
        scene.add(Dot(float(x), float(y), max(float(error) * scale / 2, 1.0), "warn" if error > limit else "accent"))
    return scene


def asymmetry_figure(
    truth: np.ndarray, predicted: np.ndarray, slope: float, intercept: float, *, marked: np.ndarray
) -> Scene:
    """Predicted over true asymmetry, a dot a face (marked ones in another colour), with the line and the diagonal."""
    side, end = 300.0, float(np.quantile(np.concatenate([truth, predicted]), 0.99)) * 1.1
    kinds = [("face without palsy" if marked.any() else "face", "series-1", 1.0)]
    kinds += [("face with a palsy", "series-2", 1.0)] if marked.any() else []
    entries = [*kinds, ("least squares", "ink", 1.0), ("equal (dashed)", "muted", 1.0)]
    below = legend_height(entries, side)
    scene = Scene(_LEFT + side + 24, _TOP + side + 54 + below, f"Predicted over true asymmetry: slope {slope:.2f}.")
    axes = _square(scene, side, end, x="true asymmetry index", y="predicted")
    for x, y, mark in zip(truth.clip(max=end), predicted.clip(max=end), marked, strict=True):
        scene.add(Dot(*axes.place(float(x), float(y)), 2.5, "series-2" if mark else "series-1"))
    axes.add_curve(_line_inside(slope, intercept, end), "ink")
    add_legend(scene, entries, _LEFT, _TOP + side + 46, side)
    return scene


def _line_inside(slope: float, intercept: float, end: float) -> list[tuple[float, float]]:
    """The ends of the part of the line that lies in the square from 0 to `end`."""
    x = np.linspace(0, end, 201)
    y = intercept + slope * x
    inside = x[(y >= 0) & (y <= end)]
    ends = (float(inside[0]), float(inside[-1])) if len(inside) else (0.0, 0.0)
    return [(x, min(max(intercept + slope * x, 0), end)) for x in ends]


def sigma_figure(bins: SigmaBins) -> Scene:
    """Measured over predicted error, a dot a bin of equally many points; on the diagonal sigma is calibrated."""
    side, end = 280.0, 1.1 * float(max(bins.stated.max(), bins.found.max()))
    scene = Scene(_LEFT + side + 24, _TOP + side + 52, "Mean measured error over the predicted one, by bins of points.")
    axes = _square(scene, side, end, x="predicted error (sigma)", y="measured error")
    points = [(float(x), float(y)) for x, y in zip(bins.stated, bins.found, strict=True)]
    axes.add_curve(points, "accent", width=1.5)
    scene.add(*(Dot(*axes.place(*point), 4, "accent") for point in points))
    return scene


def _square(scene: Scene, side: float, end: float, *, x: str, y: str) -> Axes:
    """Axes from 0 to `end` in both directions, in percent, with the diagonal."""
    axes = Axes(scene, (_LEFT, _TOP, side, side), (0, end), (0, end))
    axes.add_y_ticks(percent=True)
    axes.add_x_ticks(percent=True, grid=True)
    axes.add_titles(x=x, y=y)
    axes.add_diagonal()
    return axes
