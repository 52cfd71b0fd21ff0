"""The two discriminators of 3FabRec and ParFace-Net: of pictures and of latent vectors.

Both end in a sigmoid (Browatzki & Wallraven, CVPR 2020); `logits` gives what goes into it.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

DISCRIMINATOR_WIDTHS = (32, 64, 128, 256, 256)


class PictureDiscriminator(nn.Module):
    """[batch, 3, side, side], a side of at least 128, to the probability [batch] that the picture is a real one.

    Five 4x4 convolutions of stride 2 and one more of stride 1, whose map is averaged. No activation works in place: the
    gradient penalty needs second derivatives.
    """

    def __init__(self, *, widths: Sequence[int] = DISCRIMINATOR_WIDTHS) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place, (inputs, outputs) in enumerate(zip((3, *widths), widths, strict=False)):
            layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
            layers += [nn.BatchNorm2d(outputs)] if place else []
            layers.append(nn.LeakyReLU(0.2))
        layers.append(nn.Conv2d(widths[-1], 1, 4, bias=False))
        self.layers = nn.Sequential(*layers)

    def logits(self, picture: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, " batch"]:
        return self.layers(picture).mean((1, 2, 3))

    def forward(self, picture: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, " batch"]:
        return torch.sigmoid(self.logits(picture))


class LatentDiscriminator(nn.Module):
    """[batch, latent] to the probability [batch, 1] that it was drawn from a normal distribution."""

    def __init__(self, latent: int, *, hidden: int = 1000) -> None:
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(latent, hidden), nn.Linear(hidden, hidden)
        self.linear3, self.dropout = nn.Linear(hidden, 1), nn.Dropout(0.2)

    def logits(self, latent: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 1"]:
        x = F.relu(self.dropout(self.linear1(latent)))
        return self.linear3(F.relu(self.dropout(self.linear2(x))))

    def forward(self, latent: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 1"]:
        return torch.sigmoid(self.logits(latent))
