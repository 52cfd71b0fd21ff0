"""Makes preprocessing.npz beside it: what Pillow's bilinear resize makes of a drawn picture.

Kept in a file so that a change in our crop or in Pillow is noticed, whichever it is.
"""

from pathlib import Path

import numpy as np
from PIL import Image

FILE = Path(__file__).with_suffix(".npz")
# Box in edge coordinates of a 200 x 150 picture, and the side of the crop.
CASES = (
    ((0, 0, 200, 150), 128), ((0, 0, 200, 150), 96), ((0, 0, 200, 150), 48), ((20, 10, 116, 106), 48),
    ((31.25, 17.5, 97.75, 84), 56), ((60.5, 30.25, 110.5, 80.25), 112), ((10.3, 8.7, 140.1, 138.5), 40),
    ((3.9, 2.2, 143.9, 142.2), 16),
)  # fmt: skip


def picture() -> np.ndarray:
    """Waves of many lengths, a disc with a hard edge: uint8 [150, 200, 3]."""
    y, x = np.mgrid[0:150, 0:200] / 150.0
    waves = [128 + 70 * np.sin((5 + 9 * c) * x + 7 * c * y**2) * np.cos((14 - 4 * c) * y) for c in range(3)]
    pixels = np.stack(waves, -1)
    pixels[(x - 0.6) ** 2 + (y - 0.5) ** 2 < 0.05] += 50
    return np.clip(pixels, 0, 255).astype(np.uint8)


def main() -> None:
    image = Image.fromarray(picture())
    crops = {
        f"crop{i}": np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
        for i, (box, size) in enumerate(CASES)
    }
    np.savez_compressed(FILE, picture=picture(), **crops)


if __name__ == "__main__":
    main()
