"""Dataclasses of options: built from plain values, and checked field by field."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mien.core.errors import MienError, nearest
from mien.core.typed import checked, named, shown

Rules = dict[str, tuple[bool, str]]


def from_plain(kind: type, values: Any, *, where: str, what: str = "option") -> Any:
    """The dataclass from a mapping of plain values, each as the type of its field (core.typed).

    Raises MienError that names an unknown key and the nearest right one, or the key of a value of the wrong type.
    """
    known = [f.name for f in fields(kind)]
    for key in values if isinstance(values, Mapping) else ():
        if key not in known:
            raise MienError(f"{where} has no {what} {shown(key)}.{nearest(str(key), known)}")
    with named(where):
        return checked(values, kind, key=where)


def check_choices(options: Any, where: str) -> None:
    """Raises MienError for the first field whose value its Literal type does not have. where: the section, `optim.`."""
    for name, hint in get_type_hints(type(options)).items():
        known = get_args(hint) if get_origin(hint) is Literal else ()
        if known and (value := getattr(options, name)) not in known:
            raise MienError(f"{where}{name} cannot be {shown(value)}.{nearest(str(value), known)}")


def check_rules(options: Any, where: str, rules: Rules) -> None:
    """Raises MienError for the first field whose rule does not hold. rules: whether it does, and what must be."""
    for name, (holds, rule) in rules.items():
        if not holds:
            raise MienError(f"{where}{name} must be {rule}; got {shown(getattr(options, name))}.")


def at_least(options: Any, least: float, *names: str) -> Rules:
    """Rules for fields that are numbers with a lower bound."""
    return {name: (getattr(options, name) >= least, f"at least {least:g}") for name in names}
