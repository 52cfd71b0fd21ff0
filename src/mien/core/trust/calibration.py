"""What held-out faces say of an output of classes, beside its temperature: prediction sets, and what is unlike them.

Split conformal prediction with the score 1 - p(label) (LAC: Sadinle, Lei, Wasserman, JASA 114, 2019): a class is in the
set where its calibrated probability reaches a threshold. For new faces that are exchangeable with the held-out ones the
set contains the label with at least the chosen probability, on average over faces, not for each class.
"""

from dataclasses import dataclass, field

from mien.core.errors import MienError

COVERAGES = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.975, 0.99)
"""Those whose thresholds a bundle holds."""
USUAL = 0.9
"""The coverage that `mien evaluate` reports."""
MAX_ADJUST = 2.0  # of a logit adjustment (core.decode)
NO_LIMIT = 1e6  # an energy that none reaches


def check_logit_adjust(strength: float) -> None:
    """Raises MienError for a strength out of 0..2."""
    if not 0 <= strength <= MAX_ADJUST:
        raise MienError(f"--logit-adjust is a strength in 0..{MAX_ADJUST:g}, such as 0.5; got {strength:g}.")


@dataclass(frozen=True)
class Calibration:
    """Of one output of classes."""

    faces: int
    """Held-out faces that it was computed from."""
    thresholds: dict[str, float] = field(default_factory=dict)
    """Coverage, as text, to the least probability of a class that is in the set; 0 takes every class."""
    energy_limit: float = NO_LIMIT
    """The energy (core.decode) below which 99 % of these faces lie; NO_LIMIT where it is not known."""

    prior: tuple[float, ...] = ()
    """Share of each class among these faces, each counted once more than it occurs so that none is 0: held out class by
    class, they have the training faces' shares. Empty in older bundles."""

    def __post_init__(self) -> None:
        if self.prior and not (all(0 < share < 1 for share in self.prior) and abs(sum(self.prior) - 1) < 1e-6):
            raise MienError(f"prior has a share above 0 of each class, 1 in sum; got {self.prior!r:.80}.")
        if self.faces < 1:
            raise MienError(f"faces must be at least 1; got {self.faces}.")
        for coverage, threshold in self.thresholds.items():
            if not 0 < _number(coverage) < 1:
                raise MienError(f"thresholds are named by a coverage between 0 and 1; got {coverage!r}.")
            if not 0 <= threshold <= 1:
                raise MienError(f"thresholds.{coverage} must be in 0..1; got {threshold!r}.")

    def threshold(self, coverage: float) -> float:
        """Of the least stored coverage that is not below the wanted one. Raises MienError where there is none."""
        stored = sorted((_number(text), value) for text, value in self.thresholds.items())
        if not 0 < coverage < 1:
            raise MienError(f"A coverage lies between 0 and 1, such as 0.9; got {coverage:g}.")
        found = [value for known, value in stored if known >= coverage - 1e-9]
        if not found:
            known = ", ".join(f"{value:g}" for value, _ in stored) or "none"
            raise MienError(f"No prediction sets of coverage {coverage:g}; the model has those of {known}.")
        return found[0]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
