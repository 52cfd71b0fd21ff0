"""A manifest of drawn faces, each with a voice of its own and, every other one, with valence and arousal."""

import csv
from pathlib import Path

import numpy as np

from mien.data.replicas import write_drawn
from mien.media.sound.audio import Sound, write_sound
from toy.face_voice import VOICE

EXPRESSIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")


def write_talking_faces(folder: Path, *, faces: int = 56, size: int = 32) -> Path:
    """`manifest.csv` with splits train and test, pictures and WAV voices. Returns the folder.

    A voice is a tone over noise: its pitch follows from the expression, its noise from the row.
    """
    write_drawn(folder, faces=faces, size=size, test_share=0.25)
    rows = [_row(folder, number, path) for number, path in enumerate(sorted(folder.rglob("*.png")))]
    with (folder / "manifest.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder


def voice_of(expression: int, seed: int, *, seconds: float = 0.5) -> Sound:
    """At VOICE.rate_hz."""
    times = np.arange(round(seconds * VOICE.rate_hz)) / VOICE.rate_hz
    noise = np.random.default_rng(seed).normal(0, 0.05, len(times))
    return Sound((0.4 * np.sin(2 * np.pi * 400 * (1 + expression) * times) + noise).astype(np.float32), VOICE.rate_hz)


def _row(folder: Path, number: int, picture: Path) -> dict[str, object]:
    split, expression = picture.relative_to(folder).parts[:2]
    place = EXPRESSIONS.index(expression)
    voice = folder / "voices" / f"{picture.stem}.wav"
    voice.parent.mkdir(exist_ok=True)
    write_sound(voice, voice_of(place, number))
    known = number % 2
    return {
        "path": picture.relative_to(folder).as_posix(), "expression": expression, "split": split,
        "voice": voice.relative_to(folder).as_posix(),
        "valence": round((place - 3) / 4, 3) if known else "", "arousal": 0.1 * (place % 3) if known else "",
    }  # fmt: skip
