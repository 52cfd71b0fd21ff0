"""The page of `mien asymmetry`: pictures with their lines, right beside left, significance, and the model's own error.

Laid out for A4: a page for each photo, one for a movement, one for scales and definitions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.engine.reading.asymmetry.plots import sides_figure
from mien.report import parts
from mien.report.page import Section, macro, write_page
from mien.report.svg import Scene
from mien.runtime.asymmetry.drawing import draw_measures
from mien.runtime.asymmetry.dynamic import Movement, Quantity
from mien.runtime.asymmetry.examination import Examination, VideoExamination
from mien.runtime.asymmetry.measures import DEFINITIONS, Calibrated, Estimate, Measure
from mien.runtime.asymmetry.quality import Check
from mien.runtime.asymmetry.scales import NO_MATERIAL, ScaleEstimate
from mien.runtime.asymmetry.significance.errors import ErrorModel
from mien.runtime.asymmetry.significance.headline import MEASURES
from mien.runtime.asymmetry.static import FaceMeasures
from mien.runtime.asymmetry.tables import ESTIMATES
from mien.runtime.asymmetry.visits import Change, Comparison, largest_change, rest_of

TEMPLATE = "asymmetry.html"
CURVES = {
    "displacement": "displacement from rest",
    "palpebral_fissure": "palpebral fissure",
    "brow_height": "brow height",
    "commissure_excursion": "commissure excursion",
}
UNITS = {"mm2": "mm²", "deg": "°"}
COLUMNS = ("measure", "right", "left", "right less left", "index %", "ratio", "mirror test")
FITTED_COLUMNS = (
    "measure", "right", "left", "right less left, read", "true difference (90 % range)", "healthy below", "index %",
    "ratio", "mirror test",
)  # fmt: skip


def write_report(
    path: Path, items: Sequence[Examination | VideoExamination], scales: Sequence[ScaleEstimate], *,
    info: BundleInfo, sigma: str, affected: str = "", unread: Sequence[str] = (), which: Sequence[str] = (),
    change: Comparison | None = None, errors: ErrorModel | None = None,
) -> None:  # fmt: skip
    """Writes the page atomically. sigma: where the points' errors come from. affected: the side as given, "" for none.
    unread: what could not be measured. which: the face measured, where a file shows several. change: between two
    visits. errors: those fitted for the reader."""
    recall = _recall_of_measures(info)
    sections = [Section("", macro(TEMPLATE, "opening", ESTIMATES, unread, which, affected, errors is not None))]
    if change is not None:
        sections.append(Section("Change between the visits", change_section(change)))
    for item in items:
        rest = rest_of(items, item)
        sections += [_photo(item, recall, rest)] if isinstance(item, Examination) else _video(item, recall, affected)
    if scales:
        html = macro(TEMPLATE, "scales", scales[0].affected, [_scale(scale) for scale in scales])
        sections.append(Section("Clinical scales, estimated", html))
    sections.append(Section("Measures and their uncertainty", _method(items, info, sigma, errors)))
    sources = ", ".join(item.source for item in items)
    write_page(path, "Facial asymmetry", sections, subtitle=sources, styles=("asymmetry.css",))


def change_section(change: Comparison) -> Markup:
    """Both pictures of the task that changed most, the measures of each task, and what the errors are."""
    largest = largest_change(change.changes)
    task = largest.task if largest else change.tasks[0]
    pictures = [(picture_of(visit[task], 560), visit[task].source) for visit in (change.before, change.after)]
    rows = [_change_row(c) for c in change.changes if c.before.name in MEASURES or c.beyond_95]
    return macro(
        TEMPLATE, "change", [_capital(line.strip()) for line in change.lines], pictures, rows, change.unmatched
    )


def _change_row(c: Change) -> list[parts.Cell]:
    digits = 0 if c.before.unit == "mm2" else 1
    moved = Calibrated(c.value, c.detectable_90, c.detectable_95, c.detectable_95)
    one, two = (macro(TEMPLATE, "signed", Estimate(m.true.value), digits, False) for m in (c.before, c.after) if m.true)
    verdict = c.verdict if c.verdict == "within error" else parts.marked(c.verdict, "beyond")
    limits = [f"{value:.{digits}f}" for value in (c.detectable_90, c.detectable_95)]
    return [_plain(c.task), titled(c.before), one, two, macro(TEMPLATE, "ranged", moved, digits), *limits, verdict]


def _recall_of_measures(info: BundleInfo) -> dict[str, float]:
    """Of each measure, the share of a true difference between the sides that this model found in tests."""
    found = info.provenance.get("measures_found", {})
    named = found.items() if isinstance(found, dict) else ()
    return {str(name): float(share) for name, share in named if isinstance(share, int | float)}


def _photo(photo: Examination, recall: Mapping[str, float], rest: Examination | None) -> Section:
    title = f"{photo.source}{f': {_plain(photo.task)}' if photo.task else ''}"
    html = macro(
        TEMPLATE, "photo", _capital(photo.finding(rest)), picture_of(photo), _region_rows(photo.measured),
        [_check_row(check) for check in photo.checks],
        [check.sentence for check in photo.checks if check.passed is False] + _outside(photo),
        photo.mirror.percent if photo.mirror else None, _measures(photo, recall),
    )  # fmt: skip
    return Section(title, html)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _outside(photo: Examination) -> list[str]:
    """A sentence where the errors were not fitted for such a picture."""
    if not photo.outside:
        return []
    names = ", ".join(photo.outside)
    return [f"Worse than any picture that the errors were fitted on ({names}): the ranges may be too narrow."]


def picture_of(photo: Examination, side: int = 720) -> Markup:
    image = Image.fromarray(draw_measures(photo.pixels, photo.measured, side=side))
    return parts.photo(image, alt="the face with its midline and measured lines", quality=88)


def _region_rows(measured: FaceMeasures) -> list[list[parts.Cell]]:
    return [
        [
            region.name,
            macro(TEMPLATE, "percent", region.asymmetry, region.clear),
            _missing() if region.floor is None else f"{region.floor:.1f} %",
        ]
        for region in measured.regions
    ]


def _check_row(check: Check) -> list[parts.Cell]:
    passed: parts.Cell = "passed" if check.passed else parts.marked("not passed", "fails")
    if check.passed is None:
        passed = parts.small("not known")
    return [check.name, _checked_value(check), f"{check.limit:g} {check.unit}".strip(), passed]


def _checked_value(check: Check) -> parts.Cell:
    if check.value is None:
        return _missing()
    digits = 3 if check.limit < 0.1 else 2 if check.limit < 1 else 0
    return f"{round(check.value, digits) + 0.0:.{digits}f}".replace("-", "\N{MINUS SIGN}")  # + 0.0: no -0


def _measures(photo: Examination, recall: Mapping[str, float]) -> Markup:
    mirror = photo.mirror.measures if photo.mirror else {}
    fitted = photo.face_limit is not None
    columns, rows = list(FITTED_COLUMNS if fitted else COLUMNS), []
    recall = {} if fitted else recall
    for measure in photo.measured.measures:
        rows.append(_measure_row(measure, mirror.get(measure.name, ()), fitted=fitted))
        if recall:
            share = recall.get(measure.name)
            rows[-1].append(_missing() if share is None else f"{100 * share:.0f} %")
    if recall:
        columns.append("found in tests")
    return macro(TEMPLATE, "measures", columns, rows, bool(recall))


def _measure_row(measure: Measure, mirror: tuple[float, ...], *, fitted: bool) -> list[parts.Cell]:
    digits, true = 0 if measure.unit == "mm2" else 1, measure.true
    difference: list[parts.Cell] = [macro(TEMPLATE, "signed", measure.difference, digits, measure.clear)]
    if fitted:
        bare = Estimate(measure.difference.value)
        difference = [macro(TEMPLATE, "signed", bare, digits, False), _missing(), _missing()]
        if true is not None:
            difference[1:] = [macro(TEMPLATE, "ranged", true, digits), f"{true.healthy:.{digits}f}"]
    return [
        titled(measure),
        _number(measure.right, digits),
        _number(measure.left, digits),
        *difference,
        _number(measure.index, 0),
        _missing() if measure.ratio is None else f"{measure.ratio:.2f}",
        f"{mirror[-1]:.{digits}f}" if mirror else _missing(),
    ]


def titled(measure: Measure) -> Markup:
    """The measure's title and unit."""
    return macro(TEMPLATE, "titled", measure.definition.title, UNITS.get(measure.unit, measure.unit))


def _number(estimate: Any, digits: int) -> Markup:
    """`25.2 ±0.5`; a dash for None."""
    return macro(TEMPLATE, "number", estimate, digits)


def _missing() -> Markup:
    return macro(TEMPLATE, "missing")


def _video(video: VideoExamination, recall: Mapping[str, float], affected: str) -> list[Section]:
    moved = video.movement
    stills = [video.at_rest, video.at_peak]
    html = macro(
        TEMPLATE, "video",
        task=_plain(moved.task), frames=len(moved.times_s), target=moved.target, rest_s=moved.times_s[moved.rest],
        peak_s=moved.times_s[moved.peak], shown_s=moved.times_s[moved.typical], weaker=moved.weaker, affected=affected,
        without_face=moved.missing,
        pictures=[(picture_of(photo, 560), f"{photo.source}: {_plain(photo.task)}") for photo in stills],
        quantities=[_quantity_row(quantity) for quantity in moved.quantities], figures=_curves(moved),
    )  # fmt: skip
    return [Section(f"{video.source}: movement", html), *(_photo(photo, recall, video.at_rest) for photo in stills)]


def _curves(moved: Movement) -> list[Scene]:
    phases = moved.phases
    return [
        sides_figure(moved.times_s, curve, title=f"{CURVES[name]}, mm", rest=phases.rest, height=phases.height)
        for name, curve in moved.curves.items()
        if name in CURVES
    ]


def _quantity_row(quantity: Quantity) -> list[parts.Cell]:
    digits = 2 if quantity.unit in ("", "s") else 1 if quantity.unit == "mm" else 0
    values = [_number(value, digits) for value in (quantity.right, quantity.left, quantity.value)]
    title = macro(TEMPLATE, "titled", quantity.title, quantity.unit)
    return [title, *values, parts.marked(quantity.text, "why")]


def _scale(scale: ScaleEstimate) -> dict[str, Any]:
    """What the template shows of a scale; items without material are left out."""
    rows = [
        [_plain(item.name), item.part, _missing() if item.value is None else f"{item.value:.0f}",
         parts.marked(item.rule, "why")]
        for item in scale.items
        if not item.rule.startswith(NO_MATERIAL)
    ]  # fmt: skip
    return {
        "name": scale.name,
        "value": scale.value or NO_MATERIAL,
        "sums": "; ".join(f"{name} {number:.0f}" for name, number in scale.parts.items()),
        "missing": ", ".join(map(_plain, scale.missing)),
        "rows": rows if any(item.value is not None for item in scale.items) else [],
        "rule": scale.rule,
        "reference": scale.reference,
    }


def _method(
    items: Sequence[Examination | VideoExamination], info: BundleInfo, sigma: str, errors: ErrorModel | None
) -> Markup:
    first = items[0] if isinstance(items[0], Examination) else items[0].at_rest
    frame = first.measured.frame
    spread = 100 * frame.scale.relative_sd
    facts = {
        "frame": frame.note,
        "millimetres": f"people differ by {spread:.0f} % (SD) in that length; indices do not" if spread else "as given",
        "error of the points": sigma,
        "error of the differences": _fitted(errors),
        "model": info.model_id,
        "its scores": _scores(info),
    }
    return macro(TEMPLATE, "method", facts, DEFINITIONS, errors is not None)


def _fitted(errors: ErrorModel | None) -> str:
    if errors is None:
        return "not fitted for this bundle and these options: ± is built from the errors of single points, taken as " \
               "independent, and is too wide"  # fmt: skip
    about = errors.about
    return (
        f"fitted on {about['pictures']:.0f} pictures of {about['people']:.0f} synthetic people with known differences, "
        f"healthy limits on {about['portraits']:.0f} portraits; of people kept out, the 90 % ranges hold "
        f"{100 * about['coverage_90']:.0f} % of true differences, and {100 * about['healthy_clear']:.0f} % of the "
        "measures of healthy portraits are beyond their limit"
    )


def _scores(info: BundleInfo) -> str:
    scores = info.provenance.get("scores", {})
    numbers = scores.items() if isinstance(scores, dict) else ()
    return ", ".join(f"{name} {value:.3g}" for name, value in numbers if isinstance(value, int | float))


def _plain(name: str) -> str:
    return name.replace("_", " ")
