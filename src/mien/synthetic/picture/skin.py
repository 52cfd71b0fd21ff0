"""Skin painted on the atlas: tone, blush, freckles, beard, brows, lids, lips, and what expressions fold into it.

What depends on the mesh alone (where cheeks, lips, folds are) is drawn once per atlas; a face blends those pieces.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.atlas import Atlas, noise, rolled, smooth
from mien.synthetic.picture.colour import luminance, of_bytes, skin_colour
from mien.synthetic.picture.skin_masks import skin_masks
from mien.synthetic.picture.wrinkles import SIDES, habits, sided, wrinkles


@dataclass(frozen=True, eq=False)
class SkinTexture:
    """Textures of the skin."""

    albedo: np.ndarray
    """[side, side, 3], linear RGB."""
    gloss: np.ndarray
    """[side, side]."""
    slope: np.ndarray
    """[side, side, 2], rise of the relief per metre to the right and down."""
    cavity: np.ndarray
    """[side, side], share of the surrounding light left by folds."""


@dataclass(frozen=True, eq=False)
class _Layers:
    """Changed in place while skin is painted. relief: metres."""

    albedo: np.ndarray
    gloss: np.ndarray
    relief: np.ndarray


class SkinPainter:
    """Paints skin on one atlas."""

    def __init__(self, atlas: Atlas) -> None:
        self.atlas = atlas
        self.wrinkles = wrinkles(atlas)
        self.masks = skin_masks(atlas)
        self._last: tuple[Appearance, _Layers] | None = None

    def paint(self, looks: Appearance, action_units: Mapping[str, float]) -> SkinTexture:
        """The skin of one person in one expression. What does not fold is kept for the person's next picture."""
        if self._last is None or self._last[0] != looks:
            self._last = (looks, self._at_rest(looks))
        layers = self._last[1]
        relief, cavity = self._folds(looks, action_units)
        return SkinTexture(layers.albedo, layers.gloss, self._slope(layers.relief + relief), cavity)

    def _at_rest(self, looks: Appearance) -> "_Layers":
        rng = np.random.Generator(np.random.PCG64([looks.seed, 11]))
        side = self.atlas.side
        tone = skin_colour(looks.ita_deg, redness=looks.redness, yellowness=looks.yellowness)
        albedo = np.broadcast_to(tone, (side, side, 3)).copy()
        self._complexion(albedo, looks, rng)
        self._spots(albedo, looks, rng)
        pores = rolled(noise(3, side, side // 2, 1), rng)
        relief = np.float32(0.00002 + 0.00004 * looks.age) * pores * self.masks["inside"]
        gloss = np.float32(0.03 + 0.12 * looks.gloss) * (1 + 0.8 * self.masks["shiny"])
        layers = _Layers(albedo, gloss, relief)
        self._lips(layers, looks, rng)
        self._beard(layers, looks, rng)
        self._eyes_outline(albedo, looks)
        self._brows(layers, looks, rng)
        albedo *= (1 - 0.9 * self.masks["nostrils"])[..., None]
        return layers

    def _complexion(self, albedo: np.ndarray, looks: Appearance, rng: np.random.Generator) -> None:
        """Blood and melanin are uneven: red cheeks and nose, dark sockets, blotches. Dark skin shows blood less."""
        side, m = self.atlas.side, self.masks
        shows_blood = float(np.clip((looks.ita_deg + 60) / 110, 0.15, 1))
        blood = (0.1 + 0.5 * looks.blush) * m["blush"] + 0.08 * looks.blotches * rolled(noise(1, side, 6), rng) * m[
            "inside"
        ]
        pigment = (0.10 + 0.16 * looks.age) * m["sockets"] + 0.05 * looks.blotches * rolled(
            noise(2, side, 14), rng
        ) * m["inside"]
        albedo *= np.exp(-(blood * shows_blood)[..., None] * np.array([0.05, 0.5, 0.42], np.float32))
        albedo *= np.exp(-pigment[..., None] * np.array([0.8, 1.1, 1.15], np.float32))

    def _spots(self, albedo: np.ndarray, looks: Appearance, rng: np.random.Generator) -> None:
        side = self.atlas.side
        if looks.freckles > 0:
            spots = np.clip((rolled(noise(4, side, side // 5, 1), rng) - 1.9 + 0.9 * looks.freckles) * 1.6, 0, 1)
            cover = spots * self.masks["freckled"] * np.float32(0.2 + 0.35 * looks.freckles)
            albedo *= 1 - cover[..., None] * np.array([0.35, 0.55, 0.68], np.float32)
        for _ in range(looks.moles):
            place = (rng.normal(0, 0.035), rng.uniform(-0.05, 0.1))
            dot = self.atlas.blob(place, (radius := rng.uniform(0.0009, 0.0022), radius)) * self.masks["inside"]
            albedo *= 1 - dot[..., None] * np.array([0.6, 0.72, 0.78], np.float32)

    def _folds(self, looks: Appearance, action_units: Mapping[str, float]) -> tuple[np.ndarray, np.ndarray]:
        """Height (metres) and cavity of what the action units and age fold."""
        relief = np.zeros((self.atlas.side,) * 2, np.float32)
        dark, kept = np.zeros_like(relief), habits(looks.seed)
        for wrinkle in self.wrinkles:
            strength = wrinkle.strength(action_units, looks.age, habit=kept[wrinkle.name])
            if strength > 0.02:
                relief -= np.float32(strength * wrinkle.depth) * wrinkle.furrow
                dark += np.float32(strength * min(230 * wrinkle.depth, 0.42)) * wrinkle.furrow
        for side in SIDES:
            bumps = 0.0006 * sided(action_units, 17, side)
            relief += np.float32(bumps) * self.masks[f"chin_{side}"] * noise(5, self.atlas.side, 40, 1)
        cavity = 1 - np.minimum(dark, 0.75)
        for name, depth in (("creases", 0.6), ("hollows", 0.42), ("seam", 0.75)):
            cavity *= 1 - np.float32(depth) * self.masks[name]
        return relief, cavity

    def _lips(self, layers: _Layers, looks: Appearance, rng: np.random.Generator) -> None:
        albedo, gloss, relief = layers.albedo, layers.gloss, layers.relief
        mask = self.masks["lips"]
        light = float(np.clip((looks.ita_deg + 60) / 110, 0.0, 1))
        # Lips have little melanin of their own on light skin, and more than the skin's blood shows on dark skin.
        pull = np.array([0.94, 0.50 + 0.22 * (1 - light), 0.52 + 0.26 * (1 - light)]) ** (0.5 + 1.1 * looks.lip_colour)
        colour = albedo * pull.astype(np.float32)
        if looks.lipstick:
            colour = 0.25 * colour + 0.75 * of_bytes(looks.lipstick)
        cracks = 1 + 0.06 * rolled(noise(6, self.atlas.side, 64, 2), rng)
        albedo += (colour * cracks[..., None] - albedo) * mask[..., None]
        gloss += mask * np.float32(0.06 + 0.12 * looks.gloss + 0.15 * (looks.lipstick is not None))
        relief += np.float32(0.0006) * mask

    def _beard(self, layers: _Layers, looks: Appearance, rng: np.random.Generator) -> None:
        albedo, gloss, relief = layers.albedo, layers.gloss, layers.relief
        if looks.beard == "none":
            return
        side, m = self.atlas.side, self.masks
        where = {"moustache": m["moustache"], "goatee": np.maximum(m["moustache"] * 0.8, m["goatee"])}.get(
            looks.beard, np.maximum(m["beard"], m["moustache"])
        )
        grain = rolled(noise(7, side, side // 3, 2), rng)
        full = looks.beard != "stubble"
        edge = np.clip(where * 1.6 - 0.3 + 0.14 * rolled(noise(8, side, 24), rng) * (where > 0.05), 0, 1)
        density = (0.55 + 0.4 * looks.beard_density) if full else (0.12 + 0.38 * looks.beard_density)
        cover = np.clip(edge * (density + (0.16 if full else 0.2) * grain * (edge > 0.02)), 0, 0.96)
        cover *= 1 - m["lips"]
        colour = of_bytes(looks.hair) * 0.75 + 0.25 * albedo * 0.2
        albedo += (colour * (1 + 0.25 * grain[..., None]) - albedo) * cover[..., None]
        gloss *= 1 - 0.7 * cover
        relief += np.float32(0.0005 if full else 0.00012) * grain * cover

    def _eyes_outline(self, albedo: np.ndarray, looks: Appearance) -> None:
        """Lashes seen from the front are a dark line on the upper lid's edge, a weaker one below."""
        m = self.masks
        upper = m["upper lashes"] * np.float32(0.88 + 0.1 * looks.eyeliner)
        lower = m["lower lashes"] * np.float32(0.35 + 0.4 * looks.eyeliner)
        shadow = m["lid"] * np.float32(0.35 * looks.eyeliner)
        albedo *= 1 - np.maximum(np.maximum(upper, lower), shadow)[..., None] * np.array([0.88, 0.9, 0.9], np.float32)

    def _brows(self, layers: _Layers, looks: Appearance, rng: np.random.Generator) -> None:
        """Short strokes along the brow's points, over a soft shade; they ride on the mesh."""
        albedo, gloss = layers.albedo, layers.gloss
        thickness = 0.0055 + 0.0075 * looks.brow_thickness
        lines = []
        body = np.zeros((self.atlas.side,) * 2, np.float32)
        for points, out in ((self.atlas.points[21:16:-1], -1.0), (self.atlas.points[22:27], 1.0)):
            strokes, outline = _brow(points, out, thickness=thickness, density=looks.brow_density, rng=rng)
            lines.append(strokes)
            body = np.maximum(body, self.atlas.area(outline, 0.0016))
        drawn = self.atlas.strokes(np.concatenate(lines))
        cover = np.clip(
            drawn * (0.4 + 0.6 * looks.brow_darkness) + body * (0.2 + 0.5 * looks.brow_darkness * looks.brow_density),
            0,
            0.93,
        )
        hair = of_bytes(looks.hair)
        # Brows are darker than fair or grey hair, and never lighter than the skin.
        dark = np.minimum(hair * (0.8 if luminance(hair) < 0.1 else 0.45), 0.5 * albedo.mean((0, 1)))
        albedo += (dark - albedo) * cover[..., None]
        gloss *= 1 - 0.8 * cover

    def _slope(self, relief: np.ndarray) -> np.ndarray:
        """Rise per metre, right and down."""
        step = self.atlas.step
        right = cv2.Sobel(relief, cv2.CV_32F, 1, 0, ksize=3, scale=1 / (8 * float(step[0])))
        down = cv2.Sobel(relief, cv2.CV_32F, 0, 1, ksize=3, scale=1 / (8 * float(step[1])))
        return np.clip(np.stack([right, down], -1), -1.2, 1.2)


def _brow(
    points: np.ndarray, out: float, *, thickness: float, density: float, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Strokes [n, 2, 2] and outline of one brow from its inner end on. The five points run along its upper part."""
    curve = smooth(points, 40) + (0, 0.25 * thickness)
    along = np.linspace(0, 1, 40)
    half = 0.5 * thickness * np.clip(np.minimum(0.62 + 2 * along, 1.75 * (1.06 - along)), 0.12, 1)
    outline = np.concatenate([curve - half[:, None] * (0, 1), (curve + half[:, None] * (0, 1))[::-1]])
    count = int(70 + 110 * density)
    place = rng.integers(0, 39, count)
    roots = curve[place] + np.stack([rng.normal(0, 0.0006, count), half[place] * rng.uniform(-0.8, 1.0, count)], -1)
    # Hairs stand up at the nose's side and lie down along the brow at the temple.
    lean = 0.5 + 1.1 * along[place] + rng.normal(0, 0.2, count)
    length = rng.uniform(0.004, 0.0075, count) * (1.1 - 0.4 * along[place])
    tips = roots + length[:, None] * np.stack([out * np.sin(lean), -0.8 * np.cos(lean)], -1)
    return np.stack([roots, tips], 1), outline
