"""A bundle whose network answers every picture with the same points, written with onnx alone."""

import hashlib
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save

from mien.core.bundle import BundleInfo
from mien.core.spec import Output, PictureInput


def write_point_bundle(folder: Path, outputs: dict[str, np.ndarray], *, size: int = 64, **spec) -> Path:
    """outputs: what each picture is answered with, by name, `landmarks` [points, 2] first; in crop sides."""
    folder.mkdir(parents=True, exist_ok=True)
    stored, nodes, infos = [], [], []
    # mean(image) * 0: [batch, 1, 1, 1], so that the batch is free
    nodes.append(helper.make_node("ReduceMean", ["image"], ["mean"], axes=[1, 2, 3], keepdims=0))
    nodes.append(helper.make_node("Mul", ["mean", "zero"], ["nothing"]))
    stored.append(numpy_helper.from_array(np.zeros(1, np.float32), "zero"))
    for name, values in outputs.items():
        rank = values.ndim
        stored.append(numpy_helper.from_array(values[None].astype(np.float32), f"{name}_value"))
        stored.append(numpy_helper.from_array(np.array([-1] + [1] * rank, np.int64), f"{name}_shape"))
        nodes.append(helper.make_node("Reshape", ["nothing", f"{name}_shape"], [f"{name}_nothing"]))
        nodes.append(helper.make_node("Add", [f"{name}_value", f"{name}_nothing"], [name]))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *values.shape]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["batch", 3, size, size])
    graph = helper.make_graph(nodes, "points", [image], infos, stored)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    count = len(outputs["landmarks"])
    declared = {"landmarks": Output.points(count)} | {
        name: Output.per_point("landmarks", count, unit="crop sides") for name in outputs if name != "landmarks"
    }
    info = BundleInfo(
        system="tiny_points", config={}, inputs={"image": PictureInput(size=size, **spec)}, outputs=declared,
        files={"model.onnx": hashlib.sha256(path.read_bytes()).hexdigest()},
    )  # fmt: skip
    (folder / "system.json").write_text(info.to_json(), encoding="utf-8")
    return folder


def steady_frame(face: np.ndarray) -> dict:
    """Options of `write_point_bundle` with which the crop about the points found is the same crop again."""
    low, high = face[:, :2].min(0), face[:, :2].max(0)
    side = float((high - low).mean())
    x, y = ((0.5 - (low + high) / 2) / side).tolist()
    return {"box_scale": 1 / side, "box_shift": (x, y)}


def frontal_face() -> np.ndarray:
    """float64 [68, 3] in crop sides: the neutral face looking at the camera, depth in the last column, mean 0."""
    from mien.runtime.pose import neutral_face

    face = neutral_face() * [1, -1, 1]
    face = face / 0.25  # a quarter of a metre is the crop's side
    return face - face.mean(0) + [0.5, 0.5, 0]
