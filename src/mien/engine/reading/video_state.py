"""The state of a half-read video, saved beside its rows: `mien analyze --resume` goes on behind it after a kill."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.media.files import printable
from mien.runtime.tracking.checkpoints import Checkpoints, Parts
from mien.runtime.tracking.state import State

RUN = "run"  # the part that says what the state is of
_SAMPLE = 1 << 16  # bytes of a video, from either end, by which it is known again


@dataclass(frozen=True, eq=False)
class VideoState:
    """As it was stored."""

    source: str
    """The video, as the table names it."""
    rows: int
    """Of the table, the last one of them the frame's."""
    frame: int
    """The last frame that was read."""
    parts: Parts
    """What goes on from there."""


class VideoStateFile:
    """PATH, and the settings that a run must have in common with the one that wrote it."""

    def __init__(self, path: Path, settings: Any) -> None:
        self.path = path
        text = json.dumps(settings, sort_keys=True, default=str)
        self.settings = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def save(self, video: Path, rows: int, parts: Parts) -> None:
        """Raises MienError where it cannot be written."""
        run = {
            "source": printable(str(video)), "video": fingerprint(video), "settings": self.settings, "rows": rows,
            "parts": list(parts),
        }  # fmt: skip
        State.joined({**parts, RUN: State(run)}).write(self.path)

    def load(self, video: Path) -> VideoState:
        """Raises MienError, the reason, where it is no state of that video and these settings."""
        if not self.path.is_file():
            raise MienError("no state of it was saved")
        stored = State.read(self.path)
        try:
            run = stored.part(RUN).values
            known = {name: run[name] for name in ("source", "video", "settings")}
            parts = {str(name): stored.part(name) for name in run["parts"]}
            found = VideoState(str(run["source"]), int(run["rows"]), Checkpoints(start=parts).first - 1, parts)
        except (LookupError, TypeError, ValueError) as error:
            raise MienError(f"{self.path.name} is damaged") from error
        now = {"source": printable(str(video)), "video": fingerprint(video), "settings": self.settings}
        if (other := next((name for name in now if known[name] != now[name]), None)) is not None:
            what = {"source": "another video", "video": "the video as it was before it changed"}
            raise MienError(f"{self.path.name} is of {what.get(other, 'other settings')}")
        return found

    def remove(self) -> None:
        """Where it is there."""
        self.path.unlink(missing_ok=True)


def fingerprint(video: Path) -> str:
    """Of a file's size and its two ends; empty for what cannot be read."""
    try:
        size = video.stat().st_size
        with video.open("rb") as file:
            start = file.read(_SAMPLE)
            file.seek(max(0, size - _SAMPLE))
            return hashlib.sha256(f"{size} ".encode() + start + file.read(_SAMPLE)).hexdigest()
    except OSError:
        return ""
