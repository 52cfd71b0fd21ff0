"""Normal distributions without covariance: the codes of variational autoencoders, their product and divergences."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

TINY = 1e-8  # added to a variance before it divides


class Gaussian(NamedTuple):
    """[batch, latent] each. A code of a variational autoencoder."""

    mean: Tensor
    """Of each number of the code."""
    log_variance: Tensor
    """Natural logarithm of each number's variance."""

    def sample(self, noise: Float[Tensor, "batch latent"] | None = None) -> Float[Tensor, "batch latent"]:
        """mean + deviation * noise. noise: standard normal; drawn from torch's global generator where it is not
        given."""
        noise = torch.randn_like(self.mean) if noise is None else noise
        return self.mean + torch.exp(self.log_variance / 2) * noise

    def detach(self) -> "Gaussian":
        return Gaussian(self.mean.detach(), self.log_variance.detach())


def product(*experts: Gaussian) -> Gaussian:
    """The product of experts with a standard normal prior: precisions add up, means are weighted by them.

    Hinton, Training Products of Experts by Minimizing Contrastive Divergence, 2002; Wu and Goodman, Multimodal
    Generative Models, NeurIPS 2018.
    """
    first = experts[0].mean
    total, weighted = 1 / (torch.ones_like(first) + TINY), torch.zeros_like(first)
    for expert in experts:
        precision = 1 / (torch.exp(expert.log_variance) + TINY)
        total, weighted = total + precision, weighted + precision * expert.mean
    return Gaussian(weighted / total, -torch.log(total))


def divergence_from_prior(code: Gaussian) -> Float[Tensor, " batch"]:
    """KL(code || N(0, I)) of each sample, nats."""
    mean, log_variance = code
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1)


def divergence(code: Gaussian, other: Gaussian) -> Float[Tensor, "batch latent"]:
    """KL(code || other) of each number of the code, nats; the sum over the numbers is the sample's."""
    log_ratio = code.log_variance - other.log_variance
    distance = (code.mean - other.mean).square() * torch.exp(-other.log_variance)
    return -0.5 * (1 + log_ratio - distance - log_ratio.exp())
