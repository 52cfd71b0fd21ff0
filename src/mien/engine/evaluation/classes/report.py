"""The report of a classification: the accuracy beside its baseline, errors by class, calibration, and caveats."""

from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from mien.core.spec import described_inputs
from mien.engine.evaluation.classes import sections as body
from mien.engine.evaluation.classes.text import MEANING, format_interval, format_value
from mien.engine.evaluation.contamination import format_overlap
from mien.engine.evaluation.scores import value_of
from mien.report import parts
from mien.report.page import Section, caveats, write_page

if TYPE_CHECKING:
    from mien.engine.evaluation.classes.predictions import ClassEvaluation

INTERVALS = "95 %: percentile bootstrap over faces (within classes for averages); recall and precision: Wilson"


def write_report(path: Path, result: "ClassEvaluation", *, show_faces: bool = False) -> None:
    """report.html of one evaluation."""
    target = result.target
    title = f"{result.info.system} on {target.data}, {target.split}"
    subtitle = (
        f"Facial expression recognition. Model {result.model}, {len(result.predictions):,} faces of split "
        f"{target.split_hash}, one view each."
    )
    write_page(path, title, evaluation_sections(result, show_faces=show_faces), subtitle=subtitle)


def evaluation_sections(result: "ClassEvaluation", *, show_faces: bool = False) -> list[Section]:
    """The sections, for this report or inside another one."""
    sections = [
        Section("", headline(result)),
        Section("Classes", body.classes_table(result)),
        Section("Confusion matrix", body.confusion_table(result)),
        Section("Calibration", body.reliability(result)),
        Section("The most confident mistakes", body.mistakes(result, show_faces=show_faces)),
        Section("All metrics", body.metrics_table(result.scores)),
        Section("Model, data and protocol", measured(result)),
    ]
    if result.comparison:
        sections.insert(1, Section("Comparison with the second model", body.comparison(result.comparison)))
    return [*sections, caveats()]


def headline(result: "ClassEvaluation") -> Markup:
    """The accuracy beside its baseline, with what a reader must know before quoting it."""
    return body.headline(result, warnings=warnings(result))


def warnings(result: "ClassEvaluation") -> list[str]:
    """What a reader must know before quoting the accuracy."""
    lines = [*result.contamination, *result.notes]
    if result.failures:
        lines.append(f"{_pictures(len(result.failures))} not be read: not in the numbers, listed in failures.csv.")
    if result.target.dropped:
        lost = ", ".join(f"{name} ({count:,})" for name, count in result.target.dropped.items())
        lines.append(f"Left out, because the model has no such class: {lost}.")
    absent = value_of(result.scores, "balanced_accuracy").note
    if absent:
        lines.append(f"Balanced accuracy and macro F1: {absent}.")
    return lines


def measured(result: "ClassEvaluation") -> Markup:
    """Which model, on which faces, how."""
    info, target, labels = result.info, result.target, result.predictions.labels
    accuracy, speed = value_of(result.scores, "accuracy"), len(result.predictions) / max(result.seconds, 1e-9)
    return parts.facts(
        {
            "model": result.model,
            "bundle": result.bundle,
            "weights (SHA-256, first 12)": info.weight_hash,
            "computed by": f"{result.engine}, {speed:,.0f} faces a second",
            "data set and split": f"{target.data}, {target.split}",
            "split hash": target.split_hash,
            "split file": target.split_file,
            "overlap with training faces": format_overlap(result.leaks),
            "faces measured": f"{len(result.predictions):,}",
            "pictures that could not be read": f"{len(result.failures):,}",
            "samples without a label": f"{target.unlabelled:,}",
            "samples of classes the model lacks": f"{sum(target.dropped.values()):,}",
            "classes": f"{', '.join(labels.classes)} (order {labels.name}, {labels.checksum})",
            "input": f"{described_inputs(info.inputs)}, one view, no flips",
            "temperature": f"{result.predictions.temperature:.4g}",
            "intervals": INTERVALS if accuracy.low is not None else "none",
        }
    )


def print_summary(result: "ClassEvaluation", folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    from rich.table import Table

    from mien.cli.text import plain_console

    console, table = plain_console(), Table()
    title = f"{result.model} on {result.target.data} {result.target.split}: {len(result.predictions):,} faces"
    for name, side in (("metric", "left"), ("value", "right"), ("95 % interval", "right")):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for s in result.scores:
        if s.metric in MEANING or s.metric.startswith("recall/"):
            table.add_row(s.metric, format_value(s), format_interval(s))
    notes = [f"Note: {line}" for line in warnings(result)]
    verdict = [result.comparison.verdict] if result.comparison else []
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    console.print(table)
    for line in (*notes, *verdict, f"Report: {folder / 'report.html'}"):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _pictures(count: int) -> str:
    return "1 picture could" if count == 1 else f"{count:,} pictures could"
