"""Expressions as action units, after the prototypes of EMFACS and the FACS Investigator's Guide (Ekman, Friesen & Hager
2002, ch. 12: happiness 6+12; sadness 1+4+15(+11, 17); surprise 1+2+5+26/27; fear 1+2+4+5+20+25/26; anger 4+5+7+23/24 or
with bared teeth 4+5+7+10+25; disgust 9 or 10 with 16/17, 25; contempt 12+14 on one side).

An expression drawn from here is what an actor would pose, not what a person feels.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from mien.core.errors import MienError, nearest
from mien.data.synthetic.action_units import ACTION_UNITS

EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
_SIDED = {unit.code: unit.sided for unit in ACTION_UNITS}


@dataclass(frozen=True)
class Prototype:
    """One way to show an expression: action units with the range of their weights at full intensity; extras: (chance,
    range); one_sided: all of it on one side, drawn at random; share: how often among the expression's prototypes."""

    units: Mapping[str, tuple[float, float]]
    extras: Mapping[str, tuple[float, tuple[float, float]]] = field(default_factory=dict)
    one_sided: bool = False
    share: float = 1.0


PROTOTYPES: dict[str, tuple[Prototype, ...]] = {
    "neutral": (
        Prototype(
            {},
            {
                "AU1": (0.3, (0.0, 0.12)), "AU2": (0.3, (0.0, 0.10)), "AU4": (0.3, (0.0, 0.12)), "AU5": (0.2, (0.0, 0.12)),
                "AU7": (0.3, (0.0, 0.15)), "AU12": (0.3, (0.0, 0.10)), "AU15": (0.2, (0.0, 0.10)), "AU17": (0.2, (0.0, 0.12)),
                "AU23": (0.2, (0.0, 0.15)), "AU24": (0.15, (0.0, 0.15)), "AU25": (0.15, (0.0, 0.20)), "AU43": (0.4, (0.0, 0.18)),
            },
        ),
    ),
    "happiness": (
        Prototype({"AU6": (0.6, 1.0), "AU12": (0.8, 1.0), "AU25": (0.5, 0.9)}, {"AU26": (0.4, (0.1, 0.6)), "AU7": (0.4, (0.1, 0.5)), "AU10": (0.3, (0.1, 0.4))}, share=2),
        Prototype({"AU6": (0.3, 0.9), "AU12": (0.7, 1.0)}, {"AU7": (0.3, (0.1, 0.4)), "AU14": (0.2, (0.1, 0.3))}),
        Prototype({"AU6": (0.8, 1.0), "AU12": (0.9, 1.0), "AU25": (0.6, 1.0), "AU26": (0.7, 1.0)}, {"AU43": (0.3, (0.2, 0.7))}, share=0.6),
    ),
    "surprise": (
        Prototype({"AU1": (0.8, 1.0), "AU2": (0.8, 1.0), "AU5": (0.6, 1.0), "AU26": (0.7, 1.0)}, {"AU25": (0.5, (0.2, 0.6))}, share=2),
        Prototype({"AU1": (0.8, 1.0), "AU2": (0.8, 1.0), "AU5": (0.7, 1.0), "AU27": (0.5, 1.0)}, {"AU18": (0.2, (0.1, 0.3))}),
        Prototype({"AU1": (0.9, 1.0), "AU2": (0.9, 1.0), "AU5": (0.5, 0.9), "AU26": (0.3, 0.6), "AU22": (0.3, 0.7)}, share=0.5),
    ),
    "sadness": (
        Prototype({"AU1": (0.8, 1.0), "AU4": (0.4, 0.7), "AU15": (0.7, 1.0)}, {"AU17": (0.6, (0.3, 0.8)), "AU43": (0.5, (0.1, 0.4)), "AU11": (0.3, (0.2, 0.6))}, share=2),
        Prototype({"AU1": (0.9, 1.0), "AU4": (0.3, 0.6), "AU15": (0.5, 0.9), "AU17": (0.5, 0.9)}, {"AU24": (0.4, (0.2, 0.5)), "AU43": (0.6, (0.15, 0.45))}),
        # Crying.
        Prototype(
            {"AU1": (0.8, 1.0), "AU4": (0.5, 0.8), "AU6": (0.4, 0.8), "AU11": (0.3, 0.7), "AU15": (0.7, 1.0), "AU25": (0.2, 0.5)},
            {"AU17": (0.5, (0.3, 0.7)), "AU20": (0.4, (0.2, 0.5)), "AU43": (0.4, (0.1, 0.5))},
            share=0.6,
        ),
    ),
    "anger": (
        Prototype({"AU4": (0.8, 1.0), "AU5": (0.3, 0.7), "AU7": (0.5, 1.0), "AU23": (0.5, 1.0)}, {"AU17": (0.4, (0.2, 0.6)), "AU24": (0.4, (0.3, 0.8))}),
        Prototype({"AU4": (0.8, 1.0), "AU5": (0.2, 0.6), "AU7": (0.5, 1.0), "AU24": (0.6, 1.0), "AU17": (0.2, 0.6)}, {"AU15": (0.3, (0.1, 0.4))}),
        # Bared teeth.
        Prototype(
            {"AU4": (0.9, 1.0), "AU5": (0.3, 0.7), "AU7": (0.5, 1.0), "AU10": (0.4, 0.7), "AU25": (0.6, 1.0), "AU16": (0.3, 0.7)},
            {"AU9": (0.4, (0.2, 0.6)), "AU20": (0.4, (0.2, 0.5)), "AU26": (0.5, (0.3, 0.8))},
        ),
    ),
    "disgust": (
        Prototype({"AU9": (0.8, 1.0), "AU10": (0.2, 0.6)}, {"AU4": (0.5, (0.2, 0.6)), "AU7": (0.5, (0.3, 0.8)), "AU6": (0.3, (0.2, 0.5)), "AU25": (0.4, (0.2, 0.5))}),
        Prototype({"AU9": (0.7, 1.0), "AU15": (0.3, 0.7), "AU17": (0.4, 0.8)}, {"AU4": (0.5, (0.2, 0.6)), "AU7": (0.5, (0.3, 0.7)), "AU10": (0.3, (0.1, 0.4))}),
        Prototype({"AU10": (0.8, 1.0), "AU9": (0.4, 0.7), "AU16": (0.3, 0.7), "AU25": (0.3, 0.6)}, {"AU26": (0.4, (0.2, 0.6)), "AU7": (0.5, (0.3, 0.8)), "AU43": (0.2, (0.2, 0.5))}),
    ),
    "fear": (
        Prototype({"AU1": (0.8, 1.0), "AU2": (0.4, 0.8), "AU4": (0.5, 0.8), "AU5": (0.7, 1.0), "AU20": (0.6, 1.0), "AU25": (0.5, 0.9)}, {"AU7": (0.3, (0.1, 0.4)), "AU26": (0.5, (0.3, 0.8))}, share=2),
        Prototype({"AU1": (0.9, 1.0), "AU2": (0.5, 0.8), "AU4": (0.5, 0.8), "AU5": (0.8, 1.0), "AU25": (0.3, 0.7), "AU26": (0.6, 1.0), "AU20": (0.3, 0.7)}, {"AU16": (0.4, (0.2, 0.6))}),
        Prototype({"AU1": (0.9, 1.0), "AU2": (0.4, 0.7), "AU4": (0.5, 0.8), "AU5": (0.8, 1.0), "AU20": (0.4, 0.8)}, share=0.6),
    ),
    "contempt": (
        Prototype({"AU12": (0.4, 0.7), "AU14": (0.7, 1.0)}, {"AU10": (0.3, (0.1, 0.35))}, one_sided=True, share=2),
        Prototype({"AU14": (0.8, 1.0), "AU12": (0.3, 0.5), "AU10": (0.2, 0.4)}, {"AU2": (0.3, (0.3, 0.6))}, one_sided=True),
    ),
}  # fmt: skip
# Pleasure and arousal of the words for the states, -1..1: the means that Russell & Mehrabian measured (1977, Journal of
# Research in Personality 11, 273-294), which Russell's circumplex (1980) arranges on a circle. Neutral is the origin;
# contempt is not in the usual short list and was set by us between disgust and neutral.
_CIRCUMPLEX = {
    "neutral": (0.0, 0.0),
    "happiness": (0.81, 0.51),
    "surprise": (0.40, 0.67),
    "sadness": (-0.63, -0.27),
    "anger": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "contempt": (-0.40, 0.20),
}
_ALWAYS_PAIRED = frozenset({"AU18", "AU22", "AU23", "AU24", "AU25", "AU28", "AU17"})  # one ring of muscle round the mouth


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
    """Nominal valence and arousal, -1..1: the expression's place on Russell's circumplex times the intensity (see
    _CIRCUMPLEX); of a mixture, the mean by share. A label that goes with what was drawn, not a rating by people."""
    shares = _shares(expression)
    total = sum(shares.values())
    valence, arousal = (sum(s * _CIRCUMPLEX[name][k] for name, s in shares.items()) / total for k in range(2))
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
