"""The mouth that goes with synthetic speech: action units in time with the sound.

Each sound's mouth (`phones.Mouth`) is held while it is spoken and blended into its neighbours'. Lips and jaw begin to
move before the sound, as speakers' do, because the blending window is symmetric; closed lips are exact: in p, b and m
they are shut for as long as the sound is (a plosive's for as long as its closure).
"""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float

from mien.core.errors import MienError
from mien.synthetic.voices.phones import Mouth, Phone, phones
from mien.synthetic.voices.speech import Speech

_GRID_S = 0.005
# Half-widths of blending: the jaw is heavy, lips are quicker, a closure is made and broken fast.
_JAW_S, _LIPS_S, _CLOSURE_S = 0.06, 0.05, 0.02

# An open vowel at ease is half of what AU26 can; a shout nears all of it.
_JAW_AT_EASE = 0.6

_PAIRED = ("AU17", "AU18", "AU20", "AU22", "AU24", "AU25")
MOUTH_UNITS = (*(f"{unit}_{side}" for unit in _PAIRED for side in "LR"), "AU26")
_APART = ("AU25_L", "AU25_R", "AU26", "AU27")


def mouth_track(
    speech: Speech, *, frames_per_s: float = 25.0, frames: int | None = None
) -> dict[str, Float[np.ndarray, "frames"]]:
    """Weights 0..1 of `MOUTH_UNITS`, both sides alike; frame i is at i / frames_per_s seconds of the sound.

    frames: how many, by default enough to hold the whole sound; beyond it the mouth rests. Loud speech opens the mouth
    wider, as the expression's articulation says.
    """
    if not 0 < frames_per_s <= 1000:
        raise MienError(f"frames_per_s must lie above 0 and not above 1000; got {frames_per_s}.")
    if frames is None:
        frames = int(np.ceil(speech.duration_s * frames_per_s - 1e-6))
    grid = np.arange(int(np.ceil(speech.duration_s / _GRID_S)) + 1) * _GRID_S
    shape = _shape(speech, grid)
    times = np.arange(frames) / frames_per_s
    units = _action_units(shape, _open_ratio(speech))
    return {name: np.interp(times, grid, units[name[:4]], right=0.0).astype(np.float32) for name in MOUTH_UNITS}


def speaking_face(
    expression: Mapping[str, float | np.ndarray], mouth: Mapping[str, np.ndarray]
) -> dict[str, Float[np.ndarray, "frames"]]:
    """Action units of an expression (numbers or tracks, of the same person or not of what the voice says) with a mouth
    that talks through it.

    Both pull on the face: 1 - (1 - a)(1 - b). Where the mouth shuts its lips the expression cannot keep them apart.
    """
    frames = len(next(iter(mouth.values())))
    shut = np.clip(2 * mouth.get("AU24_L", np.zeros(frames)), 0, 1)
    result: dict[str, np.ndarray] = {}
    for name in dict.fromkeys((*expression, *mouth)):
        held = np.broadcast_to(np.asarray(expression.get(name, 0.0), np.float32), (frames,))
        held = held * (1 - shut) if name in _APART else held
        spoken = mouth.get(name, np.zeros(frames, np.float32))
        result[name] = (1 - (1 - held) * (1 - spoken)).astype(np.float32)
    return result


def _shape(speech: Speech, grid: np.ndarray) -> dict[str, np.ndarray]:
    """Each quantity of `Mouth`, and whether anything is spoken, on the grid, blended."""
    mouths, ends = [Mouth(jaw=0.0)], [speech.sounds[0].start_s]
    spoken = [0.0]
    for before, sound in zip((None, *speech.sounds[:-1]), speech.sounds, strict=True):
        if before is not None and sound.start_s - before.end_s > 1e-6:
            mouths.append(Mouth(jaw=0.05))
            ends.append(sound.start_s)
            spoken.append(0.3)  # lips stay a little apart in a pause
        for mouth, until in _mouths(phones()[sound.text]):
            mouths.append(mouth)
            ends.append(sound.start_s + (sound.end_s - sound.start_s) * until)
            spoken.append(1.0)
    at = np.searchsorted(np.array(ends), grid, side="right")
    steps = np.array([*mouths, Mouth(jaw=0.0)])[at]
    shape = {name: steps[:, column] for column, name in enumerate(Mouth._fields)}
    shape["spoken"] = np.array([*spoken, 0.0])[at]
    widths = {"jaw": _JAW_S, "closed": _CLOSURE_S, "bite": _CLOSURE_S}
    return {name: _blended(track, widths.get(name, _LIPS_S)) for name, track in shape.items()} | {
        "shut": shape["closed"]
    }


def _mouths(phone: Phone) -> list[tuple[Mouth, float]]:
    """One after another, each with the share of the sound at which it ends. A plosive's lips part at its release."""
    if phone.glide_to:
        return [(phone.mouth, 0.5), (phones()[phone.glide_to].mouth, 1.0)]
    if phone.mouth.closed and len(phone.segments) > 1:
        return [(phone.mouth, phone.segments[0].ms / phone.ms), (Mouth(jaw=0.2), 1.0)]
    return [(phone.mouth, 1.0)]


def _blended(track: np.ndarray, half_s: float) -> np.ndarray:
    half = max(1, round(half_s / _GRID_S))
    window = np.hanning(2 * half + 3)[1:-1]
    return np.convolve(np.pad(track, half, mode="edge"), window / window.sum(), mode="valid")


def _open_ratio(speech: Speech) -> float:
    loud = float(np.clip(speech.prosody.level_db, -6, 24)) / 24
    return 2 ** float(np.clip(speech.prosody.articulation_log2 + 0.35 * loud, -0.6, 0.7))


def _action_units(shape: dict[str, np.ndarray], open_ratio: float) -> dict[str, np.ndarray]:
    """A closed mouth has jaw and lips shut whatever its neighbours do."""
    closed = np.maximum(shape["closed"], shape["shut"])
    jaw = np.clip(_JAW_AT_EASE * shape["jaw"] * open_ratio, 0, 1) * (1 - 0.8 * closed)
    apart = np.clip(shape["spoken"] * (0.25 + 0.75 * np.sqrt(jaw)), 0, 1) * (1 - 0.5 * shape["bite"]) * (1 - closed)
    stretch = np.clip(shape["stretch"] * open_ratio, 0, 1) * (1 - shape["pucker"])
    return {
        "AU17": np.clip(0.15 * closed + 0.35 * shape["bite"], 0, 1),
        "AU18": np.clip(shape["pucker"], 0, 1),
        "AU20": stretch,
        "AU22": np.clip(shape["funnel"], 0, 1),
        "AU24": 0.5 * closed,
        "AU25": apart,
        "AU26": jaw,
    }
