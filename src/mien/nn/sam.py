"""SAM: steps along the gradient found at the top of a small climb, which prefers flat minima.

Foret et al., Sharpness-aware minimization, ICLR 2021; the adaptive climb is ASAM (Kwon et al., ICML 2021).

    loss(model(x)).backward(); optimizer.climb(); optimizer.zero_grad()
    with frozen_batch_norm(model):
        loss(model(x)).backward()
    optimizer.step()

`climb` reads the gradients that are there: accumulate them over micro-batches and reduce them over processes first.
The released training of POSTER V2 lets BatchNorm statistics move in both passes: leave `frozen_batch_norm` out.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.core.errors import MienError


class SAM(torch.optim.Optimizer):
    """Wraps a base optimiser, whose groups and state it shows as its own (a scheduler may be given either).

    rho: length of the climb. adaptive: measures it relative to each weight. Parameters without a gradient stay put.
    """

    def __init__(
        self, base_optimizer: torch.optim.Optimizer, *, rho: float = 0.05, adaptive: bool = False, eps: float = 1e-12
    ) -> None:
        if not rho >= 0:
            raise MienError(f"SAM: rho must be 0 or above; got {rho}.")
        super().__init__(base_optimizer.param_groups, base_optimizer.defaults)
        self.base_optimizer = base_optimizer
        self.rho, self.adaptive, self.eps = rho, adaptive, eps
        self._origin: dict[Tensor, Tensor] = {}
        self._share()

    def _share(self) -> None:
        self.param_groups, self.state = self.base_optimizer.param_groups, self.base_optimizer.state

    @torch.no_grad()
    def climb(self) -> None:
        """Moves the weights by rho along the gradients present (up the loss). Raises MienError when already up."""
        if self._origin:
            raise MienError("SAM: climb() came twice without a descend() between.")
        moved = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        if not moved:
            raise MienError("SAM: no parameter has a gradient. Call backward() before climb().")
        gradients = [p.grad for p in moved]
        sizes = torch._foreach_abs(moved) if self.adaptive else None
        measured = torch._foreach_mul(gradients, sizes) if sizes else gradients
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(measured)).float())
        steps = torch._foreach_mul(measured, sizes) if sizes else gradients
        origins = [torch.empty_like(p) for p in moved]
        torch._foreach_copy_(origins, moved)
        self._origin = dict(zip(moved, origins, strict=True))
        torch._foreach_add_(moved, torch._foreach_mul(steps, self.rho / (norm + self.eps)))

    @torch.no_grad()
    def descend(self) -> None:
        """Puts the weights back exactly and lets the base optimiser step along the gradients present."""
        if not self._origin:
            raise MienError("SAM: descend() needs a climb() before it.")
        self.restore()
        self.base_optimizer.step()

    @torch.no_grad()
    def restore(self) -> None:
        """Puts the weights back exactly, without a step; nothing happens when they are not displaced."""
        if self._origin:
            torch._foreach_copy_(list(self._origin), list(self._origin.values()))
        self._origin = {}

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """After a climb: descend(), which schedulers then notice. Otherwise the whole step.

        `closure` zeroes the gradients and does a forward and a backward.

        Returns the closure's first value (the loss at the weights themselves).
        """
        if self._origin:
            return self.descend()
        if closure is None:
            raise MienError("SAM: step() needs climb() before it, or a closure that computes the gradients.")
        with torch.enable_grad():
            loss = closure()
        self.climb()
        with torch.enable_grad():
            closure()
        self.descend()
        return loss

    def state_dict(self) -> dict[str, Any]:
        """The base optimiser's (moments and groups). No copy of the weights is in it."""
        return self.base_optimizer.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.base_optimizer.load_state_dict(state_dict)
        self._share()


@contextmanager
def frozen_batch_norm(module: nn.Module) -> Iterator[None]:
    """Inside, BatchNorm in train mode still normalises with the batch; afterwards its running statistics are as before.

    They are put back rather than left alone: a compiled network would be compiled again for norms that do not track.
    """
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.training and m.track_running_stats]
    buffers = [buffer.data for norm in norms for buffer in norm.buffers()]  # .data: no part of any graph
    groups = [[b for b in buffers if b.is_floating_point()], [b for b in buffers if not b.is_floating_point()]]
    kept = [[torch.empty_like(b) for b in group] for group in groups]
    _copy(kept, groups)
    try:
        yield
    finally:
        _copy(groups, kept)


def _copy(to: list[list[Tensor]], source: list[list[Tensor]]) -> None:
    for ours, theirs in zip(to, source, strict=True):
        if ours:
            torch._foreach_copy_(ours, theirs)
