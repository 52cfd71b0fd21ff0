"""PrincipalPath: the principal components of faces as a linear autoencoder, beside which a convolutional one learns.

Turk and Pentland, Eigenfaces for Recognition, J. of Cognitive Neuroscience 3(1), 1991. Tipping and Bishop,
Probabilistic Principal Component Analysis, JRSS B 61(3), 1999, for the variances.
"""

import math
from collections.abc import Iterable

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

COARSER = 4  # colour has a quarter of the sides of luminance
# Rows: luminance and two differences of colour, orthonormal, so that squared errors are those of red, green and blue.
OPPONENT = (
    (1 / math.sqrt(3), 1 / math.sqrt(3), 1 / math.sqrt(3)),
    (1 / math.sqrt(2), 0.0, -1 / math.sqrt(2)),
    (1 / math.sqrt(6), -2 / math.sqrt(6), 1 / math.sqrt(6)),
)
LEAST_SHARE = 1e-7  # of the largest variance: below it a component is rounding
LEAST_VARIANCE = 1e-4  # of a code's posterior


class PrincipalPath(nn.Module):
    """[batch, 3, *shape] in 0..1 to a code [batch, latent] of unit variance and back. Nothing of it is trained.

    A picture is h w numbers of luminance and 2 (h / 4) (w / 4) of colour. The code is the projection on the components,
    each divided by its standard deviation; encoder and decoder share the components. Before `fit` the code is 0 and
    the picture black. shape: height and width, multiples of 32.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor

    def __init__(self, *, shape: tuple[int, int], latent: int) -> None:
        super().__init__()
        self.shape, self.coarse = shape, (shape[0] // COARSER, shape[1] // COARSER)
        numbers = math.prod(self.shape) + 2 * math.prod(self.coarse)
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("components", torch.zeros(latent, numbers))  # times the standard deviation
        self.register_buffer("variances", torch.ones(latent))
        self.register_buffer("opponent", torch.tensor(OPPONENT), persistent=False)

    def encode(self, picture: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch latent"]:
        return F.linear(self.numbers(picture) - self.mean, self.components) / self.variances

    def decode(self, code: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 3 h w"]:
        return self.picture(code @ self.components + self.mean)

    def numbers(self, picture: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch numbers"]:
        """Luminance, then colour, whose mean over 4 x 4 pixels counts 4 times as those have 16 values."""
        channels = torch.einsum("oc,bchw->bohw", self.opponent, picture)
        colour = COARSER * F.avg_pool2d(channels[:, 1:], COARSER)
        return torch.cat((channels[:, 0].flatten(1), colour.flatten(1)), 1)

    def picture(self, numbers: Float[Tensor, "batch numbers"]) -> Float[Tensor, "batch 3 h w"]:
        """Values may lie outside 0..1."""
        luminance, colour = numbers.split((math.prod(self.shape), 2 * math.prod(self.coarse)), 1)
        colour = F.interpolate(
            colour.unflatten(1, (2, *self.coarse)) / COARSER, scale_factor=float(COARSER), mode="bilinear"
        )
        channels = torch.cat((luminance.unflatten(1, (1, *self.shape)), colour), 1)
        return torch.einsum("oc,bohw->bchw", self.opponent, channels)

    @torch.no_grad()
    def fit(self, pictures: Iterable[Float[Tensor, "batch 3 h w"]]) -> None:
        """To the principal components of these pictures; the same pictures in the same order give the same bits.

        Those of luminance and those of colour are found apart, and the largest of both are kept. Colour counts from
        grey: its numbers in the code of a grey picture are 0, and what is learned from grey pictures says nothing of
        it.
        """
        spans = (slice(0, math.prod(self.shape)), slice(math.prod(self.shape), len(self.mean)))
        count, total = 0, torch.zeros_like(self.mean, dtype=torch.float64)
        products = [total.new_zeros(span.stop - span.start, span.stop - span.start) for span in spans]
        for batch in pictures:
            numbers = self.numbers(batch).double()
            count += len(numbers)
            total += numbers.sum(0)
            for product, span in zip(products, spans, strict=True):
                product.addmm_(numbers[:, span].T, numbers[:, span])
        mean = total / max(1, count)
        mean[spans[1]] = 0
        variances, directions = [], []
        for product, span in zip(products, spans, strict=True):
            values, vectors = torch.linalg.eigh(product / max(1, count) - torch.outer(mean[span], mean[span]))
            variances.append(values)
            directions.append(F.pad(vectors.T, (span.start, len(mean) - span.stop)))
        self._keep(mean, torch.cat(variances), torch.cat(directions))

    def _keep(
        self, mean: Float[Tensor, " numbers"], variances: Float[Tensor, " found"],
        directions: Float[Tensor, "found numbers"],
    ) -> None:  # fmt: skip
        """The components of the largest variances; the largest number of each is positive. Those without variance, of
        which there are some where pictures are fewer than numbers, are 0."""
        order = variances.sort(descending=True, stable=True).indices[: len(self.variances)]
        variances, directions = variances[order], directions[order]
        varies = variances > LEAST_SHARE * max(float(variances[0]), 1e-12)
        directions, variances = directions * varies[:, None], torch.where(varies, variances, 1.0)
        largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
        self.mean.copy_(mean)
        self.components.copy_(directions * largest.sign() * variances.sqrt()[:, None])
        self.variances.copy_(variances)

    def log_variance(self, *, pixels: float, kl: float) -> Float[Tensor, " latent"]:
        """Of the codes' posterior where pixels * (mean squared error of pixels) + kl * (divergence from the prior) is
        least: 1 / (1 + 2 pixels variance / (kl values)); that of a code which no term holds is 1."""
        held = 2 * pixels * self.variances / (3 * math.prod(self.shape) * max(kl, 1e-12))
        return -torch.log1p(held).clamp(max=-math.log(LEAST_VARIANCE))
