"""Pairs of least total cost, against trying every one."""

from itertools import permutations

import numpy as np
import pytest

from mien.runtime.tracking.assignment import assigned


def least(cost: np.ndarray, most: float) -> float:
    """Of all ways to pair rows with columns, or to leave them alone."""
    rows, columns = cost.shape
    wide = np.concatenate([cost, np.full((rows, rows), most)], axis=1)
    return min(
        sum(wide[row, column] for row, column in enumerate(way)) for way in permutations(range(columns + rows), rows)
    )


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (3, 3)])
@pytest.mark.parametrize("most", [0.3, 2.0])
def test_no_other_pairs_cost_less(shape: tuple[int, int], most: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        cost = rng.random(shape)
        pairs = assigned(cost, most=most)
        assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == len(pairs)
        total = sum(cost[pair] for pair in pairs) + most * (shape[0] - len(pairs))
        assert total == pytest.approx(least(cost, most))


def test_the_greedy_choice_is_not_the_best_one() -> None:
    assert assigned(np.array([[0.1, 0.2], [0.15, 0.9]]), most=1.0) == [(0, 1), (1, 0)]


def test_what_cannot_be_paired_stays_alone() -> None:
    assert assigned(np.array([[np.inf, np.inf], [np.inf, 0.5]]), most=1.0) == [(1, 1)]
    assert assigned(np.zeros((0, 3)), most=1.0) == assigned(np.zeros((2, 0)), most=1.0) == []
