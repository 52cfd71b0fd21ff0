"""Exported networks as files: without what the exporter notes, and with weights in fp16."""

from pathlib import Path

import numpy as np

SMALL = 1024  # values below which halving a weight saves nothing worth a node


def strip_notes(path: Path) -> None:
    """Takes out what the exporter notes at each node: stack traces, that is paths of the machine it ran on."""
    import onnx

    model = onnx.load(str(path))
    for noted in (model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""
    onnx.save(model, str(path))


def halve_weights(path: Path) -> None:
    """Stores the network's larger weights in fp16, each behind a cast that the runtimes carry out once, on loading."""
    import onnx

    model = onnx.load(str(path))
    casts = []
    for weight in model.graph.initializer:
        if weight.data_type != onnx.TensorProto.FLOAT or np.prod(weight.dims) < SMALL:
            continue
        name, values = weight.name, onnx.numpy_helper.to_array(weight)
        weight.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
