"""Figures of valence and arousal: every face a dot where its values lie, words at their places, minus signs in PNG."""

import numpy as np
import pytest
from PIL import Image

from mien.core.labels import CIRCUMPLEX
from mien.engine.evaluation.values.plots import MOST_DOTS, figures
from mien.engine.evaluation.values.predictions import ValuePredictions
from mien.report.svg import Dot, Text


def predictions(truth, predicted, names=("valence", "arousal")) -> ValuePredictions:
    return ValuePredictions(names, tuple(str(i) for i in range(len(truth))), np.array(truth), np.array(predicted))


def test_dots_stand_at_their_values_and_words_at_theirs():
    found = figures(predictions([[0.5, -0.5], [np.nan, 0.1]], [[-1.0, 1.0], [0.0, 0.0]]))
    assert list(found) == ["scatter_valence", "scatter_arousal", "circumplex"]
    scene = found["circumplex"]
    words = {shape.text: shape for shape in scene.shapes if isinstance(shape, Text)}
    assert set(CIRCUMPLEX) <= set(words)
    predicted = [dot for dot in scene.shapes if isinstance(dot, Dot) and dot.fill == "series-1"]
    true = [dot for dot in scene.shapes if isinstance(dot, Dot) and dot.fill == "series-2"]
    assert len(predicted) == 2 and len(true) == 1  # of one face the truth is not whole
    assert (predicted[1].x, predicted[1].y) == pytest.approx((words["neutral"].x, words["neutral"].y))
    assert predicted[0].x < true[0].x and predicted[0].y < true[0].y  # left of it and above
    assert len([s for s in found["scatter_valence"].shapes if isinstance(s, Dot)]) == 1


def test_other_values_have_no_circumplex_and_many_faces_are_thinned():
    many = np.linspace(-1, 1, 4 * MOST_DOTS)[:, None]
    found = figures(predictions(many, many, names=("dominance",)))
    assert list(found) == ["scatter_dominance"]
    dots = [shape for shape in found["scatter_dominance"].shapes if isinstance(shape, Dot)]
    assert len(dots) == MOST_DOTS


def test_a_minus_sign_is_drawn_as_one_in_a_png(tmp_path):
    """Pillow's own font has no U+2212, and would draw a box."""
    from mien.report.svg import Scene

    for name, text in (("minus", "\N{MINUS SIGN}1"), ("hyphen", "-1")):
        scene = Scene(40, 20, "a number")
        scene.add(Text(5, 10, text))
        scene.png(tmp_path / f"{name}.png")
    first, second = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("minus", "hyphen"))
    assert np.array_equal(first, second) and first.min() < 128
