"""The nouns that every room passes on: Sample → Batch → Reading.

A Sample says where a face is and what is known of it; nothing is decoded yet. A Batch is what a network gets, a Reading
what a person gets. Batch is generic over its array type, so that training (torch) and reading (numpy) share it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Generic, Literal, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from mien.core.errors import MienError

ArrayT = TypeVar("ArrayT")
Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the picture; x to the right, y down


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
    """The picture's file."""
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


@dataclass(frozen=True, slots=True, eq=False)
class FacePoints:
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


@dataclass(frozen=True, slots=True)
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
