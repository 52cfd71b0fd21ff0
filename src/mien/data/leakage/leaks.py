"""Leaks: what stands on two sides that must not meet: files, photographs, people, recordings.

A score on faces that were trained on means nothing, and one on other frames of the same people means less than it
seems. Blank pictures are nobody's, so equal blank files are no leak.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.leakage.duplicates import near_duplicates
from mien.data.leakage.fingerprints import fingerprints_of, is_blank

KINDS = {
    "file": ("picture", "the same bytes"), "near-duplicate": ("near-duplicate", "the same photograph"),
    "subject": ("subject", "the same person"), "clip": ("clip", "the same recording"),
}  # fmt: skip


@dataclass(frozen=True)
class Leak:
    """One thing that stands on two sides."""

    kind: str
    """Of KINDS."""
    sides: tuple[str, str]
    """Names of both."""
    first: Sample
    """A face of the first side; of a subject or clip the first one."""
    second: Sample
    """A face of the second side."""
    value: str = ""
    """Name of the subject or clip."""
    likeness: float = 1.0
    """Of near-duplicates, of their details, 0..1."""
    mirrored: bool = False
    """Whether one is the other's mirror image."""

    @property
    def thing(self) -> str:
        """What is counted: the face on the second side, or the person or recording."""
        return self.value or self.second.key


def find_leaks(
    sides: Mapping[str, Sequence[Sample]], *, data: Mapping[str, str] | None = None, pictures: bool = True
) -> list[Leak]:
    """Every leak between any two sides. data: side → its data set; subjects and clips compare within one set only.

    pictures: open them, for equal files under other names and for near-duplicates. A file listed on both sides is found
    without.
    """
    found: list[Leak] = []
    for names in combinations(sides, 2):
        first, second = sides[names[0]], sides[names[1]]
        same_set = data is None or data[names[0]] == data[names[1]]
        found += _files(names, first, second, pictures)
        if pictures:
            listed = {(leak.first.key, leak.second.key) for leak in found if leak.sides == names}
            found += [
                Leak("near-duplicate", names, first[a], second[b], "", likeness, mirrored)
                for a, b, likeness, mirrored in near_duplicates(first, second)
                if (first[a].key, second[b].key) not in listed
            ]
        if same_set:
            found += _shared(names, "subject", first, second)
            found += _shared(names, "clip", first, second)
    return found


def summary(leaks: Iterable[Leak]) -> str:
    """`2 pictures, 14 near-duplicates, 1 subject`; "" without leaks. Each face, person or recording counts once."""
    counts = leak_counts(leaks)
    return ", ".join(f"{n:,} {KINDS[kind][0]}{'s' if n > 1 else ''}" for kind, n in counts.items())


def leak_counts(leaks: Iterable[Leak]) -> dict[str, int]:
    """Kind → things on both sides, in the order of KINDS, kinds without any left out."""
    things = {(leak.kind, leak.sides, leak.thing) for leak in leaks}
    counts = Counter(kind for kind, _, _ in things)
    return {kind: counts[kind] for kind in KINDS if counts[kind]}


def refuse(leaks: Sequence[Leak], *, ways_out: str) -> None:
    """Raises MienError that counts the leaks of the first pair of sides and names the first."""
    if not leaks:
        return
    sides = leaks[0].sides
    here = [leak for leak in leaks if leak.sides == sides]
    first = min(here, key=lambda leak: (list(KINDS).index(leak.kind), leak.thing))
    name = repr(first.value) if first.value else repr(first.second.key)
    if not first.value and first.first.key != first.second.key:
        name += f" ({'like ' if first.kind == 'near-duplicate' else 'as '}{first.first.key!r})"
    raise MienError(
        f"{summary(here)} in both {sides[0]} and {sides[1]}, first {name}. A score on seen faces means nothing. "
        f"{ways_out}"
    )


def without(samples: Sequence[Sample], leaks: Iterable[Leak], *, side: int) -> list[Sample]:
    """The samples without those that leak; `side` says which of the leaks' sides (0 or 1) they are."""
    keys, values = set(), set()
    for leak in leaks:
        if leak.value:
            values.add((leak.kind, leak.value))
        else:
            keys.add((leak.first, leak.second)[side].key)
    return [
        s for s in samples
        if s.key not in keys and ("subject", s.subject) not in values and ("clip", s.clip) not in values
    ]  # fmt: skip


def _files(names: tuple[str, str], first: Sequence[Sample], second: Sequence[Sample], opened: bool) -> list[Leak]:
    """One leak for each face of the second side whose file (or place in a file) is on the first too."""
    places = {s.place: s for s in reversed(first)}
    found = {i: places[s.place] for i, s in enumerate(second) if s.place in places}
    if opened:
        one, other = fingerprints_of(first), fingerprints_of(second)
        contents = {int(p["file"]): i for i, p in reversed(list(enumerate(one))) if p["file"]}
        shared = np.isin(other["file"], np.fromiter(contents, np.uint64, len(contents))) & ~is_blank(other)
        for i in np.flatnonzero(shared):
            found.setdefault(int(i), first[contents[int(other["file"][i])]])
    return [Leak("file", names, before, second[i]) for i, before in sorted(found.items())]


def _shared(names: tuple[str, str], kind: str, first: Sequence[Sample], second: Sequence[Sample]) -> list[Leak]:
    sides = [{value: s for s in reversed(side) if (value := getattr(s, kind)) is not None} for side in (first, second)]
    return [Leak(kind, names, sides[0][value], sides[1][value], value) for value in sorted(sides[0].keys() & sides[1])]
