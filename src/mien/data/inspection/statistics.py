"""What a data set is like in numbers: light, sharpness, sizes, balance, people, affect, landmarks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mien.core.records import Sample
from mien.data.inspection.pictures import Facts

PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
BINS = 20


def channels(facts: Sequence[Facts]) -> dict[str, list[float]]:
    """Mean and standard deviation by channel over all pixels of all face crops, of values in 0..1.

    Every crop counts alike: it is resampled to one size, as for a network.
    """
    mean = np.array([fact.mean for fact in facts]).mean(0)
    square = np.array([fact.square for fact in facts]).mean(0)
    std = np.sqrt(np.maximum(square - mean**2, 0))
    return {"mean": [round(v, 4) for v in mean.tolist()], "std": [round(v, 4) for v in std.tolist()]}


def spread_of(values: Sequence[float]) -> dict[str, float]:
    """Percentiles of the values by name: p0 (the smallest), p5, ..., p100, and how many there are."""
    if not len(values):
        return {"count": 0}
    found = np.percentile(np.asarray(values, float), PERCENTILES)
    return {"count": len(values)} | {
        f"p{name}": round(v, 4) for name, v in zip(PERCENTILES, found.tolist(), strict=True)
    }


def histogram(values: Sequence[float], low: float, high: float) -> dict[str, Any]:
    """Counts in BINS equal bins from low to high; what lies outside counts with the last bin on its side."""
    counts, edges = np.histogram(np.clip(np.asarray(values, float), low, high), BINS, (low, high))
    return {"low": low, "high": high, "edges": [round(e, 4) for e in edges.tolist()], "counts": counts.tolist()}


def groups(samples: Sequence[Sample], what: str) -> dict[str, Any]:
    """How many subjects (or clips) there are, pictures of each, and pictures of which nobody knows whose they are."""
    names = [getattr(sample, what) for sample in samples]
    sizes = Counter(name for name in names if name is not None)
    return {"known": len(sizes), "unknown_pictures": names.count(None)} | {
        "pictures_each": spread_of(list(sizes.values()))
    }


def shared_subjects(splits: Mapping[str, Sequence[Sample]]) -> dict[str, int]:
    """Subjects that stand in both of two splits, where neither split is a part of the other."""
    keys = {split: {sample.key for sample in samples} for split, samples in splits.items()}
    people = {split: {s.subject for s in samples if s.subject is not None} for split, samples in splits.items()}
    names = list(splits)
    return {
        f"{a} and {b}": len(people[a] & people[b])
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if people[a] & people[b] and not (keys[a] <= keys[b] or keys[b] <= keys[a])
    }


def landmarks(samples: Sequence[Sample], facts: Sequence[Facts]) -> dict[str, Any]:
    """How many faces have points, how many points, and the share of them that lies outside of its picture."""
    known = [(s.landmarks_px, f.size) for s, f in zip(samples, facts, strict=True) if s.landmarks_px is not None]
    pairs = [(np.asarray(points), size) for points, size in known]
    if not pairs:
        return {"faces": 0}
    outside = [((points < -0.5) | (points > np.array(size) - 0.5)).any(1).mean() for points, size in pairs]
    return {
        "faces": len(pairs),
        "points": sorted({len(points) for points, _ in pairs}),
        "outside_share": round(float(np.mean(outside)), 4),
        "faces_with_points_outside": int(np.count_nonzero(outside)),
    }


def affect(samples: Sequence[Sample]) -> dict[str, Any]:
    """Valence and arousal: how many faces have them, their histograms over -1..1, their means and their correlation."""
    found: dict[str, Any] = {}
    for name in ("valence", "arousal"):
        values = [value for sample in samples if (value := getattr(sample, name)) is not None]
        if values:
            found[name] = {"faces": len(values), "mean": round(float(np.mean(values)), 4)} | histogram(values, -1, 1)
    both = [(s.valence, s.arousal) for s in samples if s.valence is not None and s.arousal is not None]
    if len(both) > 2 and np.ptp(np.array(both, float), axis=0).min() > 0:
        found["correlation"] = round(float(np.corrcoef(np.array(both, float).T)[0, 1]), 4)
    return found


def describe(
    splits: Mapping[str, Sequence[Sample]], samples: Sequence[Sample], facts: Sequence[Facts]
) -> dict[str, Any]:
    """Everything of the readable faces: `samples` are those of all splits, each once, with their facts."""
    boxes = [(s.box[2] - s.box[0] + s.box[3] - s.box[1]) / 2 for s in samples if s.box is not None]
    brightness, sharpness = [f.brightness for f in facts], [f.sharpness for f in facts]
    return {
        "faces": len(samples),
        "channels": channels(facts),
        "width": spread_of([f.size[0] for f in facts]),
        "height": spread_of([f.size[1] for f in facts]),
        "face_side": spread_of(boxes),
        "brightness": spread_of(brightness),
        "sharpness": spread_of(sharpness),
        "subjects": groups(samples, "subject"),
        "shared_subjects": shared_subjects(splits),
        "clips": groups(samples, "clip"),
        "landmarks": landmarks(samples, facts),
        "affect": affect(samples),
        "histograms": {
            "brightness": histogram(brightness, 0, 1),
            "sharpness": histogram(sharpness, 0, float(np.ceil(np.percentile(sharpness, 99))) or 1.0),
        },
    }
