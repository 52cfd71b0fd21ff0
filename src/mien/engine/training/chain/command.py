"""`mien chain`: trains the stages of a system one after the other, handing bundles over by role; or several models on
one protocol, over several seeds, which are compared at the end.

OUTPUT/STEP is the run folder of a step, as of `mien fit`; with seeds OUTPUT/seed_N/STEP, a whole chain for each seed. A
step is finished when chain.json beside it says so; the same command goes on with the first one that is not, within its
training where it was interrupted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from mien.cli.parameters import OptionsFrom
from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.engine.training.chain.file import Step
    from mien.engine.training.config import FitConfig

STATE, SEEDS = "chain.json", "trainer.seeds"


def chain(
    name: str,
    **overrides: Annotated[
        Any,
        OptionsFrom(
            "mien.engine.training.chain.file:chain_parameters",
            inputs="mien.engine.training.chain.file:described_chains",
        ),
    ],
) -> str:
    """Train all stages of a system in order, each from the bundles of earlier ones; or several models, and compare.

    The same command goes on after an interruption. Options are those of `mien fit` and hold for every step;
    --steps.STEP.KEY VALUE holds for one. --trainer.seeds 3 trains the whole chain for each seed. A chain that names a
    step to compare with ends in comparison.md, .csv and .json: mean and deviation over the seeds, McNemar's test and
    paired intervals on data.test_split.

    Args:
        name: chain: a YAML file, or the name of a packaged one.
    """
    from mien.engine.training.chain.file import overridden, read_chain
    from mien.engine.training.fit import check_packages

    check_packages("mien chain")
    chosen = read_chain(name)
    output = Path(str(overrides.pop("output", "") or f"runs/{chosen.name}"))
    seeds = _seeds(overrides.pop(SEEDS, 0))
    steps = overridden(chosen.steps, overrides)
    runs = {folder: _configs(_with_seed(steps, seed), folder) for seed, folder in _folders(output, seeds).items()}
    for folder, configs in runs.items():
        _refuse_another_chain(folder, steps)
        _check_roles(configs, steps)
    _check_data(runs)
    for folder, configs in runs.items():
        _train(configs, folder)
    trained = f"All {len(steps)} steps are trained: " + ", ".join(
        f"{folder / step / 'bundle'}" for folder in runs for step in steps
    )
    if not chosen.compare:
        return trained
    from mien.engine.training.chain.comparison import compare_steps

    listed = {folder: list(configs.values()) for folder, configs in runs.items()}
    return f"{trained}\n\n{compare_steps(listed, list(steps), output, chosen.compare)}"


def _seeds(given: Any) -> tuple[int, ...]:
    from mien.engine.training.config import TrainerOptions

    return TrainerOptions(seeds=given).repeated


def _folders(output: Path, seeds: Sequence[int]) -> dict[int | None, Path]:
    """Of the chain for each seed; of one chain the output folder itself."""
    return {seed: output / f"seed_{seed}" for seed in seeds} if seeds else {None: output}


def _with_seed(steps: "Mapping[str, Step]", seed: int | None) -> "dict[str, Step]":
    """The same seed for weights, split, order and augmentation, as of `mien fit --trainer.seeds`."""
    own = {} if seed is None else {"trainer.seed": seed, "data.seed": seed}
    return {name: replace(step, options={**step.options, **own}) for name, step in steps.items()}


def _train(configs: "Mapping[str, FitConfig]", output: Path) -> None:
    """All steps of one chain, or what is left of them."""
    for step, config in configs.items():
        try:
            _through(step, config, output)
        except MienError as error:
            raise MienError(f"step {step}: {error}") from error
        except KeyboardInterrupt as error:
            error.add_note(f"The same command goes on with step {step}.")
            raise


def _configs(steps: "Mapping[str, Step]", output: Path) -> "dict[str, FitConfig]":
    """The whole config of each step. Raises MienError for what `mien fit` would refuse, before anything is trained."""
    from mien.engine.training.config import resolve, stage_defaults
    from mien.engine.training.setup import check_options

    found = {}
    for name, step in steps.items():
        bundles = {f"init.{role}": str(output / source / "bundle") for role, source in step.init.items()}
        stated = {**step.options, **bundles, "output": str(output / name)}
        try:
            found[name] = resolve([step.config], stated, defaults=stage_defaults, check=check_options)
        except MienError as error:
            raise MienError(f"step {name}: {error}") from error
        if found[name].trainer.repeated:
            raise MienError(
                f"step {name}: a chain trains each step once; leave trainer.seeds out of its config. --{SEEDS} repeats "
                "the whole chain."
            )
    return found


def _check_roles(configs: "Mapping[str, FitConfig]", steps: "Mapping[str, Step]") -> None:
    """Raises MienError for a role that a stage does not have, and for a step whose network it does not take."""
    from mien.engine.training.setup import init_bundles
    from mien.systems.registry import stage_class, system_class

    for name, config in configs.items():
        kind = stage_class(config.system.name, config.stage.name)
        try:
            init_bundles(config.init, kind)
        except MienError as error:
            raise MienError(f"step {name}: {error}") from error
        for role, source in steps[name].init.items():
            made = configs[source]
            system = stage_class(made.system.name, made.stage.name).system_name(made.system.name)
            if not issubclass(system_class(system), kind.starts_from[role]):
                wanted = " or ".join(each.name for each in kind.starts_from[role])
                raise MienError(f"step {name}: the role {role} takes a {wanted}; step {source} trains a {system}.")


def _refuse_another_chain(folder: Path, steps: "Mapping[str, Step]") -> None:
    """Raises MienError where the folder holds finished steps that this chain does not have."""
    if others := [step for step in _state(folder) if step not in steps]:
        raise MienError(
            f"{folder} holds another chain: it finished {', '.join(others)}; this one has {', '.join(steps)}. Name "
            "another --output."
        )


def _check_data(runs: "Mapping[Path, Mapping[str, FitConfig]]") -> None:
    """Opens the data set of each step that is left, so that a later one is not found missing after hours of training.

    Raises MienError for the first that cannot be opened.
    """
    opened = []
    for folder, configs in runs.items():
        done = _state(folder)
        for step, config in configs.items():
            data = replace(config.data, divide="", seed=0)  # dividing may look at pictures
            if step in done or data in opened:
                continue
            try:
                data.open()
            except MienError as error:
                raise MienError(f"step {step}: {error}") from error
            opened.append(replace(data))  # without the reader


def _through(step: str, config: "FitConfig", output: Path) -> None:
    """Trains the step, or what is left of it; does nothing where it is finished. Raises MienError for other options."""
    from mien.cli.text import plain_console
    from mien.engine.training.run import fit_config
    from mien.engine.training.run_folder import RunFolder
    from mien.systems.bundle import read_info

    run, done = RunFolder(Path(config.output)), _state(output)
    console = plain_console(soft_wrap=True)
    if step in done and run.bundle.is_dir() and read_info(run.bundle).model_id == done[step]:
        run.refuse_changes(config)
        console.print(f"step {step}: finished, {done[step]}", highlight=False)
        return
    console.print(f"step {step} in {config.output}", highlight=False)
    (result,) = fit_config(replace(config, resume=run.checkpoint.is_file()))
    _write_state(output, {**_state(output), step: result.model_id})


def _state(output: Path) -> dict[str, str]:
    """Model ids of the finished steps. Raises MienError for a damaged file."""
    path = output / STATE
    if not path.is_file():
        return {}
    try:
        return {str(step): str(model) for step, model in json.loads(path.read_text(encoding="utf-8")).items()}
    except (ValueError, AttributeError) as error:
        raise MienError(
            f"{path} is damaged. Delete it; steps that are finished are then only looked through."
        ) from error


def _write_state(output: Path, state: Mapping[str, str]) -> None:
    from mien.media.files import write_text

    write_text(output / STATE, json.dumps(state, indent=1) + "\n")
