"""What a foreign graph takes, found before a runtime opens it: memory and multiplications of one sample.

ONNX Runtime and OpenVINO run a graph in the same process and neither can be given a limit, so a graph of ten nodes
could loop for ever or ask for a terabyte. Without graphs inside of graphs and without sizes that depend on values, the
shapes of the inputs decide what a graph takes, and the inputs are those that `system.json` declares. Hence every shape
is computed here, node by node, which takes milliseconds; a graph for which that cannot be done is refused. A child
process with limits would do the same for any graph, in half a second each time and not on every platform.
"""

from collections.abc import Callable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np

from mien.core.errors import MienError
from mien.runtime.graph.call import Call, Shape, Value, product
from mien.runtime.graph.onnx_file import SMALL, Constant, Graph, GraphError, Node, read_graph
from mien.runtime.graph.shapes import SHAPES

MOST_VALUES = 2**26  # of one tensor: 256 MB. A 1024 x 1024 picture with 64 channels
MOST_LIVE = 2**28  # of all that is held at one time
MOST_WORK = 10**12  # multiplications for one sample. POSTER V2 takes 8 * 10^9
_DTYPES: dict[Any, Any] = {1: np.float32, 6: np.int32, 7: np.int64, 9: np.bool_, 11: np.float64}


def check_graph(path: Path, inputs: Mapping[str, Shape]) -> None:
    """Raises MienError for a file that is no ONNX graph, and for one that the limits do not allow with such inputs.

    inputs: the shapes of one sample, with the batch, by name.
    """
    try:
        with path.open("rb") as file:
            graph = read_graph(memoryview(mmap(file.fileno(), 0, access=ACCESS_READ)))
    except (GraphError, ValueError) as error:  # an empty file cannot be mapped
        raise MienError(f"{path} is not a network that can be run: {error}.") from error
    shapes = " and ".join(str(list(shape)) for shape in inputs.values())
    try:
        _follow(graph, inputs)
    except GraphError as error:
        raise MienError(f"{path} does not run on {shapes}: {error}.") from error


def _follow(graph: Graph, inputs: Mapping[str, Shape]) -> None:
    """Computes the shapes of all nodes, in order, and adds up what is held and multiplied."""
    known = {name: Value(constant.shape, constant.values) for name, constant in graph.constants.items()}
    known |= _given(graph, inputs)
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    last |= dict.fromkeys(graph.outputs, len(graph.nodes))
    live = work = 0
    for i, node in enumerate(graph.nodes):
        found, takes = _outputs(node, known)
        work += takes
        for name, value in zip(node.outputs, found, strict=False):
            if name in known:
                raise GraphError(f"it names {name!r} twice")
            if name:
                known[name] = value
                live += product(value.shape)
        if live > MOST_LIVE or work > MOST_WORK or any(product(value.shape) > MOST_VALUES for value in found):
            raise GraphError(f"its {node.op} {node.outputs[0]!r} takes more memory or work than a network may")
        for name in {*node.inputs, *node.outputs}:
            if name not in graph.constants and last.get(name, i) == i and name in known:
                live -= product(known[name].shape)


def _given(graph: Graph, inputs: Mapping[str, Shape]) -> dict[str, Value]:
    """The inputs under the graph's names: a graph with one input may call it what it likes."""
    names = [name for name in graph.inputs if name not in graph.constants]
    if len(names) == len(inputs) == 1:
        return {names[0]: Value(next(iter(inputs.values())))}
    if sorted(names) != sorted(inputs):
        raise GraphError(f"it takes {' and '.join(names) or 'nothing'}, not {' and '.join(inputs)}")
    return {name: Value(shape) for name, shape in inputs.items()}


def _outputs(node: Node, known: Mapping[str, Value]) -> tuple[list[Value], int]:
    if node.op not in SHAPES or not node.outputs:
        raise GraphError(f"its operator {node.op!r} is not one of those that mien runs")
    missing = [name for name in node.inputs if name and name not in known]
    if missing:
        raise GraphError(f"its {node.op} takes {missing[0]!r} before it is there")
    call = Call(node, [known[name] if name else None for name in node.inputs])
    try:
        shapes, work = SHAPES[node.op](call)
        small = len(shapes) == 1 and product(shapes[0]) <= SMALL
        return [Value(shape, _values(call, shape) if small else None) for shape in shapes], work
    except GraphError:
        raise
    except (ValueError, TypeError, IndexError, KeyError, AttributeError, ArithmeticError) as error:
        raise GraphError(f"its {node.op} {node.outputs[0]!r} is damaged ({type(error).__name__})") from error


def _values(call: Call, shape: Shape) -> np.ndarray | None:
    """Of a small tensor that follows from constants and shapes; None where it does not, or is not needed for shapes."""
    op = call.node.op
    if op == "Shape":
        return np.array(call.shape()[call.get("start", 0) : call.get("end")], np.int64)
    if op == "Size":
        return np.array(product(call.shape()), np.int64)
    if op == "Constant":
        (value,) = call.node.attributes.values()
        return value.values if isinstance(value, Constant) else None if isinstance(value, str) else np.array(value)
    given = [each.values for each in call.inputs if each is not None]
    if op not in _FOLDED or any(values is None for values in given):
        return None
    with np.errstate(all="ignore"):
        return np.asarray(_FOLDED[op](call, *given)).reshape(shape)


def _slice(call: Call, x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes, steps = call.numbers(3, "axes") or range(len(starts)), call.numbers(4) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        x = np.moveaxis(np.moveaxis(x, axis, 0)[start:end:step], 0, axis)
    return x


def _divided(call: Call, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whole numbers towards zero."""
    if x.dtype.kind == "f":
        return x / y
    if not y.all():
        raise GraphError("it divides by zero")
    down = x // y
    return down + ((x % y != 0) & ((x < 0) != (y < 0)))


def _reduced(function: Any) -> Callable[..., np.ndarray]:
    def reduce(call: Call, x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
        axes = call.numbers(1, "axes")
        if not axes and call.get("noop_with_empty_axes", 0):
            return x
        return np.asarray(function(x, axis=tuple(axes) if axes else None))

    return reduce


def _same(call: Call, x: np.ndarray, *rest: np.ndarray) -> np.ndarray:
    """The same values in another shape."""
    return x


def _of(function: Any) -> Callable[..., np.ndarray]:
    return lambda _, *given: function(*given)


# What exporters compute shapes with.
_FOLDED: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("Identity", "Reshape", "Flatten", "Squeeze", "Unsqueeze"), _same),
    "Abs": _of(np.abs), "Add": _of(np.add), "And": _of(np.logical_and), "Ceil": _of(np.ceil),
    "Cast": lambda call, x: x.astype(_DTYPES[call.get("to")]), "Div": _divided, "Equal": _of(np.equal),
    "Concat": lambda call, *given: np.concatenate(given, call.get("axis")),
    "ConstantOfShape": lambda call, x: np.full(x, getattr(call.get("value"), "values", 0)),
    "Expand": lambda call, x, y: np.broadcast_to(x, np.broadcast_shapes(x.shape, tuple(y))), "Floor": _of(np.floor),
    "Gather": lambda call, x, y: np.take(x, y, call.get("axis", 0)), "Greater": _of(np.greater),
    "Less": _of(np.less), "Max": lambda _, *given: np.maximum.reduce(np.broadcast_arrays(*given)),
    "Min": lambda _, *given: np.minimum.reduce(np.broadcast_arrays(*given)), "Mul": _of(np.multiply),
    "Neg": _of(np.negative), "Not": _of(np.logical_not), "Or": _of(np.logical_or),
    "Range": lambda _, *given: np.arange(*(x.item() for x in given)), "ReduceMax": _reduced(np.max),
    "ReduceMin": _reduced(np.min), "ReduceProd": _reduced(np.prod), "ReduceSum": _reduced(np.sum), "Slice": _slice,
    "Sub": _of(np.subtract), "Where": _of(np.where),
}  # fmt: skip
