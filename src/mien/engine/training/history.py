"""History: a training run epoch by epoch. It knows the best epoch and when to stop, and can be written down."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class History:
    """What was measured in each epoch."""

    monitor: str
    """Score by which an epoch is chosen."""
    larger_is_better: bool = True
    """Of that score."""
    epochs: list[dict[str, float]] = field(default_factory=list)
    """Losses, scores, learning rates and seconds of each epoch, by name."""
    best: int = 0
    """Number of the best epoch, from 1; 0 before any."""
    bundle: str = ""
    """Hash of the weights that the best epoch's bundle holds."""
    temperatures: dict[str, float] = field(default_factory=dict)
    """Of that bundle, by output."""
    keep_last: bool = False
    """Whether each epoch counts as better than the ones before, whatever it scored."""
    unfinished_s: float = 0.0
    """Seconds already spent in the epoch that is not in `epochs` yet."""

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
        better = not self.best or self.keep_last or self._rank(epoch) > self._rank(self.best_scores)
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
        single = len(self.temperatures) == 1
        scores |= {"temperature" if single else f"temperature/{n}": t for n, t in self.temperatures.items()}
        about = common | {"bundle": self.bundle, "best_epoch": self.best, "seconds": round(self.seconds, 3)}
        return lines + [{"metric": name, "value": value} | about for name, value in scores.items()]


def constant_warnings(
    scores: Mapping[str, float], constant: Mapping[str, float], *, larger: Mapping[str, bool], what: str
) -> list[str]:
    """A line for each score that a constant prediction would also have reached.

    scores: on validation, such as `val/accuracy`. constant: of that prediction, such as `accuracy`. larger: whether
    larger is better, of the scores to compare. what: the prediction, such as `the most frequent class`.
    """
    return [
        f"{name} {scores[f'val/{name}']:.4f} does not beat {what} ({constant[name]:.4f}): the network has learned "
        "nothing that a constant does not know. Train longer or change --optim.lr."
        for name, is_larger in larger.items()
        if name in constant and (scores[f"val/{name}"] - constant[name]) * (1 if is_larger else -1) <= 0
    ]
