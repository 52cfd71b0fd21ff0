"""Faces that were found and cut out, through the networks at once, into readings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from mien.core.errors import MienError
from mien.core.face3d import Face3DReading
from mien.core.records import Box, FacePoints
from mien.media.image import Picture
from mien.media.parallel.threads import Pool, finished_at_exit
from mien.runtime.analyzer.batches import Ready
from mien.runtime.analyzer.models import Models
from mien.runtime.face3d.reading import SIZE, Face3DColumns, reading_of
from mien.runtime.face3d.regressor import Regressor
from mien.runtime.faces import Faces, PictureTask, scaled_box
from mien.runtime.landmarks import scaled_points
from mien.runtime.readings import FaceReading, PictureReadings, Readings, finite_outputs, with_outputs
from mien.runtime.tables import PointColumns, ReadingColumns
from mien.runtime.trust.assessment import Assessment
from mien.runtime.trust.columns import TrustColumns

NO_FACE = "no face found"
NO_VOICE = "no voice"  # how the note begins of a face that a network with a voice could not read


class FaceReader:
    """Of all faces of several pictures. threads: with more than one the points are read beside the other networks.
    smoothing: of a video's points and 3D faces, as the columns of a table state it.
    """

    def __init__(
        self, models: Models, assessment: Assessment, *, threads: int, smoothing: Mapping[str, Any] | None
    ) -> None:
        self.models, self.assessment, self._smoothing = models, assessment, smoothing
        self._beside = threads > 1
        self._pool = Pool(threads, "mien-points")

    @cached_property
    def columns(self) -> ReadingColumns:
        """The columns of a table of its readings."""
        models, found = self.models, self.models.face3d
        points = PointColumns(models.landmarks.info, self._smoothing) if models.landmarks else None
        solid = Face3DColumns(found.face.name, found.model_id, self._smoothing) if found else None
        return ReadingColumns(models.infos, models.outputs, points, solid, TrustColumns(self.assessment))

    @finished_at_exit
    def read(self, ready: Sequence[Ready]) -> list[PictureReadings]:
        """All their faces through each network at once; the points beside the other networks, in a thread."""
        found = [faces for _, faces in ready]
        count = sum(len(faces.boxes) for faces in found)
        beside = self._beside and self.models.landmarks is not None and any(faces.detections for faces in found)
        reading = self._pool.submit(self.points, found) if beside else None
        each = self._outputs_of_faces(found, count)
        points = self.points(found) if reading is None else reading.result()
        per_face = iter(zip(each, points, self._faces3d(found, points), strict=True))
        return [self._picture_readings(task, faces, per_face) for task, faces in ready]

    def _outputs_of_faces(self, found: Sequence[Faces], count: int) -> list[dict[str, Any]]:
        """Of all faces what the networks give, by output name."""
        each: list[dict[str, Any]] = [{} for _ in range(count)]
        for network, outputs in zip(self.models.networks, self.models.named, strict=True):
            crops = [crop for faces in found for crop in faces.crops.get(network.spec, ())] if outputs else []
            voices = (
                [faces.voices.get(network.voice) for faces in found for _ in faces.boxes] if network.voice else None
            )
            for face, own in zip(each, network.read(crops, voices), strict=False):
                pairs = zip(outputs, network.outputs, strict=True)
                face |= {output.name: own[name] for output, name in pairs if name in own}
        return each

    def points(self, found: Sequence[Faces]) -> list[FacePoints | None]:
        """The points of all faces, in pixels of the originals; None for each without a landmark model."""
        if self.models.landmarks is None:
            return [None] * sum(len(faces.boxes) for faces in found)
        if all(faces.points is not None for faces in found):
            return [points for faces in found for points in faces.points or ()]
        pictures = [(f.picture, face) for f in found if f.picture is not None for face in f.detections]
        scaled = [(picture.pixels, face.scaled(picture.scale, picture.scale)) for picture, face in pictures]
        read = self.models.landmarks.read_many(scaled)
        return [scaled_points(face, 1 / picture.scale) for face, (picture, _) in zip(read, pictures, strict=True)]

    def _faces3d(
        self, found: Sequence[Faces], points: Sequence[FacePoints | None]
    ) -> list[Face3DReading | MienError | None]:
        """Of all faces, in pixels of the originals; the reason where none can be fitted, None where none is wanted."""
        if self.models.face3d is None:
            return [None] * len(points)
        shared = self.models.solid_landmarks is not None
        pictures = [(f.picture, box) for f in found if f.picture is not None for box in f.boxes]
        return [
            _face3d(self.models.face3d, picture, box, known if shared else None)
            for (picture, box), known in zip(pictures, points, strict=True)
        ]

    def _picture_readings(
        self, task: PictureTask, faces: Faces,
        per_face: Iterator[tuple[dict[str, Any], FacePoints | None, Face3DReading | MienError | None]],
    ) -> PictureReadings:  # fmt: skip
        why = faces.note if faces.picture is None else "; ".join(filter(None, [NO_FACE, faces.note]))
        none = FaceReading(
            task.source, False, frame=task.frame, timestamp_s=task.timestamp_s, model=self.models.id, note=why,
            origin=task.origin, columns=self.columns,
        )  # fmt: skip
        readings, note = Readings(), "; ".join(filter(None, [faces.note, self._missing_voice(faces)]))
        for number, (box, score) in enumerate(zip(faces.boxes, faces.scores, strict=True)):
            given, points, solid = next(per_face)
            given, broken = finite_outputs(given)
            why_not = f"no 3D face: {solid}" if isinstance(solid, MienError) else ""
            notes = filter(None, [note, broken, why_not])
            face = replace(
                none, success=True, face_id=number, box=box, score=score, note="; ".join(notes),
                track_id=None if faces.track_ids is None else faces.track_ids[number], points=points,
                face3d=solid if isinstance(solid, Face3DReading) else None,
            )  # fmt: skip
            assert faces.picture is not None
            readings.append(
                self.assessment.completed(with_outputs(face, given, self.models.outputs), given, faces.picture)
            )
        return PictureReadings(task.source, faces.picture, readings or Readings([none]))

    def _missing_voice(self, faces: Faces) -> str:
        """The note of faces that networks could not read for want of a voice; empty where there are none."""
        without = [n.info.model_id for n in self.models.networks if n.voice is not None and n.voice not in faces.voices]
        return f"{NO_VOICE}, needed by {' and '.join(without)}" if without else ""


def _face3d(regressor: Regressor, picture: Picture, box: Box, points: FacePoints | None) -> Face3DReading | MienError:
    """In pixels of the original, as box and points are."""
    scale = picture.scale
    own = None if points is None else scaled_points(points, scale)
    try:
        found = regressor.read(picture.pixels, scaled_box(box, scale), size=SIZE, points=own)
    except MienError as error:
        return error
    return reading_of(found, regressor.face, model=regressor.model_id).scaled(1 / scale)
