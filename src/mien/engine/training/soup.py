"""A soup: runs that differ in their seed alone, whose weights are averaged into one network (uniform soup).

Wortsman et al., Model soups, ICML 2022. It helps where the runs start from the same trained weights and stay near them:
such runs err in different places, and the average costs no more to use than one of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from mien.core.errors import MienError
from mien.data.datamodule import FaceDataModule
from mien.engine.training.config import MAX_SEEDS, FitConfig
from mien.engine.training.run_folder import RunFolder
from mien.systems.bundle import load, read_info
from mien.systems.stage import Stage


@dataclass(frozen=True)
class Member:
    """A run of a soup."""

    bundle: Path
    """Of its best epoch."""
    seed: int
    """Of its weights, order and augmentation."""
    epoch: int
    """The best one, from 1."""
    scores: dict[str, float]
    """In that epoch, on the validation faces that all members share."""
    seconds: float
    """Of training and validation."""


def member_configs(config: FitConfig) -> list[FitConfig]:
    """The runs: the same faces in the same split, and a seed of its own for fresh weights, order and augmentation."""
    return [_member(config, number) for number in range(config.trainer.soup)]


def _member(config: FitConfig, number: int) -> FitConfig:
    folder = Path(config.output) / f"member_{number}"
    seed, order = (MAX_SEEDS * before + number for before in (config.trainer.seed, config.data.seed))
    return replace(
        config,
        output=str(folder),
        resume=config.resume and (folder / "config.yaml").is_file(),
        data=replace(config.data, order_seed=order),
        trainer=replace(config.trainer, seed=seed, seeds=0, soup=0),
    )


def begin_soup(config: FitConfig) -> RunFolder:
    """The folder of the whole. Raises MienError where it holds runs of another config or ones not to be resumed."""
    run = RunFolder(Path(config.output))
    if RunFolder(run.root / "member_0").config.is_file():
        if not config.resume:
            raise MienError(f"{run.root} holds a run. Resume it with --resume true, or name another --output.")
        if run.config.is_file():
            run.refuse_changes(config)
    return run


def mean_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of each tensor of floats, computed in float32; whole numbers (BatchNorm's counter) are the first's."""
    first = states[0]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in first.items()
    }


def fill_with_mean(stage: Stage, data: FaceDataModule, members: Sequence[Member]) -> None:
    """Gives the stage's network the members' mean weights.

    BatchNorm's statistics are averaged where the members kept those of their start, which they then share; else they
    are those of the averaged network on the training faces, since means of statistics are not its statistics.
    """
    stage.load_weights(mean_state([load(member.bundle).state_dict() for member in members]))
    if not stage.step_options.freeze_batch_norm:
        _estimate_statistics(stage, data)


@torch.no_grad()
def _estimate_statistics(stage: Stage, data: FaceDataModule) -> None:
    """The means over one pass of the training faces, for the layers that learn theirs."""
    modules = stage.train().system.modules()
    norms = [each for each in modules if isinstance(each, BatchNorm) and each.training and each.track_running_stats]
    if not norms:
        return
    stage.to("cuda" if torch.cuda.is_available() else "cpu")
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean of all batches
    for batch in data.train_dataloader():
        if len(batch) > 1:
            stage.system(*batch.map(lambda value: value.to(stage.device)).take(stage.system.input_names))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    stage.cpu()


def described(members: Sequence[Member]) -> dict[str, Any]:
    """What a bundle and a report say of the soup."""
    return {
        "members": len(members),
        "seeds": [member.seed for member in members],
        "epochs": [member.epoch for member in members],
        "models": [read_info(member.bundle).model_id for member in members],
    }


def metric_lines(
    scores: Mapping[str, float], members: Sequence[Member], protocol: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """metrics.jsonl: each score of the soup, with those of its members beside it."""
    return [
        {"metric": name, "value": value, "members": [member.scores.get(name) for member in members], **protocol}
        for name, value in scores.items()
    ]


def spread_line(scores: Mapping[str, float], members: Sequence[Member]) -> str:
    """`mean weights of 4 members: accuracy 0.7433 (members 0.6983 to 0.7351) on validation`."""
    parts = []
    for name, value in scores.items():
        values = [member.scores[name] for member in members]
        parts.append(f"{name.removeprefix('val/')} {value:.4f} (members {min(values):.4f} to {max(values):.4f})")
    return f"mean weights of {len(members)} members: {', '.join(parts)} on validation"
