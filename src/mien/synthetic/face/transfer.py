"""What our own face knows and a scanned one does not: where its hair, ears, lips and brows are, and how it droops.

Our template is bent onto the scan by the 68 landmarks; what our vertices know goes to the scan's nearest ones.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from mien.synthetic.face.action_units import SAGS
from mien.synthetic.face.model import FaceModel, face_model

REGIONS = ("scalp", "ears", "lips", "neck", "brow_L", "brow_R")
_AT_A_TIME = 1024
_BLUR = 0.0025  # metres over which a droop is averaged


def with_places(model: FaceModel) -> FaceModel:
    """The model with our regions, and with the droops (see action_units.py) that it has not."""
    own = face_model()
    known = np.unique(np.concatenate([own.regions["skin"], own.regions["ears"]]))
    bent = _bent(own, model)[known]
    lacking = [f"{sag}_{side}" for sag in SAGS for side in "LR" if f"{sag}_{side}" not in model.expression_names]
    columns = [own.expression_names.index(name) for name in lacking]
    nearest = _nearest(model.template, bent)
    droops = _drooping(model.template, nearest, bent, own.expression[columns][:, known])
    inside = {name: np.isin(known, own.regions[name]) for name in REGIONS}
    regions = {name: np.flatnonzero(share[nearest]) for name, share in inside.items()}
    return replace(
        model,
        regions=regions | model.regions,
        expression=np.concatenate([model.expression, droops]).astype(np.float32),
        expression_names=(*model.expression_names, *lacking),
    )


def _bent(own: FaceModel, model: FaceModel) -> Float[np.ndarray, "vertices 3"]:
    """Our template with its 68 landmarks on the other model's: an affine map and a bending of kernel |distance|."""
    ours, theirs = (face.landmarks(face.template[None])[0].astype(np.float64) for face in (own, model))

    def rows(points: np.ndarray) -> np.ndarray:
        away = np.linalg.norm(points[:, None] - ours[None], axis=-1)
        return np.concatenate([away, np.ones((len(points), 1)), points], 1)

    affine = rows(ours)[:, 68:]
    system = np.block([[rows(ours)[:, :68] + 1e-3 * np.eye(68), affine], [affine.T, np.zeros((4, 4))]])
    weights = np.linalg.lstsq(system, np.concatenate([theirs - ours, np.zeros((4, 3))]), rcond=None)[0]
    return np.asarray(own.template + rows(own.template.astype(np.float64)) @ weights)


def _nearest(places: Float[np.ndarray, "n 3"], known: Float[np.ndarray, "m 3"]) -> Int[np.ndarray, " n"]:
    """The nearest known vertex of each place."""
    turned, lengths = known.T.astype(np.float32), (known**2).sum(1).astype(np.float32)
    chunks = [places[start : start + _AT_A_TIME] for start in range(0, len(places), _AT_A_TIME)]
    return np.concatenate([(lengths - 2 * chunk @ turned).argmin(1) for chunk in chunks])


def _carried(
    places: Float[np.ndarray, "n 3"], known: Float[np.ndarray, "m 3"], modes: Float[np.ndarray, "modes m 3"]
) -> Float[np.ndarray, "modes n 3"]:
    """The modes at these places, averaged over known vertices about as near as the nearest."""
    away = ((places[:, None] - known[None].astype(np.float32)) ** 2).sum(-1)
    share = np.exp((away.min(1, keepdims=True) - away) / np.float32(2 * _BLUR**2))
    share /= share.sum(1, keepdims=True)
    flat = modes.transpose(1, 0, 2).reshape(len(known), -1).astype(np.float32)
    return (share @ flat).reshape(len(places), len(modes), 3).transpose(1, 0, 2)


def _drooping(
    places: np.ndarray, nearest: np.ndarray, bent: np.ndarray, modes: np.ndarray
) -> Float[np.ndarray, "modes vertices 3"]:
    """Our droops on the scan, nothing where ours move less than a hundredth of a millimetre."""
    carried = np.zeros((len(modes), len(places), 3), np.float32)
    moving = (np.abs(modes) > 1e-5).any((0, 2)) if len(modes) else np.zeros(len(bent), bool)
    reached = np.flatnonzero(moving[nearest])
    front = np.flatnonzero(bent[:, 2] > bent[moving, 2].min(initial=0.0) - 0.01)
    for start in range(0, len(reached), _AT_A_TIME):
        chunk = reached[start : start + _AT_A_TIME]
        carried[:, chunk] = _carried(places[chunk], bent[front], modes[:, front])
    return carried
