"""Mixup and CutMix: weights and areas worked out by hand, the same numbers as torchvision's, and what is not mixed."""

import math

import pytest
import torch

from mien.core.records import Batch
from mien.systems.mixing import Box, Mixing, box_of, mixed


def rows(count: int = 4, side: int = 8, **fields) -> Batch:
    """Faces whose every pixel is the number of the face."""
    image = torch.arange(float(count))[:, None, None, None].expand(count, 3, side, side).clone()
    return Batch(image=image, index=torch.arange(count), **({"expression": torch.arange(count) % 3} | fields))


def test_mixup_blends_each_face_and_all_that_is_known_of_it_with_the_one_before() -> None:
    affect = torch.tensor([[0.0, 1.0], [1.0, -1.0], [math.nan, 0.0], [-1.0, 0.0]])
    batch = rows(affect=affect, voice=torch.arange(4.0)[:, None, None, None], landmarks=torch.zeros(4, 68, 2))
    found = mixed(batch, 0.75, classes=3)
    assert found.image[:, 0, 0, 0].tolist() == [0.75, 0.75, 1.75, 2.75]  # the first with the last: .25 * 3
    assert found.voice is not None and found.voice.flatten().tolist() == [0.75, 0.75, 1.75, 2.75]
    assert found.distribution is not None and found.affect is not None
    assert found.distribution.tolist() == [[1, 0, 0], [0.25, 0.75, 0], [0, 0.25, 0.75], [0.75, 0, 0.25]]
    assert found.affect[1].tolist() == [0.75, -0.5]
    assert found.affect[:, 0].isnan().tolist() == [False, False, True, True]
    assert found.expression is found.landmarks is None and found.index.tolist() == [0, 1, 2, 3]
    assert batch.image[:, 0, 0, 0].tolist() == [0, 1, 2, 3]  # the batch itself stays


def test_the_votes_of_annotators_are_blended() -> None:
    votes = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.2, 0.8]])
    found = mixed(rows(2, distribution=votes), 0.5, classes=3).distribution
    torch.testing.assert_close(found, torch.tensor([[0.25, 0.35, 0.4]] * 2))


def test_cutmix_pastes_a_box_into_photo_and_render_of_another_size() -> None:
    batch = rows(2, 8, render=torch.arange(2.0)[:, None, None, None].expand(2, 3, 4, 4).clone())
    found = mixed(batch, 0.75, Box(0.0, 0.5, 0.5, 1.0), classes=3)
    assert found.image[0, 0].sum() == 16 and found.image[0, 0, :4, 4:].eq(1).all()  # 4 x 4 of 64 pixels: a quarter
    assert found.render is not None and found.render[0, 0].sum() == 4 and found.render[0, 0, :2, 2:].eq(1).all()
    assert found.distribution is not None and found.distribution.tolist() == [[0.75, 0.25, 0], [0.25, 0.75, 0]]


def test_a_box_covers_the_share_and_one_at_the_edge_what_lies_within() -> None:
    kept = []
    for seed in range(300):
        torch.manual_seed(seed)
        box, share = box_of(0.75, height=16, width=32)
        height, width = 16 * (box.bottom - box.top), 32 * (box.right - box.left)
        assert height <= 8 and width <= 16 and share == pytest.approx(1 - height * width / 512)
        kept.append(share)
    assert min(kept) == 0.75 and max(kept) > 0.9  # whole boxes, half of each side, and ones cut at a corner


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_torchvisions(kind: str, seed: int) -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2")
    torch.manual_seed(100 + seed)
    batch = Batch(image=torch.randn(6, 3, 32, 32), index=torch.arange(6), expression=torch.arange(6) % 3)
    theirs = {"mixup": v2.MixUp, "cutmix": v2.CutMix}[kind](alpha=0.7, num_classes=3)
    torch.manual_seed(seed)
    image, target = theirs(batch.image, batch.expression)
    torch.manual_seed(seed)
    found = Mixing(**{kind: 0.7})(batch, classes=3)
    torch.testing.assert_close(found.image, image)
    torch.testing.assert_close(found.distribution, target)


def test_shares_of_mixed_batches_and_of_both_ways() -> None:
    batch = rows(2)
    torch.manual_seed(0)
    ways = {"as it is": 0, "cut": 0, "blended": 0}
    for _ in range(400):
        found = Mixing(mixup=1.0, cutmix=1.0, probability=0.5, switch=0.25)(batch, classes=3)
        whole = set(found.image.flatten().tolist()) <= {0.0, 1.0}
        ways["as it is" if found is batch else "cut" if whole else "blended"] += 1
    assert 160 < ways["as it is"] < 240 and 30 < ways["cut"] < 75 and 110 < ways["blended"] < 190


def test_nothing_is_mixed_after_the_last_epoch_of_mixing() -> None:
    assert [Mixing(mixup=1.0, off_epoch=2).active(epoch) for epoch in range(4)] == [True, True, False, False]
    assert Mixing(cutmix=1.0).active(500) and not Mixing().active(0)
