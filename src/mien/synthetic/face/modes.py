"""Identity modes: what differs between people, as displacements for one standard deviation, inter-ocular units.

The size of each was set from how the same distances vary (standard deviation over the mean) in an identity model of
scans and in human landmarks of frontal faces: head size 5.6 %, width between the ears 5 %, jaw 6 %, eyes to chin 6 %,
mouth 7 %, nose 9 %, eye height 13 %, lips 16 %, nose tip 0.047 and chin 0.057 forward, canthal tilt 0.012. Directions
like sex, age and weight are mixtures of the others; the last ones are asymmetries, about a fifth to a half as large.
"""

from collections.abc import Callable

import numpy as np

from mien.synthetic.face import template as plan
from mien.synthetic.face.places import Places, bell
from mien.synthetic.face.template import EYE_CENTRE, MOUTH_HALF, MOUTH_Y, step

Field = Callable[[Places], np.ndarray]  # displacements [vertices, 3]


def _along(axis: int, amount: float, share: Callable[[Places], np.ndarray]) -> Field:
    def field(p: Places) -> np.ndarray:
        moved = np.zeros_like(p.points)
        moved[:, axis] = amount * share(p)
        return moved

    return field


def _at(x: float, y: float, across: float, along: float) -> Callable[[Places], np.ndarray]:
    """1 round a place on both sides of the face's front."""

    def share(p: Places) -> np.ndarray:
        return _front(p) * bell(np.abs(p.x), x, across) * bell(p.y, y, along)

    return share


def _front(p: Places) -> np.ndarray:
    return step(-0.75, -0.35, p.z)


def _sum(*fields: Field) -> Field:
    return lambda p: np.sum([field(p) for field in fields], axis=0)


def _outwards(amount: float, share: Callable[[Places], np.ndarray]) -> Field:
    """Away from the midline on both sides."""
    return _along(0, amount, lambda p: np.tanh(p.x / 0.03) * share(p))


def _push(x: float, y: float, across: float, along: float, by: tuple[float, float, float]) -> Field:
    """Both sides of the face pushed at a place: outwards, up, forward."""
    share = _at(x, y, across, along)
    return _sum(_outwards(by[0], share), _along(1, by[1], share), _along(2, by[2], share))


def _eye(p: Places) -> np.ndarray:
    return _at(EYE_CENTRE[0], 0.0, 0.20, 0.13)(p)


def _red(p: Places, lip: np.ndarray) -> np.ndarray:
    over = p.y - plan.mouth_line(np.minimum(np.abs(p.x), MOUTH_HALF))
    across = 1 - step(0.75 * MOUTH_HALF, 1.1 * MOUTH_HALF, np.abs(p.x))
    return over * lip * across * bell(over, 0, 0.13, 4)


FIELDS: dict[str, Field] = {
    "size": lambda p: 0.046 * p.points,
    "face_width": _along(0, 0.055, lambda p: p.x * step(0.35, 0.8, np.abs(p.x))),
    "face_length": _along(1, 0.038, lambda p: p.y * step(0.1, -0.3, p.y)),
    "jaw_width": _along(0, 0.042, lambda p: p.x * step(-0.35, -0.9, p.y)),
    "chin_length": _along(1, -0.028, lambda p: step(-0.85, -1.15, p.y)),
    "chin_width": _along(0, 0.07, lambda p: p.x * bell(p.y, -1.15, 0.16) * bell(np.abs(p.x), 0.15, 0.25) * _front(p)),
    "chin_forward": _along(2, 0.040, lambda p: step(-0.82, -1.12, p.y) * step(-0.5, 0.1, p.z)),
    "forehead_height": _along(1, 0.050, lambda p: step(0.3, 0.9, p.y)),
    "forehead_slope": _along(2, -0.040, lambda p: step(0.28, 0.75, p.y) * _front(p)),
    "forehead_width": _along(0, 0.035, lambda p: p.x * step(0.1, 0.5, p.y)),
    "head_depth": _along(2, 0.045, lambda p: np.minimum(p.z + 0.5, 0)),
    "cheekbone": _push(0.62, -0.24, 0.2, 0.16, (0.024, 0.0, 0.016)),
    "cheek_full": _push(0.50, -0.66, 0.24, 0.22, (0.018, 0.0, 0.013)),
    "temple": _push(0.75, 0.25, 0.15, 0.2, (0.020, 0.0, 0.0)),
    "brow_ridge": _push(0.28, 0.19, 0.3, 0.08, (0.0, 0.0, 0.022)),
    "brow_height": _push(0.38, 0.22, 0.34, 0.13, (0.0, 0.026, 0.0)),
    "brow_tilt": _sum(
        _push(0.14, 0.22, 0.13, 0.11, (0.0, -0.016, 0.0)), _push(0.56, 0.22, 0.13, 0.11, (0.0, 0.016, 0.0))
    ),
    "brow_spacing": _push(0.16, 0.22, 0.13, 0.10, (0.010, 0.0, 0.0)),
    "brow_arch": _push(0.52, 0.22, 0.14, 0.12, (0.0, 0.016, 0.0)),
    "eye_depth": _along(2, -0.022, _eye),
    "eye_width": _along(0, 0.07, lambda p: (p.x - np.sign(p.x) * EYE_CENTRE[0]) * _eye(p)),
    "eye_height": _along(1, 0.12, lambda p: (p.y - EYE_CENTRE[1]) * _at(EYE_CENTRE[0], 0, 0.2, 0.09)(p)),
    "eye_tilt": _along(1, 0.055, lambda p: (np.abs(p.x) - EYE_CENTRE[0]) * _eye(p)),
    "eye_spacing": _outwards(0.017, _at(EYE_CENTRE[0], 0.0, 0.2, 0.22)),
    "eyelid_fold": _push(0.37, 0.115, 0.16, 0.04, (0.0, -0.014, 0.012)),
    "nose_length": _along(
        1, -0.019, lambda p: bell(p.x, 0, 0.24, 4) * step(0.02, -0.42, p.y) * step(-0.74, -0.54, p.y)
    ),
    "nose_width": _outwards(0.014, _at(0.14, -0.45, 0.075, 0.10)),
    "nose_bridge_height": _push(0.0, -0.02, 0.09, 0.18, (0.0, 0.0, 0.030)),
    "nose_bridge_width": _along(0, 0.22, lambda p: p.x * _at(0, -0.1, 0.13, 0.18)(p)),
    "nose_tip_forward": _push(0.0, -0.39, 0.13, 0.13, (0.0, 0.0, 0.038)),
    "nose_tip_up": _push(0.0, -0.40, 0.13, 0.11, (0.0, 0.026, 0.004)),
    "nose_tip_width": _along(0, 0.20, lambda p: p.x * _at(0, -0.38, 0.12, 0.08)(p)),
    "nose_hump": _push(0.0, -0.14, 0.06, 0.10, (0.0, 0.0, 0.020)),
    "mouth_width": _along(0, 0.048, lambda p: p.x * _at(0, MOUTH_Y, 0.38, 0.16)(p)),
    "mouth_height": _push(0.0, -0.76, 0.38, 0.16, (0.0, 0.018, 0.0)),
    "mouth_corners": _push(0.29, -0.745, 0.10, 0.09, (0.0, 0.016, 0.0)),
    "upper_lip": _along(1, 0.20, lambda p: _red(p, p.mouth * ~p.below)),
    "lower_lip": _along(1, 0.20, lambda p: _red(p, p.mouth * p.below)),
    "lips_forward": _push(0.0, -0.76, 0.3, 0.14, (0.0, 0.0, 0.022)),
    "ear_size": lambda p: 0.07 * (p.points - (0.84, -0.3, -1.0) * np.sign(p.points + (0, 9, 9))) * _ear(p)[:, None],
    "ear_out": _along(0, 0.16, lambda p: (p.x - 0.86 * np.sign(p.x)) * _ear(p)),
    "neck_width": _along(0, 0.05, lambda p: p.x * step(-1.05, -1.45, p.y)),
}
MIXTURES: dict[str, dict[str, float]] = {
    "masculine": {
        "size": 0.45, "face_length": 0.4, "jaw_width": 0.7, "chin_width": 0.4, "chin_forward": 0.3, "neck_width": 0.9,
        "brow_ridge": 0.9, "brow_height": -0.55, "brow_arch": -0.5, "eye_height": -0.35, "cheek_full": -0.2,
        "nose_width": 0.35, "nose_length": 0.3, "upper_lip": -0.4,
    },
    "age": {
        "eyelid_fold": 0.8, "eye_height": -0.4, "eye_depth": 0.5, "brow_height": -0.3, "cheekbone": -0.3,
        "nose_length": 0.4, "nose_width": 0.3, "nose_tip_up": -0.4, "ear_size": 0.7,
        "upper_lip": -0.6, "lower_lip": -0.4, "mouth_corners": -0.3,
    },
    "weight": {
        "cheek_full": 1.2, "jaw_width": 0.6, "face_width": 0.5, "neck_width": 1.2, "chin_width": 0.4,
        "eye_height": -0.3,
    },
}  # fmt: skip
# One side up, wide or forward and the other the other way: halves of the left's push.
ASYMMETRIES: dict[str, tuple[str, float]] = {
    "asymmetric_brows": ("brow_height", 0.31),
    "asymmetric_lids": ("eye_height", 0.35),
    "asymmetric_eyes": ("eye_tilt", 0.20),
    "asymmetric_cheeks": ("cheek_full", 0.30),
    "asymmetric_jaw": ("jaw_width", 0.25),
    "asymmetric_nostrils": ("nose_width", 0.20),
    "asymmetric_mouth": ("mouth_corners", 0.38),
}
BENDS: dict[str, tuple[float, float, float]] = {  # sideways: amount, height, reach
    "bent_nose": (0.008, -0.36, 0.22),
    "bent_chin": (0.010, -1.12, 0.25),
}


def identity_modes(places: Places) -> tuple[tuple[str, ...], np.ndarray]:
    """Names [K] and displacements [K, vertices, 3]. Mirroring leaves a mode as it is, or turns an asymmetry round."""
    flip = places.mesh.mirror
    even = {name: field(places) for name, field in FIELDS.items()}
    even = {name: 0.5 * (moved + moved[flip] * (-1, 1, 1)) for name, moved in even.items()}
    modes = dict(even)
    for name, parts in MIXTURES.items():
        modes[name] = sum((share * even[part] for part, share in parts.items()), np.zeros_like(places.points))
    over = np.tanh(places.x / 0.06)[:, None]
    for name, (part, share) in ASYMMETRIES.items():
        modes[name] = share * over * even[part]
    for name, (amount, height, reach) in BENDS.items():
        modes[name] = _along(0, amount, lambda p, y=height, r=reach: bell(p.y, y, r) * step(-0.3, 0.1, p.z))(places)  # type: ignore[misc]
        modes[name] = 0.5 * (modes[name] - modes[name][flip] * (-1, 1, 1))
    return tuple(modes), np.stack([_with_eyeballs(places, moved) for moved in modes.values()])


def _with_eyeballs(places: Places, moved: np.ndarray) -> np.ndarray:
    """Eyeballs shift with their lids and keep their size."""
    for side in "LR":
        moved[places.mesh.regions[f"eyeball_{side}"]] = moved[places.mesh.regions[f"lid_rim_{side}"]].mean(0)
    return moved


def _ear(p: Places) -> np.ndarray:
    share = np.zeros(len(p.x))
    share[p.mesh.regions["ears"]] = 1
    return share
