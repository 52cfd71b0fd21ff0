"""The page of `mien asymmetry`: pictures with their lines, right beside left, significance, and the model's own error.

Laid out for A4: a page for each photo, one for a movement, one for scales and definitions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.engine.reading.asymmetry_plots import sides_figure
from mien.report import parts
from mien.report.page import Section, macro, write_page
from mien.report.svg import Scene
from mien.runtime.asymmetry.drawing import draw_measures
from mien.runtime.asymmetry.dynamic import Movement, Quantity
from mien.runtime.asymmetry.examination import Examination, FilmExamination
from mien.runtime.asymmetry.measures import DEFINITIONS, Measure
from mien.runtime.asymmetry.quality import Check
from mien.runtime.asymmetry.scales import NO_MATERIAL, ScaleEstimate
from mien.runtime.asymmetry.static import FaceMeasures
from mien.runtime.asymmetry.tables import ESTIMATES

TEMPLATE = "asymmetry.html"
CURVES = {
    "displacement": "displacement from rest",
    "palpebral_fissure": "palpebral fissure",
    "brow_height": "brow height",
    "commissure_excursion": "commissure excursion",
}
UNITS = {"mm2": "mm²", "deg": "°"}
COLUMNS = ("measure", "right", "left", "right less left", "index %", "ratio", "mirror test")


def write_report(
    path: Path, items: Sequence[Examination | FilmExamination], scales: Sequence[ScaleEstimate], *,
    info: BundleInfo, sigma: str, unread: Sequence[str] = (),
) -> None:  # fmt: skip
    """Writes the page atomically. sigma: where the points' errors come from. unread: what could not be measured."""
    recall = _recall_of_measures(info)
    sections = [Section("", macro(TEMPLATE, "opening", ESTIMATES, unread))]
    for item in items:
        sections += [_photo(item, recall)] if isinstance(item, Examination) else _video(item, recall)
    if scales:
        html = macro(TEMPLATE, "scales", scales[0].affected, [_scale(scale) for scale in scales])
        sections.append(Section("Clinical scales, estimated", html))
    sections.append(Section("Measures and their uncertainty", _method(items, info, sigma)))
    sources = ", ".join(item.source for item in items)
    write_page(path, "Facial asymmetry", sections, subtitle=sources, styles=("asymmetry.css",))


def _recall_of_measures(info: BundleInfo) -> dict[str, float]:
    """Of each measure, the share of a true difference between the sides that this model found in tests."""
    found = info.provenance.get("measures_found", {})
    named = found.items() if isinstance(found, dict) else ()
    return {str(name): float(share) for name, share in named if isinstance(share, int | float)}


def _photo(photo: Examination, recall: Mapping[str, float]) -> Section:
    title = f"{photo.source}{f': {_plain(photo.task)}' if photo.task else ''}"
    html = macro(
        TEMPLATE, "photo", _picture(photo), _region_rows(photo.measured), [_check_row(c) for c in photo.checks],
        [check.sentence for check in photo.checks if check.passed is False],
        photo.mirror.percent if photo.mirror else None, _measures(photo, recall),
    )  # fmt: skip
    return Section(title, html)


def _picture(photo: Examination, side: int = 720) -> Markup:
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
    columns, rows = list(COLUMNS), []
    for measure in photo.measured.measures:
        rows.append(_measure_row(measure, mirror.get(measure.name, ())))
        if recall:
            share = recall.get(measure.name)
            rows[-1].append(_missing() if share is None else f"{100 * share:.0f} %")
    if recall:
        columns.append("found in tests")
    return macro(TEMPLATE, "measures", columns, rows, bool(recall))


def _measure_row(measure: Measure, mirror: tuple[float, ...]) -> list[parts.Cell]:
    digits = 0 if measure.unit == "mm2" else 1
    return [
        macro(TEMPLATE, "titled", measure.definition.title, UNITS.get(measure.unit, measure.unit)),
        _number(measure.right, digits),
        _number(measure.left, digits),
        macro(TEMPLATE, "signed", measure.difference, digits, measure.clear),
        _number(measure.index, 0),
        _missing() if measure.ratio is None else f"{measure.ratio:.2f}",
        f"{mirror[-1]:.{digits}f}" if mirror else _missing(),
    ]


def _number(estimate: Any, digits: int) -> Markup:
    """`25.2 ±0.5`; a dash for None."""
    return macro(TEMPLATE, "number", estimate, digits)


def _missing() -> Markup:
    return macro(TEMPLATE, "missing")


def _video(video: FilmExamination, recall: Mapping[str, float]) -> list[Section]:
    moved = video.movement
    stills = [video.at_rest, video.at_peak]
    html = macro(
        TEMPLATE, "video",
        task=_plain(moved.task), frames=len(moved.times_s), target=moved.target, rest_s=moved.times_s[moved.rest],
        peak_s=moved.times_s[moved.peak], affected=moved.affected, without_face=moved.missing,
        pictures=[(_picture(photo, 560), f"{photo.source}: {_plain(photo.task)}") for photo in stills],
        quantities=[_quantity_row(quantity) for quantity in moved.quantities], figures=_curves(moved),
    )  # fmt: skip
    return [Section(f"{video.source}: movement", html), *(_photo(photo, recall) for photo in stills)]


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


def _method(items: Sequence[Examination | FilmExamination], info: BundleInfo, sigma: str) -> Markup:
    first = items[0] if isinstance(items[0], Examination) else items[0].at_rest
    frame = first.measured.frame
    spread = 100 * frame.scale.relative_sd
    facts = {
        "frame": frame.note,
        "millimetres": f"people differ by {spread:.0f} % (SD) in that length; indices do not" if spread else "as given",
        "error of the points": sigma,
        "model": info.model_id,
        "its scores": _scores(info),
    }
    return macro(TEMPLATE, "method", facts, DEFINITIONS)


def _scores(info: BundleInfo) -> str:
    scores = info.provenance.get("scores", {})
    numbers = scores.items() if isinstance(scores, dict) else ()
    return ", ".join(f"{name} {value:.3g}" for name, value in numbers if isinstance(value, int | float))


def _plain(name: str) -> str:
    return name.replace("_", " ")
