"""PRelu as Max(x, slope x), which ONNX Runtime computes several times as fast, to the same bit.

The two are equal where no slope is above 1. The file is rewritten in memory, and only for ONNX Runtime: OpenVINO joins
a PRelu with the convolution before it.
"""

from collections.abc import Iterator

import numpy as np

from mien.runtime.graph.onnx_file import FIXED32, FIXED64, LENGTH, VARINT, Graph, Node, fields, read_graph

_GRAPH, _NODES = 7, 1  # numbers of fields of a model and of a graph
_INPUT, _OUTPUT, _OP = 1, 2, 4  # of a node


def without_prelu(data: bytes) -> bytes | None:
    """The same network; None where there is nothing to replace. Raises GraphError as read_graph does."""
    view = memoryview(data)
    graph = read_graph(view)
    if not any(_replaceable(node, graph) for node in graph.nodes):
        return None
    return b"".join(
        _field(number, LENGTH, b"".join(_graph(value, graph))) if number == _GRAPH else _field(number, kind, value)
        for number, kind, value in fields(view)
    )


def _replaceable(node: Node, graph: Graph) -> bool:
    """Whether its slopes are known and none is above 1."""
    if node.op != "PRelu" or len(node.inputs) != 2 or len(node.outputs) != 1 or node.inputs[1] not in graph.constants:
        return False
    slopes = graph.constants[node.inputs[1]].values
    return slopes is not None and bool((np.asarray(slopes) <= 1).all())


def _graph(data: memoryview, graph: Graph) -> Iterator[bytes]:
    nodes = iter(graph.nodes)
    for number, kind, value in fields(data):
        node = next(nodes) if number == _NODES else None
        if node is not None and _replaceable(node, graph):
            (x, slope), (y,) = node.inputs, node.outputs
            scaled = f"{y}/times_slope"
            yield _node("Mul", (x, slope), scaled)
            yield _node("Max", (x, scaled), y)
        else:
            yield _field(number, kind, value)


def _node(op: str, inputs: tuple[str, str], output: str) -> bytes:
    parts = [(_INPUT, name) for name in inputs] + [(_OUTPUT, output), (_OP, op)]
    return _field(_NODES, LENGTH, b"".join(_field(number, LENGTH, text.encode()) for number, text in parts))


def _field(number: int, kind: int, value: int | bytes | memoryview) -> bytes:
    """One field of a protobuf message."""
    key = _varint(number << 3 | kind)
    if kind == VARINT:
        assert isinstance(value, int)
        return key + _varint(value)
    assert not isinstance(value, int) and kind in (LENGTH, FIXED32, FIXED64)
    return key + (_varint(len(value)) if kind == LENGTH else b"") + bytes(value)


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])
