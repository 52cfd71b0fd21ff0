"""Shot: one picture of a recording, as every style of synthetic faces gives it."""

from typing import NamedTuple

from jaxtyping import Float, UInt8
from numpy import ndarray


class Shot(NamedTuple):
    """One picture with its truth."""

    pixels: UInt8[ndarray, "size size 3"]
    """RGB."""
    landmarks_px: Float[ndarray, "68 2"]
    valence: float | None = None
    """-1..1, where the style knows it."""
    arousal: float | None = None
    """-1..1, where the style knows it."""
