"""Optimiser, learning rate, SAM, gradient clipping and weight averaging. The options are read without torch.

The optimisers are torch's, and Ranger (nn/ranger.py). The learning rate of a step is a function of the step's number
alone, so that a run which goes on from a checkpoint needs no state of a schedule.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from mien.core.options import Rules, check_choices, check_rules

if TYPE_CHECKING:
    import torch

    from mien.systems.step import ParameterGroup

MOST = 1e9  # of every other number: far above any use, far below what float32 can hold
MAX_LR = 1e6  # beyond it float32 weights overflow, and torch stops in the middle of a step
RISING_SHARE = 0.3  # of a one-cycle run, where warmup_epochs does not say (torch's default)


@dataclass(frozen=True)
class OptimOptions:
    """Optimiser, learning-rate schedule, SAM, clipping and weight averaging."""

    name: Literal["adam", "adamw", "sgd", "rmsprop", "ranger"] = "adam"
    """Optimiser."""
    lr: float = 3.5e-5
    """Peak learning rate, above 0."""
    weight_decay: float = 0.0
    """Weight decay of parameters with more than one axis; biases and norms have none."""
    momentum: float = 0.9
    """Momentum of sgd and of rmsprop."""
    nesterov: bool = False
    """Nesterov's form of the momentum of sgd."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of the first and second moment of adam, adamw and ranger."""
    alpha: float = 0.99
    """Decay rate of the squared gradients of rmsprop."""
    eps: float = 1e-8
    """Added to the denominator of adam, adamw, rmsprop and ranger (ranger's own is 1e-5)."""
    schedule: Literal["constant", "exponential", "multistep", "cosine", "cyclic", "onecycle"] = "exponential"
    """How the learning rate falls. At the start of an epoch: exponential (times gamma at each), multistep (times gamma
    at each of milestones). At each step: cosine (from lr to min_lr), cyclic (up and down between min_lr and lr),
    onecycle (up from lr / 25, then down)."""
    gamma: float = 0.98
    """Factor of the exponential and the multistep schedule, above 0 and at most 1."""
    milestones: tuple[float, ...] = ()
    """Numbers of finished epochs at which the multistep schedule falls, ascending."""
    min_lr: float = 0.0
    """Where cosine and onecycle end (onecycle: 0 stands for lr / 250,000) and where cyclic begins, in 0..lr."""
    cycle_epochs: float = 1.0
    """Length of one rise and fall of the cyclic schedule, above 0."""
    cycle_gamma: float = 1.0
    """Factor on the height of each further cycle, above 0 and at most 1."""
    warmup_epochs: float = 0.0
    """Epochs over which the learning rate first rises linearly; of onecycle the length of its rise (0: 0.3 of the
    run)."""
    sam_rho: float = 0.0
    """Neighbourhood radius of sharpness-aware minimisation; each step then costs two forward and backward passes. 0
    turns SAM off."""
    sam_adaptive: bool = False
    """Scale SAM's perturbation by the magnitude of each weight (ASAM)."""
    clip: float = 0.0
    """Largest L2 norm of the gradient; 0 does not clip."""
    ema: float = 0.0
    """Decay per step of the exponential moving average of the weights, which is then validated and saved; in 0..1, 0
    for none."""
    layer_decay: float = 1.0
    """Learning rate of each group of layers divided by that of the next group towards the output, above 0 and at most
    1; below 1 to fine-tune a trained network."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "milestones", tuple(self.milestones))
        check_choices(self, "optim.")
        check_rules(self, "optim.", self._rules())

    def _rules(self) -> Rules:
        share = "in 0..1, above 0"
        not_negative = ("weight_decay", "warmup_epochs", "sam_rho", "clip")
        ascending = all(a < b for a, b in zip((0.0, *self.milestones), self.milestones, strict=False))
        needs_milestones = self.schedule == "multistep" and not self.milestones
        return {
            "lr": (0 < self.lr <= MAX_LR, f"above 0 and at most {MAX_LR:g}"),
            "gamma": (0 < self.gamma <= 1, share),
            "cycle_gamma": (0 < self.cycle_gamma <= 1, share),
            "layer_decay": (0 < self.layer_decay <= 1, share),
            "cycle_epochs": (0 < self.cycle_epochs <= MOST, f"above 0 and at most {MOST:g}"),
            "milestones": (ascending and not needs_milestones, "ascending, above 0, and given for multistep"),
            "min_lr": (0 <= self.min_lr <= self.lr, "in 0..lr"),
            "ema": (0 <= self.ema < 1, "at least 0 and below 1"),
            "alpha": (0 <= self.alpha < 1, "at least 0 and below 1"),
            "eps": (0 < self.eps <= MOST, f"above 0 and at most {MOST:g}"),
            "momentum": (0 <= self.momentum < 1, "at least 0 and below 1"),
            "nesterov": (not self.nesterov or self.momentum > 0, "false where momentum is 0"),
            "betas": (all(0 <= beta < 1 for beta in self.betas), "at least 0 and below 1"),
            **{name: (0 <= getattr(self, name) <= MOST, f"in 0..{MOST:g}") for name in not_negative},
        }


def learning_rate(options: OptimOptions, *, step: int, steps_per_epoch: int, epochs: int) -> float:
    """The rate of optimiser step `step`, counted from 0 over the whole run. Depends on nothing else."""
    if options.schedule == "onecycle":
        return _one_cycle(options, step=step, total=steps_per_epoch * epochs, per_epoch=steps_per_epoch)
    epoch = step / steps_per_epoch
    if epoch < options.warmup_epochs:
        return options.lr * min(1.0, (step + 1) / (options.warmup_epochs * steps_per_epoch))
    if options.schedule == "exponential":
        return options.lr * options.gamma ** (step // steps_per_epoch)
    if options.schedule == "multistep":
        return options.lr * options.gamma ** bisect_right(options.milestones, step // steps_per_epoch)
    if options.schedule == "cosine":
        done = min(1.0, (epoch - options.warmup_epochs) / max(1e-12, epochs - options.warmup_epochs))
        return options.min_lr + (options.lr - options.min_lr) * (1 + math.cos(math.pi * done)) / 2
    if options.schedule == "cyclic":
        first = math.ceil(options.warmup_epochs * steps_per_epoch)
        return _cyclic(options, step=step - first, per_epoch=steps_per_epoch)
    return options.lr


def depends_on_epochs(options: OptimOptions) -> bool:
    """Whether the rate of a step depends on how long the run is to last."""
    return options.schedule in ("cosine", "onecycle")


def _cyclic(options: OptimOptions, *, step: int, per_epoch: int) -> float:
    from torch.optim.lr_scheduler import CyclicLR

    half: Any = options.cycle_epochs * per_epoch / 2  # steps; torch takes halves of one too
    scheduler = CyclicLR(
        _optimiser_of_one(initial_lr=options.min_lr), base_lr=options.min_lr, max_lr=options.lr, step_size_up=half,
        scale_fn=lambda cycle: options.cycle_gamma ** (cycle - 1), cycle_momentum=False, last_epoch=step - 1,
    )  # fmt: skip
    return float(scheduler.get_last_lr()[0])


def _one_cycle(options: OptimOptions, *, step: int, total: int, per_epoch: int) -> float:
    from torch.optim.lr_scheduler import OneCycleLR

    first = options.lr / 25
    last = options.min_lr or first / 1e4
    rising = min(1.0, options.warmup_epochs * per_epoch / total) or RISING_SHARE
    state = {"initial_lr": first, "max_lr": options.lr, "min_lr": last}
    scheduler = OneCycleLR(
        _optimiser_of_one(**state), max_lr=options.lr, total_steps=max(2, total), pct_start=rising,
        final_div_factor=first / last, cycle_momentum=False, last_epoch=min(step, max(2, total) - 1) - 1,
    )  # fmt: skip
    return float(scheduler.get_last_lr()[0])


def _optimiser_of_one(**state: float) -> "torch.optim.Optimizer":
    """What torch's schedules want: an optimiser whose one group holds the state of a schedule that goes on."""
    import torch

    return torch.optim.SGD([{"params": [torch.zeros(())], **state}], lr=1.0)


def build_optimizer(options: OptimOptions, groups: "Sequence[ParameterGroup]") -> "torch.optim.Optimizer":
    """The optimiser over these groups, inside SAM when sam_rho is above 0. Each of its groups states its `lr_scale`.

    Parameters with one axis do not decay, unless their group states a decay of its own.
    """
    from mien.nn.sam import SAM

    base = _base_optimizer(options, [part for group in groups for part in _decay_parts(options, group)])
    return SAM(base, rho=options.sam_rho, adaptive=options.sam_adaptive) if options.sam_rho else base


def _decay_parts(options: OptimOptions, group: "ParameterGroup") -> list[dict[str, Any]]:
    """Parameters with more than one axis, then the others; the empty of the two are left out."""
    matrices = [p for p in group.parameters if p.ndim > 1]
    vectors = [p for p in group.parameters if p.ndim <= 1]
    common = {"lr": options.lr * group.lr_scale, "lr_scale": group.lr_scale}
    stated = group.weight_decay
    decays = (options.weight_decay, 0.0) if stated is None else (stated, stated)
    parts = [
        {"params": params, "weight_decay": decay} | common
        for params, decay in zip((matrices, vectors), decays, strict=True)
    ]
    return [part for part in parts if part["params"]]


def _base_optimizer(options: OptimOptions, groups: list[dict[str, Any]]) -> "torch.optim.Optimizer":
    import torch

    from mien.nn.ranger import Ranger

    o = options
    if o.name == "sgd":
        return torch.optim.SGD(groups, lr=o.lr, momentum=o.momentum, nesterov=o.nesterov)
    if o.name == "rmsprop":
        return torch.optim.RMSprop(groups, lr=o.lr, alpha=o.alpha, eps=o.eps, momentum=o.momentum)
    if o.name == "ranger":
        return Ranger(groups, lr=o.lr, betas=o.betas, eps=o.eps)
    kind = torch.optim.AdamW if o.name == "adamw" else torch.optim.Adam
    fused = all(p.is_cuda for group in groups for p in group["params"])  # one launch for all, the same numbers
    return kind(groups, lr=o.lr, betas=o.betas, eps=o.eps, fused=fused or None)


def ema_decay(options: OptimOptions, *, step: int) -> float:
    """The decay after optimiser step `step` (from 0), rising to options.ema so that early averages are not stale."""
    return min(options.ema, (1 + step) / (10 + step))
