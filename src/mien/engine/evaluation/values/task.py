"""Measures an output of values (valence, arousal): agreement and errors against the labels, and two models."""

from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.records import Sample
from mien.engine.evaluation import page
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.scores import Score
from mien.engine.evaluation.shared_pass import Arrays, Collect, Collected
from mien.engine.evaluation.tables import write_failures
from mien.engine.evaluation.task import Job, SharedPassTask
from mien.engine.evaluation.values.plots import figures
from mien.engine.evaluation.values.predictions import VALUES, ValuePredictions, read_values, write_values
from mien.engine.evaluation.values.scores import compare_values, score_values
from mien.report.page import Section, caveats, macro

LABELLED = ("valence", "arousal")
"""Fields of a Sample that hold a value."""
MEANING = {
    "ccc": "concordance correlation with the label, over all faces; 1 is best",
    "pearson": "Pearson's correlation with the label",
    "rmse": "root of the mean squared error, in the unit of the label (-1 to 1)",
    "mae": "mean absolute error, in the unit of the label (-1 to 1)",
    "sagr": "share of the faces whose value has the sign of the label",
}


class ValueTask(SharedPassTask):
    """See engine.evaluation.task.Task."""

    table = f"{VALUES}.csv"

    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: NoOptions) -> Target:
        """The faces with at least one of the labels."""
        names = info.outputs[output].names
        if unknown := [name for name in names if name not in LABELLED]:
            raise NotMeasurableError(f"data have no labels of {unknown[0]!r}, only {' and '.join(LABELLED)}.")
        kept = [sample for sample in data.samples if not all(value is None for value in _labels(sample, names))]
        if not kept:
            raise NotMeasurableError(f"{data.described}, has no {' and '.join(names)}, so nothing can be compared.")
        return data.target(kept, dropped={}, unlabelled=len(data.samples) - len(kept))

    def collect(self, job: Job) -> Collect:
        def values(inputs: Arrays, outputs: Arrays) -> Arrays:
            return {"values": outputs[job.output].astype(np.float64)}

        return values

    def predicted(self, job: Job, found: Collected) -> tuple[ValuePredictions, list[Score]]:
        names = job.declared.names
        truth = {sample.key: _labels(sample, names) for sample in job.target.samples}
        labels = np.array([truth[key] for key in found.keys], np.float64)  # None becomes NaN
        predictions = ValuePredictions(names, tuple(found.keys), labels, found.array("values"))
        return predictions, score_values(predictions, job.bootstrap)

    def compared(
        self, first: ValuePredictions, second: ValuePredictions, names: tuple[str, str], bootstrap: Bootstrap
    ) -> Comparison:
        return compare_values(first, second, names=names, bootstrap=bootstrap)

    def read(self, table: Path) -> ValuePredictions:
        return read_values(table)

    def write_tables(self, folder: Path, result: Evaluation) -> None:
        """values.csv and .parquet, scatter_NAME.png, circumplex.png, failures.csv."""
        write_values(folder, result.predictions)
        for name, scene in figures(result.predictions).items():
            scene.png(folder / f"{name}.png")
        write_failures(folder, result.failures)

    def sections(self, result: Evaluation, *, show_faces: bool) -> list[Section]:
        """No face is shown in any case."""
        main = [score for score in result.scores if score.metric[:4] in ("ccc/", "rmse")]
        return [
            Section("", page.headline(result, {s.metric.replace("/", " of "): format_value(s) for s in main})),
            *page.comparison(result.comparison, {}),
            Section("Predicted and true", macro("parts.html", "figures", list(figures(result.predictions).values()))),
            Section("All metrics", page.metrics_table(result.scores, format_value, MEANING)),
            page.model_and_data(result, {}),
            caveats(),
        ]

    def subject(self, result: Evaluation) -> str:
        return " and ".join(result.predictions.names)

    def print_summary(self, result: Evaluation, folder: Path) -> None:
        page.print_scores(result, result.scores, format_value, folder, page.warnings(result, *page.left_out(result)))


def _labels(sample: Sample, names: tuple[str, ...]) -> list[float | None]:
    return [getattr(sample, name) for name in names]


def format_value(score: Score) -> str:
    """`0.482`, a share as `61.3%`, or `undefined`."""
    if score.value is None:
        return "undefined"
    return f"{score.value:.1%}" if score.metric.startswith("sagr/") else f"{score.value:.3f}"
