"""Figures of a landmark evaluation as scenes: error curve, errors on a face, true against predicted, stated errors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mien.report.plots import tick_text, ticks
from mien.report.svg import Dot, Line, Point, Rect, Scene, Words

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.evaluation.points.predictions import PointEvaluation
    from mien.metrics.uncertainty import SigmaBins

CED_TO = 0.10  # of the face's size
NORMALISER_WORDS = {
    "interocular": "distance of the outer eye corners",
    "interpupil": "distance of the pupils",
    "corners": "mean distance of the inner and the outer eye corners",
    "bbox": "size of the points' box, sqrt(w h)",
    "none": "pixel",
}


class Axes:
    """A square or wide plot with a grid, its ticks and its words; `place` puts values on it."""

    def __init__(
        self, scene: Scene, box: tuple[float, float, float, float], x: tuple[float, float], y: tuple[float, float], *,
        percent: bool = True, x_words: str = "", y_words: str = "",
    ) -> None:  # fmt: skip
        self.scene, self.box, self.x, self.y = scene, box, x, y
        left, top, width, height = box
        for tick in ticks(*y):
            _, at = self.place(x[0], tick)
            scene.add(Line(((left, at), (left + width, at)), "grid", 1))
            scene.add(Words(left - 8, at, tick_text(tick, _step(y), percent=percent), 11, "end", "muted"))
        for tick in ticks(*x):
            at, _ = self.place(tick, y[0])
            scene.add(Line(((at, top), (at, top + height)), "grid", 1))
            text = tick_text(tick, _step(x), percent=percent)
            scene.add(Words(at, top + height + 14, text, 11, "middle", "muted"))
        scene.add(Words(left + width / 2, top + height + 34, x_words, 12, "middle", "muted"))
        scene.add(Words(left - 44, top - 16, y_words, 12, fill="muted"))

    def place(self, x: float, y: float) -> Point:
        left, top, width, height = self.box
        (x0, x1), (y0, y1) = self.x, self.y
        return left + width * (x - x0) / (x1 - x0), top + height * (1 - (y - y0) / (y1 - y0))


def _step(span: tuple[float, float]) -> float:
    found = ticks(*span)
    return found[1] - found[0] if len(found) > 1 else 1.0


def ced_figure(result: "PointEvaluation", *, title: str = "") -> Scene:
    """The cumulative error distribution up to 10 percent: the share of faces with at most that error, a line a crop.

    A face that the detector missed counts as one with too large an error.
    """
    curves = _ced_curves(result)
    top, left, width, height = (62.0 if title else 32.0), 60.0, 500.0, 260.0
    below = 20.0 * len(curves)
    unit = "" if result.normaliser == "none" else f" of the {NORMALISER_WORDS[result.normaliser]}"
    pixels = result.normaliser == "none"
    last = 10.0 if pixels else CED_TO
    scene = Scene(
        left + width + 24, top + height + 56 + below, "Cumulative error distribution: " + _ced_words(curves, last)
    )
    if title:
        scene.add(Words(14, 20, title, 15, bold=True))
    words = "mean error of a face" + (", pixels" if pixels else f", percent{unit}")
    axes = Axes(
        scene,
        (left, top, width, height),
        (0, last),
        (0, 1),
        x_words=words,
        y_words="share of faces",
        percent=not pixels,
    )
    for k, (name, (errors, faces)) in enumerate(curves.items()):
        colour = f"series-{k % 6 + 1}"
        steps = [(0.0, 0.0)]
        for rank, error in enumerate((e for e in errors if e <= last), start=1):
            steps += [(float(error), (rank - 1) / faces), (float(error), rank / faces)]
        steps.append((last, steps[-1][1]))
        scene.add(Line(tuple(axes.place(*step) for step in steps), colour, 2))
        y = top + height + 58 + 20 * k
        scene.add(Rect(left, y - 5, 14, 10, colour), Words(left + 20, y, name, 12))
    return scene


def _ced_curves(result: "PointEvaluation") -> "dict[str, tuple[Sequence[float], int]]":
    """Words -> sorted errors and how many faces there were to find."""
    from mien.engine.evaluation.points.crops import DETECTED
    from mien.engine.evaluation.points.predictions import face_errors

    found: dict[str, tuple[Sequence[float], int]] = {}
    for one in (result, result.against):
        if one is None:
            continue
        for crop, answers in one.predictions.items():
            missed = len(one.missed) if crop in DETECTED else 0
            model = f"{one.bundle}, " if result.against is not None else ""
            name = f"{model}{crop} crop" + (f", {missed} faces missed" if missed else "")
            found[name] = sorted(map(float, face_errors(answers, result.normaliser).values())), len(answers) + missed
    return found


def _ced_words(curves: "dict[str, tuple[Sequence[float], int]]", last: float) -> str:
    shares = {name: sum(e <= last for e in errors) / faces for name, (errors, faces) in curves.items()}
    return "; ".join(f"{share:.1%} of the faces below the limit ({name})" for name, share in shares.items()) + "."


def face_figure(
    shape: "np.ndarray", errors: "np.ndarray", *, title: str = "", side: float = 300.0, largest: float | None = None
) -> Scene:
    """A face of dots, each as wide as the mean error of its point, in the face's own measure.

    shape: mean true points [points, 2] in units of the face's size. errors: [points] in the same unit. largest: dots
    above it are drawn in the warning colour; by default one and a half of the mean.
    """
    import numpy as np

    low, span = shape.min(0), float(np.ptp(shape, axis=0).max())
    margin, top = 26.0, 36.0 if title else 12.0
    scale = (side - 2 * margin) / span
    limit = 1.5 * float(errors.mean()) if largest is None else largest
    worst = int(errors.argmax())
    height = float(np.ptp(shape[:, 1])) * scale + 2 * margin + top
    scene = Scene(
        side, height, f"Mean error of each point on a mean face; largest at point {worst}: {errors[worst]:.1%}."
    )
    if title:
        scene.add(Words(side / 2, 16, title, 13, "middle"))
    for (x, y), error in zip((shape - low) * scale + [margin, margin + top], errors, strict=True):
        scene.add(Dot(float(x), float(y), max(float(error) * scale / 2, 1.0), "warn" if error > limit else "accent"))
    return scene


def asymmetry_figure(
    truth: "np.ndarray", predicted: "np.ndarray", slope: float, intercept: float, *, marked: "np.ndarray"
) -> Scene:
    """Predicted over true asymmetry, a dot a face (marked ones in another colour), with the line and the diagonal."""
    import numpy as np

    top, left, side = 32.0, 60.0, 300.0
    end = float(np.quantile(np.concatenate([truth, predicted]), 0.99)) * 1.1
    scene = Scene(left + side + 24, top + side + 96, f"Predicted over true asymmetry: slope {slope:.2f}.")
    axes = Axes(scene, (left, top, side, side), (0, end), (0, end), x_words="true asymmetry index", y_words="predicted")
    scene.add(Line((axes.place(0, 0), axes.place(end, end)), "muted", 1.5, dashed=True))
    for x, y, mark in zip(truth.clip(max=end), predicted.clip(max=end), marked, strict=True):
        scene.add(Dot(*axes.place(float(x), float(y)), 2.5, "series-2" if mark else "series-1"))
    scene.add(Line(_clipped(axes, slope, intercept, end), "ink", 2))
    said = [("series-1", "a face" if not marked.any() else "a face without palsy")]
    said += [("series-2", "a face with a palsy")] if marked.any() else []
    for k, (colour, words) in enumerate(said):
        y = top + side + 58 + 18 * k
        scene.add(Dot(left + 6, y, 4, colour), Words(left + 18, y, words, 12))
    scene.add(Words(left + 170, top + side + 58, "line: least squares", 12, fill="muted"))
    scene.add(Words(left + 170, top + side + 76, "dashes: no bias", 12, fill="muted"))
    return scene


def _clipped(axes: Axes, slope: float, intercept: float, end: float) -> tuple[Point, ...]:
    """The part of the line that lies in the plot."""
    import numpy as np

    x = np.linspace(0, end, 201)
    y = intercept + slope * x
    inside = x[(y >= 0) & (y <= end)]
    ends = (float(inside[0]), float(inside[-1])) if len(inside) else (0.0, 0.0)
    return tuple(axes.place(v, min(max(intercept + slope * v, 0), end)) for v in ends)


def sigma_figure(bins: "SigmaBins") -> Scene:
    """Found over stated error, a dot a bin of equally many points; on the diagonal the network knows its errors."""
    top, left, side = 32.0, 60.0, 280.0
    end = 1.1 * float(max(bins.stated.max(), bins.found.max()))
    scene = Scene(left + side + 24, top + side + 52, "Mean error found over the error stated, by bins of points.")
    axes = Axes(
        scene, (left, top, side, side), (0, end), (0, end), x_words="stated error (sigma)", y_words="error found"
    )
    scene.add(Line((axes.place(0, 0), axes.place(end, end)), "muted", 1.5, dashed=True))
    points = [axes.place(float(x), float(y)) for x, y in zip(bins.stated, bins.found, strict=True)]
    scene.add(Line(tuple(points), "accent", 1.5), *(Dot(*point, 4, "accent") for point in points))
    return scene
