"""What a network takes and gives: to plain values and back; mistakes are named."""

import json

import pytest

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput, SoundInput, input_from_dict, input_to_dict
from shape_checks import unchecked


def test_json_round_trip():
    spec = PictureInput(size=48, color="grey", fit="pad", box_scale=1.3, box_shift=(0.1, -0.2), resample="nearest")
    assert input_from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert input_from_dict({}) == PictureInput()


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("size", 4, "in 8..1024"), ("color", "gray", "'rgb' or 'grey'"), ("fit", "crop", "'squash' or 'pad'"),
        ("resample", "cubic", "'bilinear' or 'nearest'"), ("std", (1.0, 0.0, 1.0), "in 0.0001..10000"),
        ("box_scale", 0, "above 0"),
    ],
)  # fmt: skip
@unchecked()
def test_a_wrong_value_states_the_rule(field, value, rule):
    with pytest.raises(MienError, match=f"PictureInput.{field} must be {rule}"):
        PictureInput(**{field: value})


def test_an_unknown_field_names_the_nearest():
    with pytest.raises(MienError, match=r"no field 'box_skale'. Did you mean 'box_scale'"):
        input_from_dict({"box_skale": 1.0})


@pytest.mark.parametrize("given", [PictureInput(size=48, color="grey"), SoundInput(mels=80, padding="repeat")])
def test_an_input_keeps_its_kind(given):
    assert input_from_dict(json.loads(json.dumps(input_to_dict(given)))) == given
    with pytest.raises(MienError, match="no kind of input 'smell'"):
        input_from_dict(input_to_dict(given) | {"kind": "smell"})


def test_a_sound_becomes_a_mel_picture_of_a_known_shape():
    assert SoundInput().shape == (1, 128, 128)
    assert SoundInput(samples=655 * 10, mels=40).shape == (1, 40, 11)
    with pytest.raises(MienError, match=r"SoundInput.high_hz must be at most half of rate_hz"):
        SoundInput(rate_hz=16000)


@unchecked()
def test_outputs_state_what_their_kind_needs():
    with pytest.raises(MienError, match=r"Output.names must be given for classes, values and points only"):
        Output("classes")
    with pytest.raises(MienError, match=r"Output.names must be"):
        Output("picture", ("reconstruction",))
    with pytest.raises(MienError, match=r"Output.labels must be the order of the same classes"):
        Output("classes", ("a", "b"), LabelSet("two", ("b", "a")))
    with pytest.raises(MienError, match=r"Output.kind must be classes, values"):
        Output("smell")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "output",
    [
        Output.classes(LabelSet("two", ("calm", "tense"))), Output.points(98), Output("vector"), Output("picture"),
        Output.per_point("landmarks", 68, unit="probability", limits=(0.0, 1.0)),
        Output("values", ("valence", "arousal"), range=(-1.0, 1.0)),
    ],
)  # fmt: skip
def test_outputs_survive_json(output):
    assert Output.from_dict(json.loads(json.dumps(output.to_dict()))) == output
