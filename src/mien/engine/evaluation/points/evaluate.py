"""`mien evaluate` for a bundle that reads landmarks: errors by protocol, by place on the face, and by kind of crop."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError
from mien.engine.evaluation.compare import Difference
from mien.engine.evaluation.result import LandmarkEvaluation, Target, face_errors

if TYPE_CHECKING:
    from mien.core.bundle import BundleInfo
    from mien.core.records import Sample
    from mien.data.options import DataOptions
    from mien.data.readers import Reader
    from mien.engine.bundles.predictor import Network
    from mien.metrics.alignment import Normaliser

FILES = ("points.csv", "points.parquet", "failures.csv", "ced.png", "metrics.jsonl", "report.html")
CropChoice = Literal["data", "landmarks", "detector", "reading", "both", "all"]
OcularNorm = Literal["outer", "pupil", "bb", "none"]


def landmark_target(reader: "Reader", split: str, points: int, *, crop_source: str = "box") -> Target:
    """The split's samples whose points the model's can be compared with. Raises MienError where there are none.

    crop_source: what makes their boxes, as DataOptions says.
    """
    from mien.data.framing import framed
    from mien.data.splits import split_hash

    samples = reader.samples(split)
    counts = Counter(0 if s.landmarks_px is None else len(s.landmarks_px) for s in samples)
    usable = {count for count in counts if count == points or (points == 68 and count in (84, 98))}
    if not usable:
        what = ", ".join(f"{count} points" for count in sorted(counts) if count) or "no points"
        raise MienError(
            f"{reader.name}, split {split}, has {what}; the model answers with {points}, so nothing can be compared."
        )
    kept = [s for s in samples if s.landmarks_px is not None and len(s.landmarks_px) in usable]
    return Target(
        data=reader.name,
        split=reader.resolve(split),
        split_hash=split_hash(samples),
        samples=framed(kept, crop_source),
        dropped={f"{count} points": n for count, n in counts.items() if count and count not in usable},
        unlabelled=counts.get(0, 0),
    )


def evaluate_landmarks(
    networks: "Sequence[Network]", names: Sequence[str], reader: "Reader", *, split: str, data: "DataOptions",
    crop: CropChoice, ocular_norm: OcularNorm, eval_3d: bool, batch_size: int, bootstrap: int, seed: int,
) -> LandmarkEvaluation:  # fmt: skip
    """One network on a split, or two on the same faces."""
    from mien.engine.evaluation.contamination import checked
    from mien.metrics.published_alignment import normaliser_of

    targets = [
        landmark_target(reader, split, points_of(network.info), crop_source=data.crop_source) for network in networks
    ]
    if eval_3d:
        _check_depth(networks[0], targets[0])
    targets, warnings, told = checked(targets, names, [network.info for network in networks], leaks=data.leaks)
    found = [
        _measured(
            network, target, bundle=name, normaliser=normaliser_of(ocular_norm), crop=crop, seen=lines, leaks=told,
            batch_size=batch_size, bootstrap=bootstrap, seed=seed,
        )
        for network, target, name, lines in zip(networks, targets, names, warnings, strict=True)
    ]  # fmt: skip
    if len(found) == 1:
        return found[0]
    return replace(found[0], against=found[1], differences=differences(*found, resamples=bootstrap or 2000, seed=seed))


def _measured(
    network: "Network", target: Target, *, bundle: str, normaliser: "Normaliser", crop: CropChoice,
    batch_size: int, bootstrap: int, seed: int, seen: Sequence[str], leaks: dict[str, Any],
) -> LandmarkEvaluation:  # fmt: skip
    import time

    from mien.engine.evaluation.contamination import seen_before
    from mien.engine.evaluation.points.crops import CROPS
    from mien.engine.evaluation.points.predictions import point_answers
    from mien.engine.evaluation.points.scores import found_scores, score_points

    if crop not in CROPS:
        raise MienError(f"No crop {crop!r}. Known: {', '.join(CROPS)}.")
    start = time.perf_counter()
    found = point_answers(network, target.samples, CROPS[crop], batch_size=batch_size)
    seconds = time.perf_counter() - start
    scores = [
        s
        for a in found.answers.values()
        for s in score_points(a, normaliser=normaliser, resamples=bootstrap, seed=seed)
    ]
    scores += found_scores(found, normaliser, looked_at=len(target.samples) - len(found.failures), resamples=bootstrap)
    return LandmarkEvaluation(
        bundle=bundle, info=network.info, engine=network.engine, target=target, normaliser=normaliser,
        answers=found.answers, failures=found.failures, missed=found.missed, scores=scores, seconds=seconds,
        seen=[*seen, *seen_before(network.info, target)], oracle=boxes_are_the_points(target.samples), leaks=leaks,
    )  # fmt: skip


def _check_depth(network: "Network", target: Target) -> None:
    """Before hours are spent: raises MienError where the data have no depth, and where the network gives none."""
    import numpy as np

    from mien.engine.evaluation.points.predictions import no_depth

    if not any(s.depth_px is not None for s in target.samples):
        raise no_depth("data have")
    blank = np.zeros((1, 3, network.info.picture.size, network.info.picture.size), np.float32)
    if network.outputs is None or "depth" not in network.outputs(blank):
        raise no_depth("bundle gives")


def points_of(info: "BundleInfo") -> int:
    """How many points the model gives."""
    return len(next(iter(info.outputs_of("points").values())).names)


def boxes_are_the_points(samples: "Sequence[Sample]") -> bool:
    """Whether the data's own boxes are the rectangles around the true points, as 300-W's are."""
    import numpy as np

    from mien.core.framing import box_of

    few = [s for s in samples[:20] if s.box is not None and s.landmarks_px is not None]
    return bool(few) and all(np.allclose(s.box, box_of(np.asarray(s.landmarks_px)), atol=0.6) for s in few)  # type: ignore[arg-type]


def differences(
    first: LandmarkEvaluation, second: LandmarkEvaluation, *, resamples: int, seed: int
) -> tuple[Difference, ...]:
    """For each kind of crop, over the faces that both answered."""
    import numpy as np

    from mien.metrics.significance import bootstrap_means, percentiles

    found = []
    for crop, own in first.answers.items():
        one, two = (face_errors(e.answers[crop], first.normaliser) for e in (first, second))
        keys = [key for key in own.keys if key in two]
        if not keys:
            raise MienError(f"The two models answered no face in common ({crop} crop).")
        values = np.array([[one[key], two[key]] for key in keys])
        drawn = bootstrap_means(values[:, 1:] - values[:, :1], resamples=resamples, seed=seed)[:, 0]
        found.append(
            Difference(crop, float(values[:, 0].mean()), float(values[:, 1].mean()), percentiles(drawn), len(keys))
        )
    return tuple(found)


def write_landmarks(
    folder: Path,
    result: LandmarkEvaluation,
    *,
    show_faces: bool,
    ocular_norm: OcularNorm,
    benchmark: bool,
    eval_3d: bool,
) -> LandmarkEvaluation:
    """Every file of FILES, and what is to be said on standard output."""
    from mien.engine.evaluation.points.report import print_landmark_summary, write_landmark_report

    write_landmark_tables(folder, result)
    write_landmark_report(folder / "report.html", result, show_faces=show_faces)
    if benchmark:
        print("\n".join(benchmark_lines(result, ocular_norm=ocular_norm, eval_3d=eval_3d)))  # noqa: T201
    print_landmark_summary(result, folder)
    return result


def write_landmark_tables(folder: Path, result: LandmarkEvaluation) -> None:
    """Every file of FILES but the report."""
    from mien.engine.evaluation.classes.tables import common, write_csv
    from mien.engine.evaluation.points.plots import ced_figure
    from mien.engine.evaluation.points.tables import write_points
    from mien.engine.evaluation.scores import write_scores

    write_points(folder, result)
    missed = [(key, "the detector does not find this face") for key in result.missed]
    write_csv(folder / "failures.csv", [["key", "reason"], *result.failures, *missed])
    ced_figure(result, title=f"{result.model} on {result.target.data} {result.target.split}").png(folder / "ced.png")
    write_scores(folder / "metrics.jsonl", result.scores, **common(result), missed=len(result.missed))


def benchmark_lines(result: LandmarkEvaluation, *, ocular_norm: OcularNorm, eval_3d: bool) -> list[str]:
    """The published evaluator's lines for each kind of crop, from points in pixels of the crop."""
    from mien.metrics.published_alignment import clamped, summary

    lines = []
    for crop, answers in result.answers.items():
        predicted, truth = answers.in_crops()
        dims = 3 if eval_3d else 2
        found = summary(predicted[..., :dims], clamped(truth[..., :dims]), ocular_norm=ocular_norm)
        lines += [f"[{crop} crop, {ocular_norm}, {len(answers)} faces]", *found.lines]
    return lines
