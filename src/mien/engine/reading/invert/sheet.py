"""Faces side by side, on a page and on a sheet."""

from collections.abc import Sequence

import numpy as np
from markupsafe import Markup
from PIL import Image

from mien.report import parts

LEAST_SHOWN = 160  # pixels of a face


def gallery(pictures: Sequence[tuple[str, np.ndarray]], *, of: str) -> Markup:
    """(caption of one line or several, uint8 [side, side, 3]) each; of: whom they show, for screen readers."""
    return parts.gallery([(_shown(pixels, f"{of}, {caption}"), caption) for caption, pixels in pictures])


def _shown(pixels: np.ndarray, alt: str) -> Markup:
    """For screens of twice the page's density."""
    return parts.photo(Image.fromarray(enlarged(pixels, 2 * LEAST_SHOWN)), alt=alt.replace("\n", ", "), quality=90)


def enlarged(pixels: np.ndarray, least: int = LEAST_SHOWN) -> np.ndarray:
    """A small picture a whole number of times as large, so that a browser does not blur it further."""
    factor = max(1, -(-least // pixels.shape[0]))
    if factor == 1:
        return pixels
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width * factor, image.height * factor), Image.Resampling.BICUBIC))
