"""What the reports of all kinds of output share: sections, the page around them, and the summary of a terminal."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup
from rich.table import Table

from mien.cli.text import plain_console
from mien.core.spec import described_inputs
from mien.engine.evaluation.by_group import LEAST_FACES, GroupTable
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
    return parts.cards(values) + parts.warning(*warnings(result, *left_out(result)))


def warnings(result: Evaluation, *more: str) -> list[str]:
    """What a reader must know before quoting a number."""
    lines, failed = [*result.contamination, *result.notes], len(result.failures)
    if failed:
        lines.append(f"{failed:,} picture{'s' * (failed > 1)} could not be read: not in the numbers, see failures.csv.")
    return [*lines, *more]


def left_out(result: Evaluation, *, unlabelled: str = "without a label") -> list[str]:
    """A line for each kind of face that could not be measured."""
    lost = {f"with {kind}": n for kind, n in result.target.dropped.items()} | {unlabelled: result.target.unlabelled}
    return [f"Left out: {n:,} faces {kind}." for kind, n in lost.items() if n]


def metrics_table(
    scores: Sequence[Score], format_value: Format, meaning: Mapping[str, str], *, note: str = ""
) -> Markup:
    """Every metric with its interval. meaning: by the metric's name before the slash."""
    rows = [
        [s.metric, format_value(s), format_interval(s, format_value), f"{s.n:,}", _described(s, meaning)]
        for s in scores
    ]
    caption = f"metrics.jsonl holds these values to full precision. {note}".strip()
    return parts.table(["metric", "value", "95 % interval", "faces", "meaning"], rows, left=(0, 4), caption=caption)


def _described(score: Score, meaning: Mapping[str, str]) -> str:
    return "; ".join(text for text in (meaning.get(score.metric.partition("/")[0], ""), score.note) if text)


def format_interval(score: Score | None, format_value: Format) -> str:
    """`0.412 to 0.455`; "" for a score without an interval."""
    if score is None or score.low is None or score.high is None:
        return ""
    return " to ".join(format_value(Score(score.metric, end)) for end in (score.low, score.high))


def model_and_data(result: Evaluation, more: Mapping[str, object]) -> Section:
    """Which model, on which faces, how. more: further facts, or others in place of these."""
    target = result.target
    facts: dict[str, object] = {
        "model": result.model,
        "bundle": result.bundle,
        "output": result.output,
        "weights (SHA-256, first 12)": result.info.weight_hash,
        "computed by": f"{result.engine}, {speed(result.faces, result)} faces a second",
        "data set and split": f"{target.data}, {target.split}",
        "split hash": target.split_hash,
        "split file": target.split_file,
        "overlap with training faces": format_overlap(result.leaks),
        "faces measured": f"{result.faces:,}",
        "pictures that could not be read": f"{len(result.failures):,}",
        "input": f"{described_inputs(result.info.inputs)}, one view, no flips",
        "intervals": "95 %, percentile bootstrap over faces" if result.scores[0].low is not None else "none",
    }
    return Section("Model, data and protocol", parts.facts(facts | dict(more)))


def speed(faces: int, result: Evaluation) -> str:
    """Faces a second."""
    return f"{faces / max(result.seconds, 1e-9):,.0f}"


def comparison(compared: Comparison | None, more: Mapping[str, object]) -> list[Section]:
    """The verdict and the differences with their paired intervals; empty where one model was measured."""
    if compared is None:
        return []
    columns, rows = difference_rows(compared)
    about = {"first": compared.first, "second": compared.second, "result": compared.verdict, **more}
    unit = ", in percentage points" if compared.in_percent else ""
    caption = f"Second minus first{unit}; intervals by a paired bootstrap over faces, not corrected for many metrics."
    return [
        Section("Comparison with the second model", parts.facts(about) + parts.table(columns, rows, caption=caption))
    ]


def difference_rows(compared: Comparison) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of a table of differences."""
    columns = ["metric", "first", "second", "difference", "95 % interval", "faces"]
    rows = []
    for d in compared.differences:
        gap, *ends = map(
            compared.written_difference, (d.value, *((d.interval.low, d.interval.high) if d.interval else ()))
        )
        rows.append([d.name, compared.written(d.first), compared.written(d.second), gap, " to ".join(ends), f"{d.n:,}"])
    return columns, rows


def group_sections(result: Evaluation) -> list[Section]:
    """The table of groups, and the largest differences between two of them; empty where none were asked for."""
    if (table := result.groups) is None:
        return []
    columns, rows = _group_rows(table)
    caption = (
        f"95 % intervals by a bootstrap over the faces of each group. The largest difference is that of the two groups "
        f"which differ most, of those with {LEAST_FACES} faces or more: with many groups some difference is large by "
        "chance. Groups differ in their faces too, not only in how well they are read."
    )
    return [Section(f"By {table.column}", parts.table(columns, rows, caption=caption))]


def print_groups(result: Evaluation) -> None:
    """The same on standard output."""
    if result.groups is None:
        return
    columns, rows = _group_rows(result.groups)
    table = Table()
    for name in columns:
        table.add_column(name, justify="left" if name == columns[0] else "right", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace(" (", "\n(").replace(") ", ")\n") for cell in row))
    plain_console().print(table)


def _group_rows(found: GroupTable) -> tuple[list[str], list[list[str]]]:
    rows = [[group, f"{max(s.n for s in scores):,}", *map(_group_cell, scores)] for group, scores in found.rows.items()]
    by_metric = {score.metric: score for score in found.largest}
    largest = [by_metric.get(metric) for metric in found.metrics]
    if any(largest):
        rows.append(["largest difference", "", *(f"{_group_cell(s)} {s.note}" if s else "" for s in largest)])
    return [found.column, "faces", *found.metrics], rows


def _group_cell(score: Score) -> str:
    """`0.812 (0.790 to 0.834)`."""
    if score.value is None:
        return "undefined"
    ends = "" if score.low is None or score.high is None else f" ({score.low:.3f} to {score.high:.3f})"
    return f"{score.value:.3f}{ends}"


def print_scores(
    result: Evaluation, scores: Sequence[Score], format_value: Format, folder: Path, lines: Sequence[str]
) -> None:
    """Metrics with their intervals on standard output. lines: warnings."""
    table = Table()
    for name, side in (("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for score in scores:
        table.add_row(score.metric, format_value(score), format_interval(score, format_value))
    print_table(result, table, folder, lines)


def print_table(result: Evaluation, table: Table, folder: Path, lines: Sequence[str]) -> None:
    """A table on standard output, then warnings, the comparison's verdict, and where the report is."""
    console, target = plain_console(), result.target
    verdict = result.comparison.verdict if result.comparison else ""
    title = f"{result.model} on {target.data} {target.split}, {result.output}: {result.faces:,} faces"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    for line in (*(f"Note: {line}" for line in lines), verdict, f"Report: {folder / 'report.html'}"):
        if line:
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def write_report(path: Path, result: Evaluation, sections: Sequence[Section], subject: str) -> None:
    """report.html of one output."""
    title = f"{result.info.system} on {result.target.data}, {result.target.split}"
    subtitle = f"{subject}. Model {result.model}, {result.faces:,} faces of split {result.target.split_hash}."
    write_page(path, title, sections, subtitle=subtitle)


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
