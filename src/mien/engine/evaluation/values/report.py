"""The report of predicted values: agreement with the labels, errors, and what they were measured on."""

from pathlib import Path

from mien.engine.evaluation import page
from mien.engine.evaluation.scores import Score
from mien.engine.evaluation.values.predictions import ValueEvaluation
from mien.report.page import Section, caveats, write_page

MEANING = {
    "ccc": "concordance correlation with the label, over all faces; 1 is best",
    "pearson": "Pearson's correlation with the label",
    "rmse": "root of the mean squared error, in the unit of the label (-1 to 1)",
    "mae": "mean absolute error, in the unit of the label (-1 to 1)",
    "sagr": "share of the faces whose value has the sign of the label",
}


def write_report(path: Path, result: ValueEvaluation, *, show_faces: bool = False) -> None:
    """report.html of this output alone. show_faces: no face is shown in any case."""
    target = result.target
    title = f"{result.info.system} on {target.data}, {target.split}"
    names = " and ".join(result.predictions.names)
    subtitle = f"{names}. Model {result.model}, {len(result.predictions):,} faces of split {target.split_hash}."
    write_page(path, title, value_sections(result), subtitle=subtitle)


def value_sections(result: ValueEvaluation) -> list[Section]:
    """The sections, for this report or inside another one."""
    cards = {
        f"{s.metric.replace('/', ' of ')}": format_value(s) for s in result.scores if s.metric[:4] in ("ccc/", "rmse")
    }
    facts = {"intervals": "95 %, percentile bootstrap over faces" if result.scores[0].low is not None else "none"}
    sections = [
        Section("", page.headline(result, cards)),
        Section("All metrics", page.metrics_table(result.scores, format_value, MEANING)),
        Section("Model, data and protocol", page.model_and_data(result, len(result.predictions), facts)),
        caveats(),
    ]
    if result.comparison:
        sections.insert(1, Section("Comparison with the second model", page.comparison_table(result.comparison)))
    return sections


def print_summary(result: ValueEvaluation, folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    page.print_scores(result, len(result.predictions), result.scores, format_value, folder)


def format_value(score: Score) -> str:
    """`0.482`, a share as `61.3%`, or `undefined`."""
    if score.value is None:
        return "undefined"
    return f"{score.value:.1%}" if score.metric.startswith("sagr/") else f"{score.value:.3f}"
