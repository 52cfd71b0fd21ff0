"""What a training run says while it runs: a bar within an epoch on a terminal, one line for each epoch everywhere."""

from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mien.engine.training.history import Diary
from mien.systems.stage import Stage

REDRAW_EVERY_S = 0.2


class Teller(L.Callback):
    """Must stand after the Keeper among the callbacks: it reads the diary that the Keeper has written."""

    def __init__(self, console: Console, diary: Diary, *, bar: bool) -> None:
        self.console, self.diary, self.bar = console, diary, bar and console.is_terminal
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
        self.console.print(epoch_line(self.diary, epochs=stage.epochs), highlight=False)

    def on_exception(self, trainer: L.Trainer, stage: L.LightningModule, exception: BaseException) -> None:
        self._stop_bar()

    def _stop_bar(self) -> None:
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def epoch_line(diary: Diary, *, epochs: int) -> str:
    """`epoch  3/40  cross_entropy 1.234  accuracy 0.4312 *  nll 1.51  12 s`; the star marks the best so far."""
    number, values = len(diary.epochs), diary.epochs[-1]
    words = [f"epoch {number:>{len(str(epochs))}}/{epochs}"]
    for name, value in values.items():
        side, _, metric = name.partition("/")
        if side in ("train", "val"):
            star = " *" if metric == diary.monitor and diary.best == number else ""
            words.append(f"{'train ' if side == 'train' else ''}{metric} {value:.4f}{star}")
    return "  ".join([*words, f"{values['seconds']:.1f} s"])
