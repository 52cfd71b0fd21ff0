"""What the other formats are made of: mien's columns by what they mean, and turns of the head as matrices."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from mien.core.face3d import SIDES
from mien.media.tables.stored import Rows, StoredTable
from mien.runtime.pose import rotation_of
from mien.runtime.tables import TRACK

_TO_CAMERA = np.diag([1.0, -1.0, -1.0])  # from y up, z to the viewer to y down, z away from the camera


def tracked(table: StoredTable) -> bool:
    """Whether faces were followed over the frames of a video."""
    return TRACK in table.names


def face_number(table: StoredTable, rows: Rows) -> Float[np.ndarray, " rows"]:
    """The track, else the number within the picture; 0 for a row without a face."""
    number = rows.numbers("face_id")
    if tracked(table):
        track = rows.numbers(TRACK)
        number = np.where(np.isnan(track), number, track)
    return np.nan_to_num(number)


def point_columns(table: StoredTable, what: str, count: int) -> tuple[str, ...]:
    """`what`_0 ... of all points; none where the table has others, fewer or more of them."""
    names = tuple(f"{what}_{i}" for i in range(count))
    complete = all(name in table.names for name in names) and f"{what}_{count}" not in table.names
    return names if complete else ()


def mean_confidence(names: Sequence[str], rows: Rows) -> Float[np.ndarray, " rows"]:
    """Of a face's points."""
    return np.mean([rows.numbers(name) for name in names], axis=0)


def action_unit_columns(table: StoredTable, unit: int) -> tuple[str, ...]:
    """The columns of an action unit: right and left, or the one of a unit that is not sided; none without it."""
    names = tuple(name for name in (f"AU{unit}{SIDES[0]}", f"AU{unit}{SIDES[1]}") if name in table.names)
    return names if len(names) == 2 else (f"AU{unit}",) if f"AU{unit}" in table.names else ()


def action_unit(names: Sequence[str], largest: float, rows: Rows) -> Float[np.ndarray, " rows"]:
    """The mean over the sides, from 0..1 to 0..largest."""
    mean = np.mean([rows.numbers(name) for name in names], axis=0)
    return np.clip(mean, 0, 1) * largest


def head_rotations(rows: Rows) -> Float[np.ndarray, "rows 3 3"]:
    """Of each head, in the frame x to the right, y down, z away from the camera; NaN without a pose."""
    angles = [np.radians(rows.numbers(f"pose_{name}")) for name in ("pitch", "yaw", "roll")]
    turned: np.ndarray = _TO_CAMERA @ rotation_of(*angles) @ _TO_CAMERA
    return turned
