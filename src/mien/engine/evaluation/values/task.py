"""Measures an output of values (valence, arousal): agreement and errors against the labels, and two models."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.records import Sample
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.shared_pass import Arrays, Collect, SharedPass
from mien.engine.evaluation.task import Job
from mien.engine.evaluation.values.predictions import ValueEvaluation, ValuePredictions
from mien.engine.evaluation.values.report import print_summary, value_sections, write_report
from mien.engine.evaluation.values.scores import compare_values, score_values
from mien.engine.evaluation.values.tables import VALUES, read_values, write_tables
from mien.report.page import Section

LABELLED = ("valence", "arousal")
"""Fields of a Sample that hold a value."""


class ValueTask:
    """See engine.evaluation.task.Task."""

    options_class = NoOptions
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

    def measure(self, job: Job, network: SharedPass) -> ValueEvaluation:
        found, names = network.collected(job.output), job.declared.names
        truth = {sample.key: _labels(sample, names) for sample in job.target.samples}
        labels = np.array([truth[key] for key in found.keys], np.float64)  # None becomes NaN
        predictions = ValuePredictions(names, tuple(found.keys), labels, found.array("values"))
        return ValueEvaluation(
            **job.common(), engine=network.predictor.engine, failures=found.failures, seconds=network.seconds,
            scores=score_values(predictions, job.bootstrap), predictions=predictions,
        )  # fmt: skip

    def compare(self, first: ValueEvaluation, second: ValueEvaluation, bootstrap: Bootstrap) -> ValueEvaluation:
        names = first.bundle, second.bundle
        compared = compare_values(first.predictions, second.predictions, names=names, bootstrap=bootstrap)
        return replace(first, comparison=compared)

    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        return compare_values(read_values(first), read_values(second), names=names, bootstrap=bootstrap)

    def write_tables(self, folder: Path, result: ValueEvaluation) -> None:
        write_tables(folder, result)

    def sections(self, result: ValueEvaluation, *, show_faces: bool) -> list[Section]:
        return value_sections(result)

    def write_report(self, path: Path, result: ValueEvaluation, *, show_faces: bool) -> None:
        write_report(path, result, show_faces=show_faces)

    def print_summary(self, result: ValueEvaluation, folder: Path) -> None:
        print_summary(result, folder)


def _labels(sample: Sample, names: tuple[str, ...]) -> list[float | None]:
    return [getattr(sample, name) for name in names]
