"""The tables and pictures of an evaluation beside its report, and what every line of metrics.jsonl says of it."""

import csv
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mien.engine.evaluation.result import Evaluation, LandmarkEvaluation


def write_tables(folder: Path, result: "Evaluation") -> None:
    """Every file of evaluate.FILES but the report."""
    from mien.engine.evaluation.scores import write_answers, write_scores
    from mien.report.plots import confusion_figure, reliability_figure

    names, confusion = result.answers.labels.classes, result.answers.confusion
    write_answers(folder, result.answers)
    write_csv(folder / "failures.csv", [["key", "reason"], *result.failures])
    rows = [[name, *map(int, row)] for name, row in zip(names, confusion, strict=True)]
    write_csv(folder / "confusion.csv", [["truth \\ predicted", *names], *rows])
    title = f"{result.model} on {result.target.data} {result.target.split}"
    confusion_figure(confusion, names, title=title).png(folder / "confusion.png")
    reliability_figure(result.answers.reliability, title=title).png(folder / "reliability.png")
    write_scores(folder / "metrics.jsonl", result.scores, **common(result))


def common(result: "Evaluation | LandmarkEvaluation") -> dict[str, Any]:
    """What every line of metrics.jsonl says of the measurement."""
    return {
        "data": result.target.data,
        "split": result.target.split,
        "split_hash": result.target.split_hash,
        "split_file": result.target.split_file,
        "leaks": result.leaks,
        "failures": len(result.failures),
        "bundle": result.bundle,
        "system": result.info.system,
        "weights": result.info.weight_hash,
        "labels": result.info.labels.checksum if result.info.outputs_of("classes") else "",
        "temperature": next(iter(result.info.temperatures.values()), 1.0),
        "seconds": round(result.seconds, 3),
    }


def write_csv(path: Path, rows: "list[Any]") -> None:
    """Rows of cells, written whole or not at all."""
    from mien.media.files import atomic_path

    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
