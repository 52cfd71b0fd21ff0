"""The grammar of every command: its parser and its help, made from the signature and the docstring of a function.

Parameters that may be given by position become inputs, keyword-only ones become options (`min_face` is `--min-face`), a
dataclass becomes a section of dotted options (`--data.root`), and `**overrides: Annotated[Any, OptionsFrom(...)]` takes
options that depend on the inputs. The docstring's `Args:` describe parameters; a string under a field describes it.

    --key value   --key=value   --flag   --no-flag   -- INPUT ...
"""

import inspect
import json
import re
import shutil
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from importlib import import_module
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from mien.cli.field_docs import field_texts
from mien.cli.option_keys import unknown_option
from mien.cli.values import FALSE, TRUE, alternatives, check_keys, checked, merged, nested, parse_value
from mien.core.errors import MienError

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
        """As the user writes it: keys of sections keep the underscores that they have in YAML."""
        return self.key if "." in self.key else self.key.replace("_", "-")

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
        last = self.key.rpartition(".")[2].upper()
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
        kind = _resolved(parameter.annotation, function)
        if parameter.kind is parameter.VAR_KEYWORD:
            found += _imported(_options_from(function).target)([], {}, detailed=False)
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


def _resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """The type itself where the annotation is a string; the string where its name is known to type checkers only."""
    if not isinstance(annotation, str):
        return annotation
    try:
        return eval(annotation, function.__globals__)  # source code of this package, nothing that a user gave
    except NameError:
        return annotation


def _options_from(function: Callable[..., Any]) -> OptionsFrom:
    for parameter in inspect.signature(function).parameters.values():
        kind = _resolved(parameter.annotation, function)
        if get_origin(kind) is Annotated:
            return next(mark for mark in get_args(kind) if isinstance(mark, OptionsFrom))
    raise AssertionError(f"{function.__name__} has no parameter that is marked with OptionsFrom")


def _imported(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


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


def call(function: Callable[..., Any], arguments: Sequence[str], *, command: str) -> Any:
    """What the function returns for these arguments. Raises MienError for arguments that do not fit its signature."""
    parameters = parameters_of(function)
    given, options = split_arguments(arguments, parameters, command=command)
    inputs = _inputs(given, parameters, command=command)
    if _takes_overrides(function):
        parameters = _imported(_options_from(function).target)(given, options, detailed=False)
        return function(*inputs, **values_of(options, parameters, command=command))
    for parameter in parameters:
        if parameter.required and not parameter.positional and parameter.key not in options:
            raise MienError(f"{command} needs --{parameter.spelling} {parameter.placeholder}: {parameter.text}")
    return function(*inputs, **_keywords(function, values_of(options, parameters, command=command), command))


def _takes_overrides(function: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_KEYWORD for p in inspect.signature(function).parameters.values())


def split_arguments(
    arguments: Sequence[str], parameters: Sequence[Parameter], *, command: str
) -> tuple[list[str], dict[str, str | list[str]]]:
    """Inputs and options {key: text}, however they are mixed; after `--` all is input.

    `--flag` alone is true, `--no-flag` false. An option that may be repeated has the list of its texts.
    """
    inputs: list[str] = []
    options: dict[str, str | list[str]] = {}
    rest = list(arguments)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            return inputs + rest, options
        if not re.match(r"--?[A-Za-z]", argument):
            inputs.append(argument)
            continue
        spelling, equals, value = argument.lstrip("-").partition("=")
        option, key, negated = _option(spelling, parameters, command=command)
        if not equals:
            value = _value_after(option, negated, rest)
        earlier = options.get(key, [])
        options[key] = [*earlier, value] if option.is_repeated else value
    return inputs, options


def _option(spelling: str, parameters: Sequence[Parameter], *, command: str) -> tuple[Parameter, str, bool]:
    """The option of that name, the whole key, and whether it was written with `no-`."""
    key = spelling.replace("-", "_")
    options = [parameter for parameter in parameters if not parameter.positional]
    for name, negated in ((key, False), (key.removeprefix("no_"), True)):
        for option in options:
            if name == option.key and (option.is_flag or not negated):
                return option, name, negated and name != key
            if option.is_mapping and name.startswith(f"{option.key}."):
                return Parameter(name, Any, NO_VALUE, option.text), name, negated and name != key
    inside = [option.key for option in options if option.key.startswith(f"{key}.")]
    if inside:  # a section, given as a mapping
        return Parameter(key, dict[str, Any], NO_VALUE, f"it has options of its own, such as --{inside[0]}"), key, False
    raise MienError(unknown_option(spelling, [option.spelling for option in options], owner=command))


def _value_after(option: Parameter, negated: bool, rest: list[str]) -> str:
    if negated:
        return "false"
    if option.is_flag:
        return rest.pop(0) if rest and rest[0].lower() in (*TRUE, *FALSE) else "true"
    if not rest or rest[0].startswith("--"):
        if option.kind is Any:  # of a mapping: what it takes is not known here
            return "true"
        raise MienError(f"--{option.spelling} needs a value after it: {option.text or option.placeholder}")
    return rest.pop(0)


def _inputs(given: list[str], parameters: Sequence[Parameter], *, command: str) -> list[Any]:
    """The values by position. Raises MienError where one is missing or left over."""
    wanted = [parameter for parameter in parameters if parameter.positional]
    rest = list(given)
    values: list[Any] = []
    for parameter in wanted:
        missing = MienError(f"{command} needs {parameter.spelling.upper()}: {parameter.text} See {command} --help.")
        if parameter.many:
            taken, rest = rest, []
            if not taken and (parameter.required or parameter.default is None):
                raise missing
            values += [taken] if get_origin(parameter.kind) is list else taken
        elif rest:
            values.append(rest.pop(0))
        elif parameter.required:
            raise missing
    if rest:
        names = " ".join(parameter.spelling.upper() for parameter in wanted) or "no input"
        raise MienError(f"{command} takes {names}; {rest[0]!r} is one word too many.")
    return values


def values_of(
    options: Mapping[str, str | list[str]], parameters: Iterable[Parameter], *, command: str
) -> dict[str, Any]:
    """{key: value} of options {key: text}, each read as the type of its parameter."""
    known = {parameter.key: parameter for parameter in parameters if not parameter.positional}
    values: dict[str, Any] = {}
    for key, text in options.items():
        if isinstance(text, list):
            values[key] = text
        elif key in known:
            values[key] = parse_value(text, known[key].kind, key=known[key].spelling)
        elif any(option.is_mapping and key.startswith(f"{option.key}.") for option in known.values()):
            values[key] = parse_value(text, Any, key=key)
        elif any(name.startswith(f"{key}.") for name in known):
            values[key] = _section_value(key, text, known)
        else:
            raise MienError(unknown_option(key, [option.spelling for option in known.values()], owner=command))
    return values


def _section_value(key: str, text: str, known: Iterable[str]) -> Any:
    """A mapping; its keys and values are checked where the section is built."""
    value = parse_value(text, Any, key=key)
    if not isinstance(value, dict):
        first = next(name for name in known if name.startswith(f"{key}."))
        raise MienError(f"{key} has options of its own (such as {first}); got {value!r}.")
    return value


def _keywords(function: Callable[..., Any], values: Mapping[str, Any], command: str) -> dict[str, Any]:
    """The keyword arguments: options of sections gathered in their dataclass, which checks them together."""
    gathered: dict[str, Any] = {}
    for key, value in values.items():
        gathered = merged(gathered, nested(key, value))
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _resolved(parameter.annotation, function)
        if is_dataclass(kind):
            check_keys(gathered.get(name, {}), kind, owner=command)
            gathered[name] = checked(gathered.get(name, {}), kind, key=name)
    return gathered


def help_text(function: Callable[..., Any], command: str, arguments: Sequence[str] = ()) -> str:
    """Usage, what the command does, its inputs and its options with their defaults.

    arguments: what stands beside `--help`; options that depend on inputs follow them. The module's `NOT_IN_HELP` names
    options that the command takes without using them.
    """
    parameters = parameters_of(function)
    named_inputs: list[tuple[str, str]] = []
    if _takes_overrides(function):
        parameters, named_inputs = _dependent(function, parameters, arguments, command)
    unused = function.__globals__.get("NOT_IN_HELP", ())
    inputs = [parameter for parameter in parameters if parameter.positional]
    options = [p for p in parameters if not p.positional and p.key not in unused]
    about = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:\n")[0].strip()
    lines = [f"usage: {' '.join([command, *_usage(inputs, options)])}", "", about, ""]
    lines += [line for one in inputs for line in _row(f"  {one.spelling.upper()}", one.text)]
    lines += list(_one_line_each(named_inputs))
    lines += [""] if inputs else []
    return "\n".join([*lines, *_option_rows(options)]).rstrip()


def _dependent(
    function: Callable[..., Any], parameters: list[Parameter], arguments: Sequence[str], command: str
) -> tuple[list[Parameter], list[tuple[str, str]]]:
    """The parameters for what stands beside `--help`, or, where nothing does, also the inputs known by name."""
    mark = _options_from(function)
    given, options = split_arguments(arguments, parameters, command=command)
    inputs = [parameter for parameter in parameters if parameter.positional]
    found = _imported(mark.target)(given, options, detailed=bool(given or options))
    named = _imported(mark.inputs)() if mark.inputs and not (given or options) else []
    return [*inputs, *found], list(named)


def _usage(inputs: Sequence[Parameter], options: Sequence[Parameter]) -> Iterator[str]:
    for one in inputs:
        name = one.spelling.upper() + (" ..." if one.many else "")
        yield name if one.required else f"[{name}]"
    yield from (f"--{option.spelling} {option.placeholder}" for option in options if option.required)
    if options:
        yield "[--option value ...]"


def _option_rows(options: Sequence[Parameter]) -> Iterator[str]:
    """Ungrouped options first, then each group under its heading."""
    for group in dict.fromkeys(["", *(option.group for option in options)]):
        if group:
            yield from ("", group.rstrip(".") + ":")
        for option in options:
            if option.group == group:
                yield from _row(f"  --{option.spelling} {option.placeholder}", option.text + _default_text(option))


def _default_text(option: Parameter) -> str:
    if option.required:
        return " [required]"
    value = option.default
    if value is None or value in ("", {}):
        return ""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f" {text}" if isinstance(value, list | tuple) else f" [{text}]"


def _one_line_each(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    column = max((len(name) for name, _ in rows), default=0) + 6
    for name, text in rows:
        yield f"    {name:<{column - 4}}{textwrap.shorten(text, _width() - column, placeholder=' ...')}"


def _width() -> int:
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))


def _row(left: str, text: str) -> list[str]:
    column, width = 30, _width()
    lines = textwrap.wrap(text, width - column) or [""]
    first = [f"{left:<{column}}{lines[0]}"] if len(left) < column else [left, " " * column + lines[0]]
    return [*first, *(" " * column + line for line in lines[1:])]
