"""Hair as locks: a few hundred tapering ribbons that grow from the scalp, fall, and lie on the head.

Ribbons go through the same depth buffer as the face, so they hide it and are hidden by it as real hair is; the skin of
the scalp below them is painted dark, so that nothing shines through. All locks grow at once, one array per step.
"""

from dataclasses import dataclass

import numpy as np

from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.colour import of_bytes
from mien.synthetic.picture.person.head_shape import HeadShape
from mien.synthetic.picture.person.headwear import headwear_parts
from mien.synthetic.picture.person.part import Part, ball
from mien.synthetic.picture.shading import unit
from mien.synthetic.picture.studio import Studio

_AXIS_Z = -0.075  # metres from the eye corners back to the middle of the head


@dataclass(frozen=True)
class _Style:
    """locks: how many. length, width: metres. lift: 0 lies flat .. 1 stands up. weight: pull downwards per step.
    flow: where locks lie: parted, back, forward, out. curl: metres of wobble. layers: depth of the hair, metres.
    hold: metres beyond that depth that a lock may leave the head. over: whether locks may hang before the face.
    """

    locks: int
    length: float
    width: float
    lift: float
    weight: float
    flow: str
    curl: float = 0.0
    layers: float = 0.012
    steps: int = 6
    hold: float = 0.012
    over: bool = False


_STYLES = {
    "buzz": _Style(520, 0.007, 0.0032, 0.5, 0.0, "forward", layers=0.002, steps=2, hold=0.004),
    "short": _Style(560, 0.034, 0.0058, 0.35, 0.10, "mixed", layers=0.010, steps=4, hold=0.008),
    "side": _Style(520, 0.062, 0.0068, 0.25, 0.10, "parted", layers=0.014, hold=0.006),
    "fringe": _Style(540, 0.070, 0.0066, 0.22, 0.22, "forward", layers=0.012, hold=0.008, over=True),
    "long": _Style(400, 0.300, 0.0092, 0.15, 0.44, "parted", layers=0.016, steps=9, hold=0.015),
    "long fringe": _Style(420, 0.280, 0.0090, 0.15, 0.44, "fringed", layers=0.016, steps=9, hold=0.015),
    "bun": _Style(420, 0.120, 0.0085, 0.05, 0.0, "back", layers=0.006, steps=8, hold=0.002),
    "curly": _Style(760, 0.080, 0.0052, 0.50, 0.14, "mixed", curl=0.007, layers=0.026, steps=9, hold=0.02),
    "afro": _Style(700, 0.050, 0.0100, 0.95, 0.0, "out", curl=0.009, layers=0.040, steps=5, hold=0.01),
}


def hair_parts(studio: Studio, head: np.ndarray, normals: np.ndarray, looks: Appearance, camera: Camera) -> list[Part]:
    """The locks (or what covers the head) in the view frame. head, normals: head frame."""
    if looks.hair_style in ("cap", "scarf"):
        return headwear_parts(studio, head, normals, looks, camera)
    if looks.hair_style not in _STYLES or not studio.scalp.any():
        return []
    rng = np.random.Generator(np.random.PCG64([looks.seed, 41]))
    style = _STYLES[looks.hair_style]
    shape = HeadShape(head[studio.earless])
    roots, outward = _roots(studio, head, normals, looks=looks, count=style.locks, rng=rng)
    paths, depth = _grown(roots, outward, style, looks=looks, shape=shape, rng=rng)
    parts = [_ribbons(paths, depth, style, looks=looks, shape=shape, camera=camera, rng=rng)]
    if looks.hair_style == "bun":
        parts.append(_bun(shape, looks, camera, rng))
    return parts


def scalp_cover(studio: Studio, looks: Appearance) -> np.ndarray:
    """float32 [vertices]: how much hair darkens the skin, 0..1, from the scalp's place and the hairline."""
    place = studio.template
    top = place[studio.scalp > 0, 1].max() if studio.scalp.any() else 1.0
    # A receding line rises most beside the middle; at 0.3 it is the model's own.
    front = np.clip((place[:, 2] - _AXIS_Z + 0.01) / 0.05, 0, 1)
    line = (looks.hairline - 0.3) * 0.05 * (0.6 + 0.4 * np.clip(np.abs(place[:, 0]) / 0.04, 0, 1))
    base = place[studio.scalp > 0]
    before = base[base[:, 2] > _AXIS_Z + 0.02]
    edge = before[:, 1].min() if len(before) else top - 0.08
    cut = 1 - front * np.clip((edge + line - place[:, 1]) / 0.012, 0, 1)
    strength = {"bald": 0.0, "buzz": 0.72, "scarf": 0.0}.get(looks.hair_style, 1.0)
    return (studio.scalp * cut * strength).astype(np.float32)


def _roots(
    studio: Studio, head: np.ndarray, normals: np.ndarray, *, looks: Appearance, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Places on the scalp, even by area, and the skin's normals there."""
    cover = scalp_cover(studio, looks)[studio.triangles].min(1)
    chosen = np.flatnonzero(cover > 0.3)
    corners = studio.triangles[chosen]
    a, b, c = (studio.template[corners[:, i]] for i in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    cumulated = np.cumsum(area)
    picked = np.searchsorted(cumulated, (np.arange(count) + rng.random(count)) / count * cumulated[-1])
    u, v = rng.random((2, count))
    u, v = np.where(u + v > 1, 1 - u, u), np.where(u + v > 1, 1 - v, v)
    weights = np.stack([1 - u - v, u, v], -1)[..., None]
    found = corners[np.minimum(picked, len(corners) - 1)]
    return (head[found] * weights).sum(1).astype(np.float32), unit((normals[found] * weights).sum(1))


def _grown(
    roots: np.ndarray,
    outward: np.ndarray,
    style: _Style,
    *,
    looks: Appearance,
    shape: HeadShape,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Paths [locks, steps + 1, 3] and each lock's layer, 0 inside .. 1 outside."""
    count = len(roots)
    layer = rng.random(count).astype(np.float32) ** 0.7
    flow, share = _flow(roots, style.flow, looks, shape, rng)
    flow = unit(flow - (flow * outward).sum(-1, keepdims=True) * outward)
    top = np.clip((roots[:, 1:2] - shape.centre[1] - 0.02) / 0.05, 0, 1)
    lift = np.minimum(style.lift * (0.6 + 0.8 * looks.hair_volume), 0.95) * (0.3 + 0.7 * top)
    heading = unit(flow * (1 - lift) + outward * lift + rng.normal(0, 0.13, (count, 3)))
    length = style.length * share * np.exp(rng.normal(0, 0.16, count)) * (0.7 + 0.6 * looks.hair_volume)
    step = (length / style.steps)[:, None].astype(np.float32)
    thickness = style.layers * (0.5 + looks.hair_volume) * (0.15 + 0.85 * layer)
    phase = rng.uniform(0, 2 * np.pi, (count, 3))
    paths, tuck = [roots], float(rng.random() ** 2)
    for k in range(style.steps):
        down = np.array([0, -style.weight, 0], np.float32)
        heading = unit(heading + down + rng.normal(0, 0.05, (count, 3)))
        wobble = style.curl * np.sin(phase + 2.3 * (k + 1)) if style.curl else 0.0
        point = paths[-1] + step * heading + wobble
        margin = np.minimum(thickness, (k + 1) * step[:, 0] * 0.6)
        if not style.over:
            point = _off_the_face(point, paths[0], share, tuck)
        hangs = (style.length > 0.2) & (point[:, 1] < shape.centre[1] - 0.03)
        point = shape.pushed_out(point, margin, np.where(hangs, np.inf, margin + style.hold))
        if style.length > 0.2:
            point = _gathered(point, 0.078 + 0.035 * layer * (0.5 + looks.hair_volume))
        heading = unit(0.5 * heading + 0.5 * unit(point - paths[-1]))
        paths.append(point)
    return np.stack(paths, 1), layer


def _off_the_face(points: np.ndarray, roots: np.ndarray, share: np.ndarray, tuck: float) -> np.ndarray:
    """Locks beside the face: what hangs before it is drawn aside, more the lower it is; fringes (short ones) stay."""
    low = np.clip((0.07 - points[:, 1]) / 0.05, 0, 1)
    front = np.clip((points[:, 2] - _AXIS_Z) / 0.03, 0, 1)
    wanted = 0.066 * low * front * (share > 0.4)
    side = np.where(np.abs(points[:, 0]) > 0.012, np.sign(points[:, 0]), np.sign(roots[:, 0]))
    moved = points.copy()
    moved[:, 0] = side * np.maximum(side * points[:, 0], wanted)
    # Behind the cheeks, or it would hide the face as soon as the head turns.
    behind = _AXIS_Z + 0.035 + 0.02 * tuck
    moved[:, 2] -= np.maximum(moved[:, 2] - behind, 0) * low * (share > 0.4)
    return moved


def _gathered(points: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Long hair falls straight: below the ears it keeps within a radius of the neck's axis."""
    x, z = points[:, 0], points[:, 2] - _AXIS_Z
    excess = np.maximum(np.hypot(x, z) / radius, 1)
    share = excess ** -np.clip((0.03 - points[:, 1]) / 0.06, 0, 1)
    return np.stack([x * share, points[:, 1], z * share + _AXIS_Z], -1).astype(np.float32)


def _flow(
    roots: np.ndarray, kind: str, looks: Appearance, shape: HeadShape, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Where each lock heads, and its share of the style's length."""
    x, y, z = (roots - shape.centre).T
    count = len(roots)
    part_x = float(rng.choice((-1, 1)) * rng.uniform(0.005, 0.04)) if rng.random() < 0.75 else 0.0
    side = np.tanh((x - part_x) / 0.012)
    top = np.clip((y - 0.045) / 0.03, 0, 1)
    front = np.clip((z + 0.0) / 0.04, 0, 1) * top
    down = np.stack([0.25 * np.sign(x), -np.ones(count), -0.25 * np.ones(count)], -1)
    parted = np.stack([side, -0.25 * np.ones(count), -0.35 + 0.1 * z], -1)
    forward = np.stack([0.12 * side, -0.2 * np.ones(count), np.ones(count)], -1)
    back = np.stack([-0.2 * x / 0.07, 0.1 * np.ones(count), -np.ones(count)], -1)
    if kind == "out":
        return np.stack([x, y, z], -1), np.ones(count)
    if kind == "back":
        return back, np.ones(count)
    over = {"parted": parted, "fringed": parted, "forward": forward}.get(kind)
    if over is None:  # mixed: swept to one of three sides
        over = (parted, forward, back + np.array([part_x * 20, 0.4, 0]))[int(rng.integers(3))]
    flow = over * top[:, None] + down * (1 - top)[:, None]
    share = np.ones(count)
    if kind == "fringed":  # a fringe cut at the brows before long hair
        cut = front > 0.55
        flow = np.where(cut[:, None], forward + 0.3 * parted, flow)
        share = np.where(cut, 0.24, 1.0)
    elif kind in ("forward", "mixed"):
        share = 0.45 + 0.55 * top  # short at the sides and the nape
    elif kind == "parted" and looks.hair_style == "side":
        share = 0.4 + 0.6 * top
    return flow, share


def _ribbons(
    paths: np.ndarray,
    layer: np.ndarray,
    style: _Style,
    *,
    looks: Appearance,
    shape: HeadShape,
    camera: Camera,
    rng: np.random.Generator,
) -> Part:
    """Flat locks that face outwards, thin at the tips; the outer ones brighter."""
    count, steps = paths.shape[:2]
    along = np.linspace(0, 1, steps)[None, :, None]
    forward = np.gradient(paths, axis=1)
    outward = unit(paths - shape.centre)
    across = unit(
        np.cross(forward, outward)
        + rng.normal(0, 0.25, (count, 1, 3)) * np.linalg.norm(forward, axis=-1, keepdims=True)
    )
    width = style.width * np.exp(rng.normal(0, 0.3, (count, 1, 1))) * (1.05 - along**2.5)
    edges = np.stack([paths - across * width, paths + across * width], 2)  # [locks, steps, 2, 3]
    shade = np.exp(rng.normal(0, 0.16, (count, 1))) * (0.55 + 0.45 * layer[:, None]) * (0.72 + 0.33 * along[..., 0])
    tint = of_bytes(looks.hair) * np.exp(rng.normal(0, 0.04, (count, 1, 3)))
    colour = np.repeat((tint * shade[..., None])[:, :, None], 2, 2)
    grain = np.zeros((count, steps, 2, 2), np.float32)
    grain[..., 0] = rng.uniform(0, 200, (count, 1, 1)) + np.array([0, 28])
    grain[..., 1] = rng.uniform(0, 200, (count, 1, 1)) + 18 * style.length / 0.1 * along
    normals = unit(outward + 0.25 * rng.normal(0, 1, (count, 1, 3)))
    normals = np.repeat(normals[:, :, None], 2, 2) + np.stack([-across, across], 2) * 0.35
    first = (np.arange(count)[:, None] * steps + np.arange(steps - 1)[None]).ravel() * 2
    quads = [np.stack([first, first + 1, first + 2], -1), np.stack([first + 1, first + 3, first + 2], -1)]
    gloss = 0.03 + 0.07 * (rng.random() if style.curl == 0 else 0.2)
    points = camera.view(edges.reshape(-1, 3))
    shades = colour.reshape(-1, 3).astype(np.float32)
    return Part(
        "hair",
        points,
        np.concatenate(quads).astype(np.int32),
        shades,
        normals=unit(normals.reshape(-1, 3)) @ camera.rotation.T,
        gloss=gloss,
        sharpness=22,
        softness=0.25,
        strand=True,
        cull=style.length < 0.2 and style.curl == 0,
        grain=grain.reshape(-1, 2),
    )


def _bun(shape: HeadShape, looks: Appearance, camera: Camera, rng: np.random.Generator) -> Part:
    high = rng.uniform(0.2, 1.1)
    direction = np.array([[0, np.sin(high), -np.cos(high)]], np.float32)
    centre = shape.pushed_out(shape.centre + 0.01 * direction, np.full(1, 0.018))[0]
    points, triangles = ball(centre, np.array([0.036, 0.034, 0.034]) * rng.uniform(0.8, 1.2))
    colour = np.broadcast_to(of_bytes(looks.hair) * 0.85, points.shape).astype(np.float32)
    return Part(
        "hair bun",
        camera.view(points),
        triangles,
        colour,
        gloss=0.05,
        sharpness=20,
        grain=(points[:, :2] * (900, 3000)).astype(np.float32),
    )
