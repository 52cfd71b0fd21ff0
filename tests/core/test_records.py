"""The nouns are cheap and cannot be changed by whom they are handed to."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.core.records import Batch, Prediction, Reading, Sample


@pytest.mark.parametrize("noun", [Sample("a", Path("a.jpg")), Reading("a.jpg", False), Prediction(np.ones(2) / 2)])
def test_samples_predictions_and_readings_are_fixed(noun):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noun, dataclasses.fields(noun)[0].name, "b")


def test_what_is_not_known_is_none_not_zero():
    sample, batch, reading = Sample("a", Path("a.jpg")), Batch(np.zeros(1), np.zeros(1)), Reading("a.jpg", False)
    assert (sample.expression, sample.box, sample.subject, sample.landmarks_px) == (None,) * 4
    assert (batch.expression, batch.distribution, batch.landmarks) == (None,) * 3
    assert (reading.expression, reading.score, reading.timestamp_s, reading.box) == (None,) * 4
