"""A face cut out of a 12-megapixel picture: our way against the published one, as a ratio of one run.

    python benchmarks/parface_crop.py [--repeats 7] [--side 1400]

The published way (rebuilt here from what it does): the whole picture is padded with zeros to three times its width and
height, padded again by what a box beyond even that would need, the box with its margin is cut out and resized to
363 x 363 by cubic interpolation, and the middle 256 x 256 are kept, so that a crop may be turned without empty corners.
Ours maps the 256 x 256 pixels of the crop straight back to the picture. Ways take turns; the shortest time of each
counts. `apart`: mean difference of the two crops on a smooth picture, of 255 (the published frame lies half a pixel of
the crop beside the box that was asked for).
"""

import argparse
import time

import cv2
import numpy as np

from mien.core.geometry import Crop, crop_of_box
from mien.core.spec import PictureInput
from mien.media.crop import prepare

SIZE, PADDED = 256, 363  # 363 = ceil(256 * sqrt(2))
MARGIN = (PADDED - SIZE) // 2


def published(pixels: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    """uint8 [256, 256, 3] of a square box."""
    height, width = pixels.shape[:2]
    x0, y0, x1, y1 = box
    more = ((x1 - x0) * (PADDED / SIZE) - (x1 - x0)) / 2
    left, top, right, bottom = (int(v) for v in (x0 - more, y0 - more, x1 + more, y1 + more))
    padded = np.pad(pixels, ((height, height), (width, width), (0, 0)))
    missing = max(0, -(left + width)), max(0, -(top + height))  # nothing here, but padding by nothing copies it all
    padded = np.pad(padded, ((missing[1], missing[1]), (missing[0], missing[0]), (0, 0)))
    cut = padded[top + height : bottom + height, left + width : right + width]
    resized = cv2.resize(cut, (PADDED, PADDED), interpolation=cv2.INTER_CUBIC)
    return resized[MARGIN : MARGIN + SIZE, MARGIN : MARGIN + SIZE]


def ours(pixels: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    spec = PictureInput(size=SIZE)
    crop: Crop = crop_of_box(box, spec)
    return prepare(pixels, crop, spec)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--side", type=int, default=1400)
    given = parser.parse_args()
    cv2.setNumThreads(1)
    coarse = np.random.default_rng(0).integers(0, 255, (30, 40, 3)).astype(np.uint8)
    pixels = cv2.resize(coarse, (4000, 3000), interpolation=cv2.INTER_CUBIC)
    box = (1300.0, 700.0, 1300.0 + given.side, 700.0 + given.side)
    times: dict[str, list[float]] = {"published": [], "ours": []}
    for _ in range(given.repeats):
        for name, way in (("published", published), ("ours", ours)):
            start = time.perf_counter()
            way(pixels, box)
            times[name].append(1000 * (time.perf_counter() - start))
    a, b = (min(times[name]) for name in ("published", "ours"))
    apart = np.abs(published(pixels, box).astype(int) - ours(pixels, box)).mean()
    print(f"12 megapixels, face of {given.side}: published {a:.1f} ms, ours {b:.2f} ms: {a / b:.0f} times as quick")
    print(f"apart {apart:.2f} of 255 on average")


if __name__ == "__main__":
    main()
