"""A face with its midline and the lines that were measured: the person's right in one colour, the left in another."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFont

from mien.core.landmarks import SCHEME_68
from mien.runtime.asymmetry.frame import Method
from mien.runtime.asymmetry.measures import brow_at, eye_middle, lids_at, lip_crossing, mirrored
from mien.runtime.asymmetry.static import FaceMeasures, analyse

# Told apart by colour-blind readers and in grey print (Okabe and Ito); as series-1 and series-2 of reports.
RIGHT, LEFT, MIDDLE = (0, 114, 178), (213, 94, 0), (255, 255, 255)
_OUTLINES = (range(17, 22), (36, 37, 38, 39, 40, 41, 36), (48, 49, 50, 51), (48, 59, 58, 57), range(0, 9))
Lines = list[Float[np.ndarray, "_ 2"]]  # as many points as each needs


def draw_measures(
    pixels: UInt8[np.ndarray, "height width 3"], measured: FaceMeasures, *, side: int = 900
) -> UInt8[np.ndarray, "side side 3"]:
    """The face cut out and brought to side x side, with midline, eye line, points' outlines and measured lines.

    The person's right is at the left of a picture that is not mirrored, and marked R.
    """
    shown, crop = _cut_out(pixels, measured, side)
    canvas = ImageDraw.Draw(shown)
    thin, thick = max(2, side // 300), max(3, side // 180)
    for lines, colour in zip(_outlines(measured), (RIGHT, LEFT), strict=True):
        for line in lines:
            _stroke(canvas, crop(line), colour, thin)
    _stroke(canvas, crop(midline_px(measured)), MIDDLE, thin, casing=True)
    for lines, colour in zip(measured_lines_px(measured), (RIGHT, LEFT), strict=True):
        for line in lines:
            _stroke(canvas, crop(line), colour, thick, casing=True)
    _stroke(canvas, crop(_eye_line_px(measured)), MIDDLE, thin, casing=True)
    _letters(canvas, side)
    return np.asarray(shown)


def midline_px(measured: FaceMeasures) -> Float[np.ndarray, "points 2"]:
    """From above the brows to below the chin, pixels of the picture: straight in 2D; with depth it lies on the face, so
    that it bends over the nose where the head is turned."""
    points = measured.points_mm
    y = np.array([points[[19, 24], 1].mean() + 12, *points[[27, 28, 29, 30, 33, 51, 57, 8], 1]])
    y = np.append(y, y[-1] - 6)
    if points.shape[1] == 2:
        return measured.frame.to_picture(np.stack([np.zeros_like(y), y], axis=1))
    z = points[[27, 27, 28, 29, 30, 33, 51, 57, 8, 8], 2]
    return measured.frame.to_picture(np.stack([np.zeros_like(y), y, z], axis=1))


def measured_lines_px(measured: FaceMeasures) -> tuple[Lines, Lines]:
    """Lines of the right and of the left side: brow height, fissure, commissure excursion, inner canthus to commissure.

    In the plane of the picture: where a head turn was taken out, its measures are those of the turned-back face and the
    lines only show what was measured.
    """
    method = Method(measured.frame.scale, measured.frame.line, frontal=False, draws=0)
    flat = analyse(measured.face, method=method)
    points = flat.points_mm
    return _side_lines(points, flat, 1), _side_lines(mirrored(points), flat, -1)


def _side_lines(points: Float[np.ndarray, "68 2"], flat: FaceMeasures, sign: int) -> Lines:
    x, y = map(np.asarray, eye_middle(points))
    upper, lower = lids_at(points, x)
    beside = x - 2.5  # two lines that would lie on each other
    lines = [
        [[beside, y], [beside, brow_at(points, np.asarray(beside))]],
        [[x, lower], [x, upper]],
        [lip_crossing(points), points[48]],
        [points[39], points[48]],
    ]
    return [flat.frame.to_picture(np.asarray(line) * (sign, 1)) for line in lines]


def _outlines(measured: FaceMeasures) -> tuple[Lines, Lines]:
    points = np.asarray(measured.face.landmarks_px, float)
    right = [points[list(indices)] for indices in _OUTLINES]
    left = [points[SCHEME_68.mirror[list(indices)]] for indices in _OUTLINES]
    return right, left


def _eye_line_px(measured: FaceMeasures) -> Float[np.ndarray, "2 2"]:
    points = np.asarray(measured.face.landmarks_px, float)
    right, left = points[[36, 39]].mean(0), points[[42, 45]].mean(0)
    return np.stack([right - 0.35 * (left - right), left + 0.35 * (left - right)])


def _cut_out(
    pixels: np.ndarray, measured: FaceMeasures, side: int
) -> tuple[Image.Image, Callable[[np.ndarray], np.ndarray]]:
    """The picture around the face, and the map from its pixels to those of the cut."""
    points = np.asarray(measured.face.landmarks_px, float)
    low, high = points.min(0), points.max(0)
    middle = (low + high) / 2 - (0, 0.06 * (high - low)[1])
    half = 0.68 * float((high - low).max())
    factor = side / (2 * half)
    x0, y0 = middle - half
    image = Image.fromarray(pixels).transform(
        (side, side), Image.Transform.AFFINE,
        (1 / factor, 0, x0 + 0.5 - 0.5 / factor, 0, 1 / factor, y0 + 0.5 - 0.5 / factor),
        Image.Resampling.BICUBIC, fillcolor="#ffffff",
    )  # fmt: skip
    return image, lambda line: (np.asarray(line) - (x0, y0)) * factor


def _stroke(
    canvas: ImageDraw.ImageDraw, line: np.ndarray, colour: tuple[int, int, int], width: int, *, casing: bool = False
) -> None:
    """casing: a dark edge, so that the line is seen on light skin and on dark."""
    points = [tuple(point) for point in line.tolist()]
    if casing:
        canvas.line(points, fill=(20, 20, 20), width=width + 2, joint="curve")
    canvas.line(points, fill=colour, width=width, joint="curve")


def _letters(canvas: ImageDraw.ImageDraw, side: int) -> None:
    font = ImageFont.load_default(side / 20)
    for text, colour, x, anchor in (("R", RIGHT, 0.03, "lt"), ("L", LEFT, 0.97, "rt")):
        canvas.text((x * side, 0.03 * side), text, fill=colour, font=font, anchor=anchor, stroke_width=3,
                    stroke_fill="white")  # fmt: skip
