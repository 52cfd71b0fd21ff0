"""Boxes of MTCNN: regression, squares, suppression, crops. Edges x0, y0, x1, y1: the pixel i lies from i to i + 1."""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int, UInt8
from PIL import Image

from mien.core.geometry import non_maximum_suppression

Boxes = Float[np.ndarray, "boxes 4"]
_MOST_SIDES = 4  # of the picture's longer side that a square may have: far more than any face needs


def regressed(boxes: Boxes, offsets: Boxes) -> Boxes:
    """Each edge moved by so many widths (x) or heights (y) of its box."""
    return boxes + offsets * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def squares(boxes: Boxes) -> Boxes:
    """With the longer side and the same middle, at whole pixels."""
    sides = boxes[:, 2:] - boxes[:, :2]
    longer = sides.max(1, keepdims=True)
    low = boxes[:, :2] + (sides - longer) / 2
    return np.round(np.concatenate([low, low + longer], axis=1))


def within(boxes: Boxes, height: int, width: int) -> Boxes:
    """Cut at the edges of the picture."""
    return boxes.clip(0, [width, height, width, height])


def visible(boxes: Boxes, height: int, width: int) -> np.ndarray:
    """Whether each square shows a pixel of the picture, and is not beyond any reason (untrained networks)."""
    shown = within(boxes, height, width)
    sides = boxes[:, 2] - boxes[:, 0]
    return (shown[:, 2:] - shown[:, :2] >= 1).all(1) & (sides <= _MOST_SIDES * max(height, width))


def kept(
    boxes: Boxes, scores: Float[np.ndarray, " boxes"], *, most: float, over: Literal["union", "smaller"] = "union"
) -> Int[np.ndarray, " kept"]:
    """`non_maximum_suppression` in which, as in pSp's code, the last of equal scores is the best: many round to 1."""
    places = non_maximum_suppression(boxes[::-1], scores[::-1], most=most, over=over)
    return len(boxes) - 1 - np.array(places, int)


def cut_out(
    pixels: UInt8[np.ndarray, "height width 3"], boxes: Boxes, size: int
) -> Float[np.ndarray, "boxes 3 size size"]:
    """Whole-pixel boxes at a side of `size`, for the networks; black outside of the picture. Each must be `visible`."""
    found = np.empty((len(boxes), 3, size, size), np.float32)
    for place, (x0, y0, x1, y1) in enumerate(boxes.astype(int).tolist()):
        box = np.zeros((y1 - y0, x1 - x0, 3), np.uint8)
        part = pixels[max(y0, 0) : y1, max(x0, 0) : x1]
        top, left = max(-y0, 0), max(-x0, 0)
        box[top : top + part.shape[0], left : left + part.shape[1]] = part
        found[place] = scaled(box, (size, size))
    return found


def scaled(pixels: UInt8[np.ndarray, "height width 3"], size: tuple[int, int]) -> Float[np.ndarray, "3 h w"]:
    """At (width, height) by a triangle filter, as Pillow has it; -1 to 1."""
    smaller = Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)
    return ((np.asarray(smaller, np.float32) - 127.5) / 128).transpose(2, 0, 1)
