"""A context network worked by hand, as a bundle: 16 pixels, four expressions, no training.

plain = image / 2 + 1/4; perceived = plain + strength * mean(voice) / 2. Logits of the face: the mean of each colour
and 0; of the voice: 0, 0, 0 and 4 mean(voice); of both: the face's and strength times the voice's, and noise / 4.
"""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from mien.core.bundle import BundleInfo
from mien.core.labels import LabelSet
from mien.core.spec import Control, Output, PictureInput, SoundInput
from mien.media.files import sha256_of

SIDE, CLASSES = 16, ("joy", "calm", "fear", "anger")
SOUND = SoundInput(rate_hz=8000, samples=15 * 400, fft=512, hop=400, mels=SIDE, high_hz=4000.0)  # 0.75 s


def write_context_bundle(folder: Path, *, controls: bool = True) -> Path:
    labels, node = LabelSet("hand", CLASSES), helper.make_node
    constants = {
        "half": [0.5], "quarter": [0.25], "axes_hw": [2, 3], "axes_voice": [1, 2, 3], "pads": [0, 0, 0, 1],
        "loud": [[0, 0, 0, 4]], "most": [0.75],
    }  # fmt: skip
    given = {"strength": Control(1, 1.0), "noise": Control(len(CLASSES))} if controls else {}
    nodes = [
        node("Mul", ["image", "half"], ["halved"]),
        node("Add", ["halved", "quarter"], ["reconstruction"]),
        node("ReduceMean", ["voice", "axes_voice"], ["level"], keepdims=0),
        node("Unsqueeze", ["level", "one"], ["levels"]),
        node("Mul", ["levels", "strength"], ["shift"]) if controls else node("Mul", ["levels", "most"], ["shift"]),
        node("Mul", ["shift", "half"], ["added"]),
        node("Unsqueeze", ["added", "places"], ["added_everywhere"]),
        node("Add", ["reconstruction", "added_everywhere"], ["picture"]),
        node("ReduceMean", ["image", "axes_hw"], ["colours"], keepdims=0),
        node("Pad", ["colours", "pads"], ["expression_face"]),
        node("MatMul", ["levels", "loud"], ["expression_voice"]),
        node("MatMul", ["shift", "loud"], ["from_voice"]),
        node("Add", ["expression_face", "from_voice"], ["quiet" if controls else "expression"]),
    ]
    if controls:
        nodes += [node("Mul", ["noise", "quarter"], ["wobble"]), node("Add", ["quiet", "wobble"], ["expression"])]
    whole = {"axes_hw", "axes_voice", "pads"}
    held = [
        numpy_helper.from_array(np.array(v, np.int64 if k in whole else np.float32), k) for k, v in constants.items()
    ]
    held += [numpy_helper.from_array(np.array(v, np.int64), k) for k, v in {"one": [1], "places": [2, 3]}.items()]
    shapes = {"image": (3, SIDE, SIDE), "voice": SOUND.shape} | {name: each.shape for name, each in given.items()}
    names = ("expression", "expression_face", "expression_voice", "picture", "reconstruction", "shift")

    def port(name: str, *shape: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])

    outputs = [
        port(name, *((3, SIDE, SIDE) if i in (3, 4) else (1,) if i == 5 else (4,))) for i, name in enumerate(names)
    ]
    graph = helper.make_graph(nodes, "context", [port(name, *shape) for name, shape in shapes.items()], outputs, held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model)
    folder.mkdir(parents=True)
    onnx.save(model, str(folder / "model.onnx"))
    about = [Output.classes(labels)] * 3 + [Output("picture")] * 2 + [Output("vector")]
    info = BundleInfo(
        "can", {}, {"image": PictureInput(SIDE, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), "voice": SOUND},
        dict(zip(names, about, strict=True)), {}, {"model.onnx": sha256_of(folder / "model.onnx")}, {}, given,
    )  # fmt: skip
    (folder / "system.json").write_text(info.to_json(), encoding="utf-8")
    return folder
