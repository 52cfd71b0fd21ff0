"""Sections of a landmark report: where errors are, on whom, the bias towards symmetry, stated errors, worst faces."""

from html import escape
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.engine.evaluation.points.text import below, row, score_of, shown, shown_interval
from mien.engine.evaluation.scores import Score
from mien.report import page as report

if TYPE_CHECKING:
    import numpy as np

    from mien.engine.evaluation.points.predictions import PointEvaluation, PointPredictions
    from mien.report.svg import Scene

WORST_SHOWN = 12


def places(result: "PointEvaluation") -> str:
    """Errors by region as bars beside a face whose dots are as large as their errors."""
    from mien.engine.evaluation.points.plots import face_figure

    prefix = f"nme_{result.normaliser}/region/"
    found = [s for s in below(result, prefix)]
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


def mean_face(answers: "PointPredictions") -> "tuple[np.ndarray, np.ndarray]":
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


def halves(result: "PointEvaluation") -> str:
    """Right and left; with palsy affected and healthy."""
    words = {
        "right": "the person's right half", "left": "the person's left half", "affected": "the half with the palsy",
        "healthy": "the other half of these faces", "affected_minus_healthy": "affected minus healthy",
    }  # fmt: skip
    found = {s.metric.rpartition("/")[2]: s for s in below(result, f"nme_{result.normaliser}/half/")}
    rows = [row(words[name], score) for name, score in found.items()]
    for name, text in (("palsy", "faces with a palsy, whole"), ("no_palsy", "faces without, whole")):
        if (score := score_of(result, f"nme_{result.normaliser}/{name}")) is not None:
            rows.append(row(text, score))
    caption = "Points on the midline belong to no half."
    return report.table(["half", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def yaw(result: "PointEvaluation") -> str:
    rows = [
        row(name.replace("-", " to ") + " degrees" if "-" in name else "mean of the ranges", score)
        for score in below(result, f"nme_{result.normaliser}/yaw/")
        for name in [score.metric.rpartition("/")[2]]
    ]
    how = "estimated from the true points" if result.main.yaw_estimated else "as the data set states it"
    caption = f"How far the head is turned to either side, {how}."
    return report.table(["turned by", "faces", "mean error", "95 % interval"], rows, caption=caption) if rows else ""


def asymmetry(result: "PointEvaluation") -> str:
    """The line of predicted over true asymmetry, in a sentence, a figure and a table."""
    slope = score_of(result, "asymmetry/slope")
    if slope is None:
        return ""
    if slope.value is None:
        return f"<p>{escape(slope.note)}</p>"
    rows = []
    for name in ("asymmetry", "asymmetry_of_palsy", "asymmetry_3d"):
        found = [
            score_of(result, f"{name}/{part}") for part in ("slope", "gain", "gain_at_equal_turn", "intercept", "r2")
        ]
        if found[0] is not None:
            cells = [f"{shown(s)}<br><small>{shown_interval(s)}</small>" for s in found]
            rows.append([escape(_ASYMMETRY_WORDS[name]), f"{found[0].n:,}", *cells])
    columns = ["of", "faces", "slope", "gain", "gain at equal turn", "intercept", "R²"]
    text = (
        "The index is the mean distance between a point and the mirror image of its counterpart, over the distance of "
        "the outer eye corners: 0 is symmetric. Slope: how much of one more unit of true asymmetry is found; below 1 "
        "unequal faces are drawn too equal. Gain: the same from the directions of the gaps, which random errors do not "
        "change; at equal turn: of what the turn of the head does not explain, which is what a palsy is seen by; by "
        "region it is the gain at equal turn, and of lids and brows the gain of the difference between right and left. "
        "Where people marked the true points, their own errors make all of these smaller. "
        f"Measured on {slope.note}."
    )
    figure = report.figure(_asymmetry_figure(result, slope))
    table = report.table(columns, rows)
    regions = [row(s.metric.rpartition("/")[2], s) for s in below(result, "asymmetry/gain_at_equal_turn/")]
    openings = {"lids": "right against left opening of the lids", "brows": "height of the brows above them"}
    regions += [row(openings[s.metric.rpartition("/")[2]], s) for s in below(result, "asymmetry/opening_gain/")]
    by_region = report.table(["region", "faces", "gain", "95 % interval"], regions) if regions else ""
    beside = f'<div class="beside">{figure}<div>{by_region}</div></div><p class="note">{escape(text)}</p>'
    return f"<p>{escape(_verdict(slope, score_of(result, 'asymmetry/gain_at_equal_turn')))}</p>{table}{beside}"


_ASYMMETRY_WORDS = {
    "asymmetry": "all of them", "asymmetry_of_palsy": "faces with a palsy", "asymmetry_3d": "all, from points in 3D",
}  # fmt: skip


def _verdict(slope: Score, gain: Score | None) -> str:
    """By the gain at equal turn where the turn is known, else by the slope."""
    by, what = (
        (gain, "what is unequal in a face itself") if gain and gain.value is not None else (slope, "true asymmetry")
    )
    assert by.value is not None
    low, high = (by.low, by.high) if by.low is not None and by.high is not None else (by.value,) * 2
    name = "gain at equal turn" if by is gain else "slope"
    if high < 1:
        return f"Yes: of {what}, {by.value:.0%} is found ({name})."
    if low > 1:
        return f"No, rather more unequal: of {what}, {by.value:.0%} is found ({name})."
    return f"That cannot be told from these faces: the {name} is {by.value:.2f}, and its interval holds 1."


def _asymmetry_figure(result: "PointEvaluation", slope: Score) -> "Scene":
    import numpy as np

    from mien.engine.evaluation.points.asymmetry import frontal_faces
    from mien.engine.evaluation.points.plots import asymmetry_figure
    from mien.metrics.asymmetry import asymmetry_index

    a, intercept = result.main, score_of(result, "asymmetry/intercept")
    chosen, _ = frontal_faces(a)
    assert slope.value is not None and intercept is not None and intercept.value is not None
    return asymmetry_figure(
        asymmetry_index(a.truth_px[chosen]), asymmetry_index(a.predicted_px[chosen]), slope.value, intercept.value,
        marked=np.array(a.affected)[chosen] != "",
    )  # fmt: skip


def stated(result: "PointEvaluation") -> str:
    """Stated errors against found ones."""
    import numpy as np

    from mien.engine.evaluation.points.plots import sigma_figure
    from mien.metrics.alignment import errors, face_sizes
    from mien.metrics.uncertainty import sigma_bins

    a, rows = result.main, []
    if a.sigma_px is None:
        return ""
    for score in below(result, "sigma/"):
        name = score.metric.rpartition("/")[2]
        text = _SIGMA_WORDS.get(name) or f"points within the radius that should hold {name.partition('@')[2]} %"
        rows.append(row(text, score))
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


def worst(result: "PointEvaluation", *, show_faces: bool) -> str:
    """The faces with the largest errors, by file name; with their pictures only when asked."""
    from mien.engine.evaluation.points.pictures import face_with_points
    from mien.engine.evaluation.points.predictions import face_errors

    errors = sorted(face_errors(result.main, result.normaliser).items(), key=lambda pair: -pair[1])[:WORST_SHOWN]
    told = {key: f"{error:.2f} px" if result.normaliser == "none" else f"{error:.2%}" for key, error in errors}
    if show_faces:
        figures = (
            f"<figure>{face_with_points(result, key)}<figcaption>{escape(key)}<br>{value}</figcaption></figure>"
            for key, value in told.items()
        )
        note = "Green: the truth. Orange: the answer. Every face is in points.csv."
        return f'<div class="pairs">{"".join(figures)}</div><p class="note">{note}</p>'
    rows = [[f'<span class="code">{escape(key)}</span>', value] for key, value in told.items()]
    caption = "No faces are shown; --show-faces embeds them, for your own eyes. Every face is in points.csv."
    return report.table(["file", "mean error"], rows, caption=caption)
