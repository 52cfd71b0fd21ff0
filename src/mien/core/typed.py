"""Values checked against the types that a signature or a dataclass names: options of a command, fields of a file.

And dataclasses with arrays that are equal where their numbers are.
"""

import math
import os
import reprlib
import types
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from mien.core.errors import MienError, nearest

LARGEST_INT = 2**63 - 1
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 80


def checked(value: Any, kind: Any, *, key: str, given: Any = None) -> Any:
    """The value as that type: a whole number as float, a list as tuple, a mapping as dataclass, a path as text.

    key: dotted, as messages name it; "" or "--" for a whole document. given: the text that the value was read from. Any
    takes what YAML and JSON have: None, bool, finite numbers, str, lists and mappings. Raises MienError that names the
    key and the type.
    """
    try:
        return _as_any_of(value, kind, key)
    except _WrongType:
        quotes = " Write it in quotes." if given is None and str in alternatives(kind) else ""
        came = value if given is None else given
        known = [m for each in alternatives(kind) if get_origin(each) is Literal for m in get_args(each)]
        close = nearest(value, map(str, known)) if known and isinstance(value, str) else ""
        rule = f"{key or 'the whole'} must be {description(kind)}"
        raise MienError(f"{rule}; got {shown(came)}.{quotes}{close if 'Did you mean' in close else ''}") from None


def shown(value: Any) -> str:
    """The value as Python writes it, on one line; long texts and containers shortened."""
    return _SHORT.repr(value)


@contextmanager
def named(key: str) -> Iterator[None]:
    """A MienError of the block names the key, in front, where it does not begin with it."""
    try:
        yield
    except MienError as error:
        raise error if str(error).startswith(key) else MienError(f"{key}: {error}") from error


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
    kinds = alternatives(kind)
    if value is None and type(None) in kinds:
        return None
    for each in kinds:
        with suppress(_WrongType):
            return _as(value, each, key)
    raise _WrongType


def _as(value: Any, kind: Any, key: str) -> Any:
    origin, members = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _dataclass(value, kind, key)
    if kind is Any or isinstance(kind, str):  # a string: a name that is known to type checkers only
        return _plain(value)
    if origin is Literal:
        if any(value == member and type(value) is type(member) for member in members):
            return value
    elif origin is tuple and isinstance(value, Sequence) and not isinstance(value, str):
        kinds = members[:1] * len(value) if Ellipsis in members else members
        if len(kinds) == len(value):
            return tuple(_as_any_of(each, one, key) for each, one in zip(value, kinds, strict=True))
    elif origin is list and isinstance(value, Sequence) and not isinstance(value, str):
        return [_as_any_of(each, members[0], key) for each in value]
    elif origin is dict and isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: checked(each, members[1], key=_inner(key, name)) for name, each in value.items()}
    elif isinstance(kind, type):
        return _simple(value, kind)
    raise _WrongType


def _inner(key: str, name: str) -> str:
    """The key of a field; a name from a file that is no plain text is shown as Python writes it."""
    name = name if name.isprintable() and len(name) < 80 else shown(name)
    return f"{key}{name}" if key in ("", "--") else f"{key}.{name}"


def _simple(value: Any, kind: type) -> Any:
    """None, bool, int, float or str."""
    if kind is float and isinstance(value, Real) and not isinstance(value, bool):
        number = float(value) if not isinstance(value, int) or abs(value) <= LARGEST_INT else math.inf
        if math.isfinite(number):
            return number
    elif kind is int and isinstance(value, Integral) and not isinstance(value, bool):
        if abs(whole := int(value)) <= LARGEST_INT:
            return whole
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


_hints = cache(get_type_hints)  # of the few classes that files and options have, each read often


def _dataclass(value: Any, kind: Any, key: str) -> Any:
    """Built from a mapping, each of its fields checked; fields that are not in it keep their defaults."""
    if isinstance(value, kind):
        return value
    hints = _hints(kind)
    if not isinstance(value, Mapping):
        such = _inner(key, next(iter(hints)))
        raise MienError(f"{key or 'the whole'} has fields of its own (such as {such}); got {shown(value)}.")
    found = {}
    for field in fields(kind):
        if field.name in value:
            found[field.name] = checked(value[field.name], hints[field.name], key=_inner(key, field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            raise MienError(f"{_inner(key, field.name)} is missing; it must be {description(hints[field.name])}.")
    return kind(**found)


class SameNumbers:
    """A dataclass with arrays: equal to one of its kind with the same values. Numbers that are missing (NaN) are the
    same as well. It has no hash, since arrays can be changed."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and all(
            _same(getattr(self, each.name), getattr(other, each.name))
            for each in fields(self)  # type: ignore[arg-type]
        )

    __hash__ = None  # type: ignore[assignment]


def _same(one: Any, other: Any) -> bool:
    import numpy as np  # what states options is imported without it

    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return np.array_equal(one, other, equal_nan=True)
    return bool(type(one) is type(other) and one == other)
