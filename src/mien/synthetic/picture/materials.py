"""What every pixel is made of: skin, eyes, mouth, teeth, hair, cloth. Gives the surface that light falls on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.media.raster import Raster, looked_up
from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.atlas import noise
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.colour import of_bytes
from mien.synthetic.picture.person.hair import scalp_cover
from mien.synthetic.picture.person.part import Part
from mien.synthetic.picture.shading import Surface, unit
from mien.synthetic.picture.studio import EYE, MOUTH, SKIN, TEETH, Studio

_IRIS = 0.49  # of the eyeball's radius: 5.9 of 12 mm


@dataclass(frozen=True, eq=False)
class Look:
    """The subject whose pixels are coloured."""

    studio: Studio
    """Model with its textures."""
    appearance: Appearance
    """Skin, hair and clothes."""
    camera: Camera
    """View."""
    parts: list[Part]
    """Hair, headwear, body and occluders."""
    action_units: Mapping[str, float]
    """Weights by name."""


def surface_of(
    look: Look,
    raster: Raster,
    *,
    triangles: np.ndarray,
    part_of: np.ndarray,
    places: np.ndarray,
    normal: np.ndarray,
    arriving: np.ndarray,
    lamp: np.ndarray,
) -> Surface:
    """The surface at the covered pixels. places: view frame; arriving, lamp: shares of the light from around and the
    key lamp."""
    toward = unit(np.array([0, 0, look.camera.distance], np.float32) - places)
    count = len(raster.covered)
    surface = Surface(
        unit(normal), toward, np.zeros((count, 3), np.float32), np.full(count, 0.03, np.float32),
        np.full(count, 12, np.float32), np.zeros(count, np.float32), arriving, lamp,
    )  # fmt: skip
    part = part_of[raster.triangle]
    face = part == 0
    material = np.full(count, 255, np.uint8)
    material[face] = look.studio.material[raster.triangle[face]]
    for code, paint in ((SKIN, _skin), (EYE, _eye), (MOUTH, _mouth), (TEETH, _teeth)):
        chosen = np.flatnonzero(material == code)
        if len(chosen):
            paint(surface, look, _Pixels(raster, triangles, chosen))
    for number, one in enumerate(look.parts, 1):
        chosen = np.flatnonzero(part == number)
        if len(chosen):
            start = len(look.studio.template) + sum(len(other.points) for other in look.parts[: number - 1])
            _simple(surface, one, _Pixels(raster, triangles, chosen), start)
    return surface


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Some of the covered pixels."""

    raster: Raster
    triangles: np.ndarray
    chosen: np.ndarray

    def of(self, values: np.ndarray, start: int = 0) -> np.ndarray:
        """Vertex values [vertices, channels] at these pixels; `start`: number of the first of these vertices."""
        corners = self.triangles[self.raster.triangle[self.chosen]] - start
        weights = self.raster.weights[self.chosen]
        result = np.take(values, corners[:, 0], axis=0) * weights[:, :1]
        for corner in (1, 2):
            result += np.take(values, corners[:, corner], axis=0) * weights[:, corner, None]
        return result


def _skin(surface: Surface, look: Look, pixels: _Pixels) -> None:
    """Texture, relief as tilted normals, and the shade of hair on the scalp."""
    chosen, looks = pixels.chosen, look.appearance
    painter = look.studio.painter(256 if look.camera.size <= 320 else 512)
    texture = painter.paint(looks, look.action_units)
    where = painter.atlas.texels(pixels.of(look.studio.uv))
    albedo = looked_up(np.dstack([texture.albedo, texture.gloss]), where)
    relief = looked_up(np.dstack([texture.slope, texture.cavity]), where)
    surface.normal[chosen] = tilted(surface.normal[chosen], relief[:, :2], look.camera.rotation)
    surface.openness[chosen] *= relief[:, 2]
    surface.lamp[chosen] *= 0.4 + 0.6 * relief[:, 2]
    surface.albedo[chosen] = albedo[:, :3]
    surface.gloss[chosen] = albedo[:, 3]
    lashes = pixels.of(look.studio.lashes[:, None])
    surface.albedo[chosen] *= 1 - np.float32(0.75 + 0.2 * looks.eyeliner) * lashes
    _scalp(surface, look, pixels)
    surface.sharpness[chosen] = 9 + 16 * looks.gloss
    surface.softness[chosen] = 1


def _scalp(surface: Surface, look: Look, pixels: _Pixels) -> None:
    """The skin under hair is as dark as hair between locks; its edge is ragged."""
    looks, chosen = look.appearance, pixels.chosen
    cover = pixels.of(scalp_cover(look.studio, looks)[:, None])[:, 0]
    near = np.flatnonzero(cover > 0.02)
    if not len(near):
        return
    place = pixels.of(look.studio.template)[near]
    grain = looked_up(noise(11, 256, 64, 2), np.mod(place[:, :2] * 2600 + place[:, 2:] * 1900, 255))
    share = np.clip(cover[near] * 1.5 - 0.35 + 0.22 * grain, 0, cover[near])[:, None]
    hair = of_bytes(looks.hair) * (0.55 + 0.1 * grain)[:, None]
    surface.albedo[chosen[near]] += (hair - surface.albedo[chosen[near]]) * share
    surface.gloss[chosen[near]] *= 1 - 0.8 * share[:, 0]


def tilted(normal: np.ndarray, slope: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    """Normals of a surface that rises by `slope` (right, down) over the one with these normals."""
    right = unit(np.cross(rotation[:, 1], normal))
    down = -np.cross(normal, right)
    return unit(normal - slope[:, :1] * right - slope[:, 1:] * down)


def _eye(surface: Surface, look: Look, pixels: _Pixels) -> None:
    """Sclera, iris with fibres and a dark rim, pupil; wet."""
    chosen, looks = pixels.chosen, look.appearance
    place = unit(pixels.of(look.studio.iris))
    radius = np.hypot(place[:, 0], place[:, 1]) / np.float32(_IRIS)
    radius = np.where(place[:, 2] > 0, radius, 9.0)
    blur = np.float32(
        1.3 / max(0.0059 * look.camera.focal_px / look.camera.distance, 1.0)
    )  # about a pixel, in iris radii
    angle = np.arctan2(place[:, 1], place[:, 0])
    fibres = 1 + 0.16 * np.sin(13 * angle + 3 * np.sin(5 * angle + looks.seed % 7)) * np.clip(radius, 0, 1)
    iris = of_bytes(looks.iris) * (fibres * (0.55 + 0.45 * radius**2))[:, None]
    iris *= (1 - 0.65 * np.clip((radius - 0.8) / 0.2, 0, 1))[:, None]
    pupil = _step(looks.pupil - radius, blur)
    iris = iris * (1 - pupil)[:, None] + 0.004
    white = np.array([0.46, 0.42, 0.40], np.float32) * np.exp(
        -looks.eye_redness * np.array([0.05, 0.5, 0.5], np.float32)
    )
    red = np.clip(np.abs(place[:, 0]) - 0.45, 0, 1)[:, None] * np.array([0.1, 0.9, 0.9], np.float32)
    sclera = white * np.exp(-(0.5 + looks.eye_redness) * red)
    inside = _step(1 - radius, blur)[:, None]
    surface.albedo[chosen] = sclera + (iris - sclera) * inside
    surface.gloss[chosen] = 0.55 + 0.4 * inside[:, 0]
    surface.sharpness[chosen] = 140
    surface.softness[chosen] = 0.6
    # The upper lid with its lashes shades the ball.
    shade = (1 - 0.45 * np.clip((place[:, 1] - 0.1) / 0.4, 0, 1)) * (
        1 - 0.5 * np.clip((np.abs(place[:, 0]) - 0.3) / 0.5, 0, 1)
    )
    surface.openness[chosen] *= shade * 0.9
    surface.lamp[chosen] *= shade


def _mouth(surface: Surface, look: Look, pixels: _Pixels) -> None:
    chosen = pixels.chosen
    surface.albedo[chosen] = np.array([0.22, 0.055, 0.05], np.float32)
    surface.openness[chosen] *= 0.45
    surface.lamp[chosen] *= 0.5
    surface.gloss[chosen] = 0.08
    surface.sharpness[chosen] = 30
    surface.softness[chosen] = 0.7


def _teeth(surface: Surface, look: Look, pixels: _Pixels) -> None:
    chosen = pixels.chosen
    white = look.appearance.tooth_white
    surface.albedo[chosen] = np.array([0.62 + 0.1 * white, 0.55 + 0.17 * white, 0.42 + 0.26 * white], np.float32)
    surface.openness[chosen] *= 0.8
    surface.gloss[chosen] = 0.25
    surface.sharpness[chosen] = 40
    surface.softness[chosen] = 0.5


def _simple(surface: Surface, part: Part, pixels: _Pixels, start: int) -> None:
    chosen = pixels.chosen
    surface.albedo[chosen] = pixels.of(part.colour, start)
    surface.gloss[chosen] = part.gloss
    surface.sharpness[chosen] = part.sharpness
    surface.softness[chosen] = part.softness
    away = np.einsum("ij,ij->i", surface.normal[chosen], surface.toward[chosen]) < 0
    surface.normal[chosen[away]] *= -1
    if part.grain is not None:
        grain = looked_up(noise(10, 256, 48, 3), np.mod(pixels.of(part.grain, start), 255))
        strength = 0.3 if part.strand else 0.08
        surface.albedo[chosen] *= np.clip(1 + strength * grain, 0.2, 2.5)[:, None]
        surface.gloss[chosen] *= np.clip(1 + 2.5 * strength * grain, 0, 3)


def _step(value: np.ndarray, width: np.ndarray | np.floating) -> np.ndarray:
    return np.clip(0.5 + value / width, 0, 1).astype(np.float32)
