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
from mien.core.framing import crop_of_upright, rectangle_of_five, rotation
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.landmarks import LandmarkScheme, scheme_of
from mien.core.records import Box, FacePoints
from mien.core.spec import PictureInput
from mien.core.typed import checked
from mien.media.bundles import bundle_folder, shipped_folder
from mien.media.crop import normalise, prepare
from mien.media.detect import Detection
from mien.media.files import read_info
from mien.media.image import picture_of_array
from mien.runtime.networks import require_picture_only
from mien.runtime.pose import head_pose
from mien.runtime.runner import MODEL_FILE, Outputs, Runner

SHIPPED_LANDMARKS = "parface_small_300w"
NEAR = 0.05  # of the distance of the outer eye corners: a point nearer than this to its place is right
PASSES = 2
# How far a crop by five points may be from that by the points found, shares of the side and radians; else read again.
NEAR_SHIFT, NEAR_SIZE, NEAR_ROLL_RAD = 0.06, 0.12, 0.1
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
        passes = checked(passes, int, key="passes")
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

    def read(self, pixels: np.ndarray, box: Box | Detection | None = None) -> FacePoints:
        """The points of the face in that box (edge coordinates of these pixels); None: the picture is the face.

        A detection with five points is framed by them, and read once where that frames it well enough. Raises MienError
        for a box without an area, and for pixels that are no picture (as `Analyzer.read`).
        """
        return self.read_many([(picture_of_array(pixels).pixels, box)])[0]

    def read_many(self, faces: Sequence[tuple[AnyPixels, Box | Detection | None]]) -> list[FacePoints]:
        """As `read` for many, of pixels that are RGB already, through the network in batches."""
        found: list[FacePoints] = []
        for start in range(0, len(faces), _BATCH):
            some = faces[start : start + _BATCH]
            pictures = [pixels for pixels, _ in some]
            crops = [self._first_crop(pixels, place) for pixels, place in some]
            outputs = self._outputs(pictures, crops)
            for _ in range(self.passes - 1):
                self._again(some, crops, outputs)
            named = [{name: values[i] for name, values in outputs.items()} for i in range(len(some))]
            found += [
                decode(crop, one, self.scheme, box=place.box if isinstance(place, Detection) else place)
                for crop, one, (_, place) in zip(crops, named, some, strict=True)
            ]
        return found

    def _again(
        self, faces: Sequence[tuple[AnyPixels, Box | Detection | None]], crops: list[Crop], outputs: Outputs
    ) -> None:
        """Cuts out by the points found and reads again; not what five points had framed as well."""
        spec = self.info.picture
        better = [next_crop(crop, found, spec=spec) for crop, found in zip(crops, outputs["landmarks"], strict=True)]
        left = [
            i for i, (_, place) in enumerate(faces)
            if not (isinstance(place, Detection) and place.landmarks_px is not None and near(crops[i], better[i]))
        ]  # fmt: skip
        if not left:
            return
        renewed = self._outputs([faces[i][0] for i in left], [better[i] for i in left])
        for i in left:
            crops[i] = better[i]
        for name, values in renewed.items():
            outputs[name][left] = values

    def follow(
        self, pixels: Pixels, known: Sequence[tuple[FacePoints, Float[np.ndarray, "2"]]]
    ) -> list[FacePoints]:  # fmt: skip
        """The points of faces in the next frame of a video, in one pass whatever `passes` is.

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

    def _first_crop(self, pixels: Pixels, place: Box | Detection | None) -> Crop:
        spec = self.info.picture
        if place is None:
            return crop_of_picture(pixels.shape[1], pixels.shape[0], spec)
        if isinstance(place, Detection):
            return five_crop(place, spec) or crop_of_box(place.box, spec)
        return crop_of_box(place, spec)


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
    return crop_of_upright(points @ rotation(roll), spec, roll_rad=roll)


def five_crop(face: Detection, spec: PictureInput) -> Crop | None:
    """About the crop of `next_crop`, by the five points of a detector; None where they frame none."""
    if face.landmarks_px is None or spec.point_box == "landmarks":  # which asks for the chin
        return None
    try:
        corners, roll = rectangle_of_five(face.landmarks_px)
        return crop_of_upright(corners, spec, roll_rad=roll)
    except MienError:
        return None


def near(one: Crop, other: Crop) -> bool:
    """Whether two crops show a face alike enough for its points to be the same within a hundredth of their error."""
    side = one.sides[0]
    apart = float(np.hypot(one.centre[0] - other.centre[0], one.centre[1] - other.centre[1]))
    turned = abs((one.roll_rad - other.roll_rad + np.pi) % (2 * np.pi) - np.pi)
    return apart < NEAR_SHIFT * side and abs(other.sides[0] / side - 1) < NEAR_SIZE and turned < NEAR_ROLL_RAD


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
