"""`mien fit`: trains one stage of a system on labelled faces; the run folder gets a bundle, metrics and curves.

Its help reads this module, which therefore imports nothing heavy at its top.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any

from mien.cli.parameters import OptionsFrom
from mien.core.errors import MienError
from mien.core.extras import install_hint

if TYPE_CHECKING:
    from mien.engine.training.config import FitConfig
    from mien.engine.training.run import FitResult

NEEDS = ("torch", "lightning", "safetensors", "tensorboard")


def fit(
    *configs: str,
    **overrides: Annotated[
        Any,
        OptionsFrom(
            "mien.engine.training.config:fit_parameters", inputs="mien.engine.training.config:described_configs"
        ),
    ],
) -> "list[FitResult]":
    """Train one stage of a system; the run folder gets a bundle, checkpoints, metrics and curves.

    `mien fit CONFIG --help` also lists the options of that network, stage and augmentation, with the config's values.

    Args:
        configs: YAML files or the names of packaged configs, later ones win; without any, --output RUN continues or
            repeats the run in that folder.
    """
    from mien.engine.training.config import find_config, resolve, stage_defaults
    from mien.engine.training.config_lines import located_in

    check_packages()
    config = resolve(configs, overrides, defaults=stage_defaults, check=_check_options)
    from mien.engine.training.run import fit_config

    with located_in(configs, overrides, find_config):
        return fit_config(config)


def fit_command(arguments: Sequence[str]) -> "list[FitResult]":
    """`mien fit ARGUMENTS`: the same from a command line."""
    from mien.engine.training.config import configs_and_overrides

    check_packages()
    configs, overrides = configs_and_overrides(arguments)
    return fit(*configs, **overrides)


def _check_options(config: "FitConfig") -> None:
    from mien.engine.training.setup import check_options

    check_options(config)


def check_packages(command: str = "mien fit") -> None:
    """Raises MienError where training, which the command does, lacks a package."""
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise MienError(f"{command} needs {', '.join(missing)}, which is not installed: {install_hint('train')}.")
