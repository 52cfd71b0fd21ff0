"""Where an option stands in the YAML files of a run, so that an error names file and line."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.media.yaml_text import key_lines, text_lines

# Errors name these options without the section.
OWN = ("system.options.", "stage.options.", "data.augment.", "data.sound.", "data.reader.", "input.")
_NAME = re.compile(r"\w+(?:\.\w+)*")


def located(error: MienError, files: Sequence[Path], given: Collection[str]) -> MienError:
    """The error with file and line in front, where it is about an option of a file. given: options of the command."""
    for option in _options_in(str(error)):
        if any(_is(key, option) for key in given):
            return error
        for path in reversed(files):
            for key, line in key_lines(path).items():
                if _is(key, option):
                    return MienError(f"{path}, line {line}: {error}")
    return error


@contextmanager
def located_in(configs: Sequence[str], overrides: Mapping[str, Any], find: Callable[[str], Path]) -> Iterator[None]:
    """A MienError of the block that quotes a key or a value of a config, and of no override, begins with file and line:
    a run finds some mistakes only when it opens its data. find: the file of a config."""
    try:
        yield
    except MienError as error:
        quoted = re.findall(r"'([^']+)'", re.split(r" Did you mean | Known: ", str(error))[0])
        given = {str(value) for value in overrides.values()} | set(overrides)
        for text in quoted if not given & set(quoted) else ():
            for path in map(find, reversed(configs)):
                lines = text_lines(path) | {key: line for key, line in key_lines(path).items() if _is(key, text)}
                for found, line in lines.items():
                    if found == text or _is(found, text):
                        raise MienError(f"{path}, line {line}: {error}") from error
        raise


def _options_in(message: str) -> Iterator[str]:
    """What may be the name of an option: whole dotted names before single words, `model.width` also as `width`."""
    names = _NAME.findall(message)
    yield from (name for name in names if "." in name)
    yield from re.findall(r"'(\w+)'", message)
    yield from re.findall(r"--(\w+)", message)
    yield from (name.rpartition(".")[2] for name in names)


def _is(key: str, option: str) -> bool:
    return key == option or any(key == own + option for own in OWN)
