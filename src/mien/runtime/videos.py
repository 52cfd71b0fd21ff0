"""Frames on their way through an Analyzer: with their sounds, with followed faces, with numbers of their tracks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mien.core.errors import MienError
from mien.media.image import Picture, picture_of_array
from mien.media.parallel.ahead import Ahead
from mien.media.streams.source import RATE_HZ, ArrayFrames, Camera, FrameSource, VideoFile
from mien.media.video import Frame, FrameSelection, Place
from mien.media.video.soundtrack import opened_soundtrack
from mien.runtime.faces import FaceFinder, Faces, PictureTask
from mien.runtime.networks import FaceNetwork
from mien.runtime.readings import PictureReadings, Readings
from mien.runtime.smoothing import FaceSmoother
from mien.runtime.tracking.checkpoints import FACES, FRAME, SMOOTHER, Checkpoints, Parts, frame_state
from mien.runtime.tracking.tracker import BoxTracker, FaceTracker, TrackedFace

FRAMES_AHEAD = 4  # decoded, or tracked, that wait for the next stage


class FrameTasks:
    """The chosen frames of a source as tasks, each with the sounds that the networks ask for. Read once."""

    def __init__(
        self, networks: Sequence[FaceNetwork], source: FrameSource, selection: FrameSelection, first: int = 0,
        near: Place | None = None,
    ) -> None:  # fmt: skip
        self.source, self.selection, self.first, self.near = source, selection, first, near
        video = isinstance(source, VideoFile)
        self._wanted = {n.voice for n in networks if n.voice is not None} if video else set()

    def __iter__(self) -> Iterator[PictureTask]:
        with ExitStack() as stack:
            opened = {given: stack.enter_context(opened_soundtrack(self.source.name, given)) for given in self._wanted}
            sounds = {given: track for given, track in opened.items() if track is not None}
            # One frame waits where frames are lost otherwise: what is read next is the latest.
            most = 1 if self.source.live else FRAMES_AHEAD
            read = self.source.frames(self.selection, self.first, self.near)
            for frame in stack.enter_context(Ahead(read, most, newest=self.source.live)):
                own = {given: track.until(frame.timestamp_s) for given, track in sounds.items()}
                yield self._task(frame, own)

    def _task(self, frame: Frame, sounds: dict[Any, Any]) -> PictureTask:
        picture = picture_of_array(frame.pixels, frame.note)
        origin = None if isinstance(self.source, VideoFile) else frame.pixels
        return PictureTask(
            self.source.name, lambda: picture, None, frame.index, frame.timestamp_s, sounds, picture.pixels.size, origin
        )


class Followed(NamedTuple):
    """A frame whose faces were followed."""

    task: PictureTask
    picture: Picture
    faces: list[TrackedFace]
    parts: Parts | None
    """At a checkpoint."""


def followed(tasks: Iterable[PictureTask], tracker: FaceTracker, checkpoints: Checkpoints) -> Iterator[Followed]:
    """The faces of a video's frames, with points and track numbers."""
    for task in tasks:
        picture = task.load()
        faces = tracker(picture.pixels, _time_of(task.frame, task.timestamp_s))
        parts = _parts(task.frame, task.timestamp_s, tracker) if checkpoints.due() else None
        yield Followed(task, picture, faces, parts)


def cut_out(finder: FaceFinder, frame: Followed) -> Faces:
    """Followed faces as the networks take them."""
    found = frame.faces
    faces = finder.cut(frame.task, frame.picture, [face.box for face in found], [face.score for face in found])
    return replace(faces, points=[f.points for f in found], track_ids=[f.track_id for f in found])


def numbered(
    stream: Iterable[PictureReadings], tracker: BoxTracker, checkpoints: Checkpoints
) -> Iterator[PictureReadings]:
    """Frames whose faces the detector found each, with the numbers of their tracks."""
    for read in stream:
        checkpoints.parts = None
        if read.picture is None:
            yield read
            continue
        boxes = [reading.box for reading in read.readings if reading.box is not None]
        first = read.readings[0]
        numbers = iter(tracker(read.picture.pixels, boxes, _time_of(first.frame, first.timestamp_s)))
        named = [r if r.box is None else replace(r, track_id=next(numbers)) for r in read.readings]
        checkpoints.parts = _parts(first.frame, first.timestamp_s, tracker) if checkpoints.due() else None
        yield read._replace(readings=Readings(named))


def smoothed(
    stream: Iterable[PictureReadings], smoother: FaceSmoother, checkpoints: Checkpoints
) -> Iterator[PictureReadings]:
    """Frames whose points and 3D faces tremble less."""
    for read in stream:
        readings = Readings(smoother(read.readings))
        if checkpoints.parts is not None:
            checkpoints.parts = {**checkpoints.parts, SMOOTHER: smoother.state()}
        yield read._replace(readings=readings)


def _parts(frame: int, timestamp_s: float | None, tracker: FaceTracker | BoxTracker) -> Parts:
    return {FRAME: frame_state(frame, timestamp_s), FACES: tracker.state()}


def _time_of(frame: int, timestamp_s: float | None) -> float:
    return frame / RATE_HZ if timestamp_s is None else timestamp_s


def frame_source(source: Any) -> FrameSource:
    """A path is a video, a whole number a camera, anything else frames of a program."""
    if isinstance(source, str | Path):
        return VideoFile(Path(source))
    if isinstance(source, int | np.integer) and not isinstance(source, bool):
        return Camera(int(source))
    single = isinstance(source, np.ndarray) and source.ndim < 4 and source.shape[2:] in ((), (3,), (4,))
    if single or isinstance(source, bytes | dict) or not isinstance(source, Iterable):
        kind = f"an array {list(source.shape)}" if single else type(source).__name__
        raise MienError(
            "A stream is the path of a video, the number of a camera, or frames: arrays, or pairs of an array and its "
            f"time; got {kind}.{' Analyzer.read reads one picture.' if single else ''}"
        )
    return ArrayFrames(source)
