"""Points drawn on a face: lines along brows, eyes, nose, mouth and jaw, a dot for each point, finer than a pixel.

Lines and dots grow with the face, not with the picture, and fade on small faces, so that the face stays visible. A
point that the model calls hidden is a ring.
"""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from mien.core.landmarks import LINES_68
from mien.core.records import FacePoints

LINE, DOT, SHADOW = (255, 255, 255), (64, 240, 200), (16, 24, 32)
_LINE_OPACITY, _SHADOW_OPACITY = 0.75, 0.35
_SHIFT = 4  # coordinates in sixteenths of a pixel
_DOTS_FROM = 100  # pixels of face below which dots would cover what they mark: lines alone, fainter the smaller
_LINES_FROM = 44  # below which lines would cover it too: single pixels alone
_SMALL_OPACITY = 0.6

Pixels = UInt8[np.ndarray, "height width 3"]


def draw_faces(pixels: Pixels, faces: Sequence[FacePoints]) -> None:
    """Draws all faces in place; where there are several, each gets its number, that of the table and the files."""
    for face in faces:
        draw_points(pixels, face)
    for number, face in enumerate(faces if len(faces) > 1 else ()):
        _number(pixels, face, number)


def _number(pixels: Pixels, face: FacePoints, number: int) -> None:
    """On a plate above the forehead, as high as a seventh of the face, 11 pixels at least."""
    low, high = face.landmarks_px.min(0), face.landmarks_px.max(0)
    if not np.isfinite([low, high]).all():
        return
    font = ImageFont.load_default(max(11.0, float((high - low).max()) / 7))
    assert isinstance(font, ImageFont.FreeTypeFont)
    image = Image.new("RGB", _plate_size(font, str(number)), SHADOW)
    ImageDraw.Draw(image).text((font.size * 0.3, 0), str(number), fill=LINE, font=font)
    height, width = pixels.shape[:2]
    left = int(np.clip((low[0] + high[0]) / 2 - image.width / 2, 0, max(0, width - image.width)))
    top = int(np.clip(low[1] - image.height * 1.4, 0, max(0, height - image.height)))
    plate = np.asarray(image)[: height - top, : width - left]
    pixels[top : top + plate.shape[0], left : left + plate.shape[1]] = plate


def _plate_size(font: Any, text: str) -> tuple[int, int]:
    ascent, descent = font.getmetrics()
    return round(font.getlength(text) + 0.6 * font.size), ascent + descent


def draw_points(pixels: Pixels, face: FacePoints) -> None:
    """Draws in place. 68 points get their lines; other schemes dots alone."""
    points = face.landmarks_px.astype(np.float64)
    if not np.isfinite(points).all():
        return
    height, width = pixels.shape[:2]
    side = float(np.ptp(points, axis=0).max())
    pad = side * 0.05 + 3
    low = np.clip(np.floor(points.min(0) - pad), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(points.max(0) + pad), 0, [width, height]).astype(int)
    if (high <= low).any():
        return
    region = pixels[low[1] : high[1], low[0] : high[0]]
    points = points - low
    thick = max(1, round(side / 260))
    if side < _LINES_FROM:
        _pixels(region, points)
        return
    if len(points) == 68 and side >= _DOTS_FROM:
        _lines(region, points, SHADOW, thick + max(1, round(side / 200)), _SHADOW_OPACITY)
        _lines(region, points, LINE, thick, _LINE_OPACITY)
    elif len(points) == 68:
        _lines(region, points, LINE, thick, _LINE_OPACITY * side / _DOTS_FROM)
    if side >= _DOTS_FROM or len(points) != 68:
        hidden = np.zeros(len(points), bool) if face.visible is None else face.visible < 0.5
        _dots(region, points, hidden, side)


def _pixels(region: Pixels, points: np.ndarray) -> None:
    """A faint pixel for each point."""
    height, width = region.shape[:2]
    layer = np.zeros((height, width), np.uint8)
    x, y = (np.rint(points[:, axis]).astype(int) for axis in (0, 1))
    inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
    layer[y[inside], x[inside]] = 255
    _lay(region, layer, DOT, _SMALL_OPACITY)


def _lines(region: Pixels, points: np.ndarray, colour: tuple[int, int, int], thick: int, opacity: float) -> None:
    """All lines at once, so that where they meet they are no denser."""
    layer = np.zeros(region.shape[:2], np.uint8)
    fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
    for indices, closed in LINES_68:
        cv2.polylines(layer, [fixed[list(indices)]], closed, 255, thick, cv2.LINE_AA, _SHIFT)
    _lay(region, layer, colour, opacity)


def _dots(region: Pixels, points: np.ndarray, hidden: np.ndarray, side: float) -> None:
    radius = max(1.1, side / 130)
    rim, dots = np.zeros(region.shape[:2], np.float32), np.zeros(region.shape[:2], np.float32)
    for point, away in zip(points, hidden.tolist(), strict=True):
        _disc(rim, point, radius * 1.45)
        _disc(dots, point, radius, hole=radius * 0.55 if away else 0.0)
    _lay(region, 255 * rim, SHADOW, 0.55)
    _lay(region, 255 * dots, DOT, 1.0)


def _disc(layer: np.ndarray, centre: np.ndarray, radius: float, *, hole: float = 0.0) -> None:
    """Adds how much of each pixel a disc covers; cv2.circle makes lozenges of discs of a few pixels."""
    height, width = layer.shape
    low = np.clip(np.floor(centre - radius - 1), 0, [width, height]).astype(int)
    high = np.clip(np.ceil(centre + radius + 2), 0, [width, height]).astype(int)
    patch = layer[low[1] : high[1], low[0] : high[0]]
    y, x = np.ogrid[low[1] : high[1], low[0] : high[0]]
    away = np.hypot(x - centre[0], y - centre[1])
    cover = np.clip(radius + 0.5 - away, 0, 1)
    np.maximum(patch, cover - np.clip(hole + 0.5 - away, 0, 1) if hole else cover, out=patch)


def _lay(region: Pixels, layer: np.ndarray, colour: tuple[int, int, int], opacity: float) -> None:
    share = (layer[..., None] * np.float32(opacity / 255)).astype(np.float32)
    region[:] = np.round(region * (1 - share) + np.array(colour, np.float32) * share).astype(np.uint8)
