"""A training run, or one for each of several seeds: from a config to a run folder with its bundle."""

import logging
import shlex
import signal
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from rich.console import Console

from mien.cli.memory import keep_freed_memory
from mien.cli.text import plain_console
from mien.core.errors import MienError
from mien.data.datamodule import FaceDataModule
from mien.data.readers.divided import Divided
from mien.engine.training.config import FitConfig, TrainerOptions
from mien.engine.training.curves import write_curves
from mien.engine.training.history import History, constant_warnings
from mien.engine.training.loop import (
    Checkpointer,
    CheckpointOptions,
    ResumableData,
    create_trainer,
    processes,
    start_at,
)
from mien.engine.training.progress import ProgressReporter
from mien.engine.training.provenance import bundle_writer
from mien.engine.training.run_folder import RunFolder
from mien.engine.training.setup import build, named_bundles
from mien.engine.training.soup import (
    Member,
    begin_soup,
    described,
    fill_with_mean,
    member_configs,
    metric_lines,
    spread_line,
)
from mien.engine.training.stop_signals import Interrupted, StopSignals
from mien.media.files import write_text
from mien.report.training import training_report
from mien.systems.bundle import read_info
from mien.systems.optim import depends_on_epochs
from mien.systems.stage import Stage

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class FitResult:
    """What a training run ends in."""

    folder: Path
    """The run's."""
    bundle: Path
    """Of the best epoch."""
    model_id: str
    """`system@weights` of the bundle."""
    scores: dict[str, float]
    """On the validation faces in the best epoch, by name."""
    best_epoch: int
    """Its number, from 1; 0 for a soup, whose members each have their own."""
    temperatures: dict[str, float]
    """Of the outputs of classes, by name."""
    seconds: float
    """Of training and validation."""


def fit_config(config: FitConfig) -> list[FitResult]:
    """Trains as the config says: once, or once for each of its seeds."""
    _check_device(config.trainer)
    keep_freed_memory()
    console = plain_console(soft_wrap=True, quiet=not _is_first_process())
    config = replace(
        config, output=config.output or f"runs/{config.system.name}/{config.stage.name}_{config.data.name}"
    )
    if config.trainer.soup and not named_bundles(config.init):
        log.warning("random weights: trainer.soup is for runs from the same trained ones and is left out")
        config = replace(config, trainer=replace(config.trainer, soup=0))
    seeds, fit = config.trainer.repeated, _fit_soup if config.trainer.soup else _fit_once
    if not seeds:
        return [fit(config, console)]
    if _is_first_process():
        write_text(Path(config.output) / "config.yaml", config.to_yaml())
    results = []
    for seed in seeds:
        console.print(f"seed {seed}")
        results.append(fit(_with_seed(config, seed), console, whole=Path(config.output)))
    _report_spread(results, seeds, Path(config.output), console)
    return results


def _with_seed(config: FitConfig, seed: int) -> FitConfig:
    folder = Path(config.output) / f"seed_{seed}"
    return replace(
        config,
        output=str(folder),
        resume=config.resume and (folder / "config.yaml").is_file(),
        data=replace(config.data, seed=seed),
        trainer=replace(config.trainer, seed=seed, seeds=0),
    )


def _fit_soup(config: FitConfig, console: Console, *, whole: Path | None = None) -> FitResult:
    """Trains the members, one after the other, and writes their mean. A resumed soup trains what is left of them."""
    run = begin_soup(config)
    members: list[Member] = []
    if _is_first_process():
        write_text(run.config, config.to_yaml())
    for number, member in enumerate(member_configs(config), start=1):
        console.print(f"member {number} of {config.trainer.soup}", highlight=False)
        result = _fit_once(member, console, whole=whole or run.root)
        members.append(Member(result.bundle, member.trainer.seed, result.best_epoch, result.scores, result.seconds))
    return _average(config, run, members, console)


def _average(config: FitConfig, run: RunFolder, members: Sequence[Member], console: Console) -> FitResult:
    """Writes the bundle of the members' mean weights, measured on the validation faces, and the report."""
    # The average of a member's weights, where it has one, is what its bundle holds.
    stage, data = build(replace(config, optim=replace(config.optim, ema=0.0)))
    fill_with_mean(stage, data, members)
    create_trainer(config.trainer, callbacks=[], root=run.root).validate(stage, datamodule=ResumableData(data, stage))
    scores = {f"val/{name}": value for name, value in stage.scores.items()}
    model_id = ""
    temperatures: dict[str, float] = {}
    if _is_first_process():
        save, protocol = bundle_writer(run, config, stage, data, soup=described(members))
        _write_split(config, run)
        weight_hash, temperatures = save(stage, scores)
        run.write_metrics(metric_lines(scores, members, protocol | {"bundle": weight_hash}))
        training_report(run.root)
        model_id = read_info(run.bundle).model_id
    lines = [spread_line(scores, members), f"bundle {run.bundle}  report {run.root / 'report.html'}"]
    console.print("\n".join([*lines, *_next_command(run)]), highlight=False)
    seconds = sum(member.seconds for member in members)
    return FitResult(run.root, run.bundle, model_id, scores, 0, temperatures, seconds)


def _write_split(config: FitConfig, run: RunFolder) -> None:
    """How the run divided its data set, where it did so itself."""
    if config.data.divide and isinstance(reader := config.data.open(), Divided) and not config.data.split_file:
        reader.file.write(run.split)


def _fit_once(config: FitConfig, console: Console, *, whole: Path | None = None) -> FitResult:
    """whole: the folder of the command's run, where this one is a part of it."""
    _quiet_lightning()
    run = RunFolder(Path(config.output))
    if not config.resume:
        config.data.refuse_inside(config.output)
    stage, data = build(config)
    if _is_first_process():
        run.begin(config, epochs_are_free=_epochs_are_free(stage))
        _write_split(config, run)
    state = run.load() if config.resume else None
    history = History(stage.monitor, stage.larger_is_better, keep_last=config.trainer.keep == "last")
    if state is not None:
        history = History(**state["history"])
        data.load_state_dict(state["faces"])
        stage.resume(state)
    else:
        stage.begin(data.plain_batches)
    console.print(_summary(config, stage, data, history), highlight=False)
    if stage.position.epoch < stage.epochs and not history.exhausted(config.trainer.patience):
        _train(
            config.trainer, stage, data, checkpointer=_checkpointer(config, run, stage, data, history), console=console,
            whole=whole or run.root,
        )  # fmt: skip
    return _finish(run, stage, history, console, alone=whole is None)


def _epochs_are_free(stage: Stage) -> bool:
    """Whether no learning rate depends on how many epochs the run is to have."""
    return not any(depends_on_epochs(o.optim or stage.optim_options) for o in stage.objectives())


def _checkpointer(
    config: FitConfig, run: RunFolder, stage: Stage, data: FaceDataModule, history: History
) -> Checkpointer:
    save_best, protocol = bundle_writer(run, config, stage, data)
    trainer = config.trainer
    options = CheckpointOptions(
        steps=trainer.checkpoint_steps, minutes=trainer.checkpoint_minutes, patience=trainer.patience,
        save_best=save_best, protocol=protocol, faces=data.state_dict(),
    )  # fmt: skip
    return Checkpointer(run, history, options, StopSignals())


def _train(
    options: TrainerOptions, stage: Stage, data: FaceDataModule, *, checkpointer: Checkpointer,
    console: Console, whole: Path,
) -> None:  # fmt: skip
    """Raises KeyboardInterrupt after Ctrl-C and SystemExit after SIGTERM and SIGHUP, with the state saved."""
    root = checkpointer.run.root
    reporter = ProgressReporter(console, checkpointer.history, bar=options.progress)
    trainer = create_trainer(options, callbacks=[checkpointer, reporter], root=root)
    start_at(trainer, epoch=stage.position.epoch)
    try:
        trainer.fit(stage.train(), datamodule=ResumableData(data, stage))
    except Interrupted as error:
        command = f"mien fit --output {shlex.quote(str(whole))} --resume true"
        where = f"in epoch {stage.position.epoch + 1}"
        console.print(f"Stopped by {error} {where}. Resume with: {command}", highlight=False)
        if error.number == signal.SIGINT:
            raise KeyboardInterrupt from error
        raise SystemExit(128 + error.number) from error
    finally:
        checkpointer.signals.restore()


def _check_device(options: TrainerOptions) -> None:
    """Raises MienError where this machine has fewer GPUs than processes are to run on them, or none for CUDA graphs."""
    wanted, found = processes(options.devices, options.nodes)[0], torch.cuda.device_count()
    if options.cuda_graph and (options.device == "cpu" or not found):
        raise MienError("--trainer.cuda_graph needs a GPU; this run is on the CPU. Leave it out.")
    if options.device == "cpu" or (options.device == "auto" and not found) or found >= wanted:
        return
    why = "" if torch.backends.cuda.is_built() else f" PyTorch {torch.__version__} is built without CUDA."
    fewer = f" or --trainer.devices {found}" if found else ""
    raise MienError(
        f"--trainer.device {options.device} --trainer.devices {wanted} needs {wanted} GPU{'s' * (wanted > 1)} on this "
        f"machine; PyTorch finds {found}.{why} Take --trainer.device cpu{fewer}."
    )


def _finish(run: RunFolder, stage: Stage, history: History, console: Console, *, alone: bool) -> FitResult:
    if not history.best:
        raise MienError(f"{run.root}: no epoch was finished, so there is no bundle.")
    if _is_first_process():
        write_curves(run.root / "curves.png", history)
        training_report(run.root)
    info = read_info(run.bundle) if _is_first_process() else None
    scores = {name: value for name, value in history.best_scores.items() if name.startswith("val/")}
    larger = {"accuracy": True, "balanced_accuracy": True, stage.monitor: stage.larger_is_better}
    lines = [_best_line(history, scores)]
    lines += constant_warnings(scores, stage.constant_scores, larger=larger, what=stage.constant_is)
    lines.append(f"bundle {run.bundle}  report {run.root / 'report.html'}")
    lines += _next_command(run) if alone else []
    console.print("\n".join(lines), highlight=False)
    model_id = info.model_id if info else ""
    return FitResult(run.root, run.bundle, model_id, scores, history.best, history.temperatures, history.seconds)


def _next_command(run: RunFolder) -> list[str]:
    """Where the run kept faces for testing."""
    command = f"mien evaluate {shlex.quote(str(run.root))}"
    return [f"Measure it on the faces that were kept for testing: {command}"] if run.split.is_file() else []


def _best_line(history: History, scores: dict[str, float]) -> str:
    values = ", ".join(f"{name.removeprefix('val/')} {value:.4f}" for name, value in scores.items())
    fitted = history.temperatures
    named = {f" of {name}" if len(fitted) > 1 else "": value for name, value in fitted.items()}
    temperatures = "".join(f"; temperature{of} {value:.3f}" for of, value in named.items())
    kept = "last" if history.keep_last else "best"
    return f"{kept} epoch {history.best}: {values} on validation{temperatures}"


def _summary(config: FitConfig, stage: Stage, data: FaceDataModule, history: History) -> str:
    """What is trained, on what and how: the first lines of a run."""
    selection = data.selection
    purpose = "calibrate on" if history.keep_last else "choose the epoch by"
    lines = [
        f"{stage.system.name}, stage {stage.name}, on {config.data.name}: {len(selection.train)} faces to train on, "
        f"{len(selection.val)} to {purpose} ({selection.names['val']})",
    ]
    if stage.class_counts:
        names = stage.system.labels.classes
        lines.append("classes: " + ", ".join(f"{n} {c}" for n, c in zip(names, stage.class_counts, strict=True)))
    trained = sum(p.numel() for p in stage.system.parameters() if p.requires_grad)
    total = sum(p.numel() for p in stage.system.parameters())
    optim = config.optim
    sam = f", SAM rho {optim.sam_rho:g}" if optim.sam_rho else ""
    lines.append(
        f"weights: {trained:,} of {total:,} are trained, {optim.name} lr {optim.lr:g}{sam}; output {config.output}"
    )
    if history.epochs or stage.position.batch:
        lines.append(f"resumed in epoch {stage.position.epoch + 1} after batch {stage.position.batch}")
    return "\n".join(lines)


def _report_spread(results: list[FitResult], seeds: Sequence[int], output: Path, console: Console) -> None:
    """Mean and standard deviation (n - 1) over the seeds, printed and written beside the runs."""
    lines = []
    for name in results[0].scores:
        values = [result.scores[name] for result in results]
        sd = statistics.stdev(values) if len(values) > 1 else None
        lines.append(
            {"metric": name, "mean": statistics.mean(values), "sd": sd, "values": values, "seeds": list(seeds)}
        )
        spread = f" ± {sd:.4f} (sd)" if sd is not None else ""
        console.print(f"{name} {lines[-1]['mean']:.4f}{spread} over {len(values)} seeds", highlight=False)
    if _is_first_process():
        RunFolder(output).write_metrics(lines)


def _is_first_process() -> bool:
    from lightning.pytorch.utilities import rank_zero_only

    return getattr(rank_zero_only, "rank", 0) in (0, None)


def _quiet_lightning() -> None:
    """Its banners say nothing about faces; the docs answer its warnings on workers and modules in eval mode."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for text in (".*does not have many workers.*", ".*eval mode.*", ".*transfer_batch_to_device.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message=text)
