"""Expressions as action units, after the prototypes of EMFACS and the FACS Investigator's Guide (Ekman, Friesen & Hager
2002, ch. 12: happiness 6+12; sadness 1+4+15(+11, 17); surprise 1+2+5+26/27; fear 1+2+4+5+20+25/26; anger 4+5+7+23/24 or
with bared teeth 4+5+7+10+25; disgust 9 or 10 with 16/17, 25; contempt 12+14 on one side).

An expression drawn from here is what an actor would pose, not what a person feels.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.labels import circumplex
from mien.synthetic.face.action_units import ACTION_UNITS

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_SIDED = {unit.code: unit.sided for unit in ACTION_UNITS}


@dataclass(frozen=True)
class Prototype:
    """One way to show an expression."""

    units: Mapping[str, tuple[float, float]]
    """Action unit → range of its weight at full intensity."""
    extras: Mapping[str, tuple[float, tuple[float, float]]] = field(default_factory=dict)
    """Action unit → (probability, range of its weight)."""
    one_sided: bool = False
    """All of it on one side, drawn at random."""
    share: float = 1.0
    """Frequency among the prototypes of the expression."""


def _way(units: str, maybe: str = "", *, share: float = 1.0, one_sided: bool = False) -> Prototype:
    """A prototype from "unit low-high, ..." and "chance unit low-high, ...", all in per cent."""
    sure = [re.split("[ -]", item) for item in units.split(", ") if item]
    drawn = [re.split("[ -]", item) for item in maybe.split(", ") if item]
    return Prototype(
        {f"AU{unit}": (int(low) / 100, int(high) / 100) for unit, low, high in sure},
        {f"AU{unit}": (int(chance) / 100, (int(low) / 100, int(high) / 100)) for chance, unit, low, high in drawn},
        one_sided=one_sided,
        share=share,
    )


PROTOTYPES: dict[str, tuple[Prototype, ...]] = {
    # Faces at rest differ: low brows, narrowed eyes, pressed or parted lips, drooping lids.
    "neutral": (
        _way(
            "",
            "30 1 0-14, 30 2 0-12, 50 4 0-36, 20 5 0-14, 40 7 0-32, 30 12 0-13, "
            "35 15 0-25, 30 17 0-22, 25 23 0-36, 25 24 0-36, 20 25 0-35, 10 26 0-25, 40 43 0-24",
        ),
    ),
    "happiness": (
        _way("6 60-100, 12 80-100, 25 50-90", "40 26 10-60, 40 7 10-50, 30 10 10-40", share=2),
        _way("6 30-90, 12 70-100", "30 7 10-40, 20 14 10-30"),
        _way("6 80-100, 12 90-100, 25 60-100, 26 70-100", "50 27 10-50, 40 43 20-80, 30 1 20-60"),
    ),
    "surprise": (
        _way("1 80-100, 2 80-100, 5 70-100, 26 30-60, 27 30-90", "50 25 20-60, 20 20 10-40", share=2.5),
        _way("1 80-100, 2 80-100, 5 60-100, 26 70-100", "50 25 20-60"),
        _way("1 90-100, 2 90-100, 5 50-90, 26 30-60, 22 30-80", "40 27 10-50", share=0.5),
        _way("1 70-100, 2 70-100, 5 40-90, 12 20-50, 25 40-80, 26 50-100", "50 27 20-70", share=0.4),  # delighted
    ),
    "sadness": (
        _way("1 80-100, 4 60-90, 15 80-100", "60 17 30-80, 50 43 15-45, 30 11 20-60", share=2),
        _way("1 90-100, 4 50-90, 15 70-100, 17 50-90", "40 24 20-50, 60 43 20-60"),
        # Crying, with the mouth closed or a little open; then wailing, as small children do.
        _way("1 80-100, 4 60-90, 6 40-80, 11 30-70, 15 80-100, 25 20-50", "50 17 30-70, 40 20 20-50, 40 43 10-60"),
        _way("1 30-80, 4 60-90, 6 50-90, 7 60-100, 15 50-90, 20 50-90, 25 50-80, 26 40-90", "40 9 20-50, 50 43 30-90"),
        _way(
            "4 60-100, 6 60-100, 7 60-100, 20 40-90, 25 60-100, 27 30-90, 43 40-100",
            "50 1 30-80, 50 9 20-60, 50 15 20-60, 40 10 20-60",
            share=0.7,
        ),
    ),
    "anger": (
        _way("4 90-100, 5 30-70, 7 50-100, 23 50-100", "40 17 20-60, 40 24 30-80"),
        _way("4 90-100, 5 20-60, 7 50-100, 24 60-100, 17 20-60", "30 15 10-40"),
        # Bared teeth; then shouting.
        _way("4 90-100, 5 30-70, 7 50-100, 10 40-70, 25 60-100, 16 30-70", "40 9 20-60, 40 20 20-50, 50 26 30-80"),
        _way(
            "4 90-100, 7 60-100, 9 30-80, 10 40-90, 25 60-100, 26 30-60, 27 40-90",
            "30 5 20-60, 40 16 20-70, 30 20 20-60",
            share=1.5,
        ),
    ),
    "disgust": (
        _way("9 80-100, 10 20-60", "50 4 20-60, 50 7 30-80, 30 6 20-50, 40 25 20-50"),
        _way("9 70-100, 15 30-70, 17 40-80", "50 4 20-60, 50 7 30-70, 30 10 10-40"),
        _way("10 80-100, 9 40-70, 16 30-70, 25 30-60", "40 26 20-60, 50 7 30-80, 20 43 20-50"),
    ),
    "fear": (
        _way("1 80-100, 2 40-80, 4 50-80, 5 70-100, 20 60-100, 25 50-90", "30 7 10-40, 50 26 30-80", share=2),
        _way("1 90-100, 2 50-80, 4 50-80, 5 80-100, 25 30-70, 26 60-100, 20 30-70", "40 16 20-60"),
        _way("1 90-100, 2 40-70, 4 50-80, 5 80-100, 20 40-80", share=0.6),
        _way(
            "1 90-100, 2 50-90, 4 50-90, 5 80-100, 20 50-100, 25 50-90, 27 30-90", "40 16 20-60", share=0.8
        ),  # a scream
    ),
    "contempt": (
        _way("12 40-70, 14 70-100", "30 10 10-35", one_sided=True, share=2),
        _way("14 80-100, 12 30-50, 10 20-40", "30 2 30-60", one_sided=True),
    ),
}
_ALWAYS_PAIRED = frozenset(
    {"AU18", "AU22", "AU23", "AU24", "AU25", "AU28", "AU17"}
)  # one ring of muscle round the mouth


def sample_action_units(
    expression: str | Mapping[str, float], intensity: float = 1.0, *, rng: np.random.Generator
) -> dict[str, float]:
    """Weights 0..1 by name (`AU12_L`, `AU26`) of one way to show the expression. A mixture is names with shares: its
    largest share is shown at that intensity, the others in proportion. intensity: 0..1; what rest looks like is added.

    Raises MienError for an unknown expression, an empty mixture or an intensity outside 0..1.
    """
    shares = _shares(expression)
    if not 0 <= intensity <= 1:
        raise MienError(f"The intensity of an expression lies in 0..1; got {intensity}.")
    total = _one("neutral", 1.0, rng)
    for name, share in shares.items():
        if name != "neutral":
            for unit, weight in _one(name, intensity * share, rng).items():
                total[unit] = max(total.get(unit, 0.0), weight)
    return total


def valence_arousal(expression: str | Mapping[str, float], intensity: float = 1.0) -> tuple[float, float]:
    """Nominal valence and arousal, -1..1: the place on the circumplex (core.labels) times the intensity. A label that
    goes with what was drawn, not a rating by people."""
    valence, arousal = circumplex(_shares(expression))
    return float(intensity * valence), float(intensity * arousal)


def _shares(expression: str | Mapping[str, float]) -> dict[str, float]:
    """Shares with 1 for the largest."""
    shares = {expression: 1.0} if isinstance(expression, str) else dict(expression)
    for name in shares:
        if name not in PROTOTYPES:
            raise MienError(f"No expression {name!r} can be shown.{nearest(name, EXPRESSIONS)}")
    if not shares or min(shares.values()) < 0 or max(shares.values()) <= 0:
        raise MienError(f"A mixture of expressions has shares of 0 or more and one above; got {shares}.")
    return {name: share / max(shares.values()) for name, share in shares.items()}


def _one(expression: str, intensity: float, rng: np.random.Generator) -> dict[str, float]:
    """Weights of one prototype of one expression."""
    ways = PROTOTYPES[expression]
    odds = np.array([way.share for way in ways])
    way = ways[int(rng.choice(len(ways), p=odds / odds.sum()))]
    levels = {unit: rng.uniform(*span) for unit, span in way.units.items()}
    for unit, (chance, span) in way.extras.items():
        drawn, level = rng.random() < chance, rng.uniform(*span)
        if drawn:
            levels[unit] = level
    side = "LR"[int(rng.integers(2))] if way.one_sided else ""
    return {name: w for unit, level in levels.items() for name, w in _sides(unit, level * intensity, side, rng).items()}


def _sides(unit: str, level: float, side: str, rng: np.random.Generator) -> dict[str, float]:
    """A unit's weights left and right, up to a few per cent apart as in real faces; or on one side only."""
    apart = float(np.clip(rng.normal(0, 0.05), -0.12, 0.12)) if unit not in _ALWAYS_PAIRED else 0.0
    if not _SIDED[unit]:
        return {unit: float(min(level, 1))}
    if side and unit not in _ALWAYS_PAIRED:
        return {f"{unit}_{side}": float(min(level, 1))}
    return {f"{unit}_L": float(min(level * (1 + apart), 1)), f"{unit}_R": float(min(level * (1 - apart), 1))}
