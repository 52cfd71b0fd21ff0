"""The report of a landmark evaluation: the error with its protocol, where and on whom points are off, and caveats."""

from pathlib import Path

from markupsafe import Markup
from rich.table import Table

from mien.core.spec import described_inputs
from mien.engine.evaluation import page
from mien.engine.evaluation.points import sections as body
from mien.engine.evaluation.points.crops import DETECTED
from mien.engine.evaluation.points.plots import ced_figure
from mien.engine.evaluation.points.predictions import PointEvaluation
from mien.engine.evaluation.points.text import CROP_TEXT, NORMALISER_TEXT, format_interval, format_value, score_of
from mien.report import parts
from mien.report.page import Section, macro


def landmark_sections(result: PointEvaluation, *, show_faces: bool = False) -> list[Section]:
    """The sections, for this report or inside another one; those without data are left out."""
    sections = [
        Section("", headline(result)),
        *page.comparison(result.comparison, {}),
        Section("Error distribution", distribution(result)),
        Section("Error by region", body.places(result)),
        Section("Error by side of the face", body.sides(result)),
        Section("Error by head yaw", body.yaw(result)),
        Section("Predicted against true asymmetry", body.asymmetry(result)),
        Section("Predicted errors (sigma)", body.predicted_errors(result)),
        Section("The largest errors", body.largest_errors(result, show_faces=show_faces)),
        Section("All metrics", metrics_table(result)),
        measured(result),
        Section("How to read this", macro(body.TEMPLATE, "caveats")),
    ]
    return [section for section in sections if section.html]


def headline(result: PointEvaluation) -> Markup:
    """The NME with its interval and protocol, the cards beside it, and warnings."""
    n = result.normaliser
    nme = score_of(result, f"nme_{n}")
    assert nme is not None
    cards = {
        "failure rate: faces with an error above 10 %": score_of(result, f"fr@10_{n}"),
        "AUC: area under the error distribution to 10 %": score_of(result, f"auc@10_{n}"),
        "median error of a face": score_of(result, f"median_{n}"),
        "standard deviation of the faces' errors": score_of(result, f"std_of_faces_{n}"),
    }
    unit = "in pixels" if n == "none" else f"in percent of the {NORMALISER_TEXT[n]}"
    return macro(
        body.TEMPLATE, "headline", format_value(nme), format_interval(nme), unit, CROP_TEXT[result.main.crop],
        {name: format_value(score) for name, score in cards.items() if score}, warnings(result),
    )  # fmt: skip


def warnings(result: PointEvaluation) -> list[str]:
    """What a reader must know before quoting the error."""
    lines = []
    if "data" in result.predictions and result.oracle and not set(DETECTED) & set(result.predictions):
        lines.append(
            "The data set's boxes are the rectangles around the true points, so the crop reveals part of the truth. "
            "--crop both adds the error with a detector's boxes."
        )
    if result.missed:
        lines.append(
            f"The detector did not find {len(result.missed):,} of the faces: in the error distribution they count as "
            "failures, in the other numbers of its crop they do not count."
        )
    return page.warnings(result, *lines, *page.left_out(result, unlabelled="without points"))


def distribution(result: PointEvaluation) -> Markup:
    """The cumulative error distribution and its summary for each kind of crop."""
    return macro(body.TEMPLATE, "distribution", crops_table(result), ced_figure(result))


def crops_table(result: PointEvaluation) -> Markup:
    """A row for each kind of crop: what an oracle crop hides stands beside it."""
    columns = ["faces cut out by", "faces", "NME", "95 % interval", "median", "failures", "AUC"]
    caption = "Failures: faces with an error above 10 percent. AUC: area under the error distribution to 10 percent."
    several = len(result.predictions) > 1
    if several:
        columns.append("NME, same faces")
        caption += " Same faces: those that the detector found."
    rows = [_crop_row(result, crop, several=several) for crop in result.predictions]
    return parts.table(columns, rows, caption=caption)


def _crop_row(result: PointEvaluation, crop: str, *, several: bool) -> list[parts.Cell]:
    n = result.normaliser
    nme, *others = (score_of(result, f"{name}_{n}", crop=crop) for name in ("nme", "median", "fr@10", "auc@10"))
    cells = [format_value(nme), parts.small(format_interval(nme)), *map(format_value, others)]
    if several:
        cells.append(format_value(score_of(result, f"nme_{n}/found", crop=crop) or nme))
    faces = next(len(found) for name, found in result.predictions.items() if name == crop)
    return [CROP_TEXT[crop], f"{faces:,}", *cells]


def metrics_table(result: PointEvaluation) -> Markup:
    """Everything but the single points, folded: the same lines as metrics.jsonl."""
    rows = [
        [parts.code(s.metric), format_value(s), parts.small(format_interval(s)), f"{s.n:,}", s.note]
        for s in result.scores
        if "/point/" not in s.metric
    ]
    return macro(body.TEMPLATE, "metrics", rows)


def measured(result: PointEvaluation) -> Section:
    """Which model, on which faces, how."""
    info, speed = result.info, page.speed(sum(map(len, result.predictions.values())), result)
    detected = set(DETECTED) & set(result.predictions)
    return page.model_and_data(
        result,
        {
            "computed by": f"{result.engine}, {speed} faces a second, detection and reading included",
            "faces measured": ", ".join(f"{len(p):,} ({crop} crop)" for crop, p in result.predictions.items()),
            "faces that the detector missed": f"{len(result.missed):,}" if detected else "",
            "errors are divided by": NORMALISER_TEXT[result.normaliser] if result.normaliser != "none" else "nothing",
            "points": f"{result.main.truth_px.shape[1]}",
            "input": f"{described_inputs(info.inputs)}, one view, no flips; {info.picture.box_scale:g} times the box",
            "intervals": "95 %, percentile bootstrap over faces; shares of faces: Wilson",
        },
    )


def print_landmark_summary(result: PointEvaluation, folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    table = Table()
    table.add_column("metric", no_wrap=True)
    alone = len(result.predictions) == 1  # else the intervals, which the report has, would not fit
    for crop in result.predictions:
        table.add_column(f"{crop} crop" if alone else crop, justify="right", no_wrap=True)
    if alone:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    for name in dict.fromkeys(s.metric.partition("/")[2] for s in result.scores if _in_summary(s.metric)):
        found = [score_of(result, name, crop=crop) for crop in result.predictions]
        table.add_row(name, *map(format_value, found), *([format_interval(found[0])] if alone else []))
    page.print_table(result, table, folder, warnings(result))


def _in_summary(metric: str) -> bool:
    """On standard output: not the single points, the line's lesser numbers, or every level of a coverage."""
    return not any(f"/{part}/" in metric for part in ("point", "gain_at_equal_turn")) and not metric.endswith(
        ("/intercept", "/r2", "@50", "@80", "@95")
    )
