"""The columns that say how far a reading can be trusted."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mien.core.records import Reading
from mien.core.trust.calibration import NO_LIMIT
from mien.core.trust.quality import MEASURES
from mien.media.tables.columns import Column
from mien.runtime.trust.assessment import Assessment

_NUMBER = ".4f"  # in CSV
_QUALITY = tuple(Column(f"quality_{m.name}", "number", m.unit, m.range, m.meaning, _NUMBER) for m in MEASURES)
_FLAGS = Column(
    "quality_flags",
    "text",
    meaning="the measures outside of their limits, separated by semicolons; empty where all are inside",
)
SOURCE = "benchmarks/quality.py: accuracy of the shipped expression model on faces made worse step by step"
SET_METHOD = (
    "split conformal prediction with the score 1 - p(label) on held-out faces (LAC); the share of labels in the sets "
    "is an average over faces like those, not a promise for each class, and is lower on other faces"
)


@dataclass(frozen=True)
class TrustColumns:
    """Quality always; prediction sets and agreement where the Analyzer gives them."""

    assessment: Assessment | None = None
    """Of the Analyzer; None is quality alone."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """In order."""
        return (*self._sets, *self._agreement, *_QUALITY, _FLAGS)

    @property
    def _sets(self) -> list[Column]:
        given = self.assessment
        if given is None or given.coverage is None:
            return []
        found = [
            Column(
                "expression_set", "text",
                meaning="classes, the most probable first, separated by semicolons; with probability "
                f"{given.coverage:g} or more the label is among them",
            )
        ]  # fmt: skip
        why = "why no expression is given, separated by semicolons: a wide set, quality flags; empty where one is given"
        return found + ([Column("abstained", "text", meaning=why)] if given.abstain is not None else [])

    @property
    def _agreement(self) -> list[Column]:
        given = self.assessment
        if given is None or not given.seconds or given.main is None:
            return []
        models = ", ".join(each.info.model_id for each in (given.main, *given.seconds))
        return [
            Column(
                "agreement", "number", "", "0..1",
                f"share of the other models whose most probable class is the first one's; of {models}", _NUMBER,
            ),
            Column(
                "divergence", "number", "bits", "0..", "Jensen-Shannon divergence of the models' probabilities",
                _NUMBER,
            ),
            *(
                Column(f"mean_prob_{name}", "number", "probability", "0..1", "mean of the models' probabilities", ".6f")
                for name in given.main.output.names
            ),
        ]  # fmt: skip

    def cells(self, reading: Reading) -> dict[str, Any]:
        """Values by column name."""
        cells: dict[str, Any] = {}
        if reading.quality is not None:
            cells = {f"quality_{name}": value for name, value in reading.quality.values.items()}
            cells["quality_flags"] = ";".join(reading.quality.flags) or None
        if reading.agreement is not None:
            cells |= {"agreement": reading.agreement.share, "divergence": reading.agreement.divergence}
            cells |= {f"mean_prob_{name}": value for name, value in reading.agreement.probabilities.items()}
        if reading.expression_set:
            cells |= {"expression_set": ";".join(reading.expression_set)}
        return cells | ({"abstained": reading.abstained} if reading.abstained else {})

    def described(self) -> dict[str, Any]:
        """For the sidecar."""
        given = self.assessment
        calibration = given.calibration if given else None
        limits = {flag: f"quality_{m.name} {rule}" for m in MEASURES for flag, rule in m.limits.items()}
        if calibration and calibration.energy_limit < NO_LIMIT:
            limits[MEASURES[-1].high_flag] = f"quality_{MEASURES[-1].name} above {calibration.energy_limit:.4g}"
        found: dict[str, Any] = {"quality": {"flags": limits, "limits_from": SOURCE}}
        if given and calibration and given.threshold is not None:
            found["prediction_sets"] = {
                "coverage": given.coverage, "threshold": given.threshold, "abstain": given.abstain,
                "held_out_faces": calibration.faces, "method": SET_METHOD,
            }  # fmt: skip
        return found
