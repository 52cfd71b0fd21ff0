"""What each action unit does to the face: displacements at weight 1, inter-ocular units."""

import numpy as np

from mien.data.synthetic.face_places import Places


def action_unit_modes(places: Places) -> tuple[tuple[str, ...], np.ndarray]:
    """Names [E] and displacements [E, vertices, 3]."""
    names = ("AU26", "AU27", "AU43_L", "AU43_R", "AU45_L", "AU45_R")
    return names, np.zeros((len(names), *places.points.shape))
