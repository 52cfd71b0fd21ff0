"""The sound of a video: whole, or beside its frames, as windows that end at a frame's time. Needs PyAV and soxr:
the extras `video` and `audio`.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.limits import SOUND_BYTES, SOUND_LEAST_RATE_HZ, SOUND_LEVEL, SOUND_RATE_HZ
from mien.core.spec import SoundInput
from mien.media.listing import is_video
from mien.media.sound.audio import Sound, opened_sound, read_sound, resample_blocks
from mien.media.video import first_time_s
from mien.media.video.container import opened_video

if TYPE_CHECKING:
    from av.container import InputContainer

Block = Float[np.ndarray, " _"]  # mono samples
_CONTAINERS = (".m4a", ".aac", ".wma", ".amr")  # sounds that soundfile does not read
_SILENCE_S = 1.0  # at most so much is filled in at a time
_LONGEST_GAP_S = 3600.0  # more is a wrong time, not silence
_GAP_S = 0.1  # two packets further apart have silence between them; less is how their times are rounded


class Soundtrack:
    """Windows for a network from blocks of sound, which are read as far as the windows go.

    blocks: mono at `given.rate_hz`, from time 0 on. Memory holds one window, however long the sound is.
    """

    def __init__(self, blocks: Iterator[Block], given: SoundInput) -> None:
        self.given = given
        self._blocks = blocks
        self._kept: Block = np.zeros(0, np.float32)
        self._end = 0  # of `_kept`, in samples from time 0

    def until(self, time_s: float) -> Sound:
        """The `given.samples` samples that end at this time, which must not be before that of an earlier call.

        In front of the first sample stands what `given.padding` says: silence, or the sound so far again and again.
        After the last sample follows silence.
        """
        end = max(0, round(time_s * self.given.rate_hz))
        while self._end < end:
            block = next(self._blocks, None)
            if block is None:
                self._keep(np.zeros(min(end - self._end, self.given.samples), np.float32))
                self._end = end
            else:
                self._keep(block)
        heard = self._kept[: len(self._kept) - (self._end - end)] if self._end > end else self._kept
        return Sound(_ending(heard, self.given), self.given.rate_hz)

    def _keep(self, block: Block) -> None:
        """With what a later window may still need: one that ends where this block begins."""
        self._end += len(block)
        self._kept = np.concatenate([self._kept, block])[-(self.given.samples + len(block)) :]


@contextmanager
def opened_soundtrack(path: Path | str, given: SoundInput) -> Iterator[Soundtrack | None]:
    """The first sound stream of a video, time 0 at its first frame as in `Frame.timestamp_s`; None without sound.

    Damaged packets and gaps between packets are silence. Raises MienError for what is no video.
    """
    path = Path(path)
    start_s = first_time_s(path)
    with opened_video(path) as container:
        blocks = _first_kept(_blocks(container, start_s, given.rate_hz))
        yield None if blocks is None else Soundtrack(blocks, given)


@dataclass(frozen=True)
class Recording:
    """A sound as it is read."""

    rate_hz: int
    """Of the file; nothing above half of it can be heard."""
    blocks: Iterator[Block]
    """Mono at the rate that was asked for, without gaps. One after the other, and once."""
    shortfall: Callable[[], str] = str
    """Once all blocks were read: that the file is cut short; empty where it is whole, or nothing states its length."""


@contextmanager
def opened_recording(path: Path | str, *, rate_hz: int) -> Iterator[Recording | None]:
    """The sound of a file, block by block: memory holds one block.

    Of a video time 0 is its first frame, as in `Frame.timestamp_s`; None where it has no sound. Raises MienError for
    what is neither a video nor a sound.
    """
    path = Path(path)
    if not (is_video(path) or path.suffix.lower() in _CONTAINERS):
        with opened_sound(path) as sound:
            blocks = resample_blocks(sound.blocks, sound.rate_hz, rate_hz)
            yield Recording(sound.rate_hz, blocks, sound.shortfall)
        return
    with opened_video(path, pictures=False) as container:
        start_s = first_time_s(path) if container.streams.video else 0.0
        found = _first_kept(_blocks(container, start_s, rate_hz))
        stream = container.streams.audio[0] if container.streams.audio else None
        yield None if found is None or stream is None else Recording(int(stream.rate), found)


def load_sound(path: Path | str, *, sample_rate_hz: int) -> Sound:
    """`read_sound`, also of a video or of a container of sound alone that only PyAV reads (.m4a), from its start to its
    end. Raises MienError for one without sound.
    """
    path = Path(path)
    if not (is_video(path) or path.suffix.lower() in _CONTAINERS):
        return read_sound(path, sample_rate_hz=sample_rate_hz)
    with opened_video(path, pictures=False) as container:
        kept, length = [np.zeros(0, np.float32)], 0
        for block in _blocks(container, 0.0, sample_rate_hz):
            kept.append(block)
            length += len(block)
            if 4 * length > SOUND_BYTES:
                raise MienError(
                    f"{path}: more sound than {SOUND_BYTES >> 20} MB, which is the most. Cut it into parts."
                )
    if not length:
        raise MienError(f"{path}: no sound in it. Take a recording with sound, or a network that needs none.")
    return Sound(np.concatenate(kept), sample_rate_hz)


def _ending(samples: Block, given: SoundInput) -> Block:
    """The last `given.samples` of them; fewer are padded in front."""
    missing = given.samples - len(samples)
    if missing <= 0:
        return samples[-given.samples :]
    if given.padding == "repeat" and len(samples):
        return np.resize(samples[::-1], given.samples)[::-1].copy()
    return np.concatenate([np.zeros(missing, np.float32), samples])


def _first_kept(blocks: Iterator[Block]) -> Iterator[Block] | None:
    """The same blocks; None where there is not one."""
    first = next(blocks, None)
    return None if first is None else chain([first], blocks)


def _blocks(container: "InputContainer", start_s: float, rate_hz: int) -> Iterator[Block]:
    """Mono at that rate, without gaps, from `start_s` on."""
    if not container.streams.audio:
        return
    frames = _frames(container, container.streams.audio[0])
    first = next(frames, None)
    if first is None or not SOUND_LEAST_RATE_HZ <= first.sample_rate <= SOUND_RATE_HZ:
        return
    rate = first.sample_rate
    yield from resample_blocks(_without_gaps(_timed(first, frames, start_s), rate), rate, rate_hz)


def _frames(container: "InputContainer", stream: Any) -> Iterator[Any]:
    """Decoded frames, past damaged packets."""
    import av

    with suppress(av.FFmpegError):  # a file that ends in the middle
        for packet in container.demux(stream):
            with suppress(av.FFmpegError):
                yield from stream.decode(packet)


def _timed(first: Any, rest: Iterator[Any], start_s: float) -> Iterator[tuple[float | None, Block]]:
    """(seconds after `start_s` or None, the mean of the channels) of each frame that is like the first."""
    import av

    layout, rate = first.layout.name, first.sample_rate
    as_float = av.AudioResampler(format="fltp")

    def mono(frame: Any) -> tuple[float | None, Block]:
        channels = np.concatenate([part.to_ndarray() for part in as_float.resample(frame)], axis=1)
        time_s = None if frame.time is None else float(frame.time) - start_s
        mean = np.nan_to_num(channels.mean(axis=0, dtype=np.float64))  # damage: silence, or as loud as may be
        return time_s, mean.clip(-SOUND_LEVEL, SOUND_LEVEL).astype(np.float32)

    yield mono(first)
    for frame in rest:
        if (frame.layout.name, frame.sample_rate) == (layout, rate):
            yield mono(frame)


def _without_gaps(timed: Iterator[tuple[float | None, Block]], rate: int) -> Iterator[Block]:
    """From time 0 on: the first block stands at its time, each further one at the end of the block before it.

    What lies before time 0 is cut off, and a gap is filled with silence.
    """
    position, tolerance = 0, 0.0
    for number, (time_s, block) in enumerate(timed):
        place = position if time_s is None else round(time_s * rate)
        if abs(place - position) > _LONGEST_GAP_S * rate:
            place = position
        if number == 0:
            position = min(0, place)
        if place - position > tolerance:
            yield from _silence(max(0, place) - max(0, position), rate)
            position = place
        if len(heard := block[max(0, -position) :]):
            yield heard
        position, tolerance = position + len(block), _GAP_S * rate


def _silence(samples: int, rate: int) -> Iterator[Block]:
    """In blocks, so that a wrong time in a file takes no memory."""
    longest = round(_SILENCE_S * rate)
    for start in range(0, samples, longest):
        yield np.zeros(min(longest, samples - start), np.float32)
