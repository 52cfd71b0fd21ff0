"""The difference of two pictures octave by octave: mean absolute differences of their Laplacian pyramids.

A perceptual term that needs no trained network: edges count at every scale, where a squared difference of pixels sees
mainly the coarsest one. After Bojanowski et al., Optimizing the Latent Space of Generative Networks, ICML 2018, eq. 4
(Ling and Okada 2006), with means instead of sums, so that its size does not depend on the picture's.
"""

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

TAPS = (1.0, 4.0, 6.0, 4.0, 1.0)  # Burt and Adelson, IEEE Transactions on Communications 31(4), 1983
LEAST_SIDE = 8


def laplacian_pyramid(image: Float[Tensor, "batch channels h w"], *, levels: int = 4) -> list[Tensor]:
    """Bands from fine to coarse, then what is left; their sides halve. No level is smaller than 8 pixels."""
    bands = []
    for _ in range(levels - 1):
        if min(image.shape[2:]) < 2 * LEAST_SIDE:
            break
        smaller = _blurred(image)[:, :, ::2, ::2]
        size = (image.shape[2], image.shape[3])
        larger = F.interpolate(smaller, size=size, mode="bilinear", align_corners=False)
        bands.append(image - larger)
        image = smaller
    return [*bands, image]


def _blurred(image: Tensor) -> Tensor:
    """By the outer product of TAPS with itself; the border is reflected."""
    channels = image.shape[1]
    taps = torch.tensor(TAPS, dtype=image.dtype, device=image.device)
    kernel = (taps[:, None] * taps / taps.sum() ** 2).expand(channels, 1, 5, 5)
    return F.conv2d(F.pad(image, (2, 2, 2, 2), mode="reflect"), kernel, groups=channels)


def laplacian_loss(
    image: Float[Tensor, "batch channels h w"], target: Float[Tensor, "batch channels h w"], *, levels: int = 4
) -> Float[Tensor, ""]:
    """Sum over the levels of the mean absolute difference; 0 for equal pictures."""
    difference = laplacian_pyramid(image.float() - target.float(), levels=levels)  # the pyramid is linear
    return torch.stack([band.abs().mean() for band in difference]).sum()
