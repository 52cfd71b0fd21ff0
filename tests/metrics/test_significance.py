"""Intervals and tests: coverage by simulation, scipy as the independent implementation, hand-worked McNemar."""

import math

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics import expression, significance
from shape_checks import unchecked


def test_bootstrap_covers_the_true_accuracy_about_as_often_as_it_says() -> None:
    rng, covered, repeats = np.random.default_rng(0), 0, 300
    for trial in range(repeats):
        right = rng.binomial(400, 0.8)
        matrix = np.array([[right, 400 - right], [0, 0]])
        interval = significance.bootstrap_interval(matrix, expression.accuracy, resamples=400, seed=trial)
        covered += interval.low <= 0.8 <= interval.high
    assert 0.91 <= covered / repeats <= 0.98


def test_bootstrap_has_the_binomial_width_and_repeats_exactly() -> None:
    matrix = np.array([[450, 50], [50, 450]])
    interval = significance.bootstrap_interval(matrix, expression.accuracy, seed=3)
    half = 1.96 * math.sqrt(0.9 * 0.1 / 1000)
    assert interval.high - interval.low == pytest.approx(2 * half, rel=0.08)
    assert interval.low < 0.9 < interval.high
    assert interval == significance.bootstrap_interval(matrix, expression.accuracy, seed=3)
    assert interval != significance.bootstrap_interval(matrix, expression.accuracy, seed=4)


def test_bootstrap_over_samples_agrees_with_bootstrap_over_counts() -> None:
    right = np.repeat([1.0, 0.0], [900, 100])
    by_sample = significance.bootstrap_samples(lambda i: right[i].mean(), 1000, resamples=2000, seed=0)
    by_count = significance.bootstrap_interval(np.array([[900, 100], [0, 0]]), expression.accuracy, seed=0)
    assert (by_sample.low, by_sample.high) == pytest.approx((by_count.low, by_count.high), abs=0.004)


def test_no_interval_where_the_metric_is_often_undefined() -> None:
    matrix = np.array([[50, 0], [1, 0]])  # a single sample of class 1: missing in a third of the resamples

    def rare(m: np.ndarray) -> np.ndarray:
        return expression.recall(m, index=1)

    with pytest.raises(MienError, match=r"undefined in \d+ of 200 resamples"):
        significance.bootstrap_interval(matrix, rare, resamples=200)
    with pytest.raises(MienError, match="two samples or more"):
        significance.bootstrap_interval(np.zeros((2, 2), int), expression.accuracy)


def test_stratified_resampling_keeps_every_class_at_its_size() -> None:
    matrix = np.array([[50, 10, 0], [1, 1, 0], [0, 0, 0]])
    drawn = significance.resampled(matrix, resamples=200, seed=0, stratified=True)
    np.testing.assert_array_equal(drawn.sum(-1), np.tile([60, 2, 0], (200, 1)))
    np.testing.assert_allclose(drawn.mean(0)[0] / 60, [50 / 60, 10 / 60, 0], atol=0.01)
    interval = significance.bootstrap_interval(matrix, expression.balanced_accuracy, stratified=True)
    assert interval.low < expression.balanced_accuracy(matrix) < interval.high


def test_wilson_interval_agrees_with_scipy_and_is_open_at_the_ends() -> None:
    stats = pytest.importorskip("scipy.stats")
    for successes, n in ((0, 10), (10, 10), (3, 7), (812, 1000)):
        ours = significance.wilson_interval(successes, n)
        theirs = stats.binomtest(successes, n).proportion_ci(method="wilson")
        assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high))
    assert significance.wilson_interval(0, 10).high == pytest.approx(0.2775, abs=1e-4)  # 0 of 10 is no proof of 0
    with pytest.raises(MienError, match="at least one sample"):
        significance.wilson_interval(0, 0)


def pairs(only_first: int, only_second: int, both: int = 10) -> tuple[np.ndarray, np.ndarray]:
    first = np.repeat([True, False, True], [only_first, only_second, both])
    return first, np.repeat([False, True, True], [only_first, only_second, both])


@pytest.mark.parametrize(("a", "b"), [(1, 9), (0, 6), (7, 7), (12, 12), (3, 21)])
def test_mcnemar_is_exact_for_few_pairs(a: int, b: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    test = significance.mcnemar(*pairs(a, b))
    assert (test.only_first, test.only_second, test.method) == (a, b, "exact binomial")
    assert test.p_value == pytest.approx(stats.binomtest(a, a + b, 0.5).pvalue)


def test_mcnemar_worked_by_hand() -> None:
    assert significance.mcnemar(*pairs(0, 5)).p_value == pytest.approx(2 / 2**5)
    many = significance.mcnemar(*pairs(30, 15))
    assert many.method.startswith("chi-square")
    assert many.p_value == pytest.approx(math.erfc(math.sqrt(14**2 / 45 / 2)))  # (|30 - 15| - 1)^2 / 45 = 4.356
    assert many.p_value == pytest.approx(0.0369, abs=1e-4)


def test_mcnemar_is_symmetric_and_says_1_where_nothing_differs() -> None:
    assert significance.mcnemar(*pairs(40, 20)).p_value == significance.mcnemar(*pairs(20, 40)).p_value
    assert significance.mcnemar(*pairs(0, 0)).p_value == 1
    with pytest.raises(MienError, match="same samples"), unchecked():
        significance.mcnemar(np.ones(3, bool), np.ones(4, bool))
