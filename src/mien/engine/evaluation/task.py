"""How an output of a network is measured: a Task for each kind of output, and the Job of measuring one output."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

from mien.core.bundle import BundleInfo
from mien.core.extras import imported
from mien.core.spec import Output
from mien.engine.evaluation.by_group import Statistic
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import EvaluationData, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.page import group_sections, write_report
from mien.engine.evaluation.result import Evaluation, MeasuredOutput
from mien.engine.evaluation.scores import Score
from mien.engine.evaluation.shared_pass import Collect, Collected, SharedPass
from mien.report.page import Section

TASKS = {
    "classes": "mien.engine.evaluation.classes.task:ClassTask",
    "points": "mien.engine.evaluation.points.task:PointTask",
    "values": "mien.engine.evaluation.values.task:ValueTask",
    "picture": "mien.engine.evaluation.picture.task:PictureTask",
}
"""Kind of output → what measures it. A vector is not measured."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Job(MeasuredOutput):
    """One output of a model, to be measured on a target."""

    data: EvaluationData
    """The split."""
    options: Any
    """An object of the task's `options_class`."""
    bootstrap: Bootstrap
    """For the intervals."""

    @property
    def declared(self) -> Output:
        """What the bundle says of the output."""
        return self.info.outputs[self.output]

    def common(self) -> dict[str, Any]:
        """The fields of an Evaluation that are known before the network runs."""
        return {f.name: getattr(self, f.name) for f in fields(MeasuredOutput)}

    def without(self, keys: set[str]) -> "Job":
        """The same without these faces of the target."""
        kept = [sample for sample in self.target.samples if sample.key not in keys]
        return replace(self, target=replace(self.target, samples=kept))


class Task(ABC):
    """Measures one kind of output. Stateless."""

    options_class: ClassVar[type[Any]] = NoOptions
    """Dataclass of its options, named as those of `mien evaluate`."""
    table: ClassVar[str]
    """File with a row for each face, which `mien compare` reads."""

    @abstractmethod
    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: Any) -> Target:
        """The faces with a truth. Raises NotMeasurableError where there are none, MienError for impossible options."""

    @abstractmethod
    def collect(self, job: Job) -> Collect | None:
        """What is kept of faces in the shared pass; None for a task with a pass of its own."""

    @abstractmethod
    def measure(self, job: Job, network: SharedPass) -> Evaluation:
        """Predictions and scores. Raises MienError when not one picture can be read."""

    @abstractmethod
    def compare(self, first: Any, second: Any, bootstrap: Bootstrap) -> Evaluation:
        """The first evaluation with its comparison to the second."""

    @abstractmethod
    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        """Of two files `table`; `names` are of the models."""

    @abstractmethod
    def write_tables(self, folder: Path, result: Any) -> None:
        """Every file but metrics.jsonl and report.html."""

    @abstractmethod
    def sections(self, result: Any, *, show_faces: bool) -> list[Section]:
        """Of the report; the first one is the headline and has no title."""

    def statistics(self, result: Any) -> dict[str, Statistic]:
        """What `--by` measures of each group, by metric; {} for a kind of output that has no such measure yet."""
        return {}

    @abstractmethod
    def subject(self, result: Any) -> str:
        """What was measured, for the report's subtitle."""

    def write_report(self, path: Path, result: Any, *, show_faces: bool = False) -> None:
        """A report of this output alone."""
        write_report(path, result, sections_of(self, result, show_faces=show_faces), self.subject(result))

    @abstractmethod
    def print_summary(self, result: Any, folder: Path) -> None:
        """The main metrics on standard output, then where the report is."""


class SharedPassTask(Task):
    """A task whose predictions are collected in the shared pass, and compare as a later `mien compare` reads them."""

    evaluation: ClassVar[type[Evaluation]] = Evaluation

    @abstractmethod
    def predicted(self, job: Job, found: Collected) -> tuple[Any, list[Score]]:
        """Predictions of the collected faces, and their scores."""

    @abstractmethod
    def compared(self, first: Any, second: Any, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        """Of two predictions. Raises MienError where they are of other faces."""

    @abstractmethod
    def read(self, table: Path) -> Any:
        """Predictions, as `write_tables` wrote them."""

    def measure(self, job: Job, network: SharedPass) -> Evaluation:
        found = network.collected(job.output)
        predictions, scores = self.predicted(job, found)
        return self.evaluation(
            **job.common(), engine=network.predictor.engine, failures=found.failures, seconds=network.seconds,
            scores=scores, predictions=predictions,
        )  # fmt: skip

    def compare(self, first: Evaluation, second: Evaluation, bootstrap: Bootstrap) -> Evaluation:
        names = first.bundle, second.bundle
        return replace(first, comparison=self.compared(first.predictions, second.predictions, names, bootstrap))

    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        return self.compared(self.read(first), self.read(second), names, bootstrap)


def sections_of(task: Task, result: Evaluation, *, show_faces: bool) -> list[Section]:
    """The task's sections, and the groups after the headline."""
    first, *rest = task.sections(result, show_faces=show_faces)
    return [first, *group_sections(result), *rest]


def task_of(kind: str) -> Task:
    """The task of a kind of output; `kind` is a key of TASKS."""
    task: Task = imported(TASKS[kind])()
    return task
