"""Logits to calibrated probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.core.decode import adjusted_logits, probabilities
from mien.core.errors import MienError


def test_by_hand():
    assert np.allclose(probabilities(np.log([[1.0, 2, 5]])), [[0.125, 0.25, 0.625]])
    assert np.allclose(probabilities(np.log([1.0, 4]), temperature=2.0), [1 / 3, 2 / 3])


@given(st.lists(st.floats(-1e4, 1e4), min_size=2, max_size=9), st.floats(-1e3, 1e3), st.floats(0.05, 20))
def test_they_sum_to_one_ignore_a_constant_and_keep_the_order(logits, constant, temperature):
    values = np.array(logits)
    result = probabilities(values, temperature=temperature)
    assert np.isclose(result.sum(), 1)
    assert np.allclose(result, probabilities(values + constant, temperature=temperature), atol=1e-6)
    assert (np.diff(result[np.argsort(values)]) >= 0).all()


def test_large_logits_do_not_overflow_and_the_input_stays():
    logits = np.array([[1e4, 0, -1e4]], np.float32)
    assert np.allclose(probabilities(logits), [[1, 0, 0]])
    assert logits.tolist() == [[1e4, 0, -1e4]]
    assert probabilities(logits).dtype == np.float64


def test_a_higher_temperature_is_less_sure():
    logits = np.array([2.0, 1.0, 0.0])
    tops = [probabilities(logits, temperature=t).max() for t in (0.5, 1, 2, 1000)]
    assert tops == sorted(tops, reverse=True)
    assert np.isclose(tops[-1], 1 / 3, atol=1e-3)


@pytest.mark.parametrize("temperature", [0, -1, float("nan")])
def test_a_temperature_must_be_positive(temperature):
    with pytest.raises(MienError, match="must be above 0"):
        probabilities(np.zeros(3), temperature=temperature)


def test_a_logit_adjustment_divides_by_the_prior_and_is_bayes_rule_at_1():
    prior, shares, temperature = (0.8, 0.15, 0.05), np.array([0.6, 0.3, 0.1]), 0.5
    logits = np.log(shares) * temperature
    assert np.allclose(probabilities(logits, temperature=temperature), shares)
    for strength, by_hand in ((0.0, shares), (0.5, shares / np.sqrt(prior)), (1.0, np.array([0.75, 2.0, 2.0]))):
        found = adjusted_logits(logits, prior, strength=strength, temperature=temperature)
        assert np.allclose(probabilities(found, temperature=temperature), by_hand / by_hand.sum())
