"""Tables beside a report: CSV and Parquet from the same columns, and metrics.jsonl of all outputs."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import isfinite
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.scores import write_scores
from mien.media.files import write_csv
from mien.media.tables import Column, read_rows, write_table


def write_failures(folder: Path, failures: Iterable[tuple[str, str]]) -> None:
    """failures.csv: key and reason of faces that are not in the numbers."""
    write_csv(folder / "failures.csv", ["key", "reason"], failures)


def write_columns(folder: Path, name: str, columns: Mapping[str, Sequence[Any]], *, digits: int = 6) -> None:
    """NAME.csv, numbers to that many digits, and NAME.parquet: a row for each face; None is an empty cell."""
    text = {column for column, values in columns.items() if len(values) and isinstance(values[0], str)}
    described = [Column(c, "text" if c in text else "number", csv_format=f".{digits}g") for c in columns]
    for suffix in (".csv", ".parquet"):
        write_table(folder / f"{name}{suffix}", columns, described=described)


def evaluated_rows(path: Path, needed: Sequence[str]) -> list[dict[str, str]]:
    """The rows of a table that `mien evaluate` wrote, each of a face (and kind of crop) of its own.

    Raises MienError where there are none, a column is missing, and where a face comes twice.
    """
    rows = list(read_rows(path))
    if not rows or not set(needed) <= set(rows[0]):
        raise MienError(f"{path}: not a table of `mien evaluate`; it needs rows with {', '.join(needed)}.")
    times = Counter((row["key"], row.get("crop")) for row in rows)
    if doubled := [key for (key, _), count in times.items() if count > 1]:
        raise MienError(f"{path}: {doubled[0]} has two rows or more; each face has one. Evaluate again.")
    return rows


def number_of(cell: Any) -> float:
    """Raises ValueError for what is no finite number: a NaN would be a wrong answer without a word."""
    value = float(cell)
    if not isfinite(value):
        raise ValueError(f"{cell!r} is not finite")
    return value


def write_metrics(path: Path, results: Mapping[str, Evaluation]) -> None:
    """metrics.jsonl. With several outputs each line names its own; metrics of one name begin with their output."""
    lines = []
    prefixed = ambiguous_outputs(results)
    for output, result in results.items():
        common = result.facts() | ({"output": output} if len(results) > 1 else {})
        prefix = f"{output}/" if output in prefixed else ""
        lines += [(replace(score, metric=prefix + score.metric), common) for score in result.scores]
    write_scores(path, lines)


def ambiguous_outputs(results: Mapping[str, Evaluation]) -> set[str]:
    """Outputs that share a metric's name with another one."""
    names = {output: {s.metric for s in result.scores} for output, result in results.items()}
    counts = Counter(name for found in names.values() for name in found)
    return {output for output, found in names.items() if any(counts[name] > 1 for name in found)}
