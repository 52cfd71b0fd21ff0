"""TrainFaces: what a bundle records of the faces it was trained on, so that a test set can be checked without them.

24 bytes a picture (fingerprints.py), 8 a person or recording: no picture can be drawn from them, and names are hashed.
A picture is moved until its code comes nearest to the stored one (alignment.py), and both codes and fine signs are
compared there. Found are copies that were re-encoded, resized, mirrored, made brighter or cropped by a few pixels.
"""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt64

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.leakage.alignment import Move, code_step, moved
from mien.data.leakage.duplicates import candidates, grey_or_blank
from mien.data.leakage.fingerprints import (
    CODE_VERSION,
    PRINT,
    are_alike,
    fine_signs,
    fingerprints_of,
    is_blank,
    spectrum,
    vectors,
)
from mien.media.files import sha256_of

# A copy has at least this sum of cosine and of FINE_WEIGHT times the share of equal fine signs, after alignment. Of 100
# million pairs of LFW's and FER2013's faces none reaches SURE (`benchmarks/leaks.py`). CERTAIN is for faces that are
# all alike (`are_alike`).
SURE, CERTAIN, FINE_WEIGHT = 1.12, 1.17, 0.2
_ITERATIONS = 4
_FORMAT = 1


@dataclass(frozen=True, eq=False)
class TrainFaces:
    """Fingerprints and hashes of the faces a bundle was trained on; earlier stages are included."""

    trained: UInt8[np.ndarray, "trained 24"]
    """Codes and fine signs of the pictures trained on."""
    chosen: UInt8[np.ndarray, "chosen 24"]
    """The same of the pictures that an epoch was chosen by."""
    subjects: UInt64[np.ndarray, " people"]
    """Hashes of the people trained on, sorted."""
    clips: UInt64[np.ndarray, " recordings"]
    """Hashes of the recordings trained on, sorted."""

    def joined(self, other: "TrainFaces") -> "TrainFaces":
        """Both, each face once."""
        return TrainFaces(*(
            np.unique(np.concatenate([getattr(self, f.name), getattr(other, f.name)]), axis=0) for f in fields(self)
        ))  # fmt: skip

    def to_bytes(self) -> bytes:
        """An .npz archive; the same faces give the same bytes."""
        file = io.BytesIO()
        arrays = {f.name: getattr(self, f.name) for f in fields(self)}
        np.savez(file, format=np.array([_FORMAT, CODE_VERSION]), **arrays)
        return file.getvalue()

    def matches(self, samples: Sequence[Sample], *, data: str) -> "Matches":
        """Which of the samples (of data set `data`) are among these."""
        prints = fingerprints_of(samples)
        grey = lru_cache(maxsize=64)(lambda place: grey_or_blank(samples[place]))
        subjects = np.array([hashed(data, "subject", s.subject) for s in samples], np.uint64)
        clips = np.array([hashed(data, "clip", s.clip) for s in samples], np.uint64)
        return Matches(
            trained=_alike(prints, self.trained, grey), chosen=_alike(prints, self.chosen, grey),
            subjects=np.isin(subjects, self.subjects) & (subjects > 0), clips=np.isin(clips, self.clips) & (clips > 0),
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Matches:
    """Which samples a bundle was trained on or selected by; bool [samples] each."""

    trained: np.ndarray
    """The picture was trained on."""
    chosen: np.ndarray
    """An epoch was chosen by the picture."""
    subjects: np.ndarray
    """Its person was trained on."""
    clips: np.ndarray
    """Its recording was trained on."""

    @property
    def in_training(self) -> np.ndarray:
        """bool [samples]: trained on, in any way."""
        return np.asarray(self.trained | self.subjects | self.clips)

    def described(self, samples: Sequence[Sample]) -> str:
        """`12 near-duplicates of faces it was trained on, 2 subjects`; "" where there is no match."""
        people = {s.subject for s, matched in zip(samples, self.subjects, strict=True) if matched}
        clips = {s.clip for s, matched in zip(samples, self.clips, strict=True) if matched}
        counts = ((int(self.trained.sum()), "copy", "copies"), (len(people), "subject", "subjects"),
                  (len(clips), "clip", "clips"))  # fmt: skip
        return ", ".join(f"{n:,} {one if n == 1 else many}" for n, one, many in counts if n)


def train_faces(train: Sequence[Sample], val: Sequence[Sample], *, data: str) -> TrainFaces:
    """Of a training run on data set `data`."""
    return TrainFaces(
        trained=_rows(fingerprints_of(train)), chosen=_rows(fingerprints_of(val)),
        subjects=_hashes(hashed(data, "subject", s.subject) for s in train),
        clips=_hashes(hashed(data, "clip", s.clip) for s in train),
    )  # fmt: skip


def read_train_faces(folder: Path, info: BundleInfo) -> TrainFaces | None:
    """The recorded faces; None for one that carries no such file. Raises MienError for a changed one."""
    if info.train_faces is None:
        return None
    path = folder / info.train_faces
    if not path.is_file() or sha256_of(path) != info.files[info.train_faces]:
        raise MienError(f"{path} is missing or not the file that system.json names. Copy the bundle again.")
    try:
        with zipfile.ZipFile(path) as archive:
            version = _stored(archive, "format", "i", 1)
            if version.tolist() != [_FORMAT, CODE_VERSION]:
                raise MienError(f"{path} was written by another version of mien, whose fingerprints differ.")
            rows = (_stored(archive, name, "u1", 2) for name in ("trained", "chosen"))
            names = (_stored(archive, name, "u8", 1) for name in ("subjects", "clips"))
            return TrainFaces(*rows, *names)
    except MienError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise MienError(
            f"{path} is not a file of training faces ({type(error).__name__}). Copy the bundle again."
        ) from error


def _stored(archive: zipfile.ZipFile, name: str, kind: str, axes: int) -> np.ndarray:
    """An array of an .npz that numpy wrote without compression, so that it takes no more memory than its file."""
    entry = archive.getinfo(f"{name}.npy")
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != entry.compress_size:
        raise ValueError("compressed")
    with archive.open(entry) as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError("another version of the format")
        shape, by_columns, dtype = np.lib.format.read_array_header_1_0(file)
        content = file.read()
    if not dtype.str[1:].startswith(kind) or len(shape) != axes or shape[1:] not in ((), (24,)):
        raise ValueError("another kind of array")
    return np.frombuffer(content, dtype).reshape(shape, order="F" if by_columns else "C")


def hashed(data: str, kind: str, name: str | None) -> int:
    """64 bits for a person or recording of a data set; 0 for an unknown one. A joined set's names carry their set's."""
    if name is None:
        return 0
    whole = name if data == "joined" else f"{data}/{name}"
    return int.from_bytes(hashlib.blake2b(f"{kind}|{whole}".encode("utf-8", "replace"), digest_size=8).digest()) or 1


def _hashes(values: Iterable[int]) -> np.ndarray:
    return np.unique(np.array([value for value in values if value], np.uint64))


def _rows(prints: np.ndarray) -> UInt8[np.ndarray, "faces 24"]:
    """code and fine of pictures that show something, each once."""
    kept = prints[~is_blank(prints)]
    fine = np.ascontiguousarray(kept["fine"]).view(np.uint8).reshape(-1, 8)
    return np.unique(np.concatenate([kept["code"].reshape(-1, 16), fine], axis=1), axis=0)


def _alike(
    prints: np.ndarray, rows: UInt8[np.ndarray, "faces 24"], grey: Callable[[int], np.ndarray]
) -> Bool[np.ndarray, " pictures"]:
    """Which pictures are copies of stored ones. grey: their pixels, by place."""
    known = np.zeros(len(rows), PRINT)
    known["code"], known["fine"] = rows[:, :16], np.ascontiguousarray(rows[:, 16:]).view("<u8")[:, 0]
    sides = [(vectors(known, mirrored=m), fine_signs(known, mirrored=m)) for m in (False, True)]
    least = CERTAIN if are_alike(sides[0][0]) else SURE
    matched = np.zeros(len(prints), bool)
    for place, row, mirrored in candidates(prints, known).tolist():
        if not matched[place]:
            codes, fine = sides[mirrored]
            matched[place] = code_likeness(grey(place), codes[row], fine[row]) >= least
    return matched


def code_likeness(grey: UInt8[np.ndarray, "48 48"], code: Float[np.ndarray, "32"], fine: np.uint64) -> float:
    """Of a picture in its best alignment to this code (of length 1) and these fine signs: cosine, and FINE_WEIGHT times
    the share of equal signs. 1.2 at most.
    """
    best, move, shown = -1.0, Move(), grey
    for _ in range(_ITERATIONS + 1):
        own, changes, own_fine = spectrum(shown)
        likeness = float(own @ code)
        if likeness <= best:
            break
        best, best_fine = likeness, own_fine
        move = move.after(code_step(own, changes, code))
        shown = moved(grey, move)
    equal = 1 - int(best_fine ^ fine).bit_count() / 64
    return best + FINE_WEIGHT * equal
