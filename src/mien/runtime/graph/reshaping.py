"""Shapes of operators that arrange, select, repeat and reduce values."""

import math
from collections.abc import Callable

from mien.runtime.graph.call import Call, Result, Shape, axis_of, broadcast, only, positive, product
from mien.runtime.graph.onnx_file import Constant, GraphError


def _constant(call: Call) -> Result:
    (value,) = call.node.attributes.values()
    if isinstance(value, Constant):
        return only(value.shape)
    return only((len(value),) if isinstance(value, list) else ())


def _shape(call: Call) -> Result:
    return only((len(range(len(call.shape()))[call.get("start", 0) : call.get("end")]),))


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
    return only(wanted)


def _flatten(call: Call) -> Result:
    shape, axis = call.shape(), call.get("axis", 1)
    axis = axis if axis == len(shape) else axis_of(axis, len(shape))
    return only((product(shape[:axis]), product(shape[axis:])))


def _squeeze(call: Call) -> Result:
    shape, axes = call.shape(), call.numbers(1, "axes")
    gone = {axis_of(a, len(shape)) for a in axes} if axes else {i for i, side in enumerate(shape) if side == 1}
    return only([side for i, side in enumerate(shape) if i not in gone])


def _unsqueeze(call: Call) -> Result:
    shape, axes = list(call.shape()), call.numbers(1, "axes") or []
    rank = len(shape) + len(axes)
    for axis in sorted(axis_of(a, rank) for a in axes):
        shape.insert(axis, 1)
    return only(shape)


def _transpose(call: Call) -> Result:
    shape = call.shape()
    order = call.get("perm") or list(range(len(shape)))[::-1]
    if sorted(order) != list(range(len(shape))):
        raise GraphError("its Transpose has another order of axes")
    return only([shape[i] for i in order], product(shape))


def _concat(call: Call) -> Result:
    shapes = [call.shape(i) for i in range(len(call.inputs))]
    axis = call.axis(0)
    if len({shape[:axis] + shape[axis + 1 :] for shape in shapes}) > 1:
        raise GraphError("its Concat joins shapes that do not fit together")
    sides = list(shapes[0])
    sides[axis] = sum(shape[axis] for shape in shapes)
    return only(sides, product(sides))


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
        place = axis_of(axis, len(sides))
        # An end before the first is written as a very negative number, which Python's slices take alike.
        sides[place] = len(range(sides[place])[int(start) : int(end) : int(step)])
    return only(sides, product(sides))


def _gather(call: Call) -> Result:
    shape, axis = call.shape(), call.axis(0)
    found = (*shape[:axis], *call.shape(1), *shape[axis + 1 :])
    return only(found, product(found))


def _gather_nd(call: Call) -> Result:
    shape, indices, batch = call.shape(), call.shape(1), call.get("batch_dims", 0)
    if not indices or not 0 <= batch < len(indices) or batch + indices[-1] > len(shape):
        raise GraphError("its GatherND has indices of more axes than there are")
    found = (*indices[:-1], *shape[batch + indices[-1] :])
    return only(found, product(found))


def _second(call: Call) -> Result:
    return only(call.shape(1), product(call.shape(1)))


def _sizes(call: Call, place: int, name: str = "") -> list[int]:
    found = call.numbers(place, name)
    if found is None or any(not isinstance(n, int) or n < 0 for n in found):
        raise GraphError(f"its {call.node.op} has a size that is no number")
    return found


def _expand(call: Call) -> Result:
    shape = broadcast(call.shape(), tuple(_sizes(call, 1)))
    return only(shape, product(shape))


def _tile(call: Call) -> Result:
    repeats = _sizes(call, 1)
    if len(repeats) != len(call.shape()):
        raise GraphError("its Tile has other repeats than axes")
    shape = [side * times for side, times in zip(call.shape(), repeats, strict=True)]
    return only(shape, product(shape))


def _constant_of_shape(call: Call) -> Result:
    shape = _sizes(call, 0)
    return only(shape, product(shape))


def _range(call: Call) -> Result:
    start, limit, step = ((call.numbers(i) or [0])[0] for i in range(3))
    if not step or not all(map(math.isfinite, (start, limit, step))):
        raise GraphError("its Range has no step")
    count = max(0, math.ceil((limit - start) / step))
    return only((count,), count)


def _one_hot(call: Call) -> Result:
    sides = list(call.shape())
    depth = int((call.numbers(1) or [0])[0])
    sides.insert(axis_of(call.get("axis", -1), len(sides) + 1), max(0, depth))
    return only(sides, product(sides))


def _pad(call: Call) -> Result:
    shape, pads = list(call.shape()), call.numbers(1, "pads") or []
    axes = [axis_of(a, len(shape)) for a in call.numbers(3) or range(len(shape))]
    if len(pads) != 2 * len(axes):
        raise GraphError("its Pad has other pads than axes")
    for i, axis in enumerate(axes):
        shape[axis] += pads[i] + pads[i + len(axes)]
    return only(positive(shape), product(shape))


def _resize(call: Call) -> Result:
    """Inputs: picture, region of interest, scales, sizes; with opset 10 and Upsample picture and scales."""
    shape = list(call.shape())
    if call.get("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise GraphError("its Resize keeps the aspect ratio, which is not read here")
    scales = call.numbers(1 if len(call.inputs) == 2 else 2, "scales")
    axes = [axis_of(a, len(shape)) for a in call.get("axes", range(len(shape)))]
    sizes = call.numbers(3) or [int(shape[axis] * scale) for axis, scale in zip(axes, scales or [], strict=False)]
    if len(sizes) != len(axes):
        raise GraphError(f"its {call.node.op} has other sizes than axes")
    for axis, size in zip(axes, sizes, strict=True):
        shape[axis] = size
    return only(positive(shape), 4 * product(shape))


def _blocks(call: Call) -> Result:
    n, c, h, w = call.shape()
    size = call.get("blocksize", 0)
    if size < 1:
        raise GraphError(f"its {call.node.op} has no block size")
    depth = (n, c // size**2, h * size, w * size), (n, c * size**2, h // size, w // size)
    return only(depth[call.node.op == "SpaceToDepth"], product(call.shape()))


def _top_k(call: Call) -> Result:
    shape, axis = list(call.shape()), call.axis(-1)
    count = call.numbers(1, "k") or [1]
    shape[axis] = min(max(0, count[0]), shape[axis])
    return [tuple(shape)] * 2, product(call.shape())


def _reduce(call: Call) -> Result:
    shape, axes = call.shape(), call.numbers(1, "axes")
    if not axes:
        axes = [] if call.get("noop_with_empty_axes", 0) else list(range(len(shape)))
    gone = {axis_of(a, len(shape)) for a in axes}
    return only(_without(shape, gone, bool(call.get("keepdims", 1))), product(shape))


def _arg(call: Call) -> Result:
    return only(_without(call.shape(), {call.axis(0)}, bool(call.get("keepdims", 1))), product(call.shape()))


def _without(shape: Shape, gone: set[int], keep: bool) -> Shape:
    return tuple(1 if i in gone else side for i, side in enumerate(shape) if keep or i not in gone)


_REDUCE = "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare"
RESHAPING: dict[str, Callable[[Call], Result]] = {
    **dict.fromkeys([f"Reduce{name}" for name in _REDUCE.split()], _reduce),
    "ArgMax": _arg, "ArgMin": _arg, "Concat": _concat, "Constant": _constant, "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _blocks, "Expand": _expand, "Flatten": _flatten, "Gather": _gather, "GatherElements": _second,
    "GatherND": _gather_nd, "OneHot": _one_hot, "Pad": _pad, "Range": _range, "Reshape": _reshape, "Resize": _resize,
    "Shape": _shape, "Size": lambda call: only(()), "Slice": _slice, "SpaceToDepth": _blocks, "Split": _split,
    "Squeeze": _squeeze, "Tile": _tile, "TopK": _top_k, "Transpose": _transpose, "Unsqueeze": _unsqueeze,
    "Upsample": _resize,
}  # fmt: skip
