"""The protocol of `systems/NAME/official.py`: which files of a paper were released, and how they become a system.

Importing such a module must not import torch: `mien weights list` and `--help` read FILES and ConvertOptions. A system
without the module has no released files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from mien.core.errors import MienError, nearest
from mien.systems import registry

if TYPE_CHECKING:
    from mien.systems.system import System

Contents = Mapping[str, Any]
"""What `read_checkpoint` returns for one file."""


@dataclass(frozen=True)
class ReleasedFile:
    """One released file, or several of one kind."""

    name: str
    """File name as released."""
    description: str
    """What it holds."""
    result: str
    """What `mien weights convert` makes of it."""


@runtime_checkable
class OfficialModule(Protocol):
    """What a module `systems/NAME/official.py` defines."""

    FILES: tuple[ReleasedFile, ...]
    """The released files that `convert` reads."""
    ConvertOptions: type[Any]
    """A frozen dataclass of this system's own options, each with a default and a docstring under it."""

    def recognise(self, contents: Contents) -> bool:
        """Whether one file, by the names in it, is a released file of this system."""

    def convert(self, files: Mapping[Path, Contents], options: Any) -> "tuple[System, list[str]]":
        """The network of the files, in eval mode, and report lines for the user. Every name must match.

        options: an instance of ConvertOptions. Raises MienError for files or options that do not fit.
        """


def official_modules() -> dict[str, OfficialModule]:
    """{system: its module} of all systems with released files, in the order of the registry.

    A package with several registered systems stands under the first of them.
    """
    packages: dict[str, str] = {}
    for name in registry.SYSTEMS:
        packages.setdefault(_package_of(name), name)
    return {name: _imported(package) for package, name in packages.items() if _has_official(package)}


def official_module(name: str) -> OfficialModule:
    """The module of a registered system. Raises MienError for an unknown name and for one without released files."""
    if name not in registry.SYSTEMS:
        raise MienError(f"No system {name!r}.{nearest(name, registry.SYSTEMS)}")
    if not _has_official(_package_of(name)):
        raise MienError(f"{name} has no released files. Systems that have some: {', '.join(official_modules())}.")
    return _imported(_package_of(name))


def convert_options(name: str, options: Mapping[str, Any]) -> Any:
    """The system's ConvertOptions. Raises MienError for an option that it does not have."""
    options_class = official_module(name).ConvertOptions
    check_options(name, options)
    return options_class(**options)


def check_options(name: str, options: Mapping[str, Any]) -> None:
    """Raises MienError for the first option that the system does not have, with the nearest or its owner."""
    known = option_names(official_module(name))
    for option in options:
        if option in known:
            continue
        owners = [other for other, module in official_modules().items() if option in option_names(module)]
        if owners:
            raise MienError(
                f"--system {name} converts without {_spelling(option)}, an option of --system {', '.join(owners)}. "
                f"It has {', '.join(map(_spelling, known)) or 'no options'}."
            )
        raise MienError(f"--system {name} has no option {_spelling(option)}.{_nearest_option(option, known)}")


def option_names(module: OfficialModule) -> list[str]:
    """The names of the fields of its ConvertOptions."""
    return [field.name for field in fields(module.ConvertOptions)]


def check_files(name: str, files: Mapping[Path, Contents]) -> None:
    """Raises MienError where a file is another system's, which it names. A file that no system recognises passes."""
    modules = official_modules()
    for path, contents in files.items():
        if official_module(name).recognise(contents):
            continue
        for other, module in modules.items():
            if module.recognise(contents):
                raise MienError(f"{path} is a released file of {other}, not of {name}: add --system {other}.")


def _spelling(option: str) -> str:
    return "--" + option.replace("_", "-")


def _nearest_option(option: str, known: list[str]) -> str:
    return nearest(_spelling(option), map(_spelling, known)) or " It has none."


def _package_of(name: str) -> str:
    return registry.SYSTEMS[name][0].partition(":")[0].rpartition(".")[0]


def _has_official(package: str) -> bool:
    return find_spec(f"{package}.official") is not None


def _imported(package: str) -> OfficialModule:
    return cast(OfficialModule, import_module(f"{package}.official"))
