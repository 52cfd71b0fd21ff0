"""The words of a command: parser and help, made from the signature and the docstring of its function.

Parameters that may be given by position become inputs, keyword-only ones become options (`min_face` is `--min-face`), a
dataclass becomes a section of dotted options (`--data.root`). The docstring's `Args:` say what each is for.
"""

import inspect
import re
import shutil
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from mien.core.errors import MienError, nearest

TRUE_OR_FALSE = ("true", "false", "yes", "no")
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
    def repeated(self) -> bool:
        """An option that may be given several times, once for each value: its type is a list of text."""
        return not self.positional and list[str] in (self.kind, self.plain)

    @property
    def needed(self) -> bool:
        return self.default is NO_VALUE


def words_of(function: Callable[..., Any]) -> list[Word]:
    """The inputs and options of a command, in the order of its signature, sections unfolded."""
    texts, words = argument_texts(function), []
    for name, parameter in inspect.signature(function).parameters.items():
        kind = _resolved(parameter.annotation, function)
        if is_dataclass(kind):
            words += list(_section(kind, name))
            continue
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        many = parameter.kind is parameter.VAR_POSITIONAL or (
            positional and re.search("list|Sequence", str(kind)) is not None
        )
        words.append(Word(name, kind, parameter.default, texts.get(name, ""), positional, many))
    return words


def _section(kind: Any, prefix: str) -> Iterator[Word]:
    texts, hints = argument_texts(kind), get_type_hints(kind)
    for field in fields(kind):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        default = NO_VALUE if default is MISSING else default
        yield Word(f"{prefix}.{field.name}", hints[field.name], default, texts.get(field.name, ""))


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


def call(function: Callable[..., Any], arguments: Sequence[str], *, command: str) -> Any:
    """What the function returns for these words. Raises MienError for words that do not fit its signature."""
    words = words_of(function)
    inputs, options = sorted_out(arguments, words, command=command)
    given = _inputs(inputs, words, command=command)
    for word in words:
        if word.needed and not word.positional and word.key not in options:
            raise MienError(f"{command} needs --{word.shown} {word.values}: {word.text}")
    return function(*given, **_values(function, options, words))


def sorted_out(
    arguments: Sequence[str], words: Sequence[Word], *, command: str
) -> tuple[list[str], dict[str, str | list[str]]]:
    """Inputs and options {key: text}, however they are mixed; after `--` all is input.

    `--flag` alone is true, `--no-flag` false. An option that may be repeated has the list of its texts.
    """
    inputs: list[str] = []
    options: dict[str, str | list[str]] = {}
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
        key = spelled.replace("-", "_") if "." in spelled else option.key
        earlier = options.get(key)
        options[key] = [*(earlier if isinstance(earlier, list) else ()), value] if option.repeated else value
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


def _values(function: Callable[..., Any], options: dict[str, str | list[str]], words: Sequence[Word]) -> dict[str, Any]:
    """The options as the types that the signature names, checked by jsonargparse; lists of text are what they are."""
    from jsonargparse import ArgumentError, ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    lists = {key: value for key, value in options.items() if isinstance(value, list)}
    texts = {key: value for key, value in options.items() if isinstance(value, str)}
    skipped: set[str | int] = {word.key for word in words if word.positional or word.repeated}
    parser.add_function_arguments(function, as_group=False, skip=skipped, fail_untyped=False)
    try:
        parsed = parser.parse_args([f"--{key}={value}" for key, value in texts.items()])
    except ArgumentError as error:
        raise MienError(_plainly(str(error), texts)) from error
    return dict(vars(parser.instantiate(parsed))) | lists


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
    lines += [line for word in options for line in _row(f"  --{word.shown} {word.values}", word.text + _default(word))]
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
