"""The files of one photo whose points were read: drawn, as .pts, and with depth in three dimensions."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mien.core.errors import printable as escaped
from mien.core.geometry import Crop
from mien.core.records import FacePoints
from mien.core.spec import PictureInput
from mien.engine.reading.face_3d import AROUND, PHOTO_SIDE, describe_pose, write_obj, write_page
from mien.engine.reading.output_folder import OutputFolder
from mien.engine.reading.output_names import OutputNames
from mien.media.crop import prepare
from mien.media.detect import Detector
from mien.media.files import printable
from mien.media.image import load_image, save_png
from mien.media.points import write_pts
from mien.runtime.landmarks import Landmarker
from mien.runtime.point_overlay import draw_faces, draw_points


@dataclass(frozen=True, eq=False)
class PhotoPoints:
    """One photo and where its files go."""

    path: Path
    """Of the photo."""
    output: OutputFolder
    """That they are written into."""
    names: OutputNames
    """Of the files of all photos."""
    landmarker: Landmarker
    """Finds the points of a face."""
    find: Detector
    """Finds the faces."""

    def read(self) -> tuple[np.ndarray, list[FacePoints]]:
        """Its pixels and its faces, largest first. Raises MienError for a file that cannot be read."""
        pixels = load_image(self.path).pixels
        boxes = [face.box for face in sorted(self.find(pixels), key=lambda face: -face.side)]
        return pixels, self.landmarker.read_many([(pixels, box) for box in boxes])

    def written(self, pixels: np.ndarray, faces: list[FacePoints]) -> list[str]:
        """Writes its files; for the terminal a line for each face, with the file of its points."""
        stems = [self.names.face(self.path, number) for number in range(len(faces))]
        for face, stem in zip(faces, stems, strict=True):
            self._write(pixels, face, stem)
        self._draw(pixels, faces)
        if not faces:
            return [escaped(f"{self.path}: no face found")]
        lines = [f"{self.path}: {len(faces)} face{'s' if len(faces) > 1 else ''}, drawn in {self._drawing}"]
        lines += [
            f"  face {number}, {stem}.pts: {_placed(face)}{_described(face)}"
            for number, (face, stem) in enumerate(zip(faces, stems, strict=True))
        ]
        return [escaped(line) for line in lines]

    @property
    def _drawing(self) -> str:
        return f"{self.names.stem(self.path)}.png"

    def _draw(self, pixels: np.ndarray, faces: list[FacePoints]) -> None:
        """Onto the pixels themselves: a copy of a large picture would take as much memory again."""
        draw_faces(pixels, faces)
        save_png(self.output.new_file(self._drawing), pixels)

    def _write(self, pixels: np.ndarray, face: FacePoints, name: str) -> None:
        write_pts(self.output.new_file(f"{name}.pts"), face.landmarks_px)
        if face.depth_px is not None:
            model = self.landmarker.info.model_id
            write_obj(self.output.new_file(f"{name}.obj"), face, model=model)
            page = self.output.new_file(f"{name}.html")
            write_page(page, _close_up(pixels, face), face, name=printable(name), model=model)


def _close_up(pixels: np.ndarray, face: FacePoints) -> np.ndarray:
    """The face's part of the picture, its points drawn at the size at which it is shown."""
    low, high = face.landmarks_px.min(0), face.landmarks_px.max(0)
    side = max(float((high - low).max()) * (1 + 2 * AROUND), 8.0)
    x, y = ((low + high) / 2 + 0.5).tolist()
    crop = Crop((x, y), (side, side), PHOTO_SIDE)
    shown = prepare(pixels, crop, PictureInput(size=PHOTO_SIDE))
    draw_points(shown, replace(face, landmarks_px=np.asarray(crop.to_crop(face.landmarks_px))))
    return shown


def _placed(face: FacePoints) -> str:
    box = [round(edge) for edge in face.box or ()]
    return f"box ({', '.join(map(str, box))}). " if box else ""


def _described(face: FacePoints) -> str:
    confidence = "" if face.confidence is None else f" Mean confidence {100 * face.confidence.mean():.0f} %."
    return describe_pose(face) + confidence
