"""`mien data stats`: what a data set is like in numbers, as a table, a file and a picture."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mien.cli.progress import progress_bar
from mien.cli.text import columns
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.inspection.pictures import SIDE, Facts, inspect
from mien.data.inspection.published import count
from mien.data.inspection.statistics import describe
from mien.data.readers import Reader, open_reader
from mien.data.readers.recognise import named_set
from mien.engine.datasets.check import folder_for
from mien.engine.datasets.stats_plots import stats_figure
from mien.media.files import write_text


def stats(
    name: str,
    *,
    root: str = "",
    output: str | None = None,
    reader: dict[str, Any] | None = None,
    box_scale: float = 1.18,
    box_shift_y: float = -0.075,
    limit: int = 0,
    seed: int = 0,
    workers: int | None = None,
) -> str:
    """Data set statistics: channel means for a config, sizes, brightness, sharpness, classes, subjects, affect, points.

    Brightness and sharpness are measured in the face crop, at 112 pixels, so that data sets compare.

    Args:
        name: reader of the data set (`mien data list` prints all), or its folder, where its layout is recognised or has
            one folder for each class, or its table.
        root: folder of the data set, where `name` is a reader; for manifest, the table.
        output: folder for stats.json and stats.png.
        reader: options of the reader, such as --reader.majority strict.
        box_scale: side of the crop in sides of the face's box, where the data set has boxes.
        box_shift_y: downward shift of the crop's centre from the box's, in sides of the box.
        limit: size of the random sample to measure; 0 measures all faces.
        seed: seed of that sample.
        workers: processes; by default one for each core.
    """
    name, root = named_set(name, root)
    opened = open_reader(name, root, **(reader or {}))
    folder = folder_for(output, opened)
    splits = {split: opened.samples(split) for split in opened.splits}
    faces = list({sample.key: sample for samples in splits.values() for sample in samples}.values())
    spec = PictureInput(size=SIDE, box_scale=box_scale, box_shift=(0.0, box_shift_y))
    samples, facts, broken = _measured(_sampled(faces, limit, seed), spec, workers)
    found = describe(splits, samples, facts) | {"broken": broken, "counts": count(splits, opened.labels)}
    found["imbalance"] = _imbalance(found["counts"])
    if folder:
        _write(folder, found, opened)
    files = f"\n{folder}: stats.json, stats.png" if folder else ""
    return f"{opened.name}, {root}\n{columns(_table(found))}{files}"


def _sampled(faces: list[Sample], limit: int, seed: int) -> list[Sample]:
    if limit < 0:
        raise MienError(f"--limit must be at least 0; got {limit}.")
    if not limit or limit >= len(faces):
        return faces
    chosen = np.random.Generator(np.random.PCG64(seed)).permutation(len(faces))[:limit]
    return [faces[i] for i in sorted(chosen.tolist())]


def _measured(faces: list[Sample], spec: Any, workers: int | None) -> tuple[list[Sample], list[Facts], int]:
    """The faces that can be read, their facts, and how many cannot."""
    with progress_bar("measuring faces", len(faces)) as advance:
        facts = inspect(faces, spec=spec, advance=advance, workers=workers)
    whole = [(face, fact) for face, fact in zip(faces, facts, strict=True) if not fact.why_broken]
    if not whole:
        raise MienError(f"None of {len(faces)} pictures can be read; the first: {facts[0].why_broken}")
    return [face for face, _ in whole], [fact for _, fact in whole], len(faces) - len(whole)


def _imbalance(counts: dict[str, dict[str, int]]) -> dict[str, float | None]:
    """The largest class over the smallest by split; None where a class has no face."""
    found = {}
    for split, numbers in counts.items():
        classes = [n for name, n in numbers.items() if name not in ("all", "no expression")]
        if len(classes) > 1:
            found[split] = round(max(classes) / min(classes), 1) if min(classes) else None
    return found


def _table(found: dict[str, Any]) -> list[list[object]]:
    """A row a fact: its name, and the smallest, the middle and the largest, or text."""
    rows: list[list[object]] = [["", "5 %", "middle", "95 %", ""]]
    for name, title, digits in (
        ("width", "width, pixels", 0), ("height", "height, pixels", 0), ("face_side", "face box side, pixels", 0),
        ("brightness", "brightness, 0..1", 2), ("sharpness", "sharpness, grey levels", 1),
    ):  # fmt: skip
        if (spread := found[name])["count"]:
            whole = f"{spread['p0']:.{digits}f} to {spread['p100']:.{digits}f}"
            rows.append([title, *(f"{spread[p]:.{digits}f}" for p in ("p5", "p50", "p95")), whole])
    texts: list[list[object]] = [[title, "", "", "", text] for title, text in _lines(found)]
    return rows + texts


def _lines(found: dict[str, Any]) -> list[tuple[str, str]]:
    lines = [
        ("faces", f"{found['faces']:,} measured" + (f", {found['broken']:,} broken" if found["broken"] else "")),
        ("channel mean", " ".join(f"{v:.4f}" for v in found["channels"]["mean"])),
        ("channel std", " ".join(f"{v:.4f}" for v in found["channels"]["std"])),
    ]
    for split, ratio in found["imbalance"].items():
        lines.append((f"imbalance, {split}", f"{ratio:g} : 1" if ratio else "a class has no face"))
    for name in ("subjects", "clips"):
        known, each = found[name]["known"], found[name]["pictures_each"]
        text, rest = "not known", found[name]["unknown_pictures"]
        if known:
            text = f"{known:,}, {each['p0']:.0f} to {each['p100']:.0f} pictures each (middle {each['p50']:.0f})"
            text += f", {rest:,} pictures without" if rest else ""
        lines.append((name, text))
    lines += [(f"subjects in {pair}", f"{number:,}") for pair, number in found["shared_subjects"].items()]
    points = found["landmarks"]
    text = "none"
    if points["faces"]:
        counts = ", ".join(map(str, points["points"]))
        text = f"{counts} on {points['faces']:,} faces; {100 * points['outside_share']:.2f} % lie outside the picture"
    lines.append(("landmarks", text))
    for name in ("valence", "arousal"):
        if values := found["affect"].get(name):
            lines.append((name, f"mean {values['mean']:+.3f} on {values['faces']:,} faces"))
    return lines


def _write(folder: Path, found: dict[str, Any], reader: Reader) -> None:
    write_text(folder / "stats.json", json.dumps({"data": reader.name, **found}, indent=2) + "\n")
    stats_figure(found, title=reader.name).png(folder / "stats.png")
