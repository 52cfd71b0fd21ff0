"""A video with a voice: every frame with the window of the voice about its time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mien.cli.progress import tracked
from mien.core.errors import MienError
from mien.engine.reading.perceive.drawings import Screen
from mien.engine.reading.perceive.faces import FoundFace, LargestFace
from mien.engine.reading.perceive.page import Shown, write_results
from mien.engine.reading.perceive.source import Heard, Networks, PerceiveOptions, expressions, heard_windows
from mien.engine.reading.perceive.still import sound_notes, summary
from mien.engine.reading.perceive.tables import (
    Expressions,
    MeanExpressions,
    change_cells,
    expression_cells,
    frame_columns,
    window_columns,
    window_row,
)
from mien.media.streams.writer import SOUND_HZ, SoundAhead, video_writer
from mien.media.tables import TableWriter
from mien.media.video import Frame, frames, video_info
from mien.media.video.soundtrack import opened_recording
from mien.runtime.voice.perceiver import Perceived

VIDEO = "perceived.mp4"
LAG_S = 0.25  # of pictures behind the sound that still have a voice
NO_FACE, ENDED = "no face found", "behind the end of the voice"
MOST_NOTES = 5


class WindowsByTime:
    """The window that stands for a time; times must not go back."""

    def __init__(self, heard: Iterator[Heard]) -> None:
        self._heard = heard
        self._now: Heard | None = None
        self.passed: list[Heard] = []
        """Every window so far."""

    def at(self, time_s: float) -> Heard | None:
        """None behind the recording's end."""
        while self._now is None or time_s >= self._now.window.to_s:
            following = next(self._heard, None)
            if following is None:
                return self._now if self._now and time_s < self._now.window.to_s + LAG_S else None
            self._now = following
            self.passed.append(following)
        return self._now


@dataclass
class Counts:
    """Of the frames."""

    frames: int = 0
    """Read."""
    faces: int = 0
    """With a face."""


def perceive_video(options: PerceiveOptions, networks: Networks, finder: LargestFace, folder: Path) -> str:
    """Writes the video, the tables, the pictures and the page; the summary. Raises MienError for what is unreadable."""
    info = video_info(options.face)
    screen, counts, notes = Screen(*info.size), Counts(), []
    windows, faces = WindowsByTime(heard_windows(options, networks)), MeanExpressions()
    by_window: dict[int, MeanExpressions] = {}
    best: Shown | None = None
    rate = (info.rate_hz or 25.0) / options.every
    with (
        TableWriter(folder / "frames", frame_columns(networks.classes)) as table,
        opened_recording(options.voice, rate_hz=SOUND_HZ) as recording,
        video_writer(folder / VIDEO, size=screen.size, rate_hz=rate, sound_rate_hz=SOUND_HZ) as video,
    ):
        sound = SoundAhead(video, recording.blocks if recording else iter(()))
        for frame in tracked(frames(options.face, every=options.every), "frames", info.frames // options.every):
            heard = windows.at(frame.timestamp_s)
            face = finder.follow(frame.pixels)
            perceived, found = (None, {}) if face is None else perceive_face(face, heard, options, networks)
            counts.frames, counts.faces = counts.frames + 1, counts.faces + (face is not None)
            faces.add(found)
            if found and heard:
                by_window.setdefault(heard.window.number, MeanExpressions()).add(found)
            if face and perceived and heard and heard.mel is not None and louder(heard, best):
                best = Shown(face.crop, face.photo, heard, perceived, found)
            why = NO_FACE if face is None else heard.window.note if heard else ENDED
            note = "; ".join(filter(None, [frame.note, why]))
            notes += [f"frame {frame.index}: {frame.note}"] if frame.note else []
            number = heard.window.number if heard else None
            table.append([frame_row(frame, number, face, perceived=perceived, found=found, note=note)])
            sound.until(frame.timestamp_s)
            video.picture(screen.frame(frame.pixels, face and face.box, perceived, found, note), frame.timestamp_s)
        sound.until(frame.timestamp_s + 1 / rate, last=True)
    if best is None:
        why = "no face was found in it" if not counts.faces else "its voice is silent wherever there is a face"
        raise MienError(f"{options.face}: nothing to perceive: {why}.")
    passed = [each.window for each in windows.passed if each.window.number in by_window]
    read = [(window, by_window[window.number].mean) for window in passed]
    _write_windows(folder, networks, windows.passed, {w.number: found for w, found in read})
    mean = faces.mean
    missing = counts.frames - counts.faces
    notes = [*notes[:MOST_NOTES], *([f"{missing} of {counts.frames} frames have no face"] if missing else [])]
    write_results(
        folder, options, networks, best, mean=mean, windows=[(w, found) for w, found in read if found.get("both")],
        notes=[*notes, *sound_notes(windows.passed, options, networks)], video=VIDEO,
    )  # fmt: skip
    return summary(mean, folder, f"{counts.faces} of {counts.frames} frames, {folder / VIDEO}", networks)


def perceive_face(
    face: FoundFace, heard: Heard | None, options: PerceiveOptions, networks: Networks
) -> tuple[Perceived, Expressions]:
    """Without a voice only the plain reconstruction and the expression of the face alone."""
    if heard is not None and heard.mel is not None:
        strength = None if options.strength == 1 else options.strength
        perceived = networks.perceiver.perceive(face.crop, heard.mel, strength=strength)
        return perceived, expressions(perceived, heard)
    nothing = np.zeros(networks.perceiver.voice.shape, np.float32)
    strength = 0.0 if networks.perceiver.has_strength else None
    perceived = networks.perceiver.perceive(face.crop, nothing, strength=strength)
    alone = {way: own for way, own in perceived.expressions.items() if way == "face"}
    return Perceived(alone, perceived.plain, perceived.plain, 0.0), alone


def frame_row(
    frame: Frame,
    window: int | None,
    face: FoundFace | None,
    *,
    perceived: Perceived | None,
    found: Expressions,
    note: str,
) -> dict[str, object]:
    """A row of frames.csv."""
    box = face.box if face else None
    edges = zip(("box_x0", "box_y0", "box_x1", "box_y1"), box or (), strict=False)
    return {
        "frame": frame.index, "timestamp_s": frame.timestamp_s, "success": int(face is not None),
        "window": window, "note": note, **dict(edges), **expression_cells(found),
        **(change_cells(perceived) if perceived else {}),
    }  # fmt: skip


def louder(heard: Heard, best: Shown | None) -> bool:
    return best is None or heard.window.level_db > best.heard.window.level_db


def _write_windows(
    folder: Path, networks: Networks, heard: list[Heard], found: dict[int, dict[str, dict[str, float]]]
) -> None:
    with TableWriter(folder / "windows", window_columns(networks.classes)) as table:
        for each in heard:
            own: Expressions = found.get(each.window.number, {"voice": each.alone} if each.alone else {})
            table.append([window_row(each.window, own)])
