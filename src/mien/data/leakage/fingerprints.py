"""Fingerprints: 32 bytes that know a picture again after re-encoding, resizing, mirroring and changes of light.

A picture (a face's box, where the sample has one) becomes 48 x 48 grey pixels, and their cosine transform two parts:

code   the 32 lowest frequencies but the mean, each divided by its usual spread over faces, in 4 bits. The cosine of
       two codes is the likeness of two blurred pictures; lower frequencies alone would find all dark-haired people.
fine   the signs of 64 frequencies above those.

A mirrored picture has the same transform with the odd horizontal frequencies negated, so no second fingerprint is
needed. A blank picture (hardly any contrast) has a code of zeros, which resembles nothing.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from rich.console import Console
from rich.progress import track

from mien.core.errors import MienError
from mien.core.records import Box, Sample
from mien.data.leakage.fingerprint_store import Store
from mien.media.image import load_image
from mien.media.parallel import in_batches, map_ahead
from mien.media.parts import read_bytes

VERSION = 1  # part of every key of the store: raise it when a fingerprint of the same picture would differ
SIDE = 48
BLANK = 4.0  # grey levels of standard deviation
# file: 64 bits of a hash of the picture's bytes, 0 for one that cannot be read. code, fine: see above.
PRINT = np.dtype([("file", "<u8"), ("code", "u1", 16), ("fine", "<u8")])
# Standard deviation of each frequency (rows: vertical) over 34,000 grey faces at 32 x 32, rounded.
_SPREAD = np.array(
    [[1034, 609, 597, 294, 274, 180], [445, 286, 314, 196, 188, 140], [291, 192, 234, 152, 174, 123],
     [200, 136, 167, 120, 138, 104], [170, 116, 142, 108, 110, 85], [164, 95, 128, 85, 97, 73]], np.float32
)  # fmt: skip
_ROWS, _COLUMNS = np.array([(v, u) for v in range(6) for u in range(6) if 0 < u + v < 9]).T
_FINE_ROWS, _FINE_COLUMNS = np.array([(v, u) for v in range(11) for u in range(11) if max(u, v) > 6][:64]).T
_STEP = 2.5  # levels of the code per usual spread
_MIRROR = np.where(_COLUMNS % 2, -1, 1).astype(np.float32)
_FINE_MIRROR = np.packbits(_FINE_COLUMNS % 2 == 1).view("<u8")[0]
_CHUNK = 2048


def grey_picture(sample: Sample) -> UInt8[np.ndarray, "48 48"]:
    """The picture or its box as 48 x 48 grey pixels, squeezed to a square. Raises MienError for a broken one."""
    picture = load_image(sample.path, span=sample.span, min_side=2 * SIDE if sample.box is None else None)
    grey = cv2.cvtColor(picture.pixels, cv2.COLOR_RGB2GRAY)
    if sample.box is not None:
        grey = _inside(grey, sample.box, scale=grey.shape[1] / picture.size[0])
    return cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _inside(grey: np.ndarray, box: Box, *, scale: float) -> np.ndarray:
    """The part of the box that lies in the picture; the whole picture when nothing does."""
    x0, y0, x1, y1 = (round(edge * scale) for edge in box)
    part = grey[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
    return part if part.size else grey


def fingerprint(grey: UInt8[np.ndarray, "48 48"], *, content: bytes = b"") -> np.ndarray:
    """One PRINT of a grey picture; `content`: its bytes on disk."""
    found = np.zeros((), PRINT)
    found["file"] = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "little") or 1
    if grey.std() < BLANK:
        return found
    waves = cv2.dct(cv2.resize(grey, (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32))
    values = waves[_ROWS, _COLUMNS] / _SPREAD[_ROWS, _COLUMNS]
    levels = np.round(values * (_STEP * np.sqrt(len(values)) / max(float(np.linalg.norm(values)), 1e-9)))
    nibbles = (np.clip(levels, -7, 7) + 8).astype(np.uint8)
    found["code"] = nibbles[::2] << 4 | nibbles[1::2]
    found["fine"] = np.packbits(waves[_FINE_ROWS, _FINE_COLUMNS] > 0).view("<u8")[0]
    return found


def vectors(prints: np.ndarray, *, mirrored: bool = False) -> Float[np.ndarray, "pictures 32"]:
    """The codes as unit vectors, whose product is the likeness -1..1; zeros for blank pictures."""
    codes = prints["code"].reshape(-1, 16)
    levels = np.stack([codes >> 4, codes & 15], axis=-1).reshape(-1, 32).astype(np.float32) - 8
    levels[~codes.any(axis=1)] = 0
    levels /= np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), 1e-9)
    return levels * _MIRROR if mirrored else levels


def fine_agreement(first: np.ndarray, second: np.ndarray, *, mirrored: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """Share of equal fine signs of pairs of PRINTs; `mirrored` (bool [pairs]) turns the second."""
    turned = np.where(mirrored, second["fine"] ^ _FINE_MIRROR, second["fine"])
    different = np.ascontiguousarray(first["fine"] ^ turned).view(np.uint8).reshape(-1, 8)
    return 1 - np.unpackbits(different, axis=1).sum(1) / 64


def is_blank(prints: np.ndarray) -> np.ndarray:
    """bool [pictures]: nothing to see, or unreadable."""
    return np.asarray(prints["code"].max(axis=-1) == 0)


def fingerprints_of(samples: Sequence[Sample]) -> np.ndarray:
    """PRINT [samples]. Known ones come from the user's store; the rest are made in threads, with a bar, and stored.

    A picture that cannot be read has zeros throughout: readers and loaders tell of it, this does not.
    """
    prints = np.zeros(len(samples), PRINT)
    keys = keys_of(samples)
    with Store() as store:
        known = store.prints(keys)
        missing = [i for i, key in enumerate(keys) if key not in known]
        for i, key in enumerate(keys):
            if key in known:
                prints[i] = np.frombuffer(known[key], PRINT)[0]
        computed = zip(missing, _computed([samples[i] for i in missing]), strict=True)
        for batch in in_batches(computed, _CHUNK):
            for i, one in batch:
                prints[i] = one
            store.keep_prints((keys[i], one.tobytes()) for i, one in batch if one["file"])
    return prints


def keys_of(samples: Sequence[Sample]) -> list[bytes]:
    """16 bytes of a hash of where each picture lies, its size and time of change: a changed file has another key.

    The hash keeps the names of files out of the store.
    """
    stamps: dict[Any, bytes] = {}
    for path in dict.fromkeys(sample.path for sample in samples):
        try:
            status = os.stat(path)  # noqa: PTH116 (300,000 files)
            stamps[path] = os.fsencode(path.absolute()) + b"|%d|%d" % (status.st_size, status.st_mtime_ns)
        except OSError:
            stamps[path] = os.fsencode(path.absolute())
    return [
        hashlib.blake2b(stamps[s.path] + repr((VERSION, s.span, s.box)).encode(), digest_size=16).digest()
        for s in samples
    ]


def _computed(samples: Sequence[Sample]) -> Iterator[np.ndarray]:
    console = Console(stderr=True)
    yield from track(
        map_ahead(_print_or_nothing, samples), "fingerprints of pictures", len(samples), console=console,
        transient=True, disable=not console.is_terminal,
    )  # fmt: skip


def _print_or_nothing(sample: Sample) -> np.ndarray:
    try:
        return fingerprint(grey_picture(sample), content=read_bytes(sample.path, sample.span))
    except (MienError, OSError):
        return np.zeros((), PRINT)
