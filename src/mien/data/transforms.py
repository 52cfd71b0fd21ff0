"""Augmentation: numpy and OpenCV on 8-bit crops; turn, scale, shift and mirror are one warp, and landmarks move along.

What a face gets depends on (seed, epoch, index) only, so any worker in any order makes the same picture. Erasing comes
after normalisation and writes 0, the mean colour, as POSTER V2 publishes it. `RandomErasing`'s law is torchvision's.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError, nearest
from mien.core.landmarks import scheme_of
from mien.core.options import check_rules, from_plain

# ITU-R BT.601 luminance, and the YIQ plane in which hue is a rotation.
_LUMINANCE = np.array([0.299, 0.587, 0.114])
_TO_YIQ = np.array([_LUMINANCE, [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
_FROM_YIQ = np.linalg.inv(_TO_YIQ)


class Hole(NamedTuple):
    """A rectangle to erase, in pixels of the crop; right and bottom exclusive."""

    top: int
    left: int
    bottom: int
    right: int


class Augmented(NamedTuple):
    """A face after augmentation."""

    crop: UInt8[np.ndarray, "*crop"]
    """After warp and colours."""
    landmarks_px: Float[np.ndarray, "points 2"] | None
    """In crop pixels; of a mirrored face in their counterparts' order."""
    holes: tuple[Hole, ...]
    """To be erased after normalisation."""
    mirrored: bool = False
    scale: float = 1.0
    """By which the face grew; depth grows with it."""
    render: UInt8[np.ndarray, "*render"] | None = None
    """After the same warp, without colours and holes."""


@dataclass(frozen=True)
class Augmentation:
    """An augmentation recipe; the defaults are POSTER V2's on RAF-DB (official code: flip, then RandomErasing)."""

    flip: float = 0.5
    """Probability of a horizontal flip, 0..1."""
    rotation_deg: float = 0.0
    """Largest rotation to either side, in degrees."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Range of the size factor, drawn log-uniformly."""
    scale_apart: bool = False
    """Draw separate size factors for width and height."""
    shear_deg: float = 0.0
    """Largest shear of the vertical axis to either side, in degrees."""
    shift: float = 0.0
    """Largest translation to either side in x and in y, in crop sides, 0..1."""
    brightness: float = 0.0
    """Brightness factor within 1 - x .. 1 + x; x in 0..1."""
    contrast: float = 0.0
    """Contrast factor within 1 - x .. 1 + x; x in 0..1."""
    saturation: float = 0.0
    """Saturation factor within 1 - x .. 1 + x; x in 0..1."""
    hue: float = 0.0
    """Largest hue rotation to either side, in turns of the chromatic plane, 0..1."""
    gamma: float = 0.0
    """Gamma exponent within exp(-x) .. exp(x)."""
    light: float = 0.0
    """Standard deviation of the logarithm of a smooth random light over the face, 0..2: 3 x 3 values, cubic between
    them."""
    blur: float = 0.0
    """Largest standard deviation of Gaussian blur, in crop sides."""
    noise: float = 0.0
    """Largest standard deviation of grey Gaussian noise, in the range of pixel values 0..1."""
    erase_probability: float = 0.5
    """Probability that rectangles are erased, 0..1."""
    erase_scale: tuple[float, float] = (0.02, 0.1)
    """Range of the area of an erased rectangle, as a share of the crop."""
    erase_ratio: tuple[float, float] = (0.3, 3.3)
    """Range of the height of an erased rectangle divided by its width, drawn log-uniformly."""
    erase_count: int = 1
    """Largest number of erased rectangles."""
    border: str = "reflect"
    """Fill outside the image after the warp: reflect or black."""

    def __post_init__(self) -> None:
        for name in ("scale", "erase_scale", "erase_ratio"):
            low, high = (float(value) for value in getattr(self, name))
            object.__setattr__(self, name, (low, high))
            in_range = 1e-4 <= low <= high <= 100
            check_rules(self, "Augmentation.", {name: (in_range, "a range (low, high) in 0.0001..100")})
        most = dict.fromkeys(("brightness", "contrast", "saturation", "hue", "shift", "noise", "flip"), 1)
        most |= {"erase_probability": 1, "rotation_deg": 360, "shear_deg": 80, "blur": 1, "gamma": 10, "light": 2}
        rules = {name: (0 <= getattr(self, name) <= highest, f"in 0..{highest}") for name, highest in most.items()}
        rules["erase_count"] = (1 <= self.erase_count <= 1000, "in 1..1000")
        rules["border"] = (self.border in ("reflect", "black"), "'reflect' or 'black'")
        check_rules(self, "Augmentation.", rules)

    def __call__(
        self,
        crop: UInt8[np.ndarray, "size size *channels"],
        rng: np.random.Generator,
        landmarks_px: Float[np.ndarray, "points 2"] | None = None,
        *,
        render: UInt8[np.ndarray, "side side *channels"] | None = None,
    ) -> Augmented:
        """One augmented face, colour [size, size, 3] or grey [size, size]. render: the same crop in any size.

        Every option has its own place in the random stream: changing one leaves the others.
        """
        apart = beside(rng).random(2) if self.scale_apart or self.shear_deg else None
        light = beside(rng, 3).standard_normal((3, 3), np.float32) if self.light else None
        u = rng.random(12)
        matrix, mirrored = self.warp(u, len(crop), apart=apart)
        if render is not None:
            render = self._warped(render, scaled_warp(matrix, len(render) / len(crop)), mirrored)
        crop = self._warped(crop, matrix, mirrored)
        if landmarks_px is not None:
            landmarks_px = _warped_points(landmarks_px, matrix, mirrored)
        crop = self._coloured(crop, u[5:10])
        if light is not None:
            crop = _lit(crop, self.light * light)
        if self.blur and (sigma := u[10] * self.blur * len(crop)) > 0.2:
            crop = cv2.GaussianBlur(crop, (0, 0), sigma)
        holes = self._holes(rng, u[11], len(crop))
        if self.noise:
            crop = self._noisy(crop, rng)
        scale = float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))
        return Augmented(crop, landmarks_px, holes, mirrored, scale, render)

    def warp(
        self, u: np.ndarray, size: int, *, apart: np.ndarray | None = None
    ) -> tuple[Float[np.ndarray, "2 3"], bool]:
        """Affine map from crop pixels to augmented crop pixels by five numbers in 0..1, and whether it mirrors.

        apart: two more, for the height's own scale and the shear. First mirrored, then scaled, sheared and turned.
        """
        mirrored = bool(u[0] < self.flip)
        angle = np.deg2rad((2 * u[1] - 1) * self.rotation_deg)
        width = self._factor(u[2])
        height = width if apart is None or not self.scale_apart else self._factor(apart[0])
        lean = angle if apart is None else angle + np.deg2rad((2 * apart[1] - 1) * self.shear_deg)
        columns = [width * np.cos(angle), -height * np.sin(lean)], [width * np.sin(angle), height * np.cos(lean)]
        linear = np.array(columns) @ np.diag([-1.0 if mirrored else 1.0, 1.0])
        centre = np.full(2, (size - 1) / 2)
        offset = centre - linear @ centre + (2 * u[3:5] - 1) * self.shift * size
        return np.concatenate([linear, offset[:, None]], axis=1), mirrored

    def _factor(self, u: float) -> float:
        return float(self.scale[0] * (self.scale[1] / self.scale[0]) ** u)

    @property
    def _warps(self) -> bool:
        return bool(self.rotation_deg or self.shift or self.shear_deg or self.scale != (1.0, 1.0))

    def _warped(self, crop: np.ndarray, matrix: np.ndarray, mirrored: bool) -> np.ndarray:
        if not self._warps:
            return cv2.flip(crop, 1) if mirrored else crop
        border = cv2.BORDER_REFLECT_101 if self.border == "reflect" else cv2.BORDER_CONSTANT
        return cv2.warpAffine(crop, matrix, crop.shape[1::-1], flags=cv2.INTER_LINEAR, borderMode=border)

    def _coloured(self, crop: np.ndarray, u: np.ndarray) -> np.ndarray:
        """Brightness, contrast about the mean luminance and gamma by one table; saturation and hue by one matrix."""
        around = 2 * u - 1
        if self.brightness or self.contrast or self.gamma:
            brightness, contrast = 1 + around[0] * self.brightness, 1 + around[1] * self.contrast
            mean = _mean_luminance(crop) * brightness
            values = np.clip(contrast * (brightness * np.arange(256) - mean) + mean, 0, 255) / 255
            table = values ** np.exp(around[2] * self.gamma) * 255
            crop = cv2.LUT(crop, (table + 0.5).astype(np.uint8))
        if crop.ndim == 3 and (self.saturation or self.hue):
            angle = 2 * np.pi * around[4] * self.hue
            keep = 1 + around[3] * self.saturation
            cos, sin = keep * np.cos(angle), keep * np.sin(angle)
            turn = np.array([[1, 0, 0], [0, cos, -sin], [0, sin, cos]])
            crop = cv2.transform(crop, _FROM_YIQ @ turn @ _TO_YIQ)
        return crop

    def _noisy(self, crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        sigma = np.float32(rng.random() * self.noise * 255)
        grain = rng.standard_normal(crop.shape[:2], np.float32) * sigma
        grain = grain[..., None] if crop.ndim == 3 else grain
        return np.clip(crop + (grain + 0.5), 0, 255).astype(np.uint8)

    def _holes(self, rng: np.random.Generator, u: float, size: int) -> tuple[Hole, ...]:
        if u >= self.erase_probability:
            return ()
        count = 1 if self.erase_count == 1 else int(rng.integers(1, self.erase_count + 1))
        holes = (self._hole(rng, size) for _ in range(count))
        return tuple(hole for hole in holes if hole is not None)

    def _hole(self, rng: np.random.Generator, size: int) -> Hole | None:
        """torchvision's RandomErasing: ten tries at an area and a log-uniform ratio that fit."""
        for _ in range(10):
            area = size * size * rng.uniform(*self.erase_scale)
            ratio = np.exp(rng.uniform(*np.log(self.erase_ratio)))
            height, width = round(float(np.sqrt(area * ratio))), round(float(np.sqrt(area / ratio)))
            if height < size and width < size:
                top, left = int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))
                return Hole(top, left, top + height, left + width)
        return None


def generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The random stream of one face in one epoch: Philox, whose key is (seed, epoch and index)."""
    return np.random.Generator(np.random.Philox(key=(seed << 64) | (epoch << 40) | index))


def _lit(crop: np.ndarray, logarithm: Float[np.ndarray, "3 3"]) -> np.ndarray:
    """The crop times the light, whose logarithm is given at the corners, the middles of the edges and the centre."""
    rows = np.linspace(0, 2, len(crop), dtype=np.float32)
    x, y = np.meshgrid(rows, rows)
    field = np.exp(cv2.remap(logarithm, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE))
    lit = crop * (field[..., None] if crop.ndim == 3 else field)
    return np.clip(lit + np.float32(0.5), 0, 255).astype(np.uint8)


def beside(rng: np.random.Generator, number: int = 1) -> np.random.Generator:
    """The stream of that number beside this one: for options that came later, so that older recipes keep theirs."""
    bits: Any = rng.bit_generator
    return np.random.Generator(bits.jumped(number))


def erase(image: Float[np.ndarray, "3 height width"], holes: tuple[Hole, ...]) -> None:
    """Writes 0 (after normalisation: the mean colour) into the holes, in place."""
    for hole in holes:
        image[:, hole.top : hole.bottom, hole.left : hole.right] = 0


RECIPES: dict[str, Augmentation] = {
    "published": Augmentation(),
    # POSTER V2 on AffectNet and CAER-S: always erased, 5 % of the area.
    "published_other": Augmentation(erase_probability=1.0, erase_scale=(0.05, 0.05)),
    # If3D: RandomAffine(20 degrees, 20 %, .8 to 1; there for seven faces in ten), RandomErasing(.02, .33).
    "published_if3d": Augmentation(
        rotation_deg=20, shift=0.2, scale=(0.8, 1.0), erase_scale=(0.02, 0.33), border="black"
    ),
    # The 3-class reproduction: ColorJitter(.2, .2, .2, .1), 15 degrees, 10 %, RandomErasing(.02, .1).
    "reproduction": Augmentation(
        rotation_deg=15, shift=0.1, brightness=0.2, contrast=0.2, saturation=0.2, hue=0.1, border="black"
    ),
    # Ours, for small grey faces (FER+).
    "strong": Augmentation(
        rotation_deg=15, scale=(0.85, 1.15), shift=0.08, brightness=0.2, contrast=0.3, gamma=0.2, blur=0.01, noise=0.03,
        erase_probability=0.5, erase_scale=(0.02, 0.2), erase_count=2,
    ),
    "none": Augmentation(flip=0.0, erase_probability=0.0),
    # ParFace (and 3FabRec), `--daug 0` .. `7`: flip, then an affine map with width and height scaled apart.
    "daug0": Augmentation(erase_probability=0.0, border="black"),
    **{
        f"daug{level}": Augmentation(
            rotation_deg=turn, shift=shift, scale=scale, scale_apart=True, shear_deg=shear, erase_probability=0.0,
            border="black",
        )
        for level, turn, shift, scale, shear in (
            (1, 3, 0.025, (0.975, 1.025), 0), (2, 3, 0.035, (0.97, 1.03), 2), (3, 20, 0.035, (0.97, 1.03), 0),
            (4, 45, 0.035, (0.94, 1.03), 5), (5, 60, 0.035, (0.94, 1.03), 5), (6, 30, 0.04, (0.94, 1.05), 5),
            (7, 0, 0.04, (0.94, 1.05), 5),
        )
    },
}  # fmt: skip


def augmentation(recipe: str = "published", **changes: Any) -> Augmentation:
    """A named recipe with single values changed. Raises MienError for an unknown recipe or option."""
    if recipe not in RECIPES:
        raise MienError(f"No augmentation recipe {recipe!r}.{nearest(recipe, RECIPES)}")
    changed = from_plain(Augmentation, changes, where="Augmentation")
    return replace(RECIPES[recipe], **{name: getattr(changed, name) for name in changes})


def scaled_warp(matrix: Float[np.ndarray, "2 3"], factor: float) -> Float[np.ndarray, "2 3"]:
    """The same warp of a crop that is `factor` times as large, both with pixel centres at whole numbers."""
    linear, half = matrix[:, :2], np.full(2, 0.5)
    offset = factor * (matrix[:, 2] + half - linear @ half) - half + linear @ half
    return np.concatenate([linear, offset[:, None]], axis=1)


def _mean_luminance(crop: np.ndarray) -> float:
    means = cv2.mean(crop)
    return float(np.dot(_LUMINANCE, means[:3])) if crop.ndim == 3 else float(means[0])


def _warped_points(points: np.ndarray, matrix: np.ndarray, mirrored: bool) -> np.ndarray:
    """The points after the warp; in a mirrored face the right eye is the one that was the left."""
    if mirrored:
        points = points[scheme_of(len(points)).mirror]
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
