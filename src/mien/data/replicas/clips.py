"""A folder of synthetic clips: for each its frames, its voice and the truth of every frame.

clips.csv                    a row a clip: split, person, expression of face and voice, speaker, frames
clips/0001/frames/0001.jpg   clips/0001/voice.wav   clips/0001/clip.mp4 (with `[video]`)   clips/0001/truth.npz
"""

import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien import __version__
from mien.core.errors import MienError
from mien.data.parallel import parallel_map
from mien.data.replicas.people import Plan
from mien.media.sound.audio import Sound, write_sound
from mien.media.video import write_video
from mien.synthetic.clips import Clip, ClipOptions, video
from mien.synthetic.people import CLASSES, units_of_model

TABLE, ABOUT, CLIPS = "clips.csv", "clips.json", "clips"
COLUMNS = (
    "clip", "split", "person", "expression", "voice_expression", "frames", "frames_per_s", "speaker_sex", "speaker_age",
    "palsy_side",
)  # fmt: skip
ARRAY_NAMES = (
    "intensity", "phase", "action_units", "valence", "arousal", "landmarks_px", "landmarks_3d", "visible", "head_deg",
    "box",
)  # fmt: skip
_QUALITY = 92


@dataclass(frozen=True)
class Row:
    """A row of clips.csv; the names are its columns."""

    clip: str
    """Its folder."""
    split: str
    """train, valid or test."""
    person: str
    """Key of the person."""
    expression: str
    """Of the face."""
    voice_expression: str
    """Of the voice."""
    frames: int
    """Number of frames."""
    frames_per_s: float
    """Frame rate."""
    speaker_sex: str
    """female, male, or empty without a voice."""
    speaker_age: str
    """Years; empty without a voice."""
    palsy_side: str
    """R, L or empty."""


def write_clips(
    folder: Path, plan: Plan, *, options: ClipOptions = ClipOptions(), workers: int = 1,  # noqa: B008 - frozen
    shown: Callable[[Iterator[Any]], Iterator[Any]] = iter,
) -> list[Row]:  # fmt: skip
    """Writes `plan.faces` clips, `plan.pictures` of each person. Frames, voices and truth depend on plan and options
    only. shown: wraps the iterator of finished clips, for a progress bar.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shoot = partial(_shoot, folder=folder, plan=plan, options=options)
    rows = dict(shown(parallel_map(shoot, range(plan.faces), workers=workers)))
    ordered = [rows[number] for number in range(plan.faces)]
    with (folder / TABLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in ordered)
    about = {"mien": __version__, "plan": asdict(plan), "options": asdict(options), "licence": "no person is in them"}
    (folder / ABOUT).write_text(json.dumps(about, indent=1) + "\n", encoding="utf-8")
    return ordered


def _shoot(number: int, *, folder: Path, plan: Plan, options: ClipOptions) -> Row:
    clip = video(plan.seed, number, person=plan.person(number), face=plan.expression(number), options=options)
    name = f"{CLIPS}/{number + 1:04d}"
    _write_clip(folder / name, clip, units_of_model())
    speaker = clip.speech.speaker if clip.speech is not None else None
    return Row(
        clip=name, split=plan.split(number), person=f"person{clip.person.number + 1:05d}", expression=clip.face,
        voice_expression=clip.voice, frames=len(clip.frames), frames_per_s=clip.frames_per_s,
        speaker_sex=speaker.sex if speaker else "", speaker_age=f"{speaker.age:.0f}" if speaker else "",
        palsy_side=clip.person.palsy.side if clip.person.palsy else "",
    )  # fmt: skip


def _write_clip(folder: Path, clip: Clip, units: tuple[str, ...]) -> None:
    (folder / "frames").mkdir(parents=True, exist_ok=True)
    for i, pixels in enumerate(clip.frames, 1):
        path = folder / "frames" / f"{i:04d}.jpg"
        if not cv2.imwrite(str(path), np.ascontiguousarray(pixels[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]):
            raise MienError(f"Cannot write {path}. Is the disk full, or the folder read-only?")
    arrays = {name: getattr(clip, name) for name in ARRAY_NAMES}
    sound = None
    if clip.speech is not None:
        sound = Sound(clip.speech.samples, clip.speech.sample_rate_hz)
        write_sound(folder / "voice.wav", sound)
        arrays |= {"f0_hz": clip.speech.f0_hz, "f0_rate_hz": np.float64(clip.speech.frame_rate_hz)}
    content = io.BytesIO()
    names = {"action_unit_names": np.array(units), "classes": np.array(CLASSES)}
    np.savez_compressed(content, **arrays, **names)  # type: ignore[arg-type]
    (folder / "truth.npz").write_bytes(content.getvalue())
    if find_spec("av") is not None:
        write_video(folder / "clip.mp4", clip.frames, rate_hz=clip.frames_per_s, sound=sound)
