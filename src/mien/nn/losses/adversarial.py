"""Adversarial terms: Wasserstein with gradient penalty, and the first GAN's, for pictures and for latent vectors.

Each takes scores of a discriminator, or the discriminator itself as a callable.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

TINY = 1e-8  # added before logarithms and softplus in the published code
Critic = Callable[[Tensor], Tensor]


def critic_loss(real: Tensor, fake: Tensor, *, legacy: bool = False) -> Tensor:
    """mean(fake) - mean(real): minus the distance that the critic sees (Gulrajani et al. 2017, equation 3).

    Scores are unbounded. legacy: they are probabilities, and softplus is taken of each: both means then lie in
    0.69..1.31, so there is nearly nothing to gain for either side.
    """
    return _score(fake, legacy).mean() - _score(real, legacy).mean()


def generator_loss(fake: Tensor, *, legacy: bool = False) -> Tensor:
    """-mean(fake): what the critic gives to pictures that should look real."""
    return -_score(fake, legacy).mean()


def _score(score: Tensor, legacy: bool) -> Tensor:
    return F.softplus(score + TINY) if legacy else score


def gradient_penalty(critic: Critic, real: Tensor, fake: Tensor, *, mixing: Tensor, weight: float = 10.0) -> Tensor:
    """weight * mean((|gradient of the critic| - 1)^2) at mixing * real + (1 - mixing) * fake.

    mixing: [batch, 1, 1, 1] in 0..1. The norm is each picture's own, which means something only where the critic's
    score of a picture depends on no other one of the batch: BatchNorm in train mode breaks that.
    """
    mixed = (mixing * real.detach() + (1 - mixing) * fake.detach()).requires_grad_()
    (gradient,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    norm = (gradient.flatten(1).square().sum(1) + 1e-12).sqrt()
    return weight * (norm - 1).square().mean()


def real_or_fake_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The first GAN's discriminator (Goodfellow et al. 2014), from logits: cross-entropy of both, mean each."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def fooling_loss(fake: Tensor) -> Tensor:
    """The first GAN's generator, in its non-saturating form, from logits."""
    return F.softplus(-fake).mean()
