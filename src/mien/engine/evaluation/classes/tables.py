"""The tables and figures of a classification: predictions, confusion matrix, calibration."""

from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.engine.evaluation.classes.predictions import ClassEvaluation, ClassPredictions
from mien.engine.evaluation.tables import evaluated_rows, number_of, write_columns, write_failures
from mien.media.files import write_csv
from mien.report.plots import confusion_figure, reliability_figure

PREDICTIONS = "predictions"
_SUM_TOLERANCE = 1e-3  # of a row's probabilities, for cells with few digits


def write_tables(folder: Path, result: ClassEvaluation) -> None:
    """predictions.csv and .parquet, failures.csv, confusion.csv, confusion.png, reliability.png."""
    names, confusion = result.predictions.labels.classes, result.predictions.confusion
    write_predictions(folder, result.predictions)
    write_failures(folder, result.failures)
    rows = [[name, *map(int, row)] for name, row in zip(names, confusion, strict=True)]
    write_csv(folder / "confusion.csv", ["truth \\ predicted", *names], rows)
    title = f"{result.model} on {result.target.data} {result.target.split}"
    confusion_figure(confusion, names, title=title).png(folder / "confusion.png")
    reliability_figure(result.predictions.reliability, title=title).png(folder / "reliability.png")


def write_predictions(folder: Path, predictions: ClassPredictions) -> None:
    """predictions.csv and predictions.parquet: key, truth, predicted, then p_CLASS in the model's order."""
    names = predictions.labels.classes
    columns: dict[str, list[Any]] = {
        "key": list(predictions.keys),
        "truth": [names[i] for i in predictions.truth],
        "predicted": [names[i] for i in predictions.predicted],
    }
    columns |= {f"p_{name}": predictions.probabilities[:, k].tolist() for k, name in enumerate(names)}
    write_columns(folder, PREDICTIONS, columns, digits=8)


def read_predictions(path: Path) -> ClassPredictions:
    """Of a predictions.csv, or of the folder that holds it. The logits are the logarithms of p_CLASS.

    Raises MienError for a file that is missing or not such a table.
    """
    path = path / f"{PREDICTIONS}.csv" if path.is_dir() else path
    if not path.is_file():
        raise MienError(f"No predictions.csv at {path}. Expected the --output folder of `mien evaluate`.")
    rows = evaluated_rows(path, ("key", "truth", "predicted"))
    names = tuple(column[2:] for column in rows[0] if column and column.startswith("p_"))
    if not names:
        raise MienError(f"{path}: not a table of `mien evaluate`; it needs a column p_CLASS for each class.")
    labels = LabelSet(path.parent.name or PREDICTIONS, names)
    try:
        chances = np.array([[number_of(row[f"p_{n}"]) for n in names] for row in rows])
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a probability is not a number ({error}).") from error
    wrong = np.flatnonzero((chances < 0).any(1) | (np.abs(chances.sum(1) - 1) > _SUM_TOLERANCE))
    if len(wrong):
        raise MienError(f"{path}: the p_CLASS of {rows[wrong[0]]['key']} are no probabilities that add up to 1.")
    truth = np.array([labels.index(row["truth"]) for row in rows])
    logits = np.log(np.maximum(chances, 1e-300))
    return ClassPredictions(labels, tuple(row["key"] for row in rows), truth, logits)
