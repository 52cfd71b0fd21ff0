"""Assessment: completes each reading with the quality of its picture, a prediction set, abstention and agreement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, TypeVar

from mien.core.errors import MienError
from mien.core.records import Reading
from mien.core.trust.agreement import Agreement
from mien.core.trust.calibration import Calibration
from mien.core.trust.prediction_sets import prediction_set
from mien.media.image import Picture
from mien.runtime.networks import ClassShares, FaceOutput
from mien.runtime.trust.quality import quality_of

ReadingT = TypeVar("ReadingT", bound=Reading)


@dataclass(frozen=True)
class Assessment:
    """What is stated of each face beside its reading.

    Raises MienError for a coverage that the first model has no thresholds of, and for abstention without a coverage.
    """

    outputs: Sequence[FaceOutput]
    """Of all models, in order."""
    coverage: float | None = None
    """Of the prediction sets; None is none."""
    abstain: int | None = None
    """Faces whose set has more classes than this, or whose picture has a quality flag, get no expression."""

    def __post_init__(self) -> None:
        if self.abstain is not None and self.coverage is None:
            raise MienError("Abstention needs prediction sets: state a coverage too, such as 0.9.")
        if self.abstain is not None and self.abstain < 1:
            raise MienError(
                f"abstain is the largest set that still gets an expression, at least 1; got {self.abstain}."
            )
        self.threshold  # noqa: B018 (a mistake is an error now)

    @cached_property
    def main(self) -> FaceOutput | None:
        """The first output of classes."""
        return next((each for each in self.outputs if each.output.kind == "classes"), None)

    @cached_property
    def seconds(self) -> list[FaceOutput]:
        """Further outputs of the main one's classes, of other models."""
        main = self.main
        return [] if main is None else [
            each for each in self.outputs
            if each.output.kind == "classes" and each.info is not main.info
            and set(each.output.names) == set(main.output.names)
        ]  # fmt: skip

    @cached_property
    def calibration(self) -> Calibration | None:
        """Of the main output; None where its bundle holds none."""
        if self.main is None:
            return None
        info = self.main.info
        own = next((name for name, output in info.outputs.items() if output is self.main.output), "")
        return info.calibration.get(own)

    @cached_property
    def threshold(self) -> float | None:
        """Of the prediction sets; None where there are none. Raises MienError where they are wanted and unknown."""
        if self.coverage is None:
            return None
        if self.main is None:
            raise MienError("A coverage is of an expression model; these bundles give no classes.")
        if self.calibration is None:
            raise MienError(
                f"{self.main.info.model_id} has no thresholds of prediction sets: it was made by an older version. Fit "
                "it again, or leave the coverage out."
            )
        return self.calibration.threshold(self.coverage)

    def completed(self, face: ReadingT, given: Mapping[str, Any], picture: Picture) -> ReadingT:
        """The reading with what is stated of it. given: what the networks gave of the face, by output name."""
        assert face.box is not None
        main, calibration = self.main, self.calibration
        shares = given.get(main.name) if main else None
        quality = quality_of(
            picture.pixels, face.box, scale=picture.scale, points=face.points,
            energy=shares.energy if isinstance(shares, ClassShares) else None,
            energy_limit=calibration.energy_limit if calibration else None,
        )  # fmt: skip
        found = replace(face, quality=quality, agreement=self._agreement(given))
        if self.threshold is None:
            return found
        names = prediction_set(face.probabilities, self.threshold)
        why = self._abstention(names, quality.flags)
        return replace(
            found, expression_set=names, abstained=why, expression=None if why else face.expression
        )  # fmt: skip

    def _abstention(self, names: Sequence[str], flags: Sequence[str]) -> str:
        """The reasons, separated by semicolons; empty where an expression is given."""
        if self.abstain is None or not names:
            return ""
        wide = [f"set of {len(names)} classes"] if len(names) > self.abstain else []
        return ";".join([*wide, *flags])

    def _agreement(self, given: Mapping[str, Any]) -> Agreement | None:
        if not self.seconds or self.main is None:
            return None
        models = [given[each.name] for each in (self.main, *self.seconds) if each.name in given]
        return Agreement.of(models) if len(models) > 1 else None
