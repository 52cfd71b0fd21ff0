"""Pieces of a training step: what an optimiser minimises, the seed, a batch in parts, gradients over processes."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.records import Batch

TorchBatch = Batch[Tensor]


@dataclass(frozen=True)
class Objective:
    """What one optimiser makes small, and by moving what.

    terms: the batch's named, weighted scalars whose sum is minimised. parameters: by the share of the learning rate at
    which they move. every: it steps in each step whose number this divides.
    """

    terms: Callable[[TorchBatch], dict[str, Tensor]]
    parameters: Mapping[float, list[nn.Parameter]]
    every: int = 1


def step_seed(seed: int, step: int, rank: int) -> int:
    """One number below 2**63 for (seed, step, rank), well mixed."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def split(batch: TorchBatch, parts: int) -> Iterator[tuple[TorchBatch, float]]:
    """The batch in (at most) `parts` pieces, each with its share of the samples."""
    total = len(batch.image)
    if parts == 1:
        yield batch, 1.0
        return
    chunks = {f.name: value.chunk(parts) for f in fields(batch) if (value := getattr(batch, f.name)) is not None}
    for i in range(len(chunks["image"])):
        piece = {name: pieces[i] for name, pieces in chunks.items()}
        yield replace(batch, **piece), len(piece["image"]) / total


def average_over_processes(parameters: list[nn.Parameter], processes: int) -> None:
    """Every process gets the mean of all processes' gradients."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if processes == 1 or not gradients:
        return
    flat = torch.cat([g.flatten() for g in gradients])
    torch.distributed.all_reduce(flat)
    flat /= processes
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


@contextmanager
def held(module: nn.Module) -> Iterator[None]:
    """Inside, gradients flow through the module but its own parameters get none."""
    moving = [p for p in module.parameters() if p.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)
