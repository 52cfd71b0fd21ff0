"""What every method of `mien explain` is given of a face, and what it gives."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, UInt8

from mien.core.errors import MienError
from mien.media.tables import Column
from mien.runtime.networks import FaceNetwork

Panel = tuple[np.ndarray, tuple[str, ...]]  # a map of 0..1, and its lines of text
WIDEST = 4  # panels beside the face


@dataclass(frozen=True, eq=False)
class Face:
    """One face and the class that is explained."""

    pixels: UInt8[np.ndarray, "size size 3"]
    """As the network gets it."""
    expression: str
    """The class."""
    read: Callable[[Sequence[np.ndarray]], list[float]]
    """Crops to probabilities of the class."""
    landmarks: Float[np.ndarray, "68 2"] | None
    """In crop pixels; None where no model of 68 points reads along."""

    @property
    def size(self) -> int:
        """Side of the crop, pixels."""
        return self.pixels.shape[0]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Of one face."""

    base: float
    """Probability of the class."""
    place: tuple[float, float]
    """Where the map is largest, x and y in crop pixels."""
    values: dict[str, float]
    """By column, besides."""
    caption: str
    """Second line under the face."""
    panels: list[Panel]
    """Beside the face."""
    sentence: str
    """For the terminal, after the name of the file."""


@runtime_checkable
class Method(Protocol):
    """One way to explain."""

    @property
    def columns(self) -> tuple[Column, ...]:
        """Between `probability` and `model`; `x` and `y` among them."""
        ...

    @property
    def described(self) -> dict[str, Any]:
        """For explanations.json: `method`, a text with its source, and its options."""
        ...

    def explain(self, face: Face) -> Explanation:
        """The same face gives the same explanation."""
        ...


def place_columns(of: str) -> tuple[Column, Column]:
    """Where, in the picture's pixels."""
    meaning = f"{of} in the picture"
    return Column("x", "number", "pixels", "", meaning, ".1f"), Column("y", "number", "pixels", "", meaning, ".1f")


def per_cent(share: float) -> str:
    return f"{100 * share:.0f} %"


def explained_output(network: FaceNetwork) -> str:
    """The first output of classes. Raises MienError for a network without, and for one that takes a voice too."""
    outputs = [name for name, output in network.outputs.items() if output.kind == "classes"]
    if not outputs or network.voice is not None:
        raise MienError(f"{network.info.model_id} reads no classes of a picture alone; mien explain explains these.")
    return outputs[0]
