"""Mixing: the faces of a training batch in pairs, blended (mixup) or one pasted into the other (CutMix), with targets.

mixup: Zhang et al., ICLR 2018. CutMix: Yun et al., ICCV 2019. Each face is paired with the one before it, and one
weight and one box serve the whole batch, drawn from torch's generator in torchvision's order. A training step seeds
that generator, so the mix of a step depends on (seed, step, rank) alone, and both passes of SAM see the same one.
"""

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mien.core.records import Batch

TorchBatch = Batch[Tensor]
PICTURES = ("image", "render")


class Box(NamedTuple):
    """What is pasted, in shares of the height and the width; bottom and right exclusive."""

    top: float
    left: float
    bottom: float
    right: float


@dataclass(frozen=True)
class Mixing:
    """Which batches are mixed, and how."""

    mixup: float = 0.0
    """Both parameters of the Beta distribution of mixup's weight; 0 turns mixup off."""
    cutmix: float = 0.0
    """The same of the share that CutMix keeps; 0 turns CutMix off."""
    probability: float = 1.0
    """Of mixing a batch, 0..1."""
    switch: float = 0.5
    """Probability of CutMix where both are on, 0..1."""
    off_epoch: int = 0
    """Finished epochs after which nothing is mixed; 0 for never."""

    def active(self, epoch: int) -> bool:
        """Whether batches of this epoch, counted from 0, may be mixed."""
        return bool(self.mixup or self.cutmix) and not 0 < self.off_epoch <= epoch

    def __call__(self, batch: TorchBatch, *, classes: int) -> TorchBatch:
        """The batch, mixed or as it is. Of the mixed one `distribution` is the target; it has no class index, and no
        points, depth or shape, which two faces in one picture do not have. classes: columns of the target."""
        if self.probability < 1 and float(torch.rand(())) >= self.probability:
            return batch
        both = bool(self.mixup and self.cutmix)
        cut = bool(self.cutmix) and (not both or float(torch.rand(())) < self.switch)
        weight = _beta(self.cutmix if cut else self.mixup)
        if not cut:
            return mixed(batch, weight, classes=classes)
        height, width = next(size for name in PICTURES if min(size := _size(getattr(batch, name))))
        box, weight = box_of(weight, height=height, width=width)
        return mixed(batch, weight, box, classes=classes)


def mixed(batch: TorchBatch, weight: float, box: Box | None = None, *, classes: int) -> TorchBatch:
    """The batch of which each face has this weight and the one before it the rest; the first is paired with the last.

    box: of the former face, pasted into the pictures; without one all inputs are blended. A value that is unknown of
    either face is unknown of both.
    """

    def blended(value: Tensor) -> Tensor:
        return value.mul(weight).add_(value.roll(1, 0), alpha=1 - weight)

    pictures = {name: value for name in PICTURES if (value := getattr(batch, name)) is not None}
    found = {name: blended(value) if box is None else _pasted(value, box) for name, value in pictures.items()}
    if batch.voice is not None:
        found["voice"] = blended(batch.voice)
    if batch.affect is not None:
        found["affect"] = blended(batch.affect)
    target = _target(batch, classes)
    if target is not None:
        found["distribution"] = blended(target)
    return replace(batch, expression=None, landmarks=None, depth=None, visible=None, face3d=None, **found)


def box_of(weight: float, *, height: int, width: int) -> tuple[Box, float]:
    """A box that covers 1 - weight of the picture where it lies within, in whole pixels of its sides about a pixel
    drawn at random; and the share of the picture outside the box, cut at the edges."""
    x, y = (int(torch.randint(side, size=(1,))) for side in (width, height))
    half = 0.5 * math.sqrt(1 - weight)
    left, right = max(0, x - int(half * width)), min(width, x + int(half * width))
    top, bottom = max(0, y - int(half * height)), min(height, y + int(half * height))
    kept = 1 - (right - left) * (bottom - top) / (width * height)
    return Box(top / height, left / width, bottom / height, right / width), kept


def _pasted(picture: Float[Tensor, "batch channels height width"], box: Box) -> Tensor:
    """One of no height and width is left as it is."""
    height, width = picture.shape[2:]
    rows = slice(round(box.top * height), round(box.bottom * height))
    columns = slice(round(box.left * width), round(box.right * width))
    found = picture.clone()
    found[:, :, rows, columns] = picture[:, :, rows, columns].roll(1, 0)
    return found


def _target(batch: TorchBatch, classes: int) -> Float[Tensor, "batch classes"] | None:
    if batch.distribution is not None:
        return batch.distribution
    return None if batch.expression is None else F.one_hot(batch.expression, classes).float()


def _size(picture: Tensor | None) -> tuple[int, int]:
    return (0, 0) if picture is None else (picture.shape[2], picture.shape[3])


def _beta(alpha: float) -> float:
    """A draw in 0..1 from the Beta distribution with twice this parameter."""
    both = torch.tensor([alpha])
    return float(torch.distributions.Beta(both, both).sample(()))
