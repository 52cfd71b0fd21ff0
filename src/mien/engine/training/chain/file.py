"""A chain: the runs of a system's stages in order, and which start from whose bundles. No torch is imported here.

    steps:
      face: {config: can/1a_face}
      classifier: {config: can/2_face_expression, init: {face: face}, options: {trainer.epochs: 20}}

`init` names an earlier step for each role of the stage. A chain of models to compare also has `compare`, the step that
the others are compared with, and may have options of all steps:

    options: {trainer.epochs: 20}
    compare: photo
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mien.cli.option_keys import unknown_option
from mien.cli.parameters import Parameter, section
from mien.cli.values import dotted_keys
from mien.core.errors import MienError, nearest
from mien.core.options import from_plain
from mien.core.typed import checked
from mien.engine.training.config import FitConfig, config_mapping, find_config, is_chain, list_chains

OWN = ("init", "resume")  # of a run, and the chain's own business
STEPS, COMPARE, OPTIONS = "steps", "compare", "options"


@dataclass(frozen=True)
class Step:
    """One run of the chain."""

    config: str
    """Config of the run, as `mien fit` takes it."""
    init: dict[str, str] = field(default_factory=dict)
    """Role of the stage → the earlier step whose bundle it starts from."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the run by dotted key, as after `--` of `mien fit`."""


@dataclass(frozen=True)
class Chain:
    """What a chain's file says."""

    path: Path
    """Of the file."""
    steps: dict[str, Step]
    """In order."""
    compare: str = ""
    """Step that all others are compared with at the end; empty for none."""

    @property
    def name(self) -> str:
        """Of the folder below runs/: `if3d/small` for if3d/small/chain, `mine` for FOLDER/mine.yaml."""
        known = next((name for name in list_chains() if find_config(name) == self.path), "")
        own = self.path.resolve()
        return known.removesuffix("/chain") or (own.parent.name if own.stem == "chain" else own.stem)


def read_chain(name: str) -> Chain:
    """Raises MienError for no chain, and for a role that no earlier step fills."""
    path = find_config(name)
    values = config_mapping(path)
    if not is_chain(values) or values.keys() - {STEPS, COMPARE, OPTIONS}:
        known = ", ".join(list_chains())
        raise MienError(
            f"{path} is no chain: a chain has {STEPS}, with the runs by name, and may have {COMPARE}, the name of one, "
            f"and {OPTIONS} of all. mien brings: {known}."
        )
    common = checked(values.get(OPTIONS, {}), dict[str, Any], key=f"{path}: {OPTIONS}")
    steps: dict[str, Step] = {}
    for step, stated in checked(values[STEPS], dict[str, Any], key=f"{path}: {STEPS}").items():
        found: Step = from_plain(Step, stated, where=f"{path}: {STEPS}.{step}", what="key")
        for role, source in found.init.items():
            if source not in steps:
                earlier = nearest(source, steps) or f" Earlier ones: {', '.join(steps) or 'none'}."
                raise MienError(f"{path}: {step} starts from {role}: {source}, which is no earlier step.{earlier}")
        steps[step] = replace(found, options={**common, **found.options})
    if not steps:
        raise MienError(f"{path}: a chain without a step.")
    reference = values.get(COMPARE, "")
    if reference and reference not in steps:
        raise MienError(f"{path}: {COMPARE} names {reference!r}, which is no step.{nearest(str(reference), steps)}")
    return Chain(path, steps, str(reference))


def overridden(steps: Mapping[str, Step], overrides: Mapping[str, Any]) -> dict[str, Step]:
    """The steps with the options of a command line: those of all steps, then those of one, `steps.NAME.KEY`.

    Raises MienError for a step that there is not.
    """
    common = {key: value for key, value in overrides.items() if not key.startswith(f"{STEPS}.")}
    found = {name: replace(step, options={**step.options, **common}) for name, step in steps.items()}
    for key, value in overrides.items():
        if key in common:
            continue
        _, name, option = (*key.split(".", 2), "")[:3]
        if name not in steps:
            raise MienError(f"The chain has no step {name!r}. It has: {', '.join(steps)}.")
        if not option:
            raise MienError(f"--{key} needs an option of the step after it, such as --{key}.trainer.epochs 20.")
        if option.partition(".")[0] not in {known.partition(".")[0] for known in dotted_keys(FitConfig)} - {*OWN}:
            raise MienError(unknown_option(key, [f"{STEPS}.{name}.{known}" for known in dotted_keys(FitConfig)]))
        found[name] = replace(found[name], options={**found[name].options, option: value})
    return found


def chain_parameters(inputs: Sequence[str], options: Mapping[str, str], *, detailed: bool) -> list[Parameter]:
    """The options of `mien chain`: those of a run, for all steps, and those of single steps."""
    known = [p for p in section(FitConfig, "") if p.key not in (*OWN, "output")]
    output = Parameter(
        "output",
        str,
        "",
        "folder of the chain, with a run folder for each step; runs/CHAIN, without its last /chain, by default",
    )
    about = "options of one step, such as --steps.face.trainer.epochs 20"
    return [output, Parameter(STEPS, dict[str, Any], {}, about), *known]


def described_chains() -> list[tuple[str, str]]:
    """Each chain that mien brings, with its steps."""
    return [(name, _order(read_chain(name))) for name in list_chains()]


def _order(chain: Chain) -> str:
    """`face → voice`; of models that are compared `photo, render, linear`."""
    return (", " if chain.compare else " → ").join(chain.steps)
