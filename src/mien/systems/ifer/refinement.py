"""Refinement of a face's codes: from the encoder's estimate on, the codes themselves are optimised for one picture.

As StyleGAN2's projector (Karras et al., CVPR 2020, appendix D) and pSp's successors do, with the generator held still
and with its stored noise. Nothing is drawn at random: the same picture gives the same codes on the same machine.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mien.core.options import at_least, check_rules
from mien.nn.inversion.inversion import Inversion
from mien.nn.stylegan2.directions import code_deviation

Distance = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class RefinementOptions:
    """How long and how fast codes are optimised."""

    steps: int = 300
    """At most."""
    rate: float = 0.05
    """Largest step of a number (Adam's), in standard deviations of the mapped codes; it falls to 0 along a cosine."""
    patience: int = 50
    """Steps without an improvement of `least` after which it stops."""
    least: float = 0.001
    """Share of the loss by which it must fall to count as an improvement."""
    lpips: float = 0.8
    """Weight of LPIPS, where it is given, beside the mean squared difference."""

    def __post_init__(self) -> None:
        check_rules(self, "refinement: ", at_least(self, 0, "steps", "rate", "patience", "least", "lpips"))


class Refined(NamedTuple):
    codes: Tensor
    """[1, styles, width], the best that were found"""
    structure: Tensor | None
    """[1, channels, 4, 4]"""
    before: float
    """Loss of the encoder's estimate."""
    after: float
    """Of the best; never above `before`."""
    steps: int
    """That were made."""


def refine(
    inversion: Inversion, image: Float[Tensor, "1 3 side side"], codes: Float[Tensor, "1 styles width"],
    structure: Tensor | None, *, feature_code: Tensor | None = None, options: RefinementOptions | None = None,
    lpips: Distance | None = None, advance: Callable[[int], None] = lambda count: None,
) -> Refined:  # fmt: skip
    """Optimises codes and structure; a residual (`feature_code`) stays as it is.

    image: in -1..1, of the generator's size. advance: called with 1 for each step.
    """
    options = options or RefinementOptions()
    codes, structure = codes.detach().clone(), None if structure is None else structure.detach().clone()
    groups = [{"params": [codes], "lr": options.rate * code_deviation(inversion.generator)}]
    if structure is not None:
        groups.append({"params": [structure], "lr": options.rate * (float(structure.square().mean().sqrt()) or 1.0)})
    variables = [group["params"][0].requires_grad_() for group in groups]  # type: ignore[index]
    optimiser = torch.optim.Adam(groups)
    falling = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: (1 + math.cos(math.pi * step / max(1, options.steps))) / 2
    )

    def loss() -> Tensor:
        picture = inversion.decode(codes, structure, feature_code=feature_code).image
        pixels = F.mse_loss(picture, image)
        return pixels if lpips is None else pixels + options.lpips * lpips(picture, image).mean()

    before = best = reference = math.inf
    kept, step, waited = [value.detach().clone() for value in variables], 0, 0
    for step in range(options.steps + 1):
        value = loss() if step < options.steps else _without_gradient(loss)
        now = float(value.detach())
        before = now if step == 0 else before
        if now < best:
            best, kept = now, [value.detach().clone() for value in variables]
        waited = 0 if now < (1 - options.least) * reference else waited + 1
        reference = min(reference, now) if waited == 0 else reference
        if waited >= options.patience or step == options.steps or not math.isfinite(now):
            break
        optimiser.zero_grad()
        _set_gradients(variables, value)
        optimiser.step()
        falling.step()
        advance(1)
    return Refined(kept[0], kept[1] if structure is not None else None, before, best, step)


def _set_gradients(variables: list[Tensor], loss: Tensor) -> None:
    """Of the variables alone: the network's weights get none."""
    for variable, gradient in zip(variables, torch.autograd.grad(loss, variables), strict=True):
        variable.grad = gradient


@torch.no_grad()
def _without_gradient(loss: Callable[[], Tensor]) -> Tensor:
    return loss()
