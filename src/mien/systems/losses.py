"""LossMeter: the loss terms of an epoch by name, and the latest value of each."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor


class LossMeter:
    """Sums stay on the device of the values: nothing waits for the accelerator until they are read."""

    def __init__(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.latest: dict[str, Tensor] = {}

    def add(self, terms: Mapping[str, Tensor]) -> None:
        """One step's values. A term that is absent from a step does not count in its mean."""
        for name, value in terms.items():
            self.sums[name] = self.sums.get(name, 0) + value
            self.counts[name] = self.counts.get(name, 0) + 1
            self.latest[name] = value

    def means(self) -> dict[str, float]:
        """Of the epoch so far, each over the steps in which it was computed."""
        return {name: float(total) / self.counts[name] for name, total in self.sums.items()}

    def latest_values(self) -> dict[str, float]:
        """Of the last step in which each was computed, in this epoch or an earlier one."""
        return {name: float(value) for name, value in self.latest.items()}

    def start_epoch(self) -> None:
        self.sums, self.counts = {}, {}

    def state_dict(self) -> dict[str, Any]:
        return {
            "sums": {name: float(total) for name, total in self.sums.items()},
            "counts": dict(self.counts),
            "latest": self.latest_values(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.sums, self.latest = (
            {name: torch.tensor(value) for name, value in state[kind].items()} for kind in ("sums", "latest")
        )
        self.counts = dict(state["counts"])

    def to(self, device: torch.device) -> None:
        self.sums = {name: value.to(device) for name, value in self.sums.items()}
        self.latest = {name: value.to(device) for name, value in self.latest.items()}
