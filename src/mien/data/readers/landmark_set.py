"""What readers of landmark sets share: pairs of picture and annotation, checks of points, the sign of depth."""

from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mien.core.framing import box_of
from mien.core.records import Box, Sample
from mien.data.readers.reader import Reader, file_names, is_picture

_NOSE, _JAW_ENDS = 30, [0, 16]  # of 68


class LandmarkSet(Reader):
    """count: points of a face. Points outside the picture are kept; those left of it or above it are counted in a note.

    Depth is taken as larger is nearer to the viewer; a set in which noses mostly lie behind the ends of the jaw is
    refused.
    """

    count: ClassVar[int] = 68

    def _read_checked(self, split: str) -> list[Sample]:
        """As of every reader. Raises MienError also where depth counts the other way."""
        samples = super()._read_checked(split)
        outside = [s for s in samples if s.landmarks_px is not None and (np.asarray(s.landmarks_px) < -0.5).any()]
        if outside:
            self.note(
                f"{len(outside):,} of {len(samples):,} faces of {split} have points left of or above their picture; "
                f"they are kept, first {outside[0].key}."
            )
        self._refuse_turned_depth(samples)
        return samples

    def _refuse_turned_depth(self, samples: list[Sample]) -> None:
        depths = [s.depth_px for s in samples if s.depth_px is not None and len(s.depth_px) == 68]
        ahead = [float(depth[_NOSE] - depth[_JAW_ENDS].mean()) for depth in depths]
        if ahead and float(np.median(ahead)) < 0:
            raise self.error(
                f"depth under {self.root} grows away from the viewer (noses lie behind jaws). Turn its sign: larger "
                "must be nearer, as in AFLW2000-3D."
            )

    def points(self, values: Any, where: object, *, count: int | None = None, first: float = 0) -> np.ndarray:
        """float32 [count, 2 or 3] of nested lists or an array, x and y from 0 where the file counts from `first`.

        Raises the reader's error for another shape and for what is no number.
        """
        try:
            points = np.asarray(values, np.float32)
        except (TypeError, ValueError) as error:
            raise self.error(f"{where}: points must be numbers ({error}).") from error
        wanted = count or self.count
        if points.ndim != 2 or len(points) != wanted or points.shape[1] not in (2, 3):
            shape = " x ".join(map(str, points.shape))
            raise self.error(f"{where}: expected {wanted} points of x and y (and z); got {shape or 'one number'}.")
        if not (good := np.isfinite(points).all(-1)).all():
            raise self.error(f"{where}: point {int(np.argmin(good)) + 1} has a coordinate that is no number.")
        return points - np.array([first, first, 0], np.float32)[: points.shape[1]]

    def face(
        self, key: str, path: Path, split: str, points: np.ndarray, *, box: Box | None = None, **more: Any
    ) -> Sample:
        """A sample; without a box it is that of the points, a third column of the points is the depth."""
        depth = np.ascontiguousarray(points[:, 2]) if points.shape[1] == 3 else None
        landmarks = np.ascontiguousarray(points[:, :2])
        box = box or box_of(landmarks)
        return Sample(key, path, split, box=box, landmarks_px=landmarks, depth_px=depth, **more)

    def paired(self, folder: Path, suffix: str, *, beside: Path | None = None) -> list[tuple[Path, Path]]:
        """(annotation, picture) of every annotation in the folder (its pictures lie there, or `beside`), sorted.

        Raises MienError for annotations without picture, unless they are to be skipped; pictures without annotation
        are counted in a note.
        """
        at = beside or folder
        pictures = {name.rpartition(".")[0]: name for name in sorted(file_names(at)) if is_picture(name)}
        found = {name[: -len(suffix)]: name for name in sorted(file_names(folder)) if name.lower().endswith(suffix)}
        missing = [at / f"{stem}.jpg" for stem in found if stem not in pictures]
        self.refuse_missing(missing, listed_in=folder, total=len(found))
        if rest := sorted(set(pictures) - set(found)):
            self.note(
                f"{len(rest):,} pictures in {at} have no {suffix} file and are not read, first {pictures[rest[0]]}."
            )
        return [(folder / name, at / pictures[stem]) for stem, name in found.items() if stem in pictures]
