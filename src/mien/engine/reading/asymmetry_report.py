"""The page of `mien asymmetry`: pictures with their lines, right beside left, what chance and the instrument do.

Made to be printed on A4: one page for a photo, two for a film.
"""

from collections.abc import Sequence
from html import escape
from io import BytesIO
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING

from mien.engine.reading.asymmetry_plots import sides_figure
from mien.report import page as report
from mien.report.page import Section

if TYPE_CHECKING:
    from mien.core.bundle import BundleInfo
    from mien.runtime.asymmetry.dynamic import Quantity
    from mien.runtime.asymmetry.examination import Examination, FilmExamination
    from mien.runtime.asymmetry.measures import Estimate, Measure
    from mien.runtime.asymmetry.quality import Check
    from mien.runtime.asymmetry.scales import ScaleEstimate
    from mien.runtime.asymmetry.static import FaceMeasures

_STYLE = """<style>
@page { size: A4; margin: 12mm; }
.exam { display: grid; grid-template-columns: minmax(220px, 46%) 1fr; gap: 0 24px; align-items: start; }
.exam figure { margin: 8px 0; } .exam table { font-size: 14px; } .exam th, .exam td { padding: 4px 8px; }
.pairs2 { display: grid; grid-template-columns: 1fr 1fr; gap: 0 20px; }
.right { color: var(--series-1); font-weight: 600; } .left-side { color: var(--series-2); font-weight: 600; }
.measures th, .measures td { padding: 3px 8px; } .measures table { font-size: 14px; }
.measures tbody th { white-space: nowrap; } .why { color: var(--muted); font-size: 0.93em; }
.definitions { font-size: 13px; color: var(--muted); columns: 2; column-gap: 28px; } .definitions p { margin: 2px 0; }
.fails { color: var(--warn); font-weight: 600; } td.yes { font-weight: 600; }
@media print {
  h1 { font-size: 18px; } h2 { margin-top: 10px; padding-top: 6px; } .next h2:first-of-type { break-before: page; }
  .exam { grid-template-columns: 44% 1fr; } .exam table, .measures table { font-size: 9.5px; }
  .exam th, .exam td, .measures th, .measures td { padding: 1.5px 5px; } .definitions { font-size: 8.5px; }
  .definitions p { margin: 0; } p { margin: 2px 0; max-width: none; } .figures { grid-template-columns: 1fr 1fr; }
  .warning { margin: 6px 0; padding: 4px 12px; } .exam p, .exam caption { line-height: 1.3; padding-top: 2px; }
  .pairs2 img { max-height: 52mm; } .pairs2 figure { margin: 4px 0; } .figures figure { margin: 2px 0; }
  .figures svg { max-height: 36mm; } .subtitle { margin: 0; }
  section:has(.exam) { break-inside: avoid; } .scale { break-inside: avoid; }
}
</style>"""
_NO_VALUE = "<small>&ndash;</small>"
CURVES = {
    "displacement": "way from rest of what should move",
    "palpebral_fissure": "palpebral fissure",
    "brow_height": "brow height",
    "commissure_excursion": "commissure excursion",
}


def write_report(
    path: Path, items: "Sequence[Examination | FilmExamination]", scales: "Sequence[ScaleEstimate]", *,
    info: "BundleInfo", sigma: str, unread: Sequence[str] = (),
) -> None:  # fmt: skip
    """Writes the page, whole or not at all. sigma: where the points' errors come from. unread: what is not in it."""
    from mien.runtime.asymmetry.tables import ESTIMATES

    found = _found(info)
    sections = [Section("", _STYLE + report.warning(ESTIMATES) + report.warning(*unread) + _key())]
    for item in items:
        sections += _item(item, found)
    if scales:
        sections.append(Section("Clinical scales, estimated", _scales(scales)))
    sections += [Section("What was measured, and how sure it is", _method(items, info, sigma))]
    report.write_page(path, "Left against right", sections, subtitle=", ".join(item.source for item in items))


def _key() -> str:
    return (
        '<p class="note">Right and left are the person\'s own; in a picture that is not mirrored the '
        '<span class="right">right (R, blue)</span> is at the left, the <span class="left-side">left (L, orange)</span>'
        " at the right. ± is one standard deviation from the error of the points. Bold: beyond chance at the 5 % level."
        "</p>"
    )


def _found(info: "BundleInfo") -> dict[str, float]:
    """Of each measure, the share of a difference between the sides that this model was seen to find."""
    found = info.provenance.get("measures_found", {})
    named = found.items() if isinstance(found, dict) else ()
    return {str(name): float(share) for name, share in named if isinstance(share, int | float)}


def _item(item: "Examination | FilmExamination", found: dict[str, float]) -> list[Section]:
    from mien.runtime.asymmetry.examination import Examination

    return [_photo(item, found)] if isinstance(item, Examination) else _film(item, found)


def _photo(photo: "Examination", found: dict[str, float]) -> Section:
    title = f"{photo.source}{f': {_words(photo.task)}' if photo.task else ''}"
    picture = f"<figure>{_picture(photo)}<figcaption>{_caption()}</figcaption></figure>"
    beside = f"<div>{_regions(photo.measured)}{_quality(photo)}{_mirror(photo)}</div>"
    return Section(title, f'<div class="exam">{picture}{beside}</div>{_measures(photo, found)}')


def _picture(photo: "Examination", side: int = 720) -> str:
    from PIL import Image

    from mien.runtime.asymmetry.drawing import draw_measures

    content = BytesIO()
    Image.fromarray(draw_measures(photo.pixels, photo.measured, side=side)).save(content, "JPEG", quality=88)
    return report.picture(content.getvalue(), alt="the face with its midline and measured lines", kind="jpeg")


def _caption() -> str:
    return (
        "White: midline and eye line. On each side: brow height, palpebral fissure, commissure excursion, inner "
        "canthus to commissure; thin: outlines of the points."
    )


def _regions(measured: "FaceMeasures") -> str:
    rows = []
    for region in measured.regions:
        floor = _NO_VALUE if region.floor is None else f"{region.floor:.1f} %"
        value = f"{_number(region.asymmetry, 1)} %"
        rows.append((escape(region.name), f"<b>{value}</b>" if region.clear else value, floor))
    columns = ("asymmetry of", "this face", "symmetric face stays below")
    return report.table(columns, rows, caption="Mean distance from mirrored counterparts, of the outer eye distance")


def _quality(photo: "Examination") -> str:
    rows = [(escape(c.name), _checked(c), f"{c.limit:g} {c.unit}".strip(), _passed(c)) for c in photo.checks]
    sentences = report.warning(*(c.sentence for c in photo.checks if c.passed is False))
    return report.table(("picture", "value", "limit", ""), rows, left=(0, 3)) + sentences


def _checked(check: "Check") -> str:
    if check.value is None:
        return _NO_VALUE
    digits = 3 if check.limit < 0.1 else 2 if check.limit < 1 else 0
    return f"{round(check.value, digits) + 0.0:.{digits}f}"


def _passed(check: "Check") -> str:
    if check.passed is None:
        return "<small>not known</small>"
    return "passed" if check.passed else '<span class="fails">not passed</span>'


def _mirror(photo: "Examination") -> str:
    if photo.mirror is None:
        return '<p class="note">The mirror test was not made.</p>'
    return (
        f'<p class="note">Mirror test: read from the mirrored picture, the points lie {photo.mirror.percent:.1f} % of '
        "the outer eye distance elsewhere, which is the reader's own error. Measured is the mean of both readings.</p>"
    )


def _measures(photo: "Examination", found: dict[str, float]) -> str:
    mirror = photo.mirror.measures if photo.mirror else {}
    rows = [_measure(measure, mirror.get(measure.name, ())) for measure in photo.measured.measures]
    columns = ["measure", "right", "left", "right less left", "index %", "ratio", "mirror test"]
    caption = ""
    if found:
        columns.append("found in tests")
        shares = [found.get(measure.name) for measure in photo.measured.measures]
        rows = [
            (*cells, _NO_VALUE if share is None else f"{100 * share:.0f} %")
            for cells, share in zip(rows, shares, strict=True)
        ]
        caption = (
            "Found in tests: the share of a true difference between right and left that this model finds on average, "
            "on synthetic people whose points are exact. A small share: a difference is drawn too small, or not at all."
        )
    return f'<div class="measures">{report.table(columns, rows, caption=caption)}</div>'


def _measure(measure: "Measure", mirror: tuple[float, ...]) -> tuple[str, ...]:
    unit = {"mm2": "mm²", "deg": "°"}.get(measure.unit, measure.unit)
    digits = 0 if measure.unit == "mm2" else 1
    difference = _number(measure.difference, digits, signed=True)
    return (
        f"{escape(measure.definition.title)} <small>{unit}</small>",
        _number(measure.right, digits),
        _number(measure.left, digits),
        f"<b>{difference}</b>" if measure.clear else difference,
        _number(measure.index, 0),
        _NO_VALUE if measure.ratio is None else f"{measure.ratio:.2f}",
        f"{mirror[-1]:.{digits}f}" if mirror else _NO_VALUE,
    )


def _number(estimate: "Estimate | None", digits: int, *, signed: bool = False) -> str:
    """`25.2 ±0.5`."""
    if estimate is None or isnan(estimate.value):
        return _NO_VALUE
    rounded = round(estimate.value, digits) + 0.0  # no -0
    value = f"{rounded:+.{digits}f}" if signed else f"{rounded:.{digits}f}"
    value = value.replace("-", "&minus;")
    return value if estimate.sd is None else f"{value}&nbsp;<small>±{estimate.sd:.{digits}f}</small>"


def _film(film: "FilmExamination", found: dict[str, float]) -> list[Section]:
    moved = film.movement
    side = f"The person's {moved.affected} side moves less." if moved.affected else "No side moves less beyond chance."
    missing = f" {moved.missing} frames without a face were left out." if moved.missing else ""
    words = f"{_words(moved.task)}, " if moved.task else ""
    intro = (
        f"{words}{len(moved.times_s)} frames; the {moved.target} moves. Rest at {moved.times_s[moved.rest]:.2f} s, "
        f"largest at {moved.times_s[moved.peak]:.2f} s. {side}{missing}"
    )
    figures = [
        sides_figure(
            moved.times_s, curve, title=f"{CURVES[name]}, mm", rest=moved.phases.rest, height=moved.phases.height
        )
        for name, curve in moved.curves.items()
        if name in CURVES
    ]
    curves = f'<div class="figures">{"".join(report.figure(scene) for scene in figures)}</div>'
    shown = [(_picture(photo, 560), f"{photo.source}: {_words(photo.task)}") for photo in (film.at_rest, film.at_peak)]
    pictures = "".join(f"<figure>{img}<figcaption>{escape(text)}</figcaption></figure>" for img, text in shown)
    first = Section(
        f"{film.source}: movement",
        f'<p>{escape(intro)}</p><div class="pairs2">{pictures}</div>{_quantities(moved.quantities)}{curves}',
    )
    return [first, _photo(film.at_rest, found), _photo(film.at_peak, found)]


def _quantities(quantities: "Sequence[Quantity]") -> str:
    rows = []
    for q in quantities:
        digits = 2 if q.unit in ("", "s") else 1 if q.unit == "mm" else 0
        title = f"{escape(q.title)} <small>{q.unit}</small>"
        values = (_number(q.right, digits), _number(q.left, digits), _number(q.value, digits))
        rows.append((title, *values, f'<span class="why">{escape(q.text)}</span>'))
    columns = ("of the movement", "right", "left", "both", "")
    return f'<div class="measures">{report.table(columns, rows, left=(0, 4))}</div>'


def _scales(scales: "Sequence[ScaleEstimate]") -> str:
    from mien.runtime.asymmetry.scales import NO_MATERIAL

    side = scales[0].affected
    taken = f"Taken as affected: the person's {side} side." if side else "No side is known to be affected (--affected)."
    parts = [f'<p style="break-after: avoid">{taken}</p>']
    for scale in scales:
        value = escape(scale.value) if scale.value else NO_MATERIAL
        missing = f" Photos missing: {', '.join(map(_words, scale.missing))}." if scale.missing else ""
        sums = "; ".join(f"{name} {number:.0f}" for name, number in scale.parts.items())
        rows = [
            (escape(_words(item.name)), escape(item.part), _NO_VALUE if item.value is None else f"{item.value:.0f}",
             f'<span class="why">{escape(item.rule)}</span>')
            for item in scale.items
            if not item.rule.startswith(NO_MATERIAL)
        ]  # fmt: skip
        items = report.table(("item", "part", "estimate", "by what"), rows, left=(0, 1, 3))
        said = f"<p><b>{escape(scale.name)}: {value}</b>{f' ({escape(sums)})' if sums else ''}.{escape(missing)}</p>"
        if any(item.value is not None for item in scale.items):
            said += f'<div class="measures">{items}</div>'
            said += f'<p class="note">Rule: {escape(scale.rule)}. Published: {escape(scale.reference)}.</p>'
        parts.append(f'<div class="scale">{said}</div>')
    return "".join(parts)


def _method(items: "Sequence[Examination | FilmExamination]", info: "BundleInfo", sigma: str) -> str:
    from mien.runtime.asymmetry.examination import Examination
    from mien.runtime.asymmetry.measures import DEFINITIONS

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
    definitions = "".join(
        f"<p><b>{escape(d.title)}</b>: {escape(d.text)}. {escape(d.source)}.</p>" for d in DEFINITIONS
    )
    closing = (
        "<p>Faces of healthy people are not symmetric either. Landmark models are trained mostly on healthy faces and "
        "tend to draw paralysed ones more symmetric than they are: small asymmetries here may be larger in truth.</p>"
    )
    return f'{report.facts(facts)}{closing}<div class="definitions">{definitions}</div>'


def _scores(info: "BundleInfo") -> str:
    scores = info.provenance.get("scores", {})
    numbers = scores.items() if isinstance(scores, dict) else ()
    return ", ".join(f"{name} {value:.3g}" for name, value in numbers if isinstance(value, int | float))


def _words(name: str) -> str:
    return name.replace("_", " ")
