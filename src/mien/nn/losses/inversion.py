"""Losses of inversion: identity, momentum-contrast features, size of a code, and the two sides of the discriminator.

Pictures are [batch, 3, side, side] in -1..1. Richardson et al. 2021 (pSp), Mao et al. 2022 (ASIT).
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.nn.inversion.resnet50 import ResNet50
from mien.nn.iresnet import FaceRecogniser

CROP_ROWS, CROP_COLUMNS, CROP_SIDE = (35, 223), (32, 220), 256  # the face in an aligned FFHQ picture
FACE_SIDE, MOCO_SIDE = 112, 224


def face_crop(image: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 3 h w"]:
    """Rows 35 to 223 and columns 32 to 220 of a picture of 256 pixels; of another size the same share."""
    side = image.shape[-1]
    top, bottom, left, right = (round(edge * side / CROP_SIDE) for edge in (*CROP_ROWS, *CROP_COLUMNS))
    return image[:, :, top:bottom, left:right]


class IdentityLoss(nn.Module):
    """1 - cosine of the embeddings of two aligned faces, mean over the batch: 0 for the same person's same picture."""

    def __init__(self, recogniser: FaceRecogniser) -> None:
        super().__init__()
        self.recogniser = recogniser.eval().requires_grad_(False)

    def embed(self, image: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch outputs"]:
        """Of the face crop at 112 pixels; of length 1."""
        return self.recogniser(F.adaptive_avg_pool2d(face_crop(image), FACE_SIDE))

    def forward(self, image: Float[Tensor, "batch 3 side side"], target: Tensor) -> Float[Tensor, ""]:
        with torch.no_grad():
            wanted = self.embed(target)
        return (1 - (self.embed(image) * wanted).sum(1)).mean()


class MocoLoss(nn.Module):
    """1 - cosine of ResNet-50 features at 224 pixels (nearest), mean over the batch; for pictures without faces."""

    def __init__(self, network: ResNet50) -> None:
        super().__init__()
        self.network = network.eval().requires_grad_(False)

    def embed(self, image: Float[Tensor, "batch 3 side side"]) -> Float[Tensor, "batch 2048"]:
        """Of length 1."""
        return F.normalize(self.network(F.interpolate(image, size=MOCO_SIDE)), dim=1)

    def forward(self, image: Float[Tensor, "batch 3 side side"], target: Tensor) -> Float[Tensor, ""]:
        with torch.no_grad():
            wanted = self.embed(target)
        return (1 - (self.embed(image) * wanted).sum(1)).mean()


def code_norm(codes: Float[Tensor, "batch styles width"], mean: Tensor | None = None) -> Float[Tensor, ""]:
    """Mean over the batch of the length of all codes of a picture together, measured from `mean` where given.

    Its gradient is 0 where codes are the mean, as they are before the first step of an encoder that begins there.
    """
    offset = codes if mean is None else codes - mean
    squares = offset.flatten(1).square().sum(1)
    return (torch.where(squares > 0, squares, 1.0).sqrt() * (squares > 0)).mean()


def same_picture_loss(same: Float[Tensor, "batch 1"], inverted: Float[Tensor, "batch 1"]) -> Float[Tensor, ""]:
    """The inversion discriminator's: a picture beside itself should have cosine 1, its inversion -1."""
    return (same - 1).square().mean() + (inverted + 1).square().mean()


def inversion_loss(inverted: Float[Tensor, "batch 1"], *, legacy: bool = False) -> Float[Tensor, ""]:
    """The encoder's: the inversion should have cosine 1. legacy: without gradient, as released."""
    return ((inverted.detach() if legacy else inverted) - 1).square().mean()
