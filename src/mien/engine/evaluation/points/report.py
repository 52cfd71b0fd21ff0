"""The report of a landmark evaluation: how far off points are, on whom and where, and what the number rests on."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mien.engine.evaluation.classes.report import seen_said
from mien.engine.evaluation.points.crops import DETECTED
from mien.engine.evaluation.points.plots import NORMALISER_WORDS
from mien.engine.evaluation.points.sections import asymmetry, halves, places, stated, worst, yaw
from mien.engine.evaluation.points.text import score_of, shown, shown_interval
from mien.report import page as report
from mien.report.page import Section

if TYPE_CHECKING:
    from mien.engine.evaluation.result import LandmarkEvaluation

CROP_WORDS = {
    "data": "the data set's own boxes",
    "landmarks": "boxes around the true points, which nobody has for a new picture (an oracle)",
    "detector": "a face detector's boxes (dlib)",
    "reading": "a face detector's boxes, then the points found there, as mien analyze reads",
}
CAVEATS = (
    "An error is a distance over a size of the face, and the size is part of the number: errors over the eye corners, "
    "the pupils and the box do not compare, nor do those of sets with other points.",
    "People who mark points differ too, most along the jaw and least at the corners of the eyes. An error far below "
    "that says little.",
    "Errors are not spread evenly over people. Public detectors were measurably worse on patients with a facial palsy "
    "than on healthy people (Guarin et al., Facial Plastic Surgery & Aesthetic Medicine 22(1), 2020). Where a network "
    "draws faces more symmetric than they are, every measure of asymmetry made from its points is too small.",
    "Not a medical device. Points and measures made from them describe a picture and diagnose nothing.",
)


def write_landmark_report(path: Path, result: "LandmarkEvaluation", *, show_faces: bool = False) -> None:
    """report.html of one evaluation."""
    target = result.target
    title = f"{result.info.system} on {target.data}, {target.split}"
    subtitle = (
        f"Where are the points of a face? Model {result.model}, {len(result.main):,} faces of split "
        f"{target.split_hash}, {result.main.truth_px.shape[1]} points each."
    )
    report.write_page(path, title, landmark_sections(result, show_faces=show_faces), subtitle=subtitle)


def landmark_sections(result: "LandmarkEvaluation", *, show_faces: bool = False) -> list[Section]:
    """The sections, for this report or inside another one; those without data are left out."""
    from mien.engine.evaluation.points.plots import ced_figure

    sections = [
        Section("", headline(result)),
        Section("Against the second model", comparison(result)),
        Section("How many faces are how good", crops_table(result) + report.figure(ced_figure(result))),
        Section("Where on the face", places(result)),
        Section("The two halves of the face", halves(result)),
        Section("By the turn of the head", yaw(result)),
        Section("Does it make faces more symmetric than they are?", asymmetry(result)),
        Section("Does it know its own errors?", stated(result)),
        Section("The worst faces", worst(result, show_faces=show_faces)),
        Section("All metrics", metrics_table(result)),
        Section("What was measured", measured(result)),
        Section("How to read this", "".join(f"<p>{escape(text)}</p>" for text in CAVEATS)),
    ]
    return [section for section in sections if section.html]


def headline(result: "LandmarkEvaluation") -> str:
    """The NME with its interval and protocol, the cards beside it, and warnings."""
    nme = score_of(result, f"nme_{result.normaliser}")
    assert nme is not None
    interval = f"95 % interval {shown_interval(nme)}" if nme.low is not None else "no interval was asked for"
    words = "in pixels" if result.normaliser == "none" else f"percent of the {NORMALISER_WORDS[result.normaliser]}"
    n = result.normaliser
    cards = {
        "of the faces are worse than 10 % (failures)": score_of(result, f"fr@10_{n}"),
        "area under the error curve to 10 %": score_of(result, f"auc@10_{n}"),
        "error of the face in the middle (median)": score_of(result, f"median_{n}"),
        "spread of the faces' errors": score_of(result, f"std_of_faces_{n}"),
    }
    return (
        f'<p class="headline"><strong>{shown(nme)}</strong><span>mean error (NME), {interval}</span></p>'
        f"<p>The mean distance of a point from its true place, {escape(words)}; faces were cut out by "
        f"{escape(CROP_WORDS[result.main.crop])}.</p>"
        + report.cards({name: shown(score) for name, score in cards.items() if score})
        + report.warning(*warnings(result))
    )


def warnings(result: "LandmarkEvaluation") -> list[str]:
    """What a reader must know before quoting the number."""
    lines = list(result.seen)
    oracle = "data" in result.answers and result.oracle
    if oracle and not set(DETECTED) & set(result.answers):
        lines.append(
            "The data's boxes are the rectangles around the true points: the crop gives something of the answer away. "
            "--crop both shows beside it what a detector's boxes give."
        )
    if result.failures:
        count = len(result.failures)
        lines.append(f"{count:,} picture{'s' * (count > 1)} could not be read: not in the numbers, see failures.csv.")
    if result.missed:
        lines.append(
            f"The detector did not find {len(result.missed):,} of the faces: in the error curve they count as "
            "failures, in the other numbers of its crop they do not count."
        )
    lost = {f"with {what}": n for what, n in result.target.dropped.items()} | {
        "without points": result.target.unlabelled
    }
    lines += [f"Left out: {n:,} faces {what}." for what, n in lost.items() if n]
    return lines


def crops_table(result: "LandmarkEvaluation") -> str:
    """One line a kind of crop: what an oracle crop hides stands beside it."""
    n, rows = result.normaliser, []
    for crop, answers in result.answers.items():
        names = f"nme_{n}", f"median_{n}", f"fr@10_{n}", f"auc@10_{n}"
        found = [score_of(result, name, crop=crop) for name in names]
        same = score_of(result, f"nme_{n}/found", crop=crop)
        cells = [shown(found[0]), f"<small>{shown_interval(found[0])}</small>", *map(shown, found[1:])]
        if len(result.answers) > 1:
            cells.append(shown(same or found[0]))
        rows.append([escape(CROP_WORDS[crop]), f"{len(answers):,}", *cells])
    columns = ["faces cut out by", "faces", "NME", "95 % interval", "median", "failures", "AUC"]
    caption = "Failures: faces with an error above 10 percent. AUC: area under the error curve to 10 percent."
    if len(result.answers) > 1:
        columns.append("NME, same faces")
        caption += " Same faces: those that the detector found."
    return report.table(columns, rows, caption=caption)


def comparison(result: "LandmarkEvaluation") -> str:
    if result.against is None:
        return ""
    factor, unit = (1, " px") if result.normaliser == "none" else (100, " %")
    rows = [
        [escape(CROP_WORDS[d.name]), f"{factor * d.first:.2f}{unit}", f"{factor * d.second:.2f}{unit}",
         f"{factor * d.value:+.2f}",
         f"<small>{factor * d.interval.low:+.2f} to {factor * d.interval.high:+.2f}</small>", f"{d.n:,}"]
        for d in result.differences
    ]  # fmt: skip
    columns = ["faces cut out by", "NME of the first", "of the second", "difference", "95 % interval", "faces"]
    about = report.facts({"first": result.bundle, "second": f"{result.against.bundle} ({result.against.model})"})
    caption = (
        "Second minus first, by a paired bootstrap over the faces that both answered: below 0 the second is better."
    )
    return f"<p>{escape(verdict(result))}</p>{about}{report.table(columns, rows, caption=caption)}"


def verdict(result: "LandmarkEvaluation") -> str:
    """One sentence about the second model."""
    assert result.against is not None
    d = result.differences[0]
    if d.interval.low <= 0 <= d.interval.high:
        return f"The two cannot be told apart on these {d.n:,} faces."
    better = result.against.bundle if d.value < 0 else result.bundle
    least = min(d.first, d.second) / max(d.first, d.second)
    return f"{better} is better: its mean error is {1 - least:.1%} smaller."


def metrics_table(result: "LandmarkEvaluation") -> str:
    """Everything but the single points, in a fold: the same lines as metrics.jsonl."""
    rows = [
        [f'<span class="code">{escape(s.metric)}</span>', shown(s), f"<small>{shown_interval(s)}</small>", f"{s.n:,}",
         escape(s.note)]
        for s in result.scores
        if "/point/" not in s.metric
    ]  # fmt: skip
    table = report.table(["metric", "value", "95 % interval", "faces", "note"], rows, left=(0, 4))
    text = "metrics.jsonl holds these values, and those of each point, to full precision, as fractions."
    return f"<details><summary>{len(rows)} metrics</summary>{table}</details><p class='note'>{text}</p>"


def measured(result: "LandmarkEvaluation") -> str:
    info, target, answered = result.info, result.target, sum(map(len, result.answers.values()))
    return report.facts(
        {
            "model": result.model,
            "bundle": result.bundle,
            "weights (SHA-256, first 12)": info.weight_hash,
            "computed by": f"{result.engine}, {answered / max(result.seconds, 1e-9):,.0f} faces a second, all included",
            "data set and split": f"{target.data}, {target.split}",
            "split hash": target.split_hash,
            "faces it was trained on": seen_said(result.leaks),
            "faces measured": ", ".join(f"{len(a):,} ({crop} crop)" for crop, a in result.answers.items()),
            "pictures that could not be read": f"{len(result.failures):,}",
            "faces that the detector missed": f"{len(result.missed):,}" if set(DETECTED) & set(result.answers) else "",
            "errors are divided by": NORMALISER_WORDS[result.normaliser] if result.normaliser != "none" else "nothing",
            "points": f"{result.main.truth_px.shape[1]}",
            "input": f"{info.picture.size} x {info.picture.size} pixels, {info.picture.color}, one view, no flips; "
            f"{info.picture.box_scale:g} times the box",
            "intervals": "95 %, percentile bootstrap over faces; shares of faces: Wilson",
        }
    )


def print_landmark_summary(result: "LandmarkEvaluation", folder: Path) -> None:
    """A short table on standard output, then where the report is."""
    from rich.console import Console
    from rich.table import Table

    console, table = Console(), Table()
    title = f"{result.model} on {result.target.data} {result.target.split}: {len(result.main):,} faces"
    console.print(title, markup=False, highlight=False, soft_wrap=True)
    table.add_column("metric", no_wrap=True)
    alone = len(result.answers) == 1  # else the intervals, which the report has, would not fit
    for crop in result.answers:
        table.add_column(crop if len(result.answers) > 1 else f"{crop} crop", justify="right", no_wrap=True)
    if alone:
        table.add_column("95 % interval", justify="right", no_wrap=True)
    names = dict.fromkeys(s.metric.partition("/")[2] for s in result.scores if _is_told(s.metric))
    for name in names:
        found = [score_of(result, name, crop=crop) for crop in result.answers]
        table.add_row(name, *map(shown, found), *([shown_interval(found[0])] if alone else []))
    console.print(table)
    for line in warnings(result):
        console.print(f"Note: {line}", markup=False, highlight=False, soft_wrap=True)
    if result.against is not None:
        console.print(verdict(result), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _is_told(metric: str) -> bool:
    """On standard output: not the single points, the line's lesser numbers, or every level of a coverage."""
    return not any(f"/{part}/" in metric for part in ("point", "gain_at_equal_turn")) and not metric.endswith(
        ("/intercept", "/r2", "@50", "@80", "@95")
    )
