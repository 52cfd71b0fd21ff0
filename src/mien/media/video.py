"""Videos in, frame by frame with their own times, and out (media.streams.writer: as they come). Needs PyAV: the extra
`video`."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO

import cv2
import numpy as np
from jaxtyping import UInt8

from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.core.limits import FRAME_PIXELS
from mien.media.files import atomic_path
from mien.media.sound.audio import Sound

if TYPE_CHECKING:
    from av.container import InputContainer

# Containers that hold what they show. Playlists, lists of files, session descriptions and numbered pictures are left
# out: they name other files or addresses, which FFmpeg would open. Names as FFmpeg has them.
CONTAINERS = (
    "mov", "matroska", "avi", "mpeg", "mpegts", "mpegvideo", "m4v", "h264", "hevc", "av1", "ivf", "obu", "vc1", "asf",
    "flv", "live_flv", "ogg", "mxf", "gxf", "nut", "rm", "dv", "wtv", "yuv4mpegpipe", "mjpeg", "gif", "apng",
    "wav", "w64", "aiff", "mp3", "aac", "flac", "ac3", "caf", "amr", "au",
)  # fmt: skip
_CONTAINER_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
_DECODER_OPTIONS = {"max_pixels": str(FRAME_PIXELS)}
Matrix = tuple[int, int, int, int]
_MOMENT_S = 1e-4  # times are rounded by containers: the frame at 1.9999997 s is that of 2 s
MOST_SQUEEZED = 4.0  # sides of a pixel: anamorphic video has 2, wide-screen DVDs 1.42


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


@dataclass(frozen=True, slots=True)
class FrameSelection:
    """Which frames of a video are read. Raises MienError for what contradicts itself."""

    every: int = 1
    """Every N-th frame, by its index."""
    rate_hz: float | None = None
    """At most so many frames a second, by their times: the first one of each period from time 0 on."""
    start_s: float = 0.0
    """From the first frame at or after this time on."""
    end_s: float | None = None
    """Up to this time, the frame at it left out."""

    def __post_init__(self) -> None:
        if self.every < 1:
            raise MienError(f"every must be 1 (all frames) or more; got {self.every}.")
        if self.rate_hz is not None and not 0 < self.rate_hz < np.inf:
            raise MienError(f"fps must be a number of frames a second above 0; got {self.rate_hz:g}.")
        if self.rate_hz is not None and self.every > 1:
            raise MienError(
                f"fps and every both choose frames: name one of them; got {self.rate_hz:g} and {self.every}."
            )
        if not 0 <= self.start_s < np.inf:
            raise MienError(f"start must be a time of 0 s or later; got {self.start_s:g}.")
        if self.end_s is not None and not self.end_s > self.start_s:
            raise MienError(f"end must lie after start; got {self.end_s:g} s and {self.start_s:g} s.")

    def picks(self, index: int, time_s: float, before_s: float | None) -> bool:
        """Whether the frame of that index and time is read. before_s: time of the frame before it."""
        if index % self.every or time_s < self.start_s - _MOMENT_S or self.is_past(time_s):
            return False
        if self.rate_hz is None or before_s is None or before_s < self.start_s - _MOMENT_S:
            return True
        return self._period(time_s) > self._period(before_s)

    def is_past(self, time_s: float) -> bool:
        """Whether the frame of that time and all that follow are not read."""
        return self.end_s is not None and time_s >= self.end_s - _MOMENT_S

    def count(self, frames: int, duration_s: float | None) -> int | None:
        """About how many of a video's frames are read; None where that is unknown."""
        if duration_s is None:
            plain = self == FrameSelection(self.every)
            return -(-frames // self.every) if frames and plain else None
        end = duration_s if self.end_s is None else min(self.end_s, duration_s)
        share = max(0.0, end - self.start_s) / duration_s if duration_s > 0 else 0.0
        number = int(np.ceil(frames * share / self.every))
        return (
            number if self.rate_hz is None else min(number, int(np.ceil(self.rate_hz * max(0.0, end - self.start_s))))
        )

    def _period(self, time_s: float) -> int:
        return int(np.floor((time_s + _MOMENT_S) * (self.rate_hz or 0.0)))


ALL_FRAMES = FrameSelection()


@dataclass(frozen=True, slots=True)
class Place:
    """A frame of a video that was read before, by which decoding can begin near it."""

    index: int
    """As `Frame.index`."""
    time_s: float
    """As `Frame.timestamp_s`."""


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
            decoder = _Decoder(container)
            if (rest := decoder.sought(near)) is not None:
                yield from _selected(decoder, chosen, first, str(path), enumerate(rest, near.index))
                return
    with opened_video(Path(path)) as container:
        decoder = _Decoder(container)
        yield from _selected(decoder, chosen, first, str(path), enumerate(decoder))


def piped_frames(stream: BinaryIO, name: str, chosen: FrameSelection, first: int = 0) -> Iterator[Frame]:
    """As `frames`, of a video that comes through a pipe and is read once. Raises MienError for what is no video."""
    av = import_av()
    try:
        options = {"options": _DECODER_OPTIONS, "container_options": {"format_whitelist": ",".join(CONTAINERS)}}
        with av.open(stream, "r", **options) as container:
            if not container.streams.video:
                raise MienError(f"{name}: no video stream in it.")
            _limit_decoder(container.streams.video[0], Path(name))
            decoder = _Decoder(container)
            yield from _selected(decoder, chosen, first, name, enumerate(decoder))
    except av.FFmpegError as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise MienError(
            f"{name}: not a video that can be read through a pipe, or damaged ({reason}). Files: name them; of others "
            "make Matroska (ffmpeg ... -f matroska -)."
        ) from error


def _selected(
    decoder: "_Decoder", chosen: FrameSelection, first: int, name: str, decoded: Iterator[tuple[int, Any]]
) -> Iterator[Frame]:
    """Of the decoder's frames those that are chosen and not before `first`; as `frames`. name: of what is decoded."""
    held: Frame | None = None  # the last frame has the note of the end, so one is always kept back
    before_s: float | None = None
    for index, frame in decoded:
        time_s = decoder.time_of(index, frame)
        if chosen.is_past(time_s):
            if held is not None:
                yield held
            return
        if chosen.picks(index, time_s, before_s):
            note = decoder.note()  # of what was damaged before `first`, an earlier frame had it
            if index >= first:
                if held is not None:
                    yield held
                held = Frame(index, time_s, decoder.pixels_of(frame), note)
        before_s = time_s
    if decoder.decoded == 0:
        raise MienError(f"{name}: no frame of this video can be decoded{decoder.reason}.")
    if before_s is not None and before_s < chosen.start_s - _MOMENT_S:
        raise MienError(f"{name}: the video ends at {before_s:.2f} s, before start ({chosen.start_s:g} s).")
    if held is not None:
        notes = [held.note, decoder.note(), decoder.shortfall()]
        yield replace(held, note="; ".join(dict.fromkeys(filter(None, notes))))


class _Decoder:
    """The frames of a container's first video stream, past damaged packets, which it counts."""

    def __init__(self, container: "InputContainer") -> None:
        self.container, self.stream = container, container.streams.video[0]
        self.stream.thread_type = "AUTO"
        self.decoded = 0
        """Frames so far."""
        self.reason = ""
        """The decoder's message about the last damaged packet, in brackets."""
        self._start: float | None = None
        self._turn = 0
        self._matrix: Matrix | None = None
        self._last = 0.0
        self._damaged = 0
        self._corrupt = 0
        aspect = self.stream.sample_aspect_ratio
        self._aspect = float(aspect) if aspect else 1.0

    def __iter__(self) -> Iterator[Any]:
        for packet in self._packets():
            for frame in self._decode(packet):
                self.decoded += 1
                self._corrupt += bool(frame.is_corrupt)
                yield frame

    def sought(self, place: Place) -> Iterator[Any] | None:
        """The frames from that one on, by a search for the keyframe before it; None where it is not found so."""
        first = next(iter(self), None)
        if first is None or first.time is None:
            return None
        self.time_of(0, first)
        unit = self.stream.time_base
        if unit is None:
            return None
        try:
            self.container.seek(round((float(first.time) + place.time_s) / float(unit)), stream=self.stream)
        except import_av().FFmpegError:
            return None
        following = iter(self)
        for frame in following:
            if frame.time is None or self.time_of(place.index, frame) > place.time_s + _MOMENT_S:
                return None
            if self._last >= place.time_s - _MOMENT_S:
                self.note()  # what was damaged before it
                self.decoded = place.index + 1
                return chain([frame], following)
        return None

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self.container.demux(self.stream)
        except import_av().FFmpegError as error:
            if not self.decoded:
                raise
            self._damage(error)
            yield None  # the frames that the decoder still holds

    def _decode(self, packet: Any) -> list[Any]:
        try:
            return list(self.stream.decode(packet))
        except import_av().EOFError:
            return []
        except import_av().FFmpegError as error:
            self._damage(error)
            return []

    def _damage(self, error: Exception) -> None:
        self._damaged += 1
        self.reason = f" ({getattr(error, 'strerror', None) or error})"

    def note(self) -> str:
        """What was damaged since the last note."""
        parts = [f"{self._damaged} damaged packet{'s' if self._damaged > 1 else ''} before it"] if self._damaged else []
        parts += ["decoded with errors"] if self._corrupt else []
        self._damaged = self._corrupt = 0
        return ", ".join(parts)

    def shortfall(self) -> str:
        """How much of what its header states is missing at the end; empty where nothing is."""
        stated = stated_duration_s(self.stream, self.container)
        rate = float(self.stream.average_rate or 25)
        end = self._last + 1 / rate
        missing = self.stream.frames - self.decoded if self.stream.frames else 0
        # A container's length is that of its longest stream, which may be the sound.
        alone = self.stream.duration is not None or len(self.container.streams) == 1
        if stated and stated - end > max(1.0 if alone else 2.0, 2 / rate, 0.0 if alone else 0.05 * stated):
            return f"the video is cut short: {end:.2f} s of the {stated:.2f} s that its header states"
        if missing > max(2, 0.01 * self.stream.frames):
            return f"the video is cut short or damaged: {self.decoded} of {self.stream.frames} frames decode"
        return ""

    def time_of(self, index: int, frame: Any) -> float:
        """Seconds from the first frame's time."""
        time = float(frame.time) if frame.time is not None else None
        self._start = time if self._start is None else self._start
        self._last = index / float(self.stream.average_rate or 25) if time is None else time - (self._start or 0.0)
        return self._last

    def pixels_of(self, frame: Any) -> np.ndarray:
        """RGB, as players show it."""
        return _upright(_square(frame.to_ndarray(format="rgb24"), self._aspect), self._matrix_of(frame))

    def _matrix_of(self, frame: Any) -> Matrix:
        """Asked of a frame only where its turn is another than that of the frame before.

        PyAV's side data and their frame hold each other: every frame asked would stay in memory until the next
        collection of cycles, hundreds of megabytes later.
        """
        turn = frame.rotation
        if self._matrix is None or turn != self._turn:
            self._turn, self._matrix = turn, display_matrix(frame)
        return self._matrix


def video_info(path: Path | str) -> VideoInfo:
    """Size, length and rate, of the header and the first frame. Raises MienError for what is no video."""
    with opened_video(Path(path)) as container:
        stream = container.streams.video[0]
        first = next(container.decode(stream), None)
        if first is None:
            raise MienError(f"{path}: a video without a single frame.")
        turn = round(first.rotation) % 360
        width, height = _square_size(first.width, first.height, float(stream.sample_aspect_ratio or 1))
        return VideoInfo(
            size=(height, width) if _transposes(display_matrix(first)) else (width, height),
            frames=stream.frames,
            duration_s=stated_duration_s(stream, container),
            rate_hz=float(stream.average_rate) if stream.average_rate else None,
            rotation_deg=turn,
        )


def first_time_s(path: Path) -> float:
    """The first frame's time as the container counts it, which `Frame.timestamp_s` counts from. Raises as `frames`."""
    with opened_video(path) as container:
        decoder = _Decoder(container)
        frame = next(iter(decoder), None)
        if frame is None:
            raise MienError(f"{path}: no frame of this video can be decoded{decoder.reason}.")
        return 0.0 if frame.time is None else float(frame.time)


@contextmanager
def opened_video(path: Path, *, pictures: bool = True) -> Iterator["InputContainer"]:
    """The container, closed in the end. Raises MienError for what is no video, and for damage found meanwhile.

    pictures: whether it must have a video stream; without, a file of sound alone will do.
    """
    av = import_av()
    if not path.is_file():
        raise MienError(f"{path}: {'a folder, not a video' if path.is_dir() else 'no such file'}.")
    if path.stat().st_size == 0:
        raise MienError(f"{path}: the file is empty (0 bytes).")
    try:
        options = {"options": _DECODER_OPTIONS, "container_options": _CONTAINER_OPTIONS}
        with av.open(ffmpeg_name(path), **options) as container:
            if not container.streams.video and pictures:
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise MienError(f"{path}: no video stream in it, only {kinds}.")
            if container.streams.video:
                _limit_decoder(container.streams.video[0], path)
            yield container
    except (av.FFmpegError, ValueError) as error:
        if isinstance(error, MienError):
            raise
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        what = "video" if pictures else "video or sound"
        raise MienError(f"{path}: not a {what} that can be read, or damaged ({reason}).") from error


def _limit_decoder(stream: Any, path: Path) -> None:
    """Raises MienError for a codec that is not there, and for frames beyond the limit."""
    decoder = stream.codec_context
    if decoder is None:
        raise MienError(f"{path}: a video of a kind that is not decoded here, or damaged.")
    decoder.options = _DECODER_OPTIONS
    if not 0 < decoder.width * decoder.height <= FRAME_PIXELS:
        most = f"{FRAME_PIXELS / 1e6:g} million"
        raise MienError(f"{path}: frames of unknown size, or of more than {most} pixels, which is the most.")


def ffmpeg_name(path: Path) -> str:
    """The path as FFmpeg's name of a file: else one that begins with `http:`, `tcp:`, ... would be opened as such."""
    return f"file:{path.absolute()}"


def import_av() -> ModuleType:
    """PyAV. Raises MienError, with the way to install it, where it is missing."""
    try:
        import av
    except ImportError as error:
        raise MienError(f"Videos need PyAV: {install_hint('video')}.") from error
    return av


def stated_duration_s(stream: Any, container: Any) -> float | None:
    """Of the stream, else of the container; None where neither says."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return container.duration / 1e6 if container.duration else None


def display_matrix(frame: Any) -> Matrix:
    """(a, b, c, d) of the frame: source (x, y) is shown at (a x + c y, b x + d y), up to scale and shift."""
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return 1, 0, 0, 1
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()
    return a, b, c, d


def _transposes(matrix: Matrix) -> bool:
    """Whether it exchanges width and height: a quarter turn, with a mirror image or without."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def _upright(pixels: np.ndarray, matrix: Matrix) -> np.ndarray:
    """As the display matrix asks, in quarter turns and mirror images."""
    a, b, c, d = matrix
    if _transposes(matrix):
        pixels, a, d = pixels.swapaxes(0, 1), c, b
    pixels = pixels[:: -1 if d < 0 else 1, :: -1 if a < 0 else 1]
    return np.ascontiguousarray(pixels)


def _square(pixels: np.ndarray, aspect: float) -> np.ndarray:
    """With square pixels: enlarged along the side that is stored squeezed."""
    height, width = pixels.shape[:2]
    size = _square_size(width, height, aspect)
    return pixels if size == (width, height) else cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR)


def _square_size(width: int, height: int, aspect: float) -> tuple[int, int]:
    """(width, height) for pixels that are `aspect` times as wide as high; ratios that no camera has are ignored."""
    if not 1 / MOST_SQUEEZED <= aspect <= MOST_SQUEEZED:
        return width, height
    return (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))


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
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")))
        container.mux(stream.encode())
        if sound is not None and voice is not None:
            frame = av.AudioFrame.from_ndarray(sound.samples[None], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = sound.sample_rate_hz, 0  # without a time the encoder's delay would stay in
            container.mux(voice.encode(frame))
            container.mux(voice.encode())
