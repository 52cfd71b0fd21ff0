"""Predicted and labelled values of faces, such as valence and arousal; as values.csv and values.parquet too."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from mien.core.errors import MienError
from mien.engine.evaluation.tables import evaluated_rows, number_of, write_columns

VALUES = "values"
_TRUE = "true_"


@dataclass(frozen=True, eq=False)
class ValuePredictions:
    """All lists are in one order."""

    names: tuple[str, ...]
    """Of the values."""
    keys: tuple[str, ...]
    """Of the samples."""
    truth: Float[np.ndarray, "faces values"]
    """As labelled; NaN where a face has no such label."""
    predicted: Float[np.ndarray, "faces values"]
    """As the network gives them."""

    def __len__(self) -> int:
        return len(self.keys)

    def known(self, name: str) -> Bool[np.ndarray, " faces"]:
        """Whether a face has this label."""
        return np.isfinite(self.truth[:, self.names.index(name)])

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Predicted and true values of the faces that have the label."""
        place, known = self.names.index(name), self.known(name)
        return self.predicted[known, place], self.truth[known, place]


def write_values(folder: Path, predictions: ValuePredictions) -> None:
    """key, then NAME and true_NAME of each value; an empty cell is a label that a face does not have."""
    columns: dict[str, list[str] | list[float | None]] = {"key": list(predictions.keys)}
    for place, name in enumerate(predictions.names):
        columns[name] = predictions.predicted[:, place].tolist()
        columns[_TRUE + name] = [None if np.isnan(v) else float(v) for v in predictions.truth[:, place]]
    write_columns(folder, VALUES, columns)


def read_values(path: Path) -> ValuePredictions:
    """Of a values.csv. Raises MienError for another table."""
    rows = evaluated_rows(path, ("key",))
    names = tuple(c.removeprefix(_TRUE) for c in rows[0] if c.startswith(_TRUE) and c.removeprefix(_TRUE) in rows[0])
    if not names:
        raise MienError(f"{path}: not a table of `mien evaluate`; it needs columns NAME and true_NAME.")
    try:
        truth = np.array([[float(row[_TRUE + n] or "nan") for n in names] for row in rows])
        predicted = np.array([[number_of(row[n]) for n in names] for row in rows])
    except (TypeError, ValueError) as error:
        raise MienError(f"{path}: a value is not a number ({error}).") from error
    return ValuePredictions(names, tuple(row["key"] for row in rows), truth, predicted)
