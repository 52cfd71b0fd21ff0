"""What a network's input is made of, round the world and back; mistakes are named."""

import json

import pytest

from mien.core.errors import MienError
from mien.core.spec import PictureInput


def test_json_round_trip():
    spec = PictureInput(size=48, color="grey", fit="pad", box_scale=1.3, box_shift=(0.1, -0.2), resample="nearest")
    assert PictureInput.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert PictureInput.from_dict({}) == PictureInput()


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("size", 4, "at least 8"), ("color", "gray", "'rgb' or 'grey'"), ("fit", "crop", "'squash' or 'pad'"),
        ("resample", "cubic", "'bilinear' or 'nearest'"), ("std", (1, 0, 1), "above 0"), ("box_scale", 0, "above 0"),
    ],
)  # fmt: skip
def test_a_wrong_value_states_the_rule(field, value, rule):
    with pytest.raises(MienError, match=f"PictureInput.{field} must be {rule}"):
        PictureInput(**{field: value})


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(MienError, match=r"no field 'box_skale'. Did you mean 'box_scale'"):
        PictureInput.from_dict({"box_skale": 1.0})
