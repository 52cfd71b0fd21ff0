"""Analyzer: pictures and videos in, readings out. Decoding and detection in threads, the networks in batches.

Nothing here needs torch. Any number of bundles read together: faces are found once, points are read once, and each
network gets its own crop of each face, as its own PictureInput says.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np
from PIL import Image

from mien.core.errors import MienError
from mien.core.trust.calibration import check_logit_adjust
from mien.core.typed import checked
from mien.media.detect import available_detector, create_detector
from mien.media.listing import picture_files
from mien.media.parallel.ahead import Ahead
from mien.media.parallel.limits import checked_count
from mien.media.parallel.threads import finished_at_exit
from mien.media.streams.source import FrameSource, VideoFile
from mien.media.video import ALL_FRAMES, FrameSelection
from mien.runtime.analyzer.batches import BATCH, in_batches
from mien.runtime.analyzer.face_reader import NO_FACE, NO_VOICE, FaceReader
from mien.runtime.analyzer.framing import framed
from mien.runtime.analyzer.models import Bundle, Models, shipped_bundle
from mien.runtime.face3d.regressor import Regressor
from mien.runtime.faces import FaceFinder, PictureTask
from mien.runtime.landmarks import Landmarker
from mien.runtime.readings import FaceReading, ManyReadings, PictureReadings, Readings
from mien.runtime.smoothing import FaceSmoother
from mien.runtime.tables import ReadingColumns
from mien.runtime.tracking.checkpoints import FACES, SMOOTHER, Checkpoints
from mien.runtime.tracking.tracker import DETECT_EVERY, FOLLOWED_POINTS, BoxTracker, FaceTracker, TrackOptions
from mien.runtime.trust.assessment import Assessment
from mien.runtime.videos import FRAMES_AHEAD, FrameTasks, cut_out, followed, frame_source, numbered, smoothed

__all__ = ["BATCH", "NO_FACE", "NO_VOICE", "Analyzer", "shipped_bundle"]
PictureLike = str | os.PathLike[str] | bytes | bytearray | memoryview | np.ndarray | Image.Image


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
    units, head pose, parameters), by a Regressor or what one is made of; True takes it from the points of the landmark
    model that ships. smooth: of a video, points and 3D faces with less trembling (see smoothing.py). arrays: keeps the
    vectors and pictures that the networks give, in `Reading.arrays`. detect_every: of a video, every frame of which
    the detector looks at one in so many at least; in between the landmarks follow each face (runtime.tracking); 1,
    and any number without landmarks, has it look at all; None is 1 with yunet, 10 with dlib. max_faces: of a picture or
    frame, the largest. coverage: of prediction sets (`Reading.expression_set`), such as 0.9; abstain: with a set of
    more classes than this, or a picture with a quality flag, `Reading.expression` is None and `abstained` says why.
    logit_adjust: divides the probabilities by the classes' shares in training, to this power, 0..2: rare expressions
    are found more often, common ones less. One object may be used from many threads; a face has the same numbers alone
    and among others. In a video with landmarks, each frame's faces are cut out about their points.
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
        detect_every: int | None = None,
        max_faces: int | None = None,
        coverage: float | None = None,
        abstain: int | None = None,
        logit_adjust: float = 0.0,
    ) -> None:
        self._given: dict[str, Any] = {
            "bundle": bundle, "detector": detector, "weights": weights, "min_face": min_face, "backend": backend,
            "precision": precision, "threads": threads, "landmarks": landmarks, "affect": affect, "face3d": face3d,
            "smooth": smooth, "arrays": arrays, "detect_every": detect_every, "max_faces": max_faces,
            "coverage": coverage, "abstain": abstain, "logit_adjust": logit_adjust,
        }  # fmt: skip
        logit_adjust = checked(logit_adjust, float, key="logit_adjust")
        coverage, abstain = checked(coverage, float | None, key="coverage"), checked(abstain, int | None, key="abstain")
        max_faces = checked(max_faces, int | None, key="max_faces")
        detect_every = checked(detect_every, int | None, key="detect_every")
        _check_adjustment(logit_adjust, coverage)
        create_detector(detector, weights=weights, min_face=min_face)  # a mistake in its options is an error now
        self.models = Models(
            bundle, landmarks=landmarks, affect=affect, face3d=face3d, backend=backend, precision=precision,
            threads=threads, arrays=arrays, logit_adjust=logit_adjust,
        )  # fmt: skip
        models, self.smooth = self.models, smooth
        self.networks, self.landmarks, self.face3d = models.networks, models.landmarks, models.face3d
        self.infos, self.outputs, self.engine, self.model_id = models.infos, models.outputs, models.engine, models.id
        """infos: of all bundles. outputs: what `Reading.outputs` and `Reading.arrays` hold. engine: what computes."""
        self.assessment = Assessment(self.outputs, coverage, abstain)
        self.info, self.threads = self.networks[0].info, self.networks[0].runner.threads
        reading = [network for network in self.networks if network.outputs]
        finer_for = [self.landmarks.info.picture] if self.landmarks else []
        finer_for += [self.face3d.picture] if self.face3d else []
        self.finder = FaceFinder(
            [network.spec for network in reading],
            finer_for=finer_for, detector=detector, weights=weights, min_face=min_face, max_faces=max_faces,
        )  # fmt: skip
        detect_every = DETECT_EVERY[available_detector(detector, weights)] if detect_every is None else detect_every
        self.tracking = TrackOptions(detect_every, max_faces)
        self.reader = FaceReader(
            models, self.assessment, threads=self.threads, smoothing=FaceSmoother.settings if smooth else None
        )

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """A copy, and one that another process gets, loads its networks anew."""
        return partial(type(self), **self._given), ()

    def __repr__(self) -> str:
        return f"Analyzer({self.model_id}, {self.engine}, {self.threads} threads)"

    @property
    def columns(self) -> ReadingColumns:
        """The columns of a table of its readings."""
        return self.reader.columns

    @overload
    def read(self, picture: PictureLike) -> Readings: ...

    @overload
    def read(self, picture: list[Any] | tuple[Any, ...]) -> ManyReadings: ...

    @finished_at_exit
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
        return self.reader.read([(task, self.finder.find(task))])[0].readings

    def read_many(
        self, inputs: str | Path | Sequence[str | Path], *, batch_size: int = BATCH, workers: int | None = None
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
            read = self._framed if self._points_frame else self._stream
            stream = numbered(read(iter(tasks), batch_size, workers), boxes, checkpoints)
        if not (self.smooth and (self.landmarks or self.face3d)):
            return stream
        smoother = FaceSmoother()
        checkpoints.restore(SMOOTHER, smoother)
        return smoothed(stream, smoother, checkpoints)

    @property
    def follows(self) -> bool:
        """Whether the faces of a video are followed by their points, so that a frame depends on those before it."""
        return self.tracking.detect_every > 1 and self._points_frame

    @property
    def _points_frame(self) -> bool:
        """Whether the points cover a face, so that a video's faces are cut out about them."""
        return self.landmarks is not None and self.landmarks.scheme.points >= FOLLOWED_POINTS

    def _stream(self, tasks: Iterable[PictureTask], batch_size: int, workers: int | None) -> Iterator[PictureReadings]:
        find, read = self.finder.attempt, self.reader.read
        workers = self.threads if workers is None else checked_count(workers, "workers")
        return in_batches(tasks, find, read, batch_size=batch_size, workers=workers)

    def _framed(self, tasks: Iterable[PictureTask], batch_size: int, workers: int | None) -> Iterator[PictureReadings]:
        """Decoding, detection, the points, and the other networks side by side."""
        located = in_batches(
            tasks, partial(self.finder.attempt, cut=False), partial(framed, self.finder, self.reader.points),
            batch_size=min(batch_size, 2 * FRAMES_AHEAD), workers=workers or self.threads,
        )  # fmt: skip
        with Ahead(located, min(batch_size, FRAMES_AHEAD)) as found:
            while ready := found.several(batch_size):
                yield from self.reader.read(ready)

    def _followed(
        self, tasks: FrameTasks, tracker: FaceTracker, batch_size: int, checkpoints: Checkpoints
    ) -> Iterator[PictureReadings]:
        """Decoding, tracking and the other networks side by side, each in a thread of its own."""
        with closing(tracker), Ahead(followed(tasks, tracker, checkpoints), FRAMES_AHEAD) as found:
            while frames := found.several(batch_size):
                read = self.reader.read([(frame.task, cut_out(self.finder, frame)) for frame in frames])
                for one, frame in zip(read, frames, strict=True):
                    checkpoints.parts = frame.parts
                    yield one


def _check_adjustment(strength: float, coverage: float | None) -> None:
    """Raises MienError for a strength out of range, and for prediction sets, whose thresholds are of other numbers."""
    check_logit_adjust(strength)
    if strength and coverage is not None:
        raise MienError(
            "Thresholds of prediction sets hold for the probabilities as the network gives them: leave the coverage or "
            "the logit adjustment out."
        )
