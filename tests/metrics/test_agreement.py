"""Krippendorff's alpha against his own example, and what must hold."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.metrics.agreement import alpha_interval, krippendorff_alpha

_ = np.nan
# Krippendorff 2011, section C: four observers, twelve units, with gaps
EXAMPLE = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
    [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
])  # fmt: skip


def test_the_published_example():
    assert krippendorff_alpha(EXAMPLE, level="nominal") == pytest.approx(0.743, abs=5e-4)
    assert krippendorff_alpha(EXAMPLE, level="interval") == pytest.approx(0.849, abs=5e-4)


def test_by_hand():
    """Two raters, three units: 1 1, 1 2, 2 2. Do = 2/6; De = 2 * 3 * 3 / 30 = 3/5; alpha = 1 - (1/3) / (3/5) = 4/9."""
    ratings = np.array([[1.0, 1, 2], [1, 2, 2]])
    for level in ("nominal", "interval"):
        assert krippendorff_alpha(ratings, level=level) == pytest.approx(4 / 9)
    assert krippendorff_alpha(np.array([[1.0, 2, 5], [1, 2, 5]]), level="interval") == 1


def test_order_and_scale_do_not_matter_and_noise_has_none():
    random = np.random.default_rng(0)
    for level in ("nominal", "interval"):
        value = krippendorff_alpha(EXAMPLE, level=level)
        shuffled = EXAMPLE[random.permutation(4)][:, random.permutation(12)]
        assert krippendorff_alpha(1000 - 3 * shuffled, level=level) == pytest.approx(value)
        noise = random.integers(0, 4, (6, 400)).astype(float)
        assert abs(krippendorff_alpha(noise, level=level)) < 0.05


def test_the_interval_holds_the_value_and_narrows_with_units():
    random = np.random.default_rng(1)
    truth = random.normal(size=300)
    ratings = truth + random.normal(0, 0.7, (3, 300))
    few, many = (alpha_interval(ratings[:, :count], level="interval") for count in (20, 300))
    assert many.low < krippendorff_alpha(ratings, level="interval") < many.high
    assert many.high - many.low < 0.5 * (few.high - few.low)


@pytest.mark.parametrize("ratings", [[[1.0, np.nan], [np.nan, 2.0]], [[1.0, 1.0], [1.0, 1.0]]])
def test_what_has_no_agreement_is_refused(ratings):
    with pytest.raises(MienError, match="Agreement is undefined"):
        krippendorff_alpha(np.array(ratings), level="nominal")
