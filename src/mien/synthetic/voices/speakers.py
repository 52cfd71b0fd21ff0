"""Whose voice it is: pitch, tract length and voice quality by sex and age.

Mean pitch and tract length after Peterson & Barney (1952) and Hollien & Shipp (1972, J. Speech Hear. Res. 15, 155-159:
men's pitch falls to middle age and rises again); women's voices are breathier, with a steeper slope of the source
(Klatt & Klatt 1990, J. Acoust. Soc. Am. 87, 820-857).
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from mien.core.errors import MienError

Sex = Literal["female", "male"]


@dataclass(frozen=True, slots=True)
class Speaker:
    """A neutral voice."""

    sex: Sex = "female"
    """Of the speaker."""
    age: float = 30.0
    """Years."""
    f0_hz: float = 205.0
    """Mean pitch."""
    tract_scale: float = 1.17
    """Formants relative to a grown man's (17.5 cm tract)."""
    breath_db: float = -26.0
    """Aspiration relative to voice."""
    tilt_db_per_octave: float = -0.3
    """Slope of the source above 600 Hz beyond the pulse's own."""
    open_quotient: float = 0.6
    """Open part of the glottal cycle."""
    jitter: float = 0.006
    """Relative change of the period from cycle to cycle."""
    shimmer: float = 0.04
    """Relative change of the amplitude from cycle to cycle."""
    rate_ratio: float = 1.0
    """Tempo; 1 is 4.4 syllables a second in a sentence."""
    level_db: float = 0.0
    """Loudness offset."""
    formant_offsets: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """Relative, F1..F4."""
    range_ratio: float = 1.0
    """Size of pitch movements."""
    expressivity: float = 1.0
    """How much the expression moves this voice; 1 is the mean."""

    def __post_init__(self) -> None:
        if not 50 <= self.f0_hz <= 600:
            raise MienError(f"Speaker.f0_hz must lie within 50 and 600; got {self.f0_hz}.")
        if not 0.7 <= self.tract_scale <= 1.8:
            raise MienError(f"Speaker.tract_scale must lie within 0.7 and 1.8; got {self.tract_scale}.")


def sample_speaker(rng: np.random.Generator, *, sex: Sex | None = None, age: float | None = None) -> Speaker:
    """A person's voice; sex and age (5 to 90 years, most of them grown) are drawn where not given."""
    drawn_sex: Sex = "female" if rng.random() < 0.5 else "male"
    drawn_age = float(np.clip(rng.gamma(6.0, 6.5) + 6, 6, 88))
    sex, age = sex or drawn_sex, drawn_age if age is None else age
    if not 4 <= age <= 110:
        raise MienError(f"A speaker's age must lie within 4 and 110 years; got {age}.")
    f0, scale = _grown(sex, age)
    old = max(0.0, age - 60) / 25
    female = sex == "female"
    return Speaker(
        sex=sex,
        age=age,
        f0_hz=float(np.clip(f0 * 2 ** (rng.normal(0, 2.0) / 12), 70, 420)),
        tract_scale=float(scale * np.exp(rng.normal(0, 0.03))),
        breath_db=float((-25 if female else -29) + 3 * old + rng.normal(0, 2.5)),
        tilt_db_per_octave=float((-0.5 if female else 0.0) + rng.normal(0, 0.5)),
        open_quotient=float(np.clip((0.62 if female else 0.53) + rng.normal(0, 0.04), 0.4, 0.8)),
        jitter=float(0.005 * np.exp(rng.normal(0.5 * old, 0.3))),
        shimmer=float(0.035 * np.exp(rng.normal(0.5 * old, 0.3))),
        rate_ratio=float(np.exp(rng.normal(-0.12 * old, 0.09))),
        level_db=float(rng.normal(0, 2.0)),
        formant_offsets=tuple(float(x) for x in np.clip(rng.normal(0, 0.025, 4), -0.06, 0.06)),  # type: ignore[arg-type]
        range_ratio=float(np.exp(rng.normal(0, 0.12))),
        expressivity=float(np.exp(rng.normal(0, 0.15))),
    )


def _grown(sex: Sex, age: float) -> tuple[float, float]:
    """Mean pitch in Hz and formant scale. A boy's voice breaks at about 14; children's tracts are shorter."""
    child = float(np.clip((15 - age) / 10, 0, 1))
    old = max(0.0, age - 55) / 30
    if sex == "female":
        return 215 + 75 * child - 22 * old, 1.16 + 0.22 * child
    broken = 1 / (1 + np.exp(-(age - 13.5) * 2))
    return float((121 + 14 * old) * broken + (235 + 45 * child) * (1 - broken)), float(
        1 + 0.12 * (1 - broken) + 0.24 * child
    )
