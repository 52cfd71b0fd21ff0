"""From syllables to movements: when each sound is spoken, and how pitch, loudness and tract move through it.

Every target is a step from sound to sound, smoothed by a window: a sound that is short, or between others, does not
reach its own formants, as in speech. Pitch is a declining phrase with accents on stressed syllables and a fall (a
question: a rise) at its end; loudness falls likewise.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from mien.synthetic.voices.phones import Phone, Syllable, phones
from mien.synthetic.voices.prosody import Prosody
from mien.synthetic.voices.speakers import Speaker
from mien.synthetic.voices.voice import FRAME_S, Tracks, frame_hop

_AT_REST_HZ = np.array([500.0, 1450.0, 2450.0])
_LEAST_FORMANT_HZ = 180.0
_TEMPO = 1.08  # the sounds' own durations give 4.1 syllables a second in a sentence; actors speak 4.4


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sound or a syllable in time."""

    text: str
    """Its symbols."""
    start_s: float
    """Start."""
    end_s: float
    """End."""
    stressed: bool
    """Whether its syllable is stressed."""


@dataclass(slots=True)
class Score:
    """Segments in time order."""

    ends_s: list[float] = field(default_factory=list)
    """End of each segment."""
    levels_db: list[tuple[float, float, float]] = field(default_factory=list)
    """Voice, breath, noise."""
    formants_hz: list[np.ndarray] = field(default_factory=list)
    """Formant frequencies."""
    phones: list[str] = field(default_factory=list)
    """Symbol; "" for silence."""
    syllable: list[int] = field(default_factory=list)
    """Number of the syllable; -1 for silence."""
    sounds: list[Spoken] = field(default_factory=list)
    """When each sound is spoken."""
    syllables: list[Spoken] = field(default_factory=list)
    """When each syllable is spoken."""

    @property
    def length_s(self) -> float:
        return self.ends_s[-1] if self.ends_s else 0.0

    def add(
        self, ms: float, levels: tuple[float, float, float], formants: np.ndarray, *, phone: str, syllable: int
    ) -> None:
        self.ends_s.append(self.length_s + ms / 1000)
        self.levels_db.append(levels)
        self.formants_hz.append(formants)
        self.phones.append(phone)
        self.syllable.append(syllable)

    def silence(self, ms: float) -> None:
        self.add(ms, (-90.0, -90.0, -90.0), _AT_REST_HZ, phone="", syllable=-1)


def timed(
    syllables: Sequence[Syllable], prosody: Prosody, speaker: Speaker, rng: np.random.Generator, *, silence_s: float
) -> Score:
    """Each sound's place in time. Slow speech stretches vowels more than consonants; a phrase's end is longer."""
    score = Score()
    slow = float(np.clip(2**-prosody.rate_log2 / (_TEMPO * speaker.rate_ratio), 0.5, 2.5))
    score.silence(1000 * silence_s * rng.uniform(0.8, 1.2))
    for number, syllable in enumerate(syllables):
        start = score.length_s
        last = syllable.pause_ms > 0 or number == len(syllables) - 1
        for place, symbol in enumerate(syllable.phones):
            phone = phones()[symbol]
            stretch = _stretch(phone, syllable, slow, last=last) * float(np.exp(rng.normal(0, 0.07)))
            size = 2**prosody.articulation_log2 * (1.0 if syllable.stressed else 0.8)
            started = score.length_s
            for ms, levels, target in _segments(phone, _vowel_beside(syllable, place), stretch, size):
                score.add(ms, levels, target, phone=symbol, syllable=number)
            score.sounds.append(Spoken(symbol, started, score.length_s, syllable.stressed))
        score.syllables.append(Spoken(syllable.text, start, score.length_s, syllable.stressed))
        if syllable.pause_ms and number < len(syllables) - 1:
            score.silence(syllable.pause_ms * slow)
    score.silence(1000 * silence_s * rng.uniform(0.8, 1.2))
    return score


def _stretch(phone: Phone, syllable: Syllable, slow: float, *, last: bool) -> float:
    if phone.is_vowel:
        return slow**1.15 * (1.25 if syllable.stressed else 0.85) * (1.4 if last else 1.0)
    return slow**0.75 * (1.15 if last else 1.0)


def _vowel_beside(syllable: Syllable, place: int) -> Phone:
    """The vowel that a sound leans on: its syllable's own. A coda after a glide leans on the glide's end."""
    at = next(i for i, symbol in enumerate(syllable.phones) if phones()[symbol].is_vowel)
    vowel = phones()[syllable.phones[at]]
    return phones()[vowel.glide_to] if place > at and vowel.glide_to else vowel


def _segments(
    phone: Phone, vowel: Phone, stretch: float, size: float
) -> Iterator[tuple[float, tuple[float, float, float], np.ndarray]]:
    """Milliseconds, levels and formants of each. size: of a vowel's distance from the tract at rest."""
    for part, segment in enumerate(phone.segments):
        sound = phones()[phone.glide_to] if part and phone.glide_to else phone
        target = np.array([sound.f1, sound.f2_slope * vowel.f2_offset + sound.f2_offset, sound.f3])
        if phone.is_vowel:
            target = _AT_REST_HZ + np.array([size, size, 1.0]) ** 0.7 * (target - _AT_REST_HZ)
        # A burst is as long in slow speech as in fast.
        ms = segment.ms if segment.ms < 12 else segment.ms * stretch
        yield ms, (segment.voice_db, segment.breath_db, segment.noise_db), target


def tracks_of(
    score: Score,
    syllables: Sequence[Syllable],
    prosody: Prosody,
    speaker: Speaker,
    rng: np.random.Generator,
    *,
    sample_rate_hz: int,
) -> Tracks:
    """The movements of source and tract, a frame every `FRAME_S`."""
    hop = frame_hop(sample_rate_hz)
    times = np.arange(int(np.ceil(score.length_s * sample_rate_hz / hop)) + 1) * (hop / sample_rate_hz)
    at = np.minimum(np.searchsorted(score.ends_s, times, side="right"), len(score.ends_s) - 1)
    levels = np.array(score.levels_db)[at]
    voiced = levels[:, 0] > -60
    loud = _loudness(score, syllables, prosody, rng, times=times, at=at)
    semitones = _pitch(score, syllables, prosody, speaker, rng, times=times, voiced=voiced)
    f0 = np.clip(100 * 2 ** (semitones / 12), 55, 900)  # creak does not go lower
    voice = _smooth(_linear(levels[:, 0]) * loud, 0.020)
    breath = _linear(speaker.breath_db + prosody.breath_db) * voice + _smooth(_linear(levels[:, 1]) * loud, 0.015)
    formants = _formants(np.array(score.formants_hz)[at], f0, prosody, speaker, sample_rate_hz=sample_rate_hz)
    sounds = [phones().get(symbol) for symbol in score.phones]
    nasal = np.array([sound.nasal if sound else 0.0 for sound in sounds])[at]
    friction = np.array([sound.noise if sound else (3000.0, 3000.0) for sound in sounds])[at]
    return Tracks(
        f0_hz=f0,
        voice=voice,
        breath=breath,
        noise=_linear(levels[:, 2]) * np.sqrt(loud),
        formants_hz=formants,
        bandwidths_hz=_bandwidths(formants, prosody, nasal),
        nasal=_smooth((nasal > 0).astype(float), 0.04),
        nasal_zero_hz=np.maximum(nasal, 600.0) * speaker.tract_scale,
        tilt_db=np.full(len(times), speaker.tilt_db_per_octave + prosody.tilt_db),
        open_quotient=np.full(len(times), np.clip(speaker.open_quotient + prosody.open_quotient, 0.35, 0.9)),
        noise_hz=friction * speaker.tract_scale**0.7,
        jitter=speaker.jitter * 2**prosody.jitter_log2,
        shimmer=speaker.shimmer * 2**prosody.jitter_log2,
    )


def _linear(level_db: np.ndarray | float) -> np.ndarray:
    level_db = np.asarray(level_db, float)
    return np.where(level_db > -80, 10 ** (level_db / 20), 0.0)


def _smooth(track: np.ndarray, seconds: float) -> np.ndarray:
    """A raised-cosine mean over `seconds`; ends are held."""
    half = max(1, round(seconds / FRAME_S / 2))
    window = np.hanning(2 * half + 3)[1:-1]
    window /= window.sum()
    if track.ndim == 1:
        return np.convolve(np.pad(track, half, mode="edge"), window, mode="valid")
    return np.stack([_smooth(column, seconds) for column in track.T], axis=1)


def _phrases(score: Score, syllables: Sequence[Syllable]) -> list[tuple[int, int]]:
    """First and last syllable of each stretch between pauses."""
    ends = [i for i, syllable in enumerate(syllables) if syllable.pause_ms > 0 or i == len(syllables) - 1]
    starts = [0, *(end + 1 for end in ends[:-1])]
    return list(zip(starts, ends, strict=True))


def _pitch(
    score: Score,
    syllables: Sequence[Syllable],
    prosody: Prosody,
    speaker: Speaker,
    rng: np.random.Generator,
    *,
    times: np.ndarray,
    voiced: np.ndarray,
) -> np.ndarray:
    """Semitones re 100 Hz; the mean over voiced frames is the speaker's plus the prosody's."""
    contour = np.zeros(len(times))
    spoken = score.syllables
    for first, last in _phrases(score, syllables):
        start, end = spoken[first].start_s, spoken[last].end_s
        inside = np.clip((times - start) / (end - start), 0, 1)
        here = (times >= start - 0.02) & (times <= end + 0.02)
        decline = -4.0 * 2**prosody.range_log2 + 0.8 * prosody.slope_st
        contour += np.where(here, decline * (inside - 0.5), 0.0)
        turn = np.clip((times - spoken[last].start_s) / (end - spoken[last].start_s), 0, 1)
        bend = (5.0 if syllables[last].rises else -6.5) + prosody.end_st
        contour += np.where(here, bend * turn, 0.0)
    for number, syllable in enumerate(spoken):
        if syllable.stressed:
            middle, width = 0.4 * syllable.start_s + 0.6 * syllable.end_s, 0.9 * (syllable.end_s - syllable.start_s)
            height = (7.0 if number == 0 else 6.0) * float(np.exp(rng.normal(0, 0.25))) * 2**prosody.range_log2
            contour += height * np.exp(-0.5 * ((times - middle) / (0.32 * width)) ** 2)
    contour = _smooth(contour * speaker.range_ratio, 0.07)
    contour -= contour[voiced].mean() if voiced.any() else 0.0
    drift = 0.9 * _smooth(rng.standard_normal(len(times)), 0.25) + 0.3 * _smooth(rng.standard_normal(len(times)), 0.05)
    shake = prosody.tremor_st * np.sin(2 * np.pi * (rng.uniform(5, 7) * times + rng.random()))
    return 12 * np.log2(speaker.f0_hz / 100) + prosody.pitch_st + contour + drift + shake


def _loudness(
    score: Score,
    syllables: Sequence[Syllable],
    prosody: Prosody,
    rng: np.random.Generator,
    *,
    times: np.ndarray,
    at: np.ndarray,
) -> np.ndarray:
    """Amplitude 0..about 1: stressed syllables are louder, a phrase grows softer and fades at its end."""
    each = [(0.0 if syllable.stressed else -2.5) + rng.normal(0, 0.8) for syllable in syllables] + [0.0]
    level = _smooth(np.array(each)[np.array(score.syllable)[at]], 0.06)
    for first, last in _phrases(score, syllables):
        start, end = score.syllables[first].start_s, score.syllables[last].end_s
        inside = (times >= start) & (times <= end)
        fade = np.clip((times - (end - 0.12)) / 0.12, 0, 1)
        level += np.where(inside, -4.0 * (times - start) / (end - start) - 6.0 * fade**2, 0.0)
    return 10 ** (level / 20)


def _formants(
    steps: np.ndarray, f0: np.ndarray, prosody: Prosody, speaker: Speaker, *, sample_rate_hz: int
) -> np.ndarray:
    """F1.. up to half the sample rate, [frames, n]. Smiling shortens the tract; a loud voice opens the mouth."""
    low = _smooth(steps, 0.055 * 2 ** (-0.4 * prosody.rate_log2))
    low = low * (1 + prosody.spread * np.array([0.02, 0.05, 0.04]))
    low[:, 0] *= 2 ** (np.clip(prosody.level_db, -6, 24) / 24 * 0.3)
    low *= speaker.tract_scale * (1 + np.array(speaker.formant_offsets[:3]))
    low[:, 0] = np.maximum(low[:, 0], np.minimum(0.95 * f0, 600.0))
    low = np.maximum.accumulate(np.maximum(low, _LEAST_FORMANT_HZ) + np.array([0, 80, 160]), axis=1) - np.array(
        [0, 80, 160]
    )
    low = np.minimum(low, 0.47 * sample_rate_hz)  # a child at 8 kHz
    high = np.arange(3500.0, 25_000.0, 1000.0) * speaker.tract_scale * (1 + speaker.formant_offsets[3])
    high = high[high < 0.48 * sample_rate_hz]
    return np.concatenate([low, np.broadcast_to(high, (len(low), len(high)))], axis=1)


def _bandwidths(formants: np.ndarray, prosody: Prosody, nasal: np.ndarray) -> np.ndarray:
    """Losses grow with frequency; F1 is wide in nasal sounds, breathy and loud voices."""
    widths = 55 + 22 * (formants / 1000) ** 1.9
    widths[:, 0] += 50 + 40 * (nasal > 0) + 5 * np.clip(prosody.breath_db, 0, 10) + 5 * np.clip(prosody.level_db, 0, 25)
    widths[:, 1] += 15 + 2 * np.clip(prosody.level_db, 0, 25)
    return widths
