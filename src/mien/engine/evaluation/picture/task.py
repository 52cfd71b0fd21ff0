"""Measures an output that gives the input picture again: its difference from the prepared picture, and two models."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.spec import PictureInput
from mien.engine.evaluation.comparison import Comparison, mean_differences, places_in_second
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.picture.predictions import METRICS, PictureErrors, PictureEvaluation
from mien.engine.evaluation.picture.report import picture_sections, print_summary, write_report
from mien.engine.evaluation.picture.tables import PICTURES, read_pictures, write_tables
from mien.engine.evaluation.scores import mean_scores
from mien.engine.evaluation.shared_pass import Arrays, Collect, SharedPass
from mien.engine.evaluation.task import Job
from mien.report.page import Section

INPUT = "image"
"""The network's input that its picture is compared with."""


class PictureTask:
    """See engine.evaluation.task.Task."""

    options_class = NoOptions
    table = f"{PICTURES}.csv"

    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: NoOptions) -> Target:
        """Every face of the split: the truth is the picture itself."""
        if INPUT not in info.inputs:
            raise NotMeasurableError(f"the network takes no {INPUT!r} that its picture could be compared with.")
        return data.target(data.samples, dropped={}, unlabelled=0)

    def collect(self, job: Job) -> Collect:
        def errors(inputs: Arrays, outputs: Arrays) -> Arrays:
            predicted, truth = outputs[job.output], inputs[INPUT]
            if predicted.shape != truth.shape:
                raise MienError(f"{job.bundle} gives {job.output} of {predicted.shape[1:]}, not of {truth.shape[1:]}.")
            pair = (shares(pictures, job.info.picture) for pictures in (predicted, truth))
            predicted, truth = pair
            return {name: metric(predicted, truth) for name, metric in METRICS.items()}

        return errors

    def measure(self, job: Job, network: SharedPass) -> PictureEvaluation:
        found = network.collected(job.output)
        errors = PictureErrors(tuple(found.keys), {name: found.array(name) for name in METRICS})
        return PictureEvaluation(
            **job.common(), engine=network.predictor.engine, failures=found.failures, seconds=network.seconds,
            scores=mean_scores(errors.metrics, job.bootstrap), predictions=errors,
        )  # fmt: skip

    def compare(self, first: PictureEvaluation, second: PictureEvaluation, bootstrap: Bootstrap) -> PictureEvaluation:
        names = first.bundle, second.bundle
        return replace(first, comparison=compare_errors(first.predictions, second.predictions, names, bootstrap))

    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        return compare_errors(read_pictures(first), read_pictures(second), names, bootstrap)

    def write_tables(self, folder: Path, result: PictureEvaluation) -> None:
        write_tables(folder, result)

    def sections(self, result: PictureEvaluation, *, show_faces: bool) -> list[Section]:
        return picture_sections(result)

    def write_report(self, path: Path, result: PictureEvaluation, *, show_faces: bool) -> None:
        write_report(path, result, show_faces=show_faces)

    def print_summary(self, result: PictureEvaluation, folder: Path) -> None:
        print_summary(result, folder)


def shares(pictures: np.ndarray, given: PictureInput) -> np.ndarray:
    """Normalised pictures [n, 3, height, width] as shares of white, cut off at 0 and 1."""
    mean, std = (np.array(values, np.float64)[:, None, None] for values in (given.mean, given.std))
    return np.clip(pictures * std + mean, 0, 1)


def compare_errors(
    first: PictureErrors, second: PictureErrors, names: tuple[str, str], bootstrap: Bootstrap
) -> Comparison:
    """Of the mean of every metric. Raises MienError for other pictures."""
    order = places_in_second(first.keys, second.keys, names)
    differences = mean_differences(
        first.metrics, {name: values[order] for name, values in second.metrics.items()}, bootstrap
    )
    return Comparison(first=names[0], second=names[1], n=len(first), differences=differences, larger_is_better=False)
