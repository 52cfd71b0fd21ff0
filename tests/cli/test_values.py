"""Text to values: the type of an option decides how its text is read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

from mien.cli.option_keys import unknown_option
from mien.cli.values import check_keys, checked, dotted_keys, parse_value
from mien.core.errors import MienError

NAMES = ["runs/try #2", "2026-11-26", "20261126", "no", "@home", " x ", "#2", "1e3", "12:30:00", "", "[1", "{a: 1}"]


@pytest.mark.parametrize("text", [*NAMES, "null", "~", "true"])
def test_text_is_the_text_itself(text: str) -> None:
    assert parse_value(text, str, key="output") == text
    if text != "null":
        assert parse_value(text, str | None, key="output") == text


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("null", str | None, None),
        ("3", int, 3),
        ("-3", int, -3),
        ("3", float, 3.0),
        ("1e-4", float, 1e-4),
        ("null", float | None, None),
        ("yes", bool, True),
        ("False", bool, False),
        ("null", bool | None, None),
        ("3", int | list[int], 3),
        ("[3, 4]", int | list[int], [3, 4]),
        ("[0.9, 1]", tuple[float, float], (0.9, 1.0)),
        ("[1, 2, 3]", tuple[int, ...], (1, 2, 3)),
        ("[a, b]", tuple[str, ...], ("a", "b")),
        ("[]", tuple[str, ...], ()),
        ("16", Literal["16", "32"], "16"),
        ("{a: [1, x]}", dict[str, Any], {"a": [1, "x"]}),
        ("3", Any, 3),
        ("strict", Any, "strict"),
    ],
)
def test_other_types_are_yaml(text: str, kind: Any, value: Any) -> None:
    found = parse_value(text, kind, key="x")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "kind", "message"),
    [
        ("fast", float, "--x must be float; got 'fast'."),
        ("no", float, "--x must be float; got 'no'."),
        (".inf", float, "--x must be float; got '.inf'."),
        (".nan", float, "--x must be float; got '.nan'."),
        ("1e999", float, "--x must be float; got '1e999'."),
        ("2.5", int, "--x must be int; got '2.5'."),
        ("true", int, "--x must be int; got 'true'."),
        ("9223372036854775808", int, "--x must be int; got '9223372036854775808'."),
        ("maybe", bool, "--x must be true or false; got 'maybe'."),
        ("16", Literal["fp32", "bf16"], "--x must be one of 'fp32', 'bf16'; got '16'."),
        ("x", int | list[int], "--x must be int or a list of int; got 'x'."),
        ("[1, x]", list[int], "--x must be a list of int; got '[1, x]'."),
        ("[1]", tuple[float, float], "--x must be a list of 2 values, each float; got '[1]'."),
        ("3", dict[str, Any], "--x must be a mapping of keys to values; got '3'."),
        ("{1: 2}", dict[str, Any], "--x must be a mapping of keys to values; got '{1: 2}'."),
        ("[.inf]", Any, "--x must be a plain value; got '[.inf]'."),
        ("!!set {a}", Any, "--x must be a plain value; got '!!set {a}'."),
        ("[1", list[int], "--x, line 1, is not YAML: "),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_in_one_line(text: str, kind: Any, message: str) -> None:
    with pytest.raises(MienError) as caught:
        parse_value(text, kind, key="x")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@dataclass(frozen=True)
class Inner:
    lr: float = 1.0
    betas: tuple[float, float] = (0.9, 0.999)


@dataclass(frozen=True)
class Outer:
    name: str = ""
    inner: Inner = field(default_factory=Inner)
    options: dict[str, Any] = field(default_factory=dict)


def test_a_dataclass_is_built_from_mappings() -> None:
    found = checked(
        {"inner": {"lr": 2, "betas": [0, 1]}, "options": {"sizes": (1, 2)}, "name": Path("a/b")}, Outer, key=""
    )
    assert found == Outer("a/b", Inner(2.0, (0.0, 1.0)), {"sizes": [1, 2]})
    assert type(found.inner.lr) is float


def test_the_message_names_the_whole_key() -> None:
    with pytest.raises(MienError, match=r"^--inner\.lr must be float; got None\.$"):
        checked({"inner": {"lr": None}}, Outer, key="")
    with pytest.raises(MienError, match=r"^--inner has fields of its own \(such as --inner\.lr\); got 3\.$"):
        checked({"inner": 3}, Outer, key="")
    with pytest.raises(MienError, match=r"^--name must be text; got False\. Write it in quotes\.$"):
        checked({"name": False}, Outer, key="")


def test_unknown_keys_are_found_at_any_depth() -> None:
    with pytest.raises(MienError, match=r"^No option --inner\.lt\. Did you mean '--inner\.lr'\?$"):
        check_keys({"inner": {"lt": 1}}, Outer)
    with pytest.raises(MienError, match=r"^x has no option --1\."):
        check_keys({1: 2}, Outer, owner="x")
    assert dotted_keys(Outer) == ["name", "inner.lr", "inner.betas", "options"]


KNOWN = ["data.root", "data.name", "optim.lr", "optim.momentum", "output"]


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("data.rot", "No option --data.rot. Did you mean '--data.root'?"),
        ("lr", "No option --lr. Did you mean '--optim.lr'?"),
        ("optm.lr", "No option --optm. Did you mean '--optim'?"),
        ("model.root", "No option --model. Did you mean '--data.root'?"),
        ("data.zzz", "No option --data.zzz. Known: --data.root, --data.name."),
        ("optim.lr.x", "No option --optim.lr.x. Did you mean '--optim.lr'?"),
    ],
)
def test_the_nearest_option(key: str, message: str) -> None:
    assert unknown_option(key, KNOWN) == message


def test_a_command_without_options_says_so() -> None:
    assert unknown_option("x", [], owner="mien models") == "mien models has no option --x. It has none."


@pytest.mark.parametrize(
    ("command", "option", "answer"),
    [
        ("analyze", "out", "Did you mean '--output'?"),
        ("analyze", "model", "Did you mean '--bundle'?"),
        ("analyze", "device", "Faces are read on the CPU, on every core; --threads and --backend choose how."),
        ("analyze", "batch-size", "Faces are read in batches by themselves, with the same numbers; see --threads."),
        ("analyze", "force", "Did you mean '--overwrite'?"),
        ("asymmetry", "device", "Faces are read on the CPU"),
        ("fit", "device", "Did you mean '--trainer.device'?"),
        ("fit", "batch_size", "Did you mean '--data.batch_size'?"),
        ("fit", "model", "Did you mean '--init'?"),
        ("evaluate", "data", "Did you mean '--data.root'?"),
        ("data prepare", "num_workers", "Did you mean '--workers'?"),
    ],
)
def test_names_of_other_programs_lead_to_the_option_or_the_reason(command: str, option: str, answer: str) -> None:
    from mien.__main__ import COMMANDS
    from mien.cli.parameters import accepts_overrides, options_from, parameters_of
    from mien.core.extras import imported

    function = imported(COMMANDS[command][0])
    parameters = parameters_of(function)
    if accepts_overrides(function):
        parameters = imported(options_from(function).target)([], {}, detailed=False)
    known = [parameter.spelling for parameter in parameters if not parameter.positional]
    assert unknown_option(option, known, owner="mien").startswith(f"mien has no option --{option}. {answer}")
