"""Caps and head scarves: shells over the scalp."""

import numpy as np

from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.colour import of_bytes
from mien.synthetic.picture.person.part import Part
from mien.synthetic.picture.studio import Studio


def headwear_parts(
    studio: Studio, head: np.ndarray, normals: np.ndarray, looks: Appearance, camera: Camera
) -> list[Part]:
    """A cap or a scarf of the clothes' complementary colour, in the view frame."""
    rng = np.random.Generator(np.random.PCG64([looks.seed, 47]))
    shell = _shell(studio, head, normals, 0.009 if looks.hair_style == "cap" else 0.013)
    colour = of_bytes(looks.clothes)[::-1] * 0.9 + 0.02
    parts = [_part("hair cap", *shell, colour, camera)]
    if looks.hair_style == "cap":
        parts.append(_part("hair brim", *_brim(studio, head, rng), colour * 0.8, camera))
    else:
        parts.append(_part("hair scarf", *_drape(studio, head), colour, camera))
    return parts


def _part(name: str, points: np.ndarray, triangles: np.ndarray, colour: np.ndarray, camera: Camera) -> Part:
    colours = np.broadcast_to(colour, points.shape).astype(np.float32)
    return Part(
        name,
        camera.view(points),
        triangles,
        colours,
        gloss=0.015,
        sharpness=8,
        softness=0.2,
        grain=(points[:, :2] * 1500).astype(np.float32),
    )


def _shell(studio: Studio, head: np.ndarray, normals: np.ndarray, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """The scalp's triangles lifted off the head."""
    inside = studio.scalp[studio.triangles].min(1) > 0
    used, corners = np.unique(studio.triangles[inside], return_inverse=True)
    return (head[used] + thickness * normals[used]).astype(np.float32), corners.reshape(-1, 3).astype(np.int32)


def _brim(studio: Studio, head: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A peak over the forehead."""
    scalp = head[studio.scalp > 0]
    front = scalp[(scalp[:, 2] > np.quantile(scalp[:, 2], 0.9))]
    y, z = float(front[:, 1].min()) + 0.008, float(front[:, 2].max())
    angle = np.linspace(-1.25, 1.25, 15)
    rows = []
    for reach in np.linspace(0, rng.uniform(0.05, 0.075), 5):
        ring = np.stack(
            [
                0.075 * np.sin(angle),
                y - 0.25 * reach - 0.012 * np.sin(angle) ** 2 + 0 * angle,
                z - 0.075 + 0.08 * np.cos(angle) + reach * np.cos(angle),
            ],
            -1,
        )
        rows.append(ring)
    points = np.concatenate(rows).astype(np.float32)
    i, j = np.meshgrid(np.arange(4), np.arange(14), indexing="ij")
    a = (i * 15 + j).ravel()
    triangles = np.concatenate([np.stack([a, a + 15, a + 1], -1), np.stack([a + 1, a + 15, a + 16], -1)])
    return points, triangles.astype(np.int32)


def _drape(studio: Studio, head: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cloth from the temples round the cheeks and under the chin to the shoulders."""
    landmarks = studio.landmarks(head)
    jaw = landmarks[0:17]
    middle = np.array([0, float(jaw[:, 1].mean()), float(head[:, 2].mean())])
    top = landmarks[[0, 16]] + (0, 0.05, -0.01)
    edge = np.concatenate([top[:1], jaw + (0, -0.004, 0), top[1:]])
    out = edge - middle
    out[:, 2] *= 0.3
    out /= np.linalg.norm(out, axis=1, keepdims=True)
    rings = [
        edge + 0.002 * out - (0, 0, 0.006),
        edge + 0.012 * out + (0, 0, 0.004),
        edge + 0.022 * out - (0, 0, 0.02),
        edge + 0.02 * out - (0, 0, 0.075),
    ]
    lowest = rings[-2].copy()
    lowest[:, 1] -= 0.09
    rows = np.stack([*rings[:3], rings[3]]).astype(np.float32)
    count, along = rows.shape[:2]
    i, j = np.meshgrid(np.arange(count - 1), np.arange(along - 1), indexing="ij")
    a = (i * along + j).ravel()
    triangles = np.concatenate([np.stack([a, a + 1, a + along], -1), np.stack([a + 1, a + along + 1, a + along], -1)])
    return rows.reshape(-1, 3), triangles.astype(np.int32)
