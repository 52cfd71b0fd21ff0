"""A config file with a wrong value in every field: one error that names the file and the key."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.core.errors import MienError
from mien.engine.training.config import FitConfig, _plain, parse_fit
from robustness.mutate import WRONG_VALUES, places, removed, replaced
from shape_checks import unchecked

CONFIG: dict[str, Any] = _plain(asdict(FitConfig()))


def refusal(path: Path) -> str:
    try:
        parse_fit([str(path)])
    except MienError as error:
        return str(error)
    return ""


@unchecked()
@pytest.mark.parametrize("section", CONFIG)
def test_every_wrong_value_in_every_field_is_read_or_refused_by_its_key(section: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    for number, at in enumerate(places(CONFIG[section], (section,))):
        for wrong in WRONG_VALUES[number % 3 :: 3]:  # each value in many fields, many values in each
            path.write_text(json.dumps({section: replaced(CONFIG, at, wrong)[section]}))
            if message := refusal(path):
                assert message.startswith(str(path)) and len(message) < 1000, message
                assert ".".join(map(str, at[:2])) in message or section in message or "YAML" in message, (at, message)


@unchecked()
def test_wrong_types_are_refused(tmp_path: Path) -> None:
    """A value of another kind than the default; a whole number is a float, and text is not looked into here."""
    path, tried = tmp_path / "run.yaml", 0
    for at in places(CONFIG):
        value: Any = CONFIG
        for key in at:
            value = value[key]
        if isinstance(value, str | list | dict | None) or at == ("trainer", "seeds"):
            continue
        for wrong in (None, "x", [1], {"a": 1}, float("inf"), float("nan"), 10**40):
            path.write_text(yaml.safe_dump({at[0]: replaced(CONFIG, at, wrong)[at[0]]}))
            assert ".".join(key for key in at if isinstance(key, str)) in refusal(path), (at, wrong)
            tried += 1
    assert tried > 200


def test_a_field_that_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    for at in places(CONFIG):
        if at and isinstance(at[-1], str):
            path.write_text(yaml.safe_dump(removed(CONFIG, at)))
            assert parse_fit([str(path)]) == FitConfig()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"- 1\n- 2\n", "a config is a mapping"), (b"3", "a config is a mapping"),
        (b"just text", "a config is a mapping"),
        (b"data:\n\tname: x\n", "is not YAML"),
        (b"legacy: true\nlegacy: false\n", "the key 'legacy' stands there twice"),
        (b"optim: {lr: 1, lr: 2}", "the key 'lr' stands there twice"), (b'{"legacy": true, "legacy": false}', "twice"),
        (b"[" * 10_000, "levels of nesting"), (b'{"a":' * 10_000, "levels of nesting"),
        (b"a: &a [*a]", "inside the value"),
        (b"a: &a {b: *a}", "inside the value"), (b"x" * (50 * 2**20), "at most 200,000 characters"),
        (b"#" * (50 * 2**20), "at most 200,000 characters"), (b"\xff\xfe\x00", "not UTF-8"), (b"\x00", "is not YAML"),
        (b"a: !!python/object/apply:os.system [true]", "is not YAML"), (b"a: !!python/name:os.system", "is not YAML"),
        (b"a: &a [x, x]\n" + b"".join(b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9))
                                      for i in range(9)), "more than"),
        (b"optim: {lr: " + b"9" * 100_000 + b"}", "--optim.lr must be float"), (b"? [1, 2]\n: 3", "is not YAML"),
        (b"? {a: 1}\n: 3", "is not YAML"), (b"--- 1\n--- 2\n", "is not YAML"), (b"optim: {lr: .inf}", "--optim.lr"),
        (b"optim: {lr: 1e999}", "--optim.lr must be float; got"),
        (b"trainer: {epochs: 1e3}", "--trainer.epochs must be int"),
        (b"system: null", "has fields of its own"), (b"system: {name: null}", "--system.name must be text"),
        (b"stage: {name: [x]}", "--stage.name must be text"), (b'"\\ud800": 1', "is not YAML|No option"),
        (b'"a\\nb\\e[31m": 1', r"No option --a b\\x1b\[31m"),
    ],
)  # fmt: skip
def test_strange_documents_are_one_line(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "run.yaml"
    path.write_bytes(content)
    with pytest.raises(MienError, match=reason) as caught:
        parse_fit([str(path)])
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500
