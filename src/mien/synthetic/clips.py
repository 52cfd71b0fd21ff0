"""Short videos of synthetic people: an expression that comes, stays and goes, blinks, head motion, and a voice.

Onset and offset are raised-cosine ramps; a spontaneous expression's onset takes about 0.3 to 1 s (Ekman & Friesen,
Facial Action Coding System, 2nd ed. 2002, on onset, apex and offset). Blinks come about 17 a minute at rest and 26 in
conversation, closing in about 0.1 s and opening in 0.2 s (Bentivoglio et al., Movement Disorders 12(6), 1997).
"""

from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from mien.core.errors import MienError
from mien.synthetic.face.expressions import sample_action_units, valence_arousal
from mien.synthetic.people import (
    CLASSES,
    PeopleOptions,
    Person,
    Scene,
    detector_box,
    person_of,
    photograph,
    scene_of,
)
from mien.synthetic.voices.speakers import sample_speaker
from mien.synthetic.voices.speech import Speech, speak
from mien.synthetic.voices.talking import mouth_track, speaking_face

_PERSON_VOICE, _CLIP = 2, 3  # streams of random numbers; people.py has 0 and 1
_BLINKS_PER_MINUTE = {False: 17.0, True: 26.0}  # silent, speaking


@dataclass(frozen=True)
class ClipOptions:
    """Content of a set of synthetic clips."""

    frames_per_s: float = 25.0
    """Frame rate, in frames per second, 1..120."""
    seconds: float = 3.0
    """Duration of a silent clip, in seconds, 0.5..60; a spoken clip lasts as long as its voice."""
    syllables: int = 9
    """Number of syllables of a spoken clip."""
    voice: bool = True
    """Add a spoken voice track and mouth movement."""
    disagree: float = 0.5
    """Share of spoken clips whose voice carries another expression than the face, 0..1."""
    people: PeopleOptions = field(default_factory=lambda: PeopleOptions(yaw_max_deg=25, occluders=False))
    """Content of the frames."""

    def __post_init__(self) -> None:
        if not 1 <= self.frames_per_s <= 120 or not 0.5 <= self.seconds <= 60:
            raise MienError(
                f"Clips take 1 to 120 frames_per_s and 0.5 to 60 seconds; got {self.frames_per_s:g} and "
                f"{self.seconds:g}."
            )
        if not 0 <= self.disagree <= 1:
            raise MienError(f"disagree is a share of clips, 0 to 1; got {self.disagree:g}.")


@dataclass(frozen=True, eq=False)
class Clip:
    """A recorded clip with its truth. Arrays have one row for each frame, as in `Truth`."""

    frames: UInt8[np.ndarray, "frames size size 3"]
    """RGB."""
    frames_per_s: float
    """Frame rate."""
    speech: Speech | None
    """None in a silent clip."""
    person: Person
    """Who is shown."""
    face: str
    """Expression of the face."""
    voice: str
    """Expression of the voice; "" in a silent clip."""
    intensity: Float[np.ndarray, " frames"]
    """Of the expression at that moment, 0..1."""
    phase: UInt8[np.ndarray, " frames"]
    """0 before onset, 1 onset, 2 apex, 3 offset, 4 after."""
    action_units: Float[np.ndarray, "frames units"]
    """Weights by the model's names, after the palsy."""
    valence: Float[np.ndarray, " frames"]
    """-1..1, nominal."""
    arousal: Float[np.ndarray, " frames"]
    """-1..1, nominal."""
    landmarks_px: Float[np.ndarray, "frames 68 2"]
    """Pixel centres at whole numbers."""
    landmarks_3d: Float[np.ndarray, "frames 68 3"]
    """Metres, in the camera's frame."""
    visible: Bool[np.ndarray, "frames 68"]
    """In the picture and not hidden."""
    head_deg: Float[np.ndarray, "frames 3"]
    """Yaw, pitch, roll, as in Camera."""
    box: Float[np.ndarray, "frames 4"]
    """x0, y0, x1, y1 in pixels, about where a face detector puts it."""


def video(
    seed: int, number: int, *, person: int | None = None, face: str | None = None, voice: str | None = None,
    options: ClipOptions = ClipOptions(),
) -> Clip:  # fmt: skip
    """Clip `number` of a seed. face, voice: expressions; by default they take turns, and the voice goes along or not as
    `options.disagree` says. The same arguments give the same frames and samples.
    """
    rng = np.random.Generator(np.random.PCG64([seed, _CLIP, number]))
    who = person_of(seed, number if person is None else person, options=options.people)
    face = face or CLASSES[number % len(CLASSES)]
    strength = float(rng.uniform(max(0.6, options.people.least_intensity), 1.0))
    other = CLASSES[(CLASSES.index(face) + int(rng.integers(1, len(CLASSES)))) % len(CLASSES)]
    voice = voice or (other if rng.random() < options.disagree else face)
    speech = _speech(seed, number, who, voice, options) if options.voice else None
    times = _times(speech, options)
    envelope, phase = onset_apex_offset(times, rng)
    apex = sample_action_units(face, strength, rng=rng)
    mouth = None if speech is None else mouth_track(speech, frames_per_s=options.frames_per_s, frames=len(times))
    units = _movement(rng, times, envelope, apex, mouth)
    scenes = _scenes(rng, times, scene_of(rng, who, options=options.people))
    gaze = _gaze(rng, times)
    shots = [
        photograph(
            who, {name: float(track[i]) for name, track in units.items()}, scenes[i], gaze_rad=gaze[i],
            options=options.people,
        )
        for i in range(len(times))
    ]  # fmt: skip
    affect = np.array([valence_arousal(face, strength * float(share)) for share in envelope], np.float32)
    found = {name: np.stack([truth[name] for _, truth in shots]) for name in shots[0][1]}
    head = [(s.camera.yaw_rad, s.camera.pitch_rad, s.camera.roll_rad) for s in scenes]
    return Clip(
        frames=np.stack([pixels for pixels, _ in shots]), frames_per_s=options.frames_per_s, speech=speech, person=who,
        face=face, voice=voice if options.voice else "", intensity=(strength * envelope).astype(np.float32),
        phase=phase, valence=affect[:, 0], arousal=affect[:, 1], head_deg=np.degrees(head).astype(np.float32),
        box=np.array([detector_box(points) for points in found["landmarks_px"]], np.float32), **found,
    )  # fmt: skip


def onset_apex_offset(
    times: Float[np.ndarray, " frames"], rng: np.random.Generator
) -> tuple[Float[np.ndarray, " frames"], UInt8[np.ndarray, " frames"]]:
    """An envelope 0..1 that rises, stays and falls within the clip, and the phase of each frame (see Clip)."""
    total = float(times[-1]) + 1e-6
    onset, offset = (min(float(value), 0.3 * total) for value in rng.uniform((0.3, 0.4), (0.8, 1.0)))
    begin = float(rng.uniform(0.05, 0.15)) * total
    end = total * (1 - float(rng.uniform(0.03, 0.12)))
    rise = _ramp((times - begin) / onset)
    fall = _ramp((end - times) / offset)
    phase = np.select(
        [times < begin, times < begin + onset, times <= end - offset, times < end], [0, 1, 2, 3], 4
    ).astype(np.uint8)
    return (rise * fall).astype(np.float32), phase


def blinks(
    times: Float[np.ndarray, " frames"], rng: np.random.Generator, *, per_minute: float
) -> Float[np.ndarray, " frames"]:
    """Weights of AU45, both eyes: fast down, slower up, at irregular times at least 0.6 s apart."""
    closed = np.zeros(len(times), np.float32)
    moment = float(rng.exponential(30 / per_minute))
    while moment < times[-1]:
        down = np.clip((times - moment) / 0.1, 0, 1)
        up = np.clip((times - moment - 0.13) / 0.2, 0, 1)
        closed = np.maximum(closed, np.sin(down * np.pi / 2) * (1 - _ramp(up))).astype(np.float32)
        moment += 0.6 + float(rng.exponential(max(60 / per_minute - 0.6, 0.1)))
    return closed


def wander(
    times: Float[np.ndarray, " frames"], rng: np.random.Generator, *, size: float, period_s: float = 2.5
) -> Float[np.ndarray, " frames"]:
    """Smooth chance motion of standard deviation `size`: five sines about a period."""
    periods = period_s * np.exp(rng.uniform(-0.7, 0.9, 5))
    phases, heights = rng.uniform(0, 2 * np.pi, 5), rng.normal(size=5)
    waves = np.sin(2 * np.pi * times[:, None] / periods + phases) @ heights
    return size * waves / np.sqrt((heights**2).sum() / 2)


def _ramp(x: np.ndarray) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(np.pi * np.clip(x, 0, 1))


def _speech(seed: int, number: int, who: Person, expression: str, options: ClipOptions) -> Speech:
    """In the person's own voice. Its age and sex are drawn apart from the face, but a beard speaks with a man's."""
    rng = np.random.Generator(np.random.PCG64([seed, _PERSON_VOICE, who.number]))
    bearded = who.appearance.beard != "none"
    speaker = sample_speaker(rng, sex="male", age=float(rng.uniform(20, 70))) if bearded else sample_speaker(rng)
    return speak(options.syllables, expression=expression, intensity=0.8, speaker=speaker, seed=[seed, _CLIP, number])


def _times(speech: Speech | None, options: ClipOptions) -> np.ndarray:
    seconds = options.seconds if speech is None else speech.duration_s
    return np.arange(max(2, int(np.ceil(seconds * options.frames_per_s - 1e-6)))) / options.frames_per_s


def _movement(
    rng: np.random.Generator, times: np.ndarray, envelope: np.ndarray, apex: dict[str, float],
    mouth: dict[str, np.ndarray] | None,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Weights by name, a value a frame: the expression, the mouth that speaks, the blinks."""
    held = {name: value * envelope * (1 + wander(times, rng, size=0.04)) for name, value in apex.items()}
    units: dict[str, np.ndarray] = {name: np.clip(track, 0, 1) for name, track in held.items()}
    if mouth is not None:
        units = dict(speaking_face(units, mouth))
    closed = blinks(times, rng, per_minute=_BLINKS_PER_MINUTE[mouth is not None])
    for side in "LR":
        units[f"AU45_{side}"] = np.maximum(units.get(f"AU45_{side}", 0), closed)
    return units


def _scenes(rng: np.random.Generator, times: np.ndarray, scene: Scene) -> list[Scene]:
    """One place, one light; the head moves a little, the sensor's noise is new in every frame."""
    yaw, pitch = wander(times, rng, size=0.05), wander(times, rng, size=0.03)
    roll, x, y = wander(times, rng, size=0.025), wander(times, rng, size=0.006), wander(times, rng, size=0.006)
    camera, noise = scene.camera, scene.degradation.seed
    return [
        replace(
            scene,
            camera=replace(
                camera, yaw_rad=camera.yaw_rad + float(yaw[i]), pitch_rad=camera.pitch_rad + float(pitch[i]),
                roll_rad=camera.roll_rad + float(roll[i]),
                centre=(camera.centre[0] + float(x[i]), camera.centre[1] + float(y[i])),
            ),
            degradation=replace(scene.degradation, seed=noise + i, motion=0.0),
        )
        for i in range(len(times))
    ]  # fmt: skip


def _gaze(rng: np.random.Generator, times: np.ndarray) -> Float[np.ndarray, "frames 2 2"]:
    """Both eyes alike: they rest and jump, twice a second or so, by a few degrees."""
    jumps = np.cumsum(rng.random(len(times)) < 2.0 * float(times[1] - times[0]))
    places = rng.normal(0, (0.05, 0.03), (int(jumps[-1]) + 1, 2))
    return np.repeat(places[jumps][:, None], 2, axis=1).astype(np.float32)
