"""`mien fit`: trains one stage of a system on labelled faces; the run folder gets a bundle, metrics and curves."""

import logging
import statistics
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.media.files import write_text

if TYPE_CHECKING:
    from rich.console import Console

    from mien.data.datamodule import FaceDataModule
    from mien.engine.training.config import FitConfig, TrainerOptions
    from mien.engine.training.history import Diary
    from mien.engine.training.loop import Keeper
    from mien.engine.training.run_folder import RunFolder
    from mien.systems.stage import Stage

NEEDS = ("torch", "lightning", "safetensors", "tensorboard")


@dataclass(frozen=True)
class FitResult:
    """folder: the run's; bundle: of the best epoch; scores: on the validation faces, by name, in that epoch."""

    folder: Path
    bundle: Path
    model_id: str
    scores: dict[str, float]
    best_epoch: int
    temperature: float
    seconds: float


def fit(*configs: str, output: str = "", resume: bool = False, **overrides: Any) -> list[FitResult]:
    """Trains and returns one result a seed.

    configs: YAML files or packaged names, later ones win; output alone goes on with the run it holds. overrides: dotted
    keys, `**{"data.root": "datasets/rafdb", "trainer.epochs": 20}`. Raises MienError for everything a user can mend.
    """
    from mien.engine.training.config import resolve

    given = {"output": output} if output else {}
    return fit_config(resolve(configs, overrides | given | ({"resume": True} if resume else {})))


def fit_command(arguments: Sequence[str]) -> list[FitResult]:
    """`mien fit ARGUMENTS`: the same from a command line."""
    from mien.engine.training.config import parse_fit

    return fit_config(parse_fit(arguments))


def fit_config(config: "FitConfig") -> list[FitResult]:
    """Trains as the config says: once, or once for each of its seeds."""
    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        raise MienError(f"mien fit needs {', '.join(missing)}, which is not installed: pip install 'mien[train]'.")
    from rich.console import Console

    console = Console(soft_wrap=True, quiet=not _is_first_process())
    config = replace(
        config, output=config.output or f"runs/{config.system.name}/{config.stage.name}_{config.data.name}"
    )
    seeds = config.trainer.repeated
    if not seeds:
        return [_fit_once(config, console)]
    if _is_first_process():
        write_text(Path(config.output) / "config.yaml", config.to_yaml())
    results = []
    for seed in seeds:
        console.print(f"seed {seed}")
        results.append(_fit_once(_with_seed(config, seed), console))
    _tell_spread(results, seeds, Path(config.output), console)
    return results


def _with_seed(config: "FitConfig", seed: int) -> "FitConfig":
    folder = Path(config.output) / f"seed_{seed}"
    return replace(
        config,
        output=str(folder),
        resume=config.resume and (folder / "config.yaml").is_file(),
        data=replace(config.data, seed=seed),
        trainer=replace(config.trainer, seed=seed, seeds=0),
    )


def _fit_once(config: "FitConfig", console: "Console") -> FitResult:
    from mien.engine.training.run_folder import RunFolder

    _quiet_lightning()
    run = RunFolder(Path(config.output))
    stage, data = build(config)
    if _is_first_process():
        run.begin(config)
    state = run.load() if config.resume else None
    diary = _diary(stage, state)
    if state is not None:
        data.load_state_dict(state["faces"])
        stage.resume(state)
    console.print(_opening(config, stage, data, diary), highlight=False)
    if stage.position.epoch < stage.epochs and not diary.exhausted(config.trainer.patience):
        _train(config.trainer, stage, data, keeper=_keeper(config, run, stage, data, diary), console=console)
    return _finish(run, diary, console)


def build(config: "FitConfig") -> tuple["Stage", "FaceDataModule"]:
    """The stage with its freshly initialised (or taken over) system, and its data with their index read."""
    import torch

    from mien.core.spec import PictureInput
    from mien.data.datamodule import FaceDataModule
    from mien.systems.registry import create_model, stage_class
    from mien.systems.stage import StepOptions, step_seed

    kind = stage_class(config.system.name, config.stage.name)
    labels = config.data.target_labels() if kind.needs_labels else None
    options = config.system.options | ({"legacy": True} if config.legacy else {})
    torch.manual_seed(step_seed(config.trainer.seed, 0, 0))
    system = create_model(kind.system_name(config.system.name), labels=labels, **options)
    framed = {} if config.data.crop_source == "box" else {"point_box": config.data.crop_source}
    system.inputs["image"] = PictureInput.from_dict(system.picture.to_dict() | framed | config.input)
    data = FaceDataModule(config.data, system.picture, labels)
    data.setup("fit")
    trainer = config.trainer
    step = StepOptions(
        seed=trainer.seed, parts=trainer.accumulate, bf16=trainer.precision == "bf16", legacy=config.legacy,
        channels_last=trainer.channels_last, compile=trainer.compile,
    )  # fmt: skip
    stage = kind(system, options=config.stage.options, optim=config.optim, step=step, epochs=trainer.epochs)
    stage.class_counts = tuple(int(n) for n in data.class_counts) if labels is not None else ()
    _start(stage, config)
    return stage, data


def _start(stage: "Stage", config: "FitConfig") -> None:
    """Takes over the weights of --init; refuses to begin from random weights where that makes no sense."""
    from mien.engine.bundles.predictor import bundle_folder
    from mien.systems.bundle import load

    if config.init and config.init != "random":
        stage.start_from(load(bundle_folder(config.init)))
    elif not config.init and (why := stage.needs_init()):
        raise MienError(why)


def _diary(stage: "Stage", state: dict[str, Any] | None) -> "Diary":
    from mien.engine.training.history import Diary

    if state is not None:
        return Diary(**state["diary"])
    return Diary(stage.monitor, stage.larger_is_better)


def _keeper(config: "FitConfig", run: "RunFolder", stage: "Stage", data: "FaceDataModule", diary: "Diary") -> "Keeper":
    from mien.engine.evaluation.contamination import remembered
    from mien.engine.training.loop import Keeper

    options, provenance = config.trainer, _provenance(config, stage, data)
    extra, about = remembered(data.selection, data=config.data.name, leaks=config.data.leaks, init=config.init)
    provenance |= about
    common = {name: provenance[name] for name in ("leaks", "split_file") if name in provenance}
    return Keeper(
        run, diary, steps=options.checkpoint_steps, minutes=options.checkpoint_minutes, patience=options.patience,
        keep_best=lambda stage, epoch: _keep(run, stage, epoch, provenance, extra), faces=data.state_dict(),
        about={"protocol": provenance["selection"], "split": "val", "seed": options.seed} | common,
    )  # fmt: skip


def _train(
    options: "TrainerOptions", stage: "Stage", data: "FaceDataModule", *, keeper: "Keeper", console: "Console"
) -> None:
    import lightning as L

    from mien.engine.training.loop import Feed, Interrupted, SharedGradients, processes, start_at
    from mien.engine.training.progress import Teller

    devices, nodes = processes(options.devices, options.nodes)
    root = keeper.run.root
    trainer = L.Trainer(
        max_epochs=options.epochs, accelerator="gpu" if options.device == "cuda" else options.device,
        devices=devices, num_nodes=nodes, strategy=SharedGradients() if devices * nodes > 1 else "auto",
        callbacks=[keeper, Teller(console, keeper.diary, bar=options.progress)], logger=False, default_root_dir=root,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        use_distributed_sampler=False, reload_dataloaders_every_n_epochs=1,
    )  # fmt: skip
    start_at(trainer, epoch=stage.position.epoch)
    try:
        trainer.fit(stage.train(), datamodule=Feed(data, stage))
    except Interrupted as error:
        console.print(f"Stopped in epoch {stage.position.epoch + 1}. Go on: mien fit --output {root} --resume true")
        raise KeyboardInterrupt from error


def _keep(
    run: "RunFolder", stage: "Stage", epoch: dict[str, float], provenance: dict[str, Any], extra: dict[str, bytes]
) -> tuple[str, float]:
    """Writes the bundle of this epoch; returns its hash and temperature."""
    from mien.engine.bundles.card import bundle_card
    from mien.systems.bundle import save_bundle

    temperature = stage.temperature(stage.predicted)
    scores = {name: value for name, value in epoch.items() if name.startswith("val/")}
    known = provenance | {"epoch": stage.position.epoch, "scores": scores}
    card = bundle_card(stage.judged, known)
    temperatures = {name: temperature for name, output in stage.judged.outputs.items() if output.kind == "classes"}
    info = save_bundle(run.bundle, stage.judged, temperatures=temperatures, provenance=known, card=card, extra=extra)
    return info.weight_hash, temperature


def _provenance(config: "FitConfig", stage: "Stage", data: "FaceDataModule") -> dict[str, Any]:
    """How the weights came about, as plain values without a path of this machine."""
    from mien import __version__
    from mien.engine.bundles.predictor import bundle_folder
    from mien.systems.bundle import read_info

    split = data.provenance()
    init = config.init or "none"
    if init not in ("none", "random"):
        init = read_info(bundle_folder(init)).model_id
    best = "highest" if stage.larger_is_better else "lowest"
    return {
        "stage": stage.name,
        "data": split["data"],
        "data_seed": split["seed"],
        "train": split["train"],
        "val": split["val"],
        **{name: split[name] for name in ("leaks", "split_file") if name in split},
        "seed": config.trainer.seed,
        "selection": f"epoch with the {best} {stage.monitor} on {split['val']['split']}",
        "init": init,
        "legacy": config.legacy,
        "mien": __version__,
    }


def _finish(run: "RunFolder", diary: "Diary", console: "Console") -> FitResult:
    from mien.report.page import training_report
    from mien.systems.bundle import read_info

    if not diary.best:
        raise MienError(f"{run.root}: no epoch was finished, so there is no bundle.")
    if _is_first_process():
        write_curves(run, diary)
        training_report(run.root)
    info = read_info(run.bundle) if _is_first_process() else None
    scores = {name: value for name, value in diary.best_scores.items() if name.startswith("val/")}
    said = ", ".join(f"{name.removeprefix('val/')} {value:.4f}" for name, value in scores.items())
    console.print(
        f"best epoch {diary.best}: {said} on validation; temperature {diary.temperature:.3f}\n"
        f"bundle {run.bundle}  report {run.root / 'report.html'}",
        highlight=False,
    )
    model_id = info.model_id if info else ""
    return FitResult(run.root, run.bundle, model_id, scores, diary.best, diary.temperature, diary.seconds)


def write_curves(run: "RunFolder", diary: "Diary") -> None:
    """curves.png: the losses, the scores and the learning rate by epoch, one above the other."""
    from PIL import Image

    from mien.media.files import atomic_path
    from mien.report.plots import curves_figure

    with TemporaryDirectory() as folder:
        panels = []
        for title, names in _panels(diary.epochs[0], diary.monitor).items():
            curves = {n: [(float(i), e[n]) for i, e in enumerate(diary.epochs, start=1)] for n in names}
            curves_figure(curves, title=title).png(Path(folder) / "panel.png")
            panels.append(Image.open(Path(folder) / "panel.png").convert("RGB"))
        sheet = Image.new("RGB", (max(p.width for p in panels), sum(p.height for p in panels)), "white")
        for i, panel in enumerate(panels):
            sheet.paste(panel, (0, sum(p.height for p in panels[:i])))
    with atomic_path(run.root / "curves.png") as path:
        sheet.save(path)


def _panels(epoch: dict[str, float], monitor: str) -> dict[str, list[str]]:
    """Title -> the values that share a scale."""
    scores = [name for name in epoch if name.startswith("val/") and name != "val/nll"]
    losses = [name for name in epoch if name.startswith("train/") or name == "val/nll"]
    return {"loss": losses, f"validation (chosen by {monitor})": scores, "learning rate": ["lr"]}


def _opening(config: "FitConfig", stage: "Stage", data: "FaceDataModule", diary: "Diary") -> str:
    selection = data.selection
    lines = [
        f"{stage.system.name}, stage {stage.name}, on {config.data.name}: {len(selection.train)} faces to train on, "
        f"{len(selection.val)} to choose the epoch by ({selection.names['val']})",
    ]
    if stage.class_counts:
        names = stage.system.labels.classes
        lines.append("classes: " + ", ".join(f"{n} {c}" for n, c in zip(names, stage.class_counts, strict=True)))
    moving = sum(p.numel() for p in stage.system.parameters() if p.requires_grad)
    total = sum(p.numel() for p in stage.system.parameters())
    optim = config.optim
    sam = f", SAM rho {optim.sam_rho:g}" if optim.sam_rho else ""
    lines.append(f"weights: {moving:,} of {total:,} move, {optim.name} lr {optim.lr:g}{sam}; output {config.output}")
    if diary.epochs or stage.position.batch:
        lines.append(f"going on in epoch {stage.position.epoch + 1} after batch {stage.position.batch}")
    return "\n".join(lines)


def _tell_spread(results: list[FitResult], seeds: Sequence[int], output: Path, console: "Console") -> None:
    """Mean and standard deviation (n - 1) over the seeds, said and written beside the runs."""
    from mien.engine.training.run_folder import RunFolder

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
    """Its banners say nothing about faces; its warnings on workers and eval modules are answered in the docs."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    for text in (".*does not have many workers.*", ".*eval mode.*", ".*transfer_batch_to_device.*", ".*LeafSpec.*"):
        warnings.filterwarnings("ignore", message=text)
