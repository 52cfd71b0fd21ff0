"""Pieces of a training step: what an optimiser minimises and when, the seed, a batch in parts, means over processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.records import Batch
from mien.systems.mixing import Mixing
from mien.systems.optim import OptimOptions
from mien.systems.system import System

TorchBatch = Batch[Tensor]
LossTerms = dict[str, Tensor]


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that an optimiser treats alike."""

    parameters: Sequence[nn.Parameter]
    """Those that require a gradient, in the same order in every process: a resumed optimiser finds its state by it."""
    lr_scale: float = 1.0
    """Factor on the learning rate of the schedule."""
    weight_decay: float | None = None
    """Of every parameter of the group; None for that of the options, which spares parameters with one axis."""


def layer_groups(system: System, *, decay: float) -> list[ParameterGroup]:
    """The trainable parameters; with a decay below 1 in the groups that the system declares, the last one at full rate.

    Layer-wise learning-rate decay: Howard and Ruder, ULMFiT, ACL 2018, section 3.2. Raises MienError for a decay below
    1 where the system declares no groups.
    """
    trainable = [(name, p) for name, p in system.named_parameters() if p.requires_grad]
    if decay == 1:
        return [ParameterGroup([p for _, p in trainable])]
    if not system.layer_groups:
        raise MienError(f"{system.name} declares no groups of layers; leave optim.layer_decay out.")
    level = {prefix: i for i, prefixes in enumerate(system.layer_groups) for prefix in prefixes}
    members: dict[int, list[nn.Parameter]] = {}
    for name, parameter in trainable:
        members.setdefault(level[max((p for p in level if name.startswith(p)), key=len)], []).append(parameter)
    last = len(system.layer_groups) - 1
    return [ParameterGroup(parameters, decay ** (last - i)) for i, parameters in sorted(members.items())]


@dataclass(frozen=True)
class Every:
    """A condition on the step's number alone: `every(n)`. It is asked before the objective's terms are computed."""

    steps: int = 1
    """The objective steps in each step whose number this divides, the first one (0) included."""

    def __call__(self, step: int, losses: Mapping[str, float]) -> bool:
        return step % self.steps == 0


def every(steps: int) -> Every:
    """The condition of an objective that steps in every so many steps; in the others its terms are not computed."""
    return Every(steps)


every_step = Every()


@dataclass(frozen=True)
class Objective:
    """What one optimiser minimises, by which parameters, and in which steps.

    The objectives of a stage step one after the other, each on the network as the ones before it left it. A gradient
    reaches the objective's own parameters only, whatever else its terms depend on.
    """

    name: str
    """Names the objective in messages and logs; unique in its stage."""
    terms: Callable[[TorchBatch, Any], LossTerms]
    """Of a batch and of what `Stage.shared` computed: named, weighted scalars whose sum is minimised, each a mean over
    the batch."""
    groups: Sequence[ParameterGroup]
    """The parameters that it trains."""
    optim: OptimOptions | None = None
    """Its own optimiser, schedule, SAM and clipping; None for those of the config. `ema` is always the config's."""
    when: Callable[[int, Mapping[str, float]], bool] = every_step
    """Whether the optimiser steps, by the step's number and the last known loss terms and monitored values by name.
    `every(n)` is asked first and saves the computing. Any other condition is asked when the objective's terms are
    there: it sees this step's terms of this and of earlier objectives, this step's `Stage.monitored` values, and the
    former step's terms of later objectives (none in the first step). All are means over parts and processes."""
    detached: bool = False
    """The terms need the values of `shared` and no gradient through them. Where a batch comes in parts, they are then
    computed without a graph and without a trace in BatchNorm."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.groups for parameter in group.parameters]


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed; the result is the same up to rounding, except where BatchNorm sees smaller parts."""

    seed: int = 0
    """Of everything random in a step."""
    parts: int = 1
    """A batch is computed in so many."""
    bf16: bool = False
    """Autocast to bfloat16."""
    channels_last: bool = True
    """Memory layout of pictures and convolutions."""
    compile: bool = False
    """Compile the network with torch.compile."""
    cuda_graph: bool = False
    """Record the network's forward and backward passes as CUDA graphs and replay them; on a GPU only."""
    freeze_batch_norm: bool = False
    """BatchNorm normalises with the statistics that it came with, and does not change them."""
    mixing: Mixing = field(default_factory=Mixing)
    """Of the faces of a batch in pairs; none by default."""
    legacy: bool = False
    """BatchNorm's statistics are updated in both of SAM's passes, as released."""


@dataclass
class Position:
    """Where a run stands."""

    epoch: int = 0
    """Finished epochs."""
    batch: int = 0
    """Batches of the next epoch that are done; all of them where only its validation is left."""
    step: int = 0
    """Steps in all."""


def step_seed(seed: int, step: int, rank: int) -> int:
    """One number below 2**63 for (seed, step, rank), well mixed."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def split(batch: TorchBatch, parts: int) -> Iterator[tuple[TorchBatch, float]]:
    """The batch in (at most) `parts` pieces of about the same size, each with its share of the samples.

    A batch of more than `parts` samples leaves no piece with a single one, on which BatchNorm cannot train.
    """
    parts = min(parts, len(batch) if len(batch) <= parts else len(batch) // 2)
    if parts == 1:
        yield batch, 1.0
        return
    for number in range(parts):
        piece = batch.map(partial(_piece, parts=parts, number=number))
        yield piece, len(piece) / len(batch)


def _piece(value: Tensor, *, parts: int, number: int) -> Tensor:
    return value.tensor_split(parts)[number]


def average_over_processes(tensors: Sequence[Tensor], processes: int) -> None:
    """Replaces each tensor by its mean over all processes."""
    if processes == 1 or not tensors:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    torch.distributed.all_reduce(flat)
    flat /= processes
    for tensor, mean in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
