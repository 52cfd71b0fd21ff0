"""What an evaluation is: what a model was asked about, and what came out. Tables and reports are made from these."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    from mien.core.bundle import BundleInfo
    from mien.core.records import Sample
    from mien.engine.evaluation.compare import Comparison, Difference
    from mien.engine.evaluation.points.crops import CropName
    from mien.engine.evaluation.points.predictions import PointAnswers
    from mien.engine.evaluation.scores import Answers, Score
    from mien.metrics.alignment import Normaliser


@dataclass(frozen=True)
class Target:
    """What a model is asked about. samples: their expression counts in the model's LabelSet.

    dropped: samples by class that the model does not have. unlabelled: samples without a label. split_hash: of the
    whole split, in the data set's own classes. split_file: hash of the file that made the split, and the fold.
    """

    data: str
    split: str
    split_hash: str
    samples: "list[Sample]"
    dropped: dict[str, int] = field(default_factory=dict)
    unlabelled: int = 0
    split_file: str = ""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What came out, all that the report says. failures: (key, reason) of pictures that could not be read."""

    bundle: str
    info: "BundleInfo"
    engine: str
    target: Target
    answers: "Answers"
    failures: list[tuple[str, str]]
    scores: "list[Score]"
    seconds: float
    seen: list[str]
    leaks: dict[str, Any] = field(default_factory=dict)
    comparison: "Comparison | None" = None

    @property
    def model(self) -> str:
        return self.info.model_id


@dataclass(frozen=True, eq=False)
class LandmarkEvaluation:
    """What came out, all that the report says. answers: by kind of crop. missed: faces that the detector did not find.

    against: the second model's answers and name, where two were compared; differences: of their NME on the same faces,
    by kind of crop. oracle: the data's boxes are the rectangles
    around the true points.
    """

    bundle: str
    info: "BundleInfo"
    engine: str
    target: Target
    normaliser: "Normaliser"
    answers: "dict[CropName, PointAnswers]"
    failures: list[tuple[str, str]]
    missed: list[str]
    scores: "list[Score]"
    seconds: float
    seen: list[str]
    oracle: bool = False
    leaks: dict[str, Any] = field(default_factory=dict)
    against: "LandmarkEvaluation | None" = None
    differences: "tuple[Difference, ...]" = ()

    @property
    def model(self) -> str:
        return self.info.model_id

    @property
    def main(self) -> "PointAnswers":
        """The answers that the headline is about: on the first kind of crop."""
        return next(iter(self.answers.values()))


def face_errors(answers: "PointAnswers", normaliser: "Normaliser") -> "dict[str, np.float64]":
    """key -> NME of the face."""
    from mien.metrics.alignment import nme_per_face

    errors = nme_per_face(answers.predicted_px, answers.truth_px, normaliser=normaliser)
    return dict(zip(answers.keys, errors, strict=True))
