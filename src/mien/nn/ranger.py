"""Ranger: rectified Adam whose weights are drawn back to a slow copy, on gradients with zero mean.

Rectified Adam: Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, ICLR 2020. Slow copy: Zhang et
al., Lookahead Optimizer, NeurIPS 2019. Centred gradients: Yong et al., Gradient Centralization, ECCV 2020. The
combination is by L. Wright; the numbers are those of its release 20.4.11.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

RECTIFY_ABOVE = 5.0  # length of the approximated average below which its variance is unknown


class Ranger(torch.optim.Optimizer):
    """The whole state is in `state_dict`, the slow copy included.

    lookahead_steps: between two meetings of weights and slow copy; lookahead_alpha: how far the copy then moves.
    """

    def __init__(
        self, params: Iterable[Any], *, lr: float = 1e-3, betas: tuple[float, float] = (0.95, 0.999), eps: float = 1e-5,
        weight_decay: float = 0.0, lookahead_steps: int = 6, lookahead_alpha: float = 0.5,
    ) -> None:  # fmt: skip
        defaults = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, defaults | {"lookahead_steps": lookahead_steps, "lookahead_alpha": lookahead_alpha})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, group)
        return loss

    def _move(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["step"] = 0
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
            state["slow"] = parameter.clone()
        state["step"] += 1
        gradient = _centred(parameter.grad)
        first, second = group["betas"]
        state["exp_avg_sq"].mul_(second).addcmul_(gradient, gradient, value=1 - second)
        state["exp_avg"].mul_(first).add_(gradient, alpha=1 - first)
        if group["weight_decay"]:
            parameter.add_(parameter, alpha=-group["weight_decay"] * group["lr"])
        factor, rectified = _step_size(state["step"], first, second)
        direction = state["exp_avg"] / state["exp_avg_sq"].sqrt().add_(group["eps"]) if rectified else state["exp_avg"]
        parameter.add_(direction, alpha=-factor * group["lr"])
        if state["step"] % group["lookahead_steps"] == 0:
            state["slow"].lerp_(parameter, group["lookahead_alpha"])
            parameter.copy_(state["slow"])


def _centred(gradient: Tensor | None) -> Tensor:
    """The gradient less its mean over all but the first axis; one axis alone is left as it is."""
    assert gradient is not None
    return gradient if gradient.ndim < 2 else gradient - gradient.mean(tuple(range(1, gradient.ndim)), keepdim=True)


def _step_size(step: int, first: float, second: float) -> tuple[float, bool]:
    """Factor on the learning rate, and whether the second moment is known well enough to divide by (section 3.3)."""
    longest = 2 / (1 - second) - 1
    length = longest - 2 * step * second**step / (1 - second**step)
    unbiased = 1 / (1 - first**step)
    if length <= RECTIFY_ABOVE:
        return unbiased, False
    ratio = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return math.sqrt((1 - second**step) * ratio) * unbiased, True
