"""The discriminator of the residual VAE-GAN: real or not, and features in which pictures are compared.

Larsen et al., Autoencoding beyond pixels using a learned similarity metric, ICML 2016, section 3.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.vae_gan.residual import draw_weights

WIDTHS = (32, 128, 256, 256)
HIDDEN = 512
MOMENTUM = 0.9  # of BatchNorm: its statistics are nearly those of the last batch
FEATURE_LEVEL = 2  # of the published configs


class Discriminated(NamedTuple):
    """What one pass gives."""

    logits: Tensor
    """[batch]; the sigmoid is the probability that a picture is real."""
    features: Tensor
    """[batch, channels, h, w]: a convolution's output before its BatchNorm."""


class FeatureDiscriminator(nn.Module):
    """[batch, channels, *shape] to Discriminated, in one pass. shape: height and width, multiples of 8.

    level: of the features, 1 to 3 (0 would be the picture itself).
    """

    def __init__(
        self, *, channels: int, shape: tuple[int, int], widths: Sequence[int] = WIDTHS, hidden: int = HIDDEN,
        level: int = FEATURE_LEVEL,
    ) -> None:  # fmt: skip
        super().__init__()
        if not 1 <= level < len(widths):
            raise MienError(f"The level of the features must be in 1..{len(widths) - 1}; got {level}.")
        self.level, halvings = level, len(widths) - 1
        self.first_conv = nn.Conv2d(channels, widths[0], 5, padding=2)
        pairs = list(pairwise(widths))
        self.convs = nn.ModuleList(nn.Conv2d(i, o, 5, stride=2, padding=2, bias=False) for i, o in pairs)
        self.norms = nn.ModuleList(nn.BatchNorm2d(o, momentum=MOMENTUM) for _, o in pairs)
        sides = [math.ceil(side / 2**halvings) for side in shape]
        self.linear = nn.Linear(widths[-1] * math.prod(sides), hidden, bias=False)
        self.linear_norm = nn.BatchNorm1d(hidden, momentum=MOMENTUM)
        self.score = nn.Linear(hidden, 1)
        draw_weights(self)

    def forward(self, picture: Float[Tensor, "batch channels h w"]) -> Discriminated:
        x, features = F.relu(self.first_conv(picture)), picture
        for place, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True), 1):
            x = conv(x)
            features = x if place == self.level else features
            x = F.relu(norm(x))
        x = F.relu(self.linear_norm(self.linear(x.flatten(1))))
        return Discriminated(self.score(x)[:, 0], features)

    def features(self, picture: Float[Tensor, "batch channels h w"]) -> Float[Tensor, "batch filters h2 w2"]:
        """The features alone, as the published code computes them: up to the BatchNorm behind them, whose statistics
        follow though its output is not used."""
        x = F.relu(self.first_conv(picture))
        for conv, norm in zip(self.convs[: self.level - 1], self.norms[: self.level - 1], strict=True):
            x = F.relu(norm(conv(x)))
        found: Tensor = self.convs[self.level - 1](x)
        if self.training:
            self.norms[self.level - 1](found.detach())
        return found
