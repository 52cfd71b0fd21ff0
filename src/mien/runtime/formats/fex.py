"""py-feat's Fex table (Detector, version 0.7): its columns and order, as far as mien reads them.

A missing face is a row with empty cells, as there. Angles are radians of R = Rz Ry Rx in the frame x to the right, y
down, z away from the camera, as py-feat decomposes them; each stands under the name that it is. (py-feat 0.7 stores the
rotation about the vertical axis as Roll and that about the viewing axis as Yaw, as its face_pose_pnp.py states.)
"""

from functools import lru_cache, partial

import numpy as np
from jaxtyping import Float

from mien.media.tables.columns import Column
from mien.media.tables.stored import Rows, StoredTable
from mien.runtime.formats.layout import Derived, Layout
from mien.runtime.formats.source import (
    action_unit,
    action_unit_columns,
    head_rotations,
    point_columns,
    tracked,
)
from mien.runtime.tables import TRACK

TITLE = "py-feat Fex (0.7)"
POINTS = 68
BOX = ("FaceRectX", "FaceRectY", "FaceRectWidth", "FaceRectHeight")
POINT = tuple(f"{axis}_{i}" for axis in "xy" for i in range(POINTS))
POSE = ("Pitch", "Roll", "Yaw")
PLACE = ("X", "Y", "Z")
UNITS = (1, 2, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15, 17, 20, 23, 24, 25, 26, 28, 43)
UNIT = tuple(f"AU{unit:02d}" for unit in UNITS)
EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
IDENTITY = tuple(f"Identity_{i}" for i in range(1, 513))
GAZE = ("gaze_pitch", "gaze_yaw", "gaze_angle")
SIZE = ("FrameHeight", "FrameWidth")
COLUMNS = (
    *BOX, "FaceScore", *POINT, *POSE, *PLACE, *UNIT, *EXPRESSIONS, *IDENTITY, *GAZE, *SIZE, "input", "frame",
    "Identity", "approx_time",
)  # fmt: skip
"""All columns of a Detector's Fex, in its order."""
SHARES = ("yunet",)  # detectors whose score is a probability, as FaceScore is

NOTES = (
    "Pitch (above 0 looks down), Yaw (above 0 turned to the viewer's left), Roll (above 0 tilted clockwise as seen): "
    "radians, each under the name that it is. py-feat 0.7 itself stores the rotation about the vertical axis as Roll "
    "and that about the viewing axis as Yaw.",
    "frame: of a video its frame index; pictures are numbered in their order, as in py-feat.",
    "x_i, y_i: pixels of the upright picture, pixel centres at whole numbers; FaceRect: edges.",
)
UNITS_NOTE = (
    "AU..: the mean of mien's right and left intensities of the 3D face, 0..1; py-feat's are probabilities that a unit "
    "is present, so the values do not compare."
)
REST_NOTE = "The seven emotions sum to 1 less mien's further classes ({}), which Fex has no columns for."


def layout(table: StoredTable) -> Layout:
    """For that table. Raises MienError for one that is not of faces."""
    table.require("source", "frame", "timestamp", "success", *("box_" + edge for edge in ("x0", "y0", "x1", "y1")))
    found = [*_boxes(table), *_points(table), *_pose(table), *_units(table), *_expressions(table), *_last(table)]
    by_name = {each.column.name: each for each in found}
    reasons = {
        "the detector's score is no probability": ("FaceScore",),
        "no landmarks with 68 points in this table": (*POINT, *POSE),
        "needs the camera's focal length and the size of the head; mien reads neither": PLACE,
        "no action units in this table; mien analyze --with face3d reads them": UNIT,
        "the expression model has no such class": EXPRESSIONS,
        "mien computes no identity": IDENTITY,
        "faces were not followed over frames": ("Identity",),
        "mien reads no gaze": GAZE,
        "mien's table does not hold the size of the picture": SIZE,
    }
    left_out = {why: tuple(n for n in names if n not in by_name) for why, names in reasons.items()}
    rest = sorted(name.removeprefix("prob_") for name in _shares(table) - {f"prob_{name}" for name in EXPRESSIONS})
    notes = (*NOTES, *((UNITS_NOTE,) if set(UNIT) & by_name.keys() else ()))
    notes += (REST_NOTE.format(", ".join(rest)),) if rest and set(EXPRESSIONS) & by_name.keys() else ()
    ordered = tuple(by_name[name] for name in COLUMNS if name in by_name)
    return Layout(ordered, {why: names for why, names in left_out.items() if names}, notes)


def _number(name: str, rows: Rows) -> np.ndarray:
    return rows.numbers(name)


def _boxes(table: StoredTable) -> list[Derived]:
    edges = {"FaceRectX": ("box_x0",), "FaceRectY": ("box_y0",), "FaceRectWidth": ("box_x1", "box_x0"),
             "FaceRectHeight": ("box_y1", "box_y0")}  # fmt: skip
    found = [
        Derived(Column(name, "number", "pixels", "", "", ".3f"), partial(_difference, of)) for name, of in edges.items()
    ]
    if table.description.get("detector") in SHARES:
        found.append(Derived(Column("FaceScore", "number", "", "0..1", "", ".4f"), partial(_number, "score")))
    return found


def _difference(names: tuple[str, ...], rows: Rows) -> np.ndarray:
    first = rows.numbers(names[0])
    return first if len(names) == 1 else first - rows.numbers(names[1])


def _points(table: StoredTable) -> list[Derived]:
    if not (point_columns(table, "x", POINTS) and point_columns(table, "y", POINTS)):
        return []
    return [Derived(Column(name, "number", "pixels", "", "", ".3f"), partial(_number, name)) for name in POINT]


def _pose(table: StoredTable) -> list[Derived]:
    if "pose_pitch" not in table.names:
        return []
    axes = {"Pitch": 0, "Yaw": 1, "Roll": 2}
    return [Derived(Column(name, "number", "radians", "", "", ".6f"), partial(_angle, axes[name])) for name in POSE]


def _angle(axis: int, rows: Rows) -> np.ndarray:
    return np.asarray(_angles(rows)[:, axis])  # type: ignore[arg-type]  # every kind of Rows is hashable


@lru_cache(maxsize=1)
def _angles(rows: Rows) -> np.ndarray:
    """Of this batch, computed once for the three columns."""
    return fex_angles(head_rotations(rows))


def fex_angles(rotations: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 3"]:
    """About x, y and z in radians with R = Rz Ry Rx, of rotations in the frame x right, y down, z away."""
    about_y = np.arcsin(np.clip(-rotations[:, 2, 0], -1, 1))
    about_x = np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2])
    return np.stack([about_x, about_y, np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0])], axis=1)


def _units(table: StoredTable) -> list[Derived]:
    return [
        Derived(Column(name, "number", "intensity", "0..1", "", ".4f"), partial(action_unit, names, 1.0))
        for unit, name in zip(UNITS, UNIT, strict=True)
        if (names := action_unit_columns(table, unit))
    ]


def _shares(table: StoredTable) -> set[str]:
    """The columns of the first output's classes; a further output's name has another word in it."""
    models = table.description.get("models") or [table.description.get("model", {})]
    names = {str(name) for model in models for name in model.get("labels", {}).get("classes", ())}
    return {name for name in table.names if name.startswith("prob_") and (name[5:] in names or name[5:] in EXPRESSIONS)}


def _expressions(table: StoredTable) -> list[Derived]:
    return [
        Derived(Column(name, "number", "probability", "0..1", "", ".6f"), partial(_number, f"prob_{name}"))
        for name in EXPRESSIONS
        if f"prob_{name}" in table.names
    ]


def _last(table: StoredTable) -> list[Derived]:
    count = _PictureCount()
    found = [
        Derived(Column("input", "text", meaning="the file"), lambda rows: rows.texts("source")),
        Derived(Column("frame", "integer", "frames", "0.."), count),
        Derived(Column("approx_time", "text", "minutes:seconds"), _clock),
    ]
    if tracked(table):
        found.append(Derived(Column("Identity", "text", meaning="mien's track_id, within its video"), _identity))
    return found


class _PictureCount:
    """Frame indices of videos; pictures by their order in the table, over all batches."""

    def __init__(self) -> None:
        self._last: str | None = None
        self._number = -1

    def __call__(self, rows: Rows) -> list[float]:
        frames, times = rows.numbers("frame").tolist(), rows.numbers("timestamp").tolist()
        for i, source in enumerate(rows.texts("source")):
            if source != self._last:
                self._last, self._number = source, self._number + 1
            if np.isnan(times[i]):
                frames[i] = float(self._number)
        return frames


def _clock(rows: Rows) -> list[str | None]:
    return [
        None if np.isnan(time) else f"{int(time // 60):02d}:{int(time % 60):02d}"
        for time in rows.numbers("timestamp").tolist()
    ]


def _identity(rows: Rows) -> list[str | None]:
    return [None if np.isnan(track) else f"Person_{int(track)}" for track in rows.numbers(TRACK).tolist()]
