"""Landmarker: the points of a face in its picture, what error to expect of each, and where the head is turned.

Faces are cut out by the code that training uses (core.geometry, media.crop), as the bundle's PictureInput says. In
training the box is the upright rectangle around a face's points; a detector's box is only about that. So a face is read
twice: from the box that is given, then from the box of the points found, turned upright. Nothing here needs torch.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.framing import POINT_BOXES
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.landmarks import LandmarkScheme, scheme_of
from mien.core.records import Box, FacePoints
from mien.core.spec import PictureInput
from mien.media.bundles import bundle_folder, shipped_folder
from mien.media.crop import normalise, prepare
from mien.media.files import read_info
from mien.runtime.networks import require_picture_only
from mien.runtime.pose import head_pose
from mien.runtime.runner import MODEL_FILE, Outputs, Runner

SHIPPED_LANDMARKS = "parface_small_300w"
NEAR = 0.05  # of the distance of the outer eye corners: a point nearer than this to its place is right
PASSES = 2
_BATCH = 16  # crops through the network at once
Pixels = UInt8[np.ndarray, "height width 3"]
AnyPixels = UInt8[np.ndarray, "_ _ 3"]  # of several pictures, each of its own size


class Landmarker:
    """Finds the points of faces with a bundle that gives points.

    bundle: its folder, the name of one that ships, or its Runner; None is the landmark model that ships with mien.
    backend, precision, threads: as for Runner. passes: 1 reads each face once, 2 cuts it out again by the points first
    found. One object may be used from many threads. Raises MienError for a bundle that cannot be used or does not read
    landmarks.
    """

    def __init__(
        self, bundle: str | Path | Runner | None = None, *, backend: str = "auto", precision: str = "auto",
        threads: int | None = None, passes: int = PASSES,
    ) -> None:  # fmt: skip
        if passes < 1:
            raise MienError(f"passes must be 1 or more; got {passes}.")
        self._runner = bundle if isinstance(bundle, Runner) else _runner_of(bundle, threads, backend, precision)
        self.info, self.passes = self._runner.info, passes
        points = self.info.outputs_of("points")
        if not points:
            raise MienError(f"{self._runner.folder} gives {self.info.gives}, no landmarks. Name a bundle that does.")
        self._main, declared = next(iter(points.items()))
        self.scheme: LandmarkScheme = scheme_of(len(declared.names))
        described = [name for name, output in self.info.outputs.items() if output.of == self._main]
        self.outputs: tuple[str, ...] = ("landmarks", *described)
        """landmarks, and what else it gives of each point: sigma, visible, depth."""

    def __repr__(self) -> str:
        runner = self._runner
        return f"Landmarker({self.info.model_id}, {runner.backend} {runner.precision}, {runner.threads} threads)"

    @property
    def engine(self) -> str:
        """What computes: `onnxruntime fp32`, ..."""
        return f"{self._runner.backend} {self._runner.precision}"

    def read(self, pixels: Pixels, box: Box | None = None) -> FacePoints:
        """The points of the face in that box (edge coordinates of these pixels); None: the picture is the face.

        Raises MienError for a box without an area.
        """
        return self.read_many([(pixels, box)])[0]

    def read_many(self, faces: Sequence[tuple[AnyPixels, Box | None]]) -> list[FacePoints]:
        """As `read` for many, through the network in batches."""
        found: list[FacePoints] = []
        for start in range(0, len(faces), _BATCH):
            some = faces[start : start + _BATCH]
            pictures = [pixels for pixels, _ in some]
            crops = [self._first_crop(pixels, box) for pixels, box in some]
            outputs = self._outputs(pictures, crops)
            for _ in range(self.passes - 1):
                crops = [
                    next_crop(crop, points, spec=self.info.picture)
                    for crop, points in zip(crops, outputs["landmarks"], strict=True)
                ]
                outputs = self._outputs(pictures, crops)
            named = [{name: values[i] for name, values in outputs.items()} for i in range(len(some))]
            found += [
                decode(crop, one, self.scheme, box=box) for crop, one, (_, box) in zip(crops, named, some, strict=True)
            ]
        return found

    def follow(
        self, pixels: Pixels, known: Sequence[tuple[FacePoints, Float[np.ndarray, "2"]]]
    ) -> list[FacePoints]:  # fmt: skip
        """The points of faces in the next frame of a film, in one pass whatever `passes` is.

        known: of each face its points in the frame before, and how far it has moved since, pixels (x, y).
        """
        found: list[FacePoints] = []
        for start in range(0, len(known), _BATCH):
            some = known[start : start + _BATCH]
            crops = [crop_of_points(face.landmarks_px + shift, self.info.picture) for face, shift in some]
            outputs = self._outputs([pixels] * len(some), crops)
            for i, crop in enumerate(crops):
                found.append(decode(crop, {name: values[i] for name, values in outputs.items()}, self.scheme))
        return found

    def _outputs(self, pictures: Sequence[AnyPixels], crops: Sequence[Crop]) -> Outputs:
        spec = self.info.picture
        cut = [prepare(pixels, crop, spec) for pixels, crop in zip(pictures, crops, strict=True)]
        found = self._runner.outputs(normalise(np.stack(cut), spec))
        return {"landmarks": found[self._main]} | {name: found[name] for name in self.outputs[1:]}

    def _first_crop(self, pixels: Pixels, box: Box | None) -> Crop:
        spec = self.info.picture
        return crop_of_picture(pixels.shape[1], pixels.shape[0], spec) if box is None else crop_of_box(box, spec)


def _runner_of(bundle: str | Path | None, threads: int | None, backend: str, precision: str) -> Runner:
    folder = shipped_landmarks() if bundle is None else bundle_folder(bundle)
    if folder is None:
        raise MienError("No landmark model ships with this installation. Name a bundle that reads landmarks.")
    require_picture_only(read_info(folder), folder)
    return Runner(folder, threads=threads, backend=backend, precision=precision)


def next_crop(crop: Crop, landmarks: Float[np.ndarray, "points 2"], *, spec: PictureInput) -> Crop:
    """The crop that training would make of the points found (sides of `crop`), turned so that the eyes are level.

    The crop itself where all points fall into one place.
    """
    try:
        return crop_of_points(_in_picture(crop, landmarks), spec)
    except MienError:
        return crop


def crop_of_points(points: Float[np.ndarray, "points 2"], spec: PictureInput) -> Crop:
    """The crop that training would make of these points of a picture, turned so that the eyes are level.

    Raises MienError for points that all lie in one place.
    """
    roll = _eye_line(points, scheme_of(len(points)))
    turn = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])
    x0, y0, x1, y1 = POINT_BOXES[spec.point_box](points @ turn.T)
    if not (x1 - x0 > 1e-3 and y1 - y0 > 1e-3):
        raise MienError("Points that all lie in one place frame no face.")
    middle = turn.T @ np.array([(x0 + x1) / 2 - 0.5, (y0 + y1) / 2 - 0.5]) + 0.5
    half = np.array([(x1 - x0) / 2, (y1 - y0) / 2])
    upright = (*(middle - half).tolist(), *(middle + half).tolist())
    return crop_of_box(upright, spec, roll_rad=roll)


def decode(crop: Crop, outputs: Outputs, scheme: LandmarkScheme, *, box: Box | None = None) -> FacePoints:
    """One face's outputs (crop sides, 0 and 1 are the crop's edges) as points of the picture that the crop is of."""
    points = _in_picture(crop, outputs["landmarks"])
    side = float(crop.sides[0])
    depth = outputs["depth"].astype(np.float64) * side if "depth" in outputs else None
    if depth is not None:
        depth = depth - depth.mean()
    sigma = outputs["sigma"].astype(np.float64) * side if "sigma" in outputs else None
    visible = outputs["visible"].astype(np.float64).clip(0, 1) if "visible" in outputs else None
    face = FacePoints(points, depth_px=depth, sigma_px=sigma, visible=visible, box=box)
    pose = head_pose(points, depth) if scheme.points == 68 else None
    return replace(face, confidence=confidence_of(face, scheme), pose_rad=pose)


def confidence_of(face: FacePoints, scheme: LandmarkScheme) -> Float[np.ndarray, " points"] | None:
    """Probability that a point is nearer to its place than 5 % of the distance d of the outer eye corners.

    1 - exp(-(0.05 d)^2 / (2 s^2)) with s = sigma sqrt(2 / pi): errors alike in x and y have Rayleigh's distribution,
    whose mean is sigma_px. d is in three dimensions where there is depth, so that a turned face is not called unsure.
    None where the model gives no sigma.
    """
    if face.sigma_px is None or scheme.outer_corners is None:
        return None
    corners = list(scheme.outer_corners)
    apart = np.diff(face.landmarks_px[corners], axis=0)[0]
    if face.depth_px is not None:
        apart = np.append(apart, np.diff(face.depth_px[corners]))
    scale = np.maximum(face.sigma_px, 1e-9) * np.sqrt(2 / np.pi)
    return 1 - np.exp(-((NEAR * np.linalg.norm(apart)) ** 2) / (2 * scale**2))


def scaled_points(face: FacePoints, factor: float) -> FacePoints:
    """The same face in its picture resized by `factor`; pixel p becomes factor * (p + 0.5) - 0.5."""
    if factor == 1:
        return face
    depth, sigma = (None if v is None else v * factor for v in (face.depth_px, face.sigma_px))
    x0, y0, x1, y1 = (edge * factor for edge in face.box or (0, 0, 0, 0))
    box = None if face.box is None else (x0, y0, x1, y1)
    points = (face.landmarks_px + 0.5) * factor - 0.5
    return replace(face, landmarks_px=points, depth_px=depth, sigma_px=sigma, box=box)


def shipped_landmarks() -> Path | None:
    """The folder of the landmark model that comes with mien; None where it cannot be read without torch."""
    folder = shipped_folder() / SHIPPED_LANDMARKS
    return folder if (folder / MODEL_FILE).is_file() else None


def _in_picture(crop: Crop, landmarks: Float[np.ndarray, "points 2"]) -> Float[np.ndarray, "points 2"]:
    """float64, pixels of the picture, pixel centres at whole numbers: the exact inverse of how training puts points."""
    return np.asarray(crop.to_picture(landmarks.astype(np.float64) * crop.size - 0.5))


def _eye_line(points: Float[np.ndarray, "points 2"], scheme: LandmarkScheme) -> float:
    """Angle of the line through the pupils, radians, clockwise."""
    right, left = (points[list(group)].mean(0) for group in scheme.pupils)
    x, y = left - right
    return float(np.arctan2(y, x)) if x or y else 0.0
