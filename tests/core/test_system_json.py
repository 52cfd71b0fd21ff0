"""system.json with every wrong value in every field: one MienError that names file and key.

The wrong values come from code that walks the document, so that a new field is covered by itself.
"""

import json
from pathlib import Path
from typing import Any

import pytest

import mien.runtime
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.json_text import MAX_BYTES, MAX_DEPTH
from mien.core.labels import label_set
from mien.core.spec import Output, PictureInput, SoundInput
from mien.core.trust.calibration import Calibration
from robustness.mutate import WRONG_VALUES, places, removed, replaced, value_at
from shape_checks import unchecked

SHIPPED = sorted((Path(mien.runtime.__file__).parent / "bundles").glob("*/system.json"))
FORMAT_1 = sorted((Path(__file__).parent / "format_1").glob("*.json"))
FREE = ("config", "provenance")  # plain values of any kind; the network's own config is checked when it is built
OPTIONAL = {"format", "licence", "temperature", "temperatures", "files", "provenance", "calibration", "controls"}


def every_kind() -> dict[str, Any]:
    """A description with every field that there is."""
    info = BundleInfo(
        "toy", {"width": 8}, {"image": PictureInput(), "voice": SoundInput()},
        {
            "expression": Output.classes(label_set("ferplus")), "landmarks": Output.points(68),
            "sigma": Output.per_point("landmarks", 68, unit="crop sides", limits=(0.0, 1.0)),
            "affect": Output("values", ("valence", "arousal"), range=(-1.0, 1.0)), "picture": Output("picture"),
        },
        {"expression": 1.5}, {"model.onnx": "0" * 64}, {"seed": 1},
        calibration={"expression": Calibration(9, {"0.9": 0.1}, -2.0)},
    )  # fmt: skip
    return json.loads(info.to_json())


DOCUMENTS = {"every kind": every_kind()} | {
    path.parent.name + "/" + path.name: json.loads(path.read_text()) for path in (*SHIPPED, *FORMAT_1)
}


def refusal(document: Any) -> str:
    """The message; "" for a document that is read, and then is written and read again as the same."""
    try:
        info = BundleInfo.from_json(json.dumps(document), where="here/system.json")
    except MienError as error:
        return str(error)
    again = BundleInfo.from_json(info.to_json(), where="again")
    assert (again.inputs, again.outputs, again.files) == (info.inputs, info.outputs, info.files)
    return ""


def fields_of(document: Any) -> list[tuple[str | int, ...]]:
    """The place of each field; of lists the first item, of free values those at the top."""
    return [at for at in places(document) if not any(at[1:]) or (at[0] not in FREE and not any(map(later, at)))]


def later(key: str | int) -> bool:
    return isinstance(key, int) and key > 0


def kind_of(document: Any, at: tuple[str | int, ...]) -> tuple[Any, ...]:
    """Where a field stands and the type of its value: a document of another bundle has most fields again."""
    return document.get("format"), at, type(value_at(document, at))


FIRST: dict[tuple[Any, ...], tuple[str, tuple[str | int, ...]]] = {}  # kind of field -> the first document, its place
for _name, _document in DOCUMENTS.items():
    for _at in fields_of(_document):
        FIRST.setdefault(kind_of(_document, _at), (_name, _at))


@unchecked()  # the checks would take most of the time
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_wrong_value_in_every_field_is_read_or_refused_by_its_key(name: str) -> None:
    document, refused = DOCUMENTS[name], 0
    found = [at for first, at in FIRST.values() if first == name]
    for at in found:
        for wrong in WRONG_VALUES:
            if not (message := refusal(replaced(document, at, wrong))):
                continue
            refused += 1
            assert message.startswith("here/system.json: not a mien bundle: "), message
            assert message.isprintable() and len(message) < 500, message
            # A value of no kind of JSON, or half a character, is refused before fields are known.
            if at and "is not JSON" not in message:
                assert str(at[0]) in message or "a newer mien" in message, (at, message)
    assert refused >= 3 * len(found)  # of a free value what is no JSON, of most fields nearly all
    assert refused >= 500 or name != "every kind"


@unchecked()
@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_wrong_type_is_never_read(name: str) -> None:
    """Of the declared fields: a value whose JSON type differs from the one that stands there."""
    document = DOCUMENTS[name]
    for at in (at for first, at in FIRST.values() if first == name):
        value, free = value_at(document, at), at[:1] and at[0] in FREE
        if not at or free or at[-1] == "range":
            continue
        number = isinstance(value, float | int)
        for wrong in (None, True, "x", 0.5, [None], {"": None}):
            same = type(wrong) is type(value) or (number and isinstance(wrong, float))
            assert same or refusal(replaced(document, at, wrong)), (at, wrong)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_missing_key_is_named(name: str) -> None:
    document = DOCUMENTS[name]
    for key in document.keys() - OPTIONAL:
        assert f"{key} is missing" in refusal(removed(document, (key,)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"outputs": {"affect": {"kind": "smell"}}}, "outputs.affect.kind must be one of 'classes', 'values'"),
        ({"outputs": {}}, "outputs must name at least one"),
        ({"inputs": {}}, "inputs must name at least one"),
        ({"inputs": {"image": {"kind": "smell"}}}, "inputs.image.kind: no kind of input 'smell'"),
        ({"inputs": {"image": {"size": 10**9}}}, "inputs.image: PictureInput.size must be in 8..1024; got 1000000000"),
        ({"inputs": {"image": {"mean": [0.5, 0.5]}}}, "inputs.image.mean must be a list of 3 values, each float"),
        ({"outputs": {"l": {"kind": "points", "points": 10**9}}}, "outputs.l.points must be in 0..100000"),
        ({"outputs": {"l": {"kind": "values", "names": ["a", "a"]}}}, "values and points only, each once"),
        ({"outputs": {"l": {"kind": "values", "names": ["a"], "of": "x"}}}, "outputs.l.of must be an output with"),
        ({"temperatures": {"expression": 0}}, "temperatures.'expression' must be in 0.001..1000; got 0.0"),
        ({"files": {"model.onnx": "0" * 63}}, "files.model.onnx must be a SHA-256, 64 digits"),
        ({"files": {"model.onnx": "G" * 64}}, "files.model.onnx must be a SHA-256, 64 digits"),
        ({"files": {"../model.onnx": "0" * 64}}, "files must be names of files in the bundle's own folder"),
        ({"files": {"/etc/passwd": "0" * 64}}, "files must be names of files in the bundle's own folder"),
        ({"system": "a\x1b[31m\n"}, r"got 'a\x1b[31m\n'"),
        ({"format": 0}, "format must be in 1..2; got 0"),
        ({"format": 3}, "written by a newer mien (format 3"),
        ({"format": "2"}, "format must be int; got '2'"),
    ],
)  # fmt: skip
def test_a_broken_rule_is_named(changes: dict[str, Any], message: str) -> None:
    assert message in refusal(every_kind() | changes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Expecting value"), (b"\xff\xfe{", "not UTF-8"), (b'\xef\xbb\xbf{"system": 1}', "BOM"),
        (b"[" * 10_000, "32 levels"), (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "32 levels"),
        (b"[" * (MAX_DEPTH + 2) + b"]" * (MAX_DEPTH + 2), "32 levels"), (b'{"a": 1, "a": 2}', "'a' stands there twice"),
        (b'{"system": NaN}', "NaN is no JSON number"), (b'{"system": -Infinity}', "-Infinity is no JSON number"),
        (b'{"system": "\\ud800"}', "not UTF-8"), (b" " * (MAX_BYTES + 1), "at most"), (b"9" * 5000, "is not JSON"),
        (b'{"system": "x"', "is not JSON"), (b"null", "has fields of its own"), (b"3", "has fields of its own"),
    ],
)  # fmt: skip
def test_what_is_no_such_document(content: bytes, message: str) -> None:
    with pytest.raises(MienError) as caught:
        BundleInfo.from_json(content, where="here/system.json")
    assert str(caught.value).startswith("here/system.json: not a mien bundle: ") and message in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_score_that_is_no_number_is_written_as_null() -> None:
    """JSON has no NaN, so that a bundle with one could be written and not be read again."""
    info = BundleInfo.from_json(json.dumps(every_kind()), where="here")
    info.provenance["scores"] = {"val/nll": float("nan"), "val/accuracy": 0.5}
    again = BundleInfo.from_json(info.to_json(), where="here")
    assert again.provenance["scores"] == {"val/nll": None, "val/accuracy": 0.5}
