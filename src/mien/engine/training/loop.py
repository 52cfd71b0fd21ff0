"""What Lightning's Trainer is given beside the stage: loaders at the right place, gradients, checkpoints."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.tensorboard import SummaryWriter

from mien.core.records import Batch
from mien.data.datamodule import FaceDataModule, FaceLoader
from mien.engine.training.config import TrainerOptions
from mien.engine.training.history import History
from mien.engine.training.run_folder import RunFolder
from mien.engine.training.stop_signals import Interrupted, StopSignals
from mien.systems.stage import Stage

LOG_EVERY_STEPS = 50


class SharedGradients(DDPStrategy):
    """Several processes; the stage averages the gradients itself, once for each of SAM's passes.

    DistributedDataParallel averages on every backward, and refuses parameters that got no gradient.
    """

    def configure_ddp(self) -> None:
        assert self.model is not None
        for value in self.model.state_dict().values():
            torch.distributed.broadcast(value, src=0)


class ResumableData(L.LightningDataModule):
    """The data's loaders, beginning where the stage's position is."""

    def __init__(self, data: FaceDataModule, stage: Stage) -> None:
        super().__init__()
        self.data, self.stage = data, stage
        self._loader: FaceLoader | None = None

    def train_dataloader(self) -> "EpochLoader":
        """Called by the Trainer for each epoch; the loader beneath, with its workers, stays."""
        position = self.stage.position
        self.data.pin_memory = self.stage.device.type == "cuda"
        if self._loader is None:
            self.data.start_epoch, self.data.start_batch = position.epoch, position.batch
            self._loader = self.data.train_dataloader()
        self.stage.steps_per_epoch = _batches(self._loader)
        return EpochLoader(self._loader, epoch=position.epoch, skipped=position.batch)

    def val_dataloader(self) -> FaceLoader:
        return self.data.val_dataloader()


class EpochLoader:
    """The batches of one epoch that are left. Its length is true, which Lightning needs to validate at the end.

    A last batch of a single face is left out: BatchNorm cannot train on one value. Where only the validation of an
    epoch is left, there is one batch without faces, since Lightning skips an epoch without batches.
    """

    def __init__(self, loader: FaceLoader, *, epoch: int, skipped: int) -> None:
        self.loader, self.epoch, self.skipped = loader, epoch, skipped

    def __len__(self) -> int:
        return max(1, self._left())

    def __iter__(self) -> Iterator[Batch[torch.Tensor]]:
        self.loader.batch_sampler.sampler.set_epoch(self.epoch)  # type: ignore[union-attr]
        if self._left():
            yield from islice(self.loader, self._left())
        else:
            yield Batch(image=torch.zeros(0, 3, 1, 1), index=torch.zeros(0, dtype=torch.int64))

    def _left(self) -> int:
        return _batches(self.loader) - self.skipped


def _batches(loader: FaceLoader) -> int:
    """Of a whole epoch, in this process."""
    batches: Any = loader.batch_sampler
    alone = batches.batch_size > 1 and len(batches.sampler) % batches.batch_size == 1
    return max(1, len(loader) - int(alone and not batches.drop_last))


@dataclass(frozen=True)
class CheckpointOptions:
    """When the run folder is written, and with what."""

    steps: int
    """Within an epoch, after so many steps; 0 for not."""
    minutes: float
    """Within an epoch, after so many minutes; 0 for not."""
    patience: int
    """Epochs without a better one after which the run stops; 0 for endless."""
    save_best: Callable[[Stage, dict[str, float]], tuple[str, dict[str, float]]]
    """Writes the bundle of the stage as it is; returns its hash and its temperatures."""
    protocol: dict[str, Any]
    """What the scores were measured on, for metrics.jsonl."""
    faces: dict[str, Any]
    """The data's own state, which shows on resuming whether they are the same."""


class Checkpointer(L.Callback):
    """Writes the run folder: the checkpoint after steps, minutes and epochs, and after a better epoch the bundle."""

    def __init__(self, run: RunFolder, history: History, options: CheckpointOptions, signals: StopSignals) -> None:
        self.run, self.history, self.options, self.signals = run, history, options, signals
        self._saved_at = self._epoch_began = time.monotonic()
        self._writer: SummaryWriter | None = None

    def on_train_start(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        self._saved_at = time.monotonic()
        if trainer.is_global_zero:
            self._writer = SummaryWriter(self.run.logs, purge_step=stage.position.step or None)
        self.signals.install()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._writer is not None:
            self._writer.close()

    def on_train_epoch_start(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        self._epoch_began = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, stage: L.LightningModule, *rest: Any) -> None:
        assert isinstance(stage, Stage)
        position = stage.position
        if position.batch < stage.steps_per_epoch:  # the end of the epoch is written after its validation
            stops = self._asked_to_stop(trainer)
            if stops or self._due(position.step):
                self._save(stage)
            if stops:
                raise Interrupted(self.signals.received or signal.SIGTERM)
        if position.step % LOG_EVERY_STEPS == 0:
            means = {f"running/{name}": value for name, value in stage.losses.means().items()}
            self._log(means | stage.learning_rates(), position.step)

    def _asked_to_stop(self, trainer: L.Trainer) -> bool:
        """In any of the processes: they must all stop after the same step."""
        asked = self.signals.received is not None
        return asked if trainer.world_size == 1 else trainer.strategy.reduce_boolean_decision(asked, all=False)

    def _log(self, values: dict[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def _show(self, stage: Stage) -> None:
        """The stage's pictures, as a file and in TensorBoard."""
        sheet = stage.sheet()
        if sheet is not None:
            self.run.write_sheet(sheet, epoch=stage.position.epoch)
            if self._writer is not None:
                self._writer.add_image("sheet", sheet, stage.position.step, dataformats="HWC")

    def _due(self, step: int) -> bool:
        waited = time.monotonic() - self._saved_at
        steps, minutes = self.options.steps, self.options.minutes
        return bool(steps and step % steps == 0) or bool(minutes and waited > 60 * minutes)

    def on_validation_batch_end(self, trainer: L.Trainer, stage: L.LightningModule, *rest: Any) -> None:
        """Stops at once: the checkpoint has all steps of the epoch, and the resumed run begins with its validation."""
        assert isinstance(stage, Stage)
        if self.signals.received is not None and trainer.world_size == 1:
            self._save(stage)
            raise Interrupted(self.signals.received)

    def on_train_epoch_end(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        epoch = self._measured(stage)
        stage.begin_next_epoch()
        better = self.history.add(epoch)
        trainer.should_stop = trainer.should_stop or self.history.exhausted(self.options.patience)
        self._log(epoch, stage.position.step)
        if trainer.is_global_zero:
            self._show(stage)
            if better:
                self.history.bundle, self.history.temperatures = self.options.save_best(stage, epoch)
            self.run.write_metrics(self.history.lines(**self.options.protocol))
        self._save(stage)
        if self._asked_to_stop(trainer) and not trainer.should_stop and stage.position.epoch < stage.epochs:
            raise Interrupted(self.signals.received or signal.SIGTERM)

    def _measured(self, stage: Stage) -> dict[str, float]:
        """What happened in the epoch that ends: training losses, scores, learning rates, seconds."""
        seconds = time.monotonic() - self._epoch_began + self.history.unfinished_s
        self.history.unfinished_s = 0.0
        losses = {f"train/{name}": value for name, value in stage.losses.means().items()}
        scores = {f"val/{name}": value for name, value in stage.scores.items()}
        return {**losses, **scores, **stage.learning_rates(), "seconds": round(seconds, 3)}

    def _save(self, stage: Stage) -> None:
        """Raises MienError, and leaves the former checkpoint, where the training has diverged."""
        stage.check_finite()
        self._saved_at = time.monotonic()
        if stage.trainer.is_global_zero:
            spent = self.history.unfinished_s + time.monotonic() - self._epoch_began if stage.position.batch else 0.0
            history = replace(self.history, unfinished_s=spent)
            self.run.save(stage.snapshot() | {"history": asdict(history), "faces": self.options.faces})


def start_at(trainer: L.Trainer, *, epoch: int) -> None:
    """Lets the Trainer count from this epoch."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    progress.processed = progress.completed = epoch


def processes(devices: int, nodes: int) -> tuple[int, int]:
    """Processes on each machine, and machines: as torchrun started them, else as asked for."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    return here, (int(os.environ["WORLD_SIZE"]) // here if "WORLD_SIZE" in os.environ else nodes)


def create_trainer(options: TrainerOptions, *, callbacks: list[Any], root: Path) -> L.Trainer:
    """Lightning's, with nothing of its own that writes, shows or samples."""
    devices, nodes = processes(options.devices, options.nodes)
    return L.Trainer(
        max_epochs=options.epochs, accelerator="gpu" if options.device == "cuda" else options.device,
        devices=devices, num_nodes=nodes, strategy=SharedGradients() if devices * nodes > 1 else "auto",
        callbacks=callbacks, logger=False, default_root_dir=root, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0, use_distributed_sampler=False,
        reload_dataloaders_every_n_epochs=1, benchmark=True,
    )  # fmt: skip
