"""Honest splits: a seeded stratified cut that is the same on every machine, and refusals of what is not honest."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mien.core.errors import MienError
from mien.core.records import Sample

# The same split under other words. RAF-DB, FER+ and POSTER V2 write `valid`, ImageNet's descendants `val`.
SPLIT_NAMES = {"val": "valid", "validation": "valid", "dev": "valid", "training": "train", "testing": "test"}
Pairs = Sequence[tuple[str, str]]  # of keys that must stay together, such as near-duplicates


def stratified_holdout(
    samples: Sequence[Sample], *, fraction: float = 0.1, seed: int = 0, pairs: Pairs = ()
) -> tuple[list[Sample], list[Sample]]:
    """(train, holdout), both sorted by key: `fraction` of each class is held out, at least one where a class has two.

    A subject, a clip, a picture and a pair stand on one side only. Who is held out depends on seed, keys, subjects and
    classes: not on the order of the list or the version of a random generator (candidates are ranked by SHA-256 of
    seed and name). Raises MienError when nothing would be left on a side.
    """
    if not 0 < fraction < 1:
        raise MienError(f"The held-out fraction must lie between 0 and 1; got {fraction}.")
    groups = kept_together(samples, pairs=pairs)
    counts = Counter(sample.expression for sample in samples)
    target = {label: max(round(fraction * n), 1 if n > 1 else 0) for label, n in counts.items()}
    held: Counter[int | None] = Counter()
    holdout: set[str] = set()
    for group in sorted(groups, key=lambda name: _rank(name, seed)):
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


def stratified_part(samples: Sequence[Sample], count: int, *, seed: int = 0) -> list[Sample]:
    """About `count` of the samples, sorted by key: the same share of each class, at least one.

    Samples are drawn one by one: those of one subject, clip or picture need not stay together, since what is left out
    is not measured on. Which ones depends on seed and keys alone, as in `stratified_holdout`.
    """
    by_class: dict[int | None, list[Sample]] = {}
    for sample in sorted(samples, key=lambda sample: _rank(("sample", sample.key), seed)):
        by_class.setdefault(sample.expression, []).append(sample)
    chosen = [each for own in by_class.values() for each in own[: max(1, round(count * len(own) / len(samples)))]]
    return sorted(chosen, key=lambda sample: sample.key)


def divide(
    samples: Sequence[Sample], shares: Mapping[str, float], *, seed: int = 0, pairs: Pairs = ()
) -> dict[str, list[Sample]]:
    """The samples in parts of these shares (relative to their sum), each sorted by key; classes in the same shares.

    What `stratified_holdout` keeps together stays together here. Large groups are placed first, each into the part
    that is emptiest in its classes. Raises MienError when a part would be empty.
    """
    totals = Counter(sample.expression for sample in samples)
    whole = sum(shares.values())
    room = {part: {c: share / whole * n for c, n in totals.items()} for part, share in shares.items()}
    have: dict[str, Counter[int | None]] = {part: Counter() for part in shares}
    parts: dict[str, list[Sample]] = {part: [] for part in shares}
    groups = kept_together(samples, pairs=pairs)
    for name in sorted(groups, key=lambda name: (-len(groups[name]), _rank(name, seed))):
        counts = Counter(sample.expression for sample in groups[name])

        def fullness(part: str, counts: Counter[int | None] = counts) -> float:
            """Webster's rule for one class; rare classes weigh as much as frequent ones."""
            return sum(n / totals[c] * (have[part][c] + n / 2) / room[part][c] for c, n in counts.items())

        chosen = min(shares, key=fullness)
        have[chosen] += counts
        parts[chosen] += groups[name]
    if empty := [part for part, members in parts.items() if not members]:
        raise MienError(
            f"{len(samples)} faces in {len(groups)} groups (subjects, clips, near-duplicates) leave {empty[0]!r} "
            "empty. Ask for fewer or larger parts."
        )
    return {part: sorted(members, key=lambda sample: sample.key) for part, members in parts.items()}


def kept_together(samples: Sequence[Sample], *, pairs: Pairs = ()) -> dict[tuple[str, str], list[Sample]]:
    """Name → samples that share a subject, a clip or a picture, or are joined by pairs of keys, also through others.

    The name is that of the subject where there is one: adding a pair elsewhere changes no name.
    """
    joins = [(_picture_name(first), _picture_name(second)) for first, second in pairs]
    for sample in samples:
        named = (("subject", sample.subject), ("clip", sample.clip))
        joins += [(_picture_name(sample.key), (kind, value)) for kind, value in named if value is not None]
    leader_of = joined(joins)  # of ("clip", ...) < ("key", ...) < ("subject", ...) the last leads
    groups: dict[tuple[str, str], list[Sample]] = {}
    for sample in samples:
        groups.setdefault(leader_of(_picture_name(sample.key)), []).append(sample)
    return groups


def joined(pairs: Iterable[tuple[Any, Any]]) -> Callable[[Any], Any]:
    """Gives for each name the last of those that the pairs join it with, directly or through others."""
    leader: dict[Any, Any] = {}

    def leader_of(name: Any) -> Any:
        while (above := leader.setdefault(name, name)) != name:
            leader[name] = leader[above]
            name = above
        return name

    for pair in pairs:
        low, high = sorted(map(leader_of, pair))
        leader[low] = high
    return leader_of


def _picture_name(key: str) -> tuple[str, str]:
    """Of a face's key: `photo.jpg#2` is the second face of `photo.jpg`."""
    return "key", key.partition("#")[0]


def _rank(name: tuple[str, str], seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{':'.join(name)}".encode()).digest()


def _improves(target: dict[int | None, int], held: Counter[int | None], group: Counter[int | None]) -> bool:
    """Whether holding the group out brings the class counts nearer to their targets (sum of differences)."""
    return sum(abs(target[c] - held[c] - n) - abs(target[c] - held[c]) for c, n in group.items()) < 0


def split_hash(samples: Sequence[Sample]) -> str:
    """First 12 digits of SHA-256 over the sorted keys and classes: equal lists of faces have equal hashes anywhere."""
    lines = sorted(f"{sample.key}\t{sample.expression}" for sample in samples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]
