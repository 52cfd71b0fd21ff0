"""The open 3D face: our own face in FLAME's arrangement, with no licensed file.

Shape parameters are the face's identity modes; expression parameters are FACS action units with left and right apart
(weights 0..1), without the lids' closing, which are the two lid parameters, and with the jaw units' skin alone: what
they open is the jaw's rotation. Beside the synthetic people, whose lids slide along the eyeball and whose jaw turns
vertex by vertex, the linear face is off by little (tests/synthetic/face/test_open_face.py says how much).
"""

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from jaxtyping import Float

from mien.core.face3d import JAW, JOINTS, Face3D, mirrored_names
from mien.synthetic.face.build import face_model
from mien.synthetic.face.model import JAW_MOST_RAD, JAW_RAD, LIDS, FaceModel
from mien.synthetic.face.modes import ASYMMETRIES, BENDS

NAME, LICENCE = "open", "part of mien (its own licence); no scan and no licensed model"
ROOT_JOINT, NECK_JOINT = np.array([0.0, -0.12, -0.09]), np.array([0.0, -0.02, -0.075])  # metres
_NECK_Y = (-0.15, -0.185)  # from the first height on down to the second the skin stays with the root
_HIDDEN = ("scalp", "ears", "neck")
_NO_SKIN = ("mouth_inside", "teeth", "eyeball_L", "eyeball_R")


@cache
def open_face() -> Face3D:
    """Built once, about half a second; the same arrays every time: do not write to them."""
    return face3d_of(face_model(), name=NAME, licence=LICENCE)


def face3d_of(model: FaceModel, *, name: str, licence: str) -> Face3D:
    """A face model in FLAME's arrangement. A model without eyeballs, jaw or regions has joints there that move nothing.

    Its lids close by its own AU43.
    """
    kept = _expression_places(model)
    eyes = [model.regions.get(f"eyeball_{side}", np.zeros(0, int)) for side in "LR"]
    closed = [_closed_lid(model, side) for side in "LR"]
    return Face3D(
        name=name, licence=licence, template=model.template, triangles=model.triangles,
        shapes=np.ascontiguousarray(model.identity.transpose(1, 2, 0)),
        expressions=np.ascontiguousarray(model.expression[kept].transpose(1, 2, 0)),
        pose_directions=_jaw_correction(model), joint_regressor=_joint_regressor(model, kept, eyes),
        skinning=_skinning(model, eyes), landmark_triangles=model.landmark_triangles,
        landmark_weights=model.landmark_weights, shown=_shown(model), left_lid=closed[0], right_lid=closed[1],
        lids_before_pose=True, shape_names=model.identity_names,
        expression_names=tuple(model.expression_names[i] for i in kept), regions=tuple(model.regions.items()),
    )  # fmt: skip


def parameters_of(
    units: Mapping[str, float] | Sequence[Mapping[str, float]] | Float[np.ndarray, "n units"],
) -> tuple[Float[np.ndarray, "n expressions"], Float[np.ndarray, "n 3"], Float[np.ndarray, "n 2"]]:
    """Expression, jaw and lids of action units: by name, or weights [n, units] in the order of the synthetic people."""
    model = face_model()
    weights = model.weights(units) if isinstance(units, Mapping) or not isinstance(units, np.ndarray) else units
    column = {name: weights[:, i] for i, name in enumerate(model.expression_names)}
    opened = np.minimum(sum(angle * column[name] for name, angle in JAW_RAD.items()), JAW_MOST_RAD)
    lids = np.stack([np.maximum(*(column[f"{lid}_{side}"] for lid in LIDS)) for side in "LR"], axis=1)
    jaw = np.stack([opened, np.zeros_like(opened), np.zeros_like(opened)], axis=1)
    return tuple(each.astype(np.float32) for each in (weights[:, _expression_places(model)], jaw, lids))  # type: ignore[return-value]


def parameter_row(
    identity: Float[np.ndarray, " shapes"], units: Float[np.ndarray, " units"]
) -> Float[np.ndarray, " parameters"]:
    """Shape, expression, jaw and lids in a row, as samples and batches hold them (`face3d`)."""
    return np.concatenate([identity, *(each[0] for each in parameters_of(units[None]))]).astype(np.float32)


@cache
def mirror() -> tuple[np.ndarray, np.ndarray]:
    """Places and signs that turn (shape, expression, jaw, lids) in a row into those of the mirrored face."""
    face = open_face()
    shapes, expressions = face.shape_count, face.expression_count
    places = np.concatenate([
        np.arange(shapes), shapes + mirrored_names(face.expression_names), shapes + expressions + np.arange(3),
        shapes + expressions + 3 + np.array([1, 0]),
    ])  # fmt: skip
    signs = np.ones(len(places), np.float32)
    signs[[i for i, name in enumerate(face.shape_names) if name in {*ASYMMETRIES, *BENDS}]] = -1
    signs[shapes + expressions + np.array([1, 2])] = -1
    return places, signs


def _expression_places(model: FaceModel) -> list[int]:
    """Of the action units that are expression parameters."""
    return [i for i, name in enumerate(model.expression_names) if name.split("_")[0] not in LIDS]


def _closed_lid(model: FaceModel, side: str) -> np.ndarray:
    return (model.vertices(None, model.weights({f"AU43_{side}": 1.0}))[0] - model.template).astype(np.float32)


def _shown(model: FaceModel) -> np.ndarray:
    """Triangles of skin, without scalp, ears and neck."""
    inside = np.zeros(len(model.template), int)
    for name in _NO_SKIN:
        inside[model.regions.get(name, np.zeros(0, int))] = 1
    hidden = np.isin(
        model.triangles, np.concatenate([model.regions.get(name, np.zeros(0, int)) for name in _HIDDEN])
    ).any(1)
    return model.triangles[(inside[model.triangles].sum(1) < 2) & ~hidden]


def _skinning(model: FaceModel, eyes: Sequence[np.ndarray]) -> np.ndarray:
    weights = np.zeros((len(model.template), JOINTS), np.float32)
    high, low = _NECK_Y
    root = np.clip((model.template[:, 1] - high) / (low - high), 0, 1)
    weights[:, 0], weights[:, JAW] = root * (1 - model.jaw_weights), model.jaw_weights
    for joint, ball in zip((3, 4), eyes, strict=True):
        weights[ball] = np.eye(JOINTS, dtype=np.float32)[joint]
    weights[:, 1] = 1 - weights.sum(1)
    return weights


def _jaw_correction(model: FaceModel) -> np.ndarray:
    """Pose directions that give back what blending rotations loses: a vertex that follows the jaw by the share w is
    blended onto the chord of its arc, w (1 - w) (1 - cos) short of its distance from the joint."""
    directions = np.zeros((36, len(model.template), 3), np.float32)
    share = (model.jaw_weights * (1 - model.jaw_weights))[:, None]
    short = share * (model.template - model.jaw_joint)
    for axis in range(3):
        directions[9 * (JAW - 1) + 4 * axis, :, axis] = -short[:, axis]
    return directions.reshape(36, -1)


def _joint_regressor(model: FaceModel, kept: Sequence[int], eyes: Sequence[np.ndarray]) -> np.ndarray:
    """Least-norm weights that give each joint's place. Root, neck and jaw stay where they are whatever the shape and
    the expression, as the synthetic people's do; an eye's joint goes along with its eyeball."""
    everywhere = np.arange(0, len(model.template))
    modes = np.concatenate([model.identity, model.expression[list(kept)]])
    modes = modes if model.jaw_weights.any() else modes[:0]  # else nothing turns about them
    fixed = [
        _weights_for(model.template, everywhere, place, modes) for place in (ROOT_JOINT, NECK_JOINT, model.jaw_joint)
    ]
    corners = model.landmarks(model.template[None])[0]
    for side, ball, points in zip("LR", eyes, (slice(42, 48), slice(36, 42)), strict=True):
        centre = model.eyes[side].centre if side in model.eyes else corners[points].mean(0)
        among = ball if len(ball) else everywhere
        fixed.append(_weights_for(model.template, among, centre, model.identity[:0]))
    return np.stack(fixed).astype(np.float32)


def _weights_for(points: np.ndarray, among: np.ndarray, place: np.ndarray, still: np.ndarray) -> np.ndarray:
    """Weights of the vertices `among`, sum 1, whose mean of the points is the place and which `still` modes leave."""
    rows = [
        np.ones((1, len(among))),
        points[among].T / 0.1,
        still[:, among].transpose(0, 2, 1).reshape(-1, len(among)) / 0.01,
    ]
    wanted = np.concatenate([[1.0], np.asarray(place) / 0.1, np.zeros(3 * len(still))])
    weights = np.zeros(len(points))
    weights[among] = np.linalg.lstsq(np.concatenate(rows).astype(np.float64), wanted, rcond=1e-10)[0]
    return weights
