"""Frames on their way through an Analyzer: with their sounds, with followed faces, with numbers of their tracks."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mien.media.parallel import Ahead
from mien.media.soundtrack import opened_soundtrack
from mien.media.streams.source import RATE_HZ, ArrayFrames, Camera, FrameSource, VideoFile
from mien.media.video import Frame, FrameSelection
from mien.runtime.faces import FaceFinder, Faces, PictureTask, picture_of
from mien.runtime.networks import FaceNetwork
from mien.runtime.readings import PictureReadings, Readings
from mien.runtime.tracking.tracker import BoxTracker, FaceTracker

FRAMES_AHEAD = 4  # decoded, or tracked, that wait for the next stage


class FrameTasks:
    """The chosen frames of a source as tasks, each with the sounds that the networks ask for. Read once."""

    def __init__(
        self, networks: Sequence[FaceNetwork], source: FrameSource, selection: FrameSelection, first: int = 0
    ) -> None:
        self.source, self.selection, self.first = source, selection, first
        video = isinstance(source, VideoFile)
        self._wanted = {n.voice for n in networks if n.voice is not None} if video else set()

    def __iter__(self) -> Iterator[PictureTask]:
        with ExitStack() as stack:
            opened = {given: stack.enter_context(opened_soundtrack(self.source.name, given)) for given in self._wanted}
            sounds = {given: track for given, track in opened.items() if track is not None}
            # One frame waits where frames are lost otherwise: what is read next is the latest.
            most = 1 if self.source.live else FRAMES_AHEAD
            read = self.source.frames(self.selection, self.first)
            for frame in stack.enter_context(Ahead(read, most, newest=self.source.live)):
                own = {given: track.until(frame.timestamp_s) for given, track in sounds.items()}
                yield self._task(frame, own)

    def _task(self, frame: Frame, sounds: dict[Any, Any]) -> PictureTask:
        picture = picture_of(frame.pixels, frame.note)
        origin = None if isinstance(self.source, VideoFile) else frame.pixels
        return PictureTask(
            self.source.name, lambda: picture, None, frame.index, frame.timestamp_s, sounds, picture.pixels.size, origin
        )


def followed(
    tasks: Iterable[PictureTask], finder: FaceFinder, tracker: FaceTracker
) -> Iterator[tuple[PictureTask, Faces]]:
    """The faces of a video's frames, with points and track numbers."""
    for task in tasks:
        picture = task.load()
        time_s = task.frame / RATE_HZ if task.timestamp_s is None else task.timestamp_s
        found = tracker(picture.pixels, time_s)
        faces = finder.cut(task, picture, [face.box for face in found], [face.score for face in found])
        yield task, replace(faces, points=[f.points for f in found], track_ids=[f.track_id for f in found])


def numbered(stream: Iterable[PictureReadings]) -> Iterator[PictureReadings]:
    """Frames whose faces the detector found each, with the numbers of their tracks."""
    tracker = BoxTracker()
    for read in stream:
        if read.picture is None:
            yield read
            continue
        boxes = [reading.box for reading in read.readings if reading.box is not None]
        first = read.readings[0]
        time_s = first.frame / RATE_HZ if first.timestamp_s is None else first.timestamp_s
        numbers = iter(tracker(read.picture.pixels, boxes, time_s))
        named = [r if r.box is None else replace(r, track_id=next(numbers)) for r in read.readings]
        yield read._replace(readings=Readings(named))


def frame_source(source: Any) -> FrameSource:
    """A path is a video, a whole number a camera, anything else frames of a program."""
    if isinstance(source, str | Path):
        return VideoFile(Path(source))
    if isinstance(source, int | np.integer):
        return Camera(int(source))
    return ArrayFrames(source)
