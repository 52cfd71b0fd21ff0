"""Neck, shoulders and clothes under the head. The body follows a third of the head's yaw and none of its tilt."""

import numpy as np

from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.camera import Camera, turn
from mien.synthetic.picture.colour import of_bytes, skin_colour
from mien.synthetic.picture.person.part import Part, lofted
from mien.synthetic.picture.studio import Studio

_AROUND = 28
# Height (metres over the neck's lower end), half width, half depth (as added to the neck's), and how far forward.
_RINGS = np.array(
    [
        (0.030, 0.000, 0.000, 0.000),
        (0.012, 0.003, 0.003, 0.000),
        (-0.004, 0.012, 0.008, 0.002),
        (-0.016, 0.036, 0.014, 0.004),
        (-0.028, 0.070, 0.022, 0.004),
        (-0.042, 0.104, 0.032, 0.002),
        (-0.064, 0.132, 0.042, 0.000),
        (-0.100, 0.150, 0.052, 0.002),
        (-0.180, 0.158, 0.064, 0.010),
        (-0.420, 0.150, 0.060, 0.010),
    ]
)


def body_parts(studio: Studio, head: np.ndarray, looks: Appearance, camera: Camera) -> list[Part]:
    """The neck's continuation with shoulders, painted as skin down to the neckline and as cloth below."""
    low = head[head[:, 1] < head[:, 1].min() + 0.02]
    centre = (low.min(0) + low.max(0)) / 2
    radius = (low.max(0) - low.min(0)) / 2
    angle = np.linspace(0, 2 * np.pi, _AROUND, endpoint=False)[None]
    height, wide, deep, forward = (_RINGS[:, i, None] for i in range(4))
    swollen = 1 + 0.12 * np.sin(angle) ** 2 * (wide > 0.1)  # shoulders are squarer than an ellipse
    x = np.cos(angle) * (radius[0] * 0.96 + wide) * swollen
    z = np.sin(angle) * (radius[2] * 0.96 + deep) + forward
    # The neck leaves the back higher than the chest.
    y = height - 0.012 * np.sin(angle) * np.clip(wide * 20, 0, 1) + 0 * x
    points, triangles = lofted(np.stack([x, y, z], -1))
    anchor = camera.view(centre + np.array([0, 0.004, 0]))
    own = turn(yaw_rad=0.35 * camera.yaw_rad)
    return [
        Part("body", (points @ own.T + anchor).astype(np.float32), triangles, _colours(looks, points), gloss=0.015,
             sharpness=8, softness=0.3, grain=points[:, :2] * 1400)
    ]  # fmt: skip


def _colours(looks: Appearance, points: np.ndarray) -> np.ndarray:
    """Skin above the neckline, which hangs lower in front."""
    skin = skin_colour(looks.ita_deg, redness=looks.redness, yellowness=looks.yellowness)
    neckline = -0.012 + 0.035 * looks.collar - 0.4 * np.clip(points[:, 2], 0, 0.1) * (1 - looks.collar)
    cloth = np.clip((neckline - points[:, 1]) / 0.004, 0, 1)[:, None]
    return (skin + (of_bytes(looks.clothes) - skin) * cloth).astype(np.float32)
