"""Identity modes: what differs between people. Displacements for one standard deviation, inter-ocular units."""

import numpy as np

from mien.data.synthetic.face_places import Places


def identity_modes(places: Places) -> tuple[tuple[str, ...], np.ndarray]:
    """Names [K] and displacements [K, vertices, 3]."""
    return ("size",), 0.056 * places.points[None]
