"""Sections that reports of values and pictures share, and the report of several outputs.

Every cell is plain text without characters that HTML would read: names of metrics, numbers, and names from the bundle.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.table import Table

from mien.cli.text import plain_console
from mien.core.spec import described_inputs
from mien.engine.evaluation.comparison import Comparison
from mien.engine.evaluation.contamination import format_overlap
from mien.engine.evaluation.result import Evaluation
from mien.engine.evaluation.scores import Score
from mien.report import parts
from mien.report.page import Section, caveats, write_page

CAVEATS_TITLE = caveats().title
Format = Callable[[Score], str]


def headline(result: Evaluation, values: Mapping[str, str]) -> str:
    """The main numbers in large print, and what a reader must know before quoting them."""
    return parts.cards(values) + parts.warning(*warnings(result))


def warnings(result: Evaluation) -> list[str]:
    """What a reader must know before quoting a number."""
    lines, failed = [*result.contamination, *result.notes], len(result.failures)
    if failed:
        lines.append(f"{failed:,} picture{'s' * (failed > 1)} could not be read: not in the numbers, see failures.csv.")
    lost = {f"with {kind}": n for kind, n in result.target.dropped.items()} | {
        "without a label": result.target.unlabelled
    }
    return lines + [f"Left out: {n:,} faces {kind}." for kind, n in lost.items() if n]


def metrics_table(scores: Sequence[Score], format_value: Format, meaning: Mapping[str, str]) -> str:
    """Every metric with its interval. meaning: by the metric's name before the slash."""
    rows = [
        [s.metric, format_value(s), format_interval(s, format_value), f"{s.n:,}", _described(s, meaning)]
        for s in scores
    ]
    caption = "metrics.jsonl holds these values to full precision."
    return parts.table(["metric", "value", "95 % interval", "faces", "meaning"], rows, left=(0, 4), caption=caption)


def _described(score: Score, meaning: Mapping[str, str]) -> str:
    return "; ".join(text for text in (meaning.get(score.metric.partition("/")[0], ""), score.note) if text)


def format_interval(score: Score, format_value: Format) -> str:
    """`0.412 to 0.455`; "" for a score without an interval."""
    if score.low is None or score.high is None:
        return ""
    return " to ".join(format_value(Score(score.metric, end)) for end in (score.low, score.high))


def model_and_data(result: Evaluation, faces: int, more: Mapping[str, object]) -> str:
    """Which model, on which faces, how."""
    target = result.target
    return parts.facts(
        {
            "model": result.model,
            "bundle": result.bundle,
            "output": result.output,
            "weights (SHA-256, first 12)": result.info.weight_hash,
            "computed by": f"{result.engine}, {faces / max(result.seconds, 1e-9):,.0f} faces a second",
            "data set and split": f"{target.data}, {target.split}",
            "split hash": target.split_hash,
            "split file": target.split_file,
            "overlap with training faces": format_overlap(result.leaks),
            "faces measured": f"{faces:,}",
            "pictures that could not be read": f"{len(result.failures):,}",
            "input": f"{described_inputs(result.info.inputs)}, one view, no flips",
            **more,
        }
    )


def comparison_table(compared: Comparison) -> str:
    """The verdict and the differences with their paired intervals."""
    columns, rows = difference_rows(compared)
    about = {"first": compared.first, "second": compared.second, "result": compared.verdict}
    caption = "Second minus first; intervals by a paired bootstrap over faces, not corrected for many metrics."
    return parts.facts(about) + parts.table(columns, rows, caption=caption)


def difference_rows(compared: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table of differences."""
    columns = ["metric", "first", "second", "difference", "95 % interval", "faces"]
    rows = []
    for d in compared.differences:
        gap, low, high = map(compared.written_difference, (d.value, d.interval.low, d.interval.high))
        rows.append(
            [d.name, compared.written(d.first), compared.written(d.second), gap, f"{low} to {high}", f"{d.n:,}"]
        )
    return columns, rows


def print_scores(result: Evaluation, faces: int, scores: Sequence[Score], format_value: Format, folder: Path) -> None:
    """A table on standard output, then notes, the comparison's verdict, and where the report is."""
    console, table = plain_console(), Table()
    for name, side in (("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for score in scores:
        table.add_row(score.metric, format_value(score), format_interval(score, format_value))
    title = f"{result.model} on {result.target.data} {result.target.split}, {result.output}: {faces:,} faces"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    verdict = [compared.verdict] if (compared := getattr(result, "comparison", None)) else []
    for line in (*(f"Note: {line}" for line in warnings(result)), *verdict, f"Report: {folder / 'report.html'}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_report_of_outputs(
    path: Path, results: Mapping[str, Evaluation], sections: Mapping[str, Sequence[Section]]
) -> None:
    """One report with the sections of every output, each title after the output's name; caveats stand once, last."""
    first = next(iter(results.values()))
    named, caveats = [Section("", _outputs_table(results))], dict[str, Section]()
    for output, found in sections.items():
        for section in found:
            if section.title == CAVEATS_TITLE:
                caveats.setdefault(str(section.html), section)
            else:
                title = f"{output}: {section.title}" if section.title else output
                named.append(Section(title, section.html))
    title = f"{first.info.system} on {first.target.data}, {first.target.split}"
    subtitle = f"Model {first.model}; outputs {', '.join(results)}; faces of split {first.target.split_hash}."
    write_page(path, title, [*named, *caveats.values()], subtitle=subtitle)


def _outputs_table(results: Mapping[str, Evaluation]) -> str:
    faces = {output: len(result.target.samples) - len(result.failures) for output, result in results.items()}
    return parts.facts(
        {
            output: f"{result.info.outputs[output].kind}, {faces[output]:,} faces, tables in {output}/"
            for output, result in results.items()
        }
    )
