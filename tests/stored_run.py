"""A run's folder without a run: a table of readings with known numbers, as `mien analyze` writes it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.face3d import FaceInCrop
from mien.core.geometry import Crop
from mien.core.records import Affect, FacePoints, Reading
from mien.media.bundles import shipped_folder
from mien.media.files import read_info
from mien.media.tables import TableWriter
from mien.runtime.face3d.reading import SIZE, Face3DColumns, reading_of
from mien.runtime.networks import FaceOutput
from mien.runtime.pose import neutral_face, rotation_of
from mien.runtime.tables import PointColumns, ReadingColumns
from mien.synthetic.faces3d import face_named

CLASSES = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
PROXY = "words"


def layout(*, points: bool = True, affect: bool = True, face3d: bool = False) -> ReadingColumns:
    """Of the bundles that ship."""
    info, marks, felt = (
        read_info(shipped_folder() / name)
        for name in ("poster_v2_small_ferplus", "parface_small_300w", "poster_v2_small_affect")
    )
    outputs = [FaceOutput(name, output, info) for name, output in info.outputs.items()]
    outputs += [FaceOutput(name, output, felt) for name, output in felt.outputs_of("values").items() if affect]
    solid = Face3DColumns("open", "made by hand") if face3d else None
    infos = (info, felt) if affect else (info,)
    return ReadingColumns(infos, tuple(outputs), PointColumns(marks) if points else None, solid)


def face(
    source: str = "video.mp4", frame: int = 0, *, time: float | None = 0.0, face_id: int = 0, seed: int = 0,
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0), shares: Sequence[float] | None = None,
    units: dict[str, float] | None = None, points: bool = True, affect: bool = True, track: int | None = None,
) -> Reading:  # fmt: skip
    """A face of a head with that pose (radians). units: of its 3D face, AU12_right and the like."""
    rng = np.random.default_rng(seed)
    drawn = rng.dirichlet(np.ones(len(CLASSES))) if shares is None else np.asarray(shares, float)
    named = dict(zip(CLASSES, drawn.tolist(), strict=True))
    valence, arousal = rng.uniform(-1, 1, 2).tolist()
    outputs = {"expression": named} | ({"affect": {"valence": valence, "arousal": arousal}} if affect else {})
    return Reading(
        source, True, frame, time, face_id, track_id=track, box=(10.5, 20.25, 110.5, 140.25), score=1.25,
        expression=max(named, key=named.__getitem__), probabilities=named, outputs=outputs,
        model="poster_v2@f2a6f193a2be",
        points=head_points(pose, rng) if points else None,
        affect=Affect(valence, arousal, proxy()) if affect else None,
        face3d=None if units is None else solid(units, rng),
    )  # fmt: skip


def proxy() -> str:
    """Of the affect model that ships."""
    info = read_info(shipped_folder() / "poster_v2_small_affect")
    return next(iter(info.outputs_of("values").values())).proxy


def head_points(pose: tuple[float, float, float], rng: np.random.Generator) -> FacePoints:
    """Of the neutral head, seen from far away."""
    turned = neutral_face() @ rotation_of(*pose).T * 1000
    flat = np.stack([turned[:, 0] + 60.0, 80.0 - turned[:, 1]], axis=1)
    sure, seen = rng.uniform(size=(2, 68))
    return FacePoints(flat, turned[:, 2] - turned[:, 2].mean(), None, sure, seen, pose)


def solid(units: dict[str, float], rng: np.random.Generator) -> Any:
    """A 3D face with these action units."""
    mesh = face_named("open")
    sides = {"right": "R", "left": "L"}
    weights = {name: 0.0 for name in mesh.expression_names}
    for name, value in units.items():
        unit, _, side = name.partition("_")
        weights[f"{unit}_{sides[side]}" if side else unit] = value
    lids = np.array([units.get("AU43_left", 0.0), units.get("AU43_right", 0.0)])
    values = np.array([weights[name] for name in mesh.expression_names])
    shape = rng.normal(size=mesh.shape_count)
    given = FaceInCrop(
        Crop((60.0, 80.0), (120.0, 120.0), SIZE), np.array([7.0, 0.1, -0.1]), np.array([0.1, -0.2, 0.05]), shape,
        values, np.array([0.05, 0.0, 0.0]), lids,
    )  # fmt: skip
    return reading_of(given, mesh, model="made by hand")


def missing(source: str = "video.mp4", frame: int = 0, *, time: float | None = 0.0) -> Reading:
    """A frame without a face."""
    return Reading(source, False, frame, time, model="poster_v2@f2a6f193a2be", note="no face found")


def write_run(folder: Path, readings: Sequence[Reading], columns: ReadingColumns | None = None, **details: Any) -> Path:
    """The folder, with readings.csv, .parquet and .json."""
    columns = columns or layout()

    def describe(state: str) -> dict[str, Any]:
        counted = {"rows": len(readings), "faces": sum(reading.success for reading in readings), "state": state}
        return columns.described(**counted, detector="dlib", **details)

    with TableWriter(folder / "readings", columns.columns, describe=describe) as table:
        table.append(columns.row(reading) for reading in readings)
    return folder
