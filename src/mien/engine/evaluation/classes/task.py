"""Measures an output of classes: the set, calibration, each class, and two models by McNemar's test."""

from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.decode import adjusted_by
from mien.core.labels import LabelSet
from mien.engine.evaluation.by_group import Statistic
from mien.engine.evaluation.classes.comparison import compare_predictions
from mien.engine.evaluation.classes.groups import group_scores
from mien.engine.evaluation.classes.predictions import ClassEvaluation, ClassPredictions
from mien.engine.evaluation.classes.scores import score_classes, statistics_of
from mien.engine.evaluation.classes.sections import report_sections, warnings
from mien.engine.evaluation.classes.tables import PREDICTIONS, read_predictions, write_tables
from mien.engine.evaluation.classes.text import MEANING, format_value
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import EvaluationData, Target
from mien.engine.evaluation.options import Bootstrap, ClassOptions
from mien.engine.evaluation.page import print_scores
from mien.engine.evaluation.scores import Score
from mien.engine.evaluation.shared_pass import Arrays, Collect, Collected
from mien.engine.evaluation.task import Job, SharedPassTask
from mien.report.page import Section


class ClassTask(SharedPassTask):
    """See engine.evaluation.task.Task."""

    evaluation = ClassEvaluation
    table = f"{PREDICTIONS}.csv"

    options_class = ClassOptions

    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: ClassOptions) -> Target:
        if options.logit_adjust:
            info.prior(output)
        return data.class_target(labels_of(info, output))

    def collect(self, job: Job) -> Collect:
        def logits(inputs: Arrays, outputs: Arrays) -> Arrays:
            return {"logits": outputs[job.output].astype(np.float64)}

        return logits

    def predicted(self, job: Job, found: Collected) -> tuple[ClassPredictions, list[Score]]:
        by_key = {sample.key: sample for sample in job.target.samples}
        samples = [by_key[key] for key in found.keys]
        strength = job.options.logit_adjust
        predictions = ClassPredictions(
            labels_of(job.info, job.output), tuple(found.keys), np.array([sample.expression for sample in samples]),
            adjusted_by(job.info, job.output, found.array("logits"), strength), job.info.temperature(job.output),
            None if strength else job.info.calibration.get(job.output), strength,
        )  # fmt: skip
        return predictions, score_classes(predictions, job.bootstrap) + group_scores(
            predictions, samples, job.bootstrap
        )

    def compared(
        self, first: ClassPredictions, second: ClassPredictions, names: tuple[str, str], bootstrap: Bootstrap
    ) -> Comparison:
        return compare_predictions(first, second, names=names, bootstrap=bootstrap)

    def read(self, table: Path) -> ClassPredictions:
        return read_predictions(table)

    def write_tables(self, folder: Path, result: ClassEvaluation) -> None:
        write_tables(folder, result)

    def sections(self, result: ClassEvaluation, *, show_faces: bool) -> list[Section]:
        return report_sections(result, show_faces=show_faces)

    def statistics(self, result: ClassEvaluation) -> dict[str, Statistic]:
        return statistics_of(result.predictions)

    def subject(self, result: ClassEvaluation) -> str:
        return "Facial expression recognition"

    def print_summary(self, result: ClassEvaluation, folder: Path) -> None:
        shown = [s for s in result.scores if s.metric in MEANING or s.metric.startswith("recall/")]
        print_scores(result, shown, format_value, folder, warnings(result))


def labels_of(info: BundleInfo, output: str) -> LabelSet:
    """The order of the output's classes; one without a published order has its names under the output's own."""
    declared = info.outputs[output]
    return declared.labels or LabelSet(output, declared.names)
