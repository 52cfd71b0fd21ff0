"""The nouns that every room passes on: Sample → Batch → Reading.

A Sample says where a face is and what is known of it; nothing is decoded yet. A Batch is what a network gets, a Reading
what a person gets. Batch is generic over its array type, so that training (torch) and reading (numpy) share it.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from mien.core.errors import MienError
from mien.core.face3d import Face3DReading
from mien.core.geometry import Box
from mien.core.trust.agreement import Agreement
from mien.core.trust.quality import FaceQuality
from mien.core.typed import SameNumbers

ArrayT = TypeVar("ArrayT")


@runtime_checkable
class StoredPoints(Protocol):
    """Points that stay in their file until `numpy.asarray`, an item or an attribute of the array is asked for."""

    def read(self) -> np.ndarray: ...

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray: ...

    def __getitem__(self, item: Any) -> Any: ...

    def __len__(self) -> int: ...


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One face in one picture, with what is known of it."""

    key: str
    """Unique in its data set and stable across machines (the path below the root, with `/`)."""
    path: Path
    """The picture's file; a video, of which `frame` names the picture; or, of a voice alone, the sound."""
    split: str = ""
    """Name of the data set's part that it stands in."""
    expression: int | None = None
    """Index into the reader's LabelSet."""
    distribution: tuple[float, ...] | None = None
    """Probabilities over the LabelSet: votes divided by their sum."""
    box: Box | None = None
    """The face in the picture's pixels after EXIF rotation; None where the picture's own framing is the face crop."""
    landmarks_px: Float[np.ndarray, "points 2"] | StoredPoints | None = None
    """float32, x then y, pixel centres at whole numbers."""
    valence: float | None = None
    """-1..1, as AffectNet annotates it."""
    arousal: float | None = None
    """-1..1, as AffectNet annotates it."""
    subject: str | None = None
    """The person, where the data set knows; None is "unknown", never "all the same"."""
    clip: str | None = None
    """The recording or series that this is one frame of; frames of one clip are near-duplicates."""
    span: tuple[int, int] | None = None
    """Bytes (offset, length) of the picture inside the file `path`: a row of fer2013.csv, a picture of a shard."""
    depth_px: Float[np.ndarray, " points"] | None = None
    """Pixels of the picture, larger is nearer to the viewer; only differences within a face mean something."""
    visible: Bool[np.ndarray, " points"] | None = None
    """False where the point is hidden by the face itself or by something in front of it."""
    pose_rad: tuple[float, float, float] | None = None
    """Pitch, yaw, roll, as the data set states them."""
    affected: Literal["R", "L"] | None = None
    """The person's own side that a palsy weakens."""
    frame: int | None = None
    """Index of the video frame, from 0."""
    voice: Path | None = None
    """The sound that belongs to the picture."""
    render: Path | None = None
    """A picture of the same face rendered from its 3D shape, in the same frame as `path`."""
    voice_expression: str | None = None
    """Class that the voice expresses, which may be another than the face's; in no LabelSet's order."""
    face3d: Float[np.ndarray, " parameters"] | None = None
    """Shape, expression, jaw and lids of the open 3D face, in a row (synthetic.face.open_face)."""

    @property
    def has_picture(self) -> bool:
        """False for a voice alone: then `path` is that of the sound."""
        return self.path != self.voice or self.frame is not None

    @property
    def place(self) -> tuple[Any, ...]:
        """What tells one picture from all others: file, bytes in it, frame of it."""
        return self.path, self.span, self.frame


@dataclass(slots=True)
class Batch(Generic[ArrayT]):
    """Prepared samples, as the inputs ask. Fields that the data do not have are None."""

    image: ArrayT
    """[batch, 3, height, width], normalised."""
    index: ArrayT
    """[batch], positions of the samples in their list."""
    expression: ArrayT | None = None
    """[batch] class indices."""
    distribution: ArrayT | None = None
    """[batch, classes]."""
    landmarks: ArrayT | None = None
    """[batch, points, 2] in crop sides, 0 at the left or upper edge of the crop and 1 at the other."""
    depth: ArrayT | None = None
    """[batch, points] in crop sides, larger is nearer, mean 0 over a face's points."""
    visible: ArrayT | None = None
    """[batch, points], 1 or 0, NaN where unknown; 0 outside the crop."""
    affect: ArrayT | None = None
    """[batch, 2], valence and arousal in -1..1, NaN where unknown."""
    render: ArrayT | None = None
    """[batch, 3, height, width], normalised: the rendered face."""
    voice: ArrayT | None = None
    """[batch, 1, mels, frames]."""
    face3d: ArrayT | None = None
    """[batch, parameters]: shape, expression, jaw and lids of the open 3D face, NaN where unknown."""

    def __len__(self) -> int:
        return len(self.image)  # type: ignore[arg-type]

    def map(self, function: Callable[[ArrayT], Any]) -> "Batch[Any]":
        """The batch with the function applied to every array that there is."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return Batch(**{name: value if value is None else function(value) for name, value in values.items()})

    def pin_memory(self) -> "Batch[ArrayT]":
        """Of torch's tensors, for copies to a GPU that nothing waits for: torch's DataLoader asks for it by this name.
        Raises AttributeError for arrays."""
        return self.map(lambda value: value.pin_memory())  # type: ignore[attr-defined]

    def take(self, names: Iterable[str]) -> tuple[ArrayT, ...]:
        """The arrays of these fields. Raises MienError for a field that these data do not have."""
        found = {name: getattr(self, name) for name in names}
        for name, value in found.items():
            if value is None:
                raise MienError(f"The network takes {name!r}, which these data do not have.")
        return tuple(found.values())


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FacePoints(SameNumbers):
    """The points of one face, as a model found them."""

    landmarks_px: Float[np.ndarray, "points 2"]
    """In the picture's pixels, pixel centres at whole numbers."""
    depth_px: Float[np.ndarray, " points"] | None = None
    """Pixels, larger is nearer, mean 0."""
    sigma_px: Float[np.ndarray, " points"] | None = None
    """The error to expect of each point, pixels."""
    confidence: Float[np.ndarray, " points"] | None = None
    """Probability that a point is off by less than 5 % of the distance of the outer eye corners."""
    visible: Float[np.ndarray, " points"] | None = None
    """Probability that a point is in view."""
    pose_rad: tuple[float, float, float] | None = None
    """Pitch (up), yaw (to the viewer's right), roll (clockwise as seen) of the head."""
    box: Box | None = None
    """The detector's box that the points were read in."""

    def __repr__(self) -> str:
        sure = "" if self.confidence is None else f", mean confidence {100 * self.confidence.mean():.0f} %"
        return f"FacePoints({len(self.landmarks_px)} points{sure}{_pose_text(self.pose_rad)})"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON takes, by field name: lists, and None for what is missing or no number."""
        return {each.name: _plain(getattr(self, each.name)) for each in fields(self)}


@dataclass(frozen=True, slots=True)
class Affect:
    """Valence and arousal of one face, -1..1."""

    valence: float
    """Unpleasant to pleasant."""
    arousal: float
    """Calm to excited."""
    proxy: str = ""
    """What the model learned them from, where nobody rated faces for it; empty for ratings by people."""

    @property
    def summary(self) -> str:
        """`valence 0.62, arousal 0.31 (proxy)`."""
        return f"valence {self.valence:.2f}, arousal {self.arousal:.2f}{' (proxy)' if self.proxy else ''}"


@dataclass(frozen=True, slots=True, repr=False)
class Reading:
    """What a person gets of one face of one picture or video frame. A missing face is a Reading with success False."""

    source: str
    """The file, as it was named."""
    success: bool
    """Whether this is a face."""
    frame: int = 0
    """Index of the video frame, from 0."""
    timestamp_s: float | None = None
    """Time of the frame from the start of its video."""
    face_id: int = 0
    """Number of the face within its picture or frame, the largest first."""
    track_id: int | None = None
    """Of a video: the same number from frame to frame as long as it is the same face, from 0; None of a picture."""
    box: Box | None = None
    """In pixels of the upright picture."""
    score: float | None = None
    """The detector's own; compares only within one detector."""
    expression: str | None = None
    """The most probable class of the first output of classes."""
    probabilities: dict[str, float] = field(default_factory=dict)
    """Of the first output of classes, by class name."""
    outputs: dict[str, dict[str, float]] = field(default_factory=dict)
    """By output, of all models: probabilities by class name, or values by name."""
    arrays: dict[str, np.ndarray] = field(default_factory=dict, compare=False, repr=False)
    """By output, of all models: vectors and pictures."""
    model: str = ""
    """`system@weights` of the models that read it, separated by commas."""
    note: str = ""
    """Why nothing could be read, or what was done (reduced scale)."""
    points: FacePoints | None = None
    """Where a landmark model read them."""
    affect: Affect | None = None
    """Of the first model that gives both values."""
    face3d: Face3DReading | None = None
    """Where it was asked for."""
    quality: FaceQuality | None = None
    """Of the face's picture."""
    expression_set: tuple[str, ...] = ()
    """Classes, the most probable first, among which the label is with the coverage that was asked for; else empty."""
    abstained: str = ""
    """Why no expression is given, where it was asked for: a wide set or quality flags, separated by semicolons."""
    agreement: Agreement | None = None
    """Of several models with the same classes."""

    def __repr__(self) -> str:
        return f"Reading({f'{self.source!r}, ' if self.source else ''}{self.summary})"

    @property
    def label(self) -> str:
        """`happiness 93 %`, without a probability the class alone, never 100 %; without classes the first two values.

        Empty where there is neither.
        """
        if self.abstained:
            return f"no expression ({self.abstained_text})"
        if self.expression is None:
            values = [(name, value) for given in self.outputs.values() for name, value in given.items()]
            shown = "  ".join(f"{name} {value:.2f}" for name, value in values[:2])
            return f"{shown} (proxy)" if self.affect and self.affect.proxy and shown.startswith("valence") else shown
        share = self.probabilities.get(self.expression)
        if share is None:
            return self.expression
        return f"{self.expression} " + (">99 %" if share >= 0.995 else f"{100 * share:.0f} %")

    @property
    def abstained_text(self) -> str:
        """`set of 3 classes, low contrast`; empty where an expression is given."""
        return self.abstained.replace(";", ", ").replace("_", " ")

    @property
    def summary(self) -> str:
        """One line, `face 0: happiness 93 %, box (179, 83, 267, 171), pitch -3°, yaw -1°`; or `track 0: ...`."""
        if not self.success:
            return self.note or "no face found"
        box = f"box ({', '.join(f'{edge:.0f}' for edge in self.box)})" if self.box else ""
        pose = _pose_text(self.points.pose_rad if self.points else None)
        affect = self.affect.summary if self.affect and self.expression else ""
        units = self.face3d.summary if self.face3d else ""
        several = "" if len(self.expression_set) < 2 else f"or {', '.join(self.expression_set[1:])}"
        label = " ".join(filter(None, [self.label, "" if self.abstained else several]))
        flags = f"quality: {self.quality.summary}" if self.quality and self.quality.flags else ""
        found = ", ".join(filter(None, [label, affect, box])) + pose
        name = f"face {self.face_id}" if self.track_id is None else f"track {self.track_id}"
        return f"{name}: {', '.join(filter(None, [found, units, flags]))}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values that JSON takes, by field name: dicts, lists, and None for what is missing or no number."""
        return {name: _plain(getattr(self, name)) for name in Reading.__dataclass_fields__}


def _plain(value: Any) -> Any:
    """Arrays, tuples and records as lists and dicts; numbers that are not finite as None."""
    if isinstance(value, FacePoints | Face3DReading | FaceQuality | Agreement):
        return value.to_dict()
    if isinstance(value, Affect):
        return asdict(value)
    if isinstance(value, np.ndarray | np.generic):
        finite = value.dtype.kind == "f" and bool(np.isfinite(value).all())
        value = value.tolist()
        if finite:  # as nearly always: then no number has to be looked at
            return value
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _pose_text(pose_rad: tuple[float, float, float] | None) -> str:
    """`, pitch -3°, yaw -1°, roll 3°`; empty without a pose."""
    named = zip(("pitch", "yaw", "roll"), pose_rad or (), strict=False)
    return "".join(f", {name} {round(float(np.degrees(angle)))}°" for name, angle in named)
