"""system.json: written, read in both formats, and refused."""

import json
from pathlib import Path

import pytest

from mien.core.bundle import FORMAT, BundleInfo, with_outputs_found
from mien.core.errors import MienError
from mien.core.labels import LabelSet, label_set
from mien.core.spec import Control, Output, PictureInput, SoundInput

FORMAT_1 = Path(__file__).parent / "format_1"


def info(**changes: object) -> BundleInfo:
    values = {
        "system": "poster_v2",
        "config": {"num_classes": 8, "size": "small"},
        "inputs": {"image": PictureInput(size=48, box_shift=(0.0, -0.1)), "voice": SoundInput(mels=64)},
        "outputs": {
            "expression": Output.classes(label_set("ferplus")),
            "affect": Output("values", ("valence", "arousal"), range=(-1.0, 1.0)),
            "landmarks": Output.points(68),
            "sigma": Output.per_point("landmarks", 68, unit="crop sides"),
            "picture": Output("picture"),
            "code": Output("vector"),
        },
        "temperatures": {"expression": 1.25},
        "files": {"model.onnx": "ab" * 32, "model.safetensors": "cd" * 32},
        "provenance": {"licence": "research only", "seed": 3, "é": "ü"},
    }
    return BundleInfo(**(values | changes))


def test_round_trip():
    assert BundleInfo.from_json(info().to_json(), where="here") == info()


def test_controls_are_kept_and_have_names_of_their_own():
    given = info(controls={"strength": Control(default=1.0), "noise": Control(16)})
    assert BundleInfo.from_json(given.to_json(), where="here") == given
    assert "controls" not in json.loads(info().to_json())
    for controls, message in (({"image": Control()}, "names of their own"), ({"a": {"length": 0}}, "length must be")):
        with pytest.raises(MienError, match=message):
            text = json.dumps(json.loads(info().to_json()) | {"controls": {}})
            stored = {name: c if isinstance(c, dict) else {"length": c.length} for name, c in controls.items()}
            BundleInfo.from_json(text.replace('"controls": {}', f'"controls": {json.dumps(stored)}'), where="here")


def test_outputs_are_found_by_kind_and_what_describes_another_is_no_output_of_its_own():
    assert list(info().outputs_of("values")) == ["affect"]
    assert list(info().outputs_of("classes", "points")) == ["expression", "landmarks"]
    assert info().labels == label_set("ferplus")
    assert (info().temperature("expression"), info().temperature("other")) == (1.25, 1.0)


def test_a_network_without_classes_has_no_labels():
    with pytest.raises(MienError, match="gives no classes, only picture"):
        _ = info(outputs={"picture": Output("picture")}).labels


def test_the_weights_are_named_by_their_hash():
    assert info().model_id == "poster_v2@" + "cd" * 6
    assert info(files={"model.onnx": "ab" * 32}).model_id == "poster_v2@" + "ab" * 6
    assert info(files={}).model_id == "poster_v2"


def test_fields_of_the_future_are_passed_over_but_not_a_newer_format():
    values = json.loads(info().to_json())
    assert BundleInfo.from_json(json.dumps(values | {"colour": 1}), where="here") == info()
    with pytest.raises(MienError, match=f"here: .*written by a newer mien .format {FORMAT + 1}"):
        BundleInfo.from_json(json.dumps(values | {"format": FORMAT + 1}), where="here")


@pytest.mark.parametrize("missing", ["system", "inputs", "outputs", "config"])
def test_a_missing_part_is_not_a_bundle(missing):
    values = json.loads(info().to_json())
    del values[missing]
    with pytest.raises(MienError, match="here: not a mien bundle"):
        BundleInfo.from_json(json.dumps(values), where="here")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"system": "x"}', "[" * 100_000])
def test_other_json_is_not_a_bundle(text):
    with pytest.raises(MienError, match="not a mien bundle"):
        BundleInfo.from_json(text, where="here")


def test_a_forged_label_order_is_refused():
    values = json.loads(info().to_json())
    values["outputs"]["expression"]["labels"]["classes"].reverse()
    with pytest.raises(MienError, match="does not fit its class order"):
        BundleInfo.from_json(json.dumps(values), where="here")


def test_format_1_of_an_expression_model_is_read():
    found = BundleInfo.from_json((FORMAT_1 / "poster_v2_small_ferplus.json").read_text("utf-8"), where="here")
    assert (found.format, list(found.inputs), list(found.outputs)) == (1, ["image"], ["expression"])
    assert found.labels == label_set("ferplus") and found.picture.size == 48
    stated = json.loads((FORMAT_1 / "poster_v2_small_ferplus.json").read_text("utf-8"))
    assert found.temperature("expression") == stated["temperature"] != 1
    assert found.files == stated["files"] and found.provenance == stated["provenance"]


def test_format_1_of_a_landmark_model_is_completed_by_what_its_network_gives():
    found = BundleInfo.from_json((FORMAT_1 / "parface_small_300w.json").read_text("utf-8"), where="here")
    assert list(found.outputs) == ["landmarks"] and found.outputs["landmarks"].scheme == "68"
    shapes = {"landmarks": (68, 2), "sigma": (68,), "depth": (68,), "visible": (68,), "latent": (99,)}
    whole = with_outputs_found(found, shapes)
    assert list(whole.outputs_of("points")) == ["landmarks"] and whole.outputs["depth"].of == "landmarks"
    assert whole.outputs["visible"].range == (0.0, 1.0) and whole.outputs["latent"].kind == "vector"
    assert with_outputs_found(info(), {"depth": (68,)}) == info()


def test_format_1_of_an_autoencoder_gives_a_picture():
    values = json.loads((FORMAT_1 / "parface_small_300w.json").read_text("utf-8"))
    values["labels"] = LabelSet("picture", ("reconstruction",)).to_dict()
    assert list(BundleInfo.from_json(json.dumps(values), where="here").outputs_of("picture")) == ["picture"]


def test_what_is_read_as_format_1_is_written_as_format_2():
    old = BundleInfo.from_json((FORMAT_1 / "poster_v2_landmarks_small_300w.json").read_text("utf-8"), where="here")
    new = BundleInfo.from_json(old.to_json(), where="here")
    assert new.format == FORMAT and (new.inputs, new.outputs, new.files) == (old.inputs, old.outputs, old.files)
