"""What a network looked at: Grad-CAM of a feature map, attention weights as they were computed, attention rollout.

Selvaraju et al., Grad-CAM, ICCV 2017; Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """How much a network reads from each place of its picture."""

    weights: Float[Tensor, "batch h w"]
    """0 or more; compares within one map only."""
    meaning: str
    """Which attention, and how its heads, layers and queries became one map."""


@contextmanager
def recorded_weights(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Of modules with a method `weights`: what it gives of the arguments of their first call meanwhile, by name."""
    found: dict[str, Tensor] = {}

    def recorder(name: str) -> Callable[..., None]:
        def record(module: nn.Module, args: tuple[Any, ...], options: dict[str, Any]) -> None:
            if name not in found:
                found[name] = cast(Any, module).weights(*args, **options)

        return record

    handles = [module.register_forward_pre_hook(recorder(n), with_kwargs=True) for n, module in modules.items()]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def rollout(layers: Sequence[Float[Tensor, "batch heads _ tokens"]]) -> Float[Tensor, "batch queries tokens"]:
    """How much of each token that enters the first layer is in each token behind the last one; rows sum to 1.

    Heads are averaged and half of each layer is the token itself, for the residual path. Query i is token i; the last
    layer may have fewer queries than tokens.
    """
    joint: Tensor | None = None
    for weights in layers:
        mean = weights.mean(1)
        mean = (mean + torch.eye(*mean.shape[1:], dtype=mean.dtype, device=mean.device)) / 2
        joint = mean if joint is None else mean @ joint
    assert joint is not None
    return joint


def class_activation(
    run: Callable[[], Float[Tensor, ""]], layer: nn.Module
) -> tuple[Float[Tensor, "height width"], float] | None:
    """Grad-CAM before its ReLU, of one sample: sum over channels of the map times the mean gradient of the score.

    run: the score of a class, through `layer`, whose first output counts. Above 0 is Grad-CAM itself; below 0 is what
    the paper calls counterfactual: places without which the score would be higher. With it the score. None where the
    layer gives no map [1, channels, height, width] of more than one place, or the score does not depend on it.
    """
    held: list[Tensor] = []

    def hold(_: nn.Module, __: Any, output: Any) -> Tensor | None:
        if held or not isinstance(output, Tensor):
            return None
        held.append(output.detach().requires_grad_())
        return held[0].clone()  # what comes next may write into it

    handle = layer.register_forward_hook(hold)
    try:
        with torch.enable_grad():
            score = run()
    finally:
        handle.remove()
    if not held or held[0].ndim != 4 or held[0].shape[0] != 1 or held[0][0, 0].numel() < 2 or not score.requires_grad:
        return None
    (gradient,) = torch.autograd.grad(score, held[0], allow_unused=True)
    if gradient is None:
        return None
    weights = gradient.mean((2, 3), keepdim=True)
    return (weights * held[0]).sum(1)[0].detach(), float(score.detach())
