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
    """The samples in the classes of `target`; unlabelled ones stay as they are.

    Samples of a class without counterpart are left out and counted in `notes`. Raises MienError when none is left.
    """
    if source is None or target is None or source.classes == target.classes:
        return list(samples)
    kept, dropped = relabelled_with_counts(samples, source, target)
    notes += dropped_note(dropped, target, where=where)
    if not kept:
        raise MienError(f"No face of {where} has a class of {target.name}.")
    return kept


def relabelled_with_counts(
    samples: Sequence[Sample], source: LabelSet, target: LabelSet
) -> tuple[list[Sample], Counter[str]]:
    """The samples in the classes of `target`, and how many of each class without counterpart are left out."""
    mapping = source.mapping_to(target)
    kept, dropped = [], Counter[str]()
    for sample in samples:
        if sample.expression is None:
            kept.append(sample)
        elif (index := mapping[sample.expression]) is None:
            dropped[source.classes[sample.expression]] += 1
        else:
            kept.append(_mapped(sample, index, mapping, len(target)))
    return kept, dropped


def dropped_note(dropped: Counter[str], target: LabelSet, *, where: str) -> list[str]:
    """One sentence on the classes that were left out; [] where none was."""
    if not dropped:
        return []
    counts = ", ".join(f"{name} {count}" for name, count in sorted(dropped.items()))
    return [f"{where}: {dropped.total()} faces of classes that {target.name} lacks are left out ({counts})."]


def labelled(samples: Sequence[Sample], *, notes: list[str], where: str) -> list[Sample]:
    """The samples with an expression; the others are counted in `notes`. Raises MienError when none has one."""
    kept = [sample for sample in samples if sample.expression is not None]
    if not kept:
        raise MienError(f"No face of {where} has an expression.")
    if len(kept) < len(samples):
        notes.append(f"{where}: {len(samples) - len(kept):,} faces without an expression are left out.")
    return kept


def _mapped(sample: Sample, index: int, mapping: Sequence[int | None], classes: int) -> Sample:
    if sample.distribution is None:
        return replace(sample, expression=index)
    weights = [0.0] * classes
    for share, place in zip(sample.distribution, mapping, strict=True):
        if place is not None:
            weights[place] += share
    return replace(sample, expression=index, distribution=tuple(weight / sum(weights) for weight in weights))
