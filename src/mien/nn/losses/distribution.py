"""Alignment of two sets of features: how similar the pictures of a batch are among themselves, at several layers.

After the cross-domain correspondence of Ojha et al., CVPR 2021: similarities to the others of a batch become a
distribution, and the target's should be the source's.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from mien.core.errors import MienError

DRAWS, FIRST_PICTURES = 3, 2


def distribution_loss(source: Sequence[Tensor], target: Sequence[Tensor]) -> Float[Tensor, ""]:
    """KL(source || target) of each picture's similarities to all others of the batch, mean over pictures and layers.

    source, target: maps [batch, ...] of the same layers; no gradient goes to `source`. Raises MienError below three
    pictures: with one other picture a distribution is always the same.
    """
    if len(source[0]) < 3 or len(target[0]) != len(source[0]):
        raise MienError(
            "The distribution loss compares each picture with at least two others: it needs batches of 3 or more, "
            f"equal on both sides; got {len(source[0])} and {len(target[0])}."
        )
    terms = []
    for ours, theirs in zip(source, target, strict=True):
        wanted, found = _others(ours.detach()).log_softmax(1), _others(theirs).log_softmax(1)
        terms.append(F.kl_div(found, wanted, reduction="batchmean", log_target=True))
    return torch.stack(terms).mean()


def _others(maps: Tensor) -> Float[Tensor, "batch others"]:
    """Cosines of every picture with every other one."""
    unit = F.normalize(maps.flatten(1), dim=1)
    count = len(unit)
    # Without the diagonal: rows one longer, so that it becomes the last column. A mask would wait for the device.
    return (unit @ unit.T).flatten()[1:].view(count - 1, count + 1)[:, :-1].reshape(count, count - 1)


def draw(random: torch.Generator) -> tuple[list[int], list[int]]:
    """(layers, pictures) of the three draws of `published_distribution_loss`."""
    layers = torch.randint(DRAWS, (DRAWS,), generator=random)
    return layers.tolist(), torch.randint(FIRST_PICTURES, (DRAWS,), generator=random).tolist()


def published_distribution_loss(
    source: Sequence[Tensor], target: Sequence[Tensor], *, layers: Sequence[int], pictures: Sequence[int]
) -> Float[Tensor, ""]:
    """The released form: three draws of a layer and of one of the first two pictures of a batch.

    Each draw is compared, at its layer, with the other draws of the other picture; rows of up to two cosines, the
    rest 0. It is 0 without gradient where all draws are of one picture.
    """
    if len(set(pictures)) == 1:
        return target[0].new_zeros(())
    wanted = _drawn(source, layers, pictures).detach().softmax(1)
    found = _drawn(target, layers, pictures).log_softmax(1)
    return F.kl_div(found, wanted, reduction="sum") / wanted.numel()  # by elements, as published


def _drawn(maps: Sequence[Tensor], layers: Sequence[int], pictures: Sequence[int]) -> Float[Tensor, "3 2"]:
    rows = []
    for layer, picture in zip(layers, pictures, strict=True):
        own = maps[layer].flatten(1)
        others = [other for other in pictures if other != picture]
        cosines = [F.cosine_similarity(own[picture], own[other], dim=0) for other in others]
        rows.append(F.pad(torch.stack(cosines), (0, DRAWS - 1 - len(cosines))))
    return torch.stack(rows)
