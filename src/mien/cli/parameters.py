"""The inputs and options of a command, read from the signature and the docstring of its function.

Parameters that may be given by position become inputs, keyword-only ones become options (`min_face` is `--min-face`), a
dataclass becomes a section of dotted options (`--data.root`), and `**overrides: Annotated[Any, OptionsFrom(...)]` takes
options that depend on the inputs. The docstring's `Args:` describe parameters; a string under a field describes it.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from mien.cli.field_docs import field_texts
from mien.core.extras import imported
from mien.core.typed import alternatives

NO_VALUE = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """An input or an option of a command."""

    key: str
    """As the function spells it, dotted in sections."""
    kind: Any
    """Its type."""
    default: Any
    """NO_VALUE where it must be given."""
    text: str
    """What it means, for `--help`."""
    positional: bool = False
    """An input rather than an option."""
    many: bool = False
    """Takes all inputs that are left."""
    group: str = ""
    """Heading that `--help` prints above it and its neighbours."""

    @property
    def spelling(self) -> str:
        """As the user writes it: keys of sections keep the underscores that they have in YAML, and `with_`, whose name
        Python keeps for itself, is --with."""
        return self.key if "." in self.key else self.key.rstrip("_").replace("_", "-")

    @property
    def placeholder(self) -> str:
        """What `--help` shows after it."""
        if self.is_repeated:
            return self.key.upper()
        kinds = [kind for kind in alternatives(self.kind) if kind is not type(None)]
        return "|".join(dict.fromkeys(self._placeholder(kind) for kind in kinds))

    def _placeholder(self, kind: Any) -> str:
        origin, members = get_origin(kind), get_args(kind)
        if origin is Literal:
            return "|".join(map(str, members))
        if origin in (list, tuple):
            inner = ["TEXT" if kind is str else self._placeholder(kind) for kind in members if kind is not Ellipsis]
            return f"[{', '.join(inner)}{', ...' if origin is list or Ellipsis in members else ''}]"
        last = self.key.rpartition(".")[2].rstrip("_").upper()
        return {bool: "true|false", int: "N", float: "X", dict: "{KEY: VALUE}"}.get(origin or kind) or last

    @property
    def is_flag(self) -> bool:
        return bool in alternatives(self.kind)

    @property
    def is_mapping(self) -> bool:
        """Takes dotted keys of its own, such as `--data.reader.KEY VALUE`."""
        return any((get_origin(kind) or kind) is dict for kind in alternatives(self.kind))

    @property
    def is_repeated(self) -> bool:
        """An option that may be given several times, once for each text of a list."""
        return not self.positional and list[str] in alternatives(self.kind)

    @property
    def required(self) -> bool:
        return self.default is NO_VALUE


@dataclass(frozen=True)
class OptionsFrom:
    """Marks `**overrides` of a command: where its options come from."""

    target: str
    """`module:function` of (inputs, options as text, detailed=bool), which returns the Parameters for them. With
    detailed=False it must be light unless one of the options given needs more."""
    inputs: str = ""
    """`module:function` that returns (name, description) of each input known by name."""


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """The inputs and options of a command, in the order of its signature, sections unfolded."""
    texts, found = argument_texts(function), []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = resolved_type(parameter.annotation, function)
        if parameter.kind is parameter.VAR_KEYWORD:
            found += imported(options_from(function).target)([], {}, detailed=False)
        elif is_dataclass(kind):
            found += section(kind, f"{name}.", group=texts.get(name, ""))
        else:
            positional = parameter.kind is not parameter.KEYWORD_ONLY
            many = parameter.kind is parameter.VAR_POSITIONAL or (positional and get_origin(kind) is list)
            default = () if parameter.kind is parameter.VAR_POSITIONAL else parameter.default
            found.append(Parameter(name, kind, default, texts.get(name, ""), positional, many))
    return found


def section(kind: Any, prefix: str, *, group: str = "", defaults: Any = None) -> Iterator[Parameter]:
    """The fields of a dataclass as options, those of dataclasses in it as options of a section.

    defaults: an instance that holds the default values; without it, those of the class.
    """
    texts, hints = field_texts(kind), get_type_hints(kind)
    for field in fields(kind):
        default = _default_of(field) if defaults is None else getattr(defaults, field.name)
        text, hint = texts.get(field.name, ""), hints[field.name]
        if is_dataclass(hint):
            instance = None if default is NO_VALUE else default
            yield from section(hint, f"{prefix}{field.name}.", group=text, defaults=instance)
        else:
            yield Parameter(f"{prefix}{field.name}", hint, default, text, group=group)


def _default_of(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return NO_VALUE if field.default is MISSING else field.default


def resolved_type(annotation: Any, function: Callable[..., Any]) -> Any:
    """The type itself where the annotation is a string; the string where its name is known to type checkers only."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(
            annotation, inspect.unwrap(function).__globals__
        )  # source code of this package, nothing that a user gave
    except NameError:
        return annotation


def options_from(function: Callable[..., Any]) -> OptionsFrom:
    """The mark at the function's `**overrides`."""
    for parameter in inspect.signature(function).parameters.values():
        kind = resolved_type(parameter.annotation, function)
        if get_origin(kind) is Annotated:
            return next(mark for mark in get_args(kind) if isinstance(mark, OptionsFrom))
    raise AssertionError(f"{function.__name__} has no parameter that is marked with OptionsFrom")


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


def accepts_overrides(function: Callable[..., Any]) -> bool:
    """Whether the function has a parameter `**overrides`."""
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())
