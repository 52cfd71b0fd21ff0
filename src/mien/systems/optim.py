"""Optimiser, learning rate, SAM, gradient clipping and weight averaging. The options are read without torch."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError, nearest

if TYPE_CHECKING:
    import torch

OPTIMISERS, SCHEDULES = ("adam", "adamw", "sgd"), ("constant", "exponential", "cosine")


@dataclass(frozen=True)
class OptimOptions:
    """Optimiser, learning-rate schedule, SAM, clipping and weight averaging; the defaults are POSTER V2's training."""

    name: Literal["adam", "adamw", "sgd"] = "adam"
    """Optimiser."""
    lr: float = 3.5e-5
    """Peak learning rate, above 0."""
    weight_decay: float = 0.0
    """Weight decay of parameters with more than one axis; biases and norms have none."""
    momentum: float = 0.9
    """Momentum of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the first and second moment of adam and adamw."""
    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    """constant; exponential multiplies by gamma each epoch; cosine falls from lr to min_lr, step by step."""
    gamma: float = 0.98
    """Factor of the exponential schedule per epoch, above 0 and at most 1."""
    min_lr: float = 0.0
    """Final learning rate of the cosine schedule, in 0..lr."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate first rises linearly."""
    sam_rho: float = 0.05
    """Neighbourhood radius of sharpness-aware minimisation; each step then costs two forward and backward passes. 0
    turns SAM off."""
    sam_adaptive: bool = False
    """Scale SAM's perturbation by the magnitude of each weight (ASAM)."""
    clip: float = 0.0
    """Largest L2 norm of the gradient; 0 does not clip."""
    ema: float = 0.0
    """Decay per step of the exponential moving average of the weights, which is then validated and saved; in 0..1, 0
    for none."""

    def __post_init__(self) -> None:
        for name, known in (("name", OPTIMISERS), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known:
                raise MienError(f"optim.{name} cannot be {getattr(self, name)!r}.{nearest(getattr(self, name), known)}")
        rules = {
            "lr": (self.lr > 0, "above 0"),
            "gamma": (0 < self.gamma <= 1, "in 0..1, above 0"),
            "min_lr": (0 <= self.min_lr <= self.lr, "in 0..lr"),
            "ema": (0 <= self.ema < 1, "at least 0 and below 1"),
            **{n: (getattr(self, n) >= 0, "0 or above") for n in ("weight_decay", "warmup_epochs", "sam_rho", "clip")},
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise MienError(f"optim.{name} must be {rule}; got {getattr(self, name)!r}.")


def learning_rate(options: OptimOptions, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The rate of optimiser step `step`, counted from 0 over the whole run. Depends on nothing else."""
    epoch = step / steps_per_epoch
    if epoch < options.warmup_epochs:
        return options.lr * min(1.0, (step + 1) / (options.warmup_epochs * steps_per_epoch))
    if options.schedule == "exponential":
        return options.lr * options.gamma ** (step // steps_per_epoch)
    if options.schedule == "cosine":
        done = min(1.0, (epoch - options.warmup_epochs) / max(1e-12, epochs - options.warmup_epochs))
        return options.min_lr + (options.lr - options.min_lr) * (1 + math.cos(math.pi * done)) / 2
    return options.lr


def build_optimizer(
    options: OptimOptions, parameters: "list[torch.nn.Parameter] | Mapping[float, list[torch.nn.Parameter]]"
) -> "torch.optim.Optimizer":
    """The optimiser over these parameters, inside SAM when sam_rho is above 0. Weights with one axis do not decay.

    parameters: or by their share of the learning rate, which each group then states as "share".
    """
    import torch

    from mien.nn.sam import SAM

    groups: list[dict[str, Any]] = []
    for share, some in (parameters if isinstance(parameters, Mapping) else {1.0: parameters}).items():
        common = {"lr": options.lr * share, "share": share}
        groups.append({"params": [p for p in some if p.ndim > 1], "weight_decay": options.weight_decay} | common)
        groups.append({"params": [p for p in some if p.ndim <= 1], "weight_decay": 0.0} | common)
    groups = [group for group in groups if group["params"]]
    base: torch.optim.Optimizer
    if options.name == "sgd":
        base = torch.optim.SGD(groups, lr=options.lr, momentum=options.momentum)
    else:
        kind = torch.optim.AdamW if options.name == "adamw" else torch.optim.Adam
        base = kind(groups, lr=options.lr, betas=options.betas)
    return SAM(base, rho=options.sam_rho, adaptive=options.sam_adaptive) if options.sam_rho else base


def ema_decay(options: OptimOptions, *, step: int) -> float:
    """The decay after optimiser step `step` (from 0), rising to options.ema so that early averages are not stale."""
    return min(options.ema, (1 + step) / (10 + step))
