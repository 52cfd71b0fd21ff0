"""A node of a graph with what is known of its inputs, and what every operator's shape is worked out with."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.runtime.graph.onnx_file import GraphError, Node

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Value:
    """What is known of a tensor."""

    shape: Shape
    """Its sides."""
    values: np.ndarray | None = None
    """Where they follow from constants and shapes alone, and are few."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """A node with what is known of its inputs; None for one that is left out."""

    node: Node
    """The operation."""
    inputs: list[Value | None]
    """In its order."""

    def get(self, name: str, default: Any = None) -> Any:
        return self.node.attributes.get(name, default)

    def shape(self, place: int = 0) -> Shape:
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None:
            raise GraphError(f"its {self.node.op} lacks an input")
        return found.shape

    def has(self, place: int) -> bool:
        return place < len(self.inputs) and self.inputs[place] is not None

    def numbers(self, place: int, name: str = "") -> list[Any] | None:
        """An input, or in older opsets an attribute, that states sizes: a list; None where both are left out."""
        given = self.get(name) if name else None
        found = self.inputs[place] if self.has(place) else None
        if found is None:
            return [given] if isinstance(given, int | float) else given
        if given is not None or found.values is None or found.values.ndim > 1:
            raise GraphError(f"the size of its {self.node.op} {self.node.outputs[0]!r} depends on values")
        return list(found.values.reshape(-1).tolist())

    def axis(self, default: int, *, rank: int | None = None) -> int:
        """The attribute `axis`, from 0."""
        return axis_of(self.get("axis", default), len(self.shape()) if rank is None else rank)


Result = tuple[list[Shape], int]


def axis_of(axis: Any, rank: int) -> int:
    if not isinstance(axis, int) or not -rank <= axis < rank:
        raise GraphError(f"an axis {axis!r} is not one of {rank}")
    return axis % rank


def product(shape: Sequence[int]) -> int:
    return math.prod(shape)


def broadcast(*shapes: Shape) -> Shape:
    rank = max(map(len, shapes))
    padded = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    sides = [{side for side in axis if side != 1} or {1} for axis in zip(*padded, strict=True)]
    if any(len(each) > 1 for each in sides):
        raise GraphError(f"shapes {' and '.join(map(str, shapes))} do not fit together")
    return tuple(each.pop() for each in sides)


def only(shape: Sequence[int], work: int = 0) -> Result:
    return [tuple(shape)], work


def positive(shape: list[int]) -> list[int]:
    if min(shape, default=0) < 0:
        raise GraphError("a shape has a negative side")
    return shape
