"""The mouth moves with the sound."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.synthetic.face.action_units import MODES
from mien.synthetic.voices.speech import speak
from mien.synthetic.voices.talking import MOUTH_UNITS, mouth_track, speaking_face

TEXT = "'ma-ba la 'po-ma si-mu."


@pytest.mark.parametrize("expression", ["neutral", "anger", "sadness"])
@pytest.mark.parametrize("rate", [25.0, 30.0, 100.0])
def test_lips_are_shut_in_every_m_b_and_p_and_at_no_other_time(expression, rate):
    speech = speak(TEXT, expression=expression, seed=4)
    mouth = mouth_track(speech, frames_per_s=rate)
    times = np.arange(len(mouth["AU26"])) / rate
    closed = np.zeros(len(times), bool)
    near = np.zeros(len(times), bool)
    for sound in speech.sounds:
        if sound.text in "mbp":
            end = sound.end_s if sound.text == "m" else sound.start_s + 0.6 * (sound.end_s - sound.start_s)
            closed |= (times >= sound.start_s + 0.006) & (times <= end - 0.006)
            near |= (times >= sound.start_s - 0.04) & (times <= sound.end_s + 0.04)
    assert closed.sum() >= 5
    assert mouth["AU24_L"][closed].min() > 0.45
    assert mouth["AU25_L"][closed].max() < 0.05
    assert mouth["AU26"][closed].max() < 0.2
    assert mouth["AU24_L"][~near].max() < 0.02


def test_the_jaw_opens_when_the_voice_is_loud():
    """Open vowels between closures: the best lag between jaw and level is under a frame of 25 a second."""
    speech = speak("'ba-ma 'ba-ma 'ma-ba.", seed=1)
    jaw = mouth_track(speech, frames_per_s=200, frames=len(speech.level_db))["AU26"]
    level = 10 ** (speech.level_db / 20)
    lags = range(-30, 31)
    score = [np.corrcoef(np.roll(jaw, lag)[40:-40], level[40:-40])[0, 1] for lag in lags]
    best = int(np.argmax(score))
    assert abs(list(lags)[best]) * 0.005 <= 0.04
    assert score[best] > 0.7


def test_vowels_have_their_mouths():
    at = {}
    for vowel in ("i", "a", "u", "o"):
        speech = speak(f"'h{vowel}", seed=2)
        sound = speech.sounds[1]
        mouth = mouth_track(speech, frames_per_s=200)
        at[vowel] = {name: track[round((sound.start_s + sound.end_s) * 100)] for name, track in mouth.items()}
    assert max(at, key=lambda v: at[v]["AU26"]) == "a"
    assert max(at, key=lambda v: at[v]["AU18_L"]) == "u"
    assert max(at, key=lambda v: at[v]["AU20_R"]) == "i"
    assert max(at, key=lambda v: at[v]["AU22_L"]) == "o"
    assert 0.4 < at["a"]["AU26"] < 0.65  # at ease, not a shout


def test_names_weights_and_length():
    speech = speak(5, expression="anger", seed=3)
    mouth = mouth_track(speech)
    assert tuple(mouth) == MOUTH_UNITS
    assert set(MOUTH_UNITS) <= set(MODES)
    frames = len(mouth["AU26"])
    assert frames - 1 < speech.duration_s * 25 <= frames
    for name, track in mouth.items():
        assert track.dtype == np.float32
        assert track.min() >= 0
        assert track.max() <= 1
        if name.endswith("_L"):
            assert np.array_equal(track, mouth[f"{name[:-2]}_R"])
    long = mouth_track(speech, frames=frames + 10)
    assert not any(track[frames:].any() for track in long.values())
    assert all(np.array_equal(long[name][: frames - 1], mouth[name][: frames - 1]) for name in mouth)
    with pytest.raises(MienError, match="frames_per_s"):
        mouth_track(speech, frames_per_s=0)


def test_an_angry_voice_opens_wider_than_a_sad_one():
    opened = {e: mouth_track(speak(TEXT, expression=e, seed=6))["AU26"].max() for e in ("anger", "neutral", "sadness")}
    assert opened["anger"] > opened["neutral"] > opened["sadness"]


def test_a_face_talks_through_its_expression_and_shuts_its_lips_all_the_same():
    speech = speak(TEXT, seed=4)
    mouth = mouth_track(speech)
    face = speaking_face({"AU12_L": 0.8, "AU12_R": 0.8, "AU26": 0.5, "AU25_L": 0.6}, mouth)
    shut = mouth["AU24_L"] > 0.48
    assert shut.any()
    assert np.allclose(face["AU12_L"], 0.8)
    assert face["AU25_L"][shut].max() < 0.1
    assert np.all(face["AU26"][~shut] >= mouth["AU26"][~shut] - 1e-6)
    assert face["AU26"][0] == pytest.approx(0.5)
    assert set(face) == {"AU12_L", "AU12_R", *MOUTH_UNITS}
