"""system.json: written, read and refused."""

import json

import pytest

from mien.core.bundle import FORMAT, BundleInfo
from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.core.spec import PictureInput


def info(**changes: object) -> BundleInfo:
    values = {
        "system": "poster_v2",
        "config": {"num_classes": 8, "size": "small"},
        "input": PictureInput(size=48, box_shift=(0.0, -0.1)),
        "labels": label_set("ferplus"),
        "temperature": 1.25,
        "files": {"model.onnx": "ab" * 32, "model.safetensors": "cd" * 32},
        "provenance": {"licence": "research only", "seed": 3, "é": "ü"},
    }
    return BundleInfo(**(values | changes))


def test_round_trip():
    assert BundleInfo.from_json(info().to_json(), where="here") == info()


def test_the_weights_are_named_by_their_hash():
    assert info().model_id == "poster_v2@" + "cd" * 6
    assert info(files={"model.onnx": "ab" * 32}).model_id == "poster_v2@" + "ab" * 6
    assert info(files={}).model_id == "poster_v2"


def test_fields_of_the_future_are_passed_over_but_not_a_newer_format():
    values = json.loads(info().to_json())
    assert BundleInfo.from_json(json.dumps(values | {"colour": 1}), where="here") == info()
    with pytest.raises(MienError, match=f"here: written by a newer mien .format {FORMAT + 1}"):
        BundleInfo.from_json(json.dumps(values | {"format": FORMAT + 1}), where="here")


@pytest.mark.parametrize("missing", ["system", "input", "labels", "config"])
def test_a_missing_part_is_not_a_bundle(missing):
    values = json.loads(info().to_json())
    del values[missing]
    with pytest.raises(MienError, match="here: not a mien bundle"):
        BundleInfo.from_json(json.dumps(values), where="here")


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"system": "x"}'])
def test_other_json_is_not_a_bundle(text):
    with pytest.raises(MienError, match="not a mien bundle"):
        BundleInfo.from_json(text, where="here")


def test_a_forged_label_order_is_refused():
    values = json.loads(info().to_json())
    values["labels"]["classes"].reverse()
    with pytest.raises(MienError, match="does not fit its class order"):
        BundleInfo.from_json(json.dumps(values), where="here")
