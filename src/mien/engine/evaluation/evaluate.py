"""`mien evaluate`: a bundle on a labelled split. Tables and one report; broken pictures are counted, never hidden.

Bundles that read landmarks go on to landmark_evaluation.py.
"""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError
from mien.data.options import DataOptions
from mien.engine.bundles.predictor import RunnerName
from mien.engine.evaluation.result import Evaluation, Target

if TYPE_CHECKING:
    from mien.core.labels import LabelSet
    from mien.data.readers import Reader
    from mien.engine.bundles.predictor import Network
    from mien.engine.evaluation.points.evaluate import LandmarkEvaluation

FILES = (
    "predictions.csv", "predictions.parquet", "failures.csv", "confusion.csv", "confusion.png", "reliability.png",
    "metrics.jsonl", "report.html",
)  # fmt: skip

# Taken, so that the words of a training run fit here too; only training uses them.
NOT_IN_HELP = tuple(
    f"data.{name}"
    for name in (
        "labels", "train_split", "val_split", "test_split", "val_fraction", "limit", "batch_size", "eval_batch_size",
        "workers", "augmentation", "augment", "sampler", "soft_labels", "drop_last", "cache", "on_broken", "seed",
    )
)  # fmt: skip


def evaluate(
    bundle: str,
    *,
    data: DataOptions,
    split: str = "test",
    output: str = "evaluation",
    runner: RunnerName = "auto",
    batch_size: int = 64,
    device: str = "auto",
    bootstrap: int = 2000,
    seed: int = 0,
    compare: str | None = None,
    show_faces: bool = False,
    crop: Literal["data", "landmarks", "detector", "reading", "both", "all"] = "data",
    ocular_norm: Literal["outer", "pupil", "bb", "none"] = "outer",
    benchmark: bool = False,
    eval_3d: bool = False,
) -> "Evaluation | LandmarkEvaluation":
    """Measure a bundle on a labelled split: metrics with intervals, tables, and report.html.

    The last four options are for bundles that read landmarks.

    Args:
        bundle: folder of a bundle or of a training run, or the name of a model that ships with mien.
        data: the data set, by the same words as in `mien fit`.
        split: the part of the data set to measure on.
        output: folder for the report and its tables; files of an earlier evaluation in it are replaced.
        runner: what computes the network; auto takes torch where the bundle has safetensors, else onnx.
        batch_size: pictures in one forward pass.
        device: of torch, such as cpu or cuda:1; auto takes a GPU where there is one.
        bootstrap: resamples for the intervals; 0 leaves them out.
        seed: of the resampling.
        compare: second bundle, answered on the same pictures and compared with the first.
        show_faces: show the most confident mistakes as pictures in the report, for your own eyes.
        crop: what cuts out the faces; landmarks is a box around the true points, detector a face detector's, reading
            that and a second look as mien analyze takes it; both is landmarks and detector, all those and reading.
        ocular_norm: what errors are divided by; outer and pupil are distances of eye corners, bb the points' box.
        benchmark: print the lines of the published evaluator too.
        eval_3d: refuse to go on without depth, and print the errors in 3D with the lines of --benchmark.
    """
    from mien.engine.bundles.predictor import open_network

    for option, value, least in (("batch_size", batch_size, 1), ("bootstrap", bootstrap, 0), ("seed", seed, 0)):
        if value < least:
            raise MienError(f"--{option} must be at least {least}; got {value}.")
    folder = _writable(Path(output))
    names = [name for name in (bundle, compare) if name]
    networks = [open_network(name, runner=runner, device=device) for name in names]
    kind = _what_they_read(networks, names)
    reader = data.open(evaluation=True)
    if kind == "points":
        from mien.engine.evaluation.points.evaluate import evaluate_landmarks, write_landmarks

        found = evaluate_landmarks(
            networks, names, reader, split=split, data=data, crop=crop, ocular_norm=ocular_norm,
            eval_3d=eval_3d, batch_size=batch_size, bootstrap=bootstrap, seed=seed,
        )  # fmt: skip
        return write_landmarks(
            folder, found, show_faces=show_faces, ocular_norm=ocular_norm, benchmark=benchmark, eval_3d=eval_3d
        )
    if (crop, ocular_norm, benchmark, eval_3d) != ("data", "outer", False, False):
        raise MienError(
            "--crop, --ocular-norm, --benchmark and --eval-3d are for bundles that read landmarks; "
            f"{bundle} gives {kind}."
        )
    return _evaluate_expressions(
        networks, names, reader, folder, split=split, leaks=data.leaks, batch_size=batch_size, bootstrap=bootstrap,
        seed=seed, show_faces=show_faces,
    )  # fmt: skip


def _what_they_read(networks: "list[Network]", names: list[str]) -> str:
    """ "classes" or "points". Raises MienError for a network without either, and for two that differ."""
    kinds = [next((o.kind for o in network.info.outputs_of("classes", "points").values()), "") for network in networks]
    for kind, name, network in zip(kinds, names, networks, strict=True):
        if not kind:
            raise MienError(f"{name} gives {network.info.gives}: no classes and no points that could be measured.")
        if kind != kinds[0]:
            raise MienError(f"Two models compare on one task; {names[0]} gives {kinds[0]}, {name} gives {kind}.")
    return kinds[0]


def _evaluate_expressions(
    networks: "list[Network]", names: list[str], reader: "Reader", folder: Path, *, split: str, leaks: str,
    batch_size: int, bootstrap: int, seed: int, show_faces: bool,
) -> Evaluation:  # fmt: skip
    from mien.engine.evaluation.classes.report import print_summary, write_report
    from mien.engine.evaluation.classes.tables import write_tables
    from mien.engine.evaluation.contamination import checked

    targets = [target_of(reader, split, network.info.labels) for network in networks]
    targets, warnings, told = checked(targets, names, [network.info for network in networks], leaks=leaks)
    found = [
        measure(*pair, bundle=name, batch_size=batch_size, bootstrap=bootstrap, seed=seed, seen=lines, leaks=told)
        for pair, name, lines in zip(zip(networks, targets, strict=True), names, warnings, strict=True)
    ]
    result = found[0] if len(found) == 1 else _compared(*found, bootstrap=bootstrap, seed=seed)
    write_tables(folder, result)
    write_report(folder / "report.html", result, show_faces=show_faces)
    print_summary(result, folder)
    return result


def target_of(reader: "Reader", split: str, labels: "LabelSet") -> Target:
    """The split's samples, labels mapped to the model's by name. Raises MienError where none has a counterpart."""
    from mien.data.splits import split_hash

    if reader.labels is None:
        raise MienError(f"{reader.name} has no expression labels, so no expression model can be measured on it.")
    samples = reader.samples(split)
    classes, mapping = reader.labels.classes, reader.labels.mapping_to(labels)
    labelled = [(s, s.expression) for s in samples if s.expression is not None]
    kept = [(s, index) for s, own in labelled if (index := mapping[own]) is not None]
    dropped = Counter(classes[own] for _, own in labelled if mapping[own] is None)
    if not kept:
        came = f"only of classes that the model lacks ({', '.join(dropped)})" if dropped else "without a label"
        raise MienError(
            f"{reader.name}, split {split}: all {len(samples)} samples are {came}; "
            f"the model has {', '.join(labels.classes)}."
        )
    return Target(
        data=reader.name,
        split=reader.resolve(split),
        split_hash=split_hash(samples),
        samples=[replace(s, expression=index, distribution=None) for s, index in kept],
        dropped=dict(dropped),
        unlabelled=len(samples) - len(labelled),
        split_file=_division(reader),
    )


def _division(reader: "Reader") -> str:
    from mien.data.readers.divided import Divided

    if not isinstance(reader, Divided):
        return ""
    return reader.file.hash + (f", fold {reader.fold}" if reader.file.is_folds else "")


def measure(
    network: "Network", target: Target, *, bundle: str, batch_size: int = 64, bootstrap: int = 2000, seed: int = 0,
    seen: Sequence[str] = (), leaks: dict[str, Any] | None = None,
) -> Evaluation:  # fmt: skip
    """Answers and scores of one network. Raises MienError when not one picture can be read.

    seen, leaks: what `engine.seen.checked` found of the faces that it was trained on.
    """
    from mien.engine.bundles.predictor import answers_of
    from mien.engine.evaluation.contamination import seen_before
    from mien.engine.evaluation.scores import score

    start = time.perf_counter()
    answers, failures = answers_of(network, target.samples, batch_size=batch_size)
    seconds = time.perf_counter() - start
    return Evaluation(
        bundle=bundle,
        info=network.info,
        engine=network.engine,
        target=target,
        answers=answers,
        failures=failures,
        scores=score(answers, resamples=bootstrap, seed=seed),
        seconds=seconds,
        seen=[*seen, *seen_before(network.info, target)],
        leaks=leaks or {},
    )


def _compared(first: Evaluation, second: Evaluation, *, bootstrap: int, seed: int) -> Evaluation:
    from mien.engine.evaluation.compare import compare_answers

    names = (first.bundle, second.bundle)
    comparison = compare_answers(first.answers, second.answers, names=names, resamples=bootstrap or 2000, seed=seed)
    return replace(first, comparison=comparison)


def _writable(folder: Path) -> Path:
    """The folder, made and tried before the work begins. Raises MienError when nothing can be written there."""
    from mien.media.files import atomic_path

    if folder.is_file():
        raise MienError(f"--output {folder} is a file; a folder is needed.")
    probe = folder / ".writable"
    with atomic_path(probe):
        pass
    probe.unlink()
    return folder
