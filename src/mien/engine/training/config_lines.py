"""Where an option stands in the YAML files of a run, so that an error names file and line."""

import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from mien.core.errors import MienError
from mien.media.yaml_text import key_lines

OWN = ("system.options.", "stage.options.", "data.augment.", "input.")  # errors name these without the section
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


def _options_in(message: str) -> Iterator[str]:
    """What may be the name of an option: whole dotted names before single words, `model.width` also as `width`."""
    names = _NAME.findall(message)
    yield from (name for name in names if "." in name)
    yield from re.findall(r"'(\w+)'", message)
    yield from re.findall(r"--(\w+)", message)
    yield from (name.rpartition(".")[2] for name in names)


def _is(key: str, option: str) -> bool:
    return key == option or any(key == own + option for own in OWN)
