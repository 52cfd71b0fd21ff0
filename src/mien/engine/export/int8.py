"""A network in 8-bit integers: ranges of its activations from faces of a data set, the loss measured on others of them.

Static quantisation by ONNX Runtime: convolutions and matrix products with weights by output channel in 7 bits, which no
CPU's 16-bit accumulators overflow (those without VNNI add two products of 8 bits before they widen), activations in 8.
The graph reads and writes float32 as before, and runs on ONNX Runtime and OpenVINO.
"""

import logging
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.framing import framed
from mien.data.options import DataOptions
from mien.engine.bundles.inputs import prefetch, prepare_inputs
from mien.engine.evaluation.data import EvaluationData
from mien.engine.export.onnx_network import Agreement, agreement
from mien.nn.files.onnx_file import strip_notes
from mien.runtime.backends import import_onnxruntime
from mien.runtime.runner import Runner

CALIBRATED, COMPARED, FEWEST = 256, 256, 16  # faces for the ranges, for the comparison, and at least for each
BATCH = 16
OPERATORS = ["Conv", "ConvTranspose", "Gemm", "MatMul"]
SAME_POINT = 0.01  # sides of the crop
Arrays = dict[str, np.ndarray]


def calibration_faces(info: BundleInfo, data: DataOptions, split: str) -> tuple[list[Arrays], list[Arrays]]:
    """Batches of inputs by name: for the ranges and, of other faces, for the comparison; drawn with seed 0.

    Raises MienError for a split of too few readable faces, and for faces that lack an input.
    """
    found = EvaluationData(data, split)
    order = np.random.default_rng(0).permutation(len(found.samples))[: CALIBRATED + COMPARED]
    samples = framed([found.samples[i] for i in order], data.crop_source)
    batches = list(_batches(samples, info))
    count = count_of(batches)
    if count < 2 * FEWEST:
        raise MienError(
            f"{found.described} has {count} readable faces; --int8 needs {2 * FEWEST}, half of them to measure the "
            "ranges of the activations. Name a larger --data.root, or another --split."
        )
    half = len(batches) // 2
    return batches[:half], batches[half:]


def count_of(batches: list[Arrays]) -> int:
    """Faces in them."""
    return sum(len(next(iter(batch.values()))) for batch in batches)


def _batches(samples: list[Sample], info: BundleInfo) -> Iterator[Arrays]:
    reasons = []
    for batch in prefetch(samples, lambda sample: prepare_inputs([sample], info.inputs), batch_size=BATCH):
        read = [prepared for _, prepared in batch if not isinstance(prepared, str)]
        reasons += [prepared for _, prepared in batch if isinstance(prepared, str)]
        if read:
            arrays = {name: np.concatenate([each[name] for each in read]) for name in info.inputs}
            controls = {
                name: np.full((len(read), c.length), c.default, np.float32) for name, c in info.controls.items()
            }
            yield arrays | controls
    if len(reasons) == len(samples) and reasons:
        raise MienError(f"None of the {len(samples)} faces could be read; the first: {reasons[0]}")


def quantise(source: Path, target: Path, batches: list[Arrays]) -> None:
    """Writes the graph with convolutions and products in integers, their ranges those of the batches."""
    import_onnxruntime()
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Faces(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime has no types
        def __init__(self) -> None:
            self.rest = iter(batches)

        def get_next(self) -> Arrays | None:
            return next(self.rest, None)

    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # advice to developers
    try:
        with tempfile.TemporaryDirectory() as folder:
            folded = Path(folder) / "folded.onnx"
            quant_pre_process(str(source), str(folded), skip_symbolic_shape=True)
            quantize_static(
                str(folded), str(target), Faces(), quant_format=QuantFormat.QDQ, op_types_to_quantize=OPERATORS,
                per_channel=True, reduce_range=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            )  # fmt: skip
    finally:
        logging.root.setLevel(level)
    strip_notes(target)


def compare_bundles(bundle: Path, original: Path, batches: list[Arrays]) -> Agreement:
    """The one against the other, on ONNX Runtime."""
    runners = [Runner(folder, backend="onnxruntime", precision="fp32") for folder in (bundle, original)]
    got, wanted = (_joined([runner.outputs(batch) for batch in batches]) for runner in runners)
    return agreement(got, wanted, runners[1].info.outputs, same_point=SAME_POINT)


def _joined(parts: list[Arrays]) -> Arrays:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
