"""Synthetic speech: syllables spoken by somebody with an expression, and the whole truth about it.

A formant synthesiser of the textbook kind (Klatt 1980), meant for exact truth and for learning prosody; it sounds like
a machine. `phones` says what is spoken, `speakers` by whom, `prosody` how; `voice` makes the sound.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.synthetic.voices.phones import Syllable, phones, syllables_of
from mien.synthetic.voices.prosody import Prosody, sample_prosody
from mien.synthetic.voices.speakers import Speaker, sample_speaker
from mien.synthetic.voices.utterance import Spoken, timed, tracks_of
from mien.synthetic.voices.voice import Tracks, frame_hop, friction_sound, voiced_sound

NEUTRAL_DBFS = -44.0  # of voiced frames; leaves room for the 25 dB between neutral and a shout, and for peaks
_PEAK = 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A synthetic utterance with its truth."""

    samples: Float[np.ndarray, "samples"]
    """Mono, -1..1."""
    sample_rate_hz: int
    """Of `samples`."""
    expression: str
    """Of the voice."""
    intensity: float
    """Of the expression, 0..1."""
    speaker: Speaker
    """Whose voice it is."""
    prosody: Prosody
    """Drawn for this utterance."""
    syllables: tuple[Spoken, ...]
    """When each is spoken."""
    sounds: tuple[Spoken, ...]
    """When each is spoken."""
    frame_rate_hz: float
    """Of `f0_hz` and `level_db`, from 0 s."""
    f0_hz: Float[np.ndarray, "frames"]
    """Pitch; 0 where there is no voice."""
    level_db: Float[np.ndarray, "frames"]
    """Of the samples around each time, re full scale."""
    tracks: Tracks
    """All movements of source and tract."""

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


def speak(
    content: str | int | Sequence[Syllable] = 7,
    *,
    expression: str = "neutral",
    intensity: float = 1.0,
    speaker: Speaker | None = None,
    seed: int | Sequence[int] = 0,
    sample_rate_hz: int = 16_000,
    silence_s: float = 0.15,
    noise_dbfs: float = -90.0,
) -> Speech:
    """Says a text (see `phones`), that many random syllables, or the given ones. The same seed gives the same bytes.

    intensity: 0 neutral, 0.5 ordinary, 1 strong. speaker: drawn from the seed where not given. silence_s: about, before
    and after. noise_dbfs: of the recording. Raises MienError for what cannot be said and for rates outside 8..48 kHz.
    """
    if not 8000 <= sample_rate_hz <= 48_000:
        raise MienError(f"sample_rate_hz must lie within 8000 and 48000; got {sample_rate_hz}.")
    rng = np.random.Generator(np.random.PCG64(seed))
    drawn = sample_speaker(rng)
    speaker = speaker or drawn
    syllables = _syllables(content, rng)
    prosody = sample_prosody(expression, rng, intensity=intensity, expressivity=speaker.expressivity)
    score = timed(syllables, prosody, speaker, rng, silence_s=silence_s)
    tracks = tracks_of(score, syllables, prosody, speaker, rng, sample_rate_hz=sample_rate_hz)
    samples = _recorded(tracks, prosody, speaker, rng, sample_rate_hz=sample_rate_hz, noise_dbfs=noise_dbfs)
    hop = frame_hop(sample_rate_hz)
    return Speech(
        samples=samples,
        sample_rate_hz=sample_rate_hz,
        expression=expression,
        intensity=intensity,
        speaker=speaker,
        prosody=prosody,
        syllables=tuple(score.syllables),
        sounds=tuple(score.sounds),
        frame_rate_hz=sample_rate_hz / hop,
        f0_hz=np.where(tracks.voice > 0.05, tracks.f0_hz, 0.0).astype(np.float32),
        level_db=_levels(samples, hop),
        tracks=tracks,
    )


def random_syllables(count: int, rng: np.random.Generator) -> list[Syllable]:
    """Consonant, vowel, sometimes a final consonant; every second or third is stressed; a pause after 6 to 10."""
    if count < 1:
        raise MienError(f"Speech needs at least one syllable; got {count}.")
    onsets = [symbol for symbol, phone in phones().items() if not phone.is_vowel and symbol != "ng"]
    vowels = [symbol for symbol, phone in phones().items() if phone.is_vowel and symbol != "@"]
    result: list[Syllable] = []
    until_stress, until_pause = int(rng.integers(0, 2)), int(rng.integers(6, 11))
    for number in range(count):
        stressed = until_stress == 0
        until_stress = int(rng.integers(1, 3)) if stressed else until_stress - 1
        vowel = "@" if not stressed and rng.random() < 0.35 else str(rng.choice(vowels))
        coda = (str(rng.choice(["n", "m", "s", "l", "t", "k", "ng"])),) if rng.random() < 0.3 else ()
        until_pause -= 1
        pause = until_pause == 0 and number < count - 1
        until_pause = int(rng.integers(6, 11)) if until_pause == 0 else until_pause
        result.append(Syllable((str(rng.choice(onsets)), vowel, *coda), stressed, 250.0 if pause else 0.0))
    return result


def _syllables(content: str | int | Sequence[Syllable], rng: np.random.Generator) -> list[Syllable]:
    if isinstance(content, str):
        return syllables_of(content)
    if isinstance(content, int | np.integer):
        return random_syllables(int(content), rng)
    if not content:
        raise MienError("Speech needs at least one syllable; got none.")
    return list(content)


def _recorded(
    tracks: Tracks,
    prosody: Prosody,
    speaker: Speaker,
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
    noise_dbfs: float,
) -> np.ndarray:
    """float32. The strong frames of the voice have its level; friction grows half as much. Too loud is turned down."""
    voiced = voiced_sound(tracks, rng, sample_rate_hz=sample_rate_hz)
    strong = np.repeat(tracks.voice[:-1] > 0.35 * tracks.voice.max(), frame_hop(sample_rate_hz))
    voiced /= np.sqrt(np.mean(voiced[strong] ** 2)) + 1e-12
    friction = friction_sound(tracks, rng, sample_rate_hz=sample_rate_hz)
    level = prosody.level_db
    samples = voiced * 10 ** (level / 20) + friction * 10 ** (0.5 * level / 20)
    samples *= 10 ** ((NEUTRAL_DBFS + speaker.level_db) / 20)
    samples += rng.standard_normal(len(samples)) * 10 ** (noise_dbfs / 20)
    return (samples * min(1.0, _PEAK / float(np.abs(samples).max()))).astype(np.float32)


def _levels(samples: np.ndarray, hop: int) -> np.ndarray:
    """Mean power of two hops around each frame, dB re full scale, float32."""
    power = np.concatenate([[0.0], (samples.astype(np.float64) ** 2).reshape(-1, hop).mean(1), [0.0]])
    return (10 * np.log10(0.5 * (power[:-1] + power[1:]) + 1e-10)).astype(np.float32)
