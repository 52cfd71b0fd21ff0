"""Values of options: from the text of a command line, and checked against the types that a signature names.

The type decides how text is read: for `str` it is the text itself, for everything else YAML.
"""

import math
import os
import types
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mien.cli.option_keys import unknown_option
from mien.core.errors import MienError
from mien.media.yaml_text import parse_yaml

TRUE, FALSE = ("true", "yes"), ("false", "no")
LARGEST_INT = 2**63 - 1


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
    """The value as that type: a whole number as float, a list as tuple, a mapping as dataclass, a path as text.

    key: dotted, "" for the whole of a config. Any takes what YAML has: None, bool, finite numbers, str, lists and
    mappings. Raises MienError that names --key and the type.
    """
    if is_dataclass(kind):
        return _dataclass(value, kind, key)
    try:
        return _as_any_of(value, kind, key)
    except _WrongType:
        quotes = " Write it in quotes." if given is None and str in alternatives(kind) else ""
        came = value if given is None else given
        raise MienError(f"--{key} must be {description(kind)}; got {came!r}.{quotes}") from None


class _WrongType(Exception):  # noqa: N818 (never leaves this module)
    pass


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union, or the type alone."""
    return get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)


def description(kind: Any) -> str:
    """A type in words, as in `must be int or a list of int`."""
    return " or ".join(_description(each) for each in alternatives(kind) if each is not type(None))


def _description(kind: Any) -> str:
    origin, members = get_origin(kind), get_args(kind)
    if origin is Literal:
        return f"one of {', '.join(map(repr, members))}"
    if origin is tuple and Ellipsis not in members:
        return f"a list of {len(members)} values, each {description(members[0])}"
    if origin in (list, tuple):
        return f"a list of {description(members[0])}"
    names = {bool: "true or false", str: "text", dict: "a mapping of keys to values", Any: "a plain value"}
    found = names.get(origin or kind)
    return found or str(getattr(kind, "__name__", kind))


def _as_any_of(value: Any, kind: Any, key: str) -> Any:
    """The value as the first member of a union that takes it."""
    for each in alternatives(kind):
        with suppress(_WrongType):
            return _as(value, each, key)
    raise _WrongType


def _as(value: Any, kind: Any, key: str) -> Any:
    origin, members = get_origin(kind), get_args(kind)
    if kind is Any or isinstance(kind, str):  # a string: a name that is known to type checkers only
        return _plain(value)
    if origin is Literal:
        if value in members and type(value) in {type(member) for member in members}:
            return value
    elif origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = members[:1] * len(value) if Ellipsis in members else members
        if len(kinds) == len(value):
            return tuple(_as_any_of(each, one, key) for each, one in zip(value, kinds, strict=True))
    elif origin is list and isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_any_of(each, members[0], key) for each in value]
    elif origin is dict and isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: checked(each, members[1], key=f"{key}.{name}") for name, each in value.items()}
    elif isinstance(kind, type):
        return _simple(value, kind)
    raise _WrongType


def _simple(value: Any, kind: type) -> Any:
    """None, bool, int, float or str."""
    if kind is bool and isinstance(value, str) and value.lower() in (*TRUE, *FALSE):
        return value.lower() in TRUE
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        if abs(value) <= LARGEST_INT or (isinstance(value, float) and math.isfinite(value)):
            return float(value)
    elif kind is int and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) <= LARGEST_INT:
            return value
    elif kind is str and isinstance(value, os.PathLike):
        return os.fspath(value)
    elif isinstance(value, kind) and kind in (bool, str, type(None)):
        return value
    raise _WrongType


def _plain(value: Any) -> Any:
    """Of any type that YAML has; tuples become lists."""
    if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    for kind in (bool, int, float, str, type(None)):
        if isinstance(value, kind):
            return _simple(value, kind)
    raise _WrongType


def _dataclass(value: Any, kind: Any, key: str) -> Any:
    """Built from a mapping, each of its fields checked; fields that are not in it keep their defaults."""
    if isinstance(value, kind):
        return value
    hints = get_type_hints(kind)
    prefix = f"{key}." if key else ""
    if not isinstance(value, Mapping):
        raise MienError(f"{key} has options of its own (such as {prefix}{next(iter(hints))}); got {value!r}.")
    return kind(
        **{
            name: checked(value[name], hints[name], key=f"{prefix}{name}")
            for name in (field.name for field in fields(kind))
            if name in value
        }
    )


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
