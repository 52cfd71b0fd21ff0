"""The grammar of every command: its arguments, split and read as the types of its parameters.

--key value   --key=value   --flag   --no-flag   -- INPUT ...
"""

import inspect
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import is_dataclass
from typing import Any, get_origin

from mien.cli.option_keys import unknown_option
from mien.cli.parameters import (
    NO_VALUE,
    Parameter,
    accepts_overrides,
    options_from,
    parameters_of,
    resolved_type,
)
from mien.cli.values import FALSE, TRUE, check_keys, checked, merged, nested, parse_value
from mien.core.errors import MienError
from mien.core.extras import imported


def call(function: Callable[..., Any], arguments: Sequence[str], *, command: str) -> Any:
    """What the function returns for these arguments. Raises MienError for arguments that do not fit its signature."""
    parameters = parameters_of(function)
    given, options = split_arguments(arguments, parameters, command=command)
    inputs = _inputs(given, parameters, command=command)
    overrides = accepts_overrides(function)
    if overrides:
        parameters = imported(options_from(function).target)(given, options, detailed=False)
    for parameter in parameters:
        if parameter.required and not parameter.positional and parameter.key not in options:
            raise MienError(f"{command} needs --{parameter.spelling} {parameter.placeholder}: {parameter.text}")
    values = values_of(options, parameters, command=command)
    return function(*inputs, **(values if overrides else _keywords(function, values, command)))


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
        try:
            option, key, negated = _option(spelling, parameters, command=command)
        except MienError as error:
            if argument.startswith("--") or len(spelling) > 1:
                raise
            raise MienError(str(error).replace(f"--{spelling}", f"-{spelling}", 1)) from error
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
            if name == option.key.rstrip("_") and (option.is_flag or not negated):
                return option, option.key, negated and name != key
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
            own, rest = rest, []
            if not own and (parameter.required or parameter.default is None):
                raise missing
            values += [own] if get_origin(parameter.kind) is list else own
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
        kind = resolved_type(parameter.annotation, function)
        if is_dataclass(kind):
            check_keys(gathered.get(name, {}), kind, key=name, owner=command)
            gathered[name] = checked(gathered.get(name, {}), kind, key=name)
    return gathered
