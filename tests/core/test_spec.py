"""What a network's input is made of, round the world and back; mistakes are named."""

import json

import pytest

from mien.core.errors import MienError
from mien.core.spec import InputSpec
from shape_checks import unchecked


def test_json_round_trip():
    spec = InputSpec(size=48, color="grey", fit="pad", box_scale=1.3, box_shift=(0.1, -0.2), resample="nearest")
    assert InputSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert InputSpec.from_dict({}) == InputSpec()


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("size", 4, "at least 8"), ("color", "gray", "'rgb' or 'grey'"), ("fit", "crop", "'squash' or 'pad'"),
        ("resample", "cubic", "'bilinear' or 'nearest'"), ("std", (1, 0, 1), "above 0"), ("box_scale", 0, "above 0"),
    ],
)  # fmt: skip
@unchecked()
def test_a_wrong_value_states_the_rule(field, value, rule):
    with pytest.raises(MienError, match=f"InputSpec.{field} must be {rule}"):
        InputSpec(**{field: value})


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(MienError, match=r"no field 'box_skale'. Did you mean 'box_scale'"):
        InputSpec.from_dict({"box_skale": 1.0})
