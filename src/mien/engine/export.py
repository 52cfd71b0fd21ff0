"""`mien export`: a bundle's network as ONNX, checked against the original before it takes its place."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.bundle import SEEN_FACES
from mien.core.errors import MienError, nearest
from mien.media.files import atomic_path, sha256_of, write_text

if TYPE_CHECKING:
    import numpy as np

    from mien.systems.system import System

FORMATS = ("onnx",)
OPSET = 20  # the first with Gelu and LayerNormalization as one node each; ONNX Runtime 1.18 and OpenVINO 2024 read it
SMALL = 1024  # values below which halving a weight saves nothing worth a node
MODEL, DESCRIPTION, CARD = "model.onnx", "system.json", "README.md"


def export(
    bundle: str,
    *,
    to: Literal["onnx"] = "onnx",
    output: str | None = None,
    half: bool = False,
    tolerance: float = 1e-3,
) -> str:
    """Write a bundle's network as ONNX, after comparing its logits with the original's.

    Args:
        bundle: folder of the bundle or of a training run.
        to: the format.
        output: folder of a new bundle for reading only (ONNX, description, card); by default model.onnx goes beside the
            weights it was made from.
        half: store the weights in fp16, which halves the file; they are computed with in fp32 as before.
        tolerance: largest difference of a logit, as a share of the largest logit, that is accepted.
    """
    if to not in FORMATS:
        raise MienError(f"No format {to!r}.{nearest(to, FORMATS)}")
    from mien.engine.networks import bundle_folder

    source = bundle_folder(bundle)
    _needs_onnx()
    from mien.systems.bundle import load

    system = load(source)
    folder = Path(output) if output else source
    _refuse_foreign(folder, source)
    with atomic_path(folder / MODEL) as path:
        write_onnx(system, path)
        if half:
            halve_weights(path)
        difference, same = compare(system, path)
        if not (difference <= tolerance and same == 1.0):
            raise MienError(
                f"The exported network of {source} differs from the original: by {difference:.1e} of the largest logit "
                f"(accepted: {tolerance:g}), the same class on {same:.0%} of the check's pictures. Nothing was written."
            )
    _describe(source, folder)
    megabytes = (folder / MODEL).stat().st_size / 1e6
    return (
        f"{folder / MODEL}: {megabytes:.1f} MB, logits within {difference:.1e} of the original (share of the largest), "
        f"the same class on {same:.0%}.\nRead pictures with it: mien analyze PHOTO --bundle {folder}"
    )


def write_onnx(system: "System", path: Path) -> None:
    """The network for inference, input `image` [batch, 3, size, size], output `logits` [batch, classes], any batch."""
    import torch

    size = system.input_spec.size
    with _quietly():
        program = torch.onnx.export(
            system.for_inference(),
            (torch.zeros(2, 3, size, size),),
            dynamo=True,
            optimize=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=["logits"],
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=65536)},),
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)
    strip_notes(path)


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
    import numpy as np
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


def compare(system: "System", path: Path) -> tuple[float, float]:
    """Largest difference of a logit as a share of the largest one, and the share of pictures given the same class.

    The ONNX file runs on ONNX Runtime in fp32; half of the pictures are noise, half smooth like faces.
    """
    import numpy as np
    import onnxruntime
    import torch

    images = _check_pictures(system.input_spec.size)
    with torch.inference_mode():
        wanted = system.eval()(torch.from_numpy(images)).numpy()
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    # One by one and together: the batch must be free.
    single = [session.run(None, {"image": image[None]})[0][0] for image in images]
    difference = max(np.abs(got - wanted).max() for got in (np.stack(single), session.run(None, {"image": images})[0]))
    scale = max(float(np.abs(wanted).max()), 1e-6)
    return float(difference) / scale, float((np.stack(single).argmax(1) == wanted.argmax(1)).mean())


def _check_pictures(size: int, count: int = 16) -> "np.ndarray":
    """float32 [count, 3, size, size] of about unit variance; the second half are smooth."""
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (count // 2, 3, size, size))
    coarse = rng.normal(0, 1, (count - count // 2, 7, 7, 3)).astype(np.float32)
    smooth = [cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1) for picture in coarse]
    return np.concatenate([noise, np.stack(smooth)]).astype(np.float32)


def _describe(source: Path, folder: Path) -> None:
    """system.json with the hash of model.onnx; in another folder it names only what lies there, and its source."""
    from mien.systems.bundle import read_info

    info = read_info(source)
    digest = {MODEL: sha256_of(folder / MODEL)}
    if folder.resolve() == source.resolve():
        info = replace(info, files=info.files | digest)
    else:
        if SEEN_FACES in info.files:
            shutil.copyfile(source / SEEN_FACES, folder / SEEN_FACES)
            digest[SEEN_FACES] = sha256_of(folder / SEEN_FACES)
        info = replace(info, files=digest, provenance=info.provenance | {"exported_from": info.model_id})
        if (source / CARD).is_file():
            write_text(folder / CARD, (source / CARD).read_text(encoding="utf-8"))
    write_text(folder / DESCRIPTION, info.to_json())


def _refuse_foreign(folder: Path, source: Path) -> None:
    if folder.resolve() == source.resolve() or not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / DESCRIPTION).is_file()):
        raise MienError(f"{folder} is there and is not a bundle, so nothing is written into it. Name another --output.")


def _needs_onnx() -> None:
    from importlib.util import find_spec

    for package in ("onnx", "onnxscript"):
        if not find_spec(package):
            raise MienError(f"Export needs {package}, which is not installed: pip install 'mien[train,export]'.")


def _quietly() -> Any:
    """torch's exporter prints and warns of its own doings; what matters raises."""
    import contextlib
    import io
    import logging
    import warnings

    stack = contextlib.ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logger = logging.getLogger(name)
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
    return stack
