"""The finding of a picture in one sentence: the region that differs most, by how much, and which side moves less."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.runtime.asymmetry.measures import Calibrated, Measure
from mien.runtime.asymmetry.static import FaceMeasures

Side = Literal["right", "left", ""]
# One measure for each thing that a clinician names; areas, angles and distances of the same points stay in the table.
MEASURES = (
    "brow_height", "palpebral_fissure", "commissure_excursion", "commissure_depth", "smile_angle", "upper_lip_depth",
    "lower_lip_depth", "dental_show",
)  # fmt: skip
_SECONDARY = ("upper_lip_depth", "lower_lip_depth", "dental_show")
# Task -> measure -> whether the side that moves less has the smaller (1) or the larger value (-1).
_LESS: Mapping[str, Mapping[str, int]] = {
    "brow_raise": {"brow_height": 1},
    "eyes_closed_gently": {"palpebral_fissure": -1},
    "eyes_closed_tightly": {"palpebral_fissure": -1},
    "smile": {"commissure_excursion": 1, "commissure_depth": -1, "upper_lip_depth": -1, "dental_show": 1},
    "snarl": {"commissure_depth": -1, "upper_lip_depth": -1, "dental_show": 1},
    "pucker": {"commissure_excursion": -1},
    "lower_teeth": {"lower_lip_depth": 1, "dental_show": 1},
}  # fmt: skip
# As a clinician says that the side with the larger value differs.
_LARGER = {
    "brow_height": "the brow stands {} higher", "palpebral_fissure": "the eye is open {} wider",
    "commissure_excursion": "the corner of the mouth stands {} further from the midline",
    "commissure_depth": "the corner of the mouth stands {} lower",
    "smile_angle": "the corner of the mouth rises {} more",
    "upper_lip_depth": "the upper lip stands {} lower", "lower_lip_depth": "the lower lip stands {} lower",
    "dental_show": "the lips part {} more",
}  # fmt: skip
_UNITS = {"mm": " mm", "mm2": " mm\N{SUPERSCRIPT TWO}", "deg": "\N{DEGREE SIGN}"}


@dataclass(frozen=True)
class Headline:
    """What stands out in a picture."""

    measure: Measure
    """The one of the region that is furthest beyond a healthy limit, or nearest to one."""
    true: Calibrated
    """Its true difference."""
    clear: bool
    """Whether the measure is beyond its own limit, which 5 % of healthy faces exceed."""
    certain: bool
    """Whether it is beyond the limit that 5 % of healthy faces exceed in whatever measure they differ most."""
    weaker: Side
    """Side that moves less in the task; "" where the task does not show it, or nothing is beyond error."""
    compared_with_rest: bool
    """Whether the picture at rest was subtracted for `weaker`."""
    clear_measures: int
    """How many of all measures are beyond their own healthy limit."""
    measures: int
    """Of so many."""

    @property
    def sentence(self) -> str:
        first = f"{self.measure.definition.region}: {_amount(self.measure, self.true)}"
        if not self.clear:
            return f"no region differs more than in healthy faces; largest at the {first}"
        if not self.certain:
            first += "; not certain, since with so many measures some healthy faces are beyond a limit, too"
        if not self.weaker:
            return first
        base = "" if self.compared_with_rest else " in this picture (none at rest to compare with)"
        return f"{first}; the person's {self.weaker} side moves less{base}"


def amount_of_unit(measure: Measure) -> str:
    """As it stands behind a number, with its space."""
    return _UNITS[measure.unit]


def headline(
    measured: FaceMeasures, *, face_limit: float, task: str = "", rest: FaceMeasures | None = None
) -> Headline | None:
    """None where no errors were fitted. rest: the same person at rest, to state which side moves less."""
    known = [(m, m.true) for m in measured.measures if m.true is not None]
    chosen = [(m, true) for m, true in known if m.name in MEASURES]
    if not chosen:
        return None
    ratios = [true.excess for _, true in chosen]
    worst = int(np.argmax(ratios))
    clear, certain = ratios[worst] > 1, ratios[worst] > face_limit
    if clear:  # a lip is named only where the corner of the mouth does not show it
        region = chosen[worst][0].definition.region
        least = face_limit if certain else 1
        own = [k for k, (m, _) in enumerate(chosen) if m.definition.region == region and ratios[k] > least]
        worst = max(own, key=lambda k: (chosen[k][0].name not in _SECONDARY, ratios[k]))
    weaker, with_rest = _weaker(chosen, ratios, task, rest) if clear else ("", False)
    measure, true = chosen[worst]
    return Headline(measure, true, clear, certain, weaker, with_rest, sum(t.clear for _, t in known), len(known))


def _weaker(
    chosen: list[tuple[Measure, Calibrated]], ratios: list[float], task: str, rest: FaceMeasures | None
) -> tuple[Side, bool]:
    """By the measure that shows the task's movement and is furthest beyond its limit; with rest, beyond the error of
    the change, too."""
    shown = _LESS.get(task, {})
    for k in np.argsort(ratios)[::-1]:
        measure, true = chosen[k]
        if measure.name not in shown or not true.clear:
            continue
        before = None if rest is None else rest[measure.name].true
        moved = true.value - (before.value if before else 0.0)
        error = true.half_90 if before is None else true.repeat * float(np.hypot(true.half_90, before.half_90))
        if abs(moved) > error:
            smaller: Side = "right" if moved * shown[measure.name] < 0 else "left"
            return smaller, before is not None
    return "", False


def _amount(measure: Measure, true: Calibrated) -> str:
    """`the eye is open 4.5 mm wider on the person's right (palpebral fissure; 90 % range 3.0 to 6.0 mm, ...)`."""
    unit, sign = amount_of_unit(measure), 1 if true.value >= 0 else -1
    ends = sorted((sign * true.low, sign * true.high))
    side = "right" if true.value >= 0 else "left"
    low, high = (f"{value:.1f}".replace("-", "\N{MINUS SIGN}") for value in ends)
    larger = _LARGER[measure.name].format(f"{abs(true.value):.1f}{unit}")
    return (
        f"{larger} on the person's {side} ({measure.definition.title}; 90 % range {low} to {high}{unit}, 95 % of "
        f"healthy faces differ by less than {true.healthy:.1f}{unit})"
    )
