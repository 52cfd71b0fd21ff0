"""`mien landmarks`: the 68 points of faces in photographs, drawn, as .pts, and in three dimensions."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError
from mien.media.files import writable_folder

if TYPE_CHECKING:
    import numpy as np

    from mien.core.records import FacePoints
    from mien.engine.reading.output_names import OutputNames
    from mien.media.detect import Detector
    from mien.runtime.landmarks import Landmarker


def landmarks(
    inputs: list[str],
    *,
    output: str,
    bundle: str | None = None,
    detector: Literal["dlib", "yunet"] = "dlib",
    detector_weights: str | None = None,
    min_face: float | None = None,
    backend: Literal["auto", "onnxruntime", "openvino"] = "auto",
    threads: int | None = None,
) -> str:
    """Find the 68 points of each face: drawn on the photo, as .pts, and in 3D to turn where the model has depth.

    Args:
        inputs: photos, folders, patterns such as 'photos/*.jpg'.
        output: folder for PHOTO.png, PHOTO.pts (further faces PHOTO_1.pts, ...), and in 3D PHOTO.obj and PHOTO.html.
        bundle: folder of a bundle that reads landmarks; by default the one that ships with mien.
        detector: dlib needs no file; yunet finds turned faces too, from OpenCV's weight file.
        detector_weights: YuNet's file.
        min_face: side in pixels of the smallest face to look for.
        backend: what computes; by default openvino where it is installed.
        threads: by default one for each core.
    """
    from mien.engine.reading.inputs import bundle_of, files_of
    from mien.engine.reading.output_names import OutputNames
    from mien.media.detect import create_detector
    from mien.runtime.landmarks import Landmarker

    folder = writable_folder(output)
    files = files_of(inputs, folder, videos=False)
    landmarker = Landmarker(bundle_of(bundle), backend=backend, threads=threads)
    if landmarker.scheme.points != 68:
        raise MienError(f"{bundle} reads {landmarker.scheme.points} points; this command draws 68.")
    find = create_detector(detector, weights=detector_weights, min_face=min_face)
    names, lines, unreadable = OutputNames(files), [], 0
    for path in files:
        try:
            lines.append(_Photo(path, folder, names, landmarker, find).written())
        except MienError as error:
            unreadable += 1
            lines.append(f"not read: {error}")
    if unreadable == len(files):
        raise MienError(f"Nothing could be read. {lines[0].removeprefix('not read: ')}")
    if "depth" not in landmarker.outputs:
        lines.append(f"No 3D: {landmarker.info.model_id} has no depth. A bundle that has gives .obj and .html as well.")
    return "\n".join([*lines, f"points by {landmarker.info.model_id} on {landmarker.engine}, in {folder}"])


@dataclass(frozen=True, eq=False)
class _Photo:
    """One photo and where its files go."""

    path: Path
    folder: Path
    """That they are written into."""
    names: "OutputNames"
    """Of the files of all photos."""
    landmarker: "Landmarker"
    find: "Detector"

    def written(self) -> str:
        """Reads it and writes its files; a line for the terminal."""
        from mien.media.image import load_image

        pixels = load_image(self.path).pixels
        boxes = [face.box for face in sorted(self.find(pixels), key=lambda face: -face.side)]
        faces = self.landmarker.read_many([(pixels, box) for box in boxes])
        for number, face in enumerate(faces):
            self._write(pixels, face, self.names.face(self.path, number))
        self._draw(pixels, faces)
        if not faces:
            return f"{self.path}: no face found"
        return f"{self.path}: {len(faces)} face{'s' if len(faces) > 1 else ''}. {_described(faces[0])}"

    def _draw(self, pixels: "np.ndarray", faces: "list[FacePoints]") -> None:
        """Onto the pixels themselves: a copy of a large picture would take as much memory again."""
        from PIL import Image

        from mien.media.files import atomic_path
        from mien.runtime.point_overlay import draw_points

        for face in faces:
            draw_points(pixels, face)
        with atomic_path(self.folder / f"{self.names.stem(self.path)}.png") as path:
            Image.fromarray(pixels).save(path, format="PNG")

    def _write(self, pixels: "np.ndarray", face: "FacePoints", name: str) -> None:
        from mien.engine.reading.face_3d import write_obj, write_page
        from mien.media.files import printable
        from mien.media.points import write_pts

        write_pts(self.folder / f"{name}.pts", face.landmarks_px)
        if face.depth_px is not None:
            model = self.landmarker.info.model_id
            write_obj(self.folder / f"{name}.obj", face, model=model)
            write_page(self.folder / f"{name}.html", _close_up(pixels, face), face, name=printable(name), model=model)


def _close_up(pixels: "np.ndarray", face: "FacePoints") -> "np.ndarray":
    """The face's part of the picture, its points drawn at the size at which it is shown."""
    import numpy as np

    from mien.core.geometry import Crop
    from mien.core.spec import PictureInput
    from mien.engine.reading.face_3d import AROUND, PHOTO_SIDE
    from mien.media.crop import prepare
    from mien.runtime.point_overlay import draw_points

    low, high = face.landmarks_px.min(0), face.landmarks_px.max(0)
    side = max(float((high - low).max()) * (1 + 2 * AROUND), 8.0)
    x, y = ((low + high) / 2 + 0.5).tolist()
    crop = Crop((x, y), (side, side), PHOTO_SIDE)
    shown = prepare(pixels, crop, PictureInput(size=PHOTO_SIDE))
    draw_points(shown, replace(face, landmarks_px=np.asarray(crop.to_crop(face.landmarks_px))))
    return shown


def _described(face: "FacePoints") -> str:
    from mien.engine.reading.face_3d import pose_in_words

    confidence = "" if face.confidence is None else f" Mean confidence {100 * face.confidence.mean():.0f} %."
    return pose_in_words(face) + confidence
