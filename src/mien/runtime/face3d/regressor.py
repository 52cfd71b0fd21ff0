"""What gives the 3D face of a photo: a bundle of SMIRK's encoders, or a fit to a landmark model's points. No torch."""

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.core.face3d import Face3D, FaceInCrop, axis_angle_of, rotation_matrices
from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.records import Box, FacePoints
from mien.core.spec import PictureInput
from mien.media.bundles import bundle_folder
from mien.media.crop import normalise, prepare
from mien.media.detect import Detection
from mien.runtime.face3d.parameters import placed
from mien.runtime.face3d.point_regression import PointRegression, fit_of
from mien.runtime.landmarks import Landmarker, crop_of_points, next_crop
from mien.runtime.networks import require_picture_only
from mien.runtime.runner import Outputs, Runner
from mien.synthetic.face import open_face
from mien.synthetic.faces3d import face_named

FIT = "fit"
PARAMETERS = ("pose", "camera", "shape", "expression", "lids", "jaw")
Pixels = UInt8[np.ndarray, "height width 3"]


class Regressor:
    """Reads a face in 3D, by a network or by a fit.

    bundle: of a network that gives a 3D face: its folder, or the name of one that ships; None or "fit" takes the face
    called `face` from the points of the landmark model that ships, by regression (the open face) or by a fit, which on
    photographs is the better choice (docs/face3d.md). landmarker: whose points may be used. Raises MienError for a
    bundle that gives no 3D face, and for a face that is not the bundle's own.
    """

    def __init__(
        self, bundle: str | Path | None = None, *, face: str | None = None, threads: int | None = None,
        landmarker: Landmarker | None = None,
    ) -> None:  # fmt: skip
        self._runner: Runner | None = None
        if bundle in (None, FIT):
            self.face: Face3D = face_named(face or open_face.NAME)
            self._landmarker = landmarker or Landmarker(threads=threads)
            model = self._landmarker.info.model_id
            self._fit = fit_of(self.face, model)
            self.model_id = f"{'regression on' if isinstance(self._fit, PointRegression) else 'fit to'} {model}"
            return
        folder = bundle_folder(bundle)
        self._runner = Runner(folder, threads=threads)
        info = self._runner.info
        require_picture_only(info, folder)
        if missing := [name for name in PARAMETERS if name not in info.outputs]:
            raise MienError(f"{folder} gives {info.gives}, and no {missing[0]}: it is no model of a 3D face (smirk).")
        own = str(info.config.get("face", "none"))
        if own == "none" and face is None:
            raise MienError(f"{folder} does not say which 3D face its parameters are of. Name it: --face NAME.")
        if own != "none" and face not in (None, own):
            raise MienError(f"{folder} gives parameters of the 3D face {own}, not of {face}. Leave --face out.")
        self.face, self.model_id = face_named(own if own != "none" else str(face)), info.model_id

    @property
    def picture(self) -> PictureInput:
        """How faces are cut out for what it reads them with."""
        return self._landmarker.info.picture if self._runner is None else self._runner.info.picture

    def read(
        self, pixels: Pixels, place: Box | Detection | None, *, size: int, points: FacePoints | None = None
    ) -> FaceInCrop:
        """The face in that box (None: the picture is the face), in an upright crop of that side around it.

        points: of the landmarker that was given, where they are known; a fit then does not look for them again, and a
        network reads the face once, cut out by them, instead of twice. Raises MienError for points that no face can be
        fitted to.
        """
        if self._runner is None:
            return self._fit(points or self._landmarker.read(pixels, place), size=size)
        spec = self._runner.info.picture
        if points is not None:
            crop = crop_of_points(points.landmarks_px, spec)
            return self._in_crop(self._outputs(pixels, crop), crop, size=size)
        height, width = pixels.shape[:2]
        box = place.box if isinstance(place, Detection) else place
        crop = crop_of_picture(width, height, spec) if box is None else crop_of_box(box, spec)
        outputs = self._outputs(pixels, crop)
        if "landmarks" in outputs:  # again, cut out as training does
            crop = next_crop(crop, outputs["landmarks"], spec=spec)
            outputs = self._outputs(pixels, crop)
        return self._in_crop(outputs, crop, size=size)

    def _outputs(self, pixels: Pixels, crop: Crop) -> Outputs:
        assert self._runner is not None
        spec = self._runner.info.picture
        found = self._runner.outputs(normalise(prepare(pixels, crop, spec)[None], spec))
        return {name: values[0] for name, values in found.items()}

    def _in_crop(self, outputs: Outputs, crop: Crop, *, size: int) -> FaceInCrop:
        """The same face in an upright crop around its landmarks; a turn of the network's crop goes into the pose."""
        named = {name: outputs[name].astype(np.float32) for name in ("shape", "expression", "lids", "jaw")}
        if self.face.name == open_face.NAME:
            named["expression"] = named["expression"].clip(0, 1)
        found = FaceInCrop(crop, outputs["camera"], outputs["pose"], **named)
        points = np.asarray(crop.to_picture(found.landmarks(self.face)))
        pose = _rolled(outputs["pose"], crop.roll_rad)
        return placed(self.face, points, size=size, pose=pose, **named)


def _rolled(pose: Float[np.ndarray, "3"], roll_rad: float) -> Float[np.ndarray, "3"]:
    """The rotation in the picture of one in a crop that is turned clockwise by roll_rad."""
    turned = rotation_matrices(np.array([[0.0, 0.0, -roll_rad], pose]))
    return axis_angle_of(turned[0] @ turned[1]).astype(np.float32)
