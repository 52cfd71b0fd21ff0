"""How many faces each published set has, and how what lies on this disk differs from it."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from mien.core.labels import LabelSet
from mien.core.records import Sample

Counts = Mapping[str, Mapping[str, int]]  # split → class (or "all") → faces


@dataclass(frozen=True)
class Release:
    """One published form of a data set."""

    name: str
    """Of the release."""
    source: str
    """Where the numbers are from."""
    splits: dict[str, dict[str, int]]
    """Split → class (or "all") → faces."""

    def distance(self, counted: Counts) -> int:
        """Faces by which the counts differ, over the splits and classes that both name."""
        return sum(
            abs(number - counted[split].get(name, 0))
            for split, numbers in self.splits.items()
            if split in counted
            for name, number in numbers.items()
        )


@cache
def _published() -> dict[str, list[dict[str, Any]]]:
    text = resources.files("mien.data.inspection").joinpath("published_counts.json").read_text(encoding="utf-8")
    sets: dict[str, list[dict[str, Any]]] = json.loads(text)["sets"]
    return sets


def releases(name: str) -> list[Release]:
    """The published forms of what the reader `name` reads; [] for one's own data."""
    return [
        Release(
            entry["release"], entry["source"],
            {
                split: {"all": numbers["all"]} | numbers.get("classes", {}) if "all" in numbers else numbers["classes"]
                for split, numbers in entry["splits"].items()
            },
        )
        for entry in _published().get(name, [])
    ]  # fmt: skip


def nearest_release(name: str, counted: Counts) -> Release | None:
    """The published form that differs least from what was counted."""
    return min(releases(name), key=lambda release: release.distance(counted), default=None)


def count(splits: Mapping[str, Sequence[Sample]], labels: LabelSet | None) -> dict[str, dict[str, int]]:
    """Faces by split and class, every class named; "all" is all of them, "no expression" those without a class."""
    counted = {}
    for split, samples in splits.items():
        tally = Counter(sample.expression for sample in samples)
        counted[split] = {name: tally[place] for place, name in enumerate(labels.classes if labels else ())}
        if labels and None in tally:
            counted[split]["no expression"] = tally[None]
        counted[split]["all"] = len(samples)
    return counted
