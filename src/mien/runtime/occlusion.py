"""Which parts of a face move a network's probability: parts are hidden one by one, and the drop is measured.

Zeiler and Fergus, Visualizing and Understanding Convolutional Networks, ECCV 2014, section 4.2; no gradient is needed,
so exported networks will do. A hidden part is filled with the blurred face (its brightness stays, its detail goes) or
with the mean colour, with soft edges, because hard ones are a pattern of their own. The result depends on that filling
and on the size of the parts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68

Crop = UInt8[np.ndarray, "size size 3"]
Mask = Float[np.ndarray, "size size"]
Fill = Literal["blur", "mean"]
Read = Callable[[Sequence[np.ndarray]], Sequence[float]]
BATCH = 64  # occluded faces that are computed at once
REGIONS = {
    "brows": ("right_brow", "left_brow"),
    "eyes": ("right_eye", "left_eye"),
    "nose": ("nose",),
    "mouth": ("mouth",),
}  # parts of a face: regions of the scheme of 68 points


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What hiding parts of one face does to one probability."""

    base: float
    """Of the whole face."""
    least: float
    """With the part hidden that matters most."""
    place: tuple[float, float]
    """Middle of that part, x and y in pixels of the crop."""
    drop: Mask
    """At each pixel: the mean drop of the probability over the parts that hide it; below 0 where hiding raises it."""
    parts: int
    """Hidden one after another."""


def occlusion(crop: Crop, read: Read, *, part: float = 0.2, fill: Fill = "blur") -> Occlusion:
    """Hides square parts all over the face.

    read: probabilities of the class, of crops. part: side of a part as a share of the crop's. Deterministic. Raises
    MienError for a part that is no part.
    """
    if not 0.02 <= part <= 0.9:
        raise MienError(f"A part's side is 0.02 to 0.9 of the crop's; got {part:g}.")
    size = crop.shape[0]
    side = max(1, round(part * size))
    starts = np.unique(np.linspace(0, size - side, max(2, round(2 * (size - side) / side) + 1)).round().astype(int))
    places = [(int(x), int(y)) for y in starts for x in starts]
    masks = [_square(size, x, y, side) for x, y in places]
    base, drops = _drops(crop, read, masks, fill)
    weight = np.sum(masks, axis=0)
    spread = np.tensordot(drops, np.stack(masks), axes=1) / np.maximum(weight, 1e-6)
    most = int(np.argmax(drops))
    middle = (side - 1) / 2
    place = (places[most][0] + middle, places[most][1] + middle)
    return Occlusion(base, base - float(drops[most]), place, spread.astype(np.float32), len(places))


def region_drops(
    crop: Crop, read: Read, landmarks: Float[np.ndarray, "68 2"], *, fill: Fill = "blur"
) -> Mapping[str, float]:
    """The drop of the probability with brows, eyes, nose and mouth hidden. landmarks: in crop pixels."""
    masks = region_masks(crop.shape[0], landmarks)
    _, drops = _drops(crop, read, list(masks.values()), fill)
    return dict(zip(masks, drops.tolist(), strict=True))


def region_masks(size: int, landmarks: Float[np.ndarray, "68 2"]) -> dict[str, Mask]:
    """Where brows, eyes, nose and mouth are in a crop: 1 inside, 0 outside, with soft edges."""
    return {name: _hull(size, landmarks, names) for name, names in REGIONS.items()}


def hidden(crop: Crop, mask: Mask, fill: Fill) -> Crop:
    """The face with the mask's part (1) filled."""
    filling = np.full(crop.shape, crop.reshape(-1, 3).mean(0), np.float32)
    if fill == "blur":
        sigma = crop.shape[0] / 6
        blurred = cv2.GaussianBlur(crop.astype(np.float32), (0, 0), sigma, borderType=cv2.BORDER_REPLICATE)
        filling = np.asarray(blurred, np.float32)
    mixed = crop + mask[..., None] * (filling - crop)
    return np.round(mixed).clip(0, 255).astype(np.uint8)


def _drops(crop: Crop, read: Read, masks: Sequence[np.ndarray], fill: Fill) -> tuple[float, np.ndarray]:
    """The probability of the whole face, and its drop for each mask."""
    base = float(read([crop])[0])
    found: list[float] = []
    for start in range(0, len(masks), BATCH):
        found += [float(share) for share in read([hidden(crop, mask, fill) for mask in masks[start : start + BATCH]])]
    return base, base - np.array(found)


def _square(size: int, x: int, y: int, side: int) -> Mask:
    mask = np.zeros((size, size), np.float32)
    mask[y : y + side, x : x + side] = 1
    return _soft(mask, side / 8)


def _hull(size: int, landmarks: np.ndarray, names: Sequence[str]) -> Mask:
    """The regions' convex hulls, each wider by a twentieth of the crop."""
    mask = np.zeros((size, size), np.uint8)
    for name in names:
        points = landmarks[list(SCHEME_68.regions[name])]
        cv2.fillConvexPoly(mask, cv2.convexHull(points.round().astype(np.int32)), 1)
    wide = 2 * max(1, round(size / 20)) + 1
    return _soft(cv2.dilate(mask, np.ones((wide, wide), np.uint8)).astype(np.float32), size / 60)


def _soft(mask: np.ndarray, sigma: float) -> Mask:
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE) if sigma > 0.3 else mask)
