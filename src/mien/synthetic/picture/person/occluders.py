"""Things before a face: glasses with reflecting lenses, medical masks, a hand, a microphone, a telephone."""

from dataclasses import dataclass

import numpy as np

from mien.media.raster import rasterise
from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.camera import Camera, turn
from mien.synthetic.picture.colour import of_bytes, skin_colour
from mien.synthetic.picture.person.head_shape import HeadShape
from mien.synthetic.picture.person.part import Part, ball, joined, lofted, painted, tube
from mien.synthetic.picture.shading import Light
from mien.synthetic.picture.studio import Studio

OCCLUDERS = ("none", "mask", "hand", "microphone", "telephone")
_LENS_POINTS = 20


@dataclass(frozen=True)
class Occluder:
    """What hides part of the face."""

    kind: str = "none"
    """One of OCCLUDERS."""
    glasses: bool = False
    """Worn besides."""
    tint: float = 0.05
    """Share of light that the lenses keep back."""
    reflection: float = 0.3
    """Strength of a lamp's reflection in the lenses."""
    roundness: float = 2.6
    """Of the lenses, 2 (ellipse) .. 4 (nearly square)."""
    thickness: float = 0.4
    """Of the frame, 0..1."""
    colour: tuple[int, int, int] = (30, 28, 28)
    """Of the frame, mask or object, 8-bit sRGB."""
    place: int = 8
    """Landmark before which a hand or object is held."""
    angle_rad: float = 0.0
    """Its turn in the picture."""
    seed: int = 0
    """Of the rest."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Occluder":
        """Mostly nothing; glasses on one face in seven, sunglasses on some of them."""
        kind = str(rng.choice(OCCLUDERS, p=(0.95, 0.012, 0.024, 0.007, 0.007)))
        light_mask = kind == "mask" and rng.random() < 0.75
        colour = rng.choice([(120, 165, 200), (225, 228, 230), (20, 20, 22)]) if light_mask else _frame_colour(rng)
        return cls(
            kind=kind,
            glasses=bool(rng.random() < 0.15),
            tint=float(rng.uniform(0.6, 0.97) if rng.random() < 0.15 else rng.uniform(0, 0.15)),
            reflection=float(rng.beta(1, 2)),
            roundness=float(rng.uniform(2, 4.5)),
            thickness=float(rng.beta(1.2, 2)),
            colour=(int(colour[0]), int(colour[1]), int(colour[2])),
            place=int(rng.choice((3, 5, 8, 11, 13, 48, 54, 57, 36, 45))),
            angle_rad=float(rng.normal(0, 0.5)),
            seed=int(rng.integers(1 << 31)),
        )


def _frame_colour(rng: np.random.Generator) -> np.ndarray:
    return np.array([(20, 19, 20), (70, 45, 28), (120, 118, 120), (150, 120, 70), (110, 30, 34)])[int(rng.integers(5))]


def occluder_parts(
    studio: Studio, head: np.ndarray, *, occluder: Occluder, looks: Appearance, camera: Camera
) -> list[Part]:
    """Meshes in the view frame; lenses are put on later, as they let light through."""
    landmarks = studio.landmarks(head)
    parts = []
    if occluder.glasses:
        parts.append(
            _part("occluder glasses", _frame(landmarks, occluder), occluder.colour, camera, gloss=0.35, sharpness=40)
        )
    if occluder.kind == "mask":
        cloth = _mask(landmarks, head, HeadShape(head[studio.earless]))
        parts.append(_part("occluder mask", cloth, occluder.colour, camera, gloss=0.01, sharpness=6))
    elif occluder.kind == "hand":
        tone = skin_colour(looks.ita_deg, redness=looks.redness + 1.5, yellowness=looks.yellowness)
        points, triangles = _before(_hand(occluder), landmarks, occluder)
        parts.append(
            Part("occluder hand", camera.view(points), triangles, painted(tone, len(points)), gloss=0.06, softness=1.0)
        )
    elif occluder.kind in ("microphone", "telephone"):
        mesh = _before(_microphone() if occluder.kind == "microphone" else _telephone(), landmarks, occluder)
        parts.append(_part("occluder thing", mesh, occluder.colour, camera, gloss=0.15, sharpness=25))
    return parts


def _part(
    name: str,
    mesh: tuple[np.ndarray, np.ndarray],
    colour: tuple[int, int, int],
    camera: Camera,
    *,
    gloss: float,
    sharpness: float,
) -> Part:
    points, triangles = mesh
    return Part(
        name, camera.view(points), triangles, painted(of_bytes(colour), len(points)), gloss=gloss, sharpness=sharpness
    )


def _rims(landmarks: np.ndarray, occluder: Occluder) -> list[np.ndarray]:
    """Closed outlines of the lenses, [points, 3] each, the person's right one first."""
    rng = np.random.Generator(np.random.PCG64([occluder.seed, 53]))
    span = float(landmarks[45, 0] - landmarks[36, 0])
    wide, high = rng.uniform(0.25, 0.30) * span, rng.uniform(0.17, 0.25) * span
    front = float(landmarks[[37, 38, 43, 44], 2].max()) + 0.011
    angle = np.linspace(0, 2 * np.pi, _LENS_POINTS, endpoint=False)
    x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** (2 / occluder.roundness)
    y = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** (2 / occluder.roundness)
    rims = []
    for sign, eye in ((-1, landmarks[36:42]), (1, landmarks[42:48])):
        centre = eye.mean(0) + (sign * 0.0015, -0.003, 0)
        across = sign * x * wide
        outward = sign * (centre[0] + across)
        rims.append(np.stack([centre[0] + across, centre[1] + y * high, front - 3.2 * outward**2], -1))
    return rims


def _frame(landmarks: np.ndarray, occluder: Occluder) -> tuple[np.ndarray, np.ndarray]:
    radius = 0.0007 + 0.0016 * occluder.thickness
    rims = _rims(landmarks, occluder)
    meshes = [tube(np.concatenate([rim, rim[:2]]), radius, 5) for rim in rims]
    inner = [rim[np.argmin(np.abs(rim[:, 0]) - 0.4 * rim[:, 1])] for rim in rims]
    top = (inner[0] + inner[1]) / 2 + (0, 0.002, 0.003)
    meshes.append(tube(np.array([inner[0], top, inner[1]]), radius * 0.9, 5))
    for rim, ear in zip(rims, landmarks[[0, 16]], strict=True):
        outer = rim[np.argmax(np.abs(rim[:, 0]) + 0.3 * rim[:, 1])]
        sign = np.sign(outer[0])
        hinge = outer + (sign * 0.003, 0, -0.004)
        behind = np.array([ear[0] + sign * 0.007, outer[1] - 0.004, ear[2] - 0.035])
        meshes.append(tube(np.array([outer, hinge, (hinge + behind) / 2 + (sign * 0.006, 0, 0), behind]), radius, 5))
    return joined(meshes)


def _mask(landmarks: np.ndarray, head: np.ndarray, shape: HeadShape) -> tuple[np.ndarray, np.ndarray]:
    """A cloth over nose, mouth and chin: a grid between a top and a bottom edge, held off the face."""
    top = np.array([landmarks[1], landmarks[1] * 0.5 + landmarks[31] * 0.5 + (0, 0.013, 0.008), landmarks[28]])
    top = np.concatenate([top, landmarks[[15]] * 0.5 + landmarks[[35]] * 0.5 + (0, 0.013, 0.008), landmarks[[15]]])
    bottom = landmarks[[4, 6, 8, 10, 12]] + np.array(
        [(0, 0, 0), (0, -0.004, 0), (0, -0.008, -0.01), (0, -0.004, 0), (0, 0, 0)]
    )
    place = np.linspace(0, 4, 17)
    edges = [np.stack([np.interp(place, np.arange(5), edge[:, i]) for i in range(3)], -1) for edge in (top, bottom)]
    share = np.linspace(0, 1, 10)[:, None, None]
    rows = edges[0] * (1 - share) + edges[1] * share
    rows[..., 2] += 0.02 * np.sin(np.pi * share[..., 0]) * np.cos((place - 2) * 0.7)
    margin = np.full(rows.shape[:2], 0.006, np.float32)
    rows = shape.pushed_out(rows.reshape(-1, 3).astype(np.float32), margin.ravel()).reshape(rows.shape)
    rows[..., 2] = np.maximum(rows[..., 2], _front(head, rows) + 0.004)
    rows[..., 2] += 0.0009 * np.sin(share[..., 0] * 3 * 2 * np.pi)  # pleats
    points, triangles = lofted(rows, closed=False)
    loops = []
    for corner, ear in ((rows[1, 0], landmarks[0]), (rows[1, -1], landmarks[16])):
        sign = np.sign(ear[0])
        loops.append(
            tube(
                np.array([corner, (corner + ear) / 2 + (sign * 0.006, 0, 0), ear + (sign * 0.01, 0, -0.015)]), 0.001, 4
            )
        )
    return joined([(points, triangles), *loops])


def _front(head: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far the head comes forward (z) within 9 mm of places [..., 3], seen from the front."""
    front = head[head[:, 2] > -0.05]
    near = np.square(front[:, :2] - places[..., None, :2]).sum(-1) < 0.009**2
    return np.where(near, front[:, 2], -1.0).max(-1)


def _hand(occluder: Occluder) -> tuple[np.ndarray, np.ndarray]:
    """Palm, fingers, thumb and forearm, fingers up, before the origin; metres."""
    rng = np.random.Generator(np.random.PCG64([occluder.seed, 59]))
    curl, spread = rng.uniform(0.1, 0.9), rng.uniform(0.0, 0.12)
    meshes = [ball(np.array([0, -0.045, 0.0]), np.array([0.040, 0.047, 0.015]))]
    for number, length in enumerate((0.062, 0.074, 0.070, 0.055)):
        x = (number - 1.5) * 0.0185
        lean = (number - 1.5) * spread
        t = np.linspace(0, 1, 6)
        bend = curl * t**1.6
        path = np.stack(
            [
                x + np.sin(lean) * length * t,
                -0.012 + length * np.sin(bend + 0.01) / (bend + 0.01) * t,
                -length * bend * t * 0.5,
            ],
            -1,
        )
        meshes.append(tube(path, np.array([0.0092, 0.0088, 0.0082, 0.0078, 0.0068, 0.002]), 7))
    thumb = np.array([(-0.03, -0.06, 0), (-0.048, -0.035, 0.004), (-0.054, -0.012, 0.002), (-0.054, 0.0, 0)])
    meshes.append(tube(thumb, np.array([0.013, 0.011, 0.009, 0.003]), 7))
    meshes.append(
        tube(np.array([(0, -0.07, 0), (0, -0.12, -0.005), (0.01, -0.4, -0.02)]), np.array([0.03, 0.027, 0.04]), 9)
    )
    return joined(meshes)


def _microphone() -> tuple[np.ndarray, np.ndarray]:
    return joined(
        [
            ball(np.zeros(3), np.array([0.025, 0.028, 0.025])),
            tube(np.array([(0, -0.02, 0), (0, -0.22, 0.02)]), 0.013, 8),
        ]
    )


def _telephone() -> tuple[np.ndarray, np.ndarray]:
    square = np.array([(-1, 1), (-1, -1), (1, -1), (1, 1)]) * (0.037, 0.075)
    rings = [
        np.concatenate([square * grow, np.full((4, 1), z)], 1)
        for grow, z in ((0.01, -0.004), (1, -0.004), (1, 0.004), (0.01, 0.004))
    ]
    return lofted(np.stack(rings))


def _before(
    mesh: tuple[np.ndarray, np.ndarray], landmarks: np.ndarray, occluder: Occluder
) -> tuple[np.ndarray, np.ndarray]:
    """The mesh held before a landmark, turned in the picture's plane."""
    rng = np.random.Generator(np.random.PCG64([occluder.seed, 61]))
    target = landmarks[occluder.place]
    turned = mesh[0] @ turn(roll_rad=occluder.angle_rad, yaw_rad=float(rng.normal(0, 0.3))).T
    near = np.abs(landmarks[:, 0] - target[0]) < 0.03
    place = np.array(
        [target[0] + rng.normal(0, 0.008), target[1] + rng.normal(0, 0.008), landmarks[near, 2].max() + 0.02]
    )
    return (turned + place).astype(np.float32), mesh[1]


def put_lenses(
    picture: np.ndarray,
    cover: np.ndarray,
    *,
    depth_map: np.ndarray,
    studio: Studio,
    head: np.ndarray,
    occluder: Occluder,
    camera: Camera,
    light: Light,
) -> tuple[np.ndarray, np.ndarray]:
    """Light through and from the lenses: premultiplied colours and cover, changed in place."""
    if not occluder.glasses:
        return picture, cover
    rng = np.random.Generator(np.random.PCG64([occluder.seed, 67]))
    for rim in _rims(studio.landmarks(head), occluder):
        points = np.concatenate([rim, rim.mean(0, keepdims=True)]).astype(np.float32)
        i = np.arange(_LENS_POINTS)
        fan = np.stack([np.full_like(i, _LENS_POINTS), i, (i + 1) % _LENS_POINTS], -1).astype(np.int32)
        pixels, depth = camera.project(points)
        raster = rasterise(pixels, depth, fan, depth_map.shape[:2])
        in_front = raster.depth < depth_map.ravel()[raster.covered] + 0.001
        where = np.unravel_index(raster.covered[in_front], depth_map.shape)
        local = raster.interpolate((points - points[-1]) / 0.025, fan)[in_front]
        picture[where] *= 1 - np.float32(occluder.tint)
        # A window is a bright slanted band; the sky a faint wash over the upper half.
        band = np.clip(1.6 - 5 * np.abs(local[:, 0] * 0.6 + local[:, 1] - rng.uniform(-0.6, 0.9)), 0, 1)
        glow = occluder.reflection * (0.7 * band + 0.15 * np.clip(local[:, 1] + 0.4, 0, 1))
        picture[where] += glow[:, None] * (np.array(light.sky, np.float32) + 0.2 * np.array(light.colour, np.float32))
        opaque = np.minimum(occluder.tint + glow, 1)
        cover[where] += (1 - cover[where]) * opaque
    return picture, cover
