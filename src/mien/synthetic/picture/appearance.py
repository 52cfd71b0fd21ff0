"""Appearance: everything about how a person looks that is not shape. Drawn from an rng or set by hand."""

from dataclasses import dataclass

import numpy as np

from mien.synthetic.picture.colour import HAIR_SRGB, IRIS_SRGB

HAIR_STYLES = ("bald", "buzz", "short", "side", "fringe", "long", "long fringe", "bun", "curly", "afro", "cap", "scarf")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")


@dataclass(frozen=True)
class Appearance:
    """Looks of a person. Strengths are 0..1; colours are 8-bit sRGB."""

    ita_deg: float = 28.0
    """Skin tone, -66 (dark) .. 63 (very light); see colour.py."""
    redness: float = 0.0
    """Added to a*, -3..3."""
    yellowness: float = 0.0
    """Added to b*."""
    blush: float = 0.3
    """Strength."""
    blotches: float = 0.3
    """Strength."""
    freckles: float = 0.0
    """Strength."""
    moles: int = 0
    """Number."""
    gloss: float = 0.3
    """Strength of the skin's highlights."""
    age: float = 0.3
    """0 (young) .. 1 (old); drives wrinkles."""
    beard: str = "none"
    """One of BEARDS."""
    beard_density: float = 0.5
    """Share of the hairs."""
    brow_thickness: float = 0.5
    """0 thin .. 1 thick."""
    brow_density: float = 0.7
    """Share of the hairs."""
    brow_darkness: float = 0.7
    """Against the hair."""
    lip_colour: float = 0.3
    """How much darker and redder than the skin."""
    lipstick: tuple[int, int, int] | None = None
    """None for none."""
    eyeliner: float = 0.0
    """Strength."""
    iris: tuple[int, int, int] = IRIS_SRGB["brown"]
    """Colour."""
    pupil: float = 0.4
    """Share of the iris' radius."""
    eye_redness: float = 0.1
    """Of the white."""
    tooth_white: float = 0.6
    """0 yellow .. 1 white."""
    hair_style: str = "short"
    """One of HAIR_STYLES."""
    hair: tuple[int, int, int] = HAIR_SRGB["brown"]
    """Colour."""
    hair_volume: float = 0.5
    """Strength."""
    hairline: float = 0.5
    """0 low .. 1 receding."""
    clothes: tuple[int, int, int] = (70, 80, 110)
    """Colour."""
    collar: float = 0.5
    """0 a low neckline .. 1 a high collar."""
    seed: int = 0
    """Of freckles, moles, strokes of brows and strands of hair."""

    @classmethod
    def sample(cls, rng: np.random.Generator) -> "Appearance":
        """A person. Tones cover the human range; hair and eyes go with the tone, beards with short hair."""
        # The angle runs fast through light tones: an even draw would show mostly brown and dark people.
        ita = float(rng.uniform(15, 63) if rng.random() < 0.62 else rng.uniform(-62, 15))
        age = float(rng.beta(1.3, 1.8))
        style = str(rng.choice(HAIR_STYLES, p=_STYLE_SHARES))
        bearded = style in ("bald", "buzz", "short", "side", "curly", "afro", "cap") and rng.random() < 0.45
        hair = _hair_colour(rng, ita, age)
        makeup = not bearded and rng.random() < 0.35
        return cls(
            ita_deg=ita,
            redness=float(rng.normal(0, 1.3)),
            yellowness=float(rng.normal(0, 1.3)),
            blush=float(rng.beta(1.2, 2.5)),
            blotches=float(rng.beta(1.5, 2.0)),
            freckles=float(rng.beta(1, 2)) if ita > 25 and rng.random() < 0.25 else 0.0,
            moles=int(rng.poisson(0.7)),
            gloss=float(rng.beta(1.6, 2.0)),
            age=age,
            beard=str(rng.choice(BEARDS[1:], p=(0.42, 0.13, 0.15, 0.3))) if bearded else "none",
            beard_density=float(rng.uniform(0.25, 1)),
            brow_thickness=float(rng.beta(2, 2)),
            brow_density=float(rng.uniform(0.45, 1)),
            brow_darkness=float(rng.uniform(0.5, 1)),
            lip_colour=float(rng.beta(1.5, 2)),
            lipstick=_lipstick(rng) if makeup and rng.random() < 0.6 else None,
            eyeliner=float(rng.uniform(0.2, 1)) if makeup else 0.0,
            iris=_varied(rng, IRIS_SRGB[_iris(rng, ita)], 0.12),
            pupil=float(rng.uniform(0.28, 0.6)),
            eye_redness=float(rng.beta(1, 4)),
            tooth_white=float(rng.beta(3, 2)),
            hair_style=style,
            hair=hair,
            hair_volume=float(rng.beta(2, 2)),
            hairline=float(np.clip(rng.beta(1.5, 2.5) + 0.3 * (age - 0.4) * bearded, 0, 1)),
            clothes=_clothes(rng),
            collar=float(rng.uniform(0, 1)),
            seed=int(rng.integers(1 << 31)),
        )


_STYLE_SHARES = (0.07, 0.09, 0.2, 0.11, 0.09, 0.14, 0.08, 0.07, 0.06, 0.04, 0.03, 0.02)


def _varied(rng: np.random.Generator, rgb: tuple[int, int, int], spread: float) -> tuple[int, int, int]:
    values = np.array(rgb) * np.exp(rng.normal(0, spread)) * np.exp(rng.normal(0, spread / 4, 3))
    red, green, blue = (int(value) for value in np.clip(np.round(values), 4, 250))
    return red, green, blue


def _hair_colour(rng: np.random.Generator, ita: float, age: float) -> tuple[int, int, int]:
    """Dark skin mostly has black hair; grey comes with age; a few are dyed."""
    if rng.random() < np.clip(1.6 * (age - 0.55), 0, 0.85):
        return _varied(rng, HAIR_SRGB["white" if rng.random() < 0.35 else "grey"], 0.15)
    if rng.random() < 0.01:
        red, green, blue = (int(value) for value in rng.integers(30, 200, 3))
        return red, green, blue
    names = ("black", "dark brown", "brown", "light brown", "blond", "red")
    if ita > 30:
        shares = (0.17, 0.25, 0.22, 0.13, 0.16, 0.07)
    else:
        shares = (0.72, 0.22, 0.045, 0.005, 0.01, 0.0) if ita < 0 else (0.42, 0.36, 0.16, 0.04, 0.015, 0.005)
    return _varied(rng, HAIR_SRGB[str(rng.choice(names, p=shares))], 0.15)


def _iris(rng: np.random.Generator, ita: float) -> str:
    if ita < 20:
        return str(rng.choice(("dark", "brown"), p=(0.6, 0.4)))
    return str(rng.choice(tuple(IRIS_SRGB), p=(0.14, 0.28, 0.14, 0.1, 0.1, 0.24)))


def _lipstick(rng: np.random.Generator) -> tuple[int, int, int]:
    shade = ((176, 40, 52), (196, 84, 92), (140, 40, 62), (190, 100, 84), (120, 30, 40))[int(rng.integers(5))]
    return _varied(rng, shade, 0.12)


def _clothes(rng: np.random.Generator) -> tuple[int, int, int]:
    grey = rng.uniform(15, 235)
    colour = np.clip(grey + rng.normal(0, 30, 3) * (rng.random() < 0.6), 8, 245)
    red, green, blue = (int(value) for value in colour)
    return red, green, blue
