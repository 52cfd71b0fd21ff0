"""values.csv and values.parquet: predicted and true values of each face."""

from pathlib import Path

import numpy as np

from mien.core.errors import MienError
from mien.engine.evaluation.tables import read_rows, write_columns, write_failures
from mien.engine.evaluation.values.predictions import ValueEvaluation, ValuePredictions

VALUES = "values"
_TRUE = "true_"


def write_tables(folder: Path, result: ValueEvaluation) -> None:
    """values.csv and .parquet, failures.csv."""
    write_values(folder, result.predictions)
    write_failures(folder, result.failures)


def write_values(folder: Path, predictions: ValuePredictions) -> None:
    """key, then NAME and true_NAME of each value; an empty cell is a label that a face does not have."""
    columns: dict[str, list[str] | list[float | None]] = {"key": list(predictions.keys)}
    for place, name in enumerate(predictions.names):
        columns[name] = predictions.predicted[:, place].tolist()
        columns[_TRUE + name] = [None if np.isnan(v) else float(v) for v in predictions.truth[:, place]]
    write_columns(folder, VALUES, columns)


def read_values(path: Path) -> ValuePredictions:
    """Of a values.csv. Raises MienError for another table."""
    rows = read_rows(path, ("key",))
    names = tuple(c.removeprefix(_TRUE) for c in rows[0] if c.startswith(_TRUE) and c.removeprefix(_TRUE) in rows[0])
    if not names:
        raise MienError(f"{path}: not a table of `mien evaluate`; it needs columns NAME and true_NAME.")
    try:
        truth = np.array([[float(row[_TRUE + n] or "nan") for n in names] for row in rows])
        predicted = np.array([[float(row[n]) for n in names] for row in rows])
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a value is not a number ({error}).") from error
    return ValuePredictions(names, tuple(row["key"] for row in rows), truth, predicted)
