"""What is measured of a face's picture, the limits of each measure, and the names of those that are exceeded.

The limits are where the shipped expression model loses about five points of accuracy or more (benchmarks/quality.py,
docs/benchmark.md); they say that a reading is less reliable, not that it is wrong.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mien.core.errors import MienError


@dataclass(frozen=True)
class Measure:
    """A measure of one face's picture."""

    name: str
    """Its column is `quality_NAME`."""
    unit: str
    """Empty for none."""
    range: str
    """Such as 0..1."""
    meaning: str
    """One line."""
    low: float | None = None
    """Values below it are flagged."""
    low_flag: str = ""
    """Name of that flag."""
    high: float | None = None
    """Values above it are flagged."""
    high_flag: str = ""
    """Name of that flag."""

    def flag(self, value: float) -> str:
        """Empty within the limits."""
        if self.low is not None and value < self.low:
            return self.low_flag
        return self.high_flag if self.high is not None and value > self.high else ""

    @property
    def limits(self) -> dict[str, str]:
        """Flag to its rule, such as `below 0.1`."""
        rules = {self.low_flag: ("below", self.low), self.high_flag: ("above", self.high)}
        return {flag: f"{word} {limit:g}" for flag, (word, limit) in rules.items() if limit is not None}


SIDE = 48  # pixels of the square that light and sharpness are measured in
ENERGY = "energy"
MEASURES = (
    Measure(
        "sharpness", "", "0..",
        f"variance of the Laplacian over the variance of the light, of the face's box at {SIDE} x {SIDE} pixels",
        0.05, "blurred",
    ),
    Measure("brightness", "", "0..1", "mean grey level of the face's box", 0.15, "dark", 0.85, "bright"),
    Measure("contrast", "", "0..0.5", "standard deviation of the grey levels of the face's box", 0.05, "low_contrast"),
    Measure("size", "pixels", "0..", "mean side of the face's box", 24.0, "small"),
    Measure("cut", "", "0..1", "share of the face's box that lies outside of the picture", None, "", 0.2, "cut_off"),
    Measure("turn", "degrees", "0..180", "angle between face and lens, of pitch and yaw", None, "", 45.0, "turned"),
    Measure("hidden", "", "0..1", "share of the points inside the face that are hidden", None, "", 0.08, "occluded"),
    Measure(
        "confidence", "probability", "0..1", "of the points' confidence the mean of the least certain region, the jaw "
        "left out", 0.3, "uncertain_points",
    ),
    Measure(
        "plausibility", "probability", "0..1", "mean confidence of all points: low where the landmark model finds no "
        "upright face", 0.6, "unlike_face",
    ),
    Measure(
        ENERGY, "", "", "-log(sum(exp(logits))) of the first output of classes; high where the face is unlike those of "
        "the training; the limit is the bundle's (99 % of its held-out faces lie below)", None, "", None,
        "unlike_training",
    ),
)  # fmt: skip
FLAGS = tuple(flag for m in MEASURES for flag in (m.low_flag, m.high_flag) if flag)
"""Every flag, in order."""


@dataclass(frozen=True, slots=True)
class FaceQuality:
    """Of one face."""

    values: dict[str, float] = field(default_factory=dict)
    """By measure; what could not be measured is missing."""
    flags: tuple[str, ...] = ()
    """Of FLAGS: the measures outside of their limits."""

    @classmethod
    def of(cls, values: Mapping[str, float], *, energy_limit: float | None = None) -> "FaceQuality":
        """energy_limit: of the bundle; None flags no energy. Raises MienError for a name that is no measure."""
        known = {measure.name: measure for measure in MEASURES}
        if unknown := [name for name in values if name not in known]:
            raise MienError(f"No measure of quality {unknown[0]!r}; known: {', '.join(known)}.")
        flags = [measure.flag(values[name]) for name, measure in known.items() if name in values]
        if energy_limit is not None and values.get(ENERGY, energy_limit) > energy_limit:
            flags.append(known[ENERGY].high_flag)
        return cls(dict(values), tuple(filter(None, flags)))

    @property
    def summary(self) -> str:
        """`blurred, small`; empty where nothing is flagged."""
        return ", ".join(flag.replace("_", " ") for flag in self.flags)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return {"values": dict(self.values), "flags": list(self.flags)}
