"""Measures an output of classes: the set, calibration, each class, and two models by McNemar's test."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.labels import LabelSet
from mien.engine.evaluation.classes.comparison import compare_predictions
from mien.engine.evaluation.classes.predictions import ClassEvaluation, ClassPredictions
from mien.engine.evaluation.classes.report import evaluation_sections, print_summary, write_report
from mien.engine.evaluation.classes.scores import score_classes
from mien.engine.evaluation.classes.tables import PREDICTIONS, read_predictions, write_tables
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import EvaluationData, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.shared_pass import Arrays, Collect, SharedPass
from mien.engine.evaluation.task import Job
from mien.report.page import Section


class ClassTask:
    """See engine.evaluation.task.Task."""

    options_class = NoOptions
    table = f"{PREDICTIONS}.csv"

    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: NoOptions) -> Target:
        return data.class_target(labels_of(info, output))

    def collect(self, job: Job) -> Collect:
        def logits(inputs: Arrays, outputs: Arrays) -> Arrays:
            return {"logits": outputs[job.output].astype(np.float64)}

        return logits

    def measure(self, job: Job, network: SharedPass) -> ClassEvaluation:
        found, labels = network.collected(job.output), labels_of(job.info, job.output)
        truth = {sample.key: sample.expression for sample in job.target.samples}
        predictions = ClassPredictions(
            labels, tuple(found.keys), np.array([truth[key] for key in found.keys]), found.array("logits"),
            job.info.temperature(job.output),
        )  # fmt: skip
        scores = score_classes(predictions, job.bootstrap)
        return ClassEvaluation(
            **job.common(), engine=network.predictor.engine, failures=found.failures, seconds=network.seconds,
            scores=scores, predictions=predictions,
        )  # fmt: skip

    def compare(self, first: ClassEvaluation, second: ClassEvaluation, bootstrap: Bootstrap) -> ClassEvaluation:
        names = first.bundle, second.bundle
        compared = compare_predictions(first.predictions, second.predictions, names=names, bootstrap=bootstrap)
        return replace(first, comparison=compared)

    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        both = read_predictions(first), read_predictions(second)
        return compare_predictions(*both, names=names, bootstrap=bootstrap)

    def write_tables(self, folder: Path, result: ClassEvaluation) -> None:
        write_tables(folder, result)

    def sections(self, result: ClassEvaluation, *, show_faces: bool) -> list[Section]:
        return evaluation_sections(result, show_faces=show_faces)

    def write_report(self, path: Path, result: ClassEvaluation, *, show_faces: bool) -> None:
        write_report(path, result, show_faces=show_faces)

    def print_summary(self, result: ClassEvaluation, folder: Path) -> None:
        print_summary(result, folder)


def labels_of(info: BundleInfo, output: str) -> LabelSet:
    """The order of the output's classes; one without a published order has its names under the output's own."""
    declared = info.outputs[output]
    return declared.labels or LabelSet(output, declared.names)
