"""How far statistics of a log-mel picture and of the pitch tell expressions apart on speakers kept aside.

    python benchmarks/voice_statistics.py ../shared/data/audio/ravdess_16k [--synthetic 1600]

Linear discriminant analysis with shrinkage on each recording and four copies of other speed and pitch; five folds of
people (`mien data split ravdess --folds 5` makes such). --synthetic adds synthetic voices of the same classes to the
training: their prosody was fitted to RAVDESS's actors 1 to 10, so that scores on those actors flatter them.
"""

import argparse
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from scipy.fft import dct
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.preprocessing import StandardScaler

from mien.core.labels import label_set
from mien.core.spec import SoundInput
from mien.data.readers import open_reader
from mien.data.splits import divide
from mien.media.audio import Sound, read_sound, resample
from mien.media.mel import mel_power, window
from mien.metrics.expression import balanced_accuracy, confusion_matrix
from mien.metrics.significance import cluster_weights, percentiles
from mien.synthetic.voices.speech import speak

RATE_HZ, COPIES, FOLDS, SHRINKAGE = 16_000, 4, 5, 0.3
GIVEN = SoundInput(rate_hz=RATE_HZ, samples=3 * RATE_HZ, fft=800, hop=320, mels=64, low_hz=50, high_hz=8000)
CLASSES = label_set("ravdess").classes
STATEMENTS = ("'kidz ar 'to-king bai dhe 'dor.", "'dogz ar 'si-ting bai dhe 'dor.")


def statistics(sound: Sound) -> np.ndarray:
    """[221]"""
    level = 10 * np.log10(np.maximum(mel_power(window(sound, GIVEN), GIVEN), 1e-10))
    return np.nan_to_num(np.concatenate([spectral(level), pitch(sound.samples.astype(float))]))


def spectral(level_db: np.ndarray) -> np.ndarray:
    """Of cepstra, their changes and their course in time, and of the loudness."""
    loud = np.flatnonzero(level_db.max(0) > level_db.max() - 45)
    level_db = level_db[:, loud[0] : loud[-1] + 1]
    voiced = level_db[:, level_db.max(0) > level_db.max() - 35]
    cepstra, moving = (dct(part, axis=0, norm="ortho")[:20] for part in (voiced, level_db))
    changes = np.diff(moving, axis=1)
    times = np.linspace(0, level_db.shape[1] - 1, 48)
    course = np.array([np.interp(times, np.arange(level_db.shape[1]), row) for row in moving[:8]])
    energy = 10 * np.log10((10 ** (level_db / 10)).sum(0))
    whole = [
        energy.max(),
        energy.mean(),
        energy.std(),
        np.median(energy),
        level_db.shape[1],
        voiced.shape[1] / len(energy),
    ]
    return np.concatenate([
        cepstra.mean(1), cepstra.std(1), np.percentile(cepstra, [10, 90], axis=1).ravel(), np.abs(changes).mean(1),
        changes.std(1), whole, dct(course, axis=1, norm="ortho")[:, :8].ravel(),
    ])  # fmt: skip


def pitch(samples: np.ndarray) -> np.ndarray:
    """Of the pitch by autocorrelation in 50 ms, its course, voicing, and the spectrum of voiced frames."""
    length, hop = 800, 160
    samples = np.pad(samples, (0, max(0, 3 * length - len(samples))))
    taper = np.hanning(length)
    frames = np.lib.stride_tricks.sliding_window_view(samples, length)[::hop]
    frames = (frames - frames.mean(1, keepdims=True)) * taper
    power = np.abs(np.fft.rfft(frames, 2048)) ** 2
    own = np.fft.irfft(np.abs(np.fft.rfft(taper, 2048)) ** 2)[:length]
    likeness = np.fft.irfft(power)[:, :length]
    likeness = likeness / (likeness[:, :1] + 1e-9) / (own / own[0] + 1e-3)
    lags = np.arange(RATE_HZ // 550, RATE_HZ // 70)
    best = lags[likeness[:, lags].argmax(1)]
    voicing = likeness[np.arange(len(best)), best]
    energy = 10 * np.log10((frames**2).sum(1) + 1e-9)
    voiced = np.flatnonzero((voicing > 0.5) & (energy > energy.max() - 30))
    voiced = voiced if len(voiced) > 5 else np.sort(np.argsort(voicing)[-6:])
    tone = 12 * np.log2(RATE_HZ / best[voiced] / 100)
    low, quarter, middle, three, high = np.percentile(tone, [5, 25, 50, 75, 95])
    steps, fifth, place = np.abs(np.diff(tone)), max(1, len(tone) // 5), voiced / len(best)
    frequencies, mean = np.arange(power.shape[1]) * RATE_HZ / 2048, power[voiced].mean(0)
    edges = (50, 250, 500, 1000, 2000, 4000, 8000)
    bands = [10 * np.log10(mean[(frequencies >= a) & (frequencies < b)].sum() + 1e-9) for a, b in pairwise(edges)]
    total = 10 * np.log10(mean[(frequencies >= 50) & (frequencies < 8000)].sum() + 1e-9)
    runs = np.diff(np.flatnonzero(np.diff(np.r_[0, np.isin(np.arange(len(best)), voiced), 0])))[::2]
    return np.array([
        low, quarter, middle, three, high, high - low, three - quarter, tone.std(), tone.mean(),
        np.polyfit(place, tone, 1)[0], steps[steps < 4].mean() if (steps < 4).any() else 0, len(voiced) / len(best),
        voicing[voiced].mean(), voicing[voiced].std(), np.percentile(voicing[voiced], 20), *(b - total for b in bands),
        total, runs.mean(), runs.max(), 100 * len(runs) / len(best), len(best), tone[-fifth:].mean() - tone.mean(),
        tone[:fifth].mean() - tone.mean(), energy[voiced].std(), place[energy[voiced].argmax()], place[tone.argmax()],
    ])  # fmt: skip


def copies(sound: Sound, random: np.random.Generator) -> Iterator[Sound]:
    """The recording, then faster or slower ones of a pitch as much higher or lower."""
    yield sound
    for _ in range(COPIES):
        changed = round(RATE_HZ * 2 ** random.uniform(-0.22, 0.22))
        yield Sound(resample(sound, changed).samples, RATE_HZ)


def synthetic(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Statistics [count, 221] and classes of synthetic speakers, of ordinary and strong intensity in turn."""
    random, found = np.random.default_rng(1), []
    for i in range(count):
        said = speak(
            STATEMENTS[i // 16 % 2], seed=1000 + i, expression=CLASSES[i % 8], intensity=(1.0, 0.5)[i // 8 % 2]
        )
        loud = np.flatnonzero(np.abs(said.samples) > 0.01 * np.abs(said.samples).max())
        heard = said.samples[loud[0] : loud[-1] + 1].astype(float)
        noise = random.normal(0, 10 ** random.uniform(-4.5, -3.5), len(heard))
        found.append(statistics(Sound((heard + noise).astype(np.float32), RATE_HZ)))
    return np.array(found), np.arange(count) % 8


def scaled(scaler: StandardScaler, values: np.ndarray) -> np.ndarray:
    return np.clip(scaler.transform(values), -4, 4)


def predicted(values: np.ndarray, truth: np.ndarray, fold: np.ndarray, more: tuple[np.ndarray, np.ndarray] | None):
    """Each recording's class by the model of the other folds. values: [recordings, 1 + COPIES, statistics]."""
    answers = np.zeros(len(truth), int)
    for k in np.unique(fold):
        train = fold != k
        x, y = values[train].reshape(-1, values.shape[2]), np.repeat(truth[train], values.shape[1])
        scaler = StandardScaler().fit(x)
        x = scaled(scaler, x)
        if more is not None:
            x, y = np.r_[x, scaled(StandardScaler().fit(more[0]), more[0])], np.r_[y, more[1]]
        model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage=SHRINKAGE).fit(x, y)
        answers[~train] = model.predict(scaled(scaler, values[~train, 0]))
    return answers


def report(name: str, truth: np.ndarray, answers: np.ndarray, people: Sequence[str]) -> None:
    names, of = np.unique(people, return_inverse=True)
    tables = np.stack([confusion_matrix(truth[of == i], answers[of == i], classes=8) for i in range(len(names))])
    drawn = np.tensordot(cluster_weights(len(names)), tables, axes=1)
    for metric, value, spread in (
        ("accuracy", (truth == answers).mean(), np.trace(drawn, axis1=1, axis2=2) / drawn.sum((1, 2))),
        ("balanced accuracy", float(balanced_accuracy(tables.sum(0))), balanced_accuracy(drawn)),
    ):
        interval = percentiles(spread)
        print(f"{name}: {metric} {value:.3f} ({interval.low:.3f} to {interval.high:.3f} over {len(names)} people)")
    by_person = ", ".join(f"{(truth == answers)[of == i].mean():.2f}" for i in range(len(names)))
    print(f"  by person: {by_person}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root")
    parser.add_argument("--synthetic", type=int, default=0)
    args = parser.parse_args()
    samples = open_reader("ravdess", args.root, modality="audio").samples("all")
    random = np.random.default_rng(0)
    sounds = [read_sound(sample.path, sample_rate_hz=RATE_HZ) for sample in samples]
    values = np.array([[statistics(each) for each in copies(sound, random)] for sound in sounds])
    parts = divide(samples, {str(k): 1.0 for k in range(FOLDS)})
    fold_of = {sample.key: int(part) for part, members in parts.items() for sample in members}
    fold, truth = np.array([fold_of[s.key] for s in samples]), np.array([s.expression for s in samples])
    people = [sample.subject or "" for sample in samples]
    report("real voices", truth, predicted(values, truth, fold, None), people)
    if args.synthetic:
        more = synthetic(args.synthetic)
        report(f"and {args.synthetic} synthetic voices", truth, predicted(values, truth, fold, more), people)


if __name__ == "__main__":
    main()
