"""Windows of a recording for a network, one every `hop_s` seconds: where they lie, how loud they are, what is wrong.

A window lies within the recording as long as there is enough of it. Each stands for the stretch of time about its
centre, the first from the beginning on and the last to the end, so that the stretches leave nothing out and overlap
nowhere.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.core.typed import SameNumbers
from mien.media.sound.audio import Sound

LEAST_S = 0.3  # of a recording: a syllable
SILENCE_DB = -65.0  # root mean square, of full scale: below it is what a quiet room or a muted microphone leaves
CLIPPED_SHARE = 0.002  # of the samples at full scale, from which on a window has a note
_FULL_SCALE = 0.999


@dataclass(frozen=True, eq=False)
class VoiceWindow(SameNumbers):
    """A part of a recording that a network reads at once."""

    number: int
    """From 0."""
    start_s: float
    """Of the window, in the recording."""
    end_s: float
    """Of the window; at most the end of the recording, where padding follows."""
    from_s: float
    """Beginning of the stretch of time that it stands for."""
    to_s: float
    """End of that stretch; the next window's `from_s`."""
    level_db: float
    """Root mean square about the mean in decibels of full scale, at least -120; an offset is no sound."""
    clipped: float
    """Share of its samples at full scale."""
    kept: Sound | None = field(default=None, repr=False)
    """Its samples, without padding; None of the windows of `VoiceAnalyzer.read`."""
    damage: str = ""
    """Of the last window whether the recording is cut short; else empty."""

    @classmethod
    def of(cls, sound: Sound, number: int, start_s: float, end_s: float) -> "VoiceWindow":
        """Of its samples; the stretch of time is not known yet."""
        power = float(sound.samples.var(dtype=np.float64))
        clipped = float((np.abs(sound.samples) >= _FULL_SCALE).mean())
        return cls(number, start_s, end_s, 0.0, 0.0, 10 * float(np.log10(max(power, 1e-12))), clipped, sound)

    @property
    def sound(self) -> Sound:
        """Its samples, without padding. Raises MienError where they were not kept."""
        if self.kept is None:
            raise MienError("VoiceAnalyzer.read does not keep the samples of its windows; VoiceAnalyzer.stream does.")
        return self.kept

    @property
    def silent(self) -> bool:
        """Whether there is nothing in it to read."""
        return self.level_db < SILENCE_DB

    @property
    def note(self) -> str:
        """What is wrong with its sound; empty where nothing is."""
        own = f"clipped: {self.clipped:.1%} of the samples at full scale" if self.clipped >= CLIPPED_SHARE else ""
        if self.silent:
            own = f"silent ({self.level_db:.0f} dB of full scale)"
        return "; ".join(filter(None, [own, self.damage]))


def voice_windows(
    blocks: Iterable[Float[np.ndarray, " _"]],
    *,
    rate_hz: int,
    samples: int,
    hop_s: float,
    name: str,
    shortfall: Callable[[], str] = str,
) -> Iterator[VoiceWindow]:
    """The windows of `samples` samples of a recording that comes block by block, as soon as each is complete.

    A recording that is shorter than a window is one window of its own length; the last window of a longer one ends
    with it. Memory holds a window and a block. name: of the recording, for messages. shortfall: of a recording
    that was read to its end whether it is cut short, the last window's `damage`. Raises MienError for a recording
    shorter than LEAST_S.
    """
    hop = max(1, round(hop_s * rate_hz))
    kept, first, number = np.zeros(0, np.float32), 0, 0  # `first`: of `kept`, in samples of the recording
    held: VoiceWindow | None = None

    def window(start: int, end: int) -> VoiceWindow:
        sound = Sound(kept[start - first : end - first].copy(), rate_hz)
        return VoiceWindow.of(sound, number, start / rate_hz, end / rate_hz)

    for block in blocks:
        kept = np.concatenate([kept, block.astype(np.float32)])
        while number * hop + samples <= first + len(kept):
            found = window(number * hop, number * hop + samples)
            if held is not None:
                held, found = _parted(held, found)
                yield held
            held, number = found, number + 1
        if (done := number * hop - first) > 0:
            keep_from = min(done, max(0, len(kept) - samples))  # the last window ends with the recording
            kept, first = kept[keep_from:], first + keep_from
    total = first + len(kept)
    if total < LEAST_S * rate_hz:
        raise MienError(f"{name}: {total / rate_hz:.2f} s of sound; at least {LEAST_S:g} s are needed to read a voice.")
    if held is None or held.end_s * rate_hz < total - 0.5:
        found = window(max(0, total - samples), total)
        if held is not None:
            held, found = _parted(held, found)
            yield held
        held = found
    yield replace(held, to_s=total / rate_hz, damage=shortfall())


def _parted(one: VoiceWindow, other: VoiceWindow) -> tuple[VoiceWindow, VoiceWindow]:
    """Both with the time halfway between their centres as the end of one's stretch and the beginning of the other's."""
    middle = (one.start_s + one.end_s + other.start_s + other.end_s) / 4
    return replace(one, to_s=middle), replace(other, from_s=middle)
