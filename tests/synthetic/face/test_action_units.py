"""What each action unit does, seen in the landmarks. Inter-ocular units; 36-41 and 48 are the person's right."""

import numpy as np
import pytest

from mien.synthetic.face.action_units import ACTION_UNITS
from mien.synthetic.face.build import face_model


def moved(**units: float) -> np.ndarray:
    """Displacements of the 68 landmarks."""
    model = face_model()
    points = model.landmarks(model.vertices(action_units=model.weights(units)))[0]
    return (points - model.landmarks(model.template[None])[0]) / 0.089


SIDED = [unit.code for unit in ACTION_UNITS if unit.sided]


@pytest.mark.parametrize("code", SIDED)
def test_each_unit_leaves_the_other_side_unmoved(code: str) -> None:
    model = face_model()
    left = model.vertices(action_units=model.weights({f"{code}_L": 1.0}))[0] - model.template
    other = model.template[:, 0] < -0.1 * 0.089
    assert np.abs(left[other]).max() < 1e-7
    assert np.abs(left[model.template[:, 0] > 0]).max() > 0.0008, "and its own side moves"
    right = model.vertices(action_units=model.weights({f"{code}_R": 1.0}))[0] - model.template
    np.testing.assert_allclose(left[model.mirror] * (-1, 1, 1), right, atol=1e-7)


def test_brows() -> None:
    inner, outer, frown = moved(AU1=1), moved(AU2=1), moved(AU4=1)
    assert inner[21, 1] > 0.06 and inner[21, 1] > inner[18, 1] + 0.04
    assert outer[18, 1] > 0.06 and outer[18, 1] > outer[21, 1] + 0.04
    assert frown[21, 1] < -0.04 and frown[21, 0] > 0.01 and frown[22, 0] < -0.01, "lowers and draws together"


def test_lids() -> None:
    wide, tight = moved(AU5=1), moved(AU7=1)
    assert wide[37, 1] > 0.02 and abs(wide[41, 1]) < 0.005
    assert tight[41, 1] > 0.015 and tight[37, 1] < -0.005


def test_mouth_corners() -> None:
    smile, frown, stretch, dimple = moved(AU12=1), moved(AU15=1), moved(AU20=1), moved(AU14=1)
    assert smile[54, 1] > 0.08 and smile[54, 0] > 0.06 and smile[48, 0] < -0.06
    assert frown[54, 1] < -0.05
    assert stretch[54, 0] > 0.08 and abs(stretch[54, 1]) < 0.05
    assert dimple[54, 2] < -0.03


def test_lips() -> None:
    assert moved(AU10=1)[51, 1] > 0.05 and abs(moved(AU10=1)[57, 1]) < 0.01
    assert moved(AU16=1)[57, 1] < -0.05 and abs(moved(AU16=1)[51, 1]) < 0.01
    assert moved(AU17=1)[8, 1] > 0.02 and moved(AU17=1)[57, 1] > 0.03
    assert moved(AU18=1)[54, 0] < -0.06 and moved(AU18=1)[51, 2] > 0.05
    part = moved(AU25=1)
    assert part[62, 1] - part[66, 1] > 0.05
    press = moved(AU24=1)
    assert press[51, 1] < -0.01 and press[57, 1] > 0.01


def test_closed_lips_stay_closed_where_nothing_opens_them() -> None:
    for code in ("AU12", "AU14", "AU15", "AU17", "AU20", "AU23", "AU24", "AU18"):
        shift = moved(**{code: 1})
        assert (shift[[61, 62, 63], 1] - shift[[67, 66, 65], 1]).max() < 0.02, code
        assert (shift[[61, 62, 63], 1] - shift[[67, 66, 65], 1]).min() > -0.02, code
