"""COCO's keypoint annotations: an image for each picture or frame, an annotation for each face, 68 keypoints.

Images and annotations are lists apart in the file, so annotations are written beside it first; memory stays flat.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from mien import __version__
from mien.core.landmarks import edges, scheme_of
from mien.media.files import atomic_path
from mien.media.tables.stored import Rows, StoredTable
from mien.runtime.formats.source import point_columns
from mien.runtime.tables import TRACK

TITLE = "COCO keypoints"
POINTS = 68
NOTES = (
    "bbox [x, y, width, height] is the detector's box, edges in pixels of the upright picture. keypoints: x, y, v; "
    "pixel centres at whole numbers (COCO's own tools place a keypoint in either way). v is 2 (visible), and 1 "
    "(hidden) where the landmark model gives visibility and it is below 0.5; a face without landmarks has none. "
    "width and height of images are not in mien's table and left out. score is the detector's, comparable within one "
    "detector."
)


def write(table: StoredTable, path: Path) -> list[Path]:
    """Writes PATH; returns it."""
    table.require("source", "frame", "success", "box_x0")
    with atomic_path(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        head = {"description": f"faces read by mien {__version__}", "notes": NOTES, "models": _models(table)}
        file.write(f'{{"info":{_plain(head)},\n"licenses":[],\n"categories":[{_plain(_category(table))}],\n"images":[')
        with TemporaryFile("w+", encoding="utf-8", dir=path.parent) as annotations:
            _write_lists(table, file, annotations)
            annotations.seek(0)
            file.write('],\n"annotations":[')
            shutil.copyfileobj(annotations, file)
        file.write("]}\n")
    return [path]


def _write_lists(table: StoredTable, images: IO[str], annotations: IO[str]) -> None:
    last: tuple[str | None, float] | None = None
    image = faces = 0
    for rows in table.batches():
        places = list(zip(rows.texts("source"), rows.numbers("frame").tolist(), strict=True))
        times, found = rows.numbers("timestamp").tolist(), dict(_annotations(table, rows))
        for i, place in enumerate(places):
            if place != last:
                last, image = place, image + 1
                images.write(f"{',' if image > 1 else ''}\n{_plain(_image(image, *place, times[i]))}")
            if i in found:
                faces += 1
                entry = {"id": faces, "image_id": image, "category_id": 1, **found[i]}
                annotations.write(f"{',' if faces > 1 else ''}\n{_plain(entry)}")


def _image(number: int, source: str | None, frame: float, time: float) -> dict[str, Any]:
    of_video = {} if np.isnan(time) else {"frame": int(frame), "timestamp": round(time, 6)}
    return {"id": number, "file_name": source, **of_video}


def _annotations(table: StoredTable, rows: Rows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Of each row with a face: its place in the batch, and the annotation without its ids."""
    x0, y0, x1, y1 = (rows.numbers(f"box_{edge}") for edge in ("x0", "y0", "x1", "y1"))
    boxes = np.stack([x0, y0, x1 - x0, y1 - y0], axis=1).round(3)
    scores, success = rows.numbers("score"), rows.numbers("success") > 0
    points, tracks = _keypoints(table, rows), rows.numbers(TRACK) if TRACK in table.names else None
    classes = rows.texts("expression") if "expression" in table.names else None
    for i in np.flatnonzero(success).tolist():
        box = boxes[i].tolist()
        entry = {"bbox": box, "area": round(box[2] * box[3], 3), "iscrowd": 0}
        if points is not None and np.isfinite(points[i]).all():
            entry |= {"keypoints": points[i].ravel().tolist(), "num_keypoints": POINTS}
        elif points is not None:
            entry |= {"keypoints": [0] * (3 * POINTS), "num_keypoints": 0}
        entry |= {"score": None if np.isnan(scores[i]) else round(float(scores[i]), 4)}
        entry |= {"expression": classes[i]} if classes else {}
        entry |= {"track_id": int(tracks[i])} if tracks is not None and np.isfinite(tracks[i]) else {}
        yield i, entry


def _keypoints(table: StoredTable, rows: Rows) -> np.ndarray | None:
    """[rows, 68, 3]: x, y, v; None for a table without the 68 points."""
    if not point_columns(table, "x", POINTS):
        return None
    x, y = (np.stack([rows.numbers(f"{axis}_{i}") for i in range(POINTS)], axis=1) for axis in "xy")
    visible = np.full(x.shape, 2.0)
    if names := point_columns(table, "visible", POINTS):
        visible[np.stack([rows.numbers(name) for name in names], axis=1) < 0.5] = 1
    return np.stack([x.round(3), y.round(3), visible], axis=2)


def _category(table: StoredTable) -> dict[str, Any]:
    """The face; its keypoints are named by region and number, its lines are counted from 1, as COCO does."""
    category: dict[str, Any] = {"id": 1, "name": "face", "supercategory": "person"}
    if point_columns(table, "x", POINTS):
        region = {i: name for name, indices in scheme_of(POINTS).regions.items() for i in indices}
        names = [f"{region.get(i, 'face')}_{i}" for i in range(POINTS)]
        category |= {"keypoints": names, "skeleton": [[a + 1, b + 1] for a, b in edges()]}
    return category


def _models(table: StoredTable) -> list[str]:
    models = table.description.get("models") or [table.description.get("model", {})]
    return [str(model["id"]) for model in models if "id" in model]


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
