"""Recorded people: videos and sounds as a data set's authors give them, a few frames of each video as samples."""

from abc import abstractmethod
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.readers.listing import walk
from mien.data.readers.reader import Reader
from mien.media.stills import frame_count


class Recording(NamedTuple):
    """One take of one person: with a picture, with a voice, or with both."""

    subject: str
    """The person."""
    clip: str
    """The take, the same for all videos and sounds of it."""
    expression: int
    """Index into the reader's labels."""
    video: Path | None
    """Its pictures."""
    voice: Path | None
    """Its sound; the video itself, where its sound is not apart."""


class Recordings(Reader):
    """A set of recordings with one split, "all": divide it by people (`mien data split`).

    frames: samples of each video, evenly over its middle half, where the expression stands; how many there are is
    read from each video's header, once. A recording without a video is one sample whose `path` is the sound.
    A video that cannot be opened stops the reading; `missing: skip` leaves it out.
    """

    def __init__(self, root: Path, *, frames: int = 5) -> None:
        super().__init__(root)
        if frames < 1:
            raise self.error(f"frames must be at least 1; got {frames}.")
        self.frames = int(frames)
        self.splits = ("all",)

    @abstractmethod
    def _recordings(self) -> Sequence[Recording]:
        """Those of the set, in any order."""

    @cached_property
    def recordings(self) -> Sequence[Recording]:
        return self._recordings()

    def _read(self, split: str) -> list[Sample]:
        return [sample for recording in self.recordings for sample in self._samples_of(recording, split)]

    def _samples_of(self, recording: Recording, split: str) -> list[Sample]:
        subject, clip, expression, video, voice = recording
        if video is None:
            assert voice is not None
            return [Sample(self.key_of(voice), voice, split, expression, subject=subject, clip=clip, voice=voice)]
        return [
            Sample(
                f"{self.key_of(video)}#{frame:05d}", video, split, expression, subject=subject, clip=clip, frame=frame,
                voice=voice,
            )
            for frame in self._chosen(video)
        ]  # fmt: skip

    def _chosen(self, video: Path) -> list[int]:
        try:
            count = frame_count(video)
        except MienError as error:
            if self.missing != "skip":
                raise self.error(
                    f"{str(error).rstrip('.')} (--data.reader.missing skip leaves such videos out)"
                ) from error
            self.note(f"left out: {error}")
            self.absent.append(video)
            return []
        return middle_frames(count, self.frames)

    def files(self, *suffixes: str) -> list[Path]:
        """Sorted files below the root with one of these suffixes, in small or capital letters."""
        return [
            Path(parent, name) for parent, names in walk(self.root) for name in names
            if Path(name).suffix.lower() in suffixes and not name.startswith(".")
        ]  # fmt: skip

    def note_strange(self, others: Sequence[Path]) -> None:
        """Notes recordings whose names are not the set's own."""
        if others:
            self.note(f"{len(others):,} recordings do not have the set's names and are left out, first {others[0]}.")


def middle_frames(count: int, wanted: int) -> list[int]:
    """`wanted` frames of `count`, each once, evenly over the video's middle half."""
    places = [(0.25 + 0.5 * (i + 0.5) / wanted) * count for i in range(wanted)]
    return sorted({min(int(place), count - 1) for place in places})
