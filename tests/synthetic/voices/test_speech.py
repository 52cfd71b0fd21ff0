"""What is said, by whom and how: exact truth, the right directions, and something for a classifier to learn."""

import subprocess
import sys
import time

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.synthetic.voices.phones import Syllable, phones, syllables_of
from mien.synthetic.voices.prosody import EXPRESSIONS, Prosody, prosody_of, sample_prosody
from mien.synthetic.voices.speakers import Speaker, sample_speaker
from mien.synthetic.voices.speech import Speech, speak

SENTENCE = "'kihdz ar 'to-kihng bai dh@ 'dor."
EIGHT = EXPRESSIONS[:8]


def pitch_hz(samples: np.ndarray, *, sample_rate_hz: int = 16_000) -> tuple[np.ndarray, np.ndarray]:
    """Every 10 ms the lag of the best autocorrelation as a frequency, 0 where there is none, and the level in dB."""
    size, hop = int(0.04 * sample_rate_hz), sample_rate_hz // 100
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * window
    correlation = np.fft.irfft(np.abs(np.fft.rfft(frames, 2 * size)) ** 2)[:, :size]
    own = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[:size]
    ratio = correlation / (correlation[:, :1] + 1e-12) / (own / own[0])
    lags = np.arange(sample_rate_hz // 550, sample_rate_hz // 70)
    score = ratio[:, lags] - 0.06 * np.log2(lags / lags[0])
    level = 10 * np.log10((frames**2).mean(1) + 1e-12)
    voiced = (ratio[:, lags].max(1) > 0.6) & (level > np.percentile(level, 97) - 25)
    return np.where(voiced, sample_rate_hz / lags[score.argmax(1)], 0.0), level


def brightness_db(samples: np.ndarray, sample_rate_hz: int = 16_000) -> float:
    """Power of 1 to 5 kHz against below 1 kHz."""
    power = np.abs(np.fft.rfft(samples)) ** 2
    frequency = np.fft.rfftfreq(len(samples), 1 / sample_rate_hz)
    return float(10 * np.log10(power[(frequency > 1000) & (frequency < 5000)].sum() / power[frequency < 1000].sum()))


def test_the_same_seed_gives_the_same_bytes_and_another_gives_others():
    first, again, other = (speak(5, expression="fear", seed=[3, index]) for index in (1, 1, 2))
    assert first.samples.tobytes() == again.samples.tobytes()
    assert first.syllables == again.syllables
    assert first.samples[:8000].tobytes() != other.samples[:8000].tobytes()


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_expression_is_within_full_scale_and_starts_and_ends_in_silence(expression):
    speech = speak(6, expression=expression, seed=[5, EXPRESSIONS.index(expression)])
    assert speech.samples.dtype == np.float32
    assert np.isfinite(speech.samples).all()
    assert 1e-3 < np.abs(speech.samples).max() <= 0.951
    before = int((speech.syllables[0].start_s - 0.03) * speech.sample_rate_hz)
    after = int((speech.syllables[-1].end_s + 0.08) * speech.sample_rate_hz)
    assert np.abs(np.concatenate([speech.samples[:before], speech.samples[after:]])).max() < 6 * 10 ** (-90 / 20)
    assert len(speech.f0_hz) == len(speech.level_db) == len(speech.samples) // 80 + 1


def test_the_stated_pitch_is_the_pitch_that_is_heard():
    for seed in range(4):
        speech = speak("'ma-na la 'no-mi ja", expression="happiness", intensity=0.3, seed=seed)
        heard, _ = pitch_hz(speech.samples)
        stated = np.interp(0.02 + 0.01 * np.arange(len(heard)), np.arange(len(speech.f0_hz)) * 0.005, speech.f0_hz)
        both = (heard > 0) & (stated > 60)
        assert both.sum() > 40
        assert np.median(np.abs(np.log2(heard[both] / stated[both]))) < 0.03


def test_sounds_fill_their_syllables_in_order():
    speech = speak(SENTENCE, seed=1)
    assert [s.text for s in speech.syllables] == ["kihdz", "ar", "to", "kihng", "bai", "dh@", "dor"]
    assert [s.stressed for s in speech.syllables] == [True, False, True, False, False, False, True]
    assert "".join(s.text for s in speech.sounds) == "".join(s.text for s in speech.syllables)
    times = [t for s in speech.sounds for t in (s.start_s, s.end_s)]
    assert times == sorted(times)
    assert 0.1 < times[0] < times[-1] < speech.duration_s
    loud = speech.level_db > speech.level_db.max() - 15
    at = np.arange(len(loud)) / speech.frame_rate_hz
    assert all(any(s.start_s <= t <= s.end_s + 0.02 for s in speech.sounds) for t in at[loud])


def test_text_becomes_syllables():
    assert [s.phones for s in syllables_of("banana")] == [("b", "a"), ("n", "a"), ("n", "a")]
    assert [s.phones for s in syllables_of("ash-tra")] == [("a", "sh"), ("t", "r", "a")]
    assert [s.phones for s in syllables_of("box")] == [("b", "o", "k", "s")]
    assert [(s.text, s.stressed) for s in syllables_of("to'kihng")] == [("to", False), ("kihng", True)]
    question = syllables_of("ma, na?")
    assert [s.pause_ms > 0 for s in question] == [True, True]
    assert [s.rises for s in question] == [False, True]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("ma 7", "'7' in 'ma 7' is no sound"),
        ("", "at least one syllable"),
        ("s-ma", "'s' has no vowel"),
        (0, "at least one syllable; got 0"),
        ([], "at least one syllable; got none"),
    ],
)
def test_what_cannot_be_pronounced_is_refused(content, message):
    with pytest.raises(MienError, match=message):
        speak(content)


def test_other_mistakes_are_refused_with_the_way_out():
    with pytest.raises(MienError, match="Did you mean 'happiness'"):
        speak(3, expression="hapiness")
    with pytest.raises(MienError, match=r"within 0 and 1; got 2"):
        speak(3, intensity=2)
    with pytest.raises(MienError, match="within 8000 and 48000"):
        speak(3, sample_rate_hz=4000)
    with pytest.raises(MienError, match="'x' is no sound"):
        Syllable(("x", "a"))
    with pytest.raises(MienError, match="needs one vowel; 'mai@' has 2"):
        Syllable(("m", "ai", "@"))
    with pytest.raises(MienError, match=r"f0_hz must lie within 50 and 600"):
        Speaker(f0_hz=20)
    with pytest.raises(MienError, match="age"):
        sample_speaker(np.random.default_rng(0), age=2)


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
def test_other_sample_rates_say_the_same(rate):
    plain, other = (speak("'ma-na", seed=2, sample_rate_hz=r) for r in (16_000, rate))
    assert [s.text for s in other.sounds] == [s.text for s in plain.sounds]
    assert other.duration_s == pytest.approx(plain.duration_s, abs=0.01)
    assert np.median(pitch_hz(other.samples, sample_rate_hz=rate)[0]) == pytest.approx(
        np.median(pitch_hz(plain.samples)[0]), rel=0.05
    )


def test_men_women_and_children_differ_in_pitch_and_tract():
    rng = np.random.default_rng(0)
    groups = {
        "men": [sample_speaker(rng, sex="male", age=30) for _ in range(40)],
        "women": [sample_speaker(rng, sex="female", age=30) for _ in range(40)],
        "children": [sample_speaker(rng, age=7) for _ in range(40)],
    }
    pitch = {name: np.mean([s.f0_hz for s in group]) for name, group in groups.items()}
    tract = {name: np.mean([s.tract_scale for s in group]) for name, group in groups.items()}
    assert 105 < pitch["men"] < 140
    assert 190 < pitch["women"] < 240 < pitch["children"] < 330
    assert 0.97 < tract["men"] < 1.03
    assert 1.12 < tract["women"] < 1.2 < tract["children"] < 1.45


def test_prosody_is_neutral_at_zero_and_runs_through_ordinary_to_strong():
    for expression in EXPRESSIONS:
        assert prosody_of(expression, intensity=0) == Prosody()
    levels = [prosody_of("anger", intensity=i).level_db for i in (0, 0.25, 0.5, 0.75, 1)]
    assert np.all(np.diff(levels) > 0)
    drawn = [sample_prosody("anger", np.random.default_rng(i)).pitch_st for i in range(300)]
    assert np.mean(drawn) == pytest.approx(prosody_of("anger").pitch_st, abs=0.3)


def measured(expression: str, intensity: float, seed: int) -> tuple[float, float, float, float]:
    """Pitch in semitones, level in dB, brightness in dB, length in octaves."""
    speaker = sample_speaker(np.random.default_rng(seed), age=30)
    return read_off(
        speak(SENTENCE, expression=expression, intensity=intensity, speaker=speaker, seed=[9, seed]).samples
    )


def read_off(samples: np.ndarray) -> tuple[float, float, float, float]:
    pitch, level = pitch_hz(samples)
    loud = np.flatnonzero(level > np.percentile(level, 97) - 30)
    return (
        12 * float(np.log2(np.median(pitch[pitch > 0]))),
        float(10 * np.log10(np.mean(10 ** (level[pitch > 0] / 10)))),
        brightness_db(samples),
        float(np.log2(loud[-1] - loud[0])),
    )


def test_expressions_are_heard_as_the_literature_says():
    """Scherer 2003; Juslin & Laukka 2003. Means of six speakers against their own neutral voice."""
    change = {
        name: np.mean([np.subtract(measured(name, i, s), measured("neutral", 0, s)) for s in range(6)], axis=0)
        for name, i in (("anger", 1.0), ("fear", 1.0), ("happiness", 1.0), ("sadness", 0.5), ("surprise", 1.0))
    }
    pitch, level, bright, length = ({n: c[k] for n, c in change.items()} for k in range(4))
    assert min(pitch[n] for n in ("anger", "fear", "happiness", "surprise")) > 4 > pitch["sadness"]
    assert max(level, key=lambda n: level[n]) == "anger"
    assert level["sadness"] < -1
    assert bright["anger"] > 3
    assert bright["sadness"] < 0
    assert length["sadness"] > length["surprise"]


def test_expressions_change_with_what_real_actors_change(shared):
    """RAVDESS, strong intensity: pitch, level, brightness and length against the same actor's neutral voice."""
    from mien.media.sound.audio import read_sound

    folder = shared / "audio" / "ravdess_16k"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data/audio/ravdess_16k")

    def actor(code: str, number: int) -> tuple[float, ...]:
        return read_off(read_sound(folder / f"Actor_{number:02d}" / f"03-01-{code}-01-01-{number:02d}.wav").samples)

    codes = {"happiness": "03-02", "sadness": "04-02", "anger": "05-02", "fear": "06-02", "disgust": "07-02",
             "surprise": "08-02"}  # fmt: skip
    real = np.array(
        [np.mean([np.subtract(actor(c, a), actor("01-01", a)) for a in range(1, 11)], axis=0) for c in codes.values()]
    )
    ours = np.array(
        [np.mean([np.subtract(measured(n, 1, s), measured("neutral", 0, s)) for s in range(8)], axis=0) for n in codes]
    )
    large = np.abs(real) > np.array([2.0, 3.0, 2.0, 0.15])
    assert large.sum() >= 16
    assert np.array_equal(np.sign(real[large]), np.sign(ours[large]))
    for column, least in ((0, 0.85), (1, 0.9), (2, 0.75), (3, 0.6)):
        assert np.corrcoef(real[:, column], ours[:, column])[0, 1] > least


def test_speech_is_synthesised_faster_than_real_time():
    best = 0.0
    for seed in range(4):
        start = time.process_time()
        speech = speak(30, seed=seed)
        best = max(best, speech.duration_s / (time.process_time() - start))
    assert best > 20  # times real time, one core


def test_a_voice_needs_numpy_alone():
    code = (
        "import sys; from mien.synthetic.voices.talking import mouth_track\n"
        "from mien.synthetic.voices.speech import speak\n"
        "mouth_track(speak(2)); print([m for m in ('torch','scipy','cv2','soundfile','soxr') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def features(speech: Speech) -> np.ndarray:
    """Statistics of 32 log-mel bands, of their cepstrum, and of the pitch."""
    samples = speech.samples
    frames = np.lib.stride_tricks.sliding_window_view(samples, 400)[::160] * np.hanning(400)
    edges = 700 * (10 ** (np.linspace(90, 2810, 34) / 2595) - 1)
    f = np.fft.rfftfreq(512, 1 / 16_000)
    rise = (f - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - f) / np.diff(edges)[1:, None]
    mel = np.log(np.abs(np.fft.rfft(frames, 512)) ** 2 @ np.clip(np.minimum(rise, fall), 0, None).T + 1e-7)
    loud = mel.mean(1)
    mel = mel[loud > np.percentile(loud, 95) - 5]
    cepstrum = mel @ np.cos(np.pi / 32 * np.outer(np.arange(32) + 0.5, np.arange(12)))
    octave = np.log2(np.maximum(pitch_hz(samples)[0], 1))
    octave = octave[octave > 5]
    pitch = [octave.mean(), octave.std(), *np.percentile(octave, [10, 50, 90]), np.abs(np.diff(octave)).mean()]
    pitch += [octave[-len(octave) // 5 :].mean() - octave.mean(), len(mel) / len(speech.syllables)]
    return np.concatenate([mel.mean(0), mel.std(0), cepstrum.std(0), np.abs(np.diff(cepstrum, axis=0)).mean(0), pitch])


def voices(count: int, stream: int) -> tuple[np.ndarray, np.ndarray]:
    """Every voice a new speaker with new syllables; intensities 0.5 to 1."""
    labels = np.arange(count) % 8
    strengths = np.random.default_rng(stream).uniform(0.5, 1, count)
    rows = [
        features(speak(7, expression=EIGHT[label], intensity=float(strength), seed=[stream, number]))
        for number, (label, strength) in enumerate(zip(labels, strengths, strict=True))
    ]
    return np.array(rows), labels


@pytest.mark.slow
def test_expressions_of_unheard_speakers_can_be_learned():
    """Ridge regression on 150 voices reads 8 expressions of 120 others; chance is 0.125."""
    train, labels = voices(150, 1)
    held, truth = voices(120, 2)
    mean, scale = train.mean(0), train.std(0) + 1e-6
    a, b = (np.c_[(x - mean) / scale, np.ones(len(x))] for x in (train, held))
    weights = np.linalg.solve(a.T @ a + 50 * np.eye(a.shape[1]), a.T @ np.eye(8)[labels])
    right = (b @ weights).argmax(1) == truth
    interval = 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / len(right))
    print(f"8 expressions of unheard speakers: {right.mean():.3f} +- {interval:.3f}")
    assert right.mean() - interval >= 0.4


def test_every_speaker_has_every_sound():
    for seed, symbol in enumerate(phones()):
        syllable = Syllable((symbol,) if phones()[symbol].is_vowel else (symbol, "a"), True)
        speech = speak([syllable], seed=seed, sample_rate_hz=8000 if seed % 2 else 16_000)
        assert np.isfinite(speech.samples).all()
        assert len(speech.sounds) == len(syllable.phones)
