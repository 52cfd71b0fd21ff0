"""How much of a known one-sided change is found in photographs of real faces: part of the face is displaced by a warp.

    python benchmarks/asymmetry/warped.py PORTRAITS [PORTRAITS ...] [--limit 40]

Each frontal portrait is read; then the corner of the mouth, the brow, the lower lid or the upper lid of one side is
displaced by a smooth warp of known size, and the picture is read again, both with the mirror test. The change of each
measure in truth (the same warp applied to the points read first) is compared with the change read. Errors of
annotations and of the first reading play no part. Printed: the share found (slope through 0), the correlation, the
share after correction by the fitted slope, and how many changes lie in their 90 % range.
"""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.media.image import load_image
from mien.media.listing import picture_files
from mien.runtime.asymmetry.examination import Examination, FaceReader, examine_picture
from mien.runtime.asymmetry.frame import Method
from mien.runtime.asymmetry.static import FaceMeasures, analyse
from mien.runtime.asymmetry.visits import change_of

# Centre (point of the right side), reach across and along, mm; direction in the face, x outwards, y up; size, mm;
# measures that show it.
WARPS = {
    "corner of the mouth": (48, (10, 9), (-0.3, -1.0), (2, 7), ("commissure_depth", "smile_angle", "mouth_tilt")),
    "corner outwards": (48, (10, 9), (1.0, 0.2), (2, 6), ("commissure_excursion", "lip_commissure")),
    "brow": (19, (16, 7), (0.0, -1.0), (2, 6), ("brow_height",)),
    "lower lid": (41, (10, 4), (0.0, -1.0), (1, 3), ("palpebral_fissure", "mrd2")),
    "upper lid": (37, (10, 4), (0.0, -1.0), (1, 3), ("palpebral_fissure", "mrd1")),
}
Row = tuple[str, str, float, float, float, bool]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("portraits", nargs="+", help="folders or files")
    parser.add_argument("--limit", type=int, default=40, help="pictures of each folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reader = FaceReader(threads=1)
    files = [path for folder in options.portraits for path in picture_files([folder])[: options.limit]]
    rows = [
        row for k, path in enumerate(files) for row in _rows(path, reader, np.random.default_rng([options.seed, k]))
    ]
    print(f"{len(files)} portraits\n| warp | measure | n | true change | found | r | corrected | in the 90 % range |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for warp, about in WARPS.items():
        for name in about[-1]:
            some = np.array([row[2:] for row in rows if row[:2] == (warp, name)], float)
            true, read, corrected, inside = some.T
            share, after = (float(v @ true / (true @ true)) for v in (read, corrected))
            print(f"| {warp} | `{name}` | {len(some)} | {np.abs(true).mean():.1f} | {share:.2f} | "
                  f"{np.corrcoef(true, read)[0, 1]:.2f} | {after:.2f} | {100 * inside.mean():.0f} % |")  # fmt: skip


def _rows(path: Path, reader: FaceReader, rng: np.random.Generator) -> Iterator[Row]:
    """warp, measure, change in truth, as read, corrected, whether the truth is in the range of the corrected change."""
    pixels = load_image(path).pixels
    errors = reader.errors(mirrored=True)
    try:
        first = examine_picture(pixels, reader, errors=errors)
    except MienError:
        return
    for warp, (point, reach, direction, sizes, names) in WARPS.items():
        left, size = bool(rng.random() < 0.5), float(rng.uniform(*sizes))
        field = _Field(first.measured, point, reach, np.array(direction) * size, left)
        try:
            second = examine_picture(field.warped(pixels), reader, errors=errors)
        except MienError:
            continue
        yield from _compared(warp, names, first, second, _displaced(first, field))


def _compared(
    warp: str, names: tuple[str, ...], first: Examination, second: Examination, true: FaceMeasures
) -> Iterator[Row]:
    for name in names:
        before, after = first.measured[name], second.measured[name]
        change = true[name].difference.value - before.difference.value
        found = change_of("", before, after)
        assert found is not None
        inside = abs(found.value - change) <= found.detectable_90
        yield warp, name, change, after.difference.value - before.difference.value, found.value, inside


def _displaced(photo: Examination, field: "_Field") -> FaceMeasures:
    face = photo.measured.face
    moved = np.asarray(face.landmarks_px, float)
    return analyse(replace(face, landmarks_px=moved + field.at(moved)), method=Method(draws=0))


class _Field:
    """A smooth displacement of one part of one side, pixels: a Gaussian in the face's own axes."""

    def __init__(
        self, measured: FaceMeasures, point: int, reach_mm: tuple[float, float], by_mm: np.ndarray, left: bool
    ) -> None:
        ratio = measured.frame.mm_per_px
        axes = measured.frame.axes[:2, :2] * (1, -1)  # rows: to the person's left and up, in picture pixels
        self._axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
        side = 1 if left else -1
        self._by = (by_mm * (side, 1)) @ self._axes / ratio
        self._reach = np.array(reach_mm) / ratio
        index = int(SCHEME_68.mirror[point]) if left else point
        self._centre = np.asarray(measured.face.landmarks_px, float)[index]

    def at(self, places: np.ndarray) -> np.ndarray:
        """Displacement of what stands there, [*n, 2]."""
        away = (places - self._centre) @ self._axes.T / self._reach
        return np.exp(-0.5 * (away**2).sum(-1))[..., None] * self._by

    def warped(self, pixels: np.ndarray) -> np.ndarray:
        """Each pixel comes from where the displacement leads to it: the inverse by fixed-point steps."""
        height, width = pixels.shape[:2]
        grid = np.stack(np.meshgrid(np.arange(width), np.arange(height)), axis=-1).astype(float)
        source = grid.copy()
        for _ in range(12):
            source = grid - self.at(source)
        x, y = np.moveaxis(source.astype(np.float32), -1, 0)
        return cv2.remap(pixels, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


if __name__ == "__main__":
    main()
