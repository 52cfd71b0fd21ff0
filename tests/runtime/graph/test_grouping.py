"""Grouping: one run for several samples only where that gives the bits of each by itself."""

import time

import numpy as np
import pytest

from mien.runtime.graph.grouping import TRIED_AFTER, Arrays, Grouped


def samples(count: int) -> Arrays:
    return {"image": np.random.default_rng(5).normal(size=(count, 6)).astype(np.float32)}


def network(arrays: Arrays) -> Arrays:
    return {"logits": arrays["image"] * np.float32(2)}


class Counting:
    """The network; how many samples each of its runs had. `off` is added to what several give."""

    def __init__(self, off: float = 0.0) -> None:
        self.off, self.runs = np.float32(off), list[int]()

    def __call__(self, arrays: Arrays) -> Arrays:
        count = len(arrays["image"])
        self.runs.append(count)
        return {"logits": network(arrays)["logits"] + (self.off if count > 1 else np.float32(0))}


def test_groups_run_together_once_they_gave_the_same_bits() -> None:
    counting = Counting()
    run = Grouped(counting, lambda _: counting)
    for _ in range(TRIED_AFTER + 2):
        assert (run(samples(3))["logits"] == network(samples(3))["logits"]).all()
    assert run.sizes == [3]
    assert counting.runs == [1, 1, 1] * TRIED_AFTER + [3, 3, 3], "tried once, then twice together"


def test_one_differing_bit_keeps_samples_apart() -> None:
    counting = Counting(off=1e-6)
    run = Grouped(counting, lambda _: counting)
    for _ in range(TRIED_AFTER + 2):
        assert (run(samples(2))["logits"] == network(samples(2))["logits"]).all()
    assert run.sizes == [] and counting.runs.count(2) == 1


def test_a_library_that_takes_one_sample_only_is_asked_once() -> None:
    asked = []

    def load(count: int) -> None:
        asked.append(count)
        raise RuntimeError("a graph for one sample")

    run = Grouped(network, load)
    for _ in range(TRIED_AFTER + 3):
        assert (run(samples(2))["logits"] == network(samples(2))["logits"]).all()
    assert asked == [2]


@pytest.mark.parametrize(("seconds", "kept"), [(0.0, [2]), (0.05, [])])
def test_what_takes_memory_is_kept_where_it_saves_time(seconds: float, kept: list[int]) -> None:
    def alone(arrays: Arrays) -> Arrays:
        time.sleep(0.005)
        return network(arrays)

    def together(arrays: Arrays) -> Arrays:
        time.sleep(seconds)
        return network(arrays)

    run = Grouped(alone, lambda _: together, after=1, worth=0.15)
    assert (run(samples(2))["logits"] == network(samples(2))["logits"]).all()
    assert run.sizes == kept
