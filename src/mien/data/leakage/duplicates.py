"""Near-duplicates: pictures that show the same photograph, found by fingerprints and confirmed by pixels.

The limits are set for certainty. Of FER2013's training pictures, 64 pairs drawn at random from those found here were
looked at, and all show the same photograph; pairs that a watermark parts are missed. Faces drawn from one pattern
resemble each other more than two photographs do, and 1,200 of them are all told apart.
"""

import hashlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import track

from mien.core.errors import MienError
from mien.core.limits import PAIRS
from mien.core.records import Sample
from mien.data.leakage.fingerprint_store import Store
from mien.data.leakage.fingerprints import SIDE, VERSION, fingerprints_of, grey_picture, keys_of, vectors
from mien.data.splits import joined

CANDIDATE = 0.80  # cosine of two codes from which the pixels are compared: 97 of 100 twins have it
CANDIDATE_OF_MANY = 0.88  # the same above MANY pictures in one list, where hours would pass: 85 of 100
MANY = 100_000
DETAIL = 0.90  # correlation of details, each measured by the contrast around it
TONE = 0.96  # correlation of the grey pixels themselves
SURE_DETAIL, LEAST_TONE = 0.97, 0.90  # noise and shadows spoil tones where details leave no doubt
_HOPELESS = 0.4  # of details without any scaling: no scale makes a twin of that
_MARGIN = SIDE // 8
_SCALES = (1.0, 0.94, 0.97, 1.03, 1.06)
_ROWS_AT_ONCE, _PRODUCTS_AT_ONCE = 1024, 1 << 26


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

    30,000 pictures in one list take about 20 seconds the first time, and none when the same are asked about again.
    """
    prints = fingerprints_of(first)
    others = None if second is None else fingerprints_of(second)
    key = _key(first, second)
    with Store() as store:
        if (known := store.twins(key)) is not None:
            return _unpacked(known)
        least = CANDIDATE_OF_MANY if others is None and len(first) > MANY else CANDIDATE
        files = prints["file"], (prints if others is None else others)["file"]
        pairs = candidates(prints, others, least=least)
        twins = list(_confirmed(first, first if second is None else second, pairs, files))
        store.keep_twins(key, _packed(twins))
    return twins


def pairs_of_keys(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """Keys of near-duplicates in one list, for `splits.kept_together`."""
    return [(samples[twin.first].key, samples[twin.second].key) for twin in near_duplicates(samples)]


def candidates(first: np.ndarray, second: np.ndarray | None = None, *, least: float = CANDIDATE) -> np.ndarray:
    """int64 [pairs, 3]: (first, second, mirrored) of PRINTs whose codes have a cosine of `least` or more."""
    rows, found = vectors(first), []
    for mirrored in (False, True):
        columns = vectors(first if second is None else second, mirrored=mirrored)
        step = min(_ROWS_AT_ONCE, max(1, _PRODUCTS_AT_ONCE // max(1, len(columns))))
        for start in range(0, len(rows), step):
            begin = start if second is None else 0  # of one list, only pairs in order
            alike = rows[start : start + step] @ columns[begin:].T
            a, b = np.nonzero(alike >= least)
            a, b = a + start, b + begin
            kept = a < b if second is None else slice(None)
            found.append(np.stack([a[kept], b[kept], np.full_like(a[kept], mirrored)], axis=1))
            if sum(map(len, found)) > PAIRS:
                raise MienError(f"More than {PAIRS:,} pairs of pictures look alike. Is one picture listed many times?")
    pairs = np.concatenate(found) if found else np.zeros((0, 3), np.int64)
    return pairs[np.lexsort((pairs[:, 2], pairs[:, 1], pairs[:, 0]))]


def likeness(first: UInt8[np.ndarray, "48 48"], second: UInt8[np.ndarray, "48 48"]) -> tuple[float, float]:
    """(detail, tone) of two grey pictures in their best alignment: shifts up to 6 pixels, scales within 6 %."""
    return _aligned(first, _detail(first), second, _detail(second))


def is_same(detail: float, tone: float) -> bool:
    """Whether this likeness is that of one photograph."""
    return (detail >= DETAIL and tone >= TONE) or (detail >= SURE_DETAIL and tone >= LEAST_TONE)


def groups(pairs: Sequence[tuple[int, int]]) -> list[list[int]]:
    """What the pairs join together, directly or through others: sorted lists of places, single ones left out."""
    leader_of = joined(pairs)
    found: dict[int, list[int]] = {}
    for place in sorted({place for pair in pairs for place in pair}):
        found.setdefault(leader_of(place), []).append(place)
    return list(found.values())


def _confirmed(
    first: Sequence[Sample], second: Sequence[Sample], pairs: np.ndarray, files: tuple[np.ndarray, np.ndarray]
) -> Iterator[Twin]:
    """Pixels are read again for candidates only: a set of 300,000 is not held in memory.

    Which picture is laid upon which is decided by the hashes of their files: two sides agree on a pair in any order.
    """
    pixels = lru_cache(maxsize=40_000)(_pixels)
    detail = lru_cache(maxsize=4096)(lambda sample, mirrored: _detail(_turned(pixels(sample), mirrored)))
    found: set[tuple[int, int]] = set()
    console = Console(stderr=True)
    for a, b, mirrored in track(
        pairs.tolist(), "comparing pictures", console=console, transient=True, disable=not console.is_terminal
    ):
        one, other, turned = first[a], second[b], bool(mirrored)
        if (a, b) in found or (one.path, one.span, one.box) == (other.path, other.span, other.box):
            continue
        if files[0][a] > files[1][b]:
            one, other = other, one
        grey = _turned(pixels(other), turned)
        fit = _aligned(pixels(one), detail(one, False), grey, detail(other, turned))
        if is_same(*fit):
            found.add((a, b))
            yield Twin(a, b, round(fit[0], 4), turned)


def _pixels(sample: Sample) -> np.ndarray:
    try:
        return grey_picture(sample)
    except (MienError, OSError):  # gone since its fingerprint was made
        return np.zeros((SIDE, SIDE), np.uint8)


def _turned(grey: np.ndarray, mirrored: bool) -> np.ndarray:
    return np.ascontiguousarray(grey[:, ::-1]) if mirrored else grey


def _detail(grey: np.ndarray) -> Float[np.ndarray, "48 48"]:
    """What a blur takes away, divided by the contrast around it: hair against a wall counts no more than an eye."""
    pixels = grey.astype(np.float32)
    fine = cv2.GaussianBlur(pixels, (0, 0), 0.7) - cv2.GaussianBlur(pixels, (0, 0), 3)
    return fine / (np.sqrt(cv2.GaussianBlur(fine * fine, (0, 0), 4)) + 4)


def _aligned(grey: np.ndarray, detail: np.ndarray, other: np.ndarray, other_detail: np.ndarray) -> tuple[float, float]:
    best, tone = -1.0, 0.0
    inner = SIDE - 2 * _MARGIN
    for scale in _SCALES:
        fits = cv2.matchTemplate(detail, _middle(other_detail, scale), cv2.TM_CCOEFF_NORMED)
        _, value, _, (x, y) = cv2.minMaxLoc(fits)
        if value > best:
            best = value
            if value >= DETAIL:
                part, middle = grey[y : y + inner, x : x + inner], _middle(other, scale)
                tone = float(cv2.matchTemplate(part, middle, cv2.TM_CCOEFF_NORMED)[0, 0])
        if best < _HOPELESS:
            break
    return best, tone


def _middle(picture: np.ndarray, scale: float) -> np.ndarray:
    """The middle 36 x 36 pixels of the picture enlarged by `scale`."""
    if scale == 1:
        return picture[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN]
    inner, corner = SIDE - 2 * _MARGIN, SIDE / 2 - (SIDE / 2 - _MARGIN) / scale
    move = np.array([[1 / scale, 0, corner], [0, 1 / scale, corner]], np.float32)
    return cv2.warpAffine(picture, move, (inner, inner), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def _key(first: Sequence[Sample], second: Sequence[Sample] | None) -> bytes:
    rule = repr((VERSION, CANDIDATE, DETAIL, TONE, SURE_DETAIL, LEAST_TONE, len(first), second is None)).encode()
    return hashlib.blake2b(rule + b"".join(keys_of(first)) + b"".join(keys_of(second or ())), digest_size=16).digest()


def _packed(twins: Sequence[Twin]) -> bytes:
    return np.array([tuple(twin) for twin in twins], _ROW).tobytes()


def _unpacked(content: bytes) -> list[Twin]:
    return [Twin(int(a), int(b), round(float(c), 4), bool(d)) for a, b, c, d in np.frombuffer(content, _ROW)]


_ROW = np.dtype([("first", "<i4"), ("second", "<i4"), ("likeness", "<f4"), ("mirrored", "?")])
