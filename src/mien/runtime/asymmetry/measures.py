"""The measures: what each is, its formula on 68 points in the frame, and where it comes from.

A paired measure has one formula, written for the person's right side; the left side is the same formula on the mirrored
face, so that right and left cannot differ by a slip. Formulas take points [*batch, 68, 2] in millimetres of the frame.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from mien.core.landmarks import SCHEME_68
from mien.runtime.asymmetry.curves import angle, area, chord, cubic, parabola

Points = Float[np.ndarray, "*batch 68 2"]
Formula = Callable[[Points], np.ndarray]
EMOTRICS = "Guarin et al., JAMA Facial Plast Surg 20(4), 2018 (Emotrics)"
DYNAFACE = "Dynaface (Heaton), github.com/jeffheaton/dynaface"
KLIMACH = "Klimach et al. 2020: healthy people differ by 0.2 to 6.2 degrees (2.5th to 97.5th centile, n = 104)"
OWN = "geometry of the frame"

_BROW, _UPPER_LID, _LOWER_LID = [17, 18, 19, 20, 21], [36, 37, 38, 39], [36, 41, 40, 39]
_UPPER_LIP, _LOWER_LIP = [48, 49, 50, 51, 52, 53, 54], [48, 59, 58, 57, 56, 55, 54]
_INNER_UPPER, _INNER_LOWER = [60, 61, 62, 63, 64], [60, 67, 66, 65, 64]
_STRIPS = 24  # of the area of teeth


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty."""

    value: float
    """The number."""
    sd: float | None = None
    """Standard deviation of the error; None where it is not known."""


@dataclass(frozen=True)
class Calibrated:
    """The true difference as far as a reading states it, by the errors fitted on known faces (significance.errors)."""

    value: float
    """The difference, corrected for what the model underestimates."""
    half_90: float
    """Half width of the range that holds the true difference in 90 of 100 faces."""
    half_95: float
    """Likewise of 95 of 100."""
    healthy: float
    """Limit that 95 of 100 healthy people stay below in a picture of this quality, without sign."""
    repeat: float = 1.0
    """Error of a change between two pictures of one person over that of independent pictures, 1 or less."""

    @property
    def sd(self) -> float:
        """Standard deviation of the normal distribution with this 90 % range."""
        return self.half_90 / 1.6449

    @property
    def low(self) -> float:
        return self.value - self.half_90

    @property
    def high(self) -> float:
        return self.value + self.half_90

    @property
    def excess(self) -> float:
        """The difference over the healthy limit, or over half its range where that is larger; clear above 1."""
        return abs(self.value) / max(self.healthy, self.half_90)

    @property
    def clear(self) -> bool:
        """Beyond what healthy people show, and its range holds no other side and no equality."""
        return self.excess > 1

    def detectable(self, percent: int = 95) -> float:
        """Smallest change between two pictures like this one that is beyond error, at 90 or 95 %."""
        return float(self.repeat * 2**0.5 * {90: self.half_90, 95: self.half_95}[percent])


@dataclass(frozen=True)
class Definition:
    """What a measure is."""

    name: str
    """As in tables."""
    title: str
    """For people."""
    unit: Literal["mm", "mm2", "deg"]
    """Of its values."""
    region: Literal["brow", "eye", "nose", "mouth", "jaw"]
    """Of the face."""
    text: str
    """One line."""
    source: str
    """Literature."""
    formula: Formula
    """From points in mm to the value of each side."""
    paired: bool = True
    """False for one value of the whole face."""


@dataclass(frozen=True)
class Measure:
    """A measure of one face."""

    definition: Definition
    """What was measured."""
    difference: Estimate
    """Right minus left, or the signed value of the whole face (positive to the person's left)."""
    right: Estimate | None = None
    """None for a measure of the whole face."""
    left: Estimate | None = None
    """None for a measure of the whole face."""
    index: Estimate | None = None
    """200 |left - right| / (left + right), percent; None where both sides are near 0."""
    ratio: float | None = None
    """The smaller side over the larger; None where both sides are near 0."""
    true: Calibrated | None = None
    """The true difference with its range; None where no errors were fitted for the bundle and the settings."""

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def unit(self) -> str:
        return self.definition.unit

    @property
    def clear(self) -> bool | None:
        """Beyond what healthy faces show; without fitted errors beyond 1.96 SD of the points' own errors."""
        if self.true is not None:
            return self.true.clear
        sd = self.difference.sd
        return None if sd is None else abs(self.difference.value) > 1.96 * sd

    @property
    def detectable(self) -> float | None:
        """Smallest change between two pictures that is beyond error at 95 %."""
        if self.true is not None:
            return self.true.detectable()
        return None if self.difference.sd is None else 1.96 * 2**0.5 * self.difference.sd


def mirrored(points: Float[np.ndarray, "*batch 68 dims"]) -> np.ndarray:
    """The face as its mirror image in the frame; in 2D or 3D."""
    return np.take(points, SCHEME_68.mirror, axis=-2) * (-1, 1, 1)[: points.shape[-1]]


def both_sides(definition: Definition, points: Points) -> tuple[np.ndarray, np.ndarray]:
    """The measure of the person's right and left side, each [*batch]."""
    return definition.formula(points), definition.formula(mirrored(points))


def eye_middle(p: Points) -> np.ndarray:
    """Midway between the right eye's corners. [*batch, 2]."""
    return (p[..., 36, :] + p[..., 39, :]) / 2


def brow_at(p: Points, x: np.ndarray) -> np.ndarray:
    """Height of the right brow at x."""
    return parabola(p[..., _BROW, :], x)


def lids_at(p: Points, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Heights of the right eye's upper and lower lid at x."""
    return cubic(p[..., _UPPER_LID, :], x), cubic(p[..., _LOWER_LID, :], x)


def _brow_height(p: Points) -> np.ndarray:
    eye = eye_middle(p)
    return brow_at(p, eye[..., 0]) - eye[..., 1]


def _mrd1(p: Points) -> np.ndarray:
    eye = eye_middle(p)
    return lids_at(p, eye[..., 0])[0] - eye[..., 1]


def _mrd2(p: Points) -> np.ndarray:
    eye = eye_middle(p)
    return eye[..., 1] - lids_at(p, eye[..., 0])[1]


def _fissure(p: Points) -> np.ndarray:
    return np.maximum(_mrd1(p) + _mrd2(p), 0)


def lip_crossing(p: Points) -> np.ndarray:
    """Where the lower lip's outer edge meets the midline, [*batch, 2]."""
    x = np.zeros(p.shape[:-2])
    return np.stack([x, chord(p[..., _LOWER_LIP, :], x)], axis=-1)


def _commissure_excursion(p: Points) -> np.ndarray:
    return np.linalg.norm(p[..., 48, :] - lip_crossing(p), axis=-1)


def _smile_angle(p: Points) -> np.ndarray:
    along = p[..., 48, :] - lip_crossing(p)
    return 90 + np.degrees(np.arctan2(along[..., 1], -along[..., 0]))


def _half_way(p: Points) -> np.ndarray:
    """The abscissa on the right at a quarter of the mouth's width: half way from midline to corner."""
    return -(p[..., 54, 0] - p[..., 48, 0]) / 4


def _dental_show(p: Points) -> np.ndarray:
    return _gap(p, _half_way(p))


def _gap(p: Points, x: np.ndarray) -> np.ndarray:
    return np.maximum(chord(p[..., _INNER_UPPER, :], x) - chord(p[..., _INNER_LOWER, :], x), 0)


def _dental_area(p: Points) -> np.ndarray:
    corner = np.minimum(p[..., 60, 0], 0)
    x = corner[..., None] * (np.arange(_STRIPS) + 0.5) / _STRIPS
    gaps = np.where(x > p[..., 64, :1], 0, _gap(p[..., None, :, :], x))
    return np.asarray(gaps.mean(-1) * -corner)


def _distance(first: int, second: int) -> Formula:
    return lambda p: np.linalg.norm(p[..., first, :] - p[..., second, :], axis=-1)


def _beside(point: int) -> Formula:
    return lambda p: p[..., point, 0]


def _tilt(p: Points) -> np.ndarray:
    """Turn of the line of the commissures, degrees; positive where the person's right corner is the higher."""
    along = p[..., 54, :] - p[..., 48, :]
    return -np.degrees(np.arctan2(along[..., 1], along[..., 0]))


DEFINITIONS = (
    Definition("brow_height", "brow height", "mm", "brow",
               "from the middle of the eye's corners to a parabola through the brow's points", EMOTRICS, _brow_height),
    Definition("palpebral_fissure", "palpebral fissure", "mm", "eye",
               "opening between the lids at the middle of the eye, on cubics through them", EMOTRICS, _fissure),
    Definition("mrd1", "margin reflex distance MRD1", "mm", "eye",
               "from the middle of the eye up to the upper lid; the middle of the eye's corners stands for the pupil, "
               "which is not among the 68 points", EMOTRICS, _mrd1),
    Definition("mrd2", "margin reflex distance MRD2", "mm", "eye",
               "from the middle of the eye (as for MRD1) down to the lower lid", EMOTRICS, _mrd2),
    Definition("eye_area", "eye area", "mm2", "eye", "area of the polygon of the eye's six points", OWN,
               lambda p: area(p[..., 36:42, :])),
    Definition("commissure_excursion", "commissure excursion", "mm", "mouth",
               "from where the lower lip's edge meets the midline to the corner of the mouth", EMOTRICS,
               _commissure_excursion),
    Definition("smile_angle", "smile angle", "deg", "mouth",
               "90 plus the rise of the line from there to the corner; above 90 the corner is higher", EMOTRICS,
               _smile_angle),
    Definition("commissure_depth", "commissure below pupil line", "mm", "mouth",
               "from the pupil line down to the corner of the mouth; the difference is the height deviation", EMOTRICS,
               lambda p: -p[..., 48, 1]),
    Definition("upper_lip_depth", "upper lip below pupil line", "mm", "mouth",
               "from the pupil line down to the upper lip's edge, half way from midline to corner", EMOTRICS,
               lambda p: -chord(p[..., _UPPER_LIP, :], _half_way(p))),
    Definition("lower_lip_depth", "lower lip below pupil line", "mm", "mouth",
               "from the pupil line down to the lower lip's edge, half way from midline to corner", EMOTRICS,
               lambda p: -chord(p[..., _LOWER_LIP, :], _half_way(p))),
    Definition("dental_show", "dental show", "mm", "mouth",
               "gap between the lips' inner edges, half way from midline to corner", EMOTRICS, _dental_show),
    Definition("dental_area", "dental show, area", "mm2", "mouth",
               "area between the lips' inner edges on this side of the midline", OWN, _dental_area),
    Definition("canthus_commissure", "inner canthus to commissure", "mm", "mouth",
               "distance of points 39 and 48 (42 and 54); the difference without sign is the FAI", DYNAFACE,
               _distance(39, 48)),
    Definition("lip_commissure", "oral commissure excursion (OCE)", "mm", "mouth",
               "from the middle of the lower lip's edge (57) to the corner of the mouth", DYNAFACE, _distance(57, 48)),
    Definition("cce_angle", "canthus-commissure angle (CCE)", "deg", "mouth",
               "at the corner of the mouth, between the line of the corners and the inner canthus", KLIMACH,
               lambda p: angle(p[..., 48, :], p[..., 54, :], p[..., 39, :])),
    Definition("mouth_tilt", "tilt of the mouth", "deg", "mouth",
               "turn of the line of the commissures; positive: the person's right corner is higher", OWN, _tilt, False),
    Definition("philtrum_deviation", "philtrum off the midline", "mm", "mouth",
               "point 51 from the midline; positive to the person's left", EMOTRICS, _beside(51), False),
    Definition("lower_lip_deviation", "lower lip's middle off the midline", "mm", "mouth",
               "point 57 from the midline; positive to the person's left", OWN, _beside(57), False),
    Definition("nose_tip_deviation", "nose tip off the midline", "mm", "nose",
               "point 30 from the midline; positive to the person's left", OWN, _beside(30), False),
    Definition("nose_base_deviation", "base of the nose off the midline", "mm", "nose",
               "point 33 from the midline; positive to the person's left", OWN, _beside(33), False),
    Definition("chin_deviation", "chin off the midline", "mm", "jaw",
               "point 8 from the midline; positive to the person's left", OWN, _beside(8), False),
)  # fmt: skip
BY_NAME = {definition.name: definition for definition in DEFINITIONS}
