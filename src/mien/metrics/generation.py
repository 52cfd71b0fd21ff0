"""How far generated pictures are from real ones, as sets: the sliced Wasserstein distance of their patches.

Karras et al., Progressive Growing of GANs, ICLR 2018, section 5: patches of 7 x 7 pixels from every level of a
Laplacian pyramid, normalised by channel, compared by the Wasserstein distance of their projections onto random
directions. It needs no trained network; a level's distance tells structure of that size apart.
"""

from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError

PATCH, LEAST_SIDE = 7, 16
FACTOR = 1e3  # in which the distance is stated


def sliced_wasserstein(
    generated: UInt8[np.ndarray, "n height width 3"],
    real: UInt8[np.ndarray, "m height width 3"],
    *,
    patches: int = 64,
    directions: int = 128,
    seed: int = 0,
) -> dict[int, float]:
    """{side of the level: distance x 1000}, from the finest level to 16 pixels; 0 for equal sets, lower is better.

    patches: of each picture and level. The same seed takes the same places and directions. Where the sets differ in
    size, the quantiles of the smaller one are compared. Raises MienError for sets that have no level in common.
    """
    if generated.shape[1:] != real.shape[1:] or not (len(generated) and len(real)):
        raise MienError(f"Two sets of pictures of one size are compared; got {generated.shape} and {real.shape}.")
    if min(real.shape[1:3]) < LEAST_SIDE:
        raise MienError(f"Patches of {PATCH} pixels are compared in pictures of 16 pixels or more; got {real.shape}.")
    levels = [laplacian_levels(pictures) for pictures in (generated, real)]
    found: dict[int, float] = {}
    for first, second in zip(*levels, strict=True):
        places = [np.random.default_rng([seed, first.shape[1]]) for _ in range(2)]  # the same of both sets
        ours = _normalised(_patches(first, patches, places[0]))
        theirs = _normalised(_patches(second, patches, places[1]))
        found[first.shape[1]] = FACTOR * _distance(ours, theirs, directions, places[0])
    return found


def laplacian_levels(pictures: UInt8[np.ndarray, "n height width 3"]) -> list[np.ndarray]:
    """float32 [n, side, side, 3] each: differences from the picture enlarged from half its size, then the smallest."""
    gaussian = [pictures.astype(np.float32)]
    while min(gaussian[-1].shape[1:3]) >= 2 * LEAST_SIDE:
        gaussian.append(np.stack([cv2.pyrDown(picture) for picture in gaussian[-1]]))
    bands = [
        fine - np.stack([cv2.pyrUp(picture, dstsize=(fine.shape[2], fine.shape[1])) for picture in coarse])
        for fine, coarse in pairwise(gaussian)
    ]
    return [*bands, gaussian[-1]]


def _patches(level: np.ndarray, count: int, rng: np.random.Generator) -> Float[np.ndarray, "patches 3 49"]:
    number, height, width = level.shape[:3]
    picture = np.repeat(np.arange(number), count)
    top = rng.integers(0, height - PATCH + 1, len(picture))
    left = rng.integers(0, width - PATCH + 1, len(picture))
    rows = top[:, None, None] + np.arange(PATCH)[None, :, None]
    columns = left[:, None, None] + np.arange(PATCH)[None, None, :]
    return level[picture[:, None, None], rows, columns].reshape(len(picture), -1, 3).transpose(0, 2, 1)


def _normalised(patches: np.ndarray) -> Float[np.ndarray, "patches values"]:
    """Mean 0 and deviation 1 of each channel over the set."""
    mean, deviation = patches.mean((0, 2), keepdims=True), patches.std((0, 2), keepdims=True)
    return ((patches - mean) / np.maximum(deviation, 1e-6)).reshape(len(patches), -1)


def _distance(ours: np.ndarray, theirs: np.ndarray, directions: int, rng: np.random.Generator) -> float:
    """Mean over directions of the mean distance of equal quantiles."""
    random = rng.normal(size=(ours.shape[1], directions)).astype(np.float32)
    random /= np.linalg.norm(random, axis=0)
    first, second = np.sort(ours @ random, axis=0), np.sort(theirs @ random, axis=0)
    count = min(len(first), len(second))
    first, second = (values[_places(len(values), count)] for values in (first, second))
    return float(np.abs(first - second).mean())


def _places(length: int, count: int) -> np.ndarray:
    """Of `count` quantiles among so many sorted values: the middles of equal shares."""
    return ((np.arange(count) + 0.5) * length / count).astype(int)
