"""OpenFace 2.2's CSV (FeatureExtraction): its columns, order, units and signs, as far as mien reads them.

A missing face is a row with `success` 0 and `confidence` 0, as there; its other cells are empty, where OpenFace writes
0. Rotations: R = Rx Ry Rz of the frame x to the right, y down, z away from the camera, so a head that looks up has
pose_Rx below 0, and one that is turned to the viewer's left pose_Ry above 0 (OpenFace's Output-Format page; issue 966
of its repository).
"""

from collections.abc import Sequence
from functools import lru_cache, partial

import numpy as np
from jaxtyping import Float

from mien.media.tables.columns import Column
from mien.media.tables.stored import Rows, StoredTable
from mien.runtime.formats.layout import Derived, Layout
from mien.runtime.formats.source import (
    action_unit,
    action_unit_columns,
    face_number,
    head_rotations,
    mean_confidence,
    point_columns,
    tracked,
)

TITLE = "OpenFace 2.2 CSV"
POINTS = 68
INTENSITIES = (1, 2, 4, 5, 6, 7, 9, 10, 12, 14, 15, 17, 20, 23, 25, 26, 45)
PRESENT = tuple(sorted((*INTENSITIES, 28)))
GAZE = (
    *(f"gaze_{eye}_{axis}" for eye in (0, 1) for axis in "xyz"), "gaze_angle_x", "gaze_angle_y",
    *(f"eye_lmk_{axis}_{i}" for axis in ("x", "y", "X", "Y", "Z") for i in range(56)),
)  # fmt: skip
PLACE = ("pose_Tx", "pose_Ty", "pose_Tz")
TURN = ("pose_Rx", "pose_Ry", "pose_Rz")
FLAT = tuple(f"{axis}_{i}" for axis in "xy" for i in range(POINTS))
SOLID = tuple(f"{axis}_{i}" for axis in "XYZ" for i in range(POINTS))
SHAPE = ("p_scale", "p_rx", "p_ry", "p_rz", "p_tx", "p_ty", *(f"p_{i}" for i in range(34)))
UNITS_R = tuple(f"AU{unit:02d}_r" for unit in INTENSITIES)
UNITS_C = tuple(f"AU{unit:02d}_c" for unit in PRESENT)
COLUMNS = (
    "frame", "face_id", "timestamp", "confidence", "success", *GAZE, *PLACE, *TURN, *FLAT, *SOLID, *SHAPE, *UNITS_R,
    *UNITS_C,
)  # fmt: skip
"""All columns of OpenFace's file, in its order."""
OPENFACE_UNIT = {45: 43}  # mien reads how far lids are closed (AU43); OpenFace calls the same a blink (AU45)
LARGEST = 5.0  # of an intensity there; mien's are 0..1

NOTES = (
    "frame counts from 1, as in OpenFace; mien's own tables count from 0.",
    "x_i, y_i: pixels of the upright picture, pixel centres at whole numbers.",
    "pose_R: against the line from the camera to the face; OpenFace's are against the camera's axis, which differs "
    "for faces far from the middle of the picture.",
    "A row with success 0 has empty cells where OpenFace writes 0.",
    "source, the last column, is mien's: one file may hold several videos and pictures.",
)
UNITS_NOTE = (
    "AU.._r: 5 times the mean of mien's right and left intensities of the 3D face, 0..5; estimated from one picture, "
    "no FACS coder's rating and not OpenFace's regressors, so values do not compare. AU45_r is AU43 (closed lids)."
)


def layout(table: StoredTable) -> Layout:
    """For that table. Raises MienError for one that is not of faces."""
    table.require("source", "frame", "timestamp", "face_id", "success")
    found = [*_head(table), *_turn(table), *_flat(table), *_units(table)]
    given = {each.column.name for each in found}
    reasons = {
        "mien reads no gaze and no points of the eyes' inside": GAZE,
        "needs the camera's focal length and the size of the head; mien reads neither": (*PLACE, *SOLID),
        "parameters of OpenFace's own point model": SHAPE,
        "presence by OpenFace's classifiers; mien reads intensities": UNITS_C,
        "no action units in this table; mien analyze --with face3d reads them": UNITS_R,
        "no landmarks with 68 points in this table": (*TURN, *FLAT),
        "the landmark model gives no confidence": ("confidence",),
    }
    left_out = {why: tuple(n for n in names if n not in given) for why, names in reasons.items()}
    notes = (*NOTES, *((UNITS_NOTE,) if given & set(UNITS_R) else ()), *_face_note(table))
    by_name = {each.column.name: each for each in found}
    ordered = tuple(by_name[name] for name in (*COLUMNS, "source") if name in by_name)
    return Layout(ordered, {why: names for why, names in left_out.items() if names}, notes)


def _face_note(table: StoredTable) -> tuple[str, ...]:
    if tracked(table):
        return ("face_id: of a video mien's track_id, one number for one face; of a photo the face's number in it.",)
    return ("face_id numbers the faces of a frame, the largest first; it does not follow a person.",)


def _head(table: StoredTable) -> list[Derived]:
    columns = [
        Derived(Column("frame", "integer", "frames", "1.."), lambda rows: rows.numbers("frame") + 1),
        Derived(Column("face_id", "integer", "", "0.."), partial(face_number, table)),
        Derived(Column("timestamp", "number", "seconds", "0..", "0 for a picture", ".3f"), _time),
        Derived(Column("success", "integer", "", "0 or 1"), lambda rows: rows.numbers("success")),
        Derived(Column("source", "text", meaning="the file"), lambda rows: rows.texts("source")),
    ]
    if sure := point_columns(table, "confidence", POINTS):
        meaning = "mean probability that a point is off by less than 5 % of the outer eye corners' distance"
        columns.append(
            Derived(Column("confidence", "number", "probability", "0..1", meaning, ".3f"), partial(_sure, sure))
        )
    return columns


def _time(rows: Rows) -> np.ndarray:
    return np.nan_to_num(rows.numbers("timestamp"))


def _sure(names: Sequence[str], rows: Rows) -> np.ndarray:
    return np.where(rows.numbers("success") > 0, mean_confidence(names, rows), 0.0)


def _turn(table: StoredTable) -> list[Derived]:
    if "pose_pitch" not in table.names:
        return []
    meanings = ("above 0 it looks down", "above 0 turned to the viewer's left", "above 0 tilted clockwise as seen")
    return [
        Derived(Column(name, "number", "radians", "", f"R = Rx Ry Rz; {meaning}", ".6f"), partial(_angle, i))
        for i, (name, meaning) in enumerate(zip(TURN, meanings, strict=True))
    ]


def _angle(axis: int, rows: Rows) -> np.ndarray:
    return np.asarray(_angles(rows)[:, axis])  # type: ignore[arg-type]  # every kind of Rows is hashable


@lru_cache(maxsize=1)
def _angles(rows: Rows) -> np.ndarray:
    """Of this batch, computed once for the three columns."""
    return openface_angles(head_rotations(rows))


def openface_angles(rotations: Float[np.ndarray, "n 3 3"]) -> Float[np.ndarray, "n 3"]:
    """Rx, Ry, Rz in radians with R = Rx Ry Rz, of rotations in the frame x right, y down, z away from the camera."""
    about_y = np.arcsin(np.clip(rotations[:, 0, 2], -1, 1))
    about_x = np.arctan2(-rotations[:, 1, 2], rotations[:, 2, 2])
    return np.stack([about_x, about_y, np.arctan2(-rotations[:, 0, 1], rotations[:, 0, 0])], axis=1)


def _flat(table: StoredTable) -> list[Derived]:
    if not (point_columns(table, "x", POINTS) and point_columns(table, "y", POINTS)):
        return []
    return [Derived(Column(name, "number", "pixels", "", "", ".3f"), partial(_number, name)) for name in FLAT]


def _number(name: str, rows: Rows) -> np.ndarray:
    return rows.numbers(name)


def _units(table: StoredTable) -> list[Derived]:
    found = []
    for unit, name in zip(INTENSITIES, UNITS_R, strict=True):
        if names := action_unit_columns(table, OPENFACE_UNIT.get(unit, unit)):
            meaning = f"{LARGEST:g} times the mean of {', '.join(names)}"
            column = Column(name, "number", "intensity", "0..5", meaning, ".3f")
            found.append(Derived(column, partial(action_unit, names, LARGEST)))
    return found
