"""Figures of predicted values: predicted over true, and where faces lie on the plane of valence and arousal."""

import numpy as np
from jaxtyping import Float

from mien.core.labels import AFFECT, CIRCUMPLEX
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.report.axes import Axes, add_legend, span_of
from mien.report.svg import Anchor, Dot, Line, Scene, Text

MOST_DOTS = 1500  # faces in a figure, evenly from all
_LEFT, _TOP, _SIDE = 60.0, 32.0, 300.0
_FAR_LEFT = -0.6  # valence up to which a word ends at its place


def figures(predictions: ValuePredictions) -> dict[str, Scene]:
    """scatter_NAME of each value with labels; circumplex where valence and arousal are predicted."""
    found = {
        f"scatter_{name}": scatter_figure(*predictions.pair(name), name=name)
        for name in predictions.names
        if predictions.known(name).any()
    }
    if set(AFFECT) <= set(predictions.names):
        found["circumplex"] = circumplex_figure(predictions)
    return found


def scatter_figure(predicted: Float[np.ndarray, " faces"], truth: Float[np.ndarray, " faces"], *, name: str) -> Scene:
    """A dot a face; on the dashed diagonal the prediction is the label."""
    span = span_of([*predicted.tolist(), *truth.tolist()], pad=0.05)
    scene = Scene(_LEFT + _SIDE + 24, _TOP + _SIDE + 52, f"Predicted over true {name}, a dot for each face.")
    axes = _square(scene, span, span, x=f"true {name}", y=f"predicted {name}")
    axes.add_diagonal()
    for place in _some(len(truth)):
        scene.add(Dot(*axes.place(float(truth[place]), float(predicted[place])), 2, "series-1"))
    return scene


def circumplex_figure(predictions: ValuePredictions) -> Scene:
    """Predicted and true places of faces, and the places of words for expressions (core.labels)."""
    columns = [predictions.names.index(name) for name in AFFECT]
    entries = [("true", "series-2", 1.0), ("predicted", "series-1", 1.0)]
    label = "Valence and arousal of faces: predicted, true, and the places of the words for expressions."
    scene = Scene(_LEFT + _SIDE + 24, _TOP + _SIDE + 80, label)
    axes = _square(scene, (-1.05, 1.05), (-1.05, 1.05), x="valence", y="arousal")
    for corner in ((-1.0, 0.0), (0.0, -1.0)):
        axes.add_curve((corner, (-corner[0], -corner[1])), "muted", width=1)
    turn = np.linspace(0, 2 * np.pi, 73)
    scene.add(Line(tuple(axes.place(float(np.cos(a)), float(np.sin(a))) for a in turn), "grid", 1))
    for values, colour in ((predictions.truth, "series-2"), (predictions.predicted, "series-1")):
        rows = values[:, columns].clip(-1.05, 1.05)
        for x, y in rows[_some(len(rows))].tolist():
            if np.isfinite([x, y]).all():
                scene.add(Dot(*axes.place(x, y), 1.8, colour))
    for word, (x, y) in CIRCUMPLEX.items():
        anchor: Anchor = "end" if x <= _FAR_LEFT else "start" if x < 0 else "middle"  # fear and anger are neighbours
        scene.add(Text(*axes.place(x, y), word, 11, anchor, "ink", bold=True))
    add_legend(scene, entries, _LEFT, _TOP + _SIDE + 46, _SIDE)
    return scene


def _square(scene: Scene, x_span: tuple[float, float], y_span: tuple[float, float], *, x: str, y: str) -> Axes:
    axes = Axes(scene, (_LEFT, _TOP, _SIDE, _SIDE), x_span, y_span)
    axes.add_y_ticks()
    axes.add_x_ticks(grid=True)
    axes.add_titles(x=x, y=y)
    return axes


def _some(count: int) -> np.ndarray:
    """Places of at most MOST_DOTS faces, evenly from all."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_DOTS)).astype(int)) if count else np.zeros(0, int)
