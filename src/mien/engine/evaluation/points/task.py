"""Measures an output of points: errors by protocol, by place on the face and by kind of crop, and two models."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.framing import box_of
from mien.core.records import Sample
from mien.engine.evaluation.by_group import Statistic
from mien.engine.evaluation.comparison import Comparison, Difference, mean_differences
from mien.engine.evaluation.data import EvaluationData, NotMeasurableError, Target
from mien.engine.evaluation.options import Bootstrap, PointOptions
from mien.engine.evaluation.points.crops import CROPS
from mien.engine.evaluation.points.inference import predict_points, qualities_of
from mien.engine.evaluation.points.predictions import PointEvaluation, face_errors, no_depth
from mien.engine.evaluation.points.report import landmark_sections, print_landmark_summary
from mien.engine.evaluation.points.scores import detection_scores, score_points
from mien.engine.evaluation.points.tables import POINTS, read_face_errors, write_tables
from mien.engine.evaluation.shared_pass import SharedPass
from mien.engine.evaluation.task import Job, Task
from mien.metrics.alignment import Normaliser
from mien.metrics.published_alignment import clamped, normaliser_of, summary
from mien.report.page import Section


class PointTask(Task):
    """See engine.evaluation.task.Task."""

    options_class = PointOptions
    table = f"{POINTS}.csv"

    def target(self, data: EvaluationData, info: BundleInfo, output: str, options: PointOptions) -> Target:
        if options.crop not in CROPS:
            raise MienError(f"No crop {options.crop!r}. Known: {', '.join(CROPS)}.")
        normaliser_of(options.ocular_norm)
        target = labelled_target(data, len(info.outputs[output].names))
        if options.eval_3d and not any(sample.depth_px is not None for sample in target.samples):
            raise no_depth("data have")
        if options.eval_3d and "depth" not in qualities_of(info.outputs, output):
            raise no_depth("bundle gives")
        return target

    def collect(self, job: Job) -> None:
        """Faces are cut out by `options.crop`, in a pass of its own."""
        return

    def measure(self, job: Job, network: SharedPass) -> PointEvaluation:
        normaliser = normaliser_of(job.options.ocular_norm)
        found = predict_points(
            network.predictor, job.output, job.target.samples, CROPS[job.options.crop], batch_size=network.batch_size,
        )  # fmt: skip
        scores = [
            score
            for predictions in found.predictions.values()
            for score in score_points(predictions, normaliser=normaliser, bootstrap=job.bootstrap)
        ]
        faces = len(job.target.samples) - len(found.failures)
        scores += detection_scores(found, normaliser, faces=faces, bootstrap=job.bootstrap)
        return PointEvaluation(
            **job.common(), engine=network.predictor.engine, failures=found.failures, seconds=found.seconds,
            scores=scores, options=job.options, normaliser=normaliser, predictions=found.predictions,
            missed=found.missed, oracle=boxes_are_the_points(job.target.samples),
        )  # fmt: skip

    def compare(self, first: PointEvaluation, second: PointEvaluation, bootstrap: Bootstrap) -> PointEvaluation:
        errors = [_errors_by_crop(each, first.normaliser) for each in (first, second)]
        compared = compare_errors(
            errors[0], errors[1], first.normaliser, names=(first.bundle, second.bundle), bootstrap=bootstrap
        )
        return replace(first, against=second, comparison=compared)

    def compare_tables(self, first: Path, second: Path, names: tuple[str, str], bootstrap: Bootstrap) -> Comparison:
        (normaliser, errors), (other, other_errors) = read_face_errors(first), read_face_errors(second)
        if normaliser != other:
            raise MienError(
                f"Errors compare only over the same size of the face; {names[0]} has nme_{normaliser}, {names[1]} "
                f"nme_{other}. Evaluate both with one --ocular-norm."
            )
        return compare_errors(errors, other_errors, normaliser, names=names, bootstrap=bootstrap)

    def write_tables(self, folder: Path, result: PointEvaluation) -> None:
        write_tables(folder, result)

    def sections(self, result: PointEvaluation, *, show_faces: bool) -> list[Section]:
        return landmark_sections(result, show_faces=show_faces)

    def statistics(self, result: PointEvaluation) -> dict[str, Statistic]:
        found = {}
        for crop, errors in _errors_by_crop(result, result.normaliser).items():
            values = np.array([*errors.values()])
            found[f"{crop}_crop/nme_{result.normaliser}"] = Statistic(
                tuple(errors), lambda drawn, v=values: float(v[drawn].mean())  # type: ignore[misc]
            )  # fmt: skip
        return found

    def subject(self, result: PointEvaluation) -> str:
        return f"Facial landmark detection, {result.main.truth_px.shape[1]} points a face"

    def print_summary(self, result: PointEvaluation, folder: Path) -> None:
        if result.options.benchmark:
            print("\n".join(benchmark_lines(result)))  # noqa: T201
        print_landmark_summary(result, folder)


def labelled_target(data: EvaluationData, points: int) -> Target:
    """The faces whose points the model's can be compared with. Raises NotMeasurableError where there are none."""
    counts = Counter(0 if s.landmarks_px is None else len(s.landmarks_px) for s in data.samples)
    usable = {count for count in counts if count == points or (points == 68 and count in (84, 98))}
    if not usable:
        known = ", ".join(f"{count} points" for count in sorted(counts) if count) or "no points"
        raise NotMeasurableError(
            f"{data.described}, has {known}; the model answers with {points}, so nothing can be compared."
        )
    return data.target(
        [s for s in data.samples if s.landmarks_px is not None and len(s.landmarks_px) in usable],
        dropped={f"{count} points": n for count, n in counts.items() if count and count not in usable},
        unlabelled=counts.get(0, 0),
    )


def boxes_are_the_points(samples: Sequence[Sample]) -> bool:
    """Whether the data's own boxes are the rectangles around the true points, as 300-W's are."""
    few = [s for s in samples[:20] if s.box is not None and s.landmarks_px is not None]
    return bool(few) and all(np.allclose(s.box, box_of(np.asarray(s.landmarks_px)), atol=0.6) for s in few)  # type: ignore[arg-type]


ErrorsByCrop = dict[str, dict[str, float]]
"""Kind of crop → key → NME of the face."""


def _errors_by_crop(result: PointEvaluation, normaliser: Normaliser) -> ErrorsByCrop:
    return {
        crop: {key: float(error) for key, error in face_errors(predictions, normaliser).items()}
        for crop, predictions in result.predictions.items()
    }


def compare_errors(
    first: ErrorsByCrop, second: ErrorsByCrop, normaliser: str, *, names: tuple[str, str], bootstrap: Bootstrap
) -> Comparison:
    """The NME for each kind of crop, over the faces that both have points of.

    Raises MienError for a crop without such a face, and where the second lacks a crop of the first.
    """
    differences: list[Difference] = []
    for crop, own in first.items():
        other = second.get(crop, {})
        keys = [key for key in own if key in other]
        if not keys:
            raise MienError(f"The two models have no face in common ({crop} crop).")
        columns = [{crop: np.array([errors[key] for key in keys])} for errors in (own, other)]
        differences += mean_differences(columns[0], columns[1], bootstrap)
    return Comparison(
        first=names[0], second=names[1], n=differences[0].n, differences=tuple(differences),
        metric=f"nme_{normaliser}", larger_is_better=False, in_percent=normaliser != "none", decimals=2,
    )  # fmt: skip


def benchmark_lines(result: PointEvaluation) -> list[str]:
    """The published evaluator's lines for each kind of crop, from points in pixels of the crop."""
    ocular_norm, dims = result.options.ocular_norm, 3 if result.options.eval_3d else 2
    lines = []
    for crop, predictions in result.predictions.items():
        predicted, truth = predictions.in_crops()
        found = summary(predicted[..., :dims], clamped(truth[..., :dims]), ocular_norm=ocular_norm)
        lines += [f"[{crop} crop, {ocular_norm}, {len(predictions)} faces]", *found.lines]
    return lines
