"""Speech sounds: what the vocal tract and the mouth do for each, and how written syllables become them.

Formants are those of a grown man's voice: vowels after Peterson & Barney (1952, J. Acoust. Soc. Am. 24, 175-184), a
consonant's second formant by the locus equation of its place, F2 = slope * (F2 of the vowel) + offset (Sussman,
McCaffrey & Matthews 1991, J. Acoust. Soc. Am. 90, 1309-1325). Durations and levels are near Klatt's (1980, J. Acoust.
Soc. Am. 67, 971-995). The alphabet is plain letters: sh zh th dh ng are one sound each, ae ih uh er @ are vowels of
bat, bit, book, bird, about; ai au oi ei ou glide.
"""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

from mien.core.errors import MienError


class Mouth(NamedTuple):
    """Weights 0..1 of what is seen: jaw open, lips protruded (pucker), funnelled, stretched, pressed shut, lower lip
    under the teeth."""

    jaw: float = 0.1
    pucker: float = 0.0
    funnel: float = 0.0
    stretch: float = 0.0
    closed: float = 0.0
    bite: float = 0.0


class Segment(NamedTuple):
    """A stretch of a phone in which the sources stand still. Levels in dB below a stressed vowel's voice."""

    ms: float
    voice_db: float = -90.0
    breath_db: float = -90.0
    noise_db: float = -90.0


@dataclass(frozen=True, slots=True)
class Phone:
    """A speech sound."""

    symbol: str
    """In the notation of `syllables_of`."""
    is_vowel: bool
    """Whether it carries a syllable."""
    f1: float
    """First formant, Hz."""
    f2_slope: float
    """F2 = f2_slope * F2 of the vowel + f2_offset; 0 for a vowel."""
    f2_offset: float
    """Hz; a vowel's own F2."""
    f3: float
    """Third formant, Hz."""
    segments: tuple[Segment, ...]
    """Its phases in order."""
    mouth: Mouth
    """Shape of the mouth."""
    nasal: float = 0.0
    """0..1."""
    noise: tuple[float, float] = (3000.0, 3000.0)
    """Peak and bandwidth of friction, Hz."""
    glide_to: str = ""
    """Symbol of the second target of a diphthong."""

    @property
    def ms(self) -> float:
        return sum(segment.ms for segment in self.segments)


# symbol: F1, F2, F3, milliseconds, mouth
_VOWELS = {
    "i": (270, 2290, 3010, 105, Mouth(0.18, stretch=0.50)),
    "ih": (390, 1990, 2550, 85, Mouth(0.25, stretch=0.30)),
    "e": (530, 1840, 2480, 105, Mouth(0.45, stretch=0.30)),
    "ae": (660, 1720, 2410, 130, Mouth(0.75, stretch=0.35)),
    "a": (730, 1090, 2440, 130, Mouth(0.85)),
    "o": (570, 840, 2410, 125, Mouth(0.55, pucker=0.30, funnel=0.60)),
    "uh": (440, 1020, 2240, 90, Mouth(0.30, pucker=0.45, funnel=0.25)),
    "u": (300, 870, 2240, 110, Mouth(0.15, pucker=0.85, funnel=0.20)),
    "y": (270, 1850, 2200, 110, Mouth(0.15, pucker=0.80, funnel=0.10)),
    "er": (490, 1350, 1690, 110, Mouth(0.35, pucker=0.25, funnel=0.15)),
    "@": (500, 1450, 2450, 65, Mouth(0.30)),
}  # fmt: skip
_GLIDES = {"ai": ("a", "ih"), "au": ("a", "uh"), "oi": ("o", "ih"), "ei": ("e", "i"), "ou": ("o", "u")}

_LABIAL, _DENTAL, _ALVEOLAR, _PALATAL, _VELAR = (
    (0.87, 110, 2200), (0.60, 700, 2500), (0.42, 1220, 2600), (0.30, 1450, 2500), (0.95, 300, 2350),
)  # fmt: skip
_SHUT, _BITE, _NARROW = Mouth(0.05, closed=1.0), Mouth(0.12, bite=0.8), Mouth(0.12)
_HUSH = Mouth(0.12, pucker=0.25, funnel=0.60)


def _plosive(*, burst_db: float, voiced: bool) -> tuple[Segment, ...]:
    """Closure (with a voice bar), release, aspiration."""
    if voiced:
        return (Segment(55, voice_db=-14), Segment(8, voice_db=-12, noise_db=burst_db - 4))
    return (Segment(70), Segment(10, noise_db=burst_db), Segment(32, breath_db=-15, noise_db=burst_db - 14))


def _fricative(ms: float, noise_db: float, *, voiced: bool) -> tuple[Segment, ...]:
    return (Segment(ms, voice_db=-10 if voiced else -90, noise_db=noise_db),)


# symbol: place, F1, segments, mouth, noise (peak, bandwidth)
_CONSONANTS = {
    "p": (_LABIAL, 300, _plosive(burst_db=-22, voiced=False), _SHUT, (800, 3000)),
    "b": (_LABIAL, 220, _plosive(burst_db=-22, voiced=True), _SHUT, (700, 2500)),
    "t": (_ALVEOLAR, 300, _plosive(burst_db=-12, voiced=False), _NARROW, (4300, 2800)),
    "d": (_ALVEOLAR, 220, _plosive(burst_db=-14, voiced=True), _NARROW, (4000, 2800)),
    "k": (_VELAR, 300, _plosive(burst_db=-14, voiced=False), Mouth(0.2), (2000, 700)),
    "g": (_VELAR, 220, _plosive(burst_db=-16, voiced=True), Mouth(0.2), (1900, 700)),
    "f": (_LABIAL, 320, _fricative(95, -25, voiced=False), _BITE, (6500, 7000)),
    "v": (_LABIAL, 260, _fricative(65, -30, voiced=True), _BITE, (6500, 7000)),
    "th": (_DENTAL, 320, _fricative(90, -26, voiced=False), Mouth(0.15), (6000, 6000)),
    "dh": (_DENTAL, 270, _fricative(50, -32, voiced=True), Mouth(0.15), (6000, 6000)),
    "s": (_ALVEOLAR, 320, _fricative(105, -15, voiced=False), Mouth(0.06, stretch=0.25), (6200, 2200)),
    "z": (_ALVEOLAR, 260, _fricative(75, -25, voiced=True), Mouth(0.06, stretch=0.25), (6200, 2200)),
    "sh": (_PALATAL, 320, _fricative(105, -13, voiced=False), _HUSH, (3200, 1400)),
    "zh": (_PALATAL, 260, _fricative(75, -22, voiced=True), _HUSH, (3200, 1400)),
    "h": ((1.0, 0, 2500), 500, (Segment(60, breath_db=-13),), Mouth(0.3), (1500, 3000)),
    "m": (_LABIAL, 280, (Segment(65, voice_db=-8),), _SHUT, (0, 0)),
    "n": (_ALVEOLAR, 280, (Segment(60, voice_db=-8),), _NARROW, (0, 0)),
    "ng": (_VELAR, 280, (Segment(65, voice_db=-9),), Mouth(0.2), (0, 0)),
    "l": ((0.30, 800, 2800), 330, (Segment(60, voice_db=-5),), Mouth(0.2), (0, 0)),
    "r": ((0.30, 850, 1650), 330, (Segment(60, voice_db=-5),), Mouth(0.2, pucker=0.3, funnel=0.2), (0, 0)),
    "w": ((0.10, 600, 2200), 290, (Segment(60, voice_db=-6),), Mouth(0.12, pucker=0.9), (0, 0)),
    "j": ((0.10, 2050, 2950), 270, (Segment(60, voice_db=-6),), Mouth(0.15, stretch=0.45), (0, 0)),
}  # fmt: skip
_NASAL = {"m": 1000.0, "n": 1600.0, "ng": 2600.0}  # Hz, the murmur's zero


@cache
def phones() -> dict[str, Phone]:
    """Every sound by its symbol."""
    table = {}
    for symbol, (f1, f2, f3, ms, mouth) in _VOWELS.items():
        table[symbol] = Phone(symbol, True, f1, 0.0, f2, f3, (Segment(ms, voice_db=0, breath_db=-90),), mouth)
    for symbol, (start, end) in _GLIDES.items():
        first = table[start]
        both = (Segment(0.6 * first.ms, voice_db=0), Segment(75, voice_db=-2))
        table[symbol] = Phone(
            symbol, True, first.f1, 0.0, first.f2_offset, first.f3, both, first.mouth, glide_to=end
        )  # fmt: skip
    for symbol, ((slope, offset, f3), f1, segments, mouth, noise) in _CONSONANTS.items():
        nasal = _NASAL.get(symbol, 0.0)
        table[symbol] = Phone(symbol, False, f1, slope, offset, f3, segments, mouth, nasal, noise)
    return table


@dataclass(frozen=True, slots=True)
class Syllable:
    """Raises MienError for an unknown symbol, and for no vowel or more than one."""

    phones: tuple[str, ...]
    """Symbols, one vowel among them."""
    stressed: bool = False
    """Whether it is stressed."""
    pause_ms: float = 0.0
    """Silence after it."""
    rises: bool = False
    """Whether it ends a question."""

    def __post_init__(self) -> None:
        for symbol in self.phones:
            if symbol not in phones():
                raise MienError(f"Syllable: {symbol!r} is no sound. Known: {' '.join(phones())}.")
        vowels = sum(phones()[symbol].is_vowel for symbol in self.phones)
        if vowels != 1:
            raise MienError(f"A syllable needs one vowel; {self.text!r} has {vowels}.")

    @property
    def text(self) -> str:
        return "".join(self.phones)


_SPELLINGS = {"ch": ("t", "sh"), "ck": ("k",), "ph": ("f",), "ee": ("i",), "oo": ("u",), "c": ("k",), "q": ("k",),
              "x": ("k", "s")}  # fmt: skip
_PAUSES = {",": 160.0, ";": 220.0, ":": 220.0, ".": 350.0, "!": 350.0, "?": 350.0}


def syllables_of(text: str) -> list[Syllable]:
    """Words of the alphabet above as syllables: "'kidz ar to-king bai dhe dor.".

    `'` before a syllable stresses it (without any, the first of each longer word is), `-` divides, punctuation pauses.
    Raises MienError for a character that is no sound, and for text without a vowel.
    """
    found: list[Syllable] = []
    marked = "'" in text
    for token, stop in re.findall(r"([^\s,;:.!?]+)|([,;:.!?])", text.lower()):
        if stop and found:
            last = found[-1]
            found[-1] = Syllable(last.phones, last.stressed, _PAUSES[stop], stop == "?")
        elif token:
            found += _syllables_of(token, marked=marked, text=text)
    if not found:
        raise MienError(f"Speech needs at least one syllable with a vowel; got {text!r}.")
    return found


def _syllables_of(token: str, *, marked: bool, text: str) -> list[Syllable]:
    pieces = [piece for piece in re.split(r"-|(?=')", token) if piece.strip("'")]
    result: list[Syllable] = []
    for piece in pieces:
        parts = _divide(_sounds(piece.strip("'"), text))
        if not parts:
            raise MienError(f"Speech: {piece!r} has no vowel. Join it to the syllable before or after it.")
        for index, part in enumerate(parts):
            stressed = piece.startswith("'") and index == 0 if marked else not result and len(token) > 2
            result.append(Syllable(part, stressed))
    return result


def _sounds(letters: str, text: str) -> list[str]:
    sounds: list[str] = []
    while letters:
        width = 2 if letters[:2] in phones() or letters[:2] in _SPELLINGS else 1
        symbol = letters[:width]
        if symbol not in phones() and symbol not in _SPELLINGS:
            raise MienError(f"Speech: {symbol!r} in {text!r} is no sound. Known: {' '.join(phones())}.")
        for sound in _SPELLINGS.get(symbol, (symbol,)):
            if not sounds or sounds[-1] != sound or phones()[sound].is_vowel:  # a doubled consonant is one
                sounds.append(sound)
        letters = letters[width:]
    return sounds


def _divide(sounds: Sequence[str]) -> list[tuple[str, ...]]:
    """Before each vowel but the first, one consonant starts the next syllable (two where the second is l, r, w, j)."""
    vowels = [i for i, sound in enumerate(sounds) if phones()[sound].is_vowel]
    cuts = [0]
    for before, vowel in itertools.pairwise(vowels):
        cut = max(before + 1, vowel - (2 if sounds[vowel - 1] in "lrwj" else 1))
        cuts.append(cut)
    return [tuple(sounds[a:b]) for a, b in zip(cuts, [*cuts[1:], len(sounds)], strict=True)] if vowels else []
