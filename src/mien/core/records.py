"""The nouns that every room passes on: Sample → Batch → Prediction → Reading.

A Sample says where a face is and what is known of it; nothing is decoded yet. A Batch is what a network gets, a
Prediction what the decoded outputs mean, a Reading what a person is told. Batch is generic over its array type, so that
training (torch) and reading (numpy) share it.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

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
    """One face in one picture.

    key: unique in its data set and stable across machines (the path below the root, with `/`).
    span: bytes (offset, length) of the picture inside the file `path`: a row of fer2013.csv, a picture of a shard.
    expression: index into the reader's LabelSet. distribution: probabilities over it (votes divided by their sum).
    box: the face in the picture's pixels after EXIF rotation; None where the picture's own framing is the face crop.
    landmarks_px: float32 [points, 2], x then y, pixel centres at whole numbers.
    depth_px: float32 [points], pixels of the picture, larger is nearer to the viewer (as 300-W-LP and AFLW2000-3D store
    it); only differences within a face mean something. visible: bool [points], False where the point is hidden by the
    face itself or by something before it. pose_rad: pitch, yaw, roll, as the data set states them.
    valence, arousal: -1..1, as AffectNet annotates them; None where nobody did.
    subject: the person, where the data set knows; None is "unknown", never "all the same".
    clip: the recording or series that this is one frame of; frames of one clip are near-duplicates.
    """

    key: str
    path: Path
    split: str = ""
    expression: int | None = None
    distribution: tuple[float, ...] | None = None
    box: Box | None = None
    landmarks_px: Float[np.ndarray, "points 2"] | StoredPoints | None = None
    valence: float | None = None
    arousal: float | None = None
    subject: str | None = None
    clip: str | None = None
    span: tuple[int, int] | None = None
    depth_px: Float[np.ndarray, " points"] | None = None
    visible: Bool[np.ndarray, " points"] | None = None
    pose_rad: tuple[float, float, float] | None = None


@dataclass(slots=True)
class Batch(Generic[ArrayT]):
    """Prepared faces, as the InputSpec asks.

    image: [batch, 3, height, width], normalised. index: [batch], positions of the samples in their list.
    expression: [batch] class indices. distribution: [batch, classes]. landmarks: [batch, points, 2] in crop sides,
    0 at the left or upper edge of the crop and 1 at the other. depth: [batch, points] in crop sides, larger is nearer,
    mean 0 over a face's points. visible: [batch, points], 1 or 0, NaN where nobody said; 0 outside the crop. Fields
    that the data do not have are None.
    """

    image: ArrayT
    index: ArrayT
    expression: ArrayT | None = None
    distribution: ArrayT | None = None
    landmarks: ArrayT | None = None
    depth: ArrayT | None = None
    visible: ArrayT | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FacePoints:
    """The points of one face, as a model found them.

    landmarks_px: [points, 2] in the picture's pixels, pixel centres at whole numbers. depth_px: [points], pixels,
    larger is nearer, mean 0. sigma_px: the error to expect of each point, pixels. confidence: probability that a point
    is off by less than 5 % of the distance of the outer eye corners. visible: probability that a point is in view.
    pose_rad: pitch (up), yaw (to the viewer's right), roll (clockwise as seen) of the head. box: where it was read.
    """

    landmarks_px: Float[np.ndarray, "points 2"]
    depth_px: Float[np.ndarray, " points"] | None = None
    sigma_px: Float[np.ndarray, " points"] | None = None
    confidence: Float[np.ndarray, " points"] | None = None
    visible: Float[np.ndarray, " points"] | None = None
    pose_rad: tuple[float, float, float] | None = None
    box: Box | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """Decoded outputs of one face: calibrated probabilities [classes] in LabelSet order, points in picture pixels."""

    probabilities: Float[np.ndarray, " classes"] | None = None
    landmarks_px: Float[np.ndarray, "points 2"] | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a person is told of one face of one picture or video frame. A missing face is a Reading with success False.

    box in pixels of the upright picture; score is the detector's own and compares only within one detector;
    probabilities by class name; note says in words why nothing could be read, or what was done (reduced scale); points
    where a landmark model read them too.
    """

    source: str
    success: bool
    frame: int = 0
    timestamp_s: float | None = None
    face_id: int = 0
    box: Box | None = None
    score: float | None = None
    expression: str | None = None
    probabilities: dict[str, float] = field(default_factory=dict)
    model: str = ""
    note: str = ""
    points: FacePoints | None = None
