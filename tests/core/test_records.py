"""The nouns are cheap and cannot be changed by whom they are handed to."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.records import Batch, Reading, Sample


@pytest.mark.parametrize("noun", [Sample("a", Path("a.jpg")), Reading("a.jpg", False)])
def test_samples_and_readings_are_fixed(noun):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(noun, dataclasses.fields(noun)[0].name, "b")


def test_what_is_not_known_is_none_not_zero():
    sample, batch, reading = Sample("a", Path("a.jpg")), Batch(np.zeros(1), np.zeros(1)), Reading("a.jpg", False)
    assert (sample.expression, sample.box, sample.subject, sample.landmarks_px) == (None,) * 4
    assert (batch.expression, batch.distribution, batch.landmarks) == (None,) * 3
    assert (reading.expression, reading.score, reading.timestamp_s, reading.box) == (None,) * 4
    assert (sample.voice, sample.render, sample.frame, sample.affected) == (None,) * 4


def test_a_batch_is_mapped_over_the_arrays_that_there_are():
    batch = Batch(np.zeros((2, 3)), np.arange(2), affect=np.full((2, 2), np.nan))
    doubled = batch.map(lambda array: array * 2)
    assert len(batch) == 2 and list(doubled.index) == [0, 2]
    assert doubled.voice is None and doubled.affect is not None and np.isnan(doubled.affect).all()


def test_a_network_gets_the_fields_that_it_names():
    batch = Batch(np.zeros((2, 3)), np.arange(2), voice=np.ones((2, 1, 4, 4)))
    voice, image = batch.take(("voice", "image"))
    assert voice is batch.voice and image is batch.image
    with pytest.raises(MienError, match="The network takes 'render', which these data do not have"):
        batch.take(("image", "render"))


def test_a_batch_pins_every_tensor_that_there_is():
    class Stub:
        pinned = False

        def pin_memory(self):
            self.pinned = True
            return self

    batch = Batch(image=Stub(), index=Stub()).pin_memory()
    assert batch.image.pinned and batch.index.pinned and batch.voice is None


def test_a_reading_is_named_by_its_face_and_in_a_video_by_its_track():
    reading = Reading("a.jpg", True, face_id=2, box=(1.0, 2.0, 3.0, 4.0))
    assert reading.summary == "face 2: box (1, 2, 3, 4)"
    assert dataclasses.replace(reading, track_id=5).summary == "track 5: box (1, 2, 3, 4)"
