"""Fingerprints that know a picture again after re-encoding, resizing, slight cropping, mirroring and changes of light.

A picture (a face's box, where the sample has one) becomes 48 x 48 grey pixels, and their cosine transform three parts:

code      the 32 lowest frequencies but the mean, each divided by its usual spread over faces, in 4 bits. The cosine of
          two codes is the likeness of two blurred pictures; lower frequencies alone would find all dark-haired people.
fine      the signs of 64 frequencies above those.
changes   how the code changes by a small shift and by a small growth of width and height (alignment.py). Bundles do
          not store them: who asks has the pixels of one side.

A mirrored picture has the same transform with the odd horizontal frequencies negated, so no second fingerprint is
needed. A blank picture (hardly any contrast) has a code of zeros, which resembles nothing.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import cv2
import numpy as np
from jaxtyping import Float, UInt8, UInt64
from rich.console import Console
from rich.progress import track

from mien.core.errors import MienError
from mien.core.records import Box, Sample
from mien.data.leakage.alignment import SIDE, move_bases, tangents
from mien.data.leakage.fingerprint_store import Store
from mien.data.parallel import cores, parallel_map
from mien.data.recent import load_picture
from mien.media.listing import is_video
from mien.media.parallel.ahead import map_ahead
from mien.media.parts import read_bytes

VERSION = 2  # part of every key of the store: raise it when a fingerprint of the same picture would differ
CODE_VERSION = 1  # the same of code and fine, which bundles store
BLANK = 4.0  # grey levels of standard deviation
# file: 64 bits of a hash of the picture's bytes, 0 for one that cannot be read. The others: see above.
PRINT = np.dtype([("file", "<u8"), ("code", "u1", 16), ("fine", "<u8"), ("changes", "i1", (4, 32))])
# Standard deviation of each frequency (rows: vertical) over 34,000 grey faces at 32 x 32, rounded.
_SPREAD = np.array(
    [[1034, 609, 597, 294, 274, 180], [445, 286, 314, 196, 188, 140], [291, 192, 234, 152, 174, 123],
     [200, 136, 167, 120, 138, 104], [170, 116, 142, 108, 110, 85], [164, 95, 128, 85, 97, 73]], np.float32
)  # fmt: skip
_ROWS, _COLUMNS = np.array([(v, u) for v in range(6) for u in range(6) if 0 < u + v < 9]).T
_FINE_ROWS, _FINE_COLUMNS = np.array([(v, u) for v in range(11) for u in range(11) if max(u, v) > 6][:64]).T
_STEP = 2.5  # levels of the code per usual spread
_CHANGE_STEP = 1 / 250  # of a change, for a code of length 1
# Pictures are alike where more than COMMON of their pairs have a cosine of ALIKE: FER2013 0.00007, drawn faces 0.07.
ALIKE, COMMON = 0.8, 0.002
_SAMPLED = 2000
_WAVES = 32  # the transform's side
_MIRROR = np.where(_COLUMNS % 2, -1, 1).astype(np.float32)
_FINE_MIRROR = np.packbits(_FINE_COLUMNS % 2 == 1).view("<u8")[0]
_PART = 512
MANY_PICTURES = 4000  # from here on processes are worth their start of a second or two

Result = TypeVar("Result")


def grey_picture(sample: Sample) -> UInt8[np.ndarray, "48 48"]:
    """The picture or its box as 48 x 48 grey pixels, squeezed to a square. Raises MienError for a broken one."""
    picture = load_picture(sample, min_side=2 * SIDE if sample.box is None else None)
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
    code, changes, found["fine"] = spectrum(grey)
    levels = np.clip(np.round(code * (_STEP * np.sqrt(len(code)))), -7, 7)
    nibbles = (levels + 8).astype(np.uint8)
    found["code"] = nibbles[::2] << 4 | nibbles[1::2]
    found["changes"] = np.clip(np.round(changes / _CHANGE_STEP), -127, 127)
    return found


def spectrum(
    grey: UInt8[np.ndarray, "48 48"],
) -> tuple[Float[np.ndarray, "32"], Float[np.ndarray, "4 32"], np.uint64]:
    """(code of length 1, its changes, fine) of a grey picture, before rounding."""
    small = cv2.resize(grey, (_WAVES, _WAVES), interpolation=cv2.INTER_AREA).astype(np.float32)
    waves = cv2.dct(small)
    rows = [waves, *(cv2.dct(change) for change in np.ascontiguousarray(tangents(small[None])[0]))]
    values = np.stack([row[_ROWS, _COLUMNS] for row in rows]) / _SPREAD[_ROWS, _COLUMNS]
    values /= max(float(np.linalg.norm(values[0])), 1e-9)
    fine = np.packbits(waves[_FINE_ROWS, _FINE_COLUMNS] > 0).view("<u8")[0]
    return values[0], values[1:], fine


def vectors(prints: np.ndarray, *, mirrored: bool = False) -> Float[np.ndarray, "pictures 32"]:
    """The codes as unit vectors, whose product is the likeness -1..1; zeros for blank pictures."""
    codes = prints["code"].reshape(-1, 16)
    levels = np.stack([codes >> 4, codes & 15], axis=-1).reshape(-1, 32).astype(np.float32) - 8
    levels[~codes.any(axis=1)] = 0
    levels /= np.maximum(np.linalg.norm(levels, axis=1, keepdims=True), 1e-9)
    return levels * _MIRROR if mirrored else levels


def bases(prints: np.ndarray) -> Float[np.ndarray, "pictures 32 5"]:
    """`alignment.move_bases` of the pictures: the similarity of other codes to all slightly moved versions of each."""
    return move_bases(vectors(prints), prints["changes"].reshape(-1, 4, 32).astype(np.float32) * _CHANGE_STEP)


def fine_signs(prints: np.ndarray, *, mirrored: bool = False) -> UInt64[np.ndarray, " pictures"]:
    """The fine signs of PRINTs, or of their mirror images."""
    return np.asarray(prints["fine"] ^ _FINE_MIRROR if mirrored else prints["fine"])


def are_alike(codes: Float[np.ndarray, "pictures 32"]) -> bool:
    """Whether so many pictures resemble each other that copies need surer signs: drawings of one pattern do."""
    some = codes[:: max(1, len(codes) // _SAMPLED)]
    alike = int((some @ some.T >= ALIKE).sum()) - len(some)
    return alike > COMMON * len(some) * (len(some) - 1)


def is_blank(prints: np.ndarray) -> np.ndarray:
    """bool [pictures]: nothing to see, or unreadable."""
    return np.asarray(prints["code"].max(axis=-1) == 0)


def fingerprints_of(samples: Sequence[Sample]) -> np.ndarray:
    """PRINT [samples]. Known ones come from the user's store; the rest are made, with a bar, and stored.

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
        for places, found in _computed(samples, missing):
            prints[places] = found
            store.keep_prints((keys[i], one.tobytes()) for i, one in zip(places, found, strict=True) if one["file"])
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
        hashlib.blake2b(stamps[s.path] + repr((VERSION, s.span, s.box, *_frame(s))).encode(), digest_size=16).digest()
        for s in samples
    ]


def _frame(sample: Sample) -> tuple[int | None, ...]:
    """Of a video; () for other files, whose keys are those of stores that know no frames."""
    return (sample.frame,) if is_video(sample.path) else ()


def _computed(samples: Sequence[Sample], places: Sequence[int]) -> Iterator[tuple[list[int], np.ndarray]]:
    """(places, their PRINTs) a part at a time, in any order: small pictures keep Python's lock, so many of them are
    shared out to processes."""
    parts = [list(places[start : start + _PART]) for start in range(0, len(places), _PART)]
    tasks = [[in_place(samples[i]) for i in part] for part in parts]
    workers = cores() if len(places) >= MANY_PICTURES else 1
    for position, found in tracked(
        parallel_map(_prints, tasks, workers=workers), "fingerprints of pictures", len(parts)
    ):
        yield parts[position], found


def in_place(sample: Sample) -> Sample:
    """The sample with nothing but where its picture is: little to send to another process."""
    return Sample("", sample.path, span=sample.span, box=sample.box, frame=sample.frame)


def tracked(work: Iterator[Result], title: str, total: int) -> Iterator[Result]:
    """With a bar where stderr is a terminal."""
    console = Console(stderr=True)
    yield from track(work, title, total, console=console, transient=True, disable=not console.is_terminal)


def _prints(samples: Sequence[Sample]) -> np.ndarray:
    """PRINT [samples]."""
    return np.array(list(map_ahead(_print_or_nothing, samples)), PRINT)


def _print_or_nothing(sample: Sample) -> np.ndarray:
    try:
        return fingerprint(grey_picture(sample), content=read_bytes(sample.path, sample.span))
    except (MienError, OSError):
        return np.zeros((), PRINT)
