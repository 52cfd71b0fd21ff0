"""Shapes of operators that multiply by weights or slide a window, with the multiplications that they take."""

from collections.abc import Callable, Sequence

from mien.runtime.graph.call import Call, Result, broadcast, only, positive, product
from mien.runtime.graph.onnx_file import GraphError


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
    return only((*batch, *first[-2:-1][: len(left) > 1], *second[-1:][: len(right) > 1]), work)


def _gemm(call: Call) -> Result:
    (a, b), (c, d) = call.shape(), call.shape(1)
    rows, inner = (b, a) if call.get("transA", 0) else (a, b)
    other, columns = (d, c) if call.get("transB", 0) else (c, d)
    if inner != other:
        raise GraphError("its Gemm multiplies shapes that do not fit together")
    return only((rows, columns), rows * inner * columns)


def _einsum(call: Call) -> Result:
    left, arrow, right = call.get("equation", "").replace(" ", "").partition("->")
    terms, sides = left.split(","), dict[str, int]()
    if not arrow or "." in left or not len(terms) == len(call.inputs) <= 2:
        raise GraphError("its Einsum is not one that is read here")
    for i, term in enumerate(terms):
        for letter, side in zip(term, call.shape(i), strict=True):
            sides[letter] = max(side, sides.get(letter, 1))
    return only([sides[letter] for letter in right], product(list(sides.values())))


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
    return positive(found)


def _conv(call: Call) -> Result:
    weight = call.shape(1)
    shape = (call.shape()[0], weight[0], *_window(call, weight[2:]))
    return only(shape, product(shape) * product(weight[1:]))


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
    out = (shape[0], weight[1] * group, *positive(found))
    return only(out, max(product(out), product(shape)) * product(weight[1:]))


def _pool(call: Call) -> Result:
    kernel = call.get("kernel_shape") or []
    shape = (*call.shape()[:2], *_window(call, kernel))
    return [shape] * len(call.node.outputs), product(shape) * product(kernel)


def _global_pool(call: Call) -> Result:
    shape = call.shape()
    return only((*shape[:2], *(1,) * (len(shape) - 2)), product(shape))


def _grid_sample(call: Call) -> Result:
    shape = (*call.shape()[:2], *call.shape(1)[1:-1])
    return only(shape, 16 * product(shape))


def _recurrent(call: Call) -> Result:
    """LSTM, GRU and RNN: outputs [steps, directions, batch, hidden], and the last of each direction."""
    steps, batch, width = call.shape()
    directions, rows, _ = call.shape(1)
    hidden = call.get("hidden_size", 0)
    if call.get("layout", 0) or hidden < 1:
        raise GraphError(f"its {call.node.op} is not one that is read here")
    last = (directions, batch, hidden)
    return [(steps, *last), last, last], steps * batch * directions * rows * (width + hidden)


LAYERS: dict[str, Callable[[Call], Result]] = {
    "AveragePool": _pool, "Conv": _conv, "ConvTranspose": _conv_transpose, "Einsum": _einsum, "GRU": _recurrent,
    "Gemm": _gemm, "GlobalAveragePool": _global_pool, "GlobalMaxPool": _global_pool, "GridSample": _grid_sample,
    "LSTM": _recurrent, "LpPool": _pool, "MatMul": _matmul, "MaxPool": _pool, "RNN": _recurrent,
}  # fmt: skip
