"""What an evaluation of one output is: tables, metrics.jsonl and reports are made from it."""

from dataclasses import dataclass, field
from typing import Any

from mien.core.bundle import BundleInfo
from mien.engine.evaluation.by_group import GroupTable
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import Target
from mien.engine.evaluation.scores import Score


@dataclass(frozen=True, eq=False, kw_only=True)
class MeasuredOutput:
    """One output of a model, and the faces that it is measured on."""

    bundle: str
    """As the user named it."""
    info: BundleInfo
    """Of the model."""
    output: str
    """Name of the output."""
    target: Target
    """The faces that were asked for."""
    contamination: list[str] = field(default_factory=list)
    """Warnings that the model was trained or selected on these faces."""
    leaks: dict[str, Any] = field(default_factory=dict)
    """Policy, and counts of the faces that the model was trained or selected on."""
    notes: list[str] = field(default_factory=list)
    """What else is to be known of the data: faces left out, outputs that were not measured."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Evaluation(MeasuredOutput):
    """Scores of one output of a model on one split."""

    engine: str
    """What computed the network, as text."""
    scores: list[Score]
    """Every metric."""
    predictions: Any
    """Of every face that could be read; their class is the task's own."""
    comparison: Comparison | None = None
    """With the second model, where there is one."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """(key, reason) of pictures that could not be read."""
    groups: GroupTable | None = None
    """Metrics by group of faces, where they were asked for."""
    seconds: float = 0.0
    """Time of reading, preparing and computing the faces."""

    @property
    def faces(self) -> int:
        """How many were measured."""
        return len(self.predictions)

    @property
    def model(self) -> str:
        """`system@weights`."""
        return self.info.model_id

    def facts(self) -> dict[str, Any]:
        """What every line of metrics.jsonl says beside the score."""
        labels = self.info.outputs[self.output].labels
        return {
            "data": self.target.data,
            "split": self.target.split,
            "split_hash": self.target.split_hash,
            "split_file": self.target.split_file,
            "leaks": self.leaks,
            "failures": len(self.failures),
            "bundle": self.bundle,
            "system": self.info.system,
            "weights": self.info.weight_hash,
            "labels": labels.checksum if labels else "",
            "temperature": self.info.temperature(self.output),
            "seconds": round(self.seconds, 3),
        }
