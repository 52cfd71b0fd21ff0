"""Honest splits: a seeded stratified cut that is the same on every machine, and refusals of what is not honest."""

import hashlib
from collections import Counter
from collections.abc import Sequence

from mien.core.errors import MienError
from mien.core.records import Sample


def stratified_holdout(
    samples: Sequence[Sample], *, fraction: float = 0.1, seed: int = 0
) -> tuple[list[Sample], list[Sample]]:
    """(train, holdout), both sorted by key: `fraction` of each class is held out, at least one where a class has two.

    A subject stands on one side only. Who is held out depends on seed, keys, subjects and classes: not on the order of
    the list or the version of a random generator (candidates are ranked by SHA-256 of seed and name).
    Raises MienError when nothing would be left on a side.
    """
    if not 0 < fraction < 1:
        raise MienError(f"The held-out fraction must lie between 0 and 1; got {fraction}.")
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        group = ("key", sample.key.partition("#")[0]) if sample.subject is None else ("subject", sample.subject)
        groups.setdefault(group, []).append(sample)
    counts = Counter(sample.expression for sample in samples)
    target = {label: max(round(fraction * n), 1 if n > 1 else 0) for label, n in counts.items()}
    held: Counter[int | None] = Counter()
    holdout: set[str] = set()
    for group in sorted(groups, key=lambda group: hashlib.sha256(f"{seed}:{':'.join(group)}".encode()).digest()):
        if _improves(target, held, Counter(sample.expression for sample in groups[group])):
            held.update(sample.expression for sample in groups[group])
            holdout.update(sample.key for sample in groups[group])
    ordered = sorted(samples, key=lambda sample: sample.key)
    sides = [s for s in ordered if s.key not in holdout], [s for s in ordered if s.key in holdout]
    if not all(sides):
        raise MienError(
            f"A validation split of {fraction:g} cannot be cut from {len(samples)} faces of {len(groups)} "
            "subjects: one side would be empty. Add faces, or name a validation split."
        )
    return sides


def _improves(target: dict[int | None, int], held: Counter[int | None], group: Counter[int | None]) -> bool:
    """Whether holding the group out brings the class counts nearer to their targets (sum of differences)."""
    return sum(abs(target[c] - held[c] - n) - abs(target[c] - held[c]) for c, n in group.items()) < 0


def split_hash(samples: Sequence[Sample]) -> str:
    """First 12 digits of SHA-256 over the sorted keys and classes: equal lists of faces have equal hashes anywhere."""
    lines = sorted(f"{sample.key}\t{sample.expression}" for sample in samples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def refuse_overlap(first: Sequence[Sample], second: Sequence[Sample], *, names: tuple[str, str]) -> None:
    """Raises MienError when a picture (key) or a known subject stands on both sides."""
    for what in ("key", "subject"):
        sides = [{value for s in side if (value := getattr(s, what)) is not None} for side in (first, second)]
        if what == "key":  # two faces of one picture have the same file
            sides = [{_picture(s) for s in side} for side in (first, second)]
        shared = sorted(sides[0] & sides[1])
        if shared:
            thing = "subjects" if what == "subject" else "pictures"
            raise MienError(
                f"{len(shared)} {thing} stand in both {names[0]} and {names[1]}, first {shared[0]!r}. "
                "A score on seen faces means nothing: make the splits disjoint."
            )


def _picture(sample: Sample) -> str:
    """The file, and where in it the picture begins when it holds several."""
    return str(sample.path) if sample.span is None else f"{sample.path}#{sample.span[0]}"
