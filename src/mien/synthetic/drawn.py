"""Drawn faces: seven expressions, simple and exact. For tests, and for the tour on a machine without any data.

Geometry is in `drawn_shape.py`, painting in `drawn_paint.py`, folders in `data/replicas`.
"""

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError, nearest
from mien.synthetic.drawn_paint import Painter, drawn_look
from mien.synthetic.drawn_shape import ACTIONS, EXPRESSIONS, FaceShape, drawn_action, drawn_identity
from mien.synthetic.shot import Shot

__all__ = ["EXPRESSIONS", "draw_face", "drawn_recording"]
# Valence and arousal: the quadrant is that of Russell's circumplex (1980), the numbers are ours, for replicas only.
AFFECT = {
    "neutral": (0.0, 0.0), "happiness": (0.8, 0.4), "surprise": (0.2, 0.7), "fear": (-0.5, 0.7), "anger": (-0.6, 0.6),
    "disgust": (-0.7, 0.3), "contempt": (-0.5, 0.2), "sadness": (-0.7, -0.3),
}  # fmt: skip


def drawn_recording(
    expression: str, *, seed: int, number: int, person: int | None, size: int, frames: int
) -> list[Shot]:
    """The style `drawn`: shots that differ in the strength of the expression only, from none to all of it."""
    shots = []
    for strength in np.linspace(0, 1, frames) if frames > 1 else (1.0,):
        rng = np.random.Generator(np.random.PCG64([seed, number]))
        who = None if person is None else np.random.Generator(np.random.PCG64([seed, person, 1]))
        valence, arousal = (round(float(strength) * value, 3) for value in AFFECT[expression])
        shots.append(
            Shot(*draw_face(expression, rng, size=size, person=who, strength=float(strength)), valence, arousal)
        )
    return shots


def draw_face(
    expression: str, rng: np.random.Generator, *, size: int = 112, person: np.random.Generator | None = None,
    strength: float = 1.0,
) -> tuple[UInt8[np.ndarray, "size size 3"], Float[np.ndarray, "68 2"]]:  # fmt: skip
    """An RGB picture of one face, framed as an aligned crop, and its 68 points in pixels (float32, exact).

    Person, strength of the expression, pose (roll within about 12 degrees, yaw within 15), place, light and noise vary.
    person: draws the person, by default `rng` does. strength: of the drawn expression; 0 is a neutral face.
    """
    if expression not in ACTIONS:
        raise MienError(f"No drawn expression {expression!r}.{nearest(expression, ACTIONS)}")
    identity = drawn_identity(person or rng)
    action = drawn_action(expression, rng).scaled(strength)
    shape = FaceShape(identity, action, yaw=float(np.clip(rng.normal(0, 0.1), -0.26, 0.26)))
    place = _placed(rng, size)
    canvas = _background(rng, 2 * size)
    # Pixel centres at whole numbers, at twice the size: 2 p + 1/2.
    doubled = np.concatenate([2 * place[:, :2], 2 * place[:, 2:] + 0.5], axis=1)
    Painter(canvas, doubled).paint(shape, drawn_look(person or rng))
    picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    landmarks = shape.landmarks @ place[:, :2].T + place[:, 2]
    return _photographed(picture, rng), landmarks.astype(np.float32)


def _placed(rng: np.random.Generator, size: int) -> np.ndarray:
    """Affine map [2, 3] from face units to pixels."""
    roll = np.deg2rad(np.clip(rng.normal(0, 4), -12, 12))
    scale = size * 0.44 * rng.uniform(0.92, 1.06)
    linear = scale * np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    middle = np.array([(size - 1) / 2, (size - 1) / 2 - 0.02 * size]) + rng.normal(0, 0.015, 2) * size
    return np.concatenate([linear, middle[:, None]], axis=1)


def _background(rng: np.random.Generator, size: int) -> np.ndarray:
    """A slope between two dull colours with a few blurred discs. Painted small and enlarged."""
    small = 48
    colours = rng.uniform(40, 215, (8, 3))
    colours = (0.4 * colours + 0.6 * colours.mean(1, keepdims=True)).astype(np.float32)
    slope = np.linspace(0, 1, small, dtype=np.float32)[:, None, None] * np.ones((1, small, 1), np.float32)
    slope = slope if rng.random() < 0.5 else slope.transpose(1, 0, 2)
    canvas = np.ascontiguousarray(colours[0] + (colours[1] - colours[0]) * slope)
    for colour in colours[2 : 2 + int(rng.integers(0, 6))]:
        x, y, radius = (int(value * small) for value in rng.uniform((0, 0, 0.05), (1, 1, 0.25)))
        cv2.circle(canvas, (x, y), radius, colour.tolist(), -1)
    canvas = cv2.GaussianBlur(canvas, (0, 0), 1.5)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_LINEAR).clip(0, 255).astype(np.uint8)


def _photographed(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Exposure, contrast, tint, a slope of light, slight blur and grain."""
    size = len(picture)
    exposure, contrast = rng.uniform(0.75, 1.08), rng.uniform(0.85, 1.1)
    light = 1 + rng.uniform(-0.2, 0.2) * np.linspace(-1, 1, size, dtype=np.float32)[None, :, None]
    values = picture.astype(np.float32) * np.float32(exposure) * light * rng.normal(1, 0.02, 3).astype(np.float32)
    values = (values - 128) * np.float32(contrast) + 128
    if rng.random() < 0.3:
        values = cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 0.008 * size + 0.31))
    values += rng.standard_normal(values.shape, np.float32) * np.float32(rng.uniform(0, 5))
    return values.clip(0, 255).astype(np.uint8)
