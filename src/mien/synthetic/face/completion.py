"""Completes a scanned face that has no eyeballs or no mouth inside: with our own eyeballs, teeth and mouth, fitted to
its openings. Its own vertices, triangles and landmarks stay as they are and come first.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from mien.synthetic.face import parts
from mien.synthetic.face.eyes import ScannedEye, ring_behind
from mien.synthetic.face.holes import INNER_LIPS, LEFT_EYE, RIGHT_EYE, holes, mirror_of
from mien.synthetic.face.model import FaceModel, face_model
from mien.synthetic.face.template import ADULT_METRES, EYE_CENTRE, EYE_RADIUS

SKIN_HEIGHT = 0.79  # of the texture plane; our own islands lie under it
_LID = 0.0004  # metres that lids stay off the eyeball
_AROUND_LIDS = 1.25  # eyeball radii from its middle to where skin may touch it
_TEETH_BEHIND = 0.0008  # metres from the lips' inner edge back to the teeth
_JAW_UNITS = ("AU26", "AU27")
_HUNG = (0.97, 0.9, 0.75, 0.45)  # share of the lips' movement that each ring into the mouth follows


@dataclass(frozen=True, eq=False)
class _Piece:
    """New vertices: points, uv, displacements [modes, n, 3] and triangles, whose indices count from the first new
    vertex; negative ones are the scan's vertices (-1 - index)."""

    points: np.ndarray
    uv: np.ndarray
    identity: np.ndarray
    expression: np.ndarray
    triangles: np.ndarray


def completed(model: FaceModel) -> FaceModel:
    """The same face with what it lacks. A model that has eyeballs and a mouth inside comes back as it is."""
    landmarks = model.landmarks(model.template[None])[0].astype(np.float64)
    found = holes(model.template, model.triangles, landmarks)
    if found.mouth is None and (found.left_eye is None or found.right_eye is None):
        return model
    model = replace(model, uv=model.uv * np.array([1, SKIN_HEIGHT], np.float32))
    if found.mouth is not None:
        model = _with_mouth(model, found.mouth, landmarks)
    if found.left_eye is not None and found.right_eye is not None:
        model = _with_eyes(model, {"L": found.left_eye, "R": found.right_eye}, landmarks)
    return model


def _added(model: FaceModel, piece: _Piece) -> tuple[FaceModel, Int[np.ndarray, " n"]]:
    """The model with a piece, and the piece's vertices."""
    first = len(model.template)
    corners = np.where(piece.triangles < 0, -1 - piece.triangles, piece.triangles + first)
    index = np.arange(first, first + len(piece.points))
    grown = replace(
        model,
        template=_longer(model.template, piece.points),
        triangles=np.concatenate([model.triangles, corners]).astype(np.int32),
        uv=_longer(model.uv, piece.uv),
        identity=_longer(model.identity, piece.identity, axis=1),
        expression=_longer(model.expression, piece.expression, axis=1),
        mirror=np.concatenate([model.mirror, mirror_of(piece.points) + first]),
        jaw_weights=np.concatenate([model.jaw_weights, np.zeros(len(piece.points), np.float32)]),
    )
    return grown, index


def _longer(values: np.ndarray, more: np.ndarray, *, axis: int = 0) -> np.ndarray:
    """float32 all along."""
    return np.concatenate([values, more.astype(np.float32)], axis)


def _with_eyes(model: FaceModel, edges: dict[str, np.ndarray], landmarks: np.ndarray) -> FaceModel:
    """Eyeballs that touch the lids from behind, and a ring of skin from each opening's edge to behind its ball."""
    radius = EYE_RADIUS * ADULT_METRES * _eye_width(landmarks) / _eye_width(_own_landmarks())
    centres = {side: eye_centre(model.template, edge, radius) for side, edge in edges.items()}
    if np.linalg.norm(centres["R"] * (-1, 1, 1) - centres["L"]) < 0.0015:  # one face, two alike
        left = (centres["L"] + centres["R"] * (-1, 1, 1)) / 2
        centres = {"L": left, "R": left * (-1, 1, 1)}
    lids = {side: np.flatnonzero(_near(model.template, centres[side], radius)) for side in edges}
    both = {side: _eyeball(model, side, edges[side], centres[side], radius) for side in "LR"}
    rings = {side: _lid_ring(model, edges[side], centres[side], radius) for side in "LR"}
    model, balls = _added(model, _joined(both["L"], both["R"]))
    model, behind = _added(model, _joined(rings["L"], rings["R"]))
    regions, eyes = dict(model.regions), {}
    counts, ring_counts = len(both["L"].points), len(rings["L"].points)
    for side, ball, ring in (
        ("L", balls[:counts], behind[:ring_counts]),
        ("R", balls[counts:], behind[ring_counts:]),
    ):
        regions |= {f"eyeball_{side}": ball, f"lid_rim_{side}": edges[side], f"lid_inside_{side}": ring}
        shape = (model.template[ball] - centres[side]).astype(np.float32)
        eyes[side] = ScannedEye(
            ball=ball, skin=lids[side], rim=edges[side], inside=ring, shape=shape, centre=centres[side], radius=radius,
            lid_radius=radius + _LID,
        )  # fmt: skip
    return replace(model, regions=regions, eyes=eyes)


def eye_centre(
    points: Float[np.ndarray, "vertices 3"], edge: Int[np.ndarray, " edge"], radius: float
) -> Float[np.ndarray, "3"]:
    """Where a ball of that radius touches an opening's edge all round, as nearly as it can, and pierces no skin."""
    rim, reach = points[edge].astype(np.float64), radius + _LID
    centre = rim.mean(0) - (0, 0, 0.85 * reach)
    for _ in range(30):
        away = rim - centre
        length = np.linalg.norm(away, axis=1, keepdims=True)
        # Depth is sure; across, an edge that is an ellipse says less, so steps are damped towards the middle.
        slope = np.concatenate([-away / length, 0.3 * np.eye(3)[:2]])
        gap = np.concatenate([(length - reach)[:, 0], 0.3 * (centre - rim.mean(0))[:2]])
        centre = centre - np.linalg.lstsq(slope, gap, rcond=None)[0]
    skin = points[_near(points, centre, radius)] - centre
    across = (skin[:, :2] ** 2).sum(1)
    inside = across < (0.8 * reach) ** 2
    poking = np.sqrt(reach**2 - across[inside]) - skin[inside, 2]
    return np.asarray(centre - (0, 0, np.clip(poking.max(initial=0.0), 0.0, 0.0015)))


def _near(points: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Which vertices are those of the lids before a ball."""
    away = points - centre
    return (np.linalg.norm(away[:, :2], axis=1) < _AROUND_LIDS * radius) & (away[:, 2] > 0) & (away[:, 2] < 2 * radius)


def _eyeball(model: FaceModel, side: str, edge: np.ndarray, centre: np.ndarray, radius: float) -> _Piece:
    """Our own ball in that size, moved by a person's shape as the opening's edge is."""
    part, sign = parts.eyeball(), 1 if side == "L" else -1
    points = (part.points - EYE_CENTRE) / EYE_RADIUS * radius * (sign, 1, 1) + centre
    plane = part.plane if side == "L" else part.plane * (-1, 1) + (1, 0)
    moved = np.repeat(model.identity[:, edge].mean(1, keepdims=True), len(points), 1)
    still = np.zeros((len(model.expression), len(points), 3), np.float32)
    triangles = part.triangles if side == "L" else part.triangles[:, ::-1]
    return _Piece(points, parts.on_island(parts.EYE_ISLANDS[side], plane), moved, still, triangles)


def _lid_ring(model: FaceModel, edge: np.ndarray, centre: np.ndarray, radius: float) -> _Piece:
    count = len(edge)
    points = ring_behind(model.template[None, edge], centre[None], radius)[0]
    triangles = _strip(-1 - edge, np.arange(count))
    return _Piece(points, model.uv[edge], model.identity[:, edge], model.expression[:, edge], triangles)


def _with_mouth(model: FaceModel, edge: np.ndarray, landmarks: np.ndarray) -> FaceModel:
    """A bag that goes in from the lips' edge, and two rows of teeth, of which the lower hangs on the jaw."""
    regions = dict(model.regions)
    drop = _jaw_drop(model)
    lower = _is_lower(model.template[edge])
    bag = _bag(model, edge, lower)
    model, regions["mouth_inside"] = _added(model, bag)
    for upper, name in ((True, "teeth_upper"), (False, "teeth_lower")):
        piece = _teeth(model, edge, landmarks, upper=upper, drop=drop)
        model, regions[name] = _added(model, piece)
    regions["teeth"] = np.concatenate([regions["teeth_upper"], regions["teeth_lower"]])
    return replace(model, regions=regions)


def _is_lower(rim: np.ndarray) -> np.ndarray:
    """Which vertices of the mouth's edge are the lower lip's: those from its right corner on, counter-clockwise."""
    right, left = int(rim[:, 0].argmin()), int(rim[:, 0].argmax())
    place = (np.arange(len(rim)) - right) % len(rim)
    return (place > 0) & (place < (left - right) % len(rim))


def _bag(model: FaceModel, edge: np.ndarray, lower: np.ndarray) -> _Piece:
    rim, count = model.template[edge].astype(np.float64), len(edge)
    middle = np.array([rim[:, 0].mean(), 0, 0])
    x = np.abs(rim[:, 0] - middle[0]) / (np.ptp(rim[:, 0]) / 2)
    upward = np.where(lower, -1.0, 1.0) * np.clip(1 - x**3, 0, 1) ** 0.5
    rings, end = parts.mouth_bag((rim - middle) / ADULT_METRES, upward)
    points = np.concatenate([rings.reshape(-1, 3), end[None]]) * ADULT_METRES + middle
    indices = [-1 - edge, *np.arange(len(rings) * count).reshape(len(rings), count)]
    triangles = [_strip(outer, inner) for outer, inner in pairwise(indices)]
    tip = np.full(count, len(rings) * count)
    triangles.append(np.stack([indices[-1], np.roll(indices[-1], -1), tip], -1))
    turn = 2 * np.pi * np.arange(count) / count
    circle = np.stack([np.cos(turn), np.sin(turn)], -1)
    plane = np.concatenate([*(0.5 + 0.5 * r * circle for r in (0.95, 0.75, 0.5, 0.25)), [[0.5, 0.5]]])
    identity, expression = (_hung(modes[:, edge]) for modes in (model.identity, model.expression))
    return _Piece(points, parts.on_island(parts.MOUTH_ISLAND, plane), identity, expression, np.concatenate(triangles))


def _hung(rim: np.ndarray) -> np.ndarray:
    """The edge's displacements [modes, n, 3] carried into the mouth: near it alike, deep inside its mean."""
    mean = rim.mean(1, keepdims=True)
    rings = [share * rim + (1 - share) * mean for share in _HUNG]
    return np.concatenate([*rings, mean], 1)


def _teeth(
    model: FaceModel, edge: np.ndarray, landmarks: np.ndarray, *, upper: bool, drop: Float[np.ndarray, "units 3"]
) -> _Piece:
    """One of our rows, as wide as this mouth, behind its lips."""
    part = parts.teeth(upper=upper)
    own, target = _own_landmarks()[list(INNER_LIPS)], landmarks[list(INNER_LIPS)]
    scale = np.ptp(target[:, 0]) / np.ptp(own[:, 0])
    line = [2, 6]  # the middle of both lips: points 62 and 66
    move = target[line].mean(0) - scale * own[line].mean(0)
    points = part.points * ADULT_METRES * scale + move
    front = points[:, 2].max() - (model.template[edge, 2].max() - _TEETH_BEHIND)
    points[:, 2] -= max(front, 0.0)
    # A person's lips take their teeth along, both rows alike.
    near = np.exp(-(((points[:, None, 0] - model.template[None, edge, 0]) / 0.012) ** 2))
    near /= near.sum(1, keepdims=True)
    identity = np.einsum("ve,ked->kvd", near, model.identity[:, edge])
    expression = np.zeros((len(model.expression), len(points), 3))
    if not upper:
        expression += drop[:, None]
    return _Piece(points, parts.on_island(parts.TEETH_ISLAND, part.plane), identity, expression, part.triangles)


def _jaw_drop(model: FaceModel) -> Float[np.ndarray, "units 3"]:
    """How far each unit moves the jaw: as the lower lip and the chin go under the jaw's own units, else not at all."""
    corners = model.triangles[model.landmark_triangles[[8, 57, 65, 66, 67]]]
    weights = model.landmark_weights[[8, 57, 65, 66, 67]]
    moved = np.einsum("lc,elcd->ed", weights, model.expression[:, corners]) / len(corners)
    jaw = np.array([name in _JAW_UNITS for name in model.expression_names])
    return moved * jaw[:, None]


def _strip(outer: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """Triangles between two closed loops, both counter-clockwise as seen from in front; the surface goes inwards."""
    return np.array(parts.quads(np.append(outer, outer[0]), np.append(inner, inner[0])))[:, ::-1]


def _joined(one: _Piece, two: _Piece) -> _Piece:
    """Two pieces as one, whose vertices may then be each other's mirror images."""
    shifted = np.where(two.triangles < 0, two.triangles, two.triangles + len(one.points))
    return _Piece(
        np.concatenate([one.points, two.points]), np.concatenate([one.uv, two.uv]),
        np.concatenate([one.identity, two.identity], 1), np.concatenate([one.expression, two.expression], 1),
        np.concatenate([one.triangles, shifted]),
    )  # fmt: skip


def _eye_width(landmarks: np.ndarray) -> float:
    """Mean distance of the eyes' corners, metres."""
    ends = [(numbers[0], numbers[3]) for numbers in (RIGHT_EYE, LEFT_EYE)]
    return float(np.mean([np.linalg.norm(landmarks[a] - landmarks[b]) for a, b in ends]))


def _own_landmarks() -> np.ndarray:
    own = face_model()
    return own.landmarks(own.template[None])[0].astype(np.float64)
