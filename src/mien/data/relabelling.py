"""Samples of one class order in another: classes meet by name, what has no counterpart is left out and counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.records import Sample


def relabelled(
    samples: Sequence[Sample], source: LabelSet | None, target: LabelSet | None, *, notes: list[str], where: str
) -> list[Sample]:
    """The samples in the classes of `target`. Those of a class without counterpart are left out, counted in `notes`."""
    if source is None or target is None or source.classes == target.classes:
        return list(samples)
    mapping = source.mapping_to(target)
    kept, dropped = [], Counter[str]()
    for sample in samples:
        moved = _mapped(sample, mapping, len(target))
        if moved is not None:
            kept.append(moved)
        elif sample.expression is not None:
            dropped[source.classes[sample.expression]] += 1
    if dropped:
        counts = ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))
        notes.append(
            f"{where}: {sum(dropped.values())} faces of classes that {target.name} lacks are left out ({counts})."
        )
    if not kept:
        raise MienError(f"No face of {where} has a class of {target.name}.")
    return kept


def _mapped(sample: Sample, mapping: Sequence[int | None], classes: int) -> Sample | None:
    if sample.expression is None or (index := mapping[sample.expression]) is None:
        return None
    if sample.distribution is None:
        return replace(sample, expression=index)
    weights = [0.0] * classes
    for share, place in zip(sample.distribution, mapping, strict=True):
        if place is not None:
            weights[place] += share
    return replace(sample, expression=index, distribution=tuple(weight / sum(weights) for weight in weights))
