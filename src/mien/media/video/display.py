"""Frames as players show them: upright, not mirrored, with square pixels."""

from typing import Any

import cv2
import numpy as np

Matrix = tuple[int, int, int, int]
MOST_SQUEEZED = 4.0  # sides of a pixel: anamorphic video has 2, wide-screen DVDs 1.42


def display_matrix(frame: Any) -> Matrix:
    """(a, b, c, d) of the frame: source (x, y) is shown at (a x + c y, b x + d y), up to scale and shift."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def transposes(matrix: Matrix) -> bool:
    """Whether it exchanges width and height: a quarter turn, with a mirror image or without."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def upright(pixels: np.ndarray, matrix: Matrix) -> np.ndarray:
    """As the display matrix asks, in quarter turns and mirror images."""
    a, b, c, d = matrix
    if transposes(matrix):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def square(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """With square pixels: enlarged along the side that is stored squeezed."""
    height, width = pixels.shape[:2]
    size = square_size(width, height, aspect)
    return pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """(width, height) for pixels that are `aspect` times as wide as high; ratios that no camera has are ignored."""
    if not 1 / MOST_SQUEEZED <= aspect <= MOST_SQUEEZED:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
