"""How an expression sounds: what it does to pitch, tempo, loudness and voice quality.

Directions after Scherer (2003, Speech Communication 40, 227-256, table 2), Juslin & Laukka (2003, Psychological
Bulletin 129, 770-814, table 7) and Banse & Scherer (1996, J. Pers. Soc. Psychol. 70, 614-636; contempt, disgust): anger
loud and bright, fear high and even, sadness slow, soft and breathy, surprise wide with a rising end. Sizes at ordinary
and strong intensity are set so that synthetic voices, measured as RAVDESS (Livingstone & Russo 2018) was, change as ten
of its actors did. Two things follow them against the older tables: strong expressions are slower, not faster, and
strong sadness is grief, higher and louder than ordinary sadness. Contempt, which it lacks, follows the papers alone.
"""

from dataclasses import dataclass, fields

import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.labels import label_set

EXPRESSIONS = (*label_set("ferplus").classes, "calm")


@dataclass(frozen=True, slots=True)
class Prosody:
    """Changes against the speaker's neutral voice."""

    pitch_st: float = 0.0
    """Mean pitch, semitones."""
    range_log2: float = 0.0
    """Pitch excursions."""
    rate_log2: float = 0.0
    """Tempo."""
    level_db: float = 0.0
    """Loudness."""
    tilt_db: float = 0.0
    """Slope of the source per octave above 600 Hz; negative is brighter."""
    open_quotient: float = 0.0
    """Added; negative is pressed."""
    breath_db: float = 0.0
    """Aspiration."""
    jitter_log2: float = 0.0
    """Jitter and shimmer."""
    tremor_st: float = 0.0
    """Amplitude of a 6 Hz tremor of the pitch, semitones."""
    slope_st: float = 0.0
    """Over the phrase, against the neutral decline, semitones."""
    end_st: float = 0.0
    """Of the last syllable, semitones."""
    spread: float = 0.0
    """Lips, -1 (rounded) .. 1 (smiling)."""
    articulation_log2: float = 0.0
    """Size of mouth and formant movements."""


# Ordinary and strong, columns as in Prosody.
_TABLE: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    #            pitch range  rate  level tilt    oq  breath jit  trem slope  end  spread artic
    "neutral": ((0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    "happiness": ((1.7, 0.15, 0.02, 3.8, -0.8, -0.02, 0, 0, 0, 2, 1, 0.7, 0.15),
                  (8.3, 0.55, -0.26, 14.2, -1.8, -0.05, 0, 0.3, 0, 3, 0, 1.0, 0.3)),
    "surprise": ((3.0, 0.5, 0.08, 4.2, -0.2, 0.02, 4, 0.3, 0, 6, 8, -0.2, 0.2),
                 (6.8, 0.7, -0.05, 10, -2.2, 0.02, 4, 0.4, 0, 6, 9, -0.3, 0.35)),
    "sadness": ((-0.5, -0.35, -0.12, -3.4, 2.8, 0.08, 5, 0.2, 0.1, 2.5, 2, -0.2, -0.25),
                (5.2, 0.25, -0.36, 4, 2.2, 0.08, 7, 0.8, 0.45, 2.5, 2, -0.4, -0.3)),
    "anger": ((1.6, 0.1, -0.20, 7.2, -2.4, -0.06, -2, 0.5, 0, 3, 2, 0.1, 0.25),
              (11, 0.6, -0.28, 24.3, -3.3, -0.12, -3, 1.0, 0, 3, -1, 0.2, 0.4)),
    "disgust": ((-0.9, 0.0, -0.30, -0.9, 1.8, -0.08, 2, 0.8, 0, 2, 1, 0.3, 0.1),
                (3.0, 0.3, -0.53, 6.8, -0.9, -0.10, 2, 0.8, 0, 4, 0, 0.4, 0.25)),
    "fear": ((3.0, -0.3, -0.04, 4, 1.8, 0.03, 3, 0.4, 0.25, 3, 1.5, -0.1, -0.05),
             (10.4, 0.05, -0.18, 17, -1.5, 0.0, 2, 0.8, 0.5, 5, 2, 0.1, 0.1)),
    "contempt": ((-1.6, 0.15, -0.22, -1.0, -0.3, -0.10, -4, 0.9, 0, -1, -4, -0.1, 0.0),
                 (-1.8, 0.4, -0.42, 2.5, -1.0, -0.14, -6, 1.3, 0, -2, -6, -0.2, 0.1)),
    "calm": ((-1.2, -0.2, -0.28, -2.5, 2.6, 0.05, 3, -0.2, 0, 1.0, 1, 0.0, -0.1),
             (-1.0, -0.25, -0.55, -2.9, 3.4, 0.07, 4, -0.3, 0, 3.0, 3, 0.0, -0.1)),
}  # fmt: skip
# Standard deviations from one utterance to the next, neutral ones too; columns as in Prosody.
_VARIATION = (1.2, 0.2, 0.11, 1.8, 0.5, 0.02, 1.5, 0.2, 0.05, 2.0, 2.0, 0.15, 0.07)


def prosody_of(expression: str, *, intensity: float = 1.0) -> Prosody:
    """The mean prosody of an expression; intensity 0 (neutral) .. 0.5 (ordinary) .. 1 (strong).

    Raises MienError for an unknown expression or an intensity outside 0..1.
    """
    if expression not in _TABLE:
        raise MienError(f"No voice for the expression {expression!r}.{nearest(expression, _TABLE)}")
    if not 0 <= intensity <= 1:
        raise MienError(f"intensity must lie within 0 and 1; got {intensity}.")
    ordinary, strong = (np.array(row) for row in _TABLE[expression])
    values = np.where(intensity <= 0.5, 2 * intensity * ordinary, ordinary + (2 * intensity - 1) * (strong - ordinary))
    return Prosody(*(float(value) for value in values))


def sample_prosody(
    expression: str, rng: np.random.Generator, *, intensity: float = 1.0, expressivity: float = 1.0
) -> Prosody:
    """One utterance's prosody: the mean, times the speaker's expressivity, with the variation of speaking."""
    mean = prosody_of(expression, intensity=intensity)
    noise = rng.standard_normal(len(_VARIATION)) * _VARIATION
    values = [expressivity * getattr(mean, f.name) + float(n) for f, n in zip(fields(Prosody), noise, strict=True)]
    result = dict(zip((f.name for f in fields(Prosody)), values, strict=True))
    result["tremor_st"] = max(0.0, result["tremor_st"])
    return Prosody(**result)
