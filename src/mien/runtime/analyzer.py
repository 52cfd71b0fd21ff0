"""Analyzer: pictures and videos in, readings out. Decoding and detection in threads, the networks in batches.

Nothing here needs torch. Any number of bundles read together: faces are found once, points are read once, and each
network gets its own crop of each face, as its own PictureInput says.
"""

import os
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.face3d import Face3DReading
from mien.core.labels import AFFECT
from mien.core.limits import READING_BYTES
from mien.core.records import Box, FacePoints
from mien.core.trust.calibration import check_logit_adjust
from mien.media.bundles import bundle_folder, shipped_folder, shipped_with
from mien.media.detect import create_detector
from mien.media.image import Picture, picture_files
from mien.media.parallel import Ahead
from mien.media.streams.source import FrameSource, VideoFile
from mien.media.video import ALL_FRAMES, FrameSelection
from mien.runtime.face3d.reading import SIZE, Face3DColumns, reading_of
from mien.runtime.face3d.regressor import Regressor
from mien.runtime.faces import FaceFinder, Faces, PictureTask, scaled_box
from mien.runtime.landmarks import Landmarker, scaled_points, shipped_landmarks
from mien.runtime.networks import FaceNetwork, FaceOutput, gives_affect, named_outputs
from mien.runtime.readings import FaceReading, ManyReadings, PictureReadings, Readings, with_outputs
from mien.runtime.smoothing import FaceSmoother
from mien.runtime.tables import PointColumns, ReadingColumns
from mien.runtime.tracking.checkpoints import FACES, SMOOTHER, Checkpoints
from mien.runtime.tracking.tracker import DETECT_EVERY, FOLLOWED_POINTS, BoxTracker, FaceTracker, TrackOptions
from mien.runtime.trust.assessment import Assessment
from mien.runtime.trust.columns import TrustColumns
from mien.runtime.videos import FRAMES_AHEAD, FrameTasks, cut_out, followed, frame_source, numbered, smoothed

SHIPPED = "poster_v2_small_ferplus"
NO_FACE = "no face found"
NO_VOICE = "no voice"  # how the note begins of a face that a network with a voice could not read
BATCH = 16  # pictures, and faces, through the networks at once
Bundle = str | Path
PictureLike = str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray | Image.Image
Ready = tuple[PictureTask, Faces]


class Analyzer:
    """Reads the faces of pictures with one bundle or several.

    bundle: its folder, a run folder with one, the name of one that ships (`mien.list_models("bundles")`), or a list of
    them; None is the expression model that ships with mien. detector: "dlib" or "yunet"
    (`weights`: its file). min_face: side in pixels of the original picture of the smallest face to look for. threads:
    for the networks, and for decoding and detection beside them; None is every core. backend, precision: as for Runner.
    landmarks: reads the points and the pose of each face: a Landmarker or a bundle; True is the first of the bundles
    that gives points, else the landmark model that ships, where there is one; False reads none.
    affect: also reads valence and arousal (`Reading.affect`), by a bundle that gives them; True is that of the bundles,
    else the one that ships, which is a proxy and says so. face3d: also reads each face in 3D (`Reading.face3d`: action
    units, head pose, parameters), by a Regressor or what one is made of; True is the network that ships, else a fit to
    the points. smooth: of a video, points and 3D faces with less trembling (see smoothing.py). arrays: keeps the
    vectors and pictures that the networks give, in `Reading.arrays`. detect_every: of a video, every frame of which
    the detector looks at one in so many at least; in between the landmarks follow each face (runtime.tracking); 1,
    and any number without landmarks, has it look at all. max_faces: of a picture or frame, the largest. coverage: of
    prediction sets (`Reading.expression_set`), such as 0.9; abstain: with a set of more classes than this, or a picture
    with a quality flag, `Reading.expression` is None and `abstained` says why. logit_adjust: divides the
    probabilities by the classes' shares in training, to this power, 0..2: rare expressions are found more often,
    common ones less. One object may be used from many threads; a face has the same numbers alone and among others.
    Raises MienError for a bundle or a detector that cannot be used, and for a bundle that adds nothing to what the
    others read.
    """

    def __init__(
        self,
        bundle: Bundle | Sequence[Bundle] | None = None,
        *,
        detector: str = "dlib",
        weights: str | Path | None = None,
        min_face: float | None = None,
        backend: str = "auto",
        precision: str = "auto",
        threads: int | None = None,
        landmarks: Landmarker | Bundle | bool = True,
        affect: Bundle | bool = False,
        face3d: Regressor | Bundle | bool = False,
        smooth: bool = False,
        arrays: bool = False,
        detect_every: int = DETECT_EVERY,
        max_faces: int | None = None,
        coverage: float | None = None,
        abstain: int | None = None,
        logit_adjust: float = 0.0,
    ) -> None:
        _check_adjustment(logit_adjust, coverage)
        create_detector(detector, weights=weights, min_face=min_face)  # a mistake in its options is an error now
        options: dict[str, Any] = {"backend": backend, "precision": precision, "threads": threads, "arrays": arrays}
        options["logit_adjust"] = logit_adjust
        self.networks = [FaceNetwork(folder, **options) for folder in _folders(bundle)]
        self.networks += _affect_network(self.networks, affect, options)
        self.landmarks, self.smooth = self._landmarker(landmarks, backend, precision, threads), smooth
        self.face3d = self._regressor(face3d, threads)
        _check_all_add(self.networks, self.landmarks)
        self._named = named_outputs(self.networks)
        self.assessment = Assessment(self.outputs, coverage, abstain)
        self.info, self.threads = self.networks[0].info, self.networks[0].runner.threads
        self.model_id = ", ".join(dict.fromkeys(network.info.model_id for network in self.networks))
        reading = [network for network in self.networks if network.outputs]
        finer_for = [self.landmarks.info.picture] if self.landmarks else []
        finer_for += [self.face3d.picture] if self.face3d else []
        self.finder = FaceFinder(
            [network.spec for network in reading],
            finer_for=finer_for, detector=detector, weights=weights, min_face=min_face, max_faces=max_faces,
        )  # fmt: skip
        self.tracking = TrackOptions(detect_every, max_faces)
        self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="mien-points")

    def _landmarker(
        self, wanted: Landmarker | Bundle | bool, backend: str, precision: str, threads: int | None
    ) -> Landmarker | None:
        """Reads the points; bfloat16 would move them, so it is not taken for it."""
        own = next((network.runner for network in self.networks if network.gives_points), None)
        if isinstance(wanted, Landmarker):
            return wanted
        if wanted is False or (wanted is True and own is None and shipped_landmarks() is None):
            return None
        if wanted is True and own is not None:
            return Landmarker(own)
        precision = "auto" if precision == "bf16" else precision
        return Landmarker(
            None if isinstance(wanted, bool) else wanted, backend=backend, precision=precision, threads=threads
        )

    def _regressor(self, wanted: Regressor | Bundle | bool, threads: int | None) -> Regressor | None:
        """Reads faces in 3D; a fit takes the points that are read in any case, where they have depths."""
        if isinstance(wanted, Regressor) or wanted is False:
            return wanted or None
        given = None if wanted is True else wanted
        return Regressor(given, threads=threads, landmarker=self._solid_landmarks)

    @property
    def _solid_landmarks(self) -> Landmarker | None:
        """The landmark model, where it gives what a 3D face is fitted to."""
        found = self.landmarks
        return found if found and found.scheme.points == 68 and "depth" in found.outputs else None

    def __repr__(self) -> str:
        return f"Analyzer({self.model_id}, {self.engine}, {self.threads} threads)"

    @property
    def engine(self) -> str:
        """What computes: `onnxruntime fp32`, `openvino bf16`, ..."""
        runners = [network.runner for network in self.networks]
        return ", ".join(dict.fromkeys(f"{runner.backend} {runner.precision}" for runner in runners))

    @property
    def infos(self) -> tuple[BundleInfo, ...]:
        """Of all bundles, in order."""
        return tuple(network.info for network in self.networks)

    @property
    def outputs(self) -> tuple[FaceOutput, ...]:
        """What `Reading.outputs` and `Reading.arrays` hold, in order."""
        return tuple(output for own in self._named for output in own)

    @property
    def point_columns(self) -> PointColumns | None:
        """The columns of the points in a table; None where no landmark model reads along."""
        if self.landmarks is None:
            return None
        return PointColumns(self.landmarks.info, self._smoothing)

    @property
    def _smoothing(self) -> Mapping[str, Any] | None:
        return FaceSmoother.settings if self.smooth else None

    @cached_property
    def columns(self) -> ReadingColumns:
        """The columns of a table of its readings."""
        found = self.face3d
        solid = Face3DColumns(found.face.name, found.model_id, self._smoothing) if found else None
        return ReadingColumns(self.infos, self.outputs, self.point_columns, solid, TrustColumns(self.assessment))

    @overload
    def read(self, picture: PictureLike) -> Readings: ...

    @overload
    def read(self, picture: list[Any] | tuple[Any, ...]) -> ManyReadings: ...

    def read(self, picture: Any) -> Readings | ManyReadings:
        """Every face, largest first; one Reading with success False where there is none.

        picture: a path, the bytes of a picture's file, a Pillow image, or an array, uint8 [height, width, 3] in the
        order RGB or [height, width] grey (OpenCV's BGR: `pixels[..., ::-1]`). A list or tuple of them is read in
        batches and gives a list for each; there a file that cannot be read is a Reading with success False and the
        reason as its note. Raises MienError for one file that cannot be read and for anything else.
        """
        if isinstance(picture, list | tuple):
            tasks = [self.finder.task(each, f"picture {number}") for number, each in enumerate(picture)]
            return ManyReadings(read.readings for read in self._stream(tasks, BATCH, None))
        task = self.finder.task(picture, "", alone=True)
        return self._readings([(task, self.finder.find(task))])[0].readings

    def read_many(
        self, inputs: Sequence[str | Path], *, batch_size: int = BATCH, workers: int | None = None
    ) -> Iterator[PictureReadings]:
        """The pictures of files, folders and patterns, in the order of their names, as they are ready.

        A file that cannot be read becomes a Reading with success False and the reason as its note. Raises MienError
        for an input that names no picture at all.
        """
        return self.read_files(picture_files(inputs), batch_size=batch_size, workers=workers)

    def read_files(
        self, paths: Iterable[Path], *, batch_size: int = BATCH, workers: int | None = None
    ) -> Iterator[PictureReadings]:
        """Just these files, in their order; otherwise as `read_many`."""
        return self._stream((self.finder.file_task(path) for path in paths), batch_size, workers)

    def read_video(
        self, path: str | Path, *, every: int = 1, first: int = 0, selection: FrameSelection | None = None,
        batch_size: int = BATCH, workers: int | None = None,
    ) -> Iterator[PictureReadings]:  # fmt: skip
        """Every `every`-th frame from frame `first` on; selection: which frames, instead of `every`.

        A damaged place is a note of the frame after it; one that is cut short says so in the note of its last frame.
        A network that takes a voice gets the video's sound of the window that ends at the frame's time; before the
        video's beginning stands what `SoundInput.padding` says. Raises MienError for what is no video.
        """
        chosen = FrameSelection(every) if selection is None else selection
        return self.read_frames(VideoFile(Path(path)), chosen, first=first, batch_size=batch_size, workers=workers)

    def stream(
        self, source: str | Path | int | Iterable[Any], *, selection: FrameSelection = ALL_FRAMES
    ) -> Iterator[FaceReading]:
        """The faces of one frame after another, as they come; a frame without a face is a Reading with success False.

        source: a video's path, the number of a camera, or frames: arrays uint8 [height, width, 3] in RGB, or pairs of
        such an array and its time in seconds (without, frames are 1/25 s apart). Memory does not grow. A camera's
        frames that come while others are read are left out. Raises MienError for a source that cannot be read.
        """
        for read in self.read_frames(frame_source(source), selection, batch_size=1):
            yield from read.readings

    def read_frames(
        self, source: FrameSource, selection: FrameSelection = ALL_FRAMES, *, first: int = 0,
        batch_size: int = BATCH, workers: int | None = None, checkpoints: Checkpoints | None = None,
    ) -> Iterator[PictureReadings]:  # fmt: skip
        """As `read_video`, of any source of frames.

        checkpoints: when a frame leaves the state of the reading after it in `checkpoints.parts`, and a state to go on
        from: what follows is the same as without the break. Raises MienError for a state of something else.
        """
        checkpoints = Checkpoints() if checkpoints is None else checkpoints
        tasks = FrameTasks(self.networks, source, selection, max(first, checkpoints.first), checkpoints.near)
        if self.follows:
            assert self.landmarks is not None
            tracker = FaceTracker(self.finder.detect, self.landmarks, self.tracking, beside=self.threads > 1)
            checkpoints.restore(FACES, tracker)
            stream = self._followed(tasks, tracker, batch_size, checkpoints)
        else:
            boxes = BoxTracker()
            checkpoints.restore(FACES, boxes)
            stream = numbered(self._stream(iter(tasks), batch_size, workers), boxes, checkpoints)
        if not (self.smooth and (self.landmarks or self.face3d)):
            return stream
        smoother = FaceSmoother()
        checkpoints.restore(SMOOTHER, smoother)
        return smoothed(stream, smoother, checkpoints)

    @property
    def follows(self) -> bool:
        """Whether the faces of a video are followed by their points, so that a frame depends on those before it."""
        points = self.landmarks
        return self.tracking.detect_every > 1 and points is not None and points.scheme.points >= FOLLOWED_POINTS

    def _followed(
        self, tasks: FrameTasks, tracker: FaceTracker, batch_size: int, checkpoints: Checkpoints
    ) -> Iterator[PictureReadings]:
        """Decoding, tracking and the other networks side by side, each in a thread of its own."""
        with closing(tracker), Ahead(followed(tasks, tracker, checkpoints), FRAMES_AHEAD) as found:
            while frames := found.several(batch_size):
                read = self._readings([(frame.task, cut_out(self.finder, frame)) for frame in frames])
                for one, frame in zip(read, frames, strict=True):
                    checkpoints.parts = frame.parts
                    yield one

    def _stream(self, tasks: Iterable[PictureTask], batch_size: int, workers: int | None) -> Iterator[PictureReadings]:
        """In the order of the tasks; at most `batch_size` pictures are held at a time, besides those being read.

        Fewer where they are so large that they would exceed READING_BYTES; a picture of more is read alone. Raises what
        the tasks raise, behind the pictures before it.
        """
        workers = workers or self.threads
        ready: list[Ready] = []
        pool = ThreadPoolExecutor(workers, thread_name_prefix="mien-read")
        ahead: deque[tuple[PictureTask, Future[Faces]]] = deque()
        failures: list[Exception] = []
        try:
            for task in chain(_until_failure(tasks, failures), [None]):
                while (ahead or ready) and (task is None or len(ahead) > workers or _crowded(task, ahead, ready)):
                    ready += [_finished(*ahead.popleft())] if ahead else []
                    if not ahead or _enough(ready, batch_size) or (task and _crowded(task, ahead, ready)):
                        yield from self._readings(ready)
                        ready = []
                if task is not None:
                    ahead.append((task, pool.submit(self.finder.attempt, task)))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
        for error in failures:  # in its place: behind everything that came before it
            raise error

    def _readings(self, ready: Sequence[Ready]) -> list[PictureReadings]:
        """All their faces through each network at once; the points beside the other networks, in a thread."""
        found = [faces for _, faces in ready]
        count = sum(len(faces.boxes) for faces in found)
        beside = self.threads > 1 and self.landmarks is not None and any(faces.detections for faces in found)
        reading = self._pool.submit(self._points, found) if beside else None
        each = self._outputs_of_faces(found, count)
        points = self._points(found) if reading is None else reading.result()
        per_face = iter(zip(each, points, self._faces3d(found, points), strict=True))
        return [self._picture_readings(task, faces, per_face) for task, faces in ready]

    def _outputs_of_faces(self, found: Sequence[Faces], count: int) -> list[dict[str, Any]]:
        """Of all faces what the networks give, by output name."""
        each: list[dict[str, Any]] = [{} for _ in range(count)]
        for network, outputs in zip(self.networks, self._named, strict=True):
            crops = [crop for faces in found for crop in faces.crops.get(network.spec, ())] if outputs else []
            voices = (
                [faces.voices.get(network.voice) for faces in found for _ in faces.boxes] if network.voice else None
            )
            for face, own in zip(each, network.read(crops, voices), strict=False):
                pairs = zip(outputs, network.outputs, strict=True)
                face |= {output.name: own[name] for output, name in pairs if name in own}
        return each

    def _points(self, found: Sequence[Faces]) -> list[FacePoints | None]:
        """The points of all faces, in pixels of the originals; None for each without a landmark model."""
        if self.landmarks is None:
            return [None] * sum(len(faces.boxes) for faces in found)
        if all(faces.points is not None for faces in found):
            return [points for faces in found for points in faces.points or ()]
        pictures = [(f.picture, face) for f in found if f.picture is not None for face in f.detections]
        scaled = [(picture.pixels, face.scaled(picture.scale, picture.scale)) for picture, face in pictures]
        read = self.landmarks.read_many(scaled)
        return [scaled_points(face, 1 / picture.scale) for face, (picture, _) in zip(read, pictures, strict=True)]

    def _faces3d(
        self, found: Sequence[Faces], points: Sequence[FacePoints | None]
    ) -> list[Face3DReading | MienError | None]:
        """Of all faces, in pixels of the originals; the reason where none can be fitted, None where none is wanted."""
        if self.face3d is None:
            return [None] * len(points)
        shared = self._solid_landmarks is not None
        pictures = [(f.picture, box) for f in found if f.picture is not None for box in f.boxes]
        return [
            _face3d(self.face3d, picture, box, known if shared else None)
            for (picture, box), known in zip(pictures, points, strict=True)
        ]

    def _picture_readings(
        self, task: PictureTask, faces: Faces,
        per_face: Iterator[tuple[dict[str, Any], FacePoints | None, Face3DReading | MienError | None]],
    ) -> PictureReadings:  # fmt: skip
        why = faces.note if faces.picture is None else "; ".join(filter(None, [NO_FACE, faces.note]))
        none = FaceReading(
            task.source, False, frame=task.frame, timestamp_s=task.timestamp_s, model=self.model_id, note=why,
            origin=task.origin, columns=self.columns,
        )  # fmt: skip
        readings, note = Readings(), "; ".join(filter(None, [faces.note, self._missing_voice(faces)]))
        for number, (box, score) in enumerate(zip(faces.boxes, faces.scores, strict=True)):
            given, points, solid = next(per_face)
            why_not = f"no 3D face: {solid}" if isinstance(solid, MienError) else ""
            face = replace(
                none, success=True, face_id=number, box=box, score=score, note="; ".join(filter(None, [note, why_not])),
                track_id=None if faces.track_ids is None else faces.track_ids[number], points=points,
                face3d=solid if isinstance(solid, Face3DReading) else None,
            )  # fmt: skip
            assert faces.picture is not None
            readings.append(self.assessment.completed(with_outputs(face, given, self.outputs), given, faces.picture))
        return PictureReadings(task.source, faces.picture, readings or Readings([none]))

    def _missing_voice(self, faces: Faces) -> str:
        """The note of faces that networks could not read for want of a voice; empty where there are none."""
        without = [n.info.model_id for n in self.networks if n.voice is not None and n.voice not in faces.voices]
        return f"{NO_VOICE}, needed by {' and '.join(without)}" if without else ""


def shipped_bundle() -> Path:
    """The folder of the model that comes with mien. Raises MienError where this copy has none."""
    folder = shipped_folder() / SHIPPED
    if not (folder / "system.json").is_file():
        raise MienError(f"This copy of mien has no {SHIPPED}. Name a bundle: --bundle FOLDER.")
    return folder


def _check_adjustment(strength: float, coverage: float | None) -> None:
    """Raises MienError for a strength out of range, and for prediction sets, whose thresholds are of other numbers."""
    check_logit_adjust(strength)
    if strength and coverage is not None:
        raise MienError(
            "Thresholds of prediction sets hold for the probabilities as the network gives them: leave the coverage or "
            "the logit adjustment out."
        )


def _affect_network(
    networks: Sequence[FaceNetwork], wanted: Bundle | bool, options: Mapping[str, Any]
) -> list[FaceNetwork]:
    """What reads valence and arousal, and nothing else, beside these networks; none where it is not wanted or one of
    them does. Raises MienError for a bundle that does not give them, and where none ships."""
    if wanted is False or (wanted is True and any(gives_affect(n.outputs.values()) for n in networks)):
        return []
    folder = shipped_with(values=AFFECT) if wanted is True else bundle_folder(str(wanted))
    if folder is None:
        raise MienError(
            "No model of valence and arousal ships with this copy. Name a bundle that gives them: --bundle."
        )
    network = FaceNetwork(folder, **options, kinds=("values",))
    if not gives_affect(network.outputs.values()):
        raise MienError(f"{folder} gives {network.info.gives}, not {' and '.join(AFFECT)}.")
    return [network]


def _face3d(regressor: Regressor, picture: Picture, box: Box, points: FacePoints | None) -> Face3DReading | MienError:
    """In pixels of the original, as box and points are."""
    scale = picture.scale
    own = None if points is None else scaled_points(points, scale)
    try:
        found = regressor.read(picture.pixels, scaled_box(box, scale), size=SIZE, points=own)
    except MienError as error:
        return error
    return reading_of(found, regressor.face, model=regressor.model_id).scaled(1 / scale)


def _folders(bundle: Bundle | Sequence[Bundle] | None) -> list[Path]:
    if bundle is None:
        return [shipped_bundle()]
    folders = [bundle_folder(each) for each in ([bundle] if isinstance(bundle, str | Path) else bundle)]
    if not folders:
        raise MienError("No bundle: name one folder or more, or None for the model that ships.")
    for folder in folders:
        if folders.count(folder) > 1:
            raise MienError(f"{folder} is named twice. Name each bundle once.")
    return folders


def _check_all_add(networks: Sequence[FaceNetwork], landmarks: Landmarker | None) -> None:
    """Raises MienError for a bundle that has nothing to add: no outputs but points that another one reads, or none."""
    for network in networks:
        folder, is_landmarks = network.runner.folder, landmarks is not None and landmarks.info is network.info
        if network.outputs or is_landmarks:
            continue
        if network.gives_points and landmarks is not None:
            other = landmarks.info.model_id
            raise MienError(f"{folder} gives points only, and {other} reads them already. Name one bundle with points.")
        raise MienError(f"{folder} gives {network.info.gives}: no classes, values or points of a face to read.")


def _until_failure(tasks: Iterable[PictureTask], failures: list[Exception]) -> Iterator[PictureTask]:
    """The tasks up to one that fails to come; why is kept."""
    try:
        yield from tasks
    except Exception as error:
        failures.append(error)


def _finished(task: PictureTask, future: Future[Faces]) -> Ready:
    return task, future.result()


def _crowded(task: PictureTask, ahead: Iterable[tuple[PictureTask, Future[Faces]]], ready: Iterable[Ready]) -> bool:
    """Whether there is no memory to decode the task's picture beside those that are held."""
    done = [future.result() for _, future in ahead if future.done()] + [faces for _, faces in ready]
    read = sum(faces.picture.pixels.size for faces in done if faces.picture is not None)
    return task.memory + read + sum(other.memory for other, future in ahead if not future.done()) > READING_BYTES


def _enough(ready: Sequence[Ready], batch_size: int) -> bool:
    return len(ready) >= batch_size or sum(len(faces.boxes) for _, faces in ready) >= batch_size
