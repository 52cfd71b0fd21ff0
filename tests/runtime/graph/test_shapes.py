"""The shape of every operator's outputs, against ONNX Runtime's; and of whole graphs, node by node."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mien.runtime
from mien.media.files import read_info
from mien.runtime.backends import import_onnxruntime
from mien.runtime.graph import limits
from mien.runtime.graph.call import Value
from mien.runtime.graph.onnx_file import read_graph
from mien.runtime.graph.shapes import _ELEMENTWISE, _SAME, SHAPES

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHIPPED = sorted((Path(mien.runtime.__file__).parent / "bundles").glob("*/model.onnx"))
PICTURE = np.random.default_rng(0).random((1, 4, 6, 8), np.float32)
SMALL = np.arange(1, 7, dtype=np.float32).reshape(2, 3) / 8


def ints(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).random(shape, np.float32)


# operator, inputs (None is left out), attributes, outputs
CASES: list[tuple[str, list[np.ndarray | None], dict[str, Any], int]] = [
    ("Add", [floats(2, 1, 3), floats(4, 1)], {}, 1), ("Where", [SMALL > 0.3, SMALL, floats(1)], {}, 1),
    ("PRelu", [PICTURE, floats(4, 1, 1)], {}, 1), ("Max", [SMALL, floats(5, 1, 1), floats(1)], {}, 1),
    ("Clip", [SMALL, np.float32(0), np.float32(1)], {}, 1), ("Cast", [SMALL], {"to": TensorProto.INT64}, 1),
    ("Softmax", [PICTURE], {"axis": 1}, 1), ("LayerNormalization", [SMALL, floats(3), floats(3)], {}, 1),
    ("BatchNormalization", [PICTURE, *[floats(4)] * 4], {}, 1), ("Dropout", [SMALL], {}, 2),
    ("InstanceNormalization", [PICTURE, floats(4), floats(4)], {}, 1), ("Trilu", [SMALL], {}, 1),
    ("CumSum", [SMALL, np.int32(0)], {}, 1), ("ScatterND", [SMALL, np.array([[1]]), floats(1, 3)], {}, 1),
    ("ScatterElements", [SMALL, np.array([[0, 1, 0]]), floats(1, 3)], {}, 1),
    ("Shape", [PICTURE], {}, 1), ("Shape", [PICTURE], {"start": -3, "end": -1}, 1), ("Size", [PICTURE], {}, 1),
    ("Reshape", [PICTURE, ints(0, -1, 4)], {}, 1), ("Flatten", [PICTURE], {"axis": 2}, 1),
    ("Flatten", [PICTURE], {"axis": 0}, 1), ("Squeeze", [PICTURE], {}, 1), ("Squeeze", [PICTURE, ints(0)], {}, 1),
    ("Unsqueeze", [SMALL, ints(-1, 0)], {}, 1), ("Transpose", [PICTURE], {}, 1),
    ("Transpose", [PICTURE], {"perm": [0, 2, 3, 1]}, 1), ("Concat", [PICTURE, PICTURE], {"axis": -1}, 1),
    ("Split", [PICTURE, ints(1, 3)], {"axis": 1}, 2), ("Split", [PICTURE], {"axis": 3, "num_outputs": 3}, 3),
    ("Slice", [PICTURE, ints(1, -3), ints(3, 2**63 - 1), ints(1, 3)], {}, 1),
    ("Slice", [PICTURE, ints(-1), ints(-(2**63)), ints(3), ints(-2)], {}, 1),
    ("Slice", [PICTURE, ints(5), ints(2)], {}, 1), ("Slice", [PICTURE, ints(0, 1), ints(100, 3)], {}, 1),
    ("Gather", [PICTURE, np.array([[0, 1], [2, 3]])], {"axis": 1}, 1),
    ("Gather", [PICTURE, np.array(1)], {"axis": 2}, 1),
    ("GatherElements", [SMALL, np.array([[0, 1]])], {"axis": 1}, 1),
    ("GatherND", [PICTURE, np.zeros((1, 5, 2), np.int64)], {"batch_dims": 1}, 1),
    ("Expand", [floats(3, 1), ints(2, 1, 6)], {}, 1), ("Tile", [SMALL, ints(2, 3)], {}, 1),
    ("ConstantOfShape", [ints(2, 5)], {}, 1), ("Range", [np.int64(1), np.int64(10), np.int64(4)], {}, 1),
    ("Range", [np.float32(5), np.float32(0), np.float32(-2)], {}, 1), ("EyeLike", [SMALL], {}, 1),
    ("OneHot", [ints(1, 2), np.int64(5), floats(2)], {}, 1),
    ("OneHot", [ints(1, 2), ints(5), floats(2)], {"axis": 0}, 1),
    ("Pad", [PICTURE, ints(0, 0, 1, 2, 0, 0, 3, -1)], {}, 1), ("Pad", [PICTURE, ints(1, 2), None, ints(-1)], {}, 1),
    ("Resize", [PICTURE, None, np.array([1, 1, 2, 1.5], np.float32)], {}, 1),
    ("Resize", [PICTURE, None, None, ints(1, 4, 3, 5)], {}, 1),
    ("Resize", [PICTURE, None, None, ints(3, 5)], {"axes": [2, 3]}, 1),
    ("DepthToSpace", [PICTURE], {"blocksize": 2}, 1), ("SpaceToDepth", [PICTURE], {"blocksize": 2}, 1),
    ("TopK", [PICTURE, ints(3)], {"axis": 1}, 2), ("ReduceMean", [PICTURE, ints(2, -1)], {}, 1),
    ("ReduceSum", [PICTURE], {"keepdims": 0}, 1), ("ReduceMax", [PICTURE], {"noop_with_empty_axes": 1}, 1),
    ("ArgMax", [PICTURE], {"axis": -2}, 1), ("ArgMax", [PICTURE], {"axis": 1, "keepdims": 0}, 1),
    ("MatMul", [floats(2, 1, 3, 4), floats(5, 4, 6)], {}, 1), ("MatMul", [floats(4), floats(5, 4, 6)], {}, 1),
    ("MatMul", [floats(5, 3, 4), floats(4)], {}, 1), ("MatMul", [floats(4), floats(4)], {}, 1),
    ("Gemm", [floats(4, 2), floats(3, 4)], {"transA": 1, "transB": 1}, 1),
    ("Einsum", [floats(2, 3, 4), floats(2, 5, 4)], {"equation": "bid,bjd->bij"}, 1),
    ("Conv", [PICTURE, floats(6, 2, 3, 3)], {"group": 2, "strides": [2, 1], "pads": [1, 0, 2, 1]}, 1),
    ("Conv", [PICTURE, floats(6, 4, 3, 3)], {"dilations": [2, 2]}, 1),
    ("Conv", [PICTURE, floats(6, 4, 3, 3)], {"auto_pad": "SAME_UPPER", "strides": [2, 3]}, 1),
    ("Conv", [PICTURE, floats(6, 4, 3, 3)], {"auto_pad": "VALID", "strides": [2, 3]}, 1),
    ("Conv", [floats(1, 4, 9), floats(6, 4, 3)], {}, 1),
    ("ConvTranspose", [PICTURE, floats(4, 2, 3, 3)], {"group": 2, "strides": [2, 3], "output_padding": [1, 0]}, 1),
    ("ConvTranspose", [PICTURE, floats(4, 2, 4, 4)], {"strides": [2, 2], "pads": [1, 1, 1, 1]}, 1),
    ("MaxPool", [PICTURE], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}, 2),
    ("MaxPool", [PICTURE], {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}, 1),
    ("MaxPool", [floats(1, 1, 5, 5)], {"kernel_shape": [2, 2], "strides": [3, 3], "ceil_mode": 1, "pads": [1] * 4}, 1),
    ("AveragePool", [PICTURE], {"kernel_shape": [2, 3]}, 1),
    ("AveragePool", [PICTURE], {"kernel_shape": [2, 2], "strides": [4, 4], "ceil_mode": 1}, 1),
    ("LpPool", [PICTURE], {"kernel_shape": [2, 3]}, 1), ("GlobalAveragePool", [PICTURE], {}, 1),
    ("GlobalMaxPool", [PICTURE], {}, 1), ("GridSample", [PICTURE, floats(1, 3, 5, 2)], {}, 1),
    ("LSTM", [floats(5, 2, 3), floats(1, 16, 3), floats(1, 16, 4)], {"hidden_size": 4}, 3),
    ("GRU", [floats(5, 2, 3), floats(2, 12, 3), floats(2, 12, 4)], {"hidden_size": 4, "direction": "bidirectional"}, 2),
]  # fmt: skip


def one_node(op: str, inputs: list[np.ndarray | None], attributes: dict[str, Any], outputs: int) -> Any:
    names = [f"in_{i}" if value is not None else "" for i, value in enumerate(inputs)]
    out = [f"out_{i}" for i in range(outputs)]
    stored = [numpy_helper.from_array(np.asarray(v), n) for n, v in zip(names, inputs, strict=True) if v is not None]
    given = [helper.make_tensor_value_info("unused", TensorProto.FLOAT, [1])]
    results = [helper.make_empty_tensor_value_info(name) for name in out]
    graph = helper.make_graph([helper.make_node(op, names, out, **attributes)], "one", given, results, stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case[0])
def test_the_shape_is_the_runtimes(case: Any) -> None:
    op, inputs, attributes, outputs = case
    content = one_node(op, inputs, attributes, outputs).SerializeToString()
    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    wanted = [np.shape(value) for value in session.run(None, {"unused": np.zeros(1, np.float32)})]
    graph = read_graph(memoryview(content))
    known = {name: Value(constant.shape, constant.values) for name, constant in graph.constants.items()}
    found, _ = limits._outputs(graph.nodes[0], known)
    assert [value.shape for value in found][:outputs] == wanted


def test_every_operator_is_compared_with_the_runtime() -> None:
    """But for those that keep a shape, and the reductions: one of them is compared for all."""
    alike = {*_SAME.split(), *_ELEMENTWISE.split(), *(name for name in SHAPES if name.startswith("Reduce"))}
    assert SHAPES.keys() - alike - {case[0] for case in CASES} == {"ArgMin", "Constant", "RNN", "Upsample"}


@pytest.mark.parametrize("op", ["Abs", "Add", "Ceil", "Div", "Floor", "Max", "Min", "Mul", "Neg", "Sub"])
def test_numbers_that_state_a_shape_are_computed_as_the_runtime_does(op: str) -> None:
    pair = [ints(7, -7, 6, 0), ints(2, 2, -4, 3)]
    inputs = pair[:1] if op in ("Abs", "Neg", "Ceil", "Floor") else pair
    inputs = [value.astype(np.float32) for value in inputs] if op in ("Ceil", "Floor") else inputs
    content = one_node(op, inputs, {}, 1).SerializeToString()
    session = import_onnxruntime().InferenceSession(content, providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, {"unused": np.zeros(1, np.float32)})
    graph = read_graph(memoryview(content))
    known = {name: Value(constant.shape, constant.values) for name, constant in graph.constants.items()}
    found = limits._outputs(graph.nodes[0], known)[0][0].values
    assert found is not None and found.tolist() == wanted.tolist()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_every_node_of_the_shipped_networks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load(str(path))
    names = [name for node in model.graph.node for name in node.output if name]
    del model.graph.output[:]
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    options = import_onnxruntime().SessionOptions()
    options.graph_optimization_level = import_onnxruntime().GraphOptimizationLevel.ORT_DISABLE_ALL
    session = import_onnxruntime().InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    info = read_info(path.parent)
    inputs = {name: (1, *about.shape) for name, about in [*info.inputs.items(), *info.controls.items()]}
    values = session.run(names, {name: np.zeros(shape, np.float32) for name, shape in inputs.items()})
    wanted, found, compute = dict(zip(names, map(np.shape, values), strict=True)), {}, limits._outputs

    def noted(node: Any, known: Any) -> Any:
        result = compute(node, known)
        found.update({name: value.shape for name, value in zip(node.outputs, result[0], strict=False)})
        return result

    monkeypatch.setattr(limits, "_outputs", noted)
    limits.check_graph(path, inputs)
    assert found == wanted
