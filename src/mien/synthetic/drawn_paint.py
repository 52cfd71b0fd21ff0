"""Paints a FaceShape: skin, light, eyes, mouth, wrinkles, hair, background. OpenCV at twice the size, then averaged."""

from dataclasses import dataclass

import cv2
import numpy as np

from mien.synthetic.drawn_shape import FaceShape, Points

Colour = tuple[float, float, float]
_SMOOTH = np.linspace(-1, 1, 25)
_SKINS = ((247, 214, 190), (236, 192, 160), (222, 170, 132), (190, 132, 94), (146, 96, 66), (98, 64, 46))
_HAIRS = ((28, 22, 20), (62, 40, 28), (104, 68, 40), (170, 126, 70), (150, 74, 42), (150, 148, 146))
_IRISES = ((74, 48, 30), (92, 66, 38), (70, 96, 72), (78, 110, 142))
_SHIFT = 4  # bits of OpenCV's sub-pixel coordinates


@dataclass(frozen=True)
class Look:
    """Colours, hair style and light of a drawing."""

    skin: Colour
    """Of the skin."""
    hair: Colour
    """Of hair and brows."""
    iris: Colour
    """Of the irises."""
    style: int
    """Hair: 0 short, 1 side parting, 2 long, 3 bald."""
    light: float
    """Direction, -1 (from the person's right) .. 1."""
    lips: Colour
    """Of the lips."""


def drawn_look(rng: np.random.Generator) -> Look:
    place = rng.uniform(0, len(_SKINS) - 1)
    low = int(place)
    high = min(low + 1, len(_SKINS) - 1)
    skin = np.array(_SKINS[low]) * (1 - (place - low)) + np.array(_SKINS[high]) * (place - low)
    skin = np.clip(skin * rng.normal(1, 0.03, 3), 0, 255)
    hairs = _HAIRS if place < 3 else _HAIRS[:2]
    hair = np.clip(np.array(hairs[int(rng.integers(len(hairs)))]) * rng.uniform(0.8, 1.2), 0, 255)
    iris = _IRISES[int(rng.integers(len(_IRISES) if place < 3 else 2))]
    lips = skin * np.array([0.88, 0.58, 0.56]) + np.array([rng.uniform(0, 25), 0, 0])
    return Look(
        _colour(skin),
        _colour(hair),
        iris,
        int(rng.choice(4, p=(0.4, 0.25, 0.27, 0.08))),
        rng.uniform(-1, 1),
        _colour(lips),
    )


class Painter:
    """A canvas of 8-bit RGB in which face units are placed by the affine map `place` [2, 3] (to pixel centres)."""

    def __init__(self, canvas: np.ndarray, place: np.ndarray) -> None:
        self.canvas, self.place = canvas, place
        self.scale = float(np.sqrt(abs(np.linalg.det(place[:, :2]))))

    def paint(self, shape: FaceShape, look: Look) -> None:
        """Everything, from back to front."""
        self._hair_behind(look)
        self._neck_and_ears(shape, look)
        self._skin(shape, look)
        self._nose(shape, look)
        for side in (-1, 1):
            self._eye(shape, look, side)
            self._brow(shape, look, side)
        self._wrinkles(shape, look)
        self._mouth(shape, look)
        self._hair_in_front(shape, look)

    def fill(self, points: Points, colour: Colour) -> None:
        cv2.fillPoly(self.canvas, [self._fixed(points)], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points: Points, colour: Colour, width: float) -> None:
        """An open curve; width in face units, at least one pixel."""
        cv2.polylines(self.canvas, [self._fixed(points)], False, colour, self._width(width), cv2.LINE_AA, _SHIFT)

    def soft(self, points: Points, colour: Colour, alpha: float, *, blur: float, width: float = 0.0) -> None:
        """Blends a blurred area, or with `width` a blurred curve, into the canvas. blur, width: face units."""
        fixed = self._fixed(points)
        sigma = max(blur * self.scale, 0.4)
        margin = int(3 * sigma + self._width(width) + 2)
        x0, y0 = np.maximum((fixed.min(0) >> _SHIFT) - margin, 0)
        x1, y1 = np.minimum((fixed.max(0) >> _SHIFT) + margin, np.array(self.canvas.shape[1::-1]) - 1)
        if x1 <= x0 or y1 <= y0:
            return
        region = self.canvas[y0 : y1 + 1, x0 : x1 + 1]
        reduced = 1 << max(0, int(np.log2(sigma / 3)))  # a wide blur is computed on a smaller mask
        height, width_px = region.shape[:2]
        mask = np.zeros((-(-height // reduced), -(-width_px // reduced)), np.float32)
        local = ((fixed - (np.array([x0, y0]) << _SHIFT)) / reduced).astype(np.int32)
        if width:
            cv2.polylines(mask, [local], False, 1.0, max(1, self._width(width) // reduced), cv2.LINE_8, _SHIFT)
        else:
            cv2.fillPoly(mask, [local], 1.0, cv2.LINE_8, _SHIFT)
        mask = cv2.GaussianBlur(mask, (0, 0), sigma / reduced) * np.float32(min(max(alpha, 0.0), 1.0))
        if reduced > 1:
            mask = cv2.resize(mask, (width_px, height), interpolation=cv2.INTER_LINEAR)
        flat = np.full_like(region, np.round(colour))
        region[:] = cv2.blendLinear(region, flat, 1 - mask, mask)

    def _fixed(self, points: Points) -> np.ndarray:
        pixels = points @ self.place[:, :2].T + self.place[:, 2]
        return np.round(pixels * (1 << _SHIFT)).astype(np.int32)

    def _width(self, width: float) -> int:
        return max(1, round(width * self.scale))

    def _hair_behind(self, look: Look) -> None:
        if look.style == 2:
            self.fill(_ellipse((0, 0.1), (0.98, 1.15)), look.hair)
        elif look.style != 3:
            self.fill(_ellipse((0, -0.3), (0.88, 0.86)), look.hair)

    def _neck_and_ears(self, shape: FaceShape, look: Look) -> None:
        shade = _times(look.skin, 0.8)
        self.fill(np.array([[-0.4, 0.5], [0.4, 0.5], [0.44, 1.7], [-0.44, 1.7]]), shade)
        cloth = _times(look.hair[::-1], 1.2)
        self.fill(np.array([[-0.44, 1.22], [0.44, 1.22], [1.5, 1.5], [1.7, 2.4], [-1.7, 2.4], [-1.5, 1.5]]), cloth)
        if look.style != 2:
            for side, end in ((-1, 0.0), (1, np.pi)):
                x = float(shape.jaw(np.array([end]))[0, 0])
                self.fill(_ellipse((x + 0.02 * side, 0.0), (0.1, 0.18)), _times(look.skin, 0.9))

    def _skin(self, shape: FaceShape, look: Look) -> None:
        jaw = shape.jaw(np.linspace(0, np.pi, 41))
        ends = jaw[-1], jaw[0]
        t = np.linspace(0, np.pi, 31)[1:-1, None]
        centre, half = (ends[0] + ends[1]) / 2, (ends[0] - ends[1]) / 2
        forehead = centre + np.cos(t) * half + np.sin(t) * np.array([0, -0.86])
        outline = np.concatenate([jaw, forehead])
        self.fill(outline, look.skin)
        away = np.array([-0.5 * look.light, 0.05])
        self.soft(_clipped(outline * 0.72 + away * 0.8, outline), _times(look.skin, 0.82), 0.35, blur=0.12)
        self.soft(outline * 0.45 - away * 0.55, _times(look.skin, 1.12), 0.45, blur=0.2)
        for side in (-1, 1):
            lift = 0.06 * shape.action.cheeks
            blush = (look.skin[0], look.skin[1] * 0.8, look.skin[2] * 0.8)
            self.soft(
                _ellipse((0.42 * side, 0.25 - lift), (0.15, 0.11)), blush, 0.3 + 0.25 * shape.action.cheeks, blur=0.06
            )

    def _nose(self, shape: FaceShape, look: Look) -> None:
        dark = _times(look.skin, 0.72)
        side = -1 if look.light > 0 else 1
        bridge = shape.bridge(np.linspace(0.1, 1, 12))
        self.soft(bridge + _by(0.055 * side, 0), dark, 0.5, blur=0.025, width=0.05)
        self.soft(bridge[3:], _times(look.skin, 1.15), 0.5, blur=0.025, width=0.05)
        base = shape.nose_base(_SMOOTH)
        self.soft(base + _by(0, 0.012), _times(look.skin, 0.6), 0.7, blur=0.012, width=0.025)
        for s in (-0.5, 0.5):
            x, y = shape.nose_base(np.array([s]))[0]
            self.fill(_ellipse((x, y - 0.006), (0.035, 0.017)), _times(look.skin, 0.38))
        for end in (-1.0, 1.0):
            wing = shape.nose_base(np.array([end]))[0]
            curve = wing + np.array([[0.0, 0.012], [0.025 * end, -0.02], [0.012 * end, -0.06]])
            self.soft(curve, _times(look.skin, 0.6), 0.7, blur=0.01, width=0.02)

    def _eye(self, shape: FaceShape, look: Look, side: int) -> None:
        upper, lower = shape.lid(side, _SMOOTH, upper=True), shape.lid(side, _SMOOTH, upper=False)
        self.soft(np.concatenate([upper - _by(0, 0.045), lower[::-1]]), _times(look.skin, 0.7), 0.45, blur=0.04)
        self._eyeball(np.concatenate([upper, lower[::-1]]), shape.eye_centre(side)[0], shape.identity.eye_height, look)
        self.soft(upper + _by(0, 0.02), (40, 30, 30), 0.35, blur=0.012, width=0.03)
        self.line(upper, _times(look.skin, 0.25), 0.028)
        self.line(lower, _times(look.skin, 0.55), 0.012)
        fold = upper[3:-3] - _by(0, 0.05)
        self.soft(fold, _times(look.skin, 0.6), 0.6, blur=0.008, width=0.014)

    def _eyeball(self, outline: Points, centre: np.ndarray, height: float, look: Look) -> None:
        """White, iris, pupil and light, seen through the lids' outline."""
        fixed = self._fixed(outline)
        x0, y0 = np.maximum((fixed.min(0) >> _SHIFT) - 2, 0)
        x1, y1 = np.maximum((fixed.max(0) >> _SHIFT) + 3, [x0 + 1, y0 + 1])
        region = self.canvas[y0:y1, x0:x1]
        if not region.size:
            return
        ball = Painter(region.copy(), self.place - [[0, 0, x0], [0, 0, y0]])
        for radius, colour in ((9.0, (240, 238, 234)), (1.02, _times(look.iris, 0.55)), (0.9, look.iris)):
            ball.fill(_ellipse(centre, (radius * height, radius * height)), colour)
        ball.fill(_ellipse(centre, (0.45 * height, 0.45 * height)), (12, 10, 10))
        light = centre + _by(0.3 * height * look.light, -0.35 * height)
        ball.fill(_ellipse(light, (0.2 * height, 0.2 * height)), (250, 250, 250))
        inside = np.zeros(region.shape[:2], np.uint8)
        cv2.fillPoly(inside, [ball._fixed(outline)], 255, cv2.LINE_AA, _SHIFT)
        weight = inside[..., None].astype(np.float32) / 255
        region[:] = (region + (ball.canvas.astype(np.float32) - region) * weight + 0.5).astype(np.uint8)

    def _brow(self, shape: FaceShape, look: Look, side: int) -> None:
        middle = shape.brow(side, _SMOOTH)
        half = 0.012 + 0.02 * np.clip((_SMOOTH + 1.3) / 2, 0, 1)[:, None] * np.array([0, 1.0])
        colour = _times(look.hair, 0.8) if sum(look.hair) < sum(look.skin) - 90 else _times(look.skin, 0.5)
        self.fill(np.concatenate([middle - half, (middle + half)[::-1]]), colour)

    def _wrinkles(self, shape: FaceShape, look: Look) -> None:
        do, dark = shape.action, _times(look.skin, 0.55)
        brows = [shape.brow(side, _SMOOTH) for side in (-1, 1)]
        inner = [brow[-1] for brow in brows]
        top = min(brow[:, 1].min() for brow in brows)
        for step in (0.1, 0.18, 0.26) if do.forehead > 0.05 else ():
            x = np.linspace(-0.4, 0.4, 15)
            y = top - step - 0.02 * np.cos(6 * x)
            self.soft(np.stack([x, y], -1), dark, 0.75 * do.forehead, blur=0.01, width=0.018)
        for side, end in zip((-1, 1), inner, strict=True):
            if do.furrow > 0.05:
                furrow = np.array([[0.045 * side, end[1] - 0.1], [0.03 * side, end[1]], [0.04 * side, end[1] + 0.07]])
                self.soft(furrow, dark, 0.8 * do.furrow, blur=0.01, width=0.02)
            if do.nose_wrinkle > 0.4:
                for y in (0.0, 0.055, 0.11):
                    crease = np.array([[0.03 * side, -0.1 + y], [0.08 * side, -0.06 + y], [0.13 * side, -0.05 + y]])
                    self.soft(crease, dark, 0.8 * do.nose_wrinkle, blur=0.008, width=0.016)
            self._folds(shape, look, side)

    def _folds(self, shape: FaceShape, look: Look, side: int) -> None:
        """From the nose's wing round the mouth's corner; crow's feet."""
        do, dark = shape.action, _times(look.skin, 0.6)
        wing = shape.nose_base(np.array([float(side)]))[0]
        corner = shape.lip(np.array([float(side)]), upper=True, inner=False)[0]
        strength = 0.12 + 0.6 * max(do.cheeks, do.nose_wrinkle)
        bend = (wing + corner) / 2 + np.array([0.1 * side, -0.02])
        t = np.linspace(0, 1, 13)[:, None]
        fold = (
            (1 - t) ** 2 * (wing + _by(0.02 * side, -0.03))
            + 2 * t * (1 - t) * bend
            + t**2 * (corner + _by(0.06 * side, 0.0))
        )
        self.soft(fold, dark, strength, blur=0.012, width=0.02)
        if do.cheeks > 0.8 and not do.nose_wrinkle > 0.5:
            outer = shape.lid(side, np.array([-1.0]), upper=True)[0]
            for rise in (-0.05, 0.0, 0.05):
                feet = outer + np.array([[0.03 * side, rise * 0.4], [0.1 * side, rise * 1.2]])
                self.soft(feet, dark, 0.5, blur=0.006, width=0.012)

    def _mouth(self, shape: FaceShape, look: Look) -> None:
        do = shape.action
        edges = {(u, i): shape.lip(_SMOOTH, upper=u, inner=i) for u in (True, False) for i in (True, False)}
        inside = np.concatenate([edges[True, True], edges[False, True][::-1]])
        if do.open > 0.02:
            self.fill(inside, (66, 20, 22))
            upper, lower = edges[True, True], edges[False, True]
            if do.open > 0.15 and do.teeth < 0.5:
                tongue = lower + (upper - lower) * 0.3
                self.fill(np.concatenate([tongue[5:-5], lower[5:-5][::-1]]), (176, 84, 84))
            if do.teeth > 0.05:
                teeth = upper + (lower - upper) * do.teeth
                self.fill(np.concatenate([upper[1:-1], teeth[1:-1][::-1]]), (238, 234, 224))
                if do.teeth > 0.7:
                    self.line((upper + teeth)[2:-2] / 2, (150, 130, 120), 0.01)
        self.fill(np.concatenate([edges[True, False], edges[True, True][::-1]]), _times(look.lips, 0.88))
        self.fill(np.concatenate([edges[False, False], edges[False, True][::-1]]), look.lips)
        self.soft(edges[False, True][6:-6] + _by(0, 0.03), _times(look.lips, 1.25), 0.4, blur=0.015, width=0.02)
        if do.open <= 0.02:
            self.line(edges[True, True], _times(look.lips, 0.4), 0.018)
        self.soft(edges[False, False][5:-5] + _by(0, 0.04), _times(look.skin, 0.7), 0.5, blur=0.02, width=0.03)

    def _hair_in_front(self, shape: FaceShape, look: Look) -> None:
        if look.style == 3:
            return
        t = np.linspace(np.pi, 2 * np.pi, 31)
        crown = np.stack([0.84 * np.cos(t), -0.2 + 0.92 * np.sin(t)], -1)
        part = {0: 0.0, 1: 0.35, 2: 0.05}[look.style]
        x = np.linspace(0.84, -0.84, 31)
        line = -0.62 - 0.16 * np.cos((x - part) * 2.2) + 0.62 * np.clip(np.abs(x) - 0.55, 0, None) * 2.2
        self.fill(np.concatenate([crown, np.stack([x, line], -1)]), look.hair)
        for shift in (-0.3, 0.0, 0.3):
            strand = np.stack([np.linspace(shift, shift * 1.5, 7), np.linspace(-1.05, -0.8, 7)], -1)
            self.soft(strand, _times(look.hair, 1.5), 0.3, blur=0.02, width=0.05)


def _ellipse(centre: tuple[float, float] | np.ndarray, radii: tuple[float, float]) -> Points:
    t = np.linspace(0, 2 * np.pi, 33)[:-1]
    return np.asarray(centre) + np.stack([np.cos(t), np.sin(t)], -1) * np.asarray(radii)


def _by(x: float, y: float) -> np.ndarray:
    return np.array([x, y])


def _clipped(points: Points, outline: Points) -> Points:
    return np.clip(points, outline.min(0) * 0.97, outline.max(0) * 0.97)


def _times(colour: Colour, factor: float) -> Colour:
    return _colour(np.clip(np.array(colour) * factor, 0, 255))


def _colour(values: np.ndarray) -> Colour:
    r, g, b = (float(value) for value in values)
    return r, g, b
