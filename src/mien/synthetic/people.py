"""Synthetic people: one picture from a seed, and the exact truth about it.

A person (shape, skin, hair, glasses) depends on seed and person number only, so that one person can be shown in many
pictures; expression, palsy, head pose, light and everything else on seed and picture number.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Bool, Float, UInt8

from mien.core.errors import MienError, nearest
from mien.core.labels import label_set
from mien.core.records import Box
from mien.synthetic.face.build import face_model
from mien.synthetic.face.expressions import sample_action_units, valence_arousal
from mien.synthetic.face.palsy import Palsy, sample_palsy
from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.background import Background
from mien.synthetic.picture.camera import Camera
from mien.synthetic.picture.degradation import Degradation
from mien.synthetic.picture.person.occluders import Occluder
from mien.synthetic.picture.plain import grey_render
from mien.synthetic.picture.scene import render
from mien.synthetic.picture.shading import Light
from mien.synthetic.shot import Shot

CLASSES = label_set("ferplus").classes
_PERSON, _PICTURE = 0, 1  # streams of random numbers that never meet


@dataclass(frozen=True)
class PeopleOptions:
    """Content of a set of synthetic photographs."""

    size: int = 128
    """Side of an image, in pixels, 32..2048."""
    mixtures: float = 0.15
    """Share of images that mix two expressions, 0..1."""
    palsy: float = 0.0
    """Share of persons with a one-sided facial palsy, 0..1."""
    yaw_max_deg: float = 60.0
    """Largest yaw of the head to either side, in degrees, 0..90."""
    occluders: bool = True
    """Place hands, masks and glasses in front of some faces."""
    degradations: bool = True
    """Blur, add noise to, and compress some images."""
    least_intensity: float = 0.45
    """Smallest intensity of an expression, 0..1."""
    renders: bool = False
    """Also draw the grey render of each face's exact 3D shape."""

    def __post_init__(self) -> None:
        if not 32 <= self.size <= 2048:
            raise MienError(f"Pictures of people are 32 to 2048 pixels; got size = {self.size}.")
        for name in ("mixtures", "palsy", "least_intensity"):
            if not 0 <= getattr(self, name) <= 1:
                raise MienError(f"{name} must lie between 0 and 1; got {getattr(self, name)}.")
        if not 0 <= self.yaw_max_deg <= 90:
            raise MienError(f"yaw_max_deg must lie between 0 and 90; got {self.yaw_max_deg}.")


@dataclass(frozen=True, eq=False)
class Person:
    """Who is seen."""

    number: int
    """Of the person in the set."""
    identity: Float[np.ndarray, " modes"]
    """Coefficients of the face model."""
    appearance: Appearance
    """Skin, hair and clothes."""
    glasses: Occluder
    """Glasses that the person wears, if any."""
    palsy: Palsy | None = None
    """None for most."""


@dataclass(frozen=True, eq=False)
class Scene:
    """How and where somebody is seen."""

    camera: Camera = field(default_factory=Camera)
    """View."""
    light: Light = field(default_factory=Light)
    """Lamps and surrounding light."""
    background: Background = field(default_factory=Background)
    """Behind the person."""
    occluder: Occluder = field(default_factory=Occluder)
    """In front of the face."""
    degradation: Degradation = field(default_factory=Degradation)
    """Of the camera's picture."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is true of a picture, exactly."""

    person: int
    """Number of the person."""
    identity: Float[np.ndarray, " modes"]
    """Coefficients of the face model."""
    expression: str
    """The largest share of the mixture."""
    intensity: float
    """0..1."""
    mixture: Float[np.ndarray, " classes"]
    """Shares of `CLASSES`, sum 1."""
    action_units: Float[np.ndarray, " units"]
    """Weights by the model's names, after the palsy."""
    valence: float
    """-1..1, nominal (see expressions.py)."""
    arousal: float
    """-1..1, nominal."""
    landmarks_px: Float[np.ndarray, "68 2"]
    """Pixel centres at whole numbers."""
    landmarks_3d: Float[np.ndarray, "68 3"]
    """The camera's frame, metres: x to the viewer's right, y up, z to the camera, from the head's turning point."""
    visible: Bool[np.ndarray, "68"]
    """In the picture and not hidden by anything."""
    yaw_deg: float
    """As Camera says; so are pitch and roll."""
    pitch_deg: float
    """Positive: the face looks up."""
    roll_deg: float
    """Positive: it tilts to the viewer's right."""
    focal_px: float
    """Focal length."""
    distance_m: float
    """From the camera to the head's turning point."""
    box: Box
    """About where a face detector puts its box."""
    palsy: Palsy | None = None
    """None for most."""
    render: UInt8[np.ndarray, "size size"] | None = None
    """The grey render of the face's shape, where the options ask for it."""


def person_of(seed: int, number: int, *, options: PeopleOptions = PeopleOptions()) -> Person:
    """The person of that number. The same arguments give the same person."""
    rng = np.random.Generator(np.random.PCG64([seed, _PERSON, number]))
    identity = rng.normal(size=len(face_model().identity_names)).astype(np.float32).clip(-2.5, 2.5)
    appearance, glasses = Appearance.sample(rng), replace(Occluder.sample(rng), kind="none")
    palsy = sample_palsy(rng) if rng.random() < options.palsy else None
    return Person(number, identity, appearance, glasses if options.occluders else Occluder(), palsy)


def scene_of(rng: np.random.Generator, person: Person, *, options: PeopleOptions) -> Scene:
    """A scene by chance, with the person's own glasses."""
    camera = Camera.sample(rng, size=options.size, yaw_max_rad=float(np.radians(options.yaw_max_deg)))
    light, background = Light.sample(rng), Background.sample(rng)
    thing, faults = Occluder.sample(rng), Degradation.sample(rng)
    glasses = person.glasses
    occluder = replace(glasses, kind=thing.kind, place=thing.place, angle_rad=thing.angle_rad, seed=thing.seed)
    if thing.kind != "none" and not glasses.glasses:
        occluder = replace(thing, glasses=False)
    if not options.degradations:
        faults = Degradation(metered=faults.metered, contrast=faults.contrast, cast=faults.cast, seed=faults.seed)
    return Scene(camera, light, background, occluder if options.occluders else Occluder(), faults)


def photograph(
    person: Person,
    action_units: Mapping[str, float],
    scene: Scene,
    *,
    gaze_rad: np.ndarray | None = None,
    options: PeopleOptions = PeopleOptions(),
) -> tuple[UInt8[np.ndarray, "size size 3"], dict[str, np.ndarray]]:
    """The picture, and its `landmarks_px`, `landmarks_3d`, `visible` and `action_units` (weights after the palsy);
    where the options ask for it its `render`, uint8 [size, size]. options: those that the person was made with.
    """
    model = face_model()
    weights = model.weights(action_units if person.palsy is None else person.palsy.applied(action_units))
    gaze = None if gaze_rad is None else np.broadcast_to(np.asarray(gaze_rad, np.float32), (1, 2, 2))
    vertices = model.vertices(person.identity[None], weights, gaze_rad=gaze)
    named = dict(zip(model.expression_names, weights[0].tolist(), strict=True))
    rendered = render(
        model, vertices[0], appearance=person.appearance, action_units=named, camera=scene.camera, light=scene.light,
        background=scene.background, occluder=scene.occluder, degradation=scene.degradation,
    )  # fmt: skip
    shape = {"render": grey_render(model, vertices[0], scene.camera)} if options.renders else {}
    return rendered.pixels, shape | {
        "landmarks_px": rendered.landmarks_px,
        "landmarks_3d": scene.camera.view(model.landmarks(vertices)[0]).astype(np.float32),
        "visible": rendered.visible,
        "action_units": weights[0],
    }


def portrait(
    seed: int, number: int, *, person: int | None = None, expression: str | None = None,
    options: PeopleOptions = PeopleOptions(),
) -> tuple[UInt8[np.ndarray, "size size 3"], Truth]:  # fmt: skip
    """Picture `number` of a seed: RGB and its truth. person: by default one of their own for each picture.

    expression: one of `CLASSES`; by default they take turns. Raises MienError for another.
    """
    if expression is not None and expression not in CLASSES:
        raise MienError(f"No expression {expression!r}.{nearest(expression, CLASSES)}")
    rng = np.random.Generator(np.random.PCG64([seed, _PICTURE, number]))
    who = person_of(seed, number if person is None else person, options=options)
    mixture, intensity = _mixture(expression or CLASSES[number % len(CLASSES)], rng, options)
    shares = {name: float(share) for name, share in zip(CLASSES, mixture, strict=True) if share > 0}
    units = sample_action_units(shares, intensity, rng=rng)
    scene = scene_of(rng, who, options=options)
    pixels, found = photograph(who, units, scene, gaze_rad=_gaze(rng, scene.camera), options=options)
    return pixels, truth_of(who, scene, found, mixture=mixture, intensity=intensity)


def truth_of(
    person: Person, scene: Scene, found: Mapping[str, np.ndarray], *, mixture: np.ndarray, intensity: float
) -> Truth:
    """What `photograph` found, with what was asked of it."""
    camera, degrees = scene.camera, 180 / np.pi
    shares = {name: float(share) for name, share in zip(CLASSES, mixture, strict=True) if share > 0}
    valence, arousal = valence_arousal(shares, intensity)
    return Truth(
        person=person.number, identity=person.identity, expression=CLASSES[int(mixture.argmax())], intensity=intensity,
        mixture=mixture, action_units=found["action_units"], valence=valence, arousal=arousal,
        landmarks_px=found["landmarks_px"], landmarks_3d=found["landmarks_3d"], visible=found["visible"],
        yaw_deg=camera.yaw_rad * degrees, pitch_deg=camera.pitch_rad * degrees, roll_deg=camera.roll_rad * degrees,
        focal_px=camera.focal_px, distance_m=camera.distance, box=detector_box(found["landmarks_px"]),
        palsy=person.palsy,
        render=found.get("render"),
    )  # fmt: skip


def detector_box(landmarks_px: Float[np.ndarray, "68 2"]) -> Box:
    """About dlib's box for a face with these points: a square, its lower edge at the chin."""
    low, high = landmarks_px.min(0), landmarks_px.max(0)
    width, height = (float(value) for value in high - low)
    side = 1.1 * max(width, height)
    x, y = float(low[0] + width / 2), float(low[1] + height / 2) - 0.1 * height + 0.075 * side
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


def _mixture(expression: str, rng: np.random.Generator, options: PeopleOptions) -> tuple[np.ndarray, float]:
    """Shares of `CLASSES` and an intensity. The asked expression keeps the largest share."""
    mixture = np.zeros(len(CLASSES), np.float32)
    place = CLASSES.index(expression)
    other, share = int(rng.integers(len(CLASSES) - 1)), float(rng.uniform(0.1, 0.4))
    mixture[place] = 1
    if rng.random() < options.mixtures:
        mixture[place] -= share
        mixture[(place + 1 + other) % len(CLASSES)] += share
    return mixture, float(rng.uniform(options.least_intensity, 1.0))


def _gaze(rng: np.random.Generator, camera: Camera) -> Float[np.ndarray, "2 2"]:
    """Mostly into the camera, as in photographs: the eyes turn against the head, as far as they can."""
    at_camera = np.array([-camera.yaw_rad, -camera.pitch_rad]) * (rng.random() < 0.7)
    turned = np.clip(at_camera + rng.normal(0, 0.06, 2), (-0.45, -0.25), (0.45, 0.25))
    return np.broadcast_to(turned.astype(np.float32), (2, 2))


def units_of_model() -> tuple[str, ...]:
    """Names of `Truth.action_units`."""
    return face_model().expression_names


def people_recording(
    expression: str, *, seed: int, number: int, person: int | None, size: int, frames: int
) -> list[Shot]:
    """The style "people" of replicas: a recording from neutral to the expression; one shot is the expression alone.

    Faces are framed as data sets frame them: upright, near frontal, nothing before them.
    """
    options = PeopleOptions(size=max(size, 32), yaw_max_deg=20, occluders=False, degradations=False)
    rng = np.random.Generator(np.random.PCG64([seed, _PICTURE, number]))
    who = person_of(seed, number if person is None else person, options=options)
    intensity = float(rng.uniform(options.least_intensity, 1.0))
    apex = sample_action_units(expression, intensity, rng=rng)
    scene = scene_of(rng, who, options=options)
    scene = replace(scene, camera=replace(scene.camera, face_side=0.85 * options.size, centre=(0.0, 0.0)))
    shots = []
    for share in np.linspace(0, 1, frames) if frames > 1 else (1.0,):
        pixels, found = photograph(who, {name: value * float(share) for name, value in apex.items()}, scene)
        shots.append(Shot(pixels, found["landmarks_px"], *valence_arousal(expression, intensity * float(share))))
    return shots


def unframed_portrait(seed: int, number: int, *, expression: str, size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Somebody with a strong expression and room around the head, as a photograph for a face detector to search."""
    options = PeopleOptions(size=size, yaw_max_deg=15, occluders=False, degradations=False)
    rng = np.random.Generator(np.random.PCG64([seed, _PICTURE, number]))
    who = person_of(seed, number, options=options)
    scene = scene_of(rng, who, options=options)
    scene = replace(scene, camera=replace(scene.camera, face_side=0.5 * size, centre=(0.0, -0.05)))
    return photograph(who, sample_action_units(expression, 0.95, rng=rng), scene)[0]
