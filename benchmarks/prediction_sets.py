"""Prediction sets of a FER+ bundle: their thresholds from its held-out faces, and what they cover on other faces.

    python benchmarks/prediction_sets.py BUNDLE --ferplus FERPLUS [--lfw LFW_IN_RAFDB_LAYOUT] [--write]

Held out: faces of FER2013Train (strict majority) that the bundle's fingerprints name as chosen by, and none as trained
on, near-duplicates included. Tested: FER2013Valid (strict majority) without near-duplicates of FER2013Train, and LFW.
--write puts thresholds and energy limit into the bundle's system.json; its weights stay as they are.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.decode import energies, probabilities
from mien.core.labels import LabelSet
from mien.core.records import Sample
from mien.core.trust.prediction_sets import calibrated, in_sets
from mien.data.faces import prepare_face
from mien.data.leakage.contamination import read_train_faces
from mien.data.leakage.leaks import find_leaks
from mien.data.options import DataOptions
from mien.data.selection import select_for_evaluation
from mien.data.splits import split_hash
from mien.media.bundles import bundle_folder
from mien.media.crop import normalise
from mien.media.files import read_info, write_text
from mien.metrics.significance import wilson_interval
from mien.runtime.runner import Runner

BATCH, OUTPUT = 64, "expression"


def logits_of(runner: Runner, samples: Sequence[Sample]) -> np.ndarray:
    spec, found = runner.info.picture, []
    for start in range(0, len(samples), BATCH):
        crops = np.stack([prepare_face(sample, spec)[0] for sample in samples[start : start + BATCH]])
        found.append(runner.outputs({"image": normalise(crops, spec)})[OUTPUT])
    return np.concatenate(found)


def faces(name: str, root: Path, split: str, labels: LabelSet, majority: str = "strict") -> list[Sample]:
    reader = {"majority": majority} if name == "ferplus" else {}
    return select_for_evaluation(DataOptions(name=name, root=str(root), reader=reader), labels, split=split).samples


def held_out(folder: Path, samples: Sequence[Sample]) -> list[Sample]:
    known = read_train_faces(folder, read_info(folder))
    assert known is not None, "the bundle carries no fingerprints"
    found = known.matches(samples, data="ferplus")
    return [
        s for s, chosen, trained in zip(samples, found.chosen, found.trained, strict=True) if chosen and not trained
    ]


def report(title: str, shares: np.ndarray, truth: np.ndarray, thresholds: dict[str, float], labels: LabelSet) -> None:
    print(
        f"\n{title}, {len(truth)} faces\n\n"
        f"| coverage asked | covered | mean size | one class | {' | '.join(labels.classes)} |"
    )
    print(f"|{' --- |' * (4 + len(labels))}")
    for asked in ("0.8", "0.9", "0.95"):
        inside = in_sets(shares, thresholds[asked])
        right, sizes = inside[np.arange(len(truth)), truth], inside.sum(1)
        interval = wilson_interval(int(right.sum()), len(right))
        each = [
            f"{100 * right[truth == k].mean():.0f} % of {(truth == k).sum()}" if (truth == k).any() else ""
            for k in range(len(labels))
        ]
        covered = f"{100 * right.mean():.1f} % ({100 * interval.low:.1f} to {100 * interval.high:.1f})"
        print(f"| {asked} | {covered} | {sizes.mean():.2f} | {100 * (sizes == 1).mean():.0f} % | {' | '.join(each)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--ferplus", type=Path, required=True)
    parser.add_argument("--lfw", type=Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    folder = bundle_folder(given.bundle)
    runner = Runner(folder, threads=given.threads)
    info = read_info(folder)
    labels, temperature = info.labels, info.temperature(OUTPUT)
    kept = held_out(folder, faces("ferplus", given.ferplus, "train", labels))
    logits, truth = logits_of(runner, kept), np.array([sample.expression for sample in kept])
    found = calibrated(probabilities(logits, temperature=temperature), truth, energies(logits))
    print(f"{len(kept)} held-out faces, hash {split_hash(kept)}, accuracy {(logits.argmax(1) == truth).mean():.4f}")
    print(found)
    if given.write:
        written = replace(info, calibration=info.calibration | {OUTPUT: found})
        write_text(folder / "system.json", written.to_json())
    test = faces("ferplus", given.ferplus, "valid", labels)
    train = faces("ferplus", given.ferplus, "train", labels, "soft")
    twins = {leak.second.key for leak in find_leaks({"train": train, "valid": test})}
    sets = {"FER2013Valid without near-duplicates in FER2013Train": [s for s in test if s.key not in twins]}
    sets |= {"LFW": faces("rafdb", given.lfw, "test", labels)} if given.lfw else {}
    for title, samples in sets.items():
        shares = probabilities(logits_of(runner, samples), temperature=temperature)
        report(title, shares, np.array([sample.expression for sample in samples]), found.thresholds, labels)


if __name__ == "__main__":
    main()
