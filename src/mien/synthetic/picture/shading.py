"""Light on a face: normals, lamps, soft skin, gloss, darkening in crevices and cast shadows. All in linear RGB.

Skin is soft because light enters and leaves it elsewhere: the terminator is wrapped, most in red, which is the cheap
form of subsurface scattering that games use (Green, GPU Gems 1, chapter 16, 2004). Crevices are found on the depth
picture: a point that lies behind the mean of its neighbourhood gets less of the surrounding light.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float, Int

from mien.media.raster import Raster, looked_up, rasterise

_WRAP = np.array([0.32, 0.16, 0.10], np.float32)  # how far light creeps past the terminator, per colour
_SHADOW_SIDE = 112  # pixels of the picture that the lamp takes


@dataclass(frozen=True)
class Light:
    """A key lamp, a fill lamp and light from all around. Directions point to the lamp, in the view frame (x right,
    y up, z to the camera). Colours are linear RGB; white light of strength 1 on white gives 1.
    """

    direction: tuple[float, float, float] = (0.3, 0.45, 0.84)
    """Of the key lamp."""
    colour: tuple[float, float, float] = (0.75, 0.75, 0.75)
    """Of the key lamp."""
    fill_direction: tuple[float, float, float] = (-0.7, 0.1, 0.7)
    """Of the fill lamp."""
    fill_colour: tuple[float, float, float] = (0.15, 0.15, 0.15)
    """Of the fill lamp."""
    sky: tuple[float, float, float] = (0.36, 0.36, 0.36)
    """Light from above."""
    ground: tuple[float, float, float] = (0.2, 0.2, 0.2)
    """Light from below."""
    softness: float = 0.5
    """Of shadows and terminator, 0 (a bare bulb) .. 1 (a window)."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Light":
        """Rooms, flashes, windows, sun, and sometimes a lamp from the side, behind or below."""
        azimuth, height = rng.normal(0, 0.8), rng.normal(0.5, 0.3)
        if rng.random() < 0.08:
            height = rng.uniform(-0.7, 0.0)
        key, fill = rng.uniform(0.4, 1.15), rng.uniform(0.0, 0.3)
        around = rng.uniform(0.05, 0.42) * (1.15 - 0.5 * key)
        tint = _tint(rng, 0.10)
        return cls(
            direction=_direction(azimuth, height),
            colour=_scaled(tint, key),
            fill_direction=_direction(-np.sign(azimuth) * rng.uniform(0.3, 1.5), rng.uniform(-0.2, 0.6)),
            fill_colour=_scaled(_tint(rng, 0.12), fill),
            sky=_scaled(_tint(rng, 0.08), around),
            ground=_scaled(_tint(rng, 0.08), around * rng.uniform(0.3, 0.9)),
            softness=float(rng.uniform(0.1, 1.0)),
        )


def _direction(azimuth: float, height: float) -> tuple[float, float, float]:
    return (math.sin(azimuth) * math.cos(height), math.sin(height), math.cos(azimuth) * math.cos(height))


def _tint(rng: np.random.Generator, strength: float) -> np.ndarray:
    """White, warmer or cooler, of luminance 1."""
    warmth = rng.normal(0, strength)
    return np.array([1 + warmth, 1.0, 1 - 1.3 * warmth])


def _scaled(tint: np.ndarray, strength: float) -> tuple[float, float, float]:
    red, green, blue = (float(strength * value) for value in tint)
    return red, green, blue


def vertex_normals(vertices: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]) -> np.ndarray:
    """Unit normals [vertices, 3], outwards where triangles run counter-clockwise from outside."""
    a, b, c = (vertices[triangles[:, corner]] for corner in range(3))
    faces = np.cross(b - a, c - a)
    flat = triangles.ravel()
    weights = np.repeat(faces, 3, axis=0)
    summed = [np.bincount(flat, weights=weights[:, axis], minlength=len(vertices)) for axis in range(3)]
    return unit(np.stack(summed, -1).astype(np.float32))


def unit(vectors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Vectors of length 1; a zero vector stays zero."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return (vectors / np.maximum(length, 1e-12)[..., None]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Surface:
    """The lit surface of each pixel."""

    normal: Float[np.ndarray, "pixels 3"]
    """Unit."""
    toward: Float[np.ndarray, "pixels 3"]
    """To the camera, unit."""
    albedo: Float[np.ndarray, "pixels 3"]
    """Linear RGB."""
    gloss: Float[np.ndarray, "pixels"]
    """Strength of the highlight, 0.04 (skin) .. 1 (wet)."""
    sharpness: Float[np.ndarray, "pixels"]
    """Exponent of the highlight."""
    softness: Float[np.ndarray, "pixels"]
    """1 for skin, 0 for cloth, metal and teeth."""
    openness: Float[np.ndarray, "pixels"]
    """Share of the surrounding light that arrives."""
    lamp: Float[np.ndarray, "pixels"]
    """Share of the key lamp's light that arrives."""


def lit(surface: Surface, light: Light) -> Float[np.ndarray, "pixels 3"]:
    """Light that leaves towards the camera, linear RGB."""
    wrap = surface.softness[:, None] * (_WRAP * (0.5 + light.softness)) + 0.25 * light.softness
    up = surface.normal[:, 1:2] * np.float32(0.5) + np.float32(0.5)
    ground, sky = np.array(light.ground, np.float32), np.array(light.sky, np.float32)
    arriving = (ground + up * (sky - ground)) * surface.openness[:, None]
    highlight = np.zeros_like(surface.albedo)
    for direction, colour, share in (
        (light.direction, light.colour, surface.lamp),
        (light.fill_direction, light.fill_colour, 0.5 + 0.5 * surface.openness),
    ):
        to_lamp = np.array(direction, np.float32)
        strength = share[:, None] * np.array(colour, np.float32)
        facing = (surface.normal @ to_lamp)[:, None]
        # Squared: a wrapped lamp that ends linearly leaves a visible edge.
        soft = np.clip((facing + wrap) / (1 + wrap), 0, 1)
        arriving += soft * (0.55 + 0.45 * soft) * 1.12 * strength
        halfway = unit(surface.toward + to_lamp)
        peak = np.clip(np.einsum("ij,ij->i", surface.normal, halfway), 0, 1) ** surface.sharpness
        highlight += (peak * surface.gloss * (facing[:, 0] > -0.1))[:, None] * strength
    rim = 1 - np.clip(np.einsum("ij,ij->i", surface.normal, surface.toward), 0, 1)
    sheen = (rim**4 * surface.gloss * surface.openness)[:, None] * sky
    return surface.albedo * arriving + highlight + sheen


def openness(
    depth_map: Float[np.ndarray, "height width"], pixels_per_metre: float
) -> Float[np.ndarray, "height width"]:
    """Share of the surrounding light, 0.15..1, from the depth picture (infinite outside) at two neighbourhoods."""
    near = np.isfinite(depth_map)
    far = depth_map[near].max() if near.any() else 1.0
    depth = np.where(near, depth_map, far).astype(np.float32)
    result = np.ones_like(depth)
    for radius, strength, reach in ((0.006, 0.5, 0.004), (0.02, 0.5, 0.012)):
        side = max(3, int(radius * pixels_per_metre) * 2 + 1)
        # Neighbours count as in front by at most their `reach`: hair far before the skin is not a crevice.
        mean = cv2.blur(np.minimum(depth, 10.0), (side, side), borderType=cv2.BORDER_REPLICATE)
        behind = np.clip((depth - mean) / np.float32(reach), 0, 1)
        result *= 1 - np.float32(strength) * behind
    return np.maximum(result, 0.15)


def shadows(
    points: Float[np.ndarray, "vertices 3"],
    triangles: Int[np.ndarray, "triangles 3"],
    places: Float[np.ndarray, "pixels 3"],
    light: Light,
) -> Float[np.ndarray, "pixels"]:
    """Share of the key lamp's light at places of the view frame, 0..1: a shadow picture taken from the lamp."""
    frame = _lamp_frame(light.direction)
    in_light = points @ frame.T
    low, high = in_light[:, :2].min(0), in_light[:, :2].max(0)
    scale = np.float32((_SHADOW_SIDE - 5) / max(float((high - low).max()), 1e-6))
    offset = np.float32(2) - low * scale
    depth = 5 - in_light[:, 2]
    raster: Raster = rasterise(in_light[:, :2] * scale + offset, depth, triangles, (_SHADOW_SIDE, _SHADOW_SIDE))
    mine = places @ frame.T
    where = mine[:, :2] * scale + offset
    return _unshadowed(raster.depth_map, where, 5 - mine[:, 2], light.softness)


def _unshadowed(depth_map: np.ndarray, where: np.ndarray, depth: np.ndarray, softness: float) -> np.ndarray:
    """Mean over five taps of whether the nearest thing lies (softly) not before the point."""
    flat_map = np.minimum(depth_map, 10.0).astype(np.float32)
    spread = 0.6 + 1.6 * softness
    total = np.zeros(len(where), np.float32)
    for dx, dy in ((0, 0), (1, 0.4), (-0.4, 1), (-1, -0.4), (0.4, -1)):
        nearest = looked_up(flat_map, where + np.array([dx, dy], np.float32) * np.float32(spread))
        total += np.clip(1 - (depth - nearest - 0.006) / 0.006, 0, 1)
    return total / 5


def _lamp_frame(direction: tuple[float, float, float]) -> np.ndarray:
    """Rows: right, up, towards the lamp."""
    forward = np.array(direction, np.float32)
    forward /= np.linalg.norm(forward)
    right = np.cross(np.array([0, 1, 0.01], np.float32), forward)
    right /= max(float(np.linalg.norm(right)), 1e-6)
    return np.stack([right, np.cross(forward, right), forward]).astype(np.float32)
