"""How weights move: optimiser, learning rate, SAM, clipping, averaging. Options are read without torch."""

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
    """How weights move. The defaults are POSTER V2's published training.

    Args:
        name: adam, adamw or sgd.
        lr: The highest learning rate.
        weight_decay: On weights with more than one axis.
        momentum: Of sgd.
        betas: Of adam and adamw.
        schedule: constant, exponential (times gamma each epoch), or cosine (from lr to min_lr, step by step).
        gamma: Of the exponential schedule.
        min_lr: Where the cosine ends.
        warmup_epochs: The rate rises in a line over these first.
        sam_rho: Length of SAM's climb; 0 for no SAM, which halves the time of a step.
        sam_adaptive: Climb relative to each weight (ASAM).
        clip: Largest L2 norm of the gradient; 0 for any.
        ema: Decay per step of averaged weights, which are then measured and kept; 0 for none.
    """

    name: Literal["adam", "adamw", "sgd"] = "adam"
    lr: float = 3.5e-5
    weight_decay: float = 0.0
    momentum: float = 0.9
    betas: tuple[float, float] = (0.9, 0.999)
    schedule: Literal["constant", "exponential", "cosine"] = "exponential"
    gamma: float = 0.98
    min_lr: float = 0.0
    warmup_epochs: float = 0.0
    sam_rho: float = 0.05
    sam_adaptive: bool = False
    clip: float = 0.0
    ema: float = 0.0

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
