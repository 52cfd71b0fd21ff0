"""How well the valence and arousal that ship order faces: CCC on synthetic people, AUCs between expressions of FER+.

    python benchmarks/affect.py people --root datasets/people
    python benchmarks/affect.py ferplus --root datasets/ferplus

Nobody rated these faces. The truth of synthetic people is what was drawn; of FER+ it is which expression most
annotators saw (strict majority, FER2013Valid), and the model was trained on such votes of other faces: an AUC says that
faces are ordered as words for expressions are, not that a value is right.
"""

import argparse

import numpy as np

from mien.core.labels import AFFECT
from mien.core.records import Sample
from mien.data.readers import open_reader
from mien.engine.bundles.inputs import prepare_inputs
from mien.media.bundles import bundle_folder, shipped_with
from mien.metrics.affect import ccc, pearson, rmse
from mien.metrics.significance import cluster_weights, percentiles
from mien.runtime.runner import Runner

ORDERS = {
    "valence": (("happiness", "neutral"), ("neutral", "sadness"), ("happiness", "sadness"), ("happiness", "anger")),
    "arousal": tuple((high, low) for high in ("surprise", "anger", "fear") for low in ("neutral", "sadness")),
}
BATCH = 256


def predicted(bundle: str | None, samples: list[Sample]) -> np.ndarray:
    """[faces, 2], valence and arousal."""
    folder = shipped_with(values=AFFECT) if bundle is None else bundle_folder(bundle)
    assert folder is not None, "no model of valence and arousal ships"
    runner = Runner(folder)
    parts = []
    for start in range(0, len(samples), BATCH):
        outputs = runner.outputs(prepare_inputs(samples[start : start + BATCH], runner.info.inputs))
        parts.append(outputs["affect"])
    print(f"{runner.info.model_id}: {len(samples)} faces")
    return np.concatenate(parts)


def people(bundle: str | None, root: str) -> None:
    """CCC, r and RMSE on people who are not in train; intervals draw people."""
    reader = open_reader("people", root)
    samples = [sample for split in ("valid", "test") for sample in reader.samples(split)]
    found = predicted(bundle, samples)
    names, person = np.unique([str(s.subject) for s in samples], return_inverse=True)
    rows = [np.flatnonzero(person == i) for i in range(len(names))]
    drawn = cluster_weights(len(rows), resamples=1000)
    for place, name in enumerate(AFFECT):
        truth = np.array([getattr(s, name) for s in samples])
        values = found[:, place]
        some = [np.concatenate([np.repeat(r, n) for r, n in zip(rows, w, strict=True) if n]) for w in drawn]
        interval = percentiles(np.array([ccc(values[i], truth[i]) for i in some]))
        print(
            f"{name}: CCC {ccc(values, truth):.3f} ({interval.low:.3f} to {interval.high:.3f}, {len(names)} people), "
            f"r {pearson(values, truth):.3f}, RMSE {rmse(values, truth):.3f}, always the mean {truth.std():.3f}"
        )


def ferplus(bundle: str | None, root: str) -> None:
    """The mean of each expression, and AUCs with 95 % intervals."""
    reader = open_reader("ferplus", root, affect=True)
    samples = reader.samples("valid")
    found, classes = predicted(bundle, samples), reader.labels.classes  # type: ignore[union-attr]
    label = np.array([classes[s.expression] for s in samples])  # type: ignore[index]
    for place, name in enumerate(AFFECT):
        truth = np.array([getattr(s, name) for s in samples])
        print(f"{name}: CCC with the votes' proxy {ccc(found[:, place], truth):.3f}")
        means = {c: found[label == c, place].mean() for c in classes if (label == c).any()}
        print("  mean " + ", ".join(f"{c} {m:.2f}" for c, m in sorted(means.items(), key=lambda item: -item[1])))
        for high, low in ORDERS[name]:
            a, b = found[label == high, place], found[label == low, place]
            print(f"  {high} ({len(a)}) above {low} ({len(b)}): AUC {_auc_text(a, b)}")


def _auc_text(above: np.ndarray, below: np.ndarray) -> str:
    rng = np.random.default_rng(0)
    drawn = [auc(rng.choice(above, len(above)), rng.choice(below, len(below))) for _ in range(1000)]
    interval = percentiles(np.array(drawn))
    return f"{auc(above, below):.3f} ({interval.low:.3f} to {interval.high:.3f})"


def auc(above: np.ndarray, below: np.ndarray) -> float:
    """Probability that a value of the first is larger than one of the second, ties half."""
    ordered = np.sort(below)
    less, at_most = np.searchsorted(ordered, above, "left"), np.searchsorted(ordered, above, "right")
    return float((less + at_most).mean() / (2 * len(below)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("set", choices=("people", "ferplus"))
    parser.add_argument("--root", required=True)
    parser.add_argument("--bundle")
    given = parser.parse_args()
    {"people": people, "ferplus": ferplus}[given.set](given.bundle, given.root)
