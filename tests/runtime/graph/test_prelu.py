"""PRelu rewritten for ONNX Runtime: the same bits, and only where the slopes allow it."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mien.runtime.graph.onnx_file import read_graph
from mien.runtime.graph.prelu import without_prelu


def network(slopes: list[float], *, stored: bool = True) -> bytes:
    """A convolution and a PRelu, with a long name and a float attribute: every kind of field."""
    rng = np.random.default_rng(0)
    constants = [numpy_helper.from_array(rng.normal(size=(3, 2, 3, 3)).astype(np.float32), "w" * 200)]
    slope = numpy_helper.from_array(np.array(slopes, np.float32).reshape(3, 1, 1), "slope")
    nodes = [
        helper.make_node("Conv", ["x", "w" * 200], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("PRelu", ["c", "slope"], ["p"]),
        helper.make_node("LeakyRelu", ["p"], ["y"], alpha=0.25),
    ]
    if stored:
        constants.append(slope)
    else:
        nodes.insert(0, helper.make_node("Constant", [], ["slope"], value=slope))
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", c, 8, 8]) for n, c in (("x", 2), ("y", 3))]
    graph = helper.make_graph(nodes, "net", ports[:1], ports[1:], constants)
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=9, doc_string="of a test").SerializeToString()


def run(data: bytes) -> np.ndarray:
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(1).normal(size=(2, 2, 8, 8)).astype(np.float32)
    return session.run(None, {"x": x})[0]


def test_the_same_bits_without_prelu() -> None:
    given = network([0.25, -0.5, 1.0])
    found = without_prelu(given)
    assert found is not None
    assert [node.op for node in read_graph(memoryview(found)).nodes] == ["Conv", "Mul", "Max", "LeakyRelu"]
    assert onnx.load_from_string(found).doc_string == "of a test"
    onnx.checker.check_model(onnx.load_from_string(found))
    np.testing.assert_array_equal(run(found), run(given))
    assert (run(given) < 0).any()


@pytest.mark.parametrize("slopes", [[0.25, 1.01, 0.0], [0.25, float("nan"), 0.0]])
def test_slopes_above_one_stay(slopes: list[float]) -> None:
    assert without_prelu(network(slopes)) is None


def test_slopes_that_are_not_stored_constants_stay() -> None:
    assert without_prelu(network([0.25, 0.5, 0.1], stored=False)) is None
