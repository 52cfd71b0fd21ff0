"""Replicas of sets of recordings: short videos with a tone for a voice, in the layouts of RAVDESS, MEAD and CREMA-D."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core.labels import label_set
from mien.data.replicas.face import SAME, Face, Written
from mien.media.sound.audio import Sound, write_sound
from mien.media.video import write_video

FRAMES, RATE_HZ = 8, 25.0  # of a video
SHOWN = FRAMES // 2  # the frame that a reader takes who takes one
RAVDESS_CLASSES = {name: "neutral" if name == "calm" else name for name in label_set("ravdess").classes}
MEAD_CLASSES = {name: name for name in label_set("mead").classes}
CREMAD_CLASSES = {name: SAME[name] for name in label_set("cremad").classes}
_MEAD_WORDS = {
    "anger": "angry",
    "disgust": "disgusted",
    "happiness": "happy",
    "sadness": "sad",
    "surprise": "surprised",
}
_SENTENCES = ("DFA", "IEO", "IOM", "ITH", "ITS", "IWL", "IWW", "MTI", "TAI", "TIE", "TSI", "WSI")
_SOUND_HZ = 16_000


def write_ravdess(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`Actor_01/01-01-03-01-01-01-01.mp4` with sound. What a person shows again is another statement, repetition."""
    times = Counter[tuple[int, str]]()
    for face in faces:
        turn = times[face.person, face.expression]
        times[face.person, face.expression] += 1
        code = label_set("ravdess").index(face.expression) + 1
        actor = f"{face.person + 1:02d}"
        clip = f"01-{code:02d}-01-{turn % 2 + 1:02d}-{turn // 2 % 99 + 1:02d}-{actor}"
        key = f"Actor_{actor}/01-{clip}.mp4"
        _write_video(folder / key, face, sound=_tone(face, code))
        yield _written(key, face, f"Actor_{actor}", clip)


def write_mead(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`M003/video/front/angry/level_1/001.mp4`, silent, and `M003/audio/angry/level_1/001.wav`."""
    for face in faces:
        word = _MEAD_WORDS.get(face.expression, face.expression)
        subject = f"{'MW'[face.person % 2]}{face.person + 3:03d}"
        level = 1 if face.expression == "neutral" else face.number % 3 + 1
        place = f"{word}/level_{level}/{face.number:03d}"
        key = f"{subject}/video/front/{place}.mp4"
        _write_video(folder / key, face)
        _write_voice(folder / f"{subject}/audio/{place}.wav", face, label_set("mead").index(face.expression))
        yield _written(key, face, subject, f"{subject}/{place}")


def write_cremad(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`VideoFlash/1001_DFA_ANG_XX.mp4`, here silent, and its sound as `AudioWAV/1001_DFA_ANG_XX.wav`."""
    codes = {"anger": "ANG", "disgust": "DIS", "fear": "FEA", "happiness": "HAP", "neutral": "NEU", "sadness": "SAD"}
    times = Counter[tuple[int, str]]()
    for face in faces:
        turn = times[face.person, face.expression]
        times[face.person, face.expression] += 1
        level = ("XX", "LO", "MD", "HI")[turn // len(_SENTENCES) % 4]
        actor = f"{1001 + face.person:04d}"
        clip = f"{actor}_{_SENTENCES[turn % len(_SENTENCES)]}_{codes[face.expression]}_{level}"
        number = label_set("cremad").index(face.expression)
        _write_video(folder / f"VideoFlash/{clip}.mp4", face)
        _write_voice(folder / f"AudioWAV/{clip}.wav", face, number)
        yield _written(f"VideoFlash/{clip}.mp4", face, actor, clip)


def _written(key: str, face: Face, subject: str, clip: str) -> Written:
    return Written(f"{key}#{SHOWN:05d}", "all", face.expression, subject, clip)


def _write_video(path: Path, face: Face, *, sound: Sound | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_video(path, np.repeat(face.pixels[None], FRAMES, 0), rate_hz=RATE_HZ, sound=sound)


def _write_voice(path: Path, face: Face, code: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sound(path, _tone(face, code))


def _tone(face: Face, code: int) -> Sound:
    """As long as the video; its pitch tells the class, its level the person."""
    times = np.arange(round(FRAMES / RATE_HZ * _SOUND_HZ)) / _SOUND_HZ
    level = 0.2 + 0.05 * (face.person % 8)
    return Sound((level * np.sin(2 * np.pi * (150 + 60 * code) * times)).astype(np.float32), _SOUND_HZ)
