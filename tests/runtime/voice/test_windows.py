"""Windows of a recording: where they lie, whatever the blocks, and what is wrong with them."""

from itertools import pairwise

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.runtime.voice.windows import voice_windows

RATE = 100


def windows(samples, *, length=200, hop_s=1.0, block=37):
    blocks = (samples[i : i + block] for i in range(0, len(samples), block))
    return list(voice_windows(blocks, rate_hz=RATE, samples=length, hop_s=hop_s, name="voice.wav"))


@pytest.mark.parametrize("block", [1, 37, 1000])
@pytest.mark.parametrize(
    ("hop_s", "starts"), [(1.0, [0, 1, 2, 3, 3.5]), (0.5, [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]), (4.0, [0, 3.5])]
)
def test_windows_lie_where_they_should(block, hop_s, starts):
    samples = np.arange(550, dtype=np.float32) / 1000
    found = windows(samples, hop_s=hop_s, block=block)
    assert [each.start_s for each in found] == starts and [each.number for each in found] == list(range(len(starts)))
    for each in found:
        first = round(each.start_s * RATE)
        assert np.array_equal(each.sound.samples, samples[first : first + 200])
    assert found[0].from_s == 0 and found[-1].to_s == 5.5
    centres = [(each.start_s + each.end_s) / 2 for each in found]
    for (one, other), middle in zip(pairwise(found), np.add(centres[1:], centres[:-1]) / 2, strict=True):
        assert one.to_s == other.from_s == pytest.approx(middle)


@pytest.mark.parametrize(
    ("count", "expected"), [(120, [(0.0, 1.2)]), (200, [(0.0, 2.0)]), (201, [(0.0, 2.0), (0.01, 2.01)])]
)
def test_short_recordings(count, expected):
    assert [(each.start_s, each.end_s) for each in windows(np.ones(count, np.float32))] == expected


def test_what_is_too_short_silent_or_clipped():
    with pytest.raises(MienError, match=r"voice.wav: 0.29 s of sound; at least 0.3 s"):
        windows(np.ones(29, np.float32))
    silent, quiet, clipped = np.zeros(200), np.tile([0.01, -0.01], 100), np.r_[np.ones(2), np.full(198, 0.1)]
    assert [windows(each.astype(np.float32))[0].silent for each in (silent, quiet, clipped)] == [True, False, False]
    assert windows(np.full(200, 0.5, np.float32))[0].silent  # an offset is no sound
    assert windows(silent.astype(np.float32))[0].note == "silent (-120 dB of full scale)"
    assert windows(clipped.astype(np.float32))[0].note == "clipped: 1.0% of the samples at full scale"
    assert (
        windows(quiet.astype(np.float32))[0].level_db == pytest.approx(-40)
        and not windows(quiet.astype(np.float32))[0].note
    )
