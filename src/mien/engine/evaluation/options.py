"""Options of an evaluation. Light to import: the command's help reads this module."""

from dataclasses import dataclass
from typing import Literal

from mien.core.trust.calibration import check_logit_adjust

CropChoice = Literal["data", "landmarks", "detector", "reading", "both", "all"]
OcularNorm = Literal["outer", "pupil", "bb", "none"]


@dataclass(frozen=True)
class NoOptions:
    """Of an output whose measurement has no options of its own."""


@dataclass(frozen=True)
class ClassOptions:
    """How classes are measured."""

    logit_adjust: float = 0.0
    """Strength with which the classes' shares in training are taken out of the probabilities, 0..2."""

    def __post_init__(self) -> None:
        check_logit_adjust(self.logit_adjust)


@dataclass(frozen=True)
class PointOptions:
    """How points are measured."""

    crop: CropChoice = "data"
    """What cuts out the faces; `both` is landmarks and detector, `all` those and reading."""
    ocular_norm: OcularNorm = "outer"
    """What errors are divided by."""
    benchmark: bool = False
    """Whether the lines of the published evaluator are printed too."""
    eval_3d: bool = False
    """Whether depth is required, and errors in 3D are printed with those lines."""


@dataclass(frozen=True)
class Bootstrap:
    """Resampling of faces for intervals."""

    resamples: int = 2000
    """0 leaves the intervals out."""
    seed: int = 0
    """Of the resampling; the same faces are drawn for every metric."""

    @property
    def for_comparison(self) -> "Bootstrap":
        """With resamples in any case: a difference without an interval says nothing."""
        return Bootstrap(self.resamples or 2000, self.seed)
