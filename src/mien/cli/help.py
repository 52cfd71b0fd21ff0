"""What `mien COMMAND --help` prints."""

import inspect
import json
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from mien.cli.grammar import split_arguments
from mien.cli.parameters import Parameter, accepts_overrides, options_from, parameters_of
from mien.core.extras import imported


def help_text(function: Callable[..., Any], command: str, arguments: Sequence[str] = ()) -> str:
    """Usage, what the command does, its inputs and its options with their defaults.

    arguments: what stands beside `--help`; options that depend on inputs follow them. The module's `NOT_IN_HELP` names
    options that the command takes without using them.
    """
    parameters = parameters_of(function)
    named_inputs: list[tuple[str, str]] = []
    if accepts_overrides(function):
        parameters, named_inputs = _dependent(function, parameters, arguments, command)
    unused = inspect.unwrap(function).__globals__.get("NOT_IN_HELP", ())
    inputs = [parameter for parameter in parameters if parameter.positional]
    options = [p for p in parameters if not p.positional and p.key not in unused]
    about = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:\n")[0].strip()
    lines = [f"usage: {' '.join([command, *_usage(inputs, options)])}", "", about, ""]
    lines += [line for one in inputs for line in _row(f"  {one.spelling.upper()}", one.text)]
    lines += list(_name_rows(named_inputs))
    lines += [""] if inputs else []
    return "\n".join([*lines, *_option_rows(options)]).rstrip()


def _dependent(
    function: Callable[..., Any], parameters: list[Parameter], arguments: Sequence[str], command: str
) -> tuple[list[Parameter], list[tuple[str, str]]]:
    """The parameters for what stands beside `--help`, or, where nothing does, also the inputs known by name."""
    mark = options_from(function)
    given, options = split_arguments(arguments, parameters, command=command)
    inputs = [parameter for parameter in parameters if parameter.positional]
    found = imported(mark.target)(given, options, detailed=bool(given or options))
    named = imported(mark.inputs)() if mark.inputs and not (given or options) else []
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
            yield from ("", f"{group[0].upper()}{group[1:].rstrip('.')}:")
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


def _name_rows(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    column = max((len(name) for name, _ in rows), default=0) + 6
    for name, text in rows:
        first, *more = textwrap.wrap(text, _width() - column) or [""]
        yield f"    {name:<{column - 4}}{first}"
        yield from (" " * column + line for line in more)


def _width() -> int:
    return max(60, min(120, shutil.get_terminal_size((100, 24)).columns))


def _row(left: str, text: str) -> list[str]:
    column, width = 30, _width()
    lines = textwrap.wrap(text, width - column) or [""]
    first = [f"{left:<{column}}{lines[0]}"] if len(left) < column else [left, " " * column + lines[0]]
    return [*first, *(" " * column + line for line in lines[1:])]
