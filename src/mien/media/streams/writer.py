"""Videos that are written as their pictures come, with a sound beside them: of another file, as it is, or samples.

Needs PyAV: the extra `video`.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from mien.media.files import atomic_path
from mien.media.video import first_time_s, frame_of
from mien.media.video.container import ffmpeg_name, import_av, opened_video

SOUND_HZ = 44_100
LEAD_S = 0.2  # of sound before pictures in the file, so that players find both together
_PIECE = 4096  # samples that are written at once
TICKS = 90_000  # of a second, as times of pictures are written
CRF_18 = {"crf": "18"}  # x264's quality, lower is better
COPIED = ("aac", "mp3", "ac3", "eac3", "alac", "opus", "flac")  # sounds that an .mp4 holds as they are


class VideoWriter:
    """Pictures, each with its time, and a sound, on their way into a video. RGB, with even sides."""

    def __init__(
        self, container: Any, *, size: tuple[int, int] | None = None, rate_hz: float = 25.0, pictures_like: Any = None,
        sound_rate_hz: int | None = None, sound_like: Any = None, x264: Mapping[str, str] = CRF_18, after: int = -1,
    ) -> None:  # fmt: skip
        """size: of pictures that are encoded, with x264's options. pictures_like, sound_like: the stream whose packets
        come instead. sound_rate_hz: of samples that come, mono. after: time of the picture before the first, in ticks.
        """
        self._container, self._av = container, import_av()
        self._last, self._samples = after, 0
        self._stream = (
            self._encoder(size, rate_hz, x264)
            if size is not None
            else container.add_stream_from_template(pictures_like)
        )
        self._encodes = size is not None
        self._voice = container.add_stream("aac", rate=sound_rate_hz) if sound_rate_hz is not None else None
        self._copied = container.add_stream_from_template(sound_like) if sound_like is not None else None

    def _encoder(self, size: tuple[int, int], rate_hz: float, options: Mapping[str, str]) -> Any:
        stream = self._container.add_stream("libx264", rate=Fraction(rate_hz).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.options, stream.codec_context.time_base = dict(options), Fraction(1, TICKS)
        return stream

    def picture(self, pixels: UInt8[np.ndarray, "height width 3"], time_s: float) -> int:
        """Its time in ticks; one that is not after the one before is moved behind it."""
        frame = frame_of(pixels)
        self._last = max(self._last + 1, round(time_s * TICKS))
        frame.pts, frame.time_base = self._last, Fraction(1, TICKS)
        self._container.mux(self._stream.encode(frame))
        return self._last

    def picture_packet(self, packet: Any) -> None:
        """An encoded picture, with its times from the video's first."""
        packet.stream = self._stream
        self._container.mux(packet)

    def sound(self, samples: np.ndarray) -> None:
        """The samples that follow."""
        if self._voice is None or not len(samples):
            return
        frame = self._av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = self._voice.rate, self._samples
        frame.time_base = Fraction(1, self._voice.rate)
        self._samples += len(samples)
        self._container.mux(self._voice.encode(frame))

    def sound_packet(self, packet: Any) -> None:
        """An encoded piece of sound, with its times from the video's first picture."""
        packet.stream = self._copied
        self._container.mux(packet)

    def finish(self) -> None:
        """What the encoders still hold."""
        if self._encodes:
            self._container.mux(self._stream.encode())
        if self._voice is not None and self._samples:
            self._container.mux(self._voice.encode())


@contextmanager
def video_writer(path: Path | str, **options: Any) -> Iterator[VideoWriter]:
    """A video that is written as it comes: H.264, with a sound as AAC, in an .mp4 (or a .nut, which keeps the times of
    pictures to the tick); whole in the end or not there.

    options: as for VideoWriter: size (width, height), even; rate_hz of pictures, on average.
    """
    av, path = import_av(), Path(path)
    with atomic_path(path) as temporary, av.open(ffmpeg_name(temporary), "w", format=path.suffix[1:]) as container:
        writer = VideoWriter(container, **options)
        yield writer
        writer.finish()


class SoundAhead:
    """Gives a video its sound, in blocks of mono samples at SOUND_HZ, a little ahead of its pictures."""

    def __init__(self, video: VideoWriter, blocks: Iterator[np.ndarray]) -> None:
        self._video = video
        self._blocks = (block[i : i + _PIECE] for block in blocks for i in range(0, len(block), _PIECE))
        self._done = 0

    def until(self, time_s: float, *, last: bool = False) -> None:
        """last: no further than that time, where the video ends."""
        end = round((time_s + (0 if last else LEAD_S)) * SOUND_HZ)
        while self._done < end and (block := next(self._blocks, None)) is not None:
            self._video.sound(block[: end - self._done] if last else block)
            self._done += len(block)


class CopiedSound:
    """Gives a video another one's sound as it is, packet by packet, a little ahead of its pictures.

    packets: with presentation times. start_s: what becomes time 0; what is before it is left out.
    """

    def __init__(self, video: VideoWriter, packets: Iterator[Any], start_s: float) -> None:
        self._video, self._packets, self._start_s = video, packets, start_s
        self._next: Any = None

    def until(self, time_s: float, *, last: bool = False) -> None:
        """last: no further than that time, where the video ends."""
        end = time_s + (0 if last else LEAD_S)
        while True:
            packet = self._next if self._next is not None else next(self._packets, None)
            self._next = packet
            if packet is None or self._time_s(packet) >= end:
                return
            self._next = None
            if self._time_s(packet) >= 0:
                shift = round(self._start_s / packet.time_base)
                packet.pts, packet.dts = packet.pts - shift, packet.pts - shift
                self._video.sound_packet(packet)

    def _time_s(self, packet: Any) -> float:
        return float(packet.pts * packet.time_base) - self._start_s


@contextmanager
def video_like(
    path: Path, source: Path | None, *, start_s: float = 0.0, **options: Any
) -> Iterator[tuple[VideoWriter, SoundAhead | CopiedSound | None]]:  # fmt: skip
    """A video of new pictures with the sound of `source`: copied where an .mp4 holds it, else encoded anew, mono.

    start_s: the time in `source`, from its first frame, that becomes time 0. None is no sound. options: of pictures, as
    for VideoWriter.
    """
    with ExitStack() as stack:
        container = stack.enter_context(opened_video(source)) if source is not None else None
        stream = container.streams.audio[0] if container is not None and container.streams.audio else None
        if source is None or container is None or stream is None:
            yield stack.enter_context(video_writer(path, **options)), None
        elif stream.codec_context is not None and stream.codec_context.name in COPIED:
            video = stack.enter_context(video_writer(path, **options, sound_like=stream))
            packets = (packet for packet in container.demux(stream) if packet.pts is not None and packet.size)
            yield video, CopiedSound(video, packets, first_time_s(source) + start_s)
        else:
            from mien.media.video.soundtrack import opened_recording

            video = stack.enter_context(video_writer(path, **options, sound_rate_hz=SOUND_HZ))
            recording = stack.enter_context(opened_recording(source, rate_hz=SOUND_HZ))
            yield video, SoundAhead(video, _after(recording.blocks if recording else iter(()), start_s))


def _after(blocks: Iterator[np.ndarray], start_s: float) -> Iterator[np.ndarray]:
    """Without the samples before that time."""
    skipped = round(start_s * SOUND_HZ)
    for block in blocks:
        rest = block[skipped:]
        skipped -= min(skipped, len(block))
        if len(rest):
            yield rest
