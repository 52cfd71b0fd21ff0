"""The shape that each operator gives, as the ONNX operator specification states it, for shapes that are all known.

A table of functions: the node, with its attributes, and its inputs -> the shapes of its outputs, and the
multiplications that it takes. Operators that are not in it are not run: those that hold graphs of their own (If, Loop,
Scan), and those whose output's size depends on the values that they get (NonZero, Unique, NonMaxSuppression).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien.runtime.graph.onnx_file import Constant, GraphError, Node

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
        return _axis(self.get("axis", default), len(self.shape()) if rank is None else rank)


Result = tuple[list[Shape], int]


def _axis(axis: Any, rank: int) -> int:
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


def _same(call: Call) -> Result:
    return [call.shape()] * max(1, len(call.node.outputs)), product(call.shape())


def _elementwise(call: Call) -> Result:
    shape = broadcast(*(call.shape(i) for i in range(len(call.inputs))))
    return [shape], product(shape)


def _only(shape: Sequence[int], work: int = 0) -> Result:
    return [tuple(shape)], work


def _constant(call: Call) -> Result:
    (value,) = call.node.attributes.values()
    if isinstance(value, Constant):
        return _only(value.shape)
    return _only((len(value),) if isinstance(value, list) else ())


def _shape(call: Call) -> Result:
    return _only((len(range(len(call.shape()))[call.get("start", 0) : call.get("end")]),))


def _reshape(call: Call) -> Result:
    wanted, given = call.numbers(1, "shape") or [], call.shape()
    if not call.get("allowzero", 0):
        if any(side == 0 and i >= len(given) for i, side in enumerate(wanted)):
            raise GraphError("its Reshape keeps a side that is not there")
        wanted = [given[i] if side == 0 else side for i, side in enumerate(wanted)]
    known = product([side for side in wanted if side != -1])
    if -1 in wanted and known:
        wanted = [product(given) // known if side == -1 else side for side in wanted]
    if min(wanted, default=0) < 0 or product(wanted) != product(given):
        raise GraphError(f"its Reshape makes {wanted} of {list(given)}")
    return _only(wanted)


def _flatten(call: Call) -> Result:
    shape, axis = call.shape(), call.get("axis", 1)
    axis = axis if axis == len(shape) else _axis(axis, len(shape))
    return _only((product(shape[:axis]), product(shape[axis:])))


def _squeeze(call: Call) -> Result:
    shape, axes = call.shape(), call.numbers(1, "axes")
    gone = {_axis(a, len(shape)) for a in axes} if axes else {i for i, side in enumerate(shape) if side == 1}
    return _only([side for i, side in enumerate(shape) if i not in gone])


def _unsqueeze(call: Call) -> Result:
    shape, axes = list(call.shape()), call.numbers(1, "axes") or []
    rank = len(shape) + len(axes)
    for axis in sorted(_axis(a, rank) for a in axes):
        shape.insert(axis, 1)
    return _only(shape)


def _transpose(call: Call) -> Result:
    shape = call.shape()
    order = call.get("perm") or list(range(len(shape)))[::-1]
    if sorted(order) != list(range(len(shape))):
        raise GraphError("its Transpose has another order of axes")
    return _only([shape[i] for i in order], product(shape))


def _concat(call: Call) -> Result:
    shapes = [call.shape(i) for i in range(len(call.inputs))]
    axis = call.axis(0)
    if len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) > 1:
        raise GraphError("its Concat joins shapes that do not fit together")
    sides = list(shapes[0])
    sides[axis] = sum(shape[axis] for shape in shapes)
    return _only(sides, product(sides))


def _split(call: Call) -> Result:
    shape, axis, count = call.shape(), call.axis(0), len(call.node.outputs)
    sizes = call.numbers(1, "split")
    if sizes is None:
        step = -(-shape[axis] // count)
        sizes = [max(0, min(step, shape[axis] - i * step)) for i in range(count)]
    if len(sizes) != count or sum(sizes) != shape[axis] or min(sizes, default=0) < 0:
        raise GraphError("its Split has other parts than outputs")
    return [(*shape[:axis], size, *shape[axis + 1 :]) for size in sizes], product(shape)


def _slice(call: Call) -> Result:
    sides = list(call.shape())
    starts, ends = call.numbers(1, "starts") or [], call.numbers(2, "ends") or []
    axes = call.numbers(3, "axes") or list(range(len(starts)))
    steps = call.numbers(4) or [1] * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise GraphError("its Slice has other starts than ends")
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        place = _axis(axis, len(sides))
        # An end before the first is written as a very negative number, which Python's slices take alike.
        sides[place] = len(range(sides[place])[int(start) : int(end) : int(step)])
    return _only(sides, product(sides))


def _gather(call: Call) -> Result:
    shape, axis = call.shape(), call.axis(0)
    found = (*shape[:axis], *call.shape(1), *shape[axis + 1 :])
    return _only(found, product(found))


def _gather_nd(call: Call) -> Result:
    shape, indices, batch = call.shape(), call.shape(1), call.get("batch_dims", 0)
    if not indices or not 0 <= batch < len(indices) or batch + indices[-1] > len(shape):
        raise GraphError("its GatherND has indices of more axes than there are")
    found = (*indices[:-1], *shape[batch + indices[-1] :])
    return _only(found, product(found))


def _second(call: Call) -> Result:
    return _only(call.shape(1), product(call.shape(1)))


def _sizes(call: Call, place: int, name: str = "") -> list[int]:
    found = call.numbers(place, name)
    if found is None or any(not isinstance(n, int) or n < 0 for n in found):
        raise GraphError(f"its {call.node.op} has a size that is no number")
    return found


def _expand(call: Call) -> Result:
    shape = broadcast(call.shape(), tuple(_sizes(call, 1)))
    return _only(shape, product(shape))


def _tile(call: Call) -> Result:
    repeats = _sizes(call, 1)
    if len(repeats) != len(call.shape()):
        raise GraphError("its Tile has other repeats than axes")
    shape = [side * times for side, times in zip(call.shape(), repeats, strict=True)]
    return _only(shape, product(shape))


def _constant_of_shape(call: Call) -> Result:
    shape = _sizes(call, 0)
    return _only(shape, product(shape))


def _range(call: Call) -> Result:
    start, limit, step = ((call.numbers(i) or [0])[0] for i in range(3))
    if not step or not all(map(math.isfinite, (start, limit, step))):
        raise GraphError("its Range has no step")
    count = max(0, math.ceil((limit - start) / step))
    return _only((count,), count)


def _one_hot(call: Call) -> Result:
    sides = list(call.shape())
    depth = int((call.numbers(1) or [0])[0])
    sides.insert(_axis(call.get("axis", -1), len(sides) + 1), max(0, depth))
    return _only(sides, product(sides))


def _pad(call: Call) -> Result:
    shape, pads = list(call.shape()), call.numbers(1, "pads") or []
    axes = [_axis(a, len(shape)) for a in call.numbers(3) or range(len(shape))]
    if len(pads) != 2 * len(axes):
        raise GraphError("its Pad has other pads than axes")
    for i, axis in enumerate(axes):
        shape[axis] += pads[i] + pads[i + len(axes)]
    return _only(_positive(shape), product(shape))


def _positive(shape: list[int]) -> list[int]:
    if min(shape, default=0) < 0:
        raise GraphError("a shape has a negative side")
    return shape


def _resize(call: Call) -> Result:
    """Inputs: picture, region of interest, scales, sizes; with opset 10 and Upsample picture and scales."""
    shape = list(call.shape())
    if call.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise GraphError("its Resize keeps the aspect ratio, which is not read here")
    scales = call.numbers(1 if len(call.inputs) == 2 else 2, "scales")
    axes = [_axis(a, len(shape)) for a in call.get("axes", range(len(shape)))]
    sizes = call.numbers(3) or [int(shape[axis] * scale) for axis, scale in zip(axes, scales or [], strict=False)]
    if len(sizes) != len(axes):
        raise GraphError(f"its {call.node.op} has other sizes than axes")
    for axis, size in zip(axes, sizes, strict=True):
        shape[axis] = size
    return _only(_positive(shape), 4 * product(shape))


def _blocks(call: Call) -> Result:
    n, c, h, w = call.shape()
    size = call.get("blocksize", 0)
    if size < 1:
        raise GraphError(f"its {call.node.op} has no block size")
    depth = (n, c // size**2, h * size, w * size), (n, c * size**2, h // size, w // size)
    return _only(depth[call.node.op == "SpaceToDepth"], product(call.shape()))


def _top_k(call: Call) -> Result:
    shape, axis = list(call.shape()), call.axis(-1)
    count = call.numbers(1, "k") or [1]
    shape[axis] = min(max(0, count[0]), shape[axis])
    return [tuple(shape)] * 2, product(call.shape())


def _reduce(call: Call) -> Result:
    shape, axes = call.shape(), call.numbers(1, "axes")
    if not axes:
        axes = [] if call.get("noop_with_empty_axes", 0) else list(range(len(shape)))
    gone = {_axis(a, len(shape)) for a in axes}
    return _only(_without(shape, gone, bool(call.get("keepdims", 1))), product(shape))


def _arg(call: Call) -> Result:
    return _only(_without(call.shape(), {call.axis(0)}, bool(call.get("keepdims", 1))), product(call.shape()))


def _without(shape: Shape, gone: set[int], keep: bool) -> Shape:
    return tuple(1 if i in gone else side for i, side in enumerate(shape) if keep or i not in gone)


def _matmul(call: Call) -> Result:
    left, right = call.shape(), call.shape(1)
    if not left or not right:
        raise GraphError("its MatMul multiplies a number")
    first = left if len(left) > 1 else (1, *left)
    second = right if len(right) > 1 else (*right, 1)
    if first[-1] != second[-2]:
        raise GraphError(f"its MatMul multiplies {list(left)} by {list(right)}")
    batch = broadcast(first[:-2], second[:-2]) if len(first) > 2 or len(second) > 2 else ()
    work = product(batch) * first[-2] * first[-1] * second[-1]
    return _only((*batch, *first[-2:-1][: len(left) > 1], *second[-1:][: len(right) > 1]), work)


def _gemm(call: Call) -> Result:
    (a, b), (c, d) = call.shape(), call.shape(1)
    rows, inner = (b, a) if call.get("transA", 0) else (a, b)
    other, columns = (d, c) if call.get("transB", 0) else (c, d)
    if inner != other:
        raise GraphError("its Gemm multiplies shapes that do not fit together")
    return _only((rows, columns), rows * inner * columns)


def _einsum(call: Call) -> Result:
    left, arrow, right = call.get("equation", "").replace(" ", "").partition("->")
    terms, sides = left.split(","), dict[str, int]()
    if not arrow or "." in left or not len(terms) == len(call.inputs) <= 2:
        raise GraphError("its Einsum is not one that is read here")
    for i, term in enumerate(terms):
        for letter, side in zip(term, call.shape(i), strict=True):
            sides[letter] = max(side, sides.get(letter, 1))
    return _only([sides[letter] for letter in right], product(list(sides.values())))


def _window(call: Call, kernel: Sequence[int]) -> list[int]:
    """The sides after a convolution or a pooling."""
    sides = call.shape()[2:]
    count = len(sides)
    strides, dilations = call.get("strides") or [1] * count, call.get("dilations") or [1] * count
    pads, auto = call.get("pads") or [0] * (2 * count), call.get("auto_pad", "NOTSET")
    if not len(kernel) == len(strides) == len(dilations) == len(pads) // 2 == count:
        raise GraphError(f"its {call.node.op} has a window of other axes than its picture")
    if min([*strides, *dilations, *kernel], default=1) < 1:
        raise GraphError(f"its {call.node.op} has a window without a side")
    found = []
    for i, side in enumerate(sides):
        reach = dilations[i] * (kernel[i] - 1) + 1
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            found.append(-(-side // strides[i]))
            continue
        before, behind = (0, 0) if auto == "VALID" else (pads[i], pads[i + count])
        steps, rest = divmod(side - reach + before + behind, strides[i])
        # A window more for the rest, unless it began in the padding behind.
        more = rest and call.get("ceil_mode", 0) and (steps + 1) * strides[i] < side + before
        found.append(steps + 1 + bool(more))
    return _positive(found)


def _conv(call: Call) -> Result:
    weight = call.shape(1)
    shape = (call.shape()[0], weight[0], *_window(call, weight[2:]))
    return _only(shape, product(shape) * product(weight[1:]))


def _conv_transpose(call: Call) -> Result:
    shape, weight, sides = call.shape(), call.shape(1), call.shape()[2:]
    count, group = len(sides), call.get("group", 1)
    strides, dilations = call.get("strides") or [1] * count, call.get("dilations") or [1] * count
    pads, more = call.get("pads") or [0] * (2 * count), call.get("output_padding") or [0] * count
    if call.get("output_shape") or call.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise GraphError("its ConvTranspose states its output, which is not read here")
    if not len(weight) - 2 == len(strides) == len(dilations) == len(more) == len(pads) // 2 == count:
        raise GraphError("its ConvTranspose has a window of other axes than its picture")
    found = [
        strides[i] * (sides[i] - 1) + more[i] + dilations[i] * (weight[2 + i] - 1) + 1 - pads[i] - pads[i + count]
        for i in range(count)
    ]
    out = (shape[0], weight[1] * group, *_positive(found))
    return _only(out, max(product(out), product(shape)) * product(weight[1:]))


def _pool(call: Call) -> Result:
    kernel = call.get("kernel_shape") or []
    shape = (*call.shape()[:2], *_window(call, kernel))
    return [shape] * len(call.node.outputs), product(shape) * product(kernel)


def _global_pool(call: Call) -> Result:
    shape = call.shape()
    return _only((*shape[:2], *(1,) * (len(shape) - 2)), product(shape))


def _grid_sample(call: Call) -> Result:
    shape = (*call.shape()[:2], *call.shape(1)[1:-1])
    return _only(shape, 16 * product(shape))


def _recurrent(call: Call) -> Result:
    """LSTM, GRU and RNN: outputs [steps, directions, batch, hidden], and the last of each direction."""
    steps, batch, width = call.shape()
    directions, rows, _ = call.shape(1)
    hidden = call.get("hidden_size", 0)
    if call.get("layout", 0) or hidden < 1:
        raise GraphError(f"its {call.node.op} is not one that is read here")
    last = (directions, batch, hidden)
    return [(steps, *last), last, last], steps * batch * directions * rows * (width + hidden)


_SAME = """
CastLike Clip CumSum Dropout BatchNormalization InstanceNormalization LayerNormalization GroupNormalization
RMSNormalization LpNormalization LRN MeanVarianceNormalization ScatterElements ScatterND Trilu EyeLike
QuantizeLinear DequantizeLinear Cast Identity Softmax LogSoftmax Hardmax ReverseSequence
"""
_ELEMENTWISE = """
Abs Acos Acosh Add And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil Celu Cos Cosh Div
Elu Equal Erf Exp Floor Gelu Greater GreaterOrEqual HardSigmoid HardSwish IsInf IsNaN LeakyRelu Less LessOrEqual Log Max
Mean Min Mish Mod Mul Neg Not Or PRelu Pow Reciprocal Relu Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign
Sqrt Sub Sum Swish Tan Tanh ThresholdedRelu Where Xor
"""
_REDUCE = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
SHAPES: dict[str, Callable[[Call], Result]] = {
    **dict.fromkeys(_SAME.split(), _same), **dict.fromkeys(_ELEMENTWISE.split(), _elementwise),
    **dict.fromkeys([f"Reduce{name}" for name in _REDUCE.split()], _reduce),
    "ArgMax": _arg, "ArgMin": _arg, "AveragePool": _pool, "Concat": _concat, "Constant": _constant,
    "ConstantOfShape": _constant_of_shape, "Conv": _conv, "ConvTranspose": _conv_transpose, "DepthToSpace": _blocks,
    "Einsum": _einsum, "Expand": _expand, "Flatten": _flatten, "GRU": _recurrent, "Gather": _gather,
    "GatherElements": _second, "GatherND": _gather_nd, "Gemm": _gemm, "GlobalAveragePool": _global_pool,
    "GlobalMaxPool": _global_pool, "GridSample": _grid_sample, "LSTM": _recurrent, "LpPool": _pool, "MatMul": _matmul,
    "MaxPool": _pool, "OneHot": _one_hot, "Pad": _pad, "RNN": _recurrent, "Range": _range, "Reshape": _reshape,
    "Resize": _resize, "Shape": _shape, "Size": lambda call: _only(()), "Slice": _slice, "SpaceToDepth": _blocks,
    "Split": _split, "Squeeze": _squeeze, "Tile": _tile, "TopK": _top_k, "Transpose": _transpose,
    "Unsqueeze": _unsqueeze, "Upsample": _resize,
}  # fmt: skip
