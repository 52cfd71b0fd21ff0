"""Near-duplicates: pictures that show the same photograph, found by fingerprints and confirmed by pixels.

The limits lie between copies and what resembles them most: of 100 million pairs of LFW's and FER2013's faces the
nearest reach a detail of 0.83 with a tone of 0.94. Faces drawn from one pattern resemble each other more than two
photographs do; sets of such pictures have limits of their own. `benchmarks/leaks.py` measures what is found.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int64, UInt8

from mien.core.errors import MienError
from mien.core.limits import PAIRS
from mien.core.records import Sample
from mien.data.leakage.alignment import SIDE, Template, aligned
from mien.data.leakage.fingerprint_store import Store
from mien.data.leakage.fingerprints import (
    MANY_PICTURES,
    VERSION,
    are_alike,
    bases,
    fingerprints_of,
    grey_picture,
    in_place,
    keys_of,
    tracked,
    vectors,
)
from mien.data.parallel import cores, parallel_map
from mien.data.splits import joined
from mien.media.parallel.ahead import map_ahead

Limits = tuple[tuple[float, float], ...]
ROUGH = 0.55  # cosine of two codes from which moved versions are considered
CANDIDATE = 0.87  # similarity of a code to moved versions of a picture from which the pixels are compared
ROUGH_OF_MANY, CANDIDATE_OF_MANY = 0.75, 0.90  # the same above MANY pictures in one list, where hours would pass
MANY = 100_000
# Correlations of aligned details, each measured by the contrast around it, and of grey values. Shadows and watermarks
# spoil tones where details leave no doubt, and coarse copies lack details: one of two pairs of limits is to be reached.
LIMITS = ((0.85, 0.96), (0.90, 0.93))
# Of pictures that are all alike (`are_alike`): 1,050 drawings reach 0.957 with 0.986, copies of them 0.98 with 0.993.
LIMITS_OF_ALIKE = ((0.93, 0.99), (0.97, 0.98))
_ROWS_AT_ONCE, _PRODUCTS_AT_ONCE = 1024, 1 << 26
_PAIRS, _TEMPLATES = 1024, 256  # of candidates compared in one go; templates kept, 64 KB each


class Twin(NamedTuple):
    """Two pictures of the same photograph."""

    first: int
    """Place in the first list."""
    second: int
    """Place in the second list, or in the only one."""
    likeness: float
    """Of the details, 0..1."""
    mirrored: bool
    """Whether one is the other's mirror image."""


def near_duplicates(first: Sequence[Sample], second: Sequence[Sample] | None = None) -> list[Twin]:
    """All pairs of pictures that show the same photograph, in one list (first < second) or across two.

    30,000 small pictures in one list take less than a minute on two cores the first time, fingerprints included, and
    none when the same are asked about again.
    """
    prints = fingerprints_of(first)
    others = None if second is None else fingerprints_of(second)
    key = _key(first, second)
    with Store() as store:
        if (known := store.twins(key)) is not None:
            return _unpacked(known)
        many = others is None and len(first) > MANY
        limits = (ROUGH_OF_MANY, CANDIDATE_OF_MANY) if many else (ROUGH, CANDIDATE)
        files = prints["file"], (prints if others is None else others)["file"]
        pairs = candidates(prints, others, rough=limits[0], least=limits[1])
        codes = vectors(prints if others is None else np.concatenate([prints, others]))
        limits_of_likeness = LIMITS_OF_ALIKE if are_alike(codes) else LIMITS
        twins = _confirmed(first, first if second is None else second, pairs, files, limits_of_likeness)
        store.keep_twins(key, _packed(twins))
    return twins


def pairs_of_keys(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Keys of near-duplicates in one list, for `splits.kept_together`."""
    return [(samples[twin.first].key, samples[twin.second].key) for twin in near_duplicates(samples)]


def candidates(
    first: np.ndarray, second: np.ndarray | None = None, *, rough: float = ROUGH, least: float = CANDIDATE
) -> np.ndarray:
    """int64 [pairs, 3]: (first, second, mirrored) of PRINTs that may be copies, also slightly moved ones.

    Their codes have a cosine of `rough` or more, and one's code a similarity of `least` to moved versions of the other:
    of the one whose file has the smaller hash, so that any order of the lists gives the same pairs. The second list may
    lack `file` and `changes`, as a bundle's prints do; then always of the first's.
    """
    others = first if second is None else second
    sides = Side(first), Side(others)
    step = min(_ROWS_AT_ONCE, max(1, _PRODUCTS_AT_ONCE // max(1, len(others))))

    def block(start: int, mirrored: bool) -> list[np.ndarray]:
        columns = sides[1].turned if mirrored else sides[1].codes
        close = sides[0].codes[start : start + step] @ columns.T >= rough
        found = []
        for row in range(len(close)):
            b = np.flatnonzero(close[row])
            b = b[b > start + row] if second is None else b
            b = b[_moved_likeness(sides, start + row, b, mirrored) >= least]
            found.append(np.stack([np.full_like(b, start + row), b, np.full_like(b, mirrored)], axis=1))
        return found

    found: list[np.ndarray] = []
    blocks = [(start, mirrored) for mirrored in (False, True) for start in range(0, len(first), step)]
    for rows in map_ahead(lambda task: block(*task), blocks):
        found += rows
        if sum(map(len, found)) > PAIRS:
            raise MienError(f"More than {PAIRS:,} pairs of pictures look alike. Is one picture listed many times?")
    pairs = np.concatenate(found) if found else np.zeros((0, 3), np.int64)
    return pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))]


class Side:
    """PRINTs of one list, ready to be compared."""

    def __init__(self, prints: np.ndarray) -> None:
        self.files, self.moves = prints["file"], bases(prints)
        self.codes, self.turned = vectors(prints), vectors(prints, mirrored=True)


def _moved_likeness(
    sides: tuple[Side, Side], place: int, others: Int64[np.ndarray, " others"], mirrored: bool
) -> Float[np.ndarray, " others"]:
    """Similarity of the first side's picture at `place` and each of the second's, the one moved to fit the other."""
    first, second = sides
    codes = second.turned if mirrored else second.codes
    theirs = second.files[others]
    by_first = (theirs == 0) | (first.files[place] <= theirs)
    found = np.linalg.norm(codes[others] @ first.moves[place], axis=-1)
    own = first.turned[place] if mirrored else first.codes[place]
    found[~by_first] = np.linalg.norm(own @ second.moves[others[~by_first]], axis=-1)
    return found


def likeness(first: UInt8[np.ndarray, "48 48"], second: UInt8[np.ndarray, "48 48"]) -> tuple[float, float]:
    """(detail, tone) of two grey pictures in their best alignment: shifts and growth up to some pixels."""
    return aligned(Template(first), second)


def is_same(detail: float, tone: float, limits: Limits = LIMITS) -> bool:
    """Whether this likeness is that of one photograph."""
    return any(detail >= least_detail and tone >= least_tone for least_detail, least_tone in limits)


def groups(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """What the pairs join together, directly or through others: sorted lists of places, single ones left out."""
    leader_of = joined(pairs)
    found: dict[int, list[int]] = {}
    for place in sorted({place for pair in pairs for place in pair}):
        found.setdefault(leader_of(place), []).append(place)
    return list(found.values())


def _confirmed(
    first: Sequence[Sample], second: Sequence[Sample], pairs: np.ndarray, files: tuple[np.ndarray, np.ndarray],
    limits: Limits,
) -> list[Twin]:  # fmt: skip
    """Pixels are read again for candidates only: a set of 300,000 is not held in memory.

    Which picture is laid upon which is decided by the hashes of their files: two sides agree on a pair in any order.
    """
    parts = list(_parts_of(pairs))
    tasks = []
    for part in parts:
        ones = {place: in_place(first[place]) for place in part[:, 0].tolist()}
        others = ones if second is first else {}
        others |= {place: in_place(second[place]) for place in part[:, 1].tolist() if place not in others}
        swapped = files[0][part[:, 0]] > files[1][part[:, 1]]
        tasks.append(_Comparison(ones, others, part, swapped, limits))
    workers = cores() if len(pairs) >= MANY_PICTURES else 1
    twins: dict[int, list[Twin]] = dict(
        tracked(parallel_map(_twins_of, tasks, workers=workers), "comparing pictures", len(tasks))
    )
    return [twin for place in range(len(tasks)) for twin in twins[place]]


def _parts_of(pairs: np.ndarray) -> Iterator[np.ndarray]:
    """_PAIRS each or some more: a pair and its mirrored form stay together."""
    start = 0
    while start < len(pairs):
        stop = start + _PAIRS
        while start < stop < len(pairs) and (pairs[stop, :2] == pairs[stop - 1, :2]).all():
            stop += 1
        yield pairs[start:stop]
        start = stop


class _Comparison(NamedTuple):
    """Candidates for one process to compare."""

    first: dict[int, Sample]
    second: dict[int, Sample]
    """Samples by their place in each list."""
    pairs: np.ndarray
    """int64 [pairs, 3]: (first, second, mirrored)."""
    swapped: np.ndarray
    """bool [pairs]: the second picture is the template."""
    limits: Limits


def _twins_of(task: _Comparison) -> list[Twin]:
    pixels = lru_cache(maxsize=None)(grey_or_blank)
    template = lru_cache(maxsize=_TEMPLATES)(lambda sample: Template(pixels(sample)))
    found: dict[tuple[int, int], Twin] = {}
    for (a, b, mirrored), swapped in zip(task.pairs.tolist(), task.swapped.tolist(), strict=True):
        one, other, turned = task.first[a], task.second[b], bool(mirrored)
        if (a, b) in found or (one.place, one.box) == (other.place, other.box):
            continue
        if swapped:
            one, other = other, one
        fit = aligned(template(one), _turned(pixels(other), turned))
        if is_same(*fit, task.limits):
            found[a, b] = Twin(a, b, round(fit[0], 4), turned)
    return list(found.values())


def grey_or_blank(sample: Sample) -> UInt8[np.ndarray, "48 48"]:
    """The picture's grey pixels; zeros where it is gone since its fingerprint was made."""
    try:
        return grey_picture(sample)
    except (MienError, OSError):
        return np.zeros((SIDE, SIDE), np.uint8)


def _turned(grey: np.ndarray, mirrored: bool) -> np.ndarray:
    return np.ascontiguousarray(grey[:, ::-1]) if mirrored else grey


def _key(first: Sequence[Sample], second: Sequence[Sample] | None) -> bytes:
    rule = repr((VERSION, ROUGH, CANDIDATE, LIMITS, LIMITS_OF_ALIKE, len(first), second is None)).encode()
    return hashlib.blake2b(rule + b"".join(keys_of(first)) + b"".join(keys_of(second or ())), digest_size=16).digest()


def _packed(twins: Sequence[Twin]) -> bytes:
    return np.array([tuple(twin) for twin in twins], _ROW).tobytes()


def _unpacked(content: bytes) -> list[Twin]:
    return [Twin(int(a), int(b), round(float(c), 4), bool(d)) for a, b, c, d in np.frombuffer(content, _ROW)]


_ROW = np.dtype([("first", "<i4"), ("second", "<i4"), ("likeness", "<f4"), ("mirrored", "?")])
