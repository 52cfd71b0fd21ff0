"""Diary: a training run epoch by epoch. It knows the best epoch and when to stop, and can be written down."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Diary:
    """monitor: the score by which an epoch is chosen. epochs: one dict an epoch, its losses, scores, rate and seconds.

    best: number of the best epoch, from 1; 0 before any. bundle, temperature: of the bundle that epoch made.
    unfinished_s: seconds already spent in the epoch that is not in `epochs` yet.
    """

    monitor: str
    larger_is_better: bool = True
    epochs: list[dict[str, float]] = field(default_factory=list)
    best: int = 0
    bundle: str = ""
    temperature: float = 1.0
    unfinished_s: float = 0.0

    @property
    def best_scores(self) -> dict[str, float]:
        """Everything measured in the best epoch."""
        return self.epochs[self.best - 1] if self.best else {}

    @property
    def seconds(self) -> float:
        """Of training and validation so far; time lost to an interruption is not in it."""
        return sum(epoch["seconds"] for epoch in self.epochs)

    def add(self, epoch: dict[str, float]) -> bool:
        """Adds an epoch; returns whether it is the best so far. Of equals the lower nll is better, then the first."""
        better = not self.best or self._rank(epoch) > self._rank(self.best_scores)
        self.epochs.append(epoch)
        if better:
            self.best = len(self.epochs)
        return better

    def _rank(self, epoch: dict[str, float]) -> tuple[float, float]:
        score = epoch[f"val/{self.monitor}"]
        return (score if self.larger_is_better else -score, -epoch.get("val/nll", 0.0))

    def exhausted(self, patience: int) -> bool:
        """Whether `patience` epochs have passed without a better one; 0 is endless patience."""
        return bool(patience) and len(self.epochs) - self.best >= patience

    def lines(self, **common: Any) -> list[dict[str, Any]]:
        """metrics.jsonl: every value of every epoch, then the bundle's own scores, each with what was measured."""
        lines = [
            {"metric": name, "value": value, "epoch": number}
            for number, epoch in enumerate(self.epochs, start=1)
            for name, value in epoch.items()
        ]
        scores = {name: value for name, value in self.best_scores.items() if name.startswith("val/")}
        scores["temperature"] = self.temperature
        about = common | {"bundle": self.bundle, "best_epoch": self.best, "seconds": round(self.seconds, 3)}
        return lines + [{"metric": name, "value": value} | about for name, value in scores.items()]
