"""Names of what is written of each file: no two alike, none too long, whatever the files are called."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

LONGEST_BYTES = 200  # of a stem; file systems allow 255 bytes with the frame, the face and the suffix


class OutputNames:
    """A stem of its own for each file, and one for each face of it.

    A file keeps its own stem, after its folder's where two files share it; what is too long ends in a hash. Names
    that differ in case alone count as one.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._stems: dict[Path, str] = {}
        self._used: set[str] = set()
        shared = Counter(path.stem.casefold() for path in files)
        for path in files:
            stem = path.stem if shared[path.stem.casefold()] == 1 else f"{path.parent.name}__{path.stem}"
            stem = self._free(_short(stem, path), f"_{path.suffix[1:9]}")
            self._used.add(stem.casefold())
            self._stems[path] = stem

    def stem(self, path: Path) -> str:
        """Of the file."""
        return self._stems[path]

    def face(self, path: Path, number: int, *, frame: int | None = None) -> str:
        """STEM of the largest face, STEM_1 of the next, ...; of a video STEM_FRAME and STEM_FRAME_1.

        Where that is another file's stem: STEM_face1, STEM_frame000012.
        """
        stem = self._stems[path]
        if frame is not None:
            stem = self._apart(f"{stem}_{frame:06d}", f"{stem}_frame{frame:06d}")
        return self._apart(f"{stem}_{number}", f"{stem}_face{number}") if number else stem

    def _free(self, stem: str, further: str) -> str:
        candidates = [stem, f"{stem}{further}", *(f"{stem}_{number}" for number in range(2, len(self._used) + 3))]
        return next(each for each in candidates if each.casefold() not in self._used)

    def _apart(self, wanted: str, otherwise: str) -> str:
        if wanted.casefold() not in self._used:
            return wanted
        while otherwise.casefold() in self._used:
            otherwise += "_"
        return otherwise


def _short(stem: str, path: Path) -> str:
    if len(os.fsencode(stem)) <= LONGEST_BYTES:
        return stem
    digest = hashlib.sha256(os.fsencode(path)).hexdigest()[:10]
    while len(os.fsencode(stem)) > LONGEST_BYTES - 11:
        stem = stem[:-1]
    return f"{stem}_{digest}"
