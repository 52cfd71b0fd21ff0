"""The table of an examination: one row for each measure of a picture or video, as CSV, and a JSON that says all."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mien import __version__
from mien.core.bundle import BundleInfo
from mien.media.files import write_csv, write_text
from mien.runtime.asymmetry.dynamic import Quantity
from mien.runtime.asymmetry.examination import Examination, VideoExamination
from mien.runtime.asymmetry.measures import DEFINITIONS, Estimate, Measure
from mien.runtime.asymmetry.scales import ScaleEstimate
from mien.runtime.asymmetry.static import Region
from mien.runtime.asymmetry.visits import Change

ESTIMATES = (
    "Measures and estimates from points in pictures. They are no diagnosis, no grade and no advice; whoever treats a "
    "person decides by examining that person."
)
COLUMNS = {
    "source": "the file; of a video with the time of the frame",
    "task": "the expression asked for; of a video's quantities its task",
    "measure": "name; see `definitions`",
    "unit": "of all columns but index_percent, ratio and clear",
    "right": "the person's own right",
    "left": "the person's own left",
    "difference": "right minus left",
    "value": "of measures of the whole face; positive to the person's left, where it has a side",
    "index_percent": "asymmetry index 200 |left - right| / (left + right); empty near 0",
    "ratio": "the smaller over the larger side; empty near 0",
    "true_difference": "the difference (or value) corrected for what the model underestimates; empty where no errors "
    "were fitted",
    "true_low": "lower end of the range that holds the true difference in 90 of 100 faces",
    "true_high": "upper end",
    "healthy_limit": "95 % of healthy people differ by less in a picture of this quality",
    "right_sd": "standard deviation of the error",
    "left_sd": "likewise",
    "difference_sd": "likewise",
    "value_sd": "likewise",
    "index_sd": "likewise, percent",
    "clear": "1: the true difference is beyond healthy_limit (without fitted errors: beyond the error of the points at "
    "the 5 % level); 0: it is not; empty: error unknown",
    "detectable": "smallest change between two pictures that errors exceed in 5 of 100 pairs",
    "detectable_90": "likewise in 10 of 100 pairs",
    "mirror_right": "how much the reading of the mirrored picture differs: the reader's own error",
    "mirror_left": "likewise",
    "mirror_difference": "likewise, of the difference or the value",
}
Row = dict[str, Any]


def rows_of(item: Examination | VideoExamination) -> list[Row]:
    """A photo's rows, or a video's: its quantities, then its frames of rest and peak."""
    if isinstance(item, VideoExamination):
        moved = [_quantity_row(item.source, item.movement.task, quantity) for quantity in item.movement.quantities]
        return [*moved, *rows_of(item.at_rest), *rows_of(item.at_peak)]
    mirror = item.mirror.measures if item.mirror else {}
    rows = [_measure_row(item, measure, mirror.get(measure.name, ())) for measure in item.measured.measures]
    return rows + [_region_row(item, region) for region in item.measured.regions]


def write_measures(
    items: Sequence[Examination | VideoExamination], folder: Path, *, info: BundleInfo,
    scales: Sequence[ScaleEstimate] = (), **provenance: Any,
) -> list[Path]:  # fmt: skip
    """Writes measures.csv and measures.json into the folder, each whole or not at all; returns their paths."""
    rows = [row for item in items for row in rows_of(item)]
    paths = [folder / "measures.csv", folder / "measures.json"]
    write_csv(paths[0], list(COLUMNS), ([_cell(row.get(name)) for name in COLUMNS] for row in rows))
    text = json.dumps(_sidecar(items, rows, info, scales, provenance), indent=2, ensure_ascii=False, allow_nan=False)
    write_text(paths[1], text + "\n")
    return paths


def write_changes(changes: Sequence[Change], folder: Path) -> Path:
    """changes.csv: one row for each measure of each task that both visits show."""
    columns = ["task", "measure", "unit", "before", "after", "change", "change_low", "change_high", "detectable_90",
               "detectable_95", "verdict"]  # fmt: skip
    rows = []
    for c in changes:
        assert c.before.true is not None and c.after.true is not None
        ends = c.value - c.detectable_90, c.value + c.detectable_90
        numbers = (c.before.true.value, c.after.true.value, c.value, *ends, c.detectable_90, c.detectable_95)
        rows.append([c.task, c.before.name, c.before.unit, *(f"{v:.4f}" for v in numbers), c.verdict])
    write_csv(folder / "changes.csv", columns, rows)
    return folder / "changes.csv"


def write_curves(item: VideoExamination, path: Path) -> None:
    """A video's measures over time: time_s, then right and left of each curve, mm."""
    movement = item.movement
    names = [f"{name}_{side}" for name in movement.curves for side in ("right", "left")]
    rows = []
    for k, time in enumerate(movement.times_s):
        values = [curve[k, side] for curve in movement.curves.values() for side in (0, 1)]
        phase = [int(movement.phases.rest[k]), int(movement.phases.height[k])]
        rows.append([f"{time:.4f}", *(f"{value:.3f}" for value in values), *phase])
    write_csv(path, ["time_s", *names, "rest", "height"], rows)


def _measure_row(item: Examination, measure: Measure, mirror: tuple[float, ...]) -> Row:
    row = _start(item.source, item.task, measure.name, measure.unit)
    paired = measure.definition.paired
    row |= _sides(measure.right, measure.left)
    row |= _named("difference" if paired else "value", measure.difference)
    if measure.index is not None:
        row |= {"index_percent": measure.index.value, "index_sd": measure.index.sd, "ratio": measure.ratio}
    row |= {"clear": measure.clear, "detectable": measure.detectable}
    if measure.true is not None:
        row |= {"true_difference": measure.true.value, "true_low": measure.true.low, "true_high": measure.true.high,
                "healthy_limit": measure.true.healthy, "detectable_90": measure.true.detectable(90)}  # fmt: skip
    if mirror:
        names = ("mirror_right", "mirror_left", "mirror_difference") if len(mirror) == 3 else ("mirror_difference",)
        row |= dict(zip(names, mirror, strict=True))
    return row


def _region_row(item: Examination, region: Region) -> Row:
    name = f"asymmetry_{region.name.replace(' ', '_')}"
    row = _start(item.source, item.task, name, "%") | _named("value", region.asymmetry)
    return row | {"clear": region.clear, "healthy_limit": region.floor if region.healthy else None}


def _quantity_row(source: str, task: str, quantity: Quantity) -> Row:
    row = _start(source, task, quantity.name, quantity.unit) | _sides(quantity.right, quantity.left)
    if quantity.value is not None:
        row |= _named("value", quantity.value)
    elif quantity.right is not None and quantity.left is not None:
        row["difference"] = quantity.right.value - quantity.left.value
    return row


def _start(source: str, task: str, measure: str, unit: str) -> Row:
    return {"source": source, "task": task, "measure": measure, "unit": unit}


def _sides(right: Estimate | None, left: Estimate | None) -> Row:
    row: Row = {}
    for name, side in (("right", right), ("left", left)):
        if side is not None:
            row |= _named(name, side)
    return row


def _named(name: str, estimate: Estimate) -> Row:
    return {name: estimate.value, f"{name}_sd": estimate.sd}


def _cell(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.4f}"
    return "" if value is None else value


def _plain(value: Any) -> Any:
    """For JSON: no NaN, no NumPy."""
    value = value.item() if hasattr(value, "item") else value
    return None if isinstance(value, float) and math.isnan(value) else value


def _sidecar(
    items: Sequence[Examination | VideoExamination], rows: list[Row], info: BundleInfo,
    scales: Sequence[ScaleEstimate], provenance: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    videos = [item for item in items if isinstance(item, VideoExamination)]
    photos: list[Examination] = []
    for item in items:
        photos += [item.at_rest, item.at_peak] if isinstance(item, VideoExamination) else [item]
    return {
        "note": ESTIMATES,
        "columns": COLUMNS,
        "definitions": {d.name: {"unit": d.unit, "text": d.text, "source": d.source} for d in DEFINITIONS}
        | {q.name: {"unit": q.unit, "text": q.text} for video in videos for q in video.movement.quantities}
        | {"asymmetry_*": {"unit": "%", "text": (Region.__doc__ or "").replace("\n    ", " ").strip()}},
        "pictures": [_about(photo) for photo in photos],
        "scales": [_scale(scale) for scale in scales],
        "measures": [{name: _plain(value) for name, value in row.items()} for row in rows],
        "model": {"id": info.model_id, "sha256": info.files, "provenance": info.provenance},
        "mien": __version__,
        **provenance,
    }


def _about(photo: Examination) -> dict[str, Any]:
    frame = photo.measured.frame
    return {
        "source": photo.source,
        "task": photo.task,
        "frame": frame.note,
        "worse_than_the_fit_of_errors": list(photo.outside),
        "mm_per_px": frame.mm_per_px,
        "scale_sd_percent": 100 * frame.scale.relative_sd,
        "mirror_test_percent": photo.mirror.percent if photo.mirror else None,
        "checks": [asdict(check) for check in photo.checks],
    }


def _scale(scale: ScaleEstimate) -> dict[str, Any]:
    items = [{"name": i.name, "part": i.part, "value": i.value, "rule": i.rule} for i in scale.items]
    return {
        "name": scale.name, "estimate": scale.value or None, "rule": scale.rule, "reference": scale.reference,
        "parts": scale.parts, "items": items, "missing": list(scale.missing),
        "affected": scale.affected or None,
    }  # fmt: skip
