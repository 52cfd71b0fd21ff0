"""Readings again, from the table that they were written into, one batch in memory.

A table holds no arrays (vectors, pictures), no errors of points (`sigma_px`; their confidence is there) and no box of
the landmark model, so these are missing; all else is as it was written.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.face3d import Face3D, Face3DReading, FaceInCrop
from mien.core.geometry import Crop
from mien.core.records import FacePoints, Reading
from mien.core.spec import Output, PictureInput
from mien.media.tables.stored import Rows, StoredTable
from mien.runtime.face3d.reading import SIZE, Face3DColumns, shown_name
from mien.runtime.networks import FaceOutput, named_outputs
from mien.runtime.readings import affect_of
from mien.runtime.tables import TRACK, ReadingColumns
from mien.runtime.trust.columns import is_trust, trust_of
from mien.synthetic.faces3d import face_named

_BOX = ("box_x0", "box_y0", "box_x1", "box_y1")
_PLAIN = ("source", "frame", "timestamp", "face_id", "score", "success", "model", "note", *_BOX)


class StoredReadings:
    """The readings of a table, in order. Raises MienError for a table of something else, such as of voices."""

    def __init__(self, table: StoredTable) -> None:
        table.require(*_PLAIN)
        self.table = table
        self._by_name = {column.name: column for column in table.columns}

    def __iter__(self) -> Iterator[Reading]:
        for rows in self.table.batches():
            yield from self.of(rows)

    def of(self, rows: Rows) -> list[Reading]:
        """The readings of a batch of its rows."""
        further = [name for name in self._by_name if name == TRACK or is_trust(name)]
        names = [*_PLAIN, *further]
        plain = {name: rows.plain(self._by_name[name]) for name in names}
        points = self._points(rows) if "x_0" in self.table.names else None
        solid = self._solid.read(rows) if "face3d_pitch" in self.table.names else None
        values = {
            name: {key: rows.plain(self._by_name[column]) for key, column in group.items()}
            for name, group in self._groups.items()
        }
        return [
            self._reading({name: cells[i] for name, cells in plain.items()}, values, i, points, solid)
            for i in range(rows.count)
        ]

    def _reading(
        self, cells: Mapping[str, Any], values: Mapping[str, Mapping[str, Sequence[Any]]], i: int,
        points: Sequence[FacePoints | None] | None, solid: Sequence[Face3DReading | None] | None,
    ) -> Reading:  # fmt: skip
        found = {name: {key: column[i] for key, column in group.items()} for name, group in values.items()}
        given = {name: shares for name, shares in found.items() if None not in shares.values()}
        shares = given.get(self._main or "", {})
        box: Any = tuple(cells[edge] for edge in _BOX)
        trust = trust_of(cells)
        best = max(shares, key=shares.__getitem__) if shares and not trust["abstained"] else None
        return Reading(
            cells["source"], bool(cells["success"]), cells["frame"], cells["timestamp"], cells["face_id"] or 0,
            track_id=cells.get(TRACK), box=None if None in box else box, score=cells["score"],
            expression=best, probabilities=shares, outputs=given,
            model=cells["model"] or "", note=cells["note"] or "", points=points[i] if points else None,
            affect=affect_of(given, self._outputs), face3d=solid[i] if solid else None,
            **trust,
        )  # fmt: skip

    @cached_property
    def _outputs(self) -> tuple[FaceOutput, ...]:
        """What the models of the sidecar gave of each face."""
        models = self.table.description.get("models") or [self.table.description.get("model")]
        return tuple(output for named in named_outputs([_Described(m) for m in models if m]) for output in named)

    @cached_property
    def _groups(self) -> dict[str, dict[str, str]]:
        """By output, {class or value name: column}, of those that the table has; without a sidecar by prob_NAME."""
        if not self._outputs:
            names = [name for name in self._by_name if name.startswith("prob_")]
            return {"expression": {name.removeprefix("prob_"): name for name in names}} if names else {}
        layout = ReadingColumns(tuple(each.info for each in self._outputs), self._outputs)
        groups = {
            name: {key: column.name for key, column in group.items() if key} for name, group in layout.groups.items()
        }
        return {name: group for name, group in groups.items() if set(group.values()) <= self.table.names}

    @cached_property
    def _main(self) -> str | None:
        """The first output of classes."""
        if not self._outputs:
            return next(iter(self._groups), None)
        return next((o.name for o in self._outputs if o.output.kind == "classes" and o.name in self._groups), None)

    def _points(self, rows: Rows) -> list[FacePoints | None]:
        """Of each row."""
        found = {what: self._stacked(rows, what) for what in ("x", "y", "z", "confidence", "visible")}
        assert found["x"] is not None and found["y"] is not None
        flat = np.stack([found["x"], found["y"]], axis=2)
        turned = self._turned(rows)
        read: list[FacePoints | None] = [None] * rows.count
        for i in np.flatnonzero(np.isfinite(flat).all(axis=(1, 2))).tolist():
            depth, sure, visible = (None if (v := found[w]) is None else v[i] for w in ("z", "confidence", "visible"))
            pose = None if turned is None or np.isnan(turned[i]).any() else tuple(turned[i].tolist())
            read[i] = FacePoints(flat[i], depth, None, sure, visible, pose)
        return read

    def _turned(self, rows: Rows) -> np.ndarray | None:
        """[rows, 3], radians; None for a table without poses."""
        names = [f"pose_{name}" for name in ("pitch", "yaw", "roll")]
        if names[0] not in self.table.names:
            return None
        return np.radians(np.stack([rows.numbers(name) for name in names], axis=1))

    def _stacked(self, rows: Rows, what: str) -> np.ndarray | None:
        """[rows, points], of the columns `what`_0, ..."""
        count = sum(name.removeprefix(f"{what}_").isdigit() for name in self._by_name if name.startswith(f"{what}_"))
        return np.stack([rows.numbers(f"{what}_{i}") for i in range(count)], axis=1) if count else None

    @cached_property
    def _solid(self) -> "_SolidColumns":
        described = self.table.description.get("face3d")
        if not isinstance(described, dict):
            raise MienError(f"{self.table.path} has 3D faces, and no sidecar that says of which model and face.")
        return _SolidColumns(face_named(str(described["face"])), str(described["model"]))


@dataclass(frozen=True)
class _SolidColumns:
    """Where the numbers of a 3D face stand."""

    face: Face3D
    """That they are of."""
    model: str
    """What gave them."""

    @cached_property
    def units(self) -> list[str]:
        """Action units, by column; none of a face without such modes."""
        return [c.name for c in Face3DColumns(self.face.name, self.model).columns if c.unit == "intensity"]

    @cached_property
    def parameters(self) -> dict[str, list[str]]:
        """By field of FaceInCrop, its columns."""
        face = self.face
        expression = [f"face3d_expression_{i}" for i in range(face.expression_count)]
        lids = ["face3d_lid_left", "face3d_lid_right"]
        if self.units:
            expression, lids = [shown_name(name) for name in face.expression_names], ["AU43_left", "AU43_right"]
        return {
            "camera": [f"face3d_camera_{name}" for name in ("scale", "x", "y")],
            "pose": [f"face3d_pose_{axis}" for axis in "xyz"],
            "shape": [f"face3d_shape_{i}" for i in range(face.shape_count)],
            "expression": expression, "jaw": [f"face3d_jaw_{axis}" for axis in "xyz"], "lids": lids,
        }  # fmt: skip

    def read(self, rows: Rows) -> list[Face3DReading | None]:
        """Of each row; None without a 3D face."""
        arrays = {field: np.stack([rows.numbers(n) for n in names], 1) for field, names in self.parameters.items()}
        turned = np.radians(np.stack([rows.numbers(f"face3d_{name}") for name in ("pitch", "yaw", "roll")], 1))
        crops = np.stack([rows.numbers(f"face3d_crop_{name}") for name in ("x", "y", "side")], 1)
        units = {name: rows.numbers(name).tolist() for name in self.units}
        found: list[Face3DReading | None] = [None] * rows.count
        for i in np.flatnonzero(np.isfinite(turned).all(axis=1)).tolist():
            x, y, side = crops[i].tolist()
            given = FaceInCrop(Crop((x, y), (side, side), SIZE), **{name: array[i] for name, array in arrays.items()})
            shown = {name: values[i] for name, values in units.items()}
            found[i] = Face3DReading(given, shown, tuple(turned[i].tolist()), self.face.name, self.model)
        return found


class _Described:
    """A model of the sidecar, as `named_outputs` takes networks."""

    def __init__(self, model: Mapping[str, Any]) -> None:
        outputs = {name: Output.from_dict(given, key=name) for name, given in model.get("outputs", {}).items()}
        self.info = BundleInfo(str(model.get("system", "")), {}, {"image": PictureInput()}, outputs)
        self.outputs = self.info.outputs_of("classes", "values")
