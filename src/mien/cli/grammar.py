"""The words of a command: parser and help, made from the signature and the docstring of its function.

Parameters that may be given by position become inputs, keyword-only ones become options (`min_face` is `--min-face`), a
dataclass becomes a section of dotted options (`--data.root`). The docstring's `Args:` say what each is for.
"""

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

from mien.cli.parameters import Word, options_from, words_of
from mien.core.errors import MienError, nearest

TRUE_OR_FALSE = ("true", "false", "yes", "no")


def call(function: Callable[..., Any], arguments: Sequence[str], *, command: str) -> Any:
    """What the function returns for these words. Raises MienError for words that do not fit its signature."""
    words = words_of(function)
    inputs, options = sorted_out(arguments, words, command=command)
    given = _inputs(inputs, words, command=command)
    if further := options_from(function):
        words = further(inputs, options, detailed=False)
    for word in words:
        if word.needed and not word.positional and word.key not in options:
            raise MienError(f"{command} needs --{word.shown} {word.values}: {word.text}")
    return function(*given, **_values(function, options, words))


def sorted_out(arguments: Sequence[str], words: Sequence[Word], *, command: str) -> tuple[list[str], dict[str, str]]:
    """Inputs and options {key: text}, however they are mixed; after `--` all is input.

    `--flag` alone is true, `--no-flag` false.
    """
    inputs: list[str] = []
    options: dict[str, str] = {}
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return inputs + rest, options
        if not re.match(r"--?[A-Za-z]", word):
            inputs.append(word)
            continue
        spelled, equals, value = word.lstrip("-").partition("=")
        option, negated = _option(spelled, words, command=command)
        if not equals:
            value = _value_after(option, negated, rest)
        options[spelled.replace("-", "_") if "." in spelled else option.key] = value
    return inputs, options


def _option(spelled: str, words: Sequence[Word], *, command: str) -> tuple[Word, bool]:
    """The option of that name, and whether it was written with `no-`."""
    key = spelled.replace("-", "_")
    for word in words:
        if word.positional:
            continue
        if key == word.key or (word.plain is bool and key == f"no_{word.key}"):
            return word, key != word.key
        if key.startswith(f"{word.key}.") and "dict" in str(word.kind):
            return word, False
    known = [f"--{word.shown}" for word in words if not word.positional]
    raise MienError(f"{command} has no option --{spelled}.{nearest(f'--{spelled}', known) or ' It has none.'}")


def _value_after(option: Word, negated: bool, rest: list[str]) -> str:
    if negated:
        return "false"
    if option.plain is bool:
        return rest.pop(0) if rest and rest[0].lower() in TRUE_OR_FALSE else "true"
    if not rest or rest[0].startswith("--"):
        raise MienError(f"--{option.shown} needs a value after it: {option.text or option.values}")
    return rest.pop(0)


def _inputs(given: list[str], words: Sequence[Word], *, command: str) -> list[Any]:
    """The values by position. Raises MienError where one is missing or left over."""
    wanted = [word for word in words if word.positional]
    rest = list(given)
    values: list[Any] = []
    for word in wanted:
        if word.many:
            taken, rest = rest, []
            if not taken and (word.needed or word.default is None):
                raise MienError(f"{command} needs {word.shown.upper()}: {word.text} See {command} --help.")
            star = "list" not in str(word.kind) and "Sequence" not in str(word.kind)
            values += taken if star else [taken]
        elif rest:
            values.append(rest.pop(0))
        elif word.needed:
            raise MienError(f"{command} needs {word.shown.upper()}: {word.text} See {command} --help.")
    if rest:
        names = " ".join(word.shown.upper() for word in wanted) or "no input"
        raise MienError(f"{command} takes {names}; {rest[0]!r} is one word too many.")
    return values


def _values(function: Callable[..., Any], options: dict[str, str], words: Sequence[Word]) -> dict[str, Any]:
    """The options as the types that the signature names, checked by jsonargparse."""
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    skipped: set[str | int] = {word.key for word in words if word.positional}
    if options_from(function):
        for word in words:
            parser.add_argument(f"--{word.key}", type=word.kind)
    else:
        parser.add_function_arguments(function, as_group=False, skip=skipped, fail_untyped=False)
    try:
        parsed = parser.parse_args([f"--{key}={value}" for key, value in options.items()])
    except ArgumentError as error:
        raise MienError(_plainly(str(error), options)) from error
    values = dict(vars(parser.instantiate(parsed)))
    return {key: values[key] for key in options} if options_from(function) else values


def _plainly(text: str, options: dict[str, str]) -> str:
    """jsonargparse's message about a value of the wrong kind, in one line."""
    line = " ".join(text.split())
    key = found[1] if (found := re.search(r'Parser key "([\w.]+)"', line)) else ""
    if "required" in line and not key:
        return line
    kinds = [k for k in dict.fromkeys(re.findall(r"<class '(\w+)'>|Literal(\[[^]]*\])", line)) if "NoneType" not in k]
    wanted = " or ".join(kind or f"one of {choices.strip('[]')}" for kind, choices in kinds)
    came = options.get(key, "")
    return (
        f"--{key if '.' in key else key.replace('_', '-')} must be {wanted or 'of another kind'}; got {came!r}."
        if key
        else line
    )


def help_text(function: Callable[..., Any], command: str) -> str:
    """Usage, what the command does, its inputs and its options with their defaults.

    Its module's `NOT_IN_HELP` names options that it takes without using them.
    """
    words, unused = words_of(function), function.__globals__.get("NOT_IN_HELP", ())
    inputs, options = [w for w in words if w.positional], [w for w in words if not w.positional and w.key not in unused]
    about = inspect.cleandoc(function.__doc__ or "").partition("\nArgs:\n")[0].strip()
    usage = [command, *(_usage(word) for word in inputs), *(f"--{w.shown} {w.values}" for w in options if w.needed)]
    usage += ["[--option value ...]"] if options else []
    lines = [f"usage: {' '.join(usage)}", "", about, ""]
    lines += [line for word in inputs for line in _row(f"  {word.shown.upper()}", word.text)]
    lines += [""] if inputs else []
    for group in dict.fromkeys(word.group for word in options):
        lines += ["", f"{group}:"] if group else []
        members = [word for word in options if word.group == group]
        lines += [
            line for word in members for line in _row(f"  --{word.shown} {word.values}", word.text + _default(word))
        ]
    return "\n".join(lines).rstrip()


def _usage(word: Word) -> str:
    name = word.shown.upper() + (" ..." if word.many else "")
    return name if word.needed else f"[{name}]"


def _default(word: Word) -> str:
    if word.needed:
        return " [needed]"
    return (
        ""
        if word.default in (None, "", {}, ())
        else f" [{str(word.default).lower() if word.plain is bool else word.default}]"
    )


def _row(left: str, text: str) -> list[str]:
    column, width = 30, max(60, min(120, shutil.get_terminal_size((100, 24)).columns))
    lines = textwrap.wrap(text, width - column) or [""]
    first = [f"{left:<{column}}{lines[0]}"] if len(left) < column else [left, " " * column + lines[0]]
    return [*first, *(" " * column + line for line in lines[1:])]
