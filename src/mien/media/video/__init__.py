"""Videos in, frame by frame with their own times, and out (media.streams.writer: as they come). Needs PyAV: the extra
`video`."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.media.files import atomic_path
from mien.media.sound.audio import Sound
from mien.media.video.container import (
    CONTAINERS,
    DECODER_OPTIONS,
    ffmpeg_name,
    import_av,
    limit_decoder,
    opened_video,
    stated_duration_s,
)
from mien.media.video.decoder import Decoder
from mien.media.video.display import display_matrix, square_size, transposes
from mien.media.video.selection import ALL_FRAMES, MOMENT_S, FrameSelection, Place

__all__ = [
    "ALL_FRAMES", "Frame", "FrameSelection", "Place", "VideoInfo", "first_time_s", "frames", "piped_frames",
    "video_info", "write_video",
]  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One decoded frame."""

    index: int
    """From 0, counting every decoded frame."""
    timestamp_s: float
    """Presentation time from the video's first frame; with a variable frame rate it is not index / rate."""
    pixels: UInt8[np.ndarray, "height width 3"]
    """RGB, as players show it: upright, not mirrored, with square pixels."""
    note: str = ""
    """What was damaged just before it, and of the last frame whether the video is cut short; else empty."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header and the first frame state."""

    size: tuple[int, int]
    """(width, height) as shown: upright, with square pixels."""
    frames: int
    """0 where unknown."""
    duration_s: float | None
    """None where unknown."""
    rate_hz: float | None
    """The average; frames may come unevenly. None where unknown."""
    rotation_deg: int
    """Counter-clockwise, as the display matrix asks: 0, 90, 180 or 270."""


def frames(
    path: Path | str, *, every: int = 1, first: int = 0, selection: FrameSelection | None = None,
    near: Place | None = None,
) -> Iterator[Frame]:  # fmt: skip
    """Every `every`-th frame from frame `first` on (which keep their indices), in the order shown.

    selection: which frames, instead of `every`. near: a frame, not behind `first`, that decoding begins about, instead
    of at the video's start; of videos without times it changes nothing. A damaged packet loses its own frame only; the
    next one has a note, and the last one where the video is shorter than it states. Raises MienError for what is no
    video, for one without a frame that decodes, and for a selection that begins behind its end.
    """
    chosen = FrameSelection(every) if selection is None else selection
    if near is not None and 0 < near.index <= first:
        with opened_video(Path(path)) as container:
            decoder = Decoder(container)
            if (rest := decoder.sought(near)) is not None:
                yield from _selected(decoder, chosen, first, str(path), enumerate(rest, near.index))
                return
    with opened_video(Path(path)) as container:
        decoder = Decoder(container)
        yield from _selected(decoder, chosen, first, str(path), enumerate(decoder))


def piped_frames(stream: BinaryIO, name: str, chosen: FrameSelection, first: int = 0) -> Iterator[Frame]:
    """As `frames`, of a video that comes through a pipe and is read once. Raises MienError for what is no video."""
    av = import_av()
    try:
        options = {"options": DECODER_OPTIONS, "container_options": {"format_whitelist": ",".join(CONTAINERS)}}
        with av.open(stream, "r", **options) as container:
            if not container.streams.video:
                raise MienError(f"{name}: no video stream in it.")
            limit_decoder(container.streams.video[0], Path(name))
            decoder = Decoder(container)
            yield from _selected(decoder, chosen, first, name, enumerate(decoder))
    except av.FFmpegError as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise MienError(
            f"{name}: not a video that can be read through a pipe, or damaged ({reason}). Files: name them; of others "
            "make Matroska (ffmpeg ... -f matroska -)."
        ) from error


def _selected(
    decoder: Decoder, chosen: FrameSelection, first: int, name: str, decoded: Iterator[tuple[int, Any]]
) -> Iterator[Frame]:
    """Of the decoder's frames those that are chosen and not before `first`; as `frames`. name: of what is decoded."""
    held: Frame | None = None  # the last frame has the note of the end, so one is always kept back
    before_s: float | None = None
    past = 0  # frames in a row behind the end: a damaged one may state any time
    for index, frame in decoded:
        time_s = decoder.time_of(index, frame)
        past = past + 1 if chosen.is_past(time_s) else 0
        if past > 1:
            if held is not None:
                yield held
            return
        if past:
            continue
        if chosen.picks(index, time_s, before_s):
            note = decoder.note()  # of what was damaged before `first`, an earlier frame had it
            if index >= first:
                if held is not None:
                    yield held
                held = Frame(index, time_s, decoder.pixels_of(frame), note)
        before_s = time_s
    if decoder.decoded == 0:
        raise MienError(f"{name}: no frame of this video can be decoded{decoder.reason}.")
    if before_s is not None and before_s < chosen.start_s - MOMENT_S:
        raise MienError(f"{name}: the video ends at {before_s:.2f} s, before start ({chosen.start_s:g} s).")
    if held is not None:
        notes = [held.note, decoder.note(), decoder.shortfall()]
        yield replace(held, note="; ".join(dict.fromkeys(filter(None, notes))))


def video_info(path: Path | str) -> VideoInfo:
    """Size, length and rate, of the header and the first frame. Raises MienError for what is no video."""
    with opened_video(Path(path)) as container:
        stream = container.streams.video[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise MienError(f"{path}: a video without a single frame.")
        turn = round(first.rotation) % 360
        width, height = square_size(first.width, first.height, float(stream.sample_aspect_ratio or 1))
        return VideoInfo(
            size=(height, width) if transposes(display_matrix(first)) else (width, height),
            frames=stream.frames,
            duration_s=stated_duration_s(stream, container),
            rate_hz=float(stream.average_rate) if stream.average_rate else None,
            rotation_deg=turn,
        )


def first_time_s(path: Path) -> float:
    """The first frame's time as the container counts it, which `Frame.timestamp_s` counts from. Raises as `frames`."""
    with opened_video(path) as container:
        decoder = Decoder(container)
        frame = next(iter(decoder), None)
        if frame is None:
            raise MienError(f"{path}: no frame of this video can be decoded{decoder.reason}.")
        return 0.0 if frame.time is None else float(frame.time)


def write_video(
    path: Path | str,
    pictures: UInt8[np.ndarray, "frames height width 3"],
    *,
    rate_hz: float,
    sound: Sound | None = None,
) -> None:
    """H.264 in an .mp4, with the sound as AAC, atomically. RGB; odd sides lose their last row or column."""
    av = import_av()
    pictures = pictures[:, : pictures.shape[1] // 2 * 2, : pictures.shape[2] // 2 * 2]
    with atomic_path(Path(path)) as temporary, av.open(ffmpeg_name(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = pictures.shape[1], pictures.shape[2], "yuv420p"
        stream.options = {"crf": "18"}
        voice = container.add_stream("aac", rate=sound.sample_rate_hz) if sound is not None else None
        for pixels in pictures:
            container.mux(stream.encode(frame_of(pixels)))
        container.mux(stream.encode())
        if sound is not None and voice is not None:
            frame = av.AudioFrame.from_ndarray(sound.samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sound.sample_rate_hz, 0  # without a time the encoder's delay would stay in
            container.mux(voice.encode(frame))
            container.mux(voice.encode())


def frame_of(pixels: UInt8[np.ndarray, "height width 3"]) -> Any:
    """PyAV's frame of RGB pixels, as H.264 takes it.

    The encoder would convert it too, on several threads, with other chroma in one of hundreds of small frames.
    """
    return import_av().VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(format="yuv420p")
