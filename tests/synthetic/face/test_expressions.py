"""Expressions drawn as action units."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.synthetic.face.action_units import MODES
from mien.synthetic.face.build import face_model
from mien.synthetic.face.expressions import EXPRESSIONS, sample_action_units, valence_arousal


def rng(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64([7, seed]))


def test_the_names_are_those_of_ferplus() -> None:
    assert label_set("ferplus").classes == EXPRESSIONS


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_weights_are_known_units_within_range_and_repeat_by_seed(expression: str) -> None:
    for seed in range(20):
        units = sample_action_units(expression, 0.9, rng=rng(seed))
        assert units == sample_action_units(expression, 0.9, rng=rng(seed))
        assert set(units) <= set(MODES) and all(0 <= w <= 1 for w in units.values())


def test_no_expression_turns_the_skin_inside_out() -> None:
    model, draw = face_model(), rng(0)
    skin = np.zeros(len(model.template), bool)
    skin[model.regions["skin"]] = True
    triangles = model.triangles[skin[model.triangles].all(1)]
    for expression in EXPRESSIONS:
        units = model.weights([sample_action_units(expression, 1.0, rng=draw) for _ in range(6)])
        people = draw.normal(size=(6, len(model.identity))).clip(-2.5, 2.5).astype(np.float32)
        corners = np.concatenate([model.template[None], model.vertices(people, units)])[:, triangles]
        normals = np.cross(corners[:, :, 1] - corners[:, :, 0], corners[:, :, 2] - corners[:, :, 0])
        normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
        # A few may fold where a lid slides under its crease; the skin under the chin may before an open jaw.
        folded = ((normals[1:] * normals[0]).sum(-1) < -0.2) & (normals[0, :, 1] > -0.5)
        assert folded.sum(1).max() <= 12, expression


def test_the_action_units_of_each_expression() -> None:
    needed = {"happiness": "AU12", "sadness": "AU4", "anger": "AU4", "surprise": "AU2", "fear": "AU5", "disgust": "AU9"}
    for expression, unit in needed.items():
        for seed in range(10):
            assert sample_action_units(expression, 1.0, rng=rng(seed))[f"{unit}_L"] > 0.15, expression


def test_contempt_is_on_one_side() -> None:
    sides = set()
    for seed in range(20):
        units = sample_action_units("contempt", 1.0, rng=rng(seed))
        left, right = (units.get(f"AU14_{side}", 0.0) for side in "LR")
        assert min(left, right) < 0.01 and max(left, right) > 0.6
        sides.add(left > right)
    assert sides == {True, False}


def test_neutral_varies_weakly() -> None:
    drawn = [sample_action_units("neutral", 1.0, rng=rng(seed)) for seed in range(20)]
    strongest = [max(units.values(), default=0.0) for units in drawn]
    assert max(strongest) < 0.38 and len({round(s, 4) for s in strongest}) > 10


def test_intensity_and_mixture_scale_the_weights() -> None:
    weak, strong = (
        np.mean([sample_action_units("happiness", level, rng=rng(s))["AU12_L"] for s in range(20)])
        for level in (0.3, 1.0)
    )
    assert weak == pytest.approx(0.3 * strong, rel=0.05)
    both = sample_action_units({"happiness": 0.5, "surprise": 0.5}, 1.0, rng=rng(0))
    assert both["AU12_L"] > 0.5 and both["AU2_L"] > 0.5
    mostly = sample_action_units({"happiness": 0.8, "surprise": 0.2}, 1.0, rng=rng(0))
    assert mostly["AU12_L"] > 0.5 and mostly["AU2_L"] < 0.3


def test_valence_and_arousal_lie_where_the_circumplex_puts_them() -> None:
    assert valence_arousal("neutral") == (0.0, 0.0)
    assert valence_arousal("happiness") == (0.81, 0.51)
    assert valence_arousal("sadness", 0.5) == pytest.approx((-0.315, -0.135))
    assert valence_arousal({"happiness": 1, "neutral": 1}) == pytest.approx((0.405, 0.255))
    assert valence_arousal("fear")[1] > valence_arousal("disgust")[1] > valence_arousal("sadness")[1]


def test_mistakes_are_named_in_one_line() -> None:
    with pytest.raises(MienError, match=r"'happines' can be shown\. Did you mean 'happiness'"):
        sample_action_units("happines", rng=rng(0))
    with pytest.raises(MienError, match=r"0..1; got 1.5"):
        sample_action_units("fear", 1.5, rng=rng(0))
    with pytest.raises(MienError, match="shares of 0 or more"):
        valence_arousal({})
