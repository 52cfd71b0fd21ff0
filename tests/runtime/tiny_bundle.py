"""A bundle with a tiny network of random weights, written with onnx alone: what reading needs, and no torch."""

import hashlib
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from mien.core.bundle import BundleInfo
from mien.core.labels import LabelSet, label_set
from mien.core.spec import Output, PictureInput


def tiny_graph(size: int, classes: int, *, seed: int = 0):
    """conv 3 -> 8 (stride 4), ReLU, mean over a 4 x 4 grid, linear: different pictures get different answers."""
    rng = np.random.default_rng(seed)
    weights = {
        "kernel": rng.normal(0, 0.3, (8, 3, 5, 5)).astype(np.float32),
        "head": rng.normal(0, 1.0, (8 * 16, classes)).astype(np.float32),
        "bias": np.zeros(classes, np.float32),
    }
    step = size // 16
    nodes = [
        helper.make_node("Conv", ["image", "kernel"], ["c"], strides=[4, 4], pads=[2, 2, 2, 2]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("AveragePool", ["r"], ["p"], kernel_shape=[step, step], strides=[step, step]),
        helper.make_node("Flatten", ["p"], ["f"]),
        helper.make_node("Gemm", ["f", "head", "bias"], ["logits"], alpha=0.2),
    ]
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", classes])
    stored = [numpy_helper.from_array(value, name) for name, value in weights.items()]
    graph = helper.make_graph(nodes, "tiny", [image], [logits], stored)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def write_tiny_bundle(
    folder: Path, *, size: int = 64, labels: LabelSet | None = None, seed: int = 0, temperature: float = 1.0, **info
) -> Path:
    """Writes system.json and model.onnx; `info` overrides fields of BundleInfo."""
    labels = labels or label_set("ferplus")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    save(tiny_graph(size, len(labels), seed=seed), str(path))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    fields = {
        "inputs": {"image": PictureInput(size=size, box_scale=1.1)},
        "outputs": {"expression": Output.classes(labels)},
        "temperatures": {"expression": temperature},
        "files": {"model.onnx": digest},
    } | info
    bundle = BundleInfo(system="tiny", config={}, **fields)
    (folder / "system.json").write_text(bundle.to_json(), encoding="utf-8")
    return folder
