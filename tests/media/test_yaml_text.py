"""YAML within limits: what is read, and what ends in one line."""

import time

import pytest
import yaml

from mien.core.errors import MienError
from mien.media.yaml_text import MAX_CHARACTERS, parse_yaml, read_yaml, yaml_of

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1e3", 1000.0),
        ("-.5", -0.5),
        ("3", 3),
        ("0x10", 16),
        ("010", "010"),
        ("12:30:00", "12:30:00"),
        ("2026-11-26", "2026-11-26"),
        ("2026-13-99", "2026-13-99"),
        ("null", None),
        ("[1, 2.5, yes, text]", [1, 2.5, True, "text"]),
        ("{a: {b: 1}}", {"a": {"b": 1}}),
        ("", None),
        ("{one: &x [1], two: *x}", {"one": [1], "two": [1]}),
        ("{base: &x {a: 1}, other: {<<: *x, b: 2}}", {"base": {"a": 1}, "other": {"a": 1, "b": 2}}),
    ],
)
def test_values(text, value):
    assert parse_yaml(text, source="x") == value
    assert type(parse_yaml(text, source="x")) is type(value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: &a [*a]", r"\*a stands inside"),
        ("a: &a {b: *a}", r"\*a stands inside"),
        (BOMB, "more than 100,000 values"),
        ("[" * 40 + "]" * 40, "more than 32 levels"),
        ("[" * 100_000, "more than 32 levels"),
        ("a: &a 1\nb: [" + ", ".join(["*a"] * 101) + "]", "more than 100 aliases"),
        ("x" * (MAX_CHARACTERS + 1), "at most 200,000 characters"),
        ("*nowhere", "undefined alias"),
        ("a: [1", "line"),
        ("? [1, 2]\n: 3", "unhashable"),
        ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("!!int x", "is not YAML"),
        ("!!timestamp 2026-13-99", "is not YAML"),
        ("a: 1\n---\nb: 2", "single document"),
        ("\x00", "not YAML"),
        ("a: 1\nb: 2\na: 3", "the key 'a' stands there twice"),
    ],
)
def test_what_is_refused_ends_at_once_in_one_line(text, reason):
    start = time.process_time()
    with pytest.raises(MienError, match=reason) as caught:
        parse_yaml(text, source="x.yaml")
    assert time.process_time() - start < 2
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("x.yaml")
    assert len(str(caught.value)) < 400


def test_a_number_of_thousands_of_digits_is_no_number():
    assert parse_yaml("9" * 5000, source="x") == "9" * 5000


def test_a_file_is_read_up_to_the_limit(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfname: caf\xc3\xa9\n")
    assert read_yaml(tmp_path / "a.yaml") == {"name": "café"}
    (tmp_path / "b.yaml").write_bytes(b"name: caf\xe9\n")
    with pytest.raises(MienError, match=r"b\.yaml is not YAML: it is not UTF-8"):
        read_yaml(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_text("x" * (MAX_CHARACTERS + 1))
    with pytest.raises(MienError, match="at most 200,000 characters"):
        read_yaml(tmp_path / "c.yaml")


@pytest.mark.parametrize(
    "text", ["1e3", "no", "2026-11-26", "010", "12:30", "null", "", " x ", "#2", "@a", "~", "é", "a: b"]
)
def test_what_is_written_reads_back_equal(text):
    value = {"b": [text, 1e-9, 3, None, True], "a": {text: text}}
    assert parse_yaml(yaml_of(value), source="x") == value
    assert yaml.safe_load(yaml_of(value)) == value
    assert list(parse_yaml(yaml_of(value), source="x")) == ["b", "a"]
