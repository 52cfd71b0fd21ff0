"""Directions in a generator's code space along which its pictures change most, found in closed form.

Shen and Zhou, Closed-Form Factorization of Latent Semantics in GANs (SeFa), CVPR 2021: a code enters a layer through
its affine map A, so a step n changes the layer by A n; the unit steps that change it most are the eigenvectors of A'A
with the largest eigenvalues. Several layers are stacked. No picture and no label is needed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mien.core.errors import MienError
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.modulation import ModulatedConv

SAMPLES = 10_000


class Factorised(NamedTuple):
    directions: Tensor
    """[number, width], unit vectors, the one that changes most first; the largest entry of each is positive"""
    strengths: Tensor
    """[number], square roots of the eigenvalues: how much a step of 1 changes what modulates the layers"""


def affine_weights(generator: Generator, layers: Sequence[int]) -> Float[Tensor, "channels width"]:
    """The stacked affine maps of the convolutions that these codes (from 0) modulate; colours are left out, as in the
    paper.

    Raises MienError where there is none: the last code goes to the colours alone.
    """
    convolutions = _convolutions(generator)
    chosen = [convolutions[layer].affine for layer in layers if layer < len(convolutions)]
    if not chosen:
        raise MienError(
            f"Code {generator.style_count - 1} of this generator goes to its colours alone and has no directions: name "
            f"layers in 0..{len(convolutions) - 1}."
        )
    return torch.cat([affine.weight.detach() * affine.scale for affine in chosen])


def factorised(weights: Float[Tensor, "channels width"], number: int) -> Factorised:
    """The `number` unit steps that the stacked map stretches most. Raises MienError for more than it has."""
    width = weights.shape[1]
    if not 1 <= number <= width:
        raise MienError(f"A code of {width} numbers has 1 to {width} directions; got {number}.")
    values, vectors = torch.linalg.eigh(weights.double().T @ weights.double())
    found = vectors.T.flip(0)[:number]
    largest = found.gather(1, found.abs().argmax(1, keepdim=True))
    return Factorised((found * largest.sign()).float(), values.flip(0)[:number].clamp(min=0).sqrt().float())


@torch.no_grad()
def mapped_codes(generator: Generator, *, samples: int = SAMPLES, seed: int = 0) -> Float[Tensor, "samples width"]:
    """Codes of random z; the same for the same seed."""
    z = torch.randn(samples, generator.style, generator=torch.Generator().manual_seed(seed))
    return generator.mapping(z.to(generator.latent_avg))


def code_deviation(generator: Generator) -> float:
    """Standard deviation of a mapped code's numbers, the root of their mean variance; 1 for a mapping without any."""
    return float(mapped_codes(generator).var(0).mean().sqrt()) or 1.0


def _convolutions(generator: Generator) -> list[ModulatedConv]:
    """By the code that modulates each."""
    styled: list[Any] = [generator.first, *(layer for block in generator.blocks for layer in (block.up, block.conv))]
    return [layer.conv for layer in styled]
