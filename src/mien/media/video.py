"""Videos in, frame by frame with their own times, and out. Needs PyAV: pip install 'mien[video]'."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.media.audio import Sound
from mien.media.files import atomic_path

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers that hold what they show. Playlists, lists of files, session descriptions and numbered pictures are left
# out: they name other files or addresses, which FFmpeg would open. Names as FFmpeg has them.
CONTAINERS = (
    "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "m4v", "h264", "hevc", "av1", "ivf", "obu", "vc1", "asf",
    "flv", "live_flv", "ogg", "mxf", "gxf", "nut", "rm", "dv", "wtv", "yuv4mpegpipe", "mjpeg", "gif", "apng",
    "wav", "w64", "aiff", "mp3", "aac", "flac", "ac3", "caf", "amr", "au",
)  # fmt: skip
_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """index: from 0, counting every decoded frame. timestamp_s: its presentation time from the video's first frame's
    time base, seconds; with a variable frame rate it is not index / rate. pixels: RGB, upright."""

    index: int
    timestamp_s: float
    pixels: UInt8[np.ndarray, "height width 3"]


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """What the header says. size: (width, height) upright. frames: 0 where unknown. duration_s, rate_hz: None likewise.

    rate_hz: the average; frames may come unevenly.
    """

    size: tuple[int, int]
    frames: int
    duration_s: float | None
    rate_hz: float | None
    rotation_deg: int


def frames(path: Path | str, *, every: int = 1) -> Iterator[Frame]:
    """Every `every`-th frame, in the order shown. Raises MienError for what is no video; frames before a damaged place
    have been yielded by then."""
    if every < 1:
        raise MienError(f"every must be 1 (all frames) or more; got {every}.")
    with _opened(Path(path)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        start = None
        for index, frame in enumerate(container.decode(stream)):
            time = float(frame.time) if frame.time is not None else None
            start = time if start is None else start
            if index % every == 0:
                timestamp = index / float(stream.average_rate or 25) if time is None else time - (start or 0.0)
                yield Frame(index, timestamp, _upright(frame.to_ndarray(format="rgb24"), frame.rotation))


def video_info(path: Path | str) -> VideoInfo:
    """Size, length and rate, of the header and the first frame. Raises MienError for what is no video."""
    with _opened(Path(path)) as container:
        stream = container.streams.video[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise MienError(f"{path}: a video without a single frame.")
        turn = round(first.rotation) % 360
        size = (first.height, first.width) if turn in (90, 270) else (first.width, first.height)
        return VideoInfo(
            size=size,
            frames=stream.frames,
            duration_s=_duration(stream, container),
            rate_hz=float(stream.average_rate) if stream.average_rate else None,
            rotation_deg=turn,
        )


@contextmanager
def _opened(path: Path) -> Iterator["InputContainer"]:
    av = _av()
    if not path.is_file():
        raise MienError(f"{path}: {'a folder, not a video' if path.is_dir() else 'no such file'}.")
    if path.stat().st_size == 0:
        raise MienError(f"{path}: the file is empty (0 bytes).")
    try:
        with av.open(_file_name(path), container_options=_OPTIONS) as container:
            if not container.streams.video:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise MienError(f"{path}: no video stream in it, only {kinds}.")
            yield container
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, MienError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise MienError(f"{path}: not a video that can be read, or damaged ({reason}).") from error


def _file_name(path: Path) -> str:
    """The path as FFmpeg's name of a file: else one that begins with `http:`, `tcp:`, ... would be opened as such."""
    return f"file:{path.absolute()}"


def _av() -> ModuleType:
    try:
        import av
    except ImportError as error:
        raise MienError("Videos need PyAV: pip install 'mien[video]'.") from error
    return av


def _duration(stream: Any, container: Any) -> float | None:
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def _upright(pixels: np.ndarray, rotation_deg: float) -> np.ndarray:
    """`rotation_deg`: counter-clockwise turn that the display matrix asks for, in quarters."""
    quarters = round(rotation_deg / 90) % 4
    return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


def write_video(
    path: Path | str,
    pictures: UInt8[np.ndarray, "frames height width 3"],
    *,
    rate_hz: float,
    sound: Sound | None = None,
) -> None:
    """H.264 in an .mp4, with the sound as AAC, atomically. RGB; odd sides lose their last row or column."""
    av = _av()
    pictures = pictures[:, : pictures.shape[1] // 2 * 2, : pictures.shape[2] // 2 * 2]
    with atomic_path(Path(path)) as temporary, av.open(_file_name(temporary), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        stream.height, stream.width, stream.pix_fmt = pictures.shape[1], pictures.shape[2], "yuv420p"
        stream.options = {"crf": "18"}
        voice = container.add_stream("aac", rate=sound.sample_rate_hz) if sound is not None else None
        for pixels in pictures:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())
        if sound is not None and voice is not None:
            frame = av.AudioFrame.from_ndarray(sound.samples[None], format="fltp", layout="mono")
            frame.sample_rate = sound.sample_rate_hz
            container.mux(voice.encode(frame))
            container.mux(voice.encode())
