"""The videos of a run of `mien analyze`: files, cameras, what comes through standard input; which frames are read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mien.core.errors import MienError, one_line
from mien.media.listing import is_video
from mien.media.streams.source import FrameSource, VideoFile
from mien.media.video import ALL_FRAMES, FrameSelection
from mien.runtime.analyzer import BATCH, Analyzer
from mien.runtime.readings import FaceReading, PictureReadings, Readings
from mien.runtime.tracking.checkpoints import Checkpoints, Parts


@dataclass(frozen=True, eq=False)
class Videos:
    """What is a video among the inputs, and the readings of pictures and videos."""

    analyzer: Analyzer
    """Reads them, and the pictures."""
    selection: FrameSelection = ALL_FRAMES
    """Of frames."""
    live: Mapping[Path, FrameSource] = field(default_factory=dict)
    """By name, what is no file."""

    def is_video(self, path: Path) -> bool:
        """Whether it has frames."""
        return path in self.live or is_video(path)

    def source(self, path: Path) -> FrameSource:
        """Of its frames."""
        return self.live.get(path) or VideoFile(path)

    def begin(self, files: Sequence[Path]) -> None:
        """Before the first is read: what will be, pictures first, then videos, each in this order."""

    def pictures(self, paths: Sequence[Path]) -> Iterator[PictureReadings]:
        """In their order."""
        return self.analyzer.read_files(paths)

    def check(self, path: Path, start: Parts) -> None:
        """Raises MienError where the reading of the video cannot go on from there."""
        self.analyzer.read_frames(self.source(path), self.selection, checkpoints=Checkpoints(start=start))

    def readings(self, path: Path, checkpoints: Checkpoints | None = None) -> Iterator[PictureReadings]:
        """Its frames; where the video itself fails, the reason comes last. checkpoints: as for the Analyzer."""
        source = self.source(path)
        try:
            yield from self.analyzer.read_frames(
                source, self.selection, batch_size=1 if source.live else BATCH, checkpoints=checkpoints
            )
        except (MienError, OSError, MemoryError) as error:
            failure = FaceReading(str(path), False, model=self.analyzer.model_id, note=one_line(error))
            yield PictureReadings(str(path), None, Readings([failure]))


def video_details(analyzer: Analyzer, selection: FrameSelection) -> dict[str, Any]:
    """For the sidecar: which frames were read, and how their faces were tracked."""
    return {
        "every": selection.every, "fps": selection.rate_hz, "start_s": selection.start_s, "end_s": selection.end_s,
        "detect_every": analyzer.tracking.detect_every if analyzer.follows else 1,
        "max_faces": analyzer.tracking.max_faces,
    }  # fmt: skip
