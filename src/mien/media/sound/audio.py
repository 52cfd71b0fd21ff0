"""Sound in and out: mono, float32, -1..1. Plain WAV needs nothing, the rest the extra `audio`."""

import importlib
import struct
import wave
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.core.limits import SOUND_BYTES, SOUND_CHANNELS, SOUND_LEAST_RATE_HZ, SOUND_LEVEL, SOUND_RATE_HZ
from mien.core.typed import SameNumbers
from mien.media.files import atomic_path

_WRITTEN = {".wav": "WAV", ".flac": "FLAC", ".ogg": "OGG"}
_FULL = 32768.0
_BLOCK = 1 << 16  # samples of each channel
CUT_SHORT = "the sound is cut short"
_CUT_S, _CUT_SHARE = 0.1, 0.01  # what may be missing, since some headers round or count padding
_UNKNOWN_BYTES = 0x7FFF_0000  # lengths from here on are those of streams, whose end nobody knew


@dataclass(frozen=True, slots=True, eq=False)
class Sound(SameNumbers):
    """A mono recording."""

    samples: Float[np.ndarray, "samples"]
    """-1..1 is full scale."""
    sample_rate_hz: int
    """Of `samples`."""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


def check_sound(sound: Sound) -> None:
    """Raises MienError for samples and a rate that no file could have."""
    samples, rate = sound.samples, sound.sample_rate_hz
    if not (isinstance(samples, np.ndarray) and samples.ndim == 1 and np.issubdtype(samples.dtype, np.floating)):
        kind = f"{samples.dtype} {list(samples.shape)}" if isinstance(samples, np.ndarray) else type(samples).__name__
        raise MienError(f"The samples of a Sound are an array of floats, [samples], full scale -1..1; got {kind}.")
    if not (isinstance(rate, int | np.integer) and SOUND_LEAST_RATE_HZ <= rate <= SOUND_RATE_HZ):
        raise MienError(f"sample_rate_hz is a whole number, {SOUND_LEAST_RATE_HZ} to {SOUND_RATE_HZ:,}; got {rate}.")
    if not (np.abs(samples) <= SOUND_LEVEL).all():  # also NaN
        raise MienError(
            f"The sound holds values that are no numbers (NaN or infinity), or beyond {SOUND_LEVEL:,.0f} times full "
            "scale."
        )


def read_sound(path: Path | str, *, sample_rate_hz: int | None = None) -> Sound:
    """The mean of a file's channels, resampled where a rate is asked for.

    PCM WAV is read without extras. Raises MienError as `opened_sound`, for a file without a sample, and for one beyond
    SOUND_BYTES (core.limits).
    """
    path = Path(path)
    with opened_sound(path, most=SOUND_BYTES) as stream:
        rate, samples = stream.rate_hz, [*stream.blocks]
    if not samples:
        raise MienError(f"{path}: a sound without a single sample.")
    sound = Sound(np.concatenate(samples), rate)
    return sound if sample_rate_hz is None else resample(sound, sample_rate_hz)


@dataclass(slots=True, eq=False)
class SoundStream:
    """A sound that is read block by block: memory holds one block."""

    rate_hz: int
    """Samples a second."""
    stated: int
    """Samples that the file's header states; 0 where it states none."""
    blocks: Iterator[Float[np.ndarray, " _"]] = field(default_factory=lambda: iter(()))
    """The mean of the channels, none of them empty. One after the other, and once."""
    read: int = 0
    """Samples that came so far."""

    def shortfall(self) -> str:
        """Once all blocks were read: that the file is cut short; empty where it is whole."""
        return shortfall(self.read / self.rate_hz, self.stated / self.rate_hz)


def shortfall(read_s: float, stated_s: float) -> str:
    """That a sound is cut short, where its header states clearly more seconds than were read; else empty."""
    if stated_s - read_s <= max(_CUT_S, _CUT_SHARE * stated_s):
        return ""
    return f"{CUT_SHORT}: {read_s:.2f} s of the {stated_s:.2f} s that its header states"


@contextmanager
def opened_sound(path: Path, *, most: int | None = None) -> Iterator[SoundStream]:
    """A file's rate and the mean of its channels block by block.

    most: bytes that all channels may take in float32. Raises MienError for what is no sound, and, as it is read, for
    values that are no numbers and for more than `most`.
    """
    if not path.is_file():
        raise MienError(f"{path}: {'a folder, not a sound' if path.is_dir() else 'no such file'}.")
    if path.stat().st_size == 0:
        raise MienError(f"{path}: the file is empty (0 bytes).")
    with ExitStack() as stack:
        file = _opened_pcm(path, stack) or _opened_any(path, stack)
        _check_size(path, file, file.frames, most)
        stream = SoundStream(file.rate_hz, _stated(path, file.stated))
        stream.blocks = _mono(path, file, most, stream)
        yield stream


@dataclass(frozen=True, slots=True, eq=False)
class _File:
    """An opened sound."""

    channels: int
    """At least 1."""
    rate_hz: int
    """Samples of a channel a second."""
    frames: int
    """Samples of each channel; 0 where only reading tells."""
    stated: int
    """As the header states them, right or wrong; 0 where it states none."""
    blocks: Iterator[np.ndarray]
    """float32 [samples, channels]."""


def _stated(path: Path, frames: int) -> int:
    """Samples by the header: `frames`, or more where the file is shorter than its RIFF or FORM header states."""
    with path.open("rb") as file:
        start = file.read(8)
    order = {b"RIFF": "little", b"FORM": "big"}.get(start[:4])
    whole = 8 + int.from_bytes(start[4:], "little" if order == "little" else "big")
    held = path.stat().st_size
    if order is None or not held < whole < _UNKNOWN_BYTES:  # programs that stream write the largest number, or 0
        return frames
    return round(frames * whole / held)


def _mono(path: Path, file: _File, most: int | None, stream: SoundStream) -> Iterator[Float[np.ndarray, " _"]]:
    frames = 0
    for block in file.blocks:
        if not (np.abs(block) <= SOUND_LEVEL).all():  # also NaN
            raise MienError(
                f"{path}: holds values that are no numbers (NaN or infinity), or beyond {SOUND_LEVEL:,.0f} times full "
                "scale."
            )
        frames += len(block)
        stream.read = frames
        _check_size(path, file, frames, most)
        if len(block):
            yield np.ascontiguousarray(block.mean(axis=1, dtype=np.float64), dtype=np.float32)


def resample(sound: Sound, sample_rate_hz: int) -> Sound:
    """The same sound at another rate, by soxr at high quality; unchanged where the rate is already that."""
    if sample_rate_hz < 1:
        raise MienError(f"sample_rate_hz must be at least 1; got {sample_rate_hz}.")
    if sample_rate_hz == sound.sample_rate_hz:
        return sound
    if (seconds := sound.duration_s) * sample_rate_hz * 4 > SOUND_BYTES:
        raise MienError(f"{seconds / 3600:.1f} hours of sound at {sample_rate_hz:,} Hz are too long: cut it.")
    soxr = _extra("soxr", f"Resampling from {sound.sample_rate_hz} to {sample_rate_hz} Hz")
    samples = soxr.resample(sound.samples, sound.sample_rate_hz, sample_rate_hz, quality="HQ")
    return Sound(np.asarray(samples, np.float32), sample_rate_hz)


def resample_blocks(
    blocks: Iterable[Float[np.ndarray, " _"]], rate_hz: int, wanted_hz: int
) -> Iterator[Float[np.ndarray, " _"]]:
    """As `resample` for sound that comes block by block; memory holds one block."""
    if rate_hz == wanted_hz:
        yield from blocks
        return
    soxr = _extra("soxr", f"Resampling from {rate_hz} to {wanted_hz} Hz")
    stream = soxr.ResampleStream(rate_hz, wanted_hz, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(np.ascontiguousarray(block))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def write_sound(path: Path | str, sound: Sound) -> None:
    """16 bit, atomically: .wav (without extras), .flac or .ogg. Raises MienError for samples outside -1..1."""
    path = Path(path)
    if path.suffix.lower() not in _WRITTEN:
        raise MienError(f"Sound is written as {', '.join(_WRITTEN)}; got {path.name!r}.")
    if sound.samples.ndim != 1 or not len(sound.samples):
        raise MienError(f"Sound must be mono, [samples], with at least one; got shape {sound.samples.shape}.")
    peak = float(np.abs(sound.samples).max())
    if not peak <= 1:  # also NaN
        raise MienError(f"Samples must lie within -1 and 1; got a peak of {peak:.3g}. Divide by it first.")
    whole = np.clip(np.round(sound.samples.astype(np.float64) * _FULL), -_FULL, _FULL - 1).astype("<i2")
    with atomic_path(path) as temporary:
        if path.suffix.lower() == ".wav":
            _write_pcm(temporary, whole, sound.sample_rate_hz)
        else:
            soundfile = _extra("soundfile", f"Writing {path.suffix}")
            form = _WRITTEN[path.suffix.lower()]
            soundfile.write(str(temporary), whole, sound.sample_rate_hz, format=form)


def _write_pcm(path: Path, whole: np.ndarray, sample_rate_hz: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(sample_rate_hz)
        file.writeframes(whole.tobytes())


def _opened_pcm(path: Path, stack: ExitStack) -> _File | None:
    """None where it is not WAV of whole numbers."""
    try:
        file = stack.enter_context(wave.open(str(path), "rb"))  # noqa: SIM115 (the stack closes it)
        width, channels, rate = file.getsampwidth(), file.getnchannels(), file.getframerate()
        held = path.stat().st_size // (width * channels)  # chunks may state more than the file has
    except (wave.Error, EOFError, RuntimeError, struct.error):
        return None
    if width not in (1, 2, 3, 4):
        return None
    frames = min(file.getnframes(), held)
    return _File(channels, rate, frames, frames, _pcm_blocks(file, width * channels, width))


def _pcm_blocks(file: wave.Wave_read, frame: int, width: int) -> Iterator[np.ndarray]:
    """frame: bytes of a sample of all channels. A file cut short ends with its last whole sample."""
    with suppress(wave.Error, EOFError, RuntimeError, struct.error):
        while data := file.readframes(_BLOCK):
            data = data[: len(data) - len(data) % frame]
            yield _scaled(data, width).reshape(-1, frame // width)


def _check_size(path: Path, file: _File, frames: int, most: int | None) -> None:
    """Raises MienError for a sound beyond the limits."""
    channels, rate_hz = file.channels, file.rate_hz
    if not (1 <= channels <= SOUND_CHANNELS and SOUND_LEAST_RATE_HZ <= rate_hz <= SOUND_RATE_HZ):
        raise MienError(
            f"{path}: a sound of {channels:,} channels at {rate_hz:,} Hz; 1 to {SOUND_CHANNELS} at "
            f"{SOUND_LEAST_RATE_HZ} to {SOUND_RATE_HZ:,} Hz are read."
        )
    if most is not None and frames * channels * 4 > most:
        raise MienError(
            f"{path}: a sound of more than {most // channels // rate_hz // 240:,} minutes, which is the most at "
            f"{rate_hz:,} Hz with {channels} channels. Cut it into parts."
        )


def _scaled(data: bytes, width: int) -> np.ndarray:
    """Little-endian whole numbers of `width` bytes (one byte: offset by 128) as float32 in -1..1."""
    if width == 1:
        return (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / 128
    if width == 3:
        padded = np.zeros((len(data) // 3, 4), np.uint8)
        padded[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
        return (padded.view("<i4")[:, 0] / 2.0**31).astype(np.float32)
    return (np.frombuffer(data, f"<i{width}") / 2.0 ** (8 * width - 1)).astype(np.float32)


def _opened_any(path: Path, stack: ExitStack) -> _File:
    soundfile = _extra("soundfile", f"Reading {path.name} (not plain WAV)")
    with _readable(path, soundfile):
        # absolute: the name "-" would be the standard input
        file = stack.enter_context(soundfile.SoundFile(str(path.absolute())))
        known = file.frames < _UNKNOWN_BYTES and (file.format != "MP3" or _counts_frames(path))
        stated = int(file.frames) if known else 0
        return _File(file.channels, int(file.samplerate), 0, stated, _blocks(path, soundfile, file))


def _counts_frames(path: Path) -> bool:
    """Whether an MP3 states how many frames it has (a Xing or Info header); of others the length is an estimate."""
    with path.open("rb") as file:
        start = file.read(_BLOCK)
    return b"Xing" in start or b"Info" in start


def _blocks(path: Path, soundfile: ModuleType, file: Any) -> Iterator[np.ndarray]:
    """As far as it goes: the length in its header may be anything."""
    block = np.zeros((_BLOCK, 0), np.float32)
    while len(block) == _BLOCK:
        with _readable(path, soundfile):
            block = file.read(_BLOCK, dtype="float32", always_2d=True)
        yield block


@contextmanager
def _readable(path: Path, soundfile: ModuleType) -> Iterator[None]:
    """What soundfile raises as MienError."""
    try:
        yield
    except (soundfile.LibsndfileError, RuntimeError, ValueError, TypeError) as error:  # .raw has no header
        reason = " ".join(str(error).split()).removeprefix(f"Error opening {str(path.absolute())!r}: ")
        raise MienError(f"{path}: not a sound that can be read, or damaged ({reason.rstrip('.')}).") from error


def _extra(name: str, what: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except (ImportError, OSError) as error:  # OSError: soundfile without its library
        raise MienError(f"{what} needs {name}: {install_hint('audio')}.") from error
