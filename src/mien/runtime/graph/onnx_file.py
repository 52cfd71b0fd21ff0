"""The part of an ONNX file that decides what is computed: nodes, attributes, constants. No package onnx is needed.

The file is a protobuf message (onnx.proto in the repository of ONNX states the numbers of the fields). Two readers can
differ in what they make of a field that is there twice, so such a file is refused.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
SMALL = 1024  # values of a constant that may state a shape
MOST_NODES = 20_000
NEWEST_OPSET = 50  # ONNX 1.20 has 25; OpenVINO counts down from a number that it does not know, which can take hours
_DTYPES = {1: "<f4", 6: "<i4", 7: "<i8", 9: "?", 11: "<f8"}


class GraphError(ValueError):
    """What is wrong with a graph, as a part of a sentence."""


@dataclass(frozen=True, slots=True, eq=False)
class Constant:
    """A tensor that the file holds."""

    shape: tuple[int, ...]
    """Its sides."""
    values: np.ndarray | None
    """Of small numeric ones; None for the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One operation of a graph."""

    op: str
    """Kind of operator."""
    inputs: tuple[str, ...]
    """Names of tensors; empty for one that is left out."""
    outputs: tuple[str, ...]
    """Names of tensors."""
    attributes: dict[str, Any]
    """int, float, str, Constant, or lists of int, float and str."""


@dataclass(slots=True, eq=False)
class Graph:
    """What a model.onnx holds."""

    nodes: list[Node] = field(default_factory=list)
    """In the order of the file."""
    constants: dict[str, Constant] = field(default_factory=dict)
    """By name."""
    inputs: list[str] = field(default_factory=list)
    """Names."""
    outputs: list[str] = field(default_factory=list)
    """Names."""


Field = tuple[int, int, Any]  # number, wire type, value


def read_graph(data: memoryview) -> Graph:
    """Raises GraphError for damaged files, subgraphs, functions, foreign operators, and data in other files."""
    try:
        return _model(data)
    except GraphError:
        raise
    except (TypeError, ValueError, OverflowError, struct.error) as error:  # a number where a message should be
        raise GraphError("it is damaged or no ONNX file") from error


def _model(data: memoryview) -> Graph:
    found = None
    for number, _, value in fields(data):
        if number == 7:
            _expect(found is None, "it holds two graphs")
            found = value
        elif number == 8:
            _check_opset(value)
        _expect(number not in (20, 25), "it holds functions of its own")
    if found is None:
        raise GraphError("it holds no graph")
    return _graph(found)


def _check_opset(data: memoryview) -> None:
    for number, _, version in fields(data):
        known = number != 2 or 1 <= _signed(version) <= NEWEST_OPSET
        _expect(known, f"it states a version of ONNX's operators above {NEWEST_OPSET} or below 1")


def _graph(data: memoryview) -> Graph:
    graph = Graph()
    for number, _, value in fields(data):
        if number == 1:
            graph.nodes.append(_node(value))
            _expect(len(graph.nodes) <= MOST_NODES, f"it has more than {MOST_NODES:,} nodes")
        elif number == 5:
            name, constant = _tensor(value)
            _expect(name not in graph.constants, f"it names {name!r} twice")
            graph.constants[name] = constant
        elif number in (11, 12):
            (graph.inputs if number == 11 else graph.outputs).append(_text(_only(value, 1) or b""))
        _expect(number != 15, "it holds sparse tensors")
    return graph


def _node(data: memoryview) -> Node:
    inputs, outputs, attributes = [], [], {}
    op = domain = ""
    for number, _, value in fields(data):
        if number == 1:
            inputs.append(_text(value))
        elif number == 2:
            outputs.append(_text(value))
        elif number == 4:
            _expect(not op, "a node has two operators")
            op = _text(value)
        elif number == 5:
            name, found = _attribute(value)
            _expect(name not in attributes, f"a node has two attributes {name!r}")
            attributes[name] = found
        elif number == 7:
            domain = _text(value)
        _expect(number != 8 or not value, "it holds functions of its own")
    _expect(domain in ("", "ai.onnx"), f"its operator {domain}.{op} is not one of ONNX's own")
    return Node(op, tuple(inputs), tuple(outputs), attributes)


def _attribute(data: memoryview) -> tuple[str, Any]:
    name, values = "", []
    lists: dict[int, list[Any]] = {}
    for number, kind, value in fields(data):
        if number == 1:
            name = _text(value)
        elif number == 2:
            values.append(struct.unpack("<f", value)[0])
        elif number == 3:
            values.append(_signed(value))
        elif number == 4:
            values.append(bytes(value).decode("utf-8", "replace"))
        elif number == 5:
            values.append(_tensor(value)[1])
        elif number in (7, 8):
            lists.setdefault(number, []).extend(_packed(value, kind, number))
        elif number == 9:
            lists.setdefault(number, []).append(bytes(value).decode("utf-8", "replace"))
        _expect(number not in (6, 10, 11, 21, 22, 23), "it holds a graph within its graph, or a sparse tensor")
    values += lists.values()
    _expect(len(values) <= 1, f"its attribute {name!r} has two values")
    return name, values[0] if values else []


def _packed(value: Any, kind: int, number: int) -> list[Any]:
    """Repeated floats (field 7) and whole numbers (8) of an attribute, packed or one by one."""
    if number == 7:
        _expect(len(value) % 4 == 0, "its floats are cut off")
        return list(struct.unpack(f"<{len(value) // 4}f", value))
    return [_signed(each) for each in (_varints(value) if kind == LENGTH else (value,))]


def _tensor(data: memoryview) -> tuple[str, Constant]:
    name, dtype, raw, stored = "", 0, None, 0
    shape: list[int] = []
    typed: list[tuple[int, int, Any]] = []
    for number, kind, value in fields(data):
        if number == 1:
            shape += map(_signed, _varints(value) if kind == LENGTH else (value,))
        elif number == 2:
            dtype = value
        elif number in (4, 5, 6, 7, 10, 11):
            typed.append((number, kind, value))
            stored += len(value) if kind in (LENGTH, FIXED32, FIXED64) else 8
        elif number == 8:
            name = _text(value)
        elif number == 9:
            _expect(raw is None, "a tensor has two contents")
            raw, stored = value, stored + len(value)
        _expect(number not in (3, 13) and (number != 14 or not value), "it keeps its weights in another file")
    count = _product(shape)
    _expect(min(shape, default=0) >= 0 and count <= 2 * stored, f"its tensor {name!r} is shorter than it states")
    return name, Constant(tuple(shape), _small(dtype, shape, count, raw, typed))


def _small(dtype: int, shape: list[int], count: int, raw: memoryview | None, typed: list[Field]) -> np.ndarray | None:
    if count > SMALL or dtype not in _DTYPES:
        return None
    if raw is not None:
        _expect(not typed and len(raw) == count * np.dtype(_DTYPES[dtype]).itemsize, "a tensor has another length")
        return np.array(np.frombuffer(raw, _DTYPES[dtype]).reshape(shape))  # a copy, which does not hold the file
    values: list[Any] = []
    for number, kind, value in typed:
        form = {4: "f", 10: "d"}.get(number)
        if form:
            values += struct.unpack(f"<{len(value) // struct.calcsize(form)}{form}", value)
        elif number in (5, 7):
            values += map(_signed, _varints(value) if kind == LENGTH else (value,))
    _expect(len(values) == count, "a tensor has another length")
    return np.array(values, _DTYPES[dtype]).reshape(shape)


def fields(data: memoryview) -> Iterator[Field]:
    """The fields of a message in order."""
    place, end = 0, len(data)
    while place < end:
        key, place = (data[place], place + 1) if data[place] < 0x80 else _varint(data, place)
        number, kind = key >> 3, key & 7
        if kind in (VARINT, LENGTH):
            small = place < end and data[place] < 0x80  # as nearly all are
            length, place = (data[place], place + 1) if small else _varint(data, place)
            if kind == VARINT:
                yield number, kind, length
                continue
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise GraphError("it is damaged or no ONNX file")
        if number == 0 or length > end - place:
            raise GraphError("it is damaged or cut off")
        yield number, kind, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while place < len(data) and shift < 64:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 and value < 2**64:
            return value, place
        shift += 7
    raise GraphError("it is damaged or cut off")


def _varints(data: memoryview) -> Iterator[int]:
    place = 0
    while place < len(data):
        value, place = _varint(data, place)
        yield value


def _signed(value: int) -> int:
    return value - 2**64 if value >= 2**63 else value


def _only(data: Any, wanted: int) -> Any:
    """The one value of that field in a message; None where it is missing."""
    found = [value for number, _, value in fields(data) if number == wanted]
    _expect(len(found) <= 1, "it states a name twice")
    return found[0] if found else None


def _text(value: memoryview | bytes) -> str:
    return str(value, "utf-8")


def _product(shape: Any) -> int:
    count = 1
    for side in shape:
        count *= side
    return count


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise GraphError(otherwise)
