"""From the parameters of a 3D face to what a person reads: action units, head pose, columns of a table, files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.face3d import SIDES, Face3D, Face3DReading, FaceInCrop, rotation_matrices
from mien.core.geometry import Crop
from mien.media.tables import Column
from mien.runtime.face3d.meshes import write_glb, write_obj
from mien.runtime.pose import angles_of
from mien.synthetic.face import open_face
from mien.synthetic.faces3d import face_named
from mien.synthetic.picture.shading import vertex_normals

SIZE = 224  # pixels of the crop that camera and landmarks are stated in, as SMIRK's
MESHES = {".obj": "Wavefront OBJ", ".glb": "binary glTF"}
LIDS = "AU43"  # the two lid parameters
_SIDES = dict(zip("RL", SIDES, strict=True))
_NUMBER = ".6f"
PROVENANCE = (
    "Estimated from one picture. Action units are the expression parameters of the 3D face, an intensity and no "
    "FACS coder's rating; right and left are the person's own."
)


def reading_of(parameters: FaceInCrop, face: Face3D, *, model: str) -> Face3DReading:
    """The reading of these parameters of that face."""
    rotation = rotation_matrices(parameters.pose[None])[0]
    return Face3DReading(parameters, action_units(parameters, face), angles_of(rotation), face.name, model)


def action_units(parameters: FaceInCrop, face: Face3D) -> dict[str, float]:
    """Intensity 0..1 by name, AU12_right before AU12_left. Of the open face; other faces have no such modes."""
    if face.name != open_face.NAME:
        return {}
    values = dict(zip(face.expression_names, parameters.expression.tolist(), strict=False))
    left, right = parameters.lids.clip(0, 1).tolist()
    values |= {f"{LIDS}_L": left, f"{LIDS}_R": right}
    return {shown_name(name): float(values[name]) for name in _ordered(values)}


def shown_name(name: str) -> str:
    """AU12_right of AU12_R: R is easily taken for "right" in the picture."""
    return name[:-2] + _SIDES[name[-1]] if name.endswith(("_L", "_R")) else name


def _ordered(names: Mapping[str, Any]) -> list[str]:
    """By unit, in the face's order, the right side first."""
    units = list(dict.fromkeys(name.removesuffix("_L").removesuffix("_R") for name in names))
    return [name for unit in units for name in (f"{unit}_R", f"{unit}_L", unit) if name in names]


def save_mesh(found: Face3DReading, path: Path, *, posed: bool = False) -> None:
    """Writes the face as a mesh in metres, y up, z to the viewer; posed: with the head turned as in the photo.

    Raises MienError for a suffix other than .obj and .glb.
    """
    if path.suffix.lower() not in MESHES:
        raise MienError(f"{path}: a mesh is written as .obj or .glb.{nearest(path.suffix, MESHES)}")
    face = face_named(found.face)
    vertices = found.parameters.vertices(face, posed=posed)
    note = f"3D face {face.name} ({face.licence}), by mien with {found.model}"
    if path.suffix.lower() == ".obj":
        write_obj(path, vertices, face.triangles, note=note)
    else:
        normals = vertex_normals(vertices, face.triangles)
        write_glb(path, vertices, face.triangles, normals=normals, note=note)


@dataclass(frozen=True)
class Face3DColumns:
    """The columns of a 3D face in a table: action units, pose, and the parameters in FLAME's arrangement."""

    face: str
    """Name of the 3D face."""
    model: str
    """What reads the faces: `system@weights`, or the landmark model that they are fitted to."""
    smoothing: Mapping[str, Any] | None = None
    """The filter over the frames of a video, for the sidecar; None is no filter."""

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """AU1_right, ..., face3d_pitch, face3d_yaw, face3d_roll, then the parameters, face3d_shape_0, ..."""
        units = [
            Column(name, "number", "intensity", "0..1", self._meaning(name), _NUMBER)
            for name in self._neutral.action_units
        ]
        angles = [
            Column(f"face3d_{name}", "number", "degrees", span, f"{name} of the head by its 3D face; {sign}", ".3f")
            for name, span, sign in (
                ("pitch", "-90..90", "above 0 it looks up"), ("yaw", "-180..180", "above 0 to the viewer's right"),
                ("roll", "-180..180", "above 0 tilted clockwise as seen"),
            )
        ]  # fmt: skip
        numbers = [
            Column(name, "number", unit, "", f"{meaning} of the 3D face {self.face}", _NUMBER)
            for name, unit, meaning in self._parameters
        ]
        return (*units, *angles, *numbers)

    @cached_property
    def _neutral(self) -> Face3DReading:
        """Of a face at rest: it has every name."""
        face = face_named(self.face)
        lengths = (3, 3, face.shape_count, face.expression_count, 3, 2)
        parameters = FaceInCrop(Crop((0.0, 0.0), (1.0, 1.0), SIZE), *map(np.zeros, lengths))
        return reading_of(parameters, face, model="")

    @cached_property
    def _parameters(self) -> list[tuple[str, str, str]]:
        """Name, unit and meaning of the columns of the parameters that the action units do not say."""
        face = face_named(self.face)
        named = [*enumerate(face.shape_names)] or [(i, f"component {i}") for i in range(face.shape_count)]
        found = [(f"face3d_shape_{i}", "", f"shape parameter {name.replace('_', ' ')}") for i, name in named]
        if not self._neutral.action_units:
            found += [(f"face3d_expression_{i}", "", "expression parameter") for i in range(face.expression_count)]
            found += [
                (f"face3d_lid_{side}", "", f"how far the {side} eye is closed, 0..1,") for side in ("left", "right")
            ]
        for what, meaning in (("jaw", "rotation of the jaw"), ("pose", "rotation of the head")):
            found += [(f"face3d_{what}_{axis}", "radians", f"{meaning}, axis times angle, {axis},") for axis in "xyz"]
        found += [
            (f"face3d_camera_{name}", "", f"weak perspective into the crop, {name},") for name in ("scale", "x", "y")
        ]
        return [
            *found,
            *((f"face3d_crop_{name}", "pixels", f"{name} of the square crop") for name in ("x", "y", "side")),
        ]

    @staticmethod
    def _meaning(name: str) -> str:
        side = next((f", the person's own {side[1:]} side" for side in SIDES if name.endswith(side)), "")
        unit = name.removesuffix(SIDES[0]).removesuffix(SIDES[1])
        return f"{unit.replace('_', ' ')}{side}"

    def cells(self, found: Face3DReading | None) -> dict[str, float]:
        """Values by column name; none without a face."""
        if found is None:
            return {}
        cells = dict(found.action_units)
        angles = np.degrees(found.pose_rad).tolist()
        cells |= dict(zip(("face3d_pitch", "face3d_yaw", "face3d_roll"), angles, strict=True))
        given = found.parameters
        expressions = [] if cells and found.action_units else [*given.expression, *given.lids]
        (x, y), side = given.crop.centre, given.crop.sides[0]
        values = [*given.shape, *expressions, *given.jaw, *given.pose, *given.camera, x, y, side]
        return cells | {name: float(v) for (name, _, _), v in zip(self._parameters, values, strict=False)}

    def described(self) -> dict[str, Any]:
        """For the sidecar."""
        face = face_named(self.face)
        return {
            "face": face.name, "licence": face.licence, "model": self.model, "provenance": PROVENANCE,
            "crop": f"square, upright, {SIZE} pixels; face3d_crop_x, _y: its centre in the picture, edge coordinates",
            "smoothing": self.smoothing or "none",
        }  # fmt: skip
