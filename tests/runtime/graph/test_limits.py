"""Graphs that would loop for ever, fill the memory or reach other files are refused before a runtime opens them."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_bundle import tiny_graph, write_tiny_bundle

from mien.core.errors import MienError
from mien.media.files import sha256_of
from mien.runtime.graph.limits import check_graph
from mien.runtime.runner import Runner
from robustness.bounded import run_bounded

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SHAPES = {"image": (1, 3, 64, 64)}
HUGE = 4_000_000_000


def constant(name: str, values: Any, dtype: Any = np.int64) -> Any:
    return numpy_helper.from_array(np.array(values, dtype), name)


def model(*nodes: Any, stored: Any = (), **options: Any) -> Any:
    """Nodes that lead from `image` to `logits`."""
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, 64, 64])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, None)
    graph = helper.make_graph(list(nodes), "hostile", [image], [logits], list(stored))
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **options)


def node(op: str, *inputs: str, outputs: tuple[str, ...] = ("logits",), **attributes: Any) -> Any:
    return helper.make_node(op, list(inputs), list(outputs), **attributes)


def endless_loop() -> Any:
    """2^63 times round."""
    ports = [helper.make_tensor_value_info("i", TensorProto.INT64, []), helper.make_tensor_value_info("go", 9, []),
             helper.make_tensor_value_info("x", TensorProto.FLOAT, None)]  # fmt: skip
    out = [helper.make_tensor_value_info("go2", 9, []), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    steps = [node("Identity", "go", outputs=("go2",)), node("Relu", "x", outputs=("y",))]
    body = helper.make_graph(steps, "body", ports, out)
    stored = [constant("times", 2**63 - 1), constant("true", True, np.bool_)]
    return model(node("Loop", "times", "true", "image", body=body), stored=stored)


def branch() -> Any:
    out = [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)]
    body = helper.make_graph([node("Relu", "image", outputs=("y",))], "body", [], out)
    stored = [constant("true", True, np.bool_)]
    return model(node("If", "true", then_branch=body, else_branch=body), stored=stored)


def doubling() -> Any:
    """A list of 40 nodes, the last of 2^40 times the picture."""
    names = ["image", *(f"x{i}" for i in range(39)), "logits"]
    return model(*(node("Concat", a, a, outputs=(b,), axis=0) for a, b in pairwise(names)))


def functions() -> Any:
    """Each function calls the one before it twice: 2^40 nodes when they are written out."""
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("own", 1)]
    calls = []
    for i in range(40):
        op, domain = ("Relu", "") if i == 0 else (f"f{i - 1}", "own")
        pair = [helper.make_node(op, ["x"], ["m"], domain=domain), helper.make_node(op, ["m"], ["y"], domain=domain)]
        calls.append(helper.make_function("own", f"f{i}", ["x"], ["y"], pair, opsets))
    return model(helper.make_node("f39", ["image"], ["logits"], domain="own"), functions=calls)


def work() -> Any:
    """A thousand products of 8192 x 8192: little memory, days of time."""
    wide = node("Expand", "row", "shape", outputs=("m0",))
    steps = [node("MatMul", f"m{i}", f"m{i}", outputs=(f"m{i + 1}",)) for i in range(1000)]
    stored = [constant("row", [1.0], np.float32), constant("shape", [8192, 8192])]
    return model(wide, *steps, node("Identity", "m1000"), stored=stored)


def external(location: str) -> Any:
    weights = constant("w", np.zeros(4), np.float32)
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value=location)
    return model(node("Add", "image", "w"), stored=[weights])


def lying_shape() -> Any:
    weights = constant("w", np.zeros(4), np.float32)
    del weights.dims[:]
    weights.dims.extend([2**31, 2**31])
    return model(node("Add", "image", "w"), stored=[weights])


def opset(version: int) -> Callable[[], Any]:
    """OpenVINO looks for each operator in every version from there down."""

    def make() -> Any:
        found = model(node("Relu", "image"))
        found.opset_import[0].version = version
        return found

    return make


def sparse() -> Any:
    found = model(node("Add", "image", "w"))
    values = helper.make_sparse_tensor(constant("w", [1.0], np.float32), constant("i", [0]), [HUGE, 100])
    found.graph.sparse_initializer.append(values)
    return found


def sized(op: str, *sizes: Any, stored: Any = None, **attributes: Any) -> Callable[[], Any]:
    """An operator on the picture with its sizes as constants."""
    given = [constant(f"s{i}", size, None) for i, size in enumerate(sizes)]
    return lambda: model(node(op, "image", *(each.name for each in given), **attributes), stored=given)


def by_value(op: str, *more: Any, count: int = 1) -> Callable[[], Any]:
    """An operator whose size is a number that the picture itself leads to."""
    steps = [node("ReduceSum", "image", outputs=("sum",), keepdims=0), node("Cast", "sum", outputs=("n",), to=7),
             node("Reshape", "n", "one", outputs=("size",))]  # fmt: skip
    return lambda: model(*steps, node(op, "size", *more), stored=[constant("one", [count])])


HOSTILE: dict[str, tuple[Callable[[], Any], str]] = {
    "endless loop": (endless_loop, "graph within its graph"), "branch": (branch, "graph within its graph"),
    "doubling": (doubling, "more memory or work"),
    "functions": (functions, "functions of its own|not one of ONNX's own"),
    "work": (work, "more memory or work"), "sparse": (sparse, "sparse"), "lying shape": (lying_shape, "shorter"),
    "external above": (lambda: external("../../secret"), "in another file"),
    "external absolute": (lambda: external("/dev/zero"), "in another file"),
    "external beside": (lambda: external("system.json"), "in another file"),
    "constant of shape": (lambda: model(node("ConstantOfShape", "s"), stored=[constant("s", [HUGE])]), "more memory"),
    "expand": (lambda: model(node("Expand", "one", "s"), stored=[constant("one", [1.0], np.float32),
               constant("s", [HUGE, HUGE])]), "more memory"),
    "negative size": (lambda: model(node("ConstantOfShape", "s"), stored=[constant("s", [-5])]), "no number"),
    "tile": (sized("Tile", [1, 1, 100_000, 100_000]), "more memory"),
    "range": (lambda: model(node("Range", "a", "b", "c"), stored=[constant("a", 0), constant("b", 10**15),
              constant("c", 1)]), "more memory"),
    "range without a step": (lambda: model(node("Range", "a", "b", "a"), stored=[constant("a", 0.0, np.float32),
                             constant("b", np.inf, np.float32)]), "no step"),
    "resize": (lambda: model(node("Resize", "image", "", "s"), stored=[constant("s", [1, 1, 1e6, 1e6], np.float32)]),
               "more memory"),
    "pad": (sized("Pad", [0, 0, 0, 0, 0, 0, 10**6, 10**6]), "more memory"),
    "one-hot": (lambda: model(node("OneHot", "i", "d", "v"), stored=[constant("i", [0]), constant("d", 10**12),
                constant("v", [0, 1])]), "more memory"),
    "broadcast": (lambda: model(node("Reshape", "image", "a", outputs=("x",)), node("Reshape", "image", "b",
                  outputs=("y",)), node("Add", "x", "y"), stored=[constant("a", [-1, 1]), constant("b", [1, -1])]),
                  "more memory"),
    "transposed convolution": (lambda: model(node("ConvTranspose", "image", "w", strides=[10**5, 10**5]),
                               stored=[constant("w", np.zeros((3, 1, 1, 1)), np.float32)]), "more memory"),
    "wide pooling": (lambda: model(node("MaxPool", "image", kernel_shape=[10**6] * 2, pads=[10**6] * 4,
                     strides=[10**7] * 2)), "more memory or work"),
    "expand by value": (lambda: model(node("ReduceSum", "image", outputs=("s",), keepdims=0), node("Cast", "s",
                        outputs=("n",), to=7), node("Reshape", "n", "one", outputs=("size",)), node("Expand", "s",
                        "size"), stored=[constant("one", [1])]), "depends on values"),
    "range by value": (by_value("Range", "size", "size"), "depends on values"),
    "shape by value": (by_value("ConstantOfShape"), "depends on values"),
    "non-zero": (lambda: model(node("NonZero", "image")), "'NonZero' is not one of those"),
    "unique": (lambda: model(node("Unique", "image")), "'Unique' is not one of those"),
    "random": (lambda: model(node("RandomNormal", shape=[HUGE])), "'RandomNormal' is not one of those"),
    "own operator": (lambda: model(helper.make_node("Run", ["image"], ["logits"], domain="own")), "one of ONNX's own"),
    "many nodes": (lambda: model(*(node("Relu", "image", outputs=(f"x{i}",)) for i in range(20_001))), "20,000 nodes"),
    "unsorted": (lambda: model(node("Relu", "x"), node("Relu", "image", outputs=("x",))), "before it is there"),
    "two of a name": (lambda: model(node("Relu", "image"), node("Relu", "image")), "'logits' twice"),
    "opset of the future": (opset(2**31), "version of ONNX's operators"),
    "no opset": (opset(0), "version of ONNX's operators"),
    "wrong input": (lambda: model(node("Gemm", "image", "image")), "Gemm 'logits' is damaged"),
}  # fmt: skip


def write_bundle(folder: Path, content: bytes) -> Path:
    bundle = write_tiny_bundle(folder)
    (bundle / "model.onnx").write_bytes(content)
    info = json.loads((bundle / "system.json").read_text())
    info["files"] = {"model.onnx": sha256_of(bundle / "model.onnx")}
    (bundle / "system.json").write_text(json.dumps(info))
    return bundle


def open_in_onnxruntime(folder: Path) -> None:
    Runner(folder, backend="onnxruntime", threads=1)


def open_in_openvino(folder: Path) -> None:
    Runner(folder, backend="openvino", threads=1)


BACKENDS = {"onnxruntime": open_in_onnxruntime, "openvino": open_in_openvino}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_graph_is_refused_by_its_reason(name: str, tmp_path: Path) -> None:
    make, reason = HOSTILE[name]
    path = tmp_path / "model.onnx"
    path.write_bytes(make().SerializeToString())
    with pytest.raises(MienError, match=reason) as caught:
        check_graph(path, SHAPES)
    assert str(caught.value).startswith(str(path)) and str(caught.value).isprintable()


@pytest.mark.parametrize("backend", BACKENDS)
def test_hostile_bundles_take_no_time_and_no_memory(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    bundles = [write_bundle(tmp_path / name, make().SerializeToString()) for name, (make, _) in HOSTILE.items()]
    found = run_bounded(BACKENDS[backend], bundles, seconds=5, megabytes=200)
    assert found.failures == [] and found.refused == len(HOSTILE)


def varint(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found, value = found + bytes([value & 0x7F | 0x80]), value >> 7
    return found + bytes([value])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a network"), (b"no network\nat all", "is not a network"), (b"\xff" * 100, "damaged"),
        (field(7, b"") * 2, "two graphs"), (field(8, b""), "no graph"), (field(7, field(1, b"\x0b")), "damaged"),
        (field(7, b"")[:1] + b"\xff" * 9 + b"\x01", "damaged"), (field(7, field(1, field(4, b"\xff"))), "damaged"),
        (field(7, field(5, b"\x08" + varint(2**64 - 1))), "shorter"),
        (field(7, field(1, field(4, b"Relu") * 2)), "two operators"), (field(25, b""), "functions"),
        (b"\x38\x01", "damaged"), (field(7, field(1, field(5, b"\x18" + varint(2**64 + 1)))), "damaged"),
        (field(7, b"\x08\x01"), "damaged"), (field(7, field(1, b"\x28\x01")), "damaged"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_graph(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(MienError, match=reason):
        check_graph(tmp_path / "model.onnx", SHAPES)


def test_every_cut_of_a_graph_is_refused_or_read(tmp_path: Path) -> None:
    content, path = tiny_graph(64, 8).SerializeToString(), tmp_path / "model.onnx"
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(MienError):
            check_graph(path, SHAPES)


def test_the_names_of_inputs_are_compared(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(tiny_graph(64, 8).SerializeToString())
    check_graph(tmp_path / "model.onnx", {"whatever": (1, 3, 64, 64)})
    with pytest.raises(MienError, match="it takes image, not image and voice"):
        check_graph(tmp_path / "model.onnx", SHAPES | {"voice": (1, 1, 8, 8)})
