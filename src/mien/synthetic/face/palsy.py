"""One-sided facial palsy as a change of action-unit weights, with what the face looks like at rest.

Severity goes by region, 0 (as the other side) to 1 (no movement), beside the words of the two common clinical scales:
House-Brackmann (1985) grades the whole face from I (normal) to VI (none); Sunnybrook (Ross, Fradet & Nedzelski 1996)
scores rest (eye, fold, mouth), five movements by region, and synkinesis apart. `described` says in their words what was
drawn. It describes a drawing: never a diagnosis.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mien.core.errors import MienError, nearest

REGIONS = ("forehead", "eye", "midface", "mouth")
# Which region of the facial nerve's branches (temporal, zygomatic, buccal, marginal mandibular) moves each unit. AU5 is
# the oculomotor nerve's: it stays, so an eye that cannot close still opens wide. The jaw is the trigeminal nerve's.
_REGION_OF = {
    "AU1": "forehead", "AU2": "forehead", "AU4": "forehead",
    "AU6": "eye", "AU7": "eye", "AU43": "eye", "AU45": "eye",
    "AU9": "midface", "AU10": "midface", "AU11": "midface",
    **{f"AU{n}": "mouth" for n in (12, 14, 15, 16, 17, 18, 20, 22, 23, 24, 25, 28, 34)},
}  # fmt: skip
# Gravity and the levator let some of the lids' way happen without orbicularis: even a paralysed eye closes partly.
_PASSIVE_CLOSURE = 0.35
_GRADES = ("I", "II", "III", "IV", "V", "VI")


@dataclass(frozen=True)
class Palsy:
    """A one-sided facial palsy; severities in 0..1 by region. Raises MienError for values outside."""

    side: str
    """"L" or "R", the person's own."""
    forehead: float = 0.0
    """Severity."""
    eye: float = 0.0
    """Severity."""
    midface: float = 0.0
    """Severity."""
    mouth: float = 0.0
    """Severity."""
    flaccid: float = 1.0
    """1 droops at rest, 0 keeps its tone."""
    oral_ocular: float = 0.0
    """Synkinesis: the eye closes when the mouth moves, 0..1."""
    ocular_oral: float = 0.0
    """Synkinesis: the mouth's corner lifts when the eye closes, 0..1."""

    def __post_init__(self) -> None:
        if self.side not in ("L", "R"):
            raise MienError(f"A palsy's side is L or R, the person's own; got {self.side!r}.")
        for name in (*REGIONS, "flaccid", "oral_ocular", "ocular_oral"):
            if not 0 <= getattr(self, name) <= 1:
                raise MienError(f"A palsy's {name} lies in 0..1; got {getattr(self, name)}.")

    @property
    def mirrored(self) -> "Palsy":
        """The same on the other side."""
        values = {name: getattr(self, name) for name in (*REGIONS, "flaccid", "oral_ocular", "ocular_oral")}
        return Palsy("R" if self.side == "L" else "L", **values)

    @property
    def severity(self) -> float:
        """Mean over the regions, 0..1."""
        return float(np.mean([getattr(self, region) for region in REGIONS]))

    @property
    def house_brackmann(self) -> str:
        """The grade, I to VI, that this severity would be drawn as: I up to 0.05, VI from 0.95, even steps between."""
        return _GRADES[int(np.searchsorted([0.05, 0.25, 0.5, 0.75, 0.95], self.severity, side="right"))]

    def applied(self, units: Mapping[str, float]) -> dict[str, float]:
        """Weights with this palsy: weak on its side, droop and synkinesis, the mouth pulled to the healthy side."""
        result = dict(units)
        for name, weight in units.items():
            unit, _, side = name.partition("_")
            if side == self.side and unit in _REGION_OF:
                result[name] = weight * self._left_over(unit)
        self._add_synkinesis(units, result)
        for name, weight in self._rest(units).items():
            result[name] = float(np.clip(result.get(name, 0.0) + weight, 0, 1))
        return result

    def _left_over(self, unit: str) -> float:
        """Share of the movement that is left on the weak side."""
        left = 1 - getattr(self, _REGION_OF[unit])
        return _PASSIVE_CLOSURE + (1 - _PASSIVE_CLOSURE) * left if unit in ("AU43", "AU45") else left

    def _add_synkinesis(self, units: Mapping[str, float], result: dict[str, float]) -> None:
        mouth = max((units.get(f"{u}_{self.side}", 0.0) for u in ("AU12", "AU18", "AU20", "AU25")), default=0.0)
        lids = max(units.get(f"{u}_{self.side}", 0.0) for u in ("AU43", "AU45", "AU7"))
        self._raise(result, "AU43", 0.6 * self.oral_ocular * mouth)
        self._raise(result, "AU7", 0.8 * self.oral_ocular * mouth)
        self._raise(result, "AU12", 0.35 * self.ocular_oral * lids)
        self._raise(result, "AU14", 0.40 * self.ocular_oral * lids)

    def _raise(self, result: dict[str, float], unit: str, weight: float) -> None:
        if weight > 0:
            name = f"{unit}_{self.side}"
            result[name] = max(result.get(name, 0.0), weight)

    def _rest(self, units: Mapping[str, float]) -> dict[str, float]:
        """Droop of brow, lids, fold and corner; the corner is dragged further when the healthy side pulls."""
        other = "R" if self.side == "L" else "L"
        pull = max((units.get(f"{u}_{other}", 0.0) for u in ("AU12", "AU14", "AU20")), default=0.0)
        sags = {
            "sag_brow": self.flaccid * self.forehead,
            "sag_eye": self.flaccid * self.eye,
            "sag_fold": self.flaccid * self.midface,
            "sag_mouth": self.mouth * (0.75 * self.flaccid + 0.25 * pull),
        }
        return {f"{name}_{self.side}": weight for name, weight in sags.items() if weight > 0}

    def described(self) -> str:
        """One line in the scales' words, e.g. for a data card."""
        regions = [f"{region} {_severity_name(getattr(self, region))}" for region in REGIONS]
        side = "left" if self.side == "L" else "right"
        grade = f"drawn like House-Brackmann {self.house_brackmann} (a drawing, not a diagnosis)"
        return f"{side} side: {', '.join(regions)}; {grade}"


def _severity_name(severity: float) -> str:
    """Sunnybrook's five steps of voluntary movement."""
    steps = ("moves fully", "moves almost fully", "moves with mild excursion", "moves slightly", "does not move")
    return steps[int(np.searchsorted([0.05, 0.3, 0.6, 0.95], severity, side="right"))]


def sample_palsy(rng: np.random.Generator, *, severity: float | None = None, side: str | None = None) -> Palsy:
    """A palsy like those met: one side, regions about equally weak (Bell's palsy takes the whole side), synkinesis in
    the partly recovered. severity: 0..1, drawn when None. Raises MienError for a side other than L or R."""
    if side is not None and side not in ("L", "R"):
        raise MienError(f"A palsy's side is L or R, the person's own; got {side!r}.{nearest(side, ('L', 'R'))}")
    side = side or "LR"[int(rng.integers(2))]
    level = float(rng.uniform(0.2, 1.0)) if severity is None else severity
    regions = np.clip(level + rng.normal(0, 0.1, len(REGIONS)), 0, 1)
    recovered = level < 0.7 and rng.random() < 0.5
    oral, ocular = (float(rng.uniform(0.2, 0.9)) if recovered else 0.0 for _ in range(2))
    flaccid = float(rng.uniform(0.2, 0.5) if recovered else rng.uniform(0.7, 1.0))
    return Palsy(
        side,
        **{r: float(v) for r, v in zip(REGIONS, regions, strict=True)},
        flaccid=flaccid,
        oral_ocular=oral,
        ocular_oral=ocular,
    )
