"""Measures an output that gives the input picture again: its difference from the prepared picture, and two models."""

from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.spec import PictureInput
from mien.engine.evaluation import page
from mien.engine.evaluation.comparison import Comparison, mean_differences, places_in_second
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError, Target
from mien.engine.evaluation.options import Bootstrap, NoOptions
from mien.engine.evaluation.picture.predictions import METRICS, PICTURES, PictureErrors, read_pictures, write_pictures
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.scores import Score, mean_scores
from mien.engine.evaluation.shared_pass import Arrays, Collect, Collected
from mien.engine.evaluation.tables import write_failures
from mien.engine.evaluation.task import Job, SharedPassTask
from mien.report import parts
from mien.report.page import Section

INPUT = "image"
"""The network's input that its picture is compared with."""
MEANING = {
    "abs_error": "mean absolute difference of a pixel, in grey levels of 255",
    "psnr": "peak signal-to-noise ratio in dB, mean over the pictures",
    "ssim@7": "structural similarity over windows of 7 pixels, mean over the pictures; 1 is best",
}
WORST_SHOWN = 12


class PictureTask(SharedPassTask):
    """See engine.evaluation.task.Task."""

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
            predicted, truth = (shares(pictures, job.info.picture) for pictures in (predicted, truth))
            return {name: metric(predicted, truth) for name, metric in METRICS.items()}

        return errors

    def predicted(self, job: Job, found: Collected) -> tuple[PictureErrors, list[Score]]:
        errors = PictureErrors(tuple(found.keys), {name: found.array(name) for name in METRICS})
        return errors, mean_scores(errors.metrics, job.bootstrap)

    def compared(
        self, first: PictureErrors, second: PictureErrors, names: tuple[str, str], bootstrap: Bootstrap
    ) -> Comparison:
        """Of the mean of every metric."""
        order = places_in_second(first.keys, second.keys, names)
        in_order = {name: values[order] for name, values in second.metrics.items()}
        differences = mean_differences(first.metrics, in_order, bootstrap)
        return Comparison(
            first=names[0], second=names[1], n=len(first), differences=differences, larger_is_better=False
        )

    def read(self, table: Path) -> PictureErrors:
        return read_pictures(table)

    def write_tables(self, folder: Path, result: Evaluation) -> None:
        """pictures.csv and .parquet, failures.csv."""
        write_pictures(folder, result.predictions)
        write_failures(folder, result.failures)

    def sections(self, result: Evaluation, *, show_faces: bool) -> list[Section]:
        """No face is shown in any case; `mien reconstruct` does."""
        return [
            Section("", page.headline(result, {s.metric: format_value(s) for s in result.scores})),
            *page.comparison(result.comparison, {}),
            Section("All metrics", page.metrics_table(result.scores, format_value, MEANING)),
            Section("The worst pictures", worst(result)),
            page.model_and_data(result, {}),
        ]

    def subject(self, result: Evaluation) -> str:
        return "Reconstruction"

    def print_summary(self, result: Evaluation, folder: Path) -> None:
        page.print_scores(result, result.scores, format_value, folder, page.warnings(result, *page.left_out(result)))


def shares(pictures: np.ndarray, given: PictureInput) -> np.ndarray:
    """Normalised pictures [n, 3, height, width] as shares of white, cut off at 0 and 1."""
    mean, std = (np.array(values, np.float64)[:, None, None] for values in (given.mean, given.std))
    return np.clip(pictures * std + mean, 0, 1)


def worst(result: Evaluation) -> str:
    """The pictures with the largest error, by file name."""
    errors = result.predictions.metrics["abs_error"]
    places = (-errors).argsort(kind="stable")[:WORST_SHOWN]
    return parts.facts({result.predictions.keys[i]: f"{errors[i]:.1f} grey levels" for i in places})


def format_value(score: Score) -> str:
    """`12.31`, `24.10 dB`, `0.713` or `undefined`."""
    if score.value is None:
        return "undefined"
    if score.metric.startswith("ssim"):
        return f"{score.value:.3f}"
    return f"{score.value:.2f}{' dB' if score.metric == 'psnr' else ''}"
