"""What Lightning's Trainer is given beside the stage: loaders at the right place, gradients, checkpoints."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import islice
from types import FrameType
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch.utils.tensorboard import SummaryWriter

from mien.core.records import Batch
from mien.data.datamodule import FaceDataModule, FaceLoader
from mien.engine.training.history import Diary
from mien.engine.training.run_folder import RunFolder
from mien.systems.stage import Stage

LOG_EVERY_STEPS = 50


class Interrupted(Exception):  # noqa: N818 (not an error)
    """The user asked to stop; the state is written."""


class SharedGradients(DDPStrategy):
    """Several processes; the stage averages the gradients itself, once for each of SAM's passes.

    DistributedDataParallel averages on every backward, and refuses parameters that got no gradient.
    """

    def configure_ddp(self) -> None:
        assert self.model is not None
        for value in self.model.state_dict().values():
            torch.distributed.broadcast(value, src=0)


class Feed(L.LightningDataModule):
    """The data's loaders, beginning where the stage's position is."""

    def __init__(self, data: FaceDataModule, stage: Stage) -> None:
        super().__init__()
        self.data, self.stage = data, stage
        self._loader: FaceLoader | None = None

    def train_dataloader(self) -> "EpochLoader":
        """Called by the Trainer for each epoch; the loader beneath, with its workers, stays."""
        position = self.stage.position
        if self._loader is None:
            self.data.start_epoch, self.data.start_batch = position.epoch, position.batch
            self._loader = self.data.train_dataloader()
        self.stage.steps_per_epoch = _batches(self._loader)
        return EpochLoader(self._loader, epoch=position.epoch, skipped=position.batch)

    def val_dataloader(self) -> FaceLoader:
        return self.data.val_dataloader()


class EpochLoader:
    """The batches of one epoch that are left. Its length is true, which Lightning needs to validate at the end.

    A last batch of a single face is left out: BatchNorm cannot train on one value.
    """

    def __init__(self, loader: FaceLoader, *, epoch: int, skipped: int) -> None:
        self.loader, self.epoch, self.skipped = loader, epoch, skipped

    def __len__(self) -> int:
        return _batches(self.loader) - self.skipped

    def __iter__(self) -> Iterator[Batch[torch.Tensor]]:
        self.loader.batch_sampler.sampler.set_epoch(self.epoch)  # type: ignore[union-attr]
        yield from islice(self.loader, len(self))


def _batches(loader: FaceLoader) -> int:
    """Of a whole epoch, in this process."""
    batches: Any = loader.batch_sampler
    alone = batches.batch_size > 1 and len(batches.sampler) % batches.batch_size == 1
    return max(1, len(loader) - int(alone and not batches.drop_last))


class Keeper(L.Callback):
    """Writes the run folder: the checkpoint after steps, minutes and epochs, and after a better epoch the bundle.

    keep_best: writes the bundle of the stage as it is; returns its hash and its temperature. about: what the scores
    were measured on, for metrics.jsonl. faces: the data's own state, to see on resuming that they are the same.
    """

    def __init__(
        self, run: RunFolder, diary: Diary, *, steps: int, minutes: float, patience: int,
        keep_best: Callable[[Stage, dict[str, float]], tuple[str, float]], about: dict[str, Any], faces: dict[str, Any],
    ) -> None:  # fmt: skip
        self.run, self.diary = run, diary
        self.steps, self.minutes, self.patience = steps, minutes, patience
        self.keep_best, self.about, self.faces = keep_best, about, faces
        self._saved_at = self._epoch_began = time.monotonic()
        self._stop_asked = False
        self._previous: Any = None
        self._writer: SummaryWriter | None = None

    def on_train_start(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        self._saved_at = time.monotonic()
        if trainer.is_global_zero:
            self._writer = SummaryWriter(self.run.logs, purge_step=stage.position.step or None)
        self._previous = signal.getsignal(signal.SIGINT)
        signal.signal(signal.SIGINT, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C waits for the end of the step, the second does not."""
        self._stop_asked = True
        signal.signal(signal.SIGINT, signal.default_int_handler)

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        if self._previous is not None:
            signal.signal(signal.SIGINT, self._previous)
        if self._writer is not None:
            self._writer.close()

    def on_train_epoch_start(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        self._epoch_began = time.monotonic()

    def on_train_batch_end(self, trainer: L.Trainer, stage: L.LightningModule, *rest: Any) -> None:
        assert isinstance(stage, Stage)
        position = stage.position
        if position.batch < stage.steps_per_epoch:  # the end of the epoch is written after its validation
            if self._stop_asked or self._due(position.step):
                self._save(stage)
            if self._stop_asked:
                raise Interrupted
        if position.step % LOG_EVERY_STEPS == 0:
            means = {f"running/{name}": float(total) / position.batch for name, total in stage.term_sums.items()}
            self._log(means | {"lr": stage.last_rate}, position.step)

    def _log(self, values: dict[str, float], step: int) -> None:
        if self._writer is not None:
            for name, value in values.items():
                self._writer.add_scalar(name, value, step)

    def _due(self, step: int) -> bool:
        waited = time.monotonic() - self._saved_at
        return bool(self.steps and step % self.steps == 0) or bool(self.minutes and waited > 60 * self.minutes)

    def on_validation_batch_end(self, *rest: Any) -> None:
        if self._stop_asked:
            raise Interrupted

    def on_train_epoch_end(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        epoch = self._measured(stage)
        stage.begin_next_epoch()
        better = self.diary.add(epoch)
        trainer.should_stop = trainer.should_stop or self.diary.exhausted(self.patience)
        self._log(epoch, stage.position.step)
        if trainer.is_global_zero:
            if better:
                self.diary.bundle, self.diary.temperature = self.keep_best(stage, epoch)
            self.run.write_metrics(self.diary.lines(**self.about))
        self._save(stage)
        if self._stop_asked and not trainer.should_stop and stage.position.epoch < stage.epochs:
            raise Interrupted

    def _measured(self, stage: Stage) -> dict[str, float]:
        """What happened in the epoch that ends: training losses, scores, the last rate, seconds."""
        terms = stage.mean_terms()
        seconds = time.monotonic() - self._epoch_began + self.diary.unfinished_s
        self.diary.unfinished_s = 0.0
        losses = {f"train/{name}": value for name, value in terms.items()}
        scores = {f"val/{name}": value for name, value in stage.scores.items()}
        return {**losses, **scores, "lr": stage.last_rate, "seconds": round(seconds, 3)}

    def on_exception(self, trainer: L.Trainer, stage: L.LightningModule, exception: BaseException) -> None:
        """A cluster's SIGTERM arrives between two steps."""
        if isinstance(exception, SIGTERMException) and isinstance(stage, Stage) and stage.position.batch:
            self._save(stage)

    def _save(self, stage: Stage) -> None:
        self._saved_at = time.monotonic()
        if stage.trainer.is_global_zero:
            spent = self.diary.unfinished_s + time.monotonic() - self._epoch_began if stage.position.batch else 0.0
            diary = replace(self.diary, unfinished_s=spent)
            self.run.save(stage.snapshot() | {"diary": asdict(diary), "faces": self.faces})


def start_at(trainer: L.Trainer, *, epoch: int) -> None:
    """Lets the Trainer count from this epoch."""
    progress: Any = trainer.fit_loop.epoch_progress.current
    progress.processed = progress.completed = epoch


def processes(devices: int, nodes: int) -> tuple[int, int]:
    """Processes on each machine, and machines: as torchrun started them, else as asked for."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", devices))
    return here, (int(os.environ["WORLD_SIZE"]) // here if "WORLD_SIZE" in os.environ else nodes)
