"""Progress of a training run: a bar within an epoch on a terminal, one line for each epoch everywhere."""

from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.engine.training.history import History
from mien.systems.stage import Stage

REDRAW_EVERY_S = 0.2


class ProgressReporter(L.Callback):
    """Must stand after the Checkpointer among the callbacks: it reads the history that the Checkpointer extends."""

    def __init__(self, console: Console, history: History, *, bar: bool) -> None:
        self.console, self.history, self.bar = console, history, bar and console.is_terminal
        self._progress: Progress | None = None
        self._task: Any = None

    def on_train_epoch_start(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        if not self.bar:
            return
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(*columns, console=self.console, transient=True, refresh_per_second=1 / REDRAW_EVERY_S)
        self._progress.start()
        title = f"epoch {stage.position.epoch + 1}/{stage.epochs}"
        self._task = self._progress.add_task(title, total=stage.steps_per_epoch, completed=stage.position.batch)

    def on_train_batch_end(self, *rest: Any) -> None:
        if self._progress is not None:
            self._progress.advance(self._task)

    def on_train_epoch_end(self, trainer: L.Trainer, stage: L.LightningModule) -> None:
        assert isinstance(stage, Stage)
        self._stop_bar()
        self.console.print(epoch_line(self.history, epochs=stage.epochs), highlight=False)

    def on_exception(self, trainer: L.Trainer, stage: L.LightningModule, exception: BaseException) -> None:
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def epoch_line(history: History, *, epochs: int) -> str:
    """`epoch  3/40  cross_entropy 1.234  accuracy 0.4312 *  nll 1.51  12 s`; the star marks the best so far."""
    number, values = len(history.epochs), history.epochs[-1]
    fields = [f"epoch {number:>{len(str(epochs))}}/{epochs}"]
    for name, value in values.items():
        side, _, metric = name.partition("/")
        if side in ("train", "val"):
            star = " *" if metric == history.monitor and history.best == number else ""
            fields.append(f"{'train ' if side == 'train' else ''}{metric} {value:.4f}{star}")
    return "  ".join([*fields, f"{values['seconds']:.1f} s"])
