"""The inputs and options of a command, read from the signature and the docstring of its function.

Parameters that may be given by position become inputs, keyword-only ones become options (`min_face` is `--min-face`), a
dataclass becomes a section of dotted options (`--data.root`), and `**options: Annotated[Any, OptionsFrom(...)]` takes
options that depend on the inputs. The docstring's `Args:` describe parameters; a string under a field describes it.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib import import_module
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mien.cli.field_docs import field_texts

NO_VALUE = inspect.Parameter.empty


@dataclass(frozen=True)
class Word:
    """An input or an option. key: as the function spells it, dotted in sections; default: NO_VALUE where needed."""

    key: str
    kind: Any
    default: Any
    text: str
    positional: bool = False
    many: bool = False
    group: str = ""

    @property
    def shown(self) -> str:
        """As the user writes it: keys of sections keep the underscores that they have in YAML."""
        return self.key if "." in self.key else self.key.replace("_", "-")

    @property
    def values(self) -> str:
        """What may stand after it."""
        if get_origin(self.kind) is Literal:
            return "|".join(map(str, get_args(self.kind)))
        return {bool: "true|false", int: "N", float: "X"}.get(self.plain) or self.key.rpartition(".")[2].upper()

    @property
    def plain(self) -> Any:
        """The type without `| None`."""
        return next((kind for kind in get_args(self.kind) if kind is not type(None)), self.kind)

    @property
    def needed(self) -> bool:
        return self.default is NO_VALUE


Parameter = Word


@dataclass(frozen=True)
class OptionsFrom:
    """Marks `**options` of a command: where those options come from."""

    target: str
    """`module:function` of (inputs, options as text, detailed=bool), which returns all options for them."""


def options_from(function: Callable[..., Any]) -> Callable[..., list[Word]] | None:
    """The function behind the OptionsFrom of a command that has one."""
    for parameter in inspect.signature(function).parameters.values():
        for mark in getattr(_resolved(parameter.annotation, function), "__metadata__", ()):
            if isinstance(mark, OptionsFrom):
                module, _, name = mark.target.partition(":")
                found: Callable[..., list[Word]] = getattr(import_module(module), name)
                return found
    return None


def words_of(function: Callable[..., Any]) -> list[Word]:
    """The inputs and options of a command, in the order of its signature, sections unfolded."""
    texts, words = argument_texts(function), []
    further = options_from(function)
    for name, parameter in inspect.signature(function).parameters.items():
        if further and parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_KEYWORD):
            continue  # among those of OptionsFrom
        kind = _resolved(parameter.annotation, function)
        if is_dataclass(kind):
            words += list(section(kind, f"{name}."))
            continue
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        many = parameter.kind is parameter.VAR_POSITIONAL or (
            positional and re.search("list|Sequence", str(kind)) is not None
        )
        words.append(Word(name, kind, parameter.default, texts.get(name, ""), positional, many))
    return words + (further([], {}, detailed=False) if further else [])


def section(kind: Any, prefix: str, *, group: str = "") -> Iterator[Word]:
    """The fields of a dataclass as options."""
    texts, hints = argument_texts(kind) | field_texts(kind), get_type_hints(kind)
    for field in fields(kind):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        default = NO_VALUE if default is MISSING else default
        yield Word(f"{prefix}{field.name}", hints[field.name], default, texts.get(field.name, ""), group=group)


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """The type itself where the annotation is a string; the string where its name is known to type checkers only."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, function.__globals__)  # our own source, not a user's words
    except NameError:
        return annotation


def argument_texts(described: Any) -> dict[str, str]:
    """What the `Args:` of a docstring say of each name; lines that are indented further go on with the one before."""
    found, name = {}, ""
    _, _, arguments = inspect.cleandoc(described.__doc__ or "").partition("\nArgs:\n")
    for line in arguments.splitlines():
        if start := re.match(r" {4}\*{0,2}(\w+): (.*)", line):
            name = start[1]
            found[name] = start[2]
        elif line.startswith(" " * 8) and name:
            found[name] += " " + line.strip()
        else:
            break
    return found
