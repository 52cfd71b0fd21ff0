"""What a StyleGAN2 is trained with besides the non-saturating loss of nn/losses/adversarial.py.

Karras et al. 2020, section 3: penalties are computed every n-th step only (lazy regularisation) and weighted n-fold.
The adaptive augmentation of Karras et al., NeurIPS 2020, is in augment.py.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mien.nn.stylegan2.generator import Generator

R1_EVERY, PATH_EVERY = 16, 4


def r1_penalty(
    discriminator: Callable[[Tensor], Tensor], real: Float[Tensor, "batch 3 h w"], *, weight: float = 10.0
) -> Float[Tensor, ""]:
    """weight / 2 * mean |gradient of the logit by the picture|^2 (Mescheder et al. 2018), of real pictures."""
    picture = real.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(picture).sum(), picture, create_graph=True)
    return weight / 2 * gradient.flatten(1).square().sum(1).mean()


class PathLength(nn.Module):
    """Penalty on how unevenly a step in the codes changes the picture: mean (length - its running mean)^2.

    The length of a sample is |J^T y| of the synthesis with y ~ N(0, 1 / pixels), the root of the mean square over its
    codes. weight: 2 as published; `mean` is a buffer and starts at 0.
    """

    mean: Tensor

    def __init__(self, *, weight: float = 2.0, decay: float = 0.01) -> None:
        super().__init__()
        self.weight, self.decay = weight, decay
        self.register_buffer("mean", torch.zeros(()))

    def forward(
        self, image: Float[Tensor, "batch 3 h w"], codes: Float[Tensor, "batch styles width"]
    ) -> Float[Tensor, ""]:
        """image: synthesised from `codes`, which need a gradient. Moves `mean`."""
        lengths = path_lengths(image, codes, torch.randn_like(image))
        mean = self.mean + self.decay * (lengths.mean().detach() - self.mean)
        self.mean.copy_(mean)
        return self.weight * (lengths - mean).square().mean()


def path_lengths(image: Tensor, codes: Tensor, direction: Tensor) -> Float[Tensor, " batch"]:
    """|J^T y| of each sample, y = direction / sqrt(pixels): a root mean square over codes, with a graph."""
    scaled = direction / math.sqrt(image.shape[2] * image.shape[3])
    (gradient,) = torch.autograd.grad((image * scaled).sum(), codes, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


def training_codes(
    generator: Generator, batch: int, *, mixing: float = 0.9, random: torch.Generator | None = None
) -> Float[Tensor, "batch styles width"]:
    """Codes of fresh z; with probability `mixing` two sets of them meet at a random layer (style mixing).

    random: draws on its own device; without it z comes from the generator of the network's device.
    """
    place = generator.latent_avg.device if random is None else random.device

    def drawn() -> Tensor:
        z = torch.randn(batch, generator.style, generator=random, device=place)
        return generator.codes(z.to(generator.latent_avg))

    count = generator.style_count
    mixes = torch.rand((), generator=random, device=place) < mixing
    # The layer where they meet, without waiting for the device to say whether they do.
    at = torch.where(mixes, torch.randint(1, count, (), generator=random, device=place), count)
    first, second = drawn(), drawn()
    kept = torch.arange(count, device=first.device) < at.to(first.device)
    return torch.where(kept[:, None], first, second)


def average_decay(batch: int, *, half_life: float = 10_000.0) -> float:
    """The decay per step of the weights' moving average (`optim.ema`): after `half_life` pictures they count half."""
    return float(0.5 ** (batch / half_life))


@torch.no_grad()
def track_latent_avg(generator: Generator, codes: Float[Tensor, "batch styles width"], *, decay: float = 0.995) -> None:
    """Moves `latent_avg` towards the mean of the first codes of a batch."""
    generator.latent_avg.lerp_(codes[:, 0].mean(0).to(generator.latent_avg), 1 - decay)
