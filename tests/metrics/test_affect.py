"""Agreement of values: hand-worked, what each metric does not see, and what is undefined."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics import affect
from shape_checks import unchecked

PREDICTED, TRUTH = np.array([0.0, 0.5, -0.5, 1.0]), np.array([0.5, 0.5, -1.0, 1.0])


def test_worked_by_hand() -> None:
    """Means 0.25 and 0.25; deviations (-1, 1, -3, 3)/4 and (1, 1, -5, 3)/4; squares 20/64 and 36/64; product 24/64."""
    assert affect.ccc(PREDICTED, TRUTH) == pytest.approx(2 * 24 / (20 + 36))
    assert affect.pearson(PREDICTED, TRUTH) == pytest.approx(24 / np.sqrt(20 * 36))
    assert affect.rmse(PREDICTED, TRUTH) == pytest.approx(np.sqrt(0.5 / 4))
    assert affect.mae(PREDICTED, TRUTH) == pytest.approx(1 / 4)
    assert affect.sign_agreement(PREDICTED, TRUTH) == pytest.approx(3 / 4)  # 0 does not have the sign of 0.5


def test_the_ccc_sees_shift_and_scale_and_the_correlation_does_not() -> None:
    for predicted in (TRUTH + 0.3, 0.5 * TRUTH):
        assert affect.pearson(predicted, TRUTH) == pytest.approx(1)
        assert affect.ccc(predicted, TRUTH) < 0.95
    variance = TRUTH.var()
    assert affect.ccc(TRUTH + 0.3, TRUTH) == pytest.approx(2 * variance / (2 * variance + 0.09))
    assert affect.ccc(TRUTH, TRUTH) == pytest.approx(1)
    assert affect.ccc(-TRUTH + 2 * TRUTH.mean(), TRUTH) == pytest.approx(-1)


def test_the_correlation_is_numpys() -> None:
    rng = np.random.default_rng(0)
    predicted, truth = rng.uniform(-1, 1, (2, 50))
    assert affect.pearson(predicted, truth) == pytest.approx(np.corrcoef(predicted, truth)[0, 1])


def test_a_constant_prediction_agrees_with_nothing_and_correlates_with_nothing() -> None:
    assert affect.ccc(np.zeros(4), TRUTH) == 0
    with pytest.raises(MienError, match="correlation is undefined: the predicted values are all the same"):
        affect.pearson(np.zeros(4), TRUTH)
    with pytest.raises(MienError, match="CCC is undefined: all values are the same"):
        affect.ccc(np.ones(3), np.ones(3))


@unchecked()
@pytest.mark.parametrize("metric", [affect.ccc, affect.pearson, affect.rmse, affect.mae, affect.sign_agreement])
def test_what_does_not_compare_is_refused(metric) -> None:
    with pytest.raises(MienError, match="two equal lists with at least one face"):
        metric(TRUTH, TRUTH[:3])
    with pytest.raises(MienError, match="two equal lists with at least one face"):
        metric(TRUTH[:0], TRUTH[:0])
    with pytest.raises(MienError, match="NaN or infinite"):
        metric(np.array([0.0, np.nan]), np.zeros(2))


def test_constant_lists_have_no_ccc_whatever_their_mean_is_rounded_to() -> None:
    with pytest.raises(MienError, match="all values are the same"):
        affect.ccc(np.full(3, 0.1), np.full(3, 0.1))
