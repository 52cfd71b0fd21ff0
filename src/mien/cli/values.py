"""Values of options: from the text of a command line, and checked against the types that a signature names.

The type decides how text is read: for `str` it is the text itself, for everything else YAML.
"""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any, Literal, get_origin, get_type_hints

from mien.cli.option_keys import unknown_option
from mien.core import typed
from mien.core.errors import MienError
from mien.core.typed import alternatives
from mien.media.yaml_text import parse_yaml

TRUE, FALSE = ("true", "yes"), ("false", "no")


def parse_value(text: str, kind: Any, *, key: str) -> Any:
    """The value that `text` stands for in an option of that type. Raises MienError that names --key and the type.

    str: the text as it is, also `no`, `2026-11-26` and ` x `. Where None is allowed, `null` is None.
    """
    kinds = alternatives(kind)
    if type(None) in kinds and text == "null":
        return None
    if bool in kinds and text.lower() in (*TRUE, *FALSE):
        return text.lower() in TRUE
    if str in kinds or any(get_origin(each) is Literal for each in kinds):
        return checked(text, kind, key=key)

    return checked(parse_yaml(text, source=f"--{key}"), kind, key=key, given=text)


def checked(value: Any, kind: Any, *, key: str, given: Any = None) -> Any:
    """The value as that type (core.typed); messages name the option --key. key: dotted, "" for a whole config."""
    return typed.checked(value, kind, key=f"--{key}", given=given)


def check_keys(values: Any, kind: Any, *, key: str = "", owner: str = "") -> None:
    """Raises MienError for the first key, at any depth, that the dataclass has not, with the nearest that it has.

    key: of the section that the dataclass is; "" for the whole of a config. owner: the command, for the message.
    """
    prefix = f"{key}." if key else ""
    _check_keys(values, kind, prefix, tuple(dotted_keys(kind, prefix)), owner)


def _check_keys(values: Any, kind: Any, prefix: str, known: tuple[str, ...], owner: str) -> None:
    if not isinstance(values, Mapping):
        return  # its type is checked with its values
    hints = get_type_hints(kind)
    for name, value in values.items():
        if name not in hints:
            raise MienError(unknown_option(f"{prefix}{name}", known, owner=owner))
        if is_dataclass(hints[name]):
            _check_keys(value, hints[name], f"{prefix}{name}.", known, owner)


def dotted_keys(kind: Any, prefix: str = "") -> list[str]:
    """Every option of a dataclass, those of its sections as `section.option`."""
    found: list[str] = []
    for name, hint in get_type_hints(kind).items():
        found += dotted_keys(hint, f"{prefix}{name}.") if is_dataclass(hint) else [f"{prefix}{name}"]
    return found


def nested(key: str, value: Any) -> dict[str, Any]:
    """{"a": {"b": value}} for the key `a.b`."""
    for part in reversed(key.split(".")):
        value = {part: value}
    assert isinstance(value, dict)
    return value


def merged(first: Mapping[Any, Any], second: Mapping[Any, Any]) -> dict[Any, Any]:
    """Both mappings; where both have a key the second wins, and mappings are merged in turn."""
    found = dict(first)
    for key, value in second.items():
        both = isinstance(value, Mapping) and isinstance(found.get(key), Mapping)
        found[key] = merged(found[key], value) if both else value
    return found
