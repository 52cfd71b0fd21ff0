"""An epoch is a function of (seed, epoch); it can begin anywhere; shards are disjoint; classes can be evened out."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.core.errors import MienError
from mien.data.sampling import EpochSampler, ShardSampler


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(0, 3), st.integers(0, 5), st.booleans(), st.data())
def test_resuming_goes_on_exactly(count: int, seed: int, epoch: int, imbalanced: bool, data: st.DataObject) -> None:
    classes = [i % 3 for i in range(count)] if imbalanced else None
    whole = EpochSampler(count, seed=seed, classes=classes, epoch=epoch)
    start = data.draw(st.integers(0, count))
    resumed = EpochSampler(count, seed=seed, classes=classes, epoch=epoch, start=start)
    assert list(resumed) == list(whole)[start:] and len(resumed) == len(whole) == count
    for sampler in (whole, resumed):
        sampler.set_epoch(epoch + 1)
    assert list(resumed) == list(whole) and {e for e, _ in whole} == {epoch + 1}


@given(st.integers(3, 50), st.integers(1, 3))
def test_shards_are_disjoint_and_equally_long(count: int, world: int) -> None:
    shards = [[i for _, i in EpochSampler(count, seed=1, rank=rank, world=world, epoch=4)] for rank in range(world)]
    assert {len(shard) for shard in shards} == {count // world}
    union = [i for shard in shards for i in shard]
    assert len(set(union)) == len(union)


def test_every_face_once_in_another_order_each_epoch() -> None:
    sampler = EpochSampler(40, seed=0)
    first = [i for _, i in sampler]
    sampler.set_epoch(1)
    second = [i for _, i in sampler]
    assert sorted(first) == sorted(second) == list(range(40)) and first != second


def test_the_imbalanced_sampler_evens_the_classes_out() -> None:
    classes = np.repeat([0, 1, 2], [1800, 150, 50])
    drawn = classes[EpochSampler(2000, seed=0, classes=classes.tolist()).order()]
    counts = np.bincount(drawn)
    assert counts.sum() == 2000 and np.abs(counts - 2000 / 3).max() < 4 * np.sqrt(2000 * 2 / 9)


def test_evaluation_shards_hold_every_face_once() -> None:
    shards = [[i for _, i in ShardSampler(10, rank=rank, world=3)] for rank in range(3)]
    assert sorted(i for shard in shards for i in shard) == list(range(10)) and [len(s) for s in shards] == [4, 3, 3]


def test_too_few_faces_for_the_processes() -> None:
    with pytest.raises(MienError, match="1 faces cannot be shared among 2"):
        EpochSampler(1, seed=0, world=2)
