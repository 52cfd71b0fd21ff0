"""What a worker of `mien render` does with one photo: find faces, read them in 3D, draw, write."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.core.face3d import FaceInCrop
from mien.core.records import Box
from mien.core.spec import PictureInput
from mien.media.crop import prepare
from mien.media.detect import Detection, Detector, create_detector
from mien.media.files import printable, write_text
from mien.media.image import load_image, save_png
from mien.runtime.face3d.drawing import draw
from mien.runtime.face3d.meshes import write_glb, write_obj
from mien.runtime.face3d.regressor import Regressor
from mien.synthetic.picture.shading import vertex_normals

PHOTOS, RENDERS, PARAMETERS, MESHES = "photos", "renders", "parameters", "meshes"
NO_FACE = "no face found"


@dataclass(frozen=True)
class RenderOptions:
    """What is the same for all photos of a run."""

    folder: str
    """Of the results."""
    bundle: str
    """Folder of the network, or fit."""
    face: str | None
    """Name of the 3D face."""
    size: int
    """Side of crops and renders."""
    largest: bool
    """Leave out all but the largest face of a photo."""
    obj: bool
    """Write OBJ."""
    glb: bool
    """Write GLB."""
    detector: str
    """dlib, yunet or none."""
    detector_weights: str | None
    """File of yunet."""
    min_face: float | None
    """Side of the smallest face in pixels."""


@dataclass(frozen=True)
class PhotoTask:
    """One photo."""

    path: Path
    """Of the photo."""
    stem: str
    """Of its files; further faces STEM_1, ..."""
    options: RenderOptions
    """Of the run."""


@dataclass(frozen=True)
class Rendered:
    """What became of a photo."""

    stems: tuple[str, ...] = ()
    """Of the faces written."""
    reason: str = ""
    """Why there are none."""


def render_photo(task: PhotoTask) -> Rendered:
    """Writes every face of the photo; a photo without one, or that cannot be read, is a reason."""
    try:
        pixels = load_image(task.path).pixels
    except MienError as error:
        return Rendered(reason=printable(str(error)))
    options = task.options
    faces = _faces(pixels, options)
    if not faces:
        return Rendered(reason=NO_FACE)
    regressor, stems, reason = _regressor(options.bundle, options.face), [], NO_FACE
    for number, place in enumerate(faces):
        stem = f"{task.stem}_{number}" if number else task.stem
        try:
            found = regressor.read(pixels, place, size=options.size)
        except MienError as error:
            reason = printable(str(error))
            continue
        _write(task, stem, pixels, found, regressor=regressor, box=None if place is None else place.box)
        stems.append(stem)
    return Rendered(tuple(stems), "" if stems else reason)


def _faces(pixels: np.ndarray, options: RenderOptions) -> Sequence[Detection | None]:
    """The largest first; None is the whole picture."""
    if options.detector == "none":
        return [None]
    find = _detector(options.detector, options.detector_weights, options.min_face)
    faces = sorted(find(pixels), key=lambda face: -face.side)
    return faces[:1] if options.largest else faces


@cache
def _detector(name: str, weights: str | None, min_face: float | None) -> Detector:
    return create_detector(name, weights=weights, min_face=min_face)


@cache
def _regressor(bundle: str, face: str | None) -> Regressor:
    cv2.setNumThreads(1)  # the processes fill the cores
    return Regressor(bundle, face=face, threads=1)


def _write(
    task: PhotoTask, stem: str, pixels: np.ndarray, found: FaceInCrop, *, regressor: Regressor, box: Box | None
) -> None:
    """The parameters last: a face is done when they are there."""
    folder, options, face = Path(task.options.folder), task.options, regressor.face
    crop, posed = prepare(pixels, found.crop, PictureInput(size=options.size)), found.vertices(face)
    save_png(folder / PHOTOS / f"{stem}.png", crop)
    save_png(folder / RENDERS / f"{stem}.png", draw(face, found, vertices=posed))
    note = f"3D face {face.name} ({face.licence}), by mien with {regressor.model_id}"
    ahead = found.vertices(face, posed=False) if options.obj or options.glb else face.template
    if options.obj:
        write_obj(folder / MESHES / f"{stem}.obj", ahead, face.triangles, note=note)
    if options.glb:
        normals = vertex_normals(ahead, face.triangles)
        write_glb(folder / MESHES / f"{stem}.glb", ahead, face.triangles, normals=normals, note=note)
    values: dict[str, Any] = {
        "photo": printable(str(task.path)), "box": None if box is None else list(box), "face": face.name,
        "licence": face.licence, "model": regressor.model_id, **found.to_dict(),
        "landmarks_px": np.round(found.landmarks(face, vertices=posed), 3).tolist(),
        "expression_names": list(face.expression_names[: len(found.expression)]),
    }  # fmt: skip
    write_text(folder / PARAMETERS / f"{stem}.json", json.dumps(values) + "\n")
