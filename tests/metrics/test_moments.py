"""Moments are those of the rows together, and a course of any length has few bins."""

import numpy as np
import pytest

from mien.metrics.moments import MOST_BINS, Course, Moments


def test_a_course_of_any_length_has_few_bins() -> None:
    course, values = Course(1), np.arange(10_000.0)
    for start in range(0, 10_000, 700):
        course.add(values[start : start + 700] / 5, values[start : start + 700, None])
    assert MOST_BINS / 2 <= course.bins <= MOST_BINS and course.moments.count.sum() == 10_000
    assert np.nansum(course.moments.sum) == values.sum() and course.width_s == 2.0
    assert course.moments.least[0, 0] == 0 and course.moments.largest[: course.bins].max() == 9999
    assert course.moments.mean[100, 0] == pytest.approx(values[(values / 5 // 2) == 100].mean())


def test_rows_one_by_one_are_rows_together() -> None:
    values = np.random.default_rng(0).normal(size=(9, 3))
    values[2, 1] = np.nan
    together, alone = Moments(2, 3), Moments(2, 3)
    bins = np.arange(9) % 2
    together.add(bins, values)
    for i in range(9):
        alone.add(bins[i : i + 1], values[i : i + 1])
    for name in ("count", "sum", "squares", "least", "largest"):
        assert np.allclose(getattr(together, name), getattr(alone, name)), name
    assert np.allclose(together.sd[0, 0], values[::2, 0].std(ddof=1))
