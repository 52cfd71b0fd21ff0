"""The tables of readings: one row for each face of each picture or frame, as CSV and Parquet, with a JSON sidecar.

The sidecar says of each column what it is, its unit and its range; of the whole: the frame of reference, the model and
its weights' hash, the order of the classes. A picture without a face is a row with `success` 0, never a missing row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien import __version__
from mien.core.bundle import BundleInfo
from mien.core.landmarks import scheme_of
from mien.core.records import FacePoints, Reading
from mien.core.spec import SoundInput, input_to_dict
from mien.media.tables import Column, TableWriter
from mien.runtime.face3d.reading import Face3DColumns
from mien.runtime.networks import FaceOutput
from mien.runtime.trust.columns import TrustColumns

CROPS = (
    "Each network reads its own crop of a face: its box, shifted by box_shift and enlarged by box_scale (shares of its "
    "side), brought to size x size pixels as its inputs say. The box is the detector's, in a video with landmarks that "
    "about them in the detector's framing. Landmarks are read a second time in a crop around the points found first, "
    "turned upright."
)
FRAME_OF_REFERENCE = (
    "Pixels of the upright picture (after EXIF rotation; of a video after its display matrix, with square pixels), at "
    "the size that the file holds. Origin: outer corner of the upper left pixel; x to the right, y down. Boxes are "
    "edges, so (0, 0, width, height) is the whole picture."
)
VOICE_WINDOW = (
    "The video's sound of the network's window that ends at the frame's time; before its beginning the window's "
    "padding. Pictures, and videos without sound, have empty cells for the outputs of such a network."
)
_PIXELS, _SHARE = ".3f", ".6f"  # how they stand in CSV
TRACK = "track_id"  # the column of the numbers of followed faces
_FIRST = (
    Column("source", "text", meaning="the file, as it was named"),
    Column("frame", "integer", "frames", "0..", "index of the video frame, counted from 0; 0 for a picture"),
    Column(
        "timestamp", "number", "seconds", "0..", "time of the frame from the start of its video; empty for a picture",
        _SHARE,
    ),
    Column(
        "face_id", "integer", "", "0..",
        "number of the face within its picture or frame, the largest first; no identity",
    ),
    Column(
        TRACK, "integer", "", "0..",
        "number of the person's face within its video, the same in all frames, by appearance; empty for a picture",
    ),
    Column("box_x0", "number", "pixels", "", "left edge of the box of the face", _PIXELS),
    Column("box_y0", "number", "pixels", "", "upper edge", _PIXELS),
    Column("box_x1", "number", "pixels", "", "right edge", _PIXELS),
    Column("box_y1", "number", "pixels", "", "lower edge", _PIXELS),
    Column("score", "number", "", "", "the detector's own score; compares only within one detector", _PIXELS),
    Column(
        "success", "integer", "", "0 or 1", "1: this row is a face; 0: none was found, or the file could not be read",
    ),
)  # fmt: skip
_LAST = (
    Column("model", "text", meaning="system@first digits of the SHA-256 of its weights"),
    Column("note", "text", meaning="why nothing was read, or what was done to the picture"),
)
POINT_FRAME = (
    "x_i, y_i: pixels as the boxes', but with pixel centres at whole numbers: half a pixel less than edges. "
    "z_i: the same pixels, larger is nearer to the viewer, mean 0 over a face's points. "
    "The order of the points and what is left and right (the person's own) are the scheme's. "
    "pose: a head turns by yaw first, then pitch, then roll."
)
# Of a point: name of the column: (the bundle's output that it needs, unit, range, meaning).
_OF_A_POINT = {
    "x": ("", "pixels", "", "x of the point"),
    "y": ("", "pixels", "", "y of the point"),
    "z": ("depth", "pixels", "", "depth of the point, larger is nearer"),
    "confidence": (
        "sigma", "probability", "0..1", "that the point is off by less than 5 % of the outer eye corners' distance",
    ),
    "visible": ("visible", "probability", "0..1", "that nothing hides the point"),
}  # fmt: skip
_POSE = (
    Column("pose_pitch", "number", "degrees", "-90..90", "of the head; above 0 it looks up", _PIXELS),
    Column("pose_yaw", "number", "degrees", "-180..180", "above 0 the face is turned to the viewer's right", _PIXELS),
    Column("pose_roll", "number", "degrees", "-180..180", "above 0 it is tilted clockwise as seen", _PIXELS),
)


@dataclass(frozen=True)
class PointColumns:
    """The columns of a landmark model, from its output of points and the outputs that describe them."""

    info: BundleInfo
    """Of its bundle."""
    smoothing: Mapping[str, Any] | None = None
    """The filter over the frames of a video, for the sidecar; None is no filter."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """x_0, ..., y_0, ..., then z, confidence and visible where the model gives them, and the head's pose."""
        main, points = next(iter(self.info.outputs_of("points").items()))
        scheme = scheme_of(len(points.names))
        given = {"", *(name for name, output in self.info.outputs.items() if output.of == main)}
        region = {i: name.replace("_", " ") for name, indices in scheme.regions.items() for i in indices}
        columns = [
            Column(f"{name}_{i}", "number", unit, span, f"{meaning}: {i}, {region.get(i, 'face')}", _PIXELS)
            for name, (needs, unit, span, meaning) in _OF_A_POINT.items()
            if needs in given
            for i in range(scheme.points)
        ]
        return (*columns, *(_POSE if scheme.points == 68 else ()))

    def cells(self, face: FacePoints | None) -> dict[str, float]:
        """Values by column name; none without a face."""
        if face is None:
            return {}
        x, y = face.landmarks_px.T
        values = {"x": x, "y": y, "z": face.depth_px, "confidence": face.confidence, "visible": face.visible}
        cells = {
            f"{name}_{i}": value
            for name, row in values.items()
            if row is not None
            for i, value in enumerate(row.tolist())
        }
        if face.pose_rad is not None:
            cells |= dict(zip((c.name for c in _POSE), np.degrees(face.pose_rad).tolist(), strict=True))
        return cells

    def described(self) -> dict[str, Any]:
        """For the sidecar."""
        info, points = self.info, next(iter(self.info.outputs_of("points").values()))
        model = {
            "id": info.model_id, "system": info.system, "sha256": info.files,
            "inputs": {name: input_to_dict(given) for name, given in info.inputs.items()},
            "provenance": info.provenance,
        }  # fmt: skip
        model |= {"licence": asdict(info.licence)} if info.licence else {}
        return {
            "scheme": f"landmarks_{points.scheme}",
            "frame_of_reference": POINT_FRAME,
            "smoothing": self.smoothing or "none",
            "model": model,
        }


@dataclass(frozen=True)
class ReadingColumns:
    """The columns of a table of readings, from what its models declare.

    The first output of classes has `expression` and `prob_CLASS`, a further one OUTPUT and `prob_OUTPUT_CLASS`; values
    stand under their own names, after their output's where two are alike.
    """

    infos: tuple[BundleInfo, ...]
    """Of the bundles, in order."""
    outputs: tuple[FaceOutput, ...]
    """What they give, as `Analyzer.outputs`; vectors and pictures have no columns."""
    points: PointColumns | None = None
    """Of the landmark model that reads along."""
    face3d: Face3DColumns | None = None
    """Of the 3D faces."""
    trust: TrustColumns = field(default_factory=TrustColumns)
    """Of quality, prediction sets and agreement."""

    @classmethod
    def of(cls, info: BundleInfo, points: PointColumns | None = None) -> "ReadingColumns":
        """Of one bundle."""
        return cls(
            (info,), tuple(FaceOutput(n, o, info) for n, o in info.outputs_of("classes", "values").items()), points
        )

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """In order."""
        given = [column for group in self.groups.values() for column in group.values()]
        return (*_FIRST, *given, *self._further, *_LAST)

    @cached_property
    def _further(self) -> tuple[Column, ...]:
        """Of points, 3D faces and trust."""
        return tuple(column for part in (self.points, self.face3d, self.trust) if part for column in part.columns)

    @cached_property
    def groups(self) -> dict[str, dict[str, Column]]:
        """For each output with columns: they by class or value name; the class itself under ""."""
        used = {column.name for column in (*_FIRST, *_LAST, *self._further)}
        groups: dict[str, dict[str, Column]] = {}
        for each in self.outputs:
            if each.output.kind == "classes":
                first = not any("" in group for group in groups.values())
                wanted = _of_classes(each, first=first)
            elif each.output.kind == "values":
                wanted = _of_values(each)
            else:
                continue
            groups[each.name] = {}
            for key, column in wanted.items():
                free = _free_name(column.name, each.name, used)
                used.add(free)
                groups[each.name][key] = replace(column, name=free)
        return groups

    def row(self, reading: Reading) -> dict[str, Any]:
        """One row by column name; what is missing is an empty cell."""
        cells: dict[str, Any] = {
            "source": reading.source,
            "frame": reading.frame,
            "timestamp": reading.timestamp_s,
            "face_id": reading.face_id if reading.success else None,
            TRACK: reading.track_id,
            "score": reading.score,
            "success": int(reading.success),
            "model": reading.model,
            "note": reading.note or None,
        }
        cells |= dict(zip(("box_x0", "box_y0", "box_x1", "box_y1"), reading.box or (), strict=False))
        main = next((name for name, group in self.groups.items() if "" in group), None)
        for name, group in self.groups.items():
            values = reading.probabilities if name == main else reading.outputs.get(name, {})
            if "" in group:
                best = max(values, key=values.__getitem__, default=None)
                cells[group[""].name] = reading.expression if name == main else best
            cells |= {group[key].name: value for key, value in values.items() if key in group}
        cells |= self.points.cells(reading.points) if self.points else {}
        return cells | (self.face3d.cells(reading.face3d) if self.face3d else {}) | self.trust.cells(reading)

    def described(self, **details: Any) -> dict[str, Any]:
        """For the sidecar: what the numbers of the table mean, as plain values."""
        models = [_model(info) for info in self.infos]
        voiced = any(isinstance(given, SoundInput) for info in self.infos for given in info.inputs.values())
        return {
            "table": "one row for each face; a picture or frame without one is a row with success 0",
            "columns": {column.name: column.described() for column in self.columns},
            "frame_of_reference": FRAME_OF_REFERENCE,
            "crops": CROPS,
            **({"voice": VOICE_WINDOW} if voiced else {}),
            "missing": "an empty cell (CSV), null (Parquet)",
            "model": models[0],
            **({"models": models} if len(models) > 1 else {}),
            **({"points": self.points.described()} if self.points else {}),
            **({"face3d": self.face3d.described()} if self.face3d else {}),
            **self.trust.described(),
            "mien": __version__,
            **details,
        }


def write_tables(
    readings: Sequence[Reading], path: str | Path, *, info: BundleInfo, points: PointColumns | None = None,
    **details: Any,
) -> list[Path]:  # fmt: skip
    """Writes PATH.csv, PATH.parquet and PATH.json of the readings of one bundle; returns their paths.

    points: the landmark model's columns, where it read the faces too. `details` goes into the sidecar: detector,
    command, state. For readings as they come, TableWriter with ReadingColumns. Raises MienError where they cannot be
    written.
    """
    layout = ReadingColumns.of(info, points)
    faces = sum(reading.success for reading in readings)

    def describe(state: str) -> dict[str, Any]:
        return layout.described(**{"rows": len(readings), "faces": faces, "state": state} | details)

    with TableWriter(path, layout.columns, describe=describe) as table:
        for reading in readings:
            table.append([layout.row(reading)])
    return table.close()


def _of_classes(each: FaceOutput, *, first: bool) -> dict[str, Column]:
    whole = Column(
        "expression" if first else each.name, "text",
        meaning="the class with the highest probability" + ("" if first else f" of {each.name}"),
    )  # fmt: skip
    meaning = "calibrated probability of the class; a row's sum to 1"
    prefix = "prob_" if first else f"prob_{each.name}_"
    return {"": whole} | {
        name: Column(f"{prefix}{name}", "number", "probability", "0..1", meaning, _SHARE) for name in each.output.names
    }


def _of_values(each: FaceOutput) -> dict[str, Column]:
    output = each.output
    span = "..".join(f"{limit:g}" for limit in output.range or ())
    proxy = f"; a proxy, learned from: {output.proxy}" if output.proxy else ""
    return {
        name: Column(name, "number", output.unit, span, f"{name}, of the output {each.name}{proxy}", _SHARE)
        for name in output.names
    }


def _free_name(name: str, output: str, used: set[str]) -> str:
    """The column's name; with its output's before it, then with a number, where another column has it."""
    candidates = [name, f"{output}_{name}", *(f"{output}_{name}_{number}" for number in range(2, len(used) + 3))]
    return next(each for each in candidates if each not in used)


def _model(info: BundleInfo) -> dict[str, Any]:
    classes = info.outputs_of("classes")
    labels = {"temperature": info.temperature(next(iter(classes))), "labels": info.labels.to_dict()} if classes else {}
    return {
        "id": info.model_id,
        "system": info.system,
        "sha256": info.files,
        **labels,
        "inputs": {name: input_to_dict(given) for name, given in info.inputs.items()},
        "outputs": {name: output.to_dict() for name, output in info.outputs.items()},
        "provenance": info.provenance,
        **({"licence": asdict(info.licence)} if info.licence else {}),
    }
