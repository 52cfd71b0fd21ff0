"""Backgrounds: plain walls, gradients, noise, blurred lights and shapes, rooms. Linear RGB pictures."""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float

from mien.synthetic.picture.atlas import noise, rolled
from mien.synthetic.picture.colour import to_linear

BACKGROUNDS = ("plain", "gradient", "clouds", "shapes", "lights", "room", "leaves", "stripes")


@dataclass(frozen=True)
class Background:
    """What stands behind the person."""

    kind: str = "plain"
    """One of BACKGROUNDS."""
    colour: tuple[int, int, int] = (150, 150, 150)
    """Main colour, 8-bit sRGB."""
    second: tuple[int, int, int] = (90, 90, 90)
    """Second colour, 8-bit sRGB."""
    blur: float = 0.02
    """Share of the picture's side."""
    seed: int = 0
    """Of the places of shapes."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Background":
        kind = str(rng.choice(BACKGROUNDS, p=(0.2, 0.18, 0.12, 0.14, 0.08, 0.14, 0.08, 0.06)))
        first, second = (_colour(rng) for _ in range(2))
        if rng.random() < 0.25:  # a studio's: white, sometimes black
            first = (250, 250, 250) if rng.random() < 0.75 else (8, 8, 8)
            kind = "plain" if rng.random() < 0.6 else kind
        return cls(kind, first, second, float(rng.uniform(0.002, 0.05)), int(rng.integers(1 << 31)))

    def paint(self, size: int) -> Float[np.ndarray, "size size 3"]:
        """Linear RGB."""
        rng = np.random.Generator(np.random.PCG64([self.seed, 23]))
        first, second = (np.array(c, np.float32) / 255 for c in (self.colour, self.second))
        picture = _PAINTERS[self.kind](size, first, second, rng)
        if self.kind not in ("plain", "gradient"):
            picture = cv2.GaussianBlur(picture, (0, 0), max(self.blur * size, 0.3))
        return to_linear(np.clip(picture, 0, 1))


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    grey = rng.uniform(8, 250)
    red, green, blue = np.clip(grey + rng.normal(0, 28, 3) * (rng.random() < 0.7), 3, 252)
    return int(red), int(green), int(blue)


def _plain(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return np.broadcast_to(first, (size, size, 3)).copy()


def _gradient(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    if rng.random() < 0.4:
        share = np.clip(1.4 * np.hypot(x - rng.uniform(-0.3, 0.3), y - rng.uniform(-0.3, 0.3)), 0, 1)
    else:
        share = np.clip(0.5 + 0.8 * (x * np.cos(angle) + y * np.sin(angle)), 0, 1)
    return first + (second - first) * share[..., None].astype(np.float32)


def _tile(size: int, cells: int, rng: np.random.Generator, octaves: int = 3) -> np.ndarray:
    return cv2.resize(rolled(noise(9, 128, cells, octaves), rng), (size, size), interpolation=cv2.INTER_LINEAR)


def _clouds(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    share = np.clip(0.5 + 0.35 * _tile(size, int(rng.choice((2, 4, 8))), rng), 0, 1)
    return first + (second - first) * share[..., None]


def _shapes(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    picture = _gradient(size, first, second, rng)
    for _ in range(int(rng.integers(4, 14))):
        colour = _mixed(first, second, rng)
        corners = rng.uniform(-0.1, 1.1, 2) * size + rng.normal(0, 0.2 * size, (int(rng.integers(3, 7)), 2))
        cv2.fillConvexPoly(picture, cv2.convexHull(corners.astype(np.int32)), colour, cv2.LINE_AA)
    return picture


def _lights(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    picture = _gradient(size, 0.4 * first, 0.4 * second, rng)
    for _ in range(int(rng.integers(6, 26))):
        disc = np.zeros_like(picture)
        centre = tuple(int(v) for v in rng.uniform(0, size, 2))
        cv2.circle(
            disc, centre, max(1, int(rng.uniform(0.01, 0.09) * size)), _mixed(first, 1 - second, rng), -1, cv2.LINE_AA
        )
        picture = np.minimum(picture + np.float32(rng.uniform(0.2, 0.9)) * disc, 1)
    return picture


def _room(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A wall with a corner, perhaps a window, shelves and frames."""
    picture = _gradient(size, first, 0.8 * first + 0.2 * second, rng)
    corner = int(rng.uniform(-0.2, 1.2) * size)
    picture[:, max(corner, 0) :] *= np.float32(rng.uniform(0.6, 0.95))
    for _ in range(int(rng.integers(2, 7))):
        x, y = (rng.uniform(-0.1, 1.0, 2) * size).astype(int)
        width, height = (rng.uniform(0.08, 0.45, 2) * size).astype(int)
        cv2.rectangle(picture, (int(x), int(y)), (int(x + width), int(y + height)), _mixed(first, second, rng), -1)
        if rng.random() < 0.4:
            edge = max(1, size // 60)
            cv2.rectangle(
                picture, (int(x), int(y)), (int(x + width), int(y + height)), _mixed(0.5 * first, second, rng), edge
            )
    return picture


def _leaves(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    coarse, fine = _tile(size, 8, rng), _tile(size, 24, rng, 2)
    share = np.clip(0.45 + 0.3 * coarse + 0.22 * fine, 0, 1)[..., None]
    green = np.array([0.25, 0.36, 0.16], np.float32) * rng.uniform(0.5, 1.3)
    return green + (np.maximum(first, second) - green) * share**2


def _stripes(size: int, first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size].astype(np.float32) / size
    angle, count = rng.uniform(0, np.pi), rng.uniform(3, 16)
    wave = np.sin(2 * np.pi * count * (x * np.cos(angle) + y * np.sin(angle)))
    return first + (second - first) * (np.clip(2 * wave, -1, 1) * 0.5 + 0.5)[..., None].astype(np.float32)


def _mixed(first: np.ndarray, second: np.ndarray, rng: np.random.Generator) -> tuple[float, float, float]:
    share = rng.uniform(-0.2, 1.2)
    red, green, blue = np.clip(first + (second - first) * share + rng.normal(0, 0.08, 3), 0, 1)
    return float(red), float(green), float(blue)


_PAINTERS = {
    "plain": _plain, "gradient": _gradient, "clouds": _clouds, "shapes": _shapes,
    "lights": _lights, "room": _room, "leaves": _leaves, "stripes": _stripes,
}  # fmt: skip
