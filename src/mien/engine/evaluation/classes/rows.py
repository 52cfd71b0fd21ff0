"""One table of several outputs of classes on the same faces: what the face says, the voice, and both."""

from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from mien.cli.text import plain_console
from mien.engine.evaluation.classes.predictions import ClassEvaluation
from mien.engine.evaluation.classes.text import format_interval, format_value
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.scores import Score
from mien.media.files import write_csv

TABLE = "outputs.csv"
METRICS = (
    "accuracy@subjects", "balanced_accuracy@subjects", "clip_accuracy", "clip_balanced_accuracy", "congruent_accuracy",
    "incongruent_accuracy", "incongruent_as_voice", "incongruent_voice_probability",
)  # fmt: skip
_ACROSS = 4  # metrics beside each other on 80 columns
PLAIN = ("accuracy", "balanced_accuracy")  # of data without subjects


def write_rows(results: Sequence[Evaluation], others: Sequence[Evaluation], folder: Path) -> None:
    """outputs.csv with a row for each output and metric, and a printed table; nothing where the model has one output of
    classes. others: the main outputs of further models.
    """
    found = [result for result in results if isinstance(result, ClassEvaluation)]
    if len(found) < 2:
        return
    found += [result for result in others if isinstance(result, ClassEvaluation)]
    known = {score.metric for result in found for score in result.scores}
    metrics = [name for name in METRICS if name in known]
    metrics = metrics if any(name.endswith("@subjects") for name in metrics) else [*PLAIN, *metrics]
    header = ["output", "model", "metric", "value", "low", "high", "n", "method"]
    rows = [
        [result.output, result.model, s.metric, s.value, s.low, s.high, s.n, s.method]
        for result in found for s in _scores(result, metrics)
    ]  # fmt: skip
    write_csv(folder / TABLE, header, (["" if cell is None else cell for cell in row] for row in rows))
    _print(found, metrics)


def _scores(result: ClassEvaluation, metrics: Sequence[str]) -> list[Score]:
    return [score for name in metrics for score in result.scores if score.metric == name]


def _print(found: Sequence[ClassEvaluation], metrics: Sequence[str]) -> None:
    """A row for each output; of many metrics the first four in one table, the others below."""
    for shown in (metrics[:_ACROSS], metrics[_ACROSS:]):
        if not shown:
            continue
        table = Table(show_lines=True)
        table.add_column("output\nmodel", overflow="fold", min_width=16)
        for name in shown:
            table.add_column(name.replace("_", "\n").replace("@", "\n@"), justify="right")
        for result in found:
            scores = {score.metric: score for score in result.scores}
            cells = [_cell(scores[name]) if name in scores else "" for name in shown]
            table.add_row(f"{result.output}\n{result.model}", *cells)
        plain_console().print(table)


def _cell(score: Score) -> str:
    interval = format_interval(score).replace(" to ", " to\n")
    return f"{format_value(score)}\n{interval}" if interval else format_value(score)
