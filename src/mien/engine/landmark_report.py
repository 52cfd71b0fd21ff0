"""The report of a landmark evaluation: how far off points are, on whom and where, and what the number rests on."""

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine import report
from mien.engine.evaluation_report import seen_said
from mien.engine.landmark_plots import NORMALISER_WORDS
from mien.engine.report import Section
from mien.engine.scores import Score

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.canvas import Scene
    from mien.engine.landmark_answers import PointAnswers
    from mien.engine.landmark_evaluation import LandmarkEvaluation

WORST_SHOWN = 12
CROP_WORDS = {
    "data": "the data set's own boxes",
    "landmarks": "boxes around the true points (an oracle: nobody has them for a new picture)",
    "detector": "a face detector's boxes (dlib), as for a new picture",
}
CAVEATS = (
    "An error is a distance over a size of the face, and the size is part of the number: errors over the eye corners, "
    "the pupils and the box do not compare, nor do those of sets with other points.",
    "People who mark points differ by about 2 to 4 percent of the eye corners' distance, most along the jaw. Below "
    "that a smaller error says little.",
    "Errors are not spread evenly over people. Networks trained on healthy faces are worse on faces with a palsy, and "
    "tend to draw them more symmetric than they are (Guarin et al., Facial Plastic Surgery & Aesthetic Medicine 22(1), "
    "2020). A measure of asymmetry from such points is too small.",
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
    from mien.engine.landmark_plots import ced_figure

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


def score_of(result: "LandmarkEvaluation", name: str, *, crop: str = "") -> Score | None:
    """The score of that name on the headline's crop, or another."""
    wanted = f"{crop or result.main.crop}_crop/{name}"
    return next((s for s in result.scores if s.metric == wanted), None)


def shown(score: Score | None) -> str:
    """A value as people write it: errors and shares in percent, the rest in three decimals."""
    if score is None:
        return ""
    return "undefined" if score.value is None else _written(score.metric, score.value)


def shown_interval(score: Score | None) -> str:
    if score is None or score.low is None or score.high is None:
        return ""
    return f"{_written(score.metric, score.low)} to {_written(score.metric, score.high)}"


def _written(metric: str, value: float) -> str:
    name = metric.partition("/")[2]
    if _in_pixels(name):
        return f"{value:.2f} px"
    if name.startswith("asymmetry") and name.endswith(("slope", "r2", "gain")):
        return f"{value:.2f}"
    if name.startswith(("auc", "sigma/error", "sigma/corr")):
        return f"{value:.3f}"
    return f"{100 * value:.2f} %"


def _in_pixels(name: str) -> bool:
    protocol = name.partition("/")[0]
    return name.endswith("_px") or (protocol.endswith("_none") and not name.startswith(("fr@", "auc@")))


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
    if oracle and "detector" not in result.answers:
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
        faces = f"{len(answers):,}" + (f", {len(result.missed):,} missed" if crop == "detector" else "")
        interval = f"<small>{shown_interval(found[0])}</small>"
        rows.append([escape(CROP_WORDS[crop]), faces, shown(found[0]), interval, *map(shown, found[1:])])
    columns = ["faces cut out by", "faces", "NME", "95 % interval", "median", "failures (10 %)", "AUC (10 %)"]
    return report.table(columns, rows)


def places(result: "LandmarkEvaluation") -> str:
    """Errors by region as bars beside a face whose dots are as large as their errors."""
    from mien.engine.landmark_plots import face_figure

    prefix = f"nme_{result.normaliser}/region/"
    found = [s for s in _below(result, prefix)]
    largest = max((s.value or 0 for s in found), default=1) or 1
    rows = [
        [escape(s.metric.rpartition("/")[2].replace("_", " ")), report.bar((s.value or 0) / largest, shown(s)),
         f"<small>{shown_interval(s)}</small>"]
        for s in found
    ]  # fmt: skip
    table = report.table(["region", "mean error", "95 % interval"], rows)
    shape, errors = mean_face(result.main)
    text = (
        "Each dot is as large, on this mean face, as the mean error of its point; orange: more than one and a half "
        "times the mean. Right and left are the person's own, so the right eye is on the left here."
    )
    figure = report.figure(face_figure(shape, errors))
    return f'<div class="beside">{figure}<div>{table}<p class="note">{text}</p></div></div>'


def mean_face(answers: "PointAnswers") -> "tuple[np.ndarray, np.ndarray]":
    """Mean of the true points, each face upright and of size 1, and mean error of each point in that unit."""
    import numpy as np

    from mien.core.geometry import fit_similarity
    from mien.metrics.alignment import errors

    whole = "bbox"
    size = np.sqrt(np.ptp(answers.truth_px, axis=1).prod(-1))[:, None, None]
    faces = (answers.truth_px - answers.truth_px.mean(1, keepdims=True)) / size
    first = faces[np.argmin(np.abs(faces - np.median(faces, axis=0)).sum((1, 2)))]
    turned = []
    for face in faces:
        try:
            _, rotation, _ = fit_similarity(face, first)
        except MienError:
            continue
        turned.append(face @ rotation.T)
    return np.mean(turned, axis=0), errors(answers.predicted_px, answers.truth_px, normaliser=whole).mean(0)  # type: ignore[arg-type]


def halves(result: "LandmarkEvaluation") -> str:
    """Right and left; with palsy affected and healthy."""
    words = {
        "right": "the person's right half", "left": "the person's left half", "affected": "the half with the palsy",
        "healthy": "the other half of these faces", "affected_minus_healthy": "affected minus healthy",
    }  # fmt: skip
    found = {s.metric.rpartition("/")[2]: s for s in _below(result, f"nme_{result.normaliser}/half/")}
    rows = [_row(words[name], score) for name, score in found.items()]
    for name, text in (("palsy", "faces with a palsy, whole"), ("no_palsy", "faces without, whole")):
        if (score := score_of(result, f"nme_{result.normaliser}/{name}")) is not None:
            rows.append(_row(text, score))
    caption = "Points on the midline belong to no half."
    return report.table(["half", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def yaw(result: "LandmarkEvaluation") -> str:
    rows = [
        _row(name.replace("-", " to ") + " degrees" if "-" in name else "mean of the ranges", score)
        for score in _below(result, f"nme_{result.normaliser}/yaw/")
        for name in [score.metric.rpartition("/")[2]]
    ]
    caption = "How far the head is turned to either side, as the data set states it."
    return report.table(["turned by", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def asymmetry(result: "LandmarkEvaluation") -> str:
    """The line of predicted over true asymmetry, in a sentence, a figure and a table."""
    slope = score_of(result, "asymmetry/slope")
    if slope is None:
        return ""
    if slope.value is None:
        return f"<p>{escape(slope.note)}</p>"
    rows = []
    for name in ("asymmetry", "asymmetry_of_palsy", "asymmetry_3d"):
        found = [score_of(result, f"{name}/{part}") for part in ("slope", "gain", "intercept", "r2")]
        if found[0] is not None:
            cells = [f"{shown(s)} <small>{shown_interval(s)}</small>" for s in found]
            rows.append([escape(_ASYMMETRY_WORDS[name]), f"{found[0].n:,}", *cells])
    columns = ["of", "faces", "slope", "gain", "intercept", "R²"]
    text = (
        "The index is the mean distance between a point and the mirror image of its counterpart, over the distance of "
        "the outer eye corners: 0 is symmetric. Slope: how much of one more unit of true asymmetry is found; below 1 "
        "unequal faces are drawn too equal. Gain: the same from the directions of the gaps, which random errors do not "
        f"change. Measured on {slope.note}."
    )
    figure = report.figure(_asymmetry_figure(result, slope))
    table = report.table(columns, rows)
    beside = f'<div class="beside">{figure}<div><p>{escape(text)}</p></div></div>'
    return f"<p>{escape(_verdict(slope))}</p>{table}{beside}"


_ASYMMETRY_WORDS = {
    "asymmetry": "all of them", "asymmetry_of_palsy": "faces with a palsy", "asymmetry_3d": "all, from points in 3D",
}  # fmt: skip


def _verdict(slope: Score) -> str:
    assert slope.value is not None
    low, high = (slope.low, slope.high) if slope.low is not None and slope.high is not None else (slope.value,) * 2
    if high < 1:
        return f"Yes: of one more unit of true asymmetry {slope.value:.2f} are found (slope below 1)."
    if low > 1:
        return f"No, rather less symmetric: of one more unit of true asymmetry {slope.value:.2f} are found."
    return f"That cannot be told from these faces: the slope is {slope.value:.2f}, and its interval holds 1."


def _asymmetry_figure(result: "LandmarkEvaluation", slope: Score) -> "Scene":
    import numpy as np

    from mien.engine.landmark_plots import asymmetry_figure
    from mien.engine.landmark_scores import frontal_faces
    from mien.metrics.asymmetry import asymmetry_index

    a, intercept = result.main, score_of(result, "asymmetry/intercept")
    chosen, _ = frontal_faces(a)
    assert slope.value is not None and intercept is not None and intercept.value is not None
    return asymmetry_figure(
        asymmetry_index(a.truth_px[chosen]), asymmetry_index(a.predicted_px[chosen]), slope.value, intercept.value,
        marked=np.array(a.affected)[chosen] != "",
    )  # fmt: skip


def stated(result: "LandmarkEvaluation") -> str:
    """Stated errors against found ones."""
    import numpy as np

    from mien.engine.landmark_plots import sigma_figure
    from mien.metrics.alignment import errors, face_sizes
    from mien.metrics.uncertainty import sigma_bins

    a, rows = result.main, []
    if a.sigma_px is None:
        return ""
    for score in _below(result, "sigma/"):
        name = score.metric.rpartition("/")[2]
        text = _SIGMA_WORDS.get(name) or f"points within the radius that should hold {name.partition('@')[2]} %"
        rows.append(_row(text, score))
    n = result.normaliser
    sigma = a.sigma_px / face_sizes(a.truth_px, normaliser=n)[:, None]
    figure = report.figure(sigma_figure(sigma_bins(sigma, errors(a.predicted_px, a.truth_px, normaliser=n))))
    ratio = float(np.mean(errors(a.predicted_px, a.truth_px, normaliser="none")) / np.mean(a.sigma_px))
    leaning = "too sure of itself" if ratio > 1.1 else "not sure enough" if ratio < 0.9 else "right on average"
    table = report.table(["", "faces", "value", "95 % interval"], rows)
    text = f"<p>Errors are {ratio:.2f} times as large as the network states: it is {leaning}.</p>"
    return f'{text}<div class="beside">{figure}<div>{table}</div></div>'


_SIGMA_WORDS = {
    "error_over_sigma": "mean error over the mean stated one", "correlation": "correlation of stated and found errors",
}  # fmt: skip


def worst(result: "LandmarkEvaluation", *, show_faces: bool) -> str:
    """The faces with the largest errors, by file name; with their pictures only when asked."""
    from mien.engine.landmark_evaluation import face_errors
    from mien.engine.landmark_pictures import face_with_points

    errors = sorted(face_errors(result.main, result.normaliser).items(), key=lambda pair: -pair[1])[:WORST_SHOWN]
    unit = "px" if result.normaliser == "none" else "%"
    rows = []
    for key, error in errors:
        value = float(error) if unit == "px" else 100 * float(error)
        row = [f'<span class="code">{escape(key)}</span>', f"{value:.2f} {unit}"]
        rows.append([*row, face_with_points(result, key)] if show_faces else row)
    columns = ["file", "mean error", *(["face"] if show_faces else [])]
    hint = "Green: the truth. Orange: the answer." if show_faces else "No faces are shown; --show_faces embeds them."
    caption = f"{hint} Every face is in points.csv."
    return report.table(columns, rows, left=(0, 2) if show_faces else (0,), caption=caption)


def comparison(result: "LandmarkEvaluation") -> str:
    if result.against is None:
        return ""
    factor, unit = (1, " px") if result.normaliser == "none" else (100, " %")
    rows = [
        [escape(CROP_WORDS[d.crop]), f"{factor * d.first:.2f}{unit}", f"{factor * d.second:.2f}{unit}",
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
            "faces that the detector missed": f"{len(result.missed):,}" if "detector" in result.answers else "",
            "errors are divided by": NORMALISER_WORDS[result.normaliser] if result.normaliser != "none" else "nothing",
            "points": f"{info.labels.name}, {result.main.truth_px.shape[1]}",
            "input": f"{info.input.size} x {info.input.size} pixels, {info.input.color}, one view, no flips; "
            f"{info.input.box_scale:g} times the box",
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
    table.add_column("metric")
    for crop in result.answers:
        table.add_column(f"{crop} crop", justify="right")
        table.add_column("95 % interval", justify="right")
    names = dict.fromkeys(s.metric.partition("/")[2] for s in result.scores if _is_told(s.metric))
    for name in names:
        found = [score_of(result, name, crop=crop) for crop in result.answers]
        table.add_row(name, *(cell for s in found for cell in (shown(s), shown_interval(s))))
    console.print(table)
    for line in warnings(result):
        console.print(f"Note: {line}", markup=False, highlight=False, soft_wrap=True)
    if result.against is not None:
        console.print(verdict(result), markup=False, highlight=False, soft_wrap=True)
    console.print(f"Report: {folder / 'report.html'}", markup=False, highlight=False, soft_wrap=True)


def _is_told(metric: str) -> bool:
    """On standard output: not the single points, the line's lesser numbers, or every level of a coverage."""
    return "/point/" not in metric and not metric.endswith(("/intercept", "/r2", "@50", "@80", "@95"))


def _row(text: str, score: Score) -> list[str]:
    return [escape(text), f"{score.n:,}", shown(score), f"<small>{shown_interval(score)}</small>"]


def _below(result: "LandmarkEvaluation", prefix: str) -> list[Score]:
    whole = f"{result.main.crop}_crop/{prefix}"
    return [s for s in result.scores if s.metric.startswith(whole)]
