"""Runner: an exported network on OpenVINO or ONNX Runtime. No torch, also where torch is installed.

OpenVINO is taken by itself where it is installed (`pip install mien[fast]`), else ONNX Runtime. Large networks run in
bfloat16 where OpenVINO and the CPU can; small ones stay in float32, where bfloat16 would save a millisecond and change
the third digit of a probability. So do networks that find points: bfloat16 moved those of the small landmark model by
0.1 pixels of its crop of 48 on average and by 0.3 at most, and 0.02 is what reading allows itself. The weights are
checked against the SHA-256 in `system.json` before they are loaded.

Every face goes through the network alone, with the same kernels on the same number of threads, so that a row never
depends on its batch, to the last bit. Small networks compute one face a thread, several at a time; large ones take all
threads for one face. On two cores the faces of a batch of 16 took 1.5 ms each instead of 1.1 with the small expression
model and 4.0 instead of 3.9 with the small landmark model on OpenVINO (ONNX Runtime: 2.0 for 1.8, 4.6 for 4.4); finding
a face takes ten times that.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.bundle import BundleInfo, with_outputs_found
from mien.core.errors import MienError, nearest
from mien.media.files import sha256_of
from mien.runtime.backends import import_onnxruntime, import_openvino

MODEL_FILE, INFO_FILE = "model.onnx", "system.json"
BACKENDS, PRECISIONS = ("auto", "onnxruntime", "openvino"), ("auto", "fp32", "bf16")
LARGE_BYTES = 50_000_000  # model.onnx from here on is computed in bf16 by itself
Outputs = dict[str, np.ndarray]
Forward = Callable[[np.ndarray], Outputs]


class Runner:
    """images float32 [n, 3, size, size], prepared as `info.picture` says -> float32 [n, ...], any n.

    Called it gives the main output: logits [n, classes], or landmarks [n, points, 2] in crop sides, or the picture.
    `outputs` gives all of them by name (`names`), as the bundle declares them. info: what the bundle says. backend,
    precision: what is really used. threads: None is every core that this process may use. One object may be called from
    any number of threads: they share its workers, and each gets its own answer, bit for bit what a call alone gives.
    Raises MienError, one line, for a folder that is no bundle, weights that are missing, changed or damaged, and a
    backend that is not installed.
    """

    def __init__(
        self, bundle: str | Path, *, threads: int | None = None, backend: str = "auto", precision: str = "auto"
    ) -> None:
        self.folder = Path(bundle)
        self.info = read_info(self.folder)
        self.threads = _thread_count(threads)
        self.backend = choose_backend(backend)
        if precision not in PRECISIONS:
            raise MienError(f"No precision {precision!r}.{nearest(precision, PRECISIONS)}")
        path = _verified_model(self.folder, self.info)
        only_classes = all(output.kind == "classes" for output in self.info.outputs.values())
        if precision == "auto" and (not only_classes or path.stat().st_size < LARGE_BYTES):
            precision = "fp32"
        load = _load_openvino if self.backend == "openvino" else _load_onnxruntime
        self._workers = 1 if path.stat().st_size >= LARGE_BYTES else self.threads
        self._one, self.precision = load(path, self.threads, self._workers, precision)
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mien-network")
        self._shapes = self._checked_outputs()
        self.info = with_outputs_found(self.info, self._shapes)
        self.names, self.main = tuple(self._shapes), next(iter(self.info.outputs))

    def __call__(self, images: Float[np.ndarray, "n 3 side side"]) -> Float[np.ndarray, "n *output"]:
        """The main output. Raises MienError as `outputs` does."""
        return self.outputs(images)[self.main]

    def outputs(self, images: Float[np.ndarray, "n 3 side side"]) -> Outputs:
        """Raises MienError for another shape, and when the network answers with something that is not a number."""
        size = self.info.picture.size
        if images.ndim != 4 or images.shape[1:] != (3, size, size):
            raise MienError(f"{self.info.system} reads float32 [n, 3, {size}, {size}]; got {list(images.shape)}.")
        if len(images) == 0:
            return {name: np.zeros((0, *shape), np.float32) for name, shape in self._shapes.items()}
        outputs = self._named(self._forward(np.ascontiguousarray(images, np.float32)))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                where = f"on {self.backend} ({self.precision})"
                raise MienError(f"{self.folder / MODEL_FILE} gives {name} that are not finite {where}.")
        return outputs

    def _named(self, found: Outputs) -> Outputs:
        """The graph's outputs by their declared names: a graph with one output may call it what it likes."""
        declared = list(self.info.outputs)
        return {declared[0]: next(iter(found.values()))} if len(found) == 1 else found

    def _forward(self, images: np.ndarray) -> Outputs:
        """Each picture by itself; several on the workers, one in the calling thread."""
        alone = (images[i : i + 1] for i in range(len(images)))
        side_by_side = self._workers > 1 and len(images) > 1
        parts = list((self._pool.map if side_by_side else map)(self._one, alone))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _checked_outputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes for one picture, by output, from a blank picture through the network.

        Raises MienError for a network that does not take or give what `system.json` declares.
        """
        size = self.info.picture.size
        try:
            found = self._named(self._forward(np.zeros((1, 3, size, size), np.float32)))
        except Exception as error:
            raise MienError(
                f"{self.folder / MODEL_FILE} does not run on [1, 3, {size}, {size}]: {_one_line(error)}"
            ) from error
        shapes = {name: values.shape[1:] for name, values in found.items()}
        for name, output in self.info.outputs.items():
            if name not in shapes:
                raise MienError(f"{self.folder / MODEL_FILE} gives {sorted(shapes)}, but {INFO_FILE} names {name!r}.")
            wanted = {"points": (len(output.names), 2), "picture": (3, size, size)}.get(
                output.kind, (len(output.names),)
            )
            if output.kind != "vector" and shapes[name] != wanted:
                what = f"{len(output.names)} {output.kind}" if output.names else f"a picture of {size} pixels"
                got = list(found[name].shape)
                raise MienError(f"{self.folder / MODEL_FILE} gives {name} of {got}, but {INFO_FILE} names {what}.")
        return shapes


def read_info(folder: Path) -> BundleInfo:
    """What `system.json` in a bundle folder says. Raises MienError where there is none."""
    path = folder / INFO_FILE
    try:
        return BundleInfo.from_json(path.read_text(encoding="utf-8"), where=str(path))
    except OSError as error:
        raise MienError(f"{folder} is not a bundle: cannot read {path} ({error.strerror}).") from error
    except UnicodeDecodeError as error:
        raise MienError(f"{path}: not a mien bundle (not UTF-8 text).") from error


def choose_backend(backend: str) -> str:
    """The backend that a request gets. Raises MienError for an unknown one and for one that is not installed."""
    if backend not in BACKENDS:
        raise MienError(f"No backend {backend!r}.{nearest(backend, BACKENDS)}")
    if backend == "auto":
        return "openvino" if find_spec("openvino") else "onnxruntime"
    if not find_spec(backend):
        how = "pip install 'mien[fast]'" if backend == "openvino" else "pip install onnxruntime"
        raise MienError(f"The backend {backend} is not installed. {how}, or take --backend auto.")
    return backend


def _verified_model(folder: Path, info: BundleInfo) -> Path:
    path = folder / MODEL_FILE
    if not path.is_file():
        raise MienError(
            f"{folder} holds no {MODEL_FILE}, which reading needs. Make it with: mien export {folder} --to onnx"
        )
    if MODEL_FILE not in info.files:
        raise MienError(
            f"{folder / INFO_FILE} does not state the SHA-256 of {MODEL_FILE}. Make both with: mien export {folder}"
        )
    found = sha256_of(path)
    if found != info.files[MODEL_FILE]:
        raise MienError(
            f"{path} is damaged or changed: SHA-256 {found[:12]}; {INFO_FILE} says {info.files[MODEL_FILE][:12]}."
        )
    return path


def _thread_count(threads: int | None) -> int:
    if threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if threads < 1:
        raise MienError(f"--threads must be at least 1; got {threads}.")
    return threads


def _load_onnxruntime(path: Path, threads: int, workers: int, precision: str) -> tuple[Forward, str]:
    """What gives the outputs of one picture [1, 3, size, size], from up to `workers` threads at a time."""
    onnxruntime = import_onnxruntime()
    if precision == "bf16":
        raise MienError("ONNX Runtime computes in fp32 here. Take --backend openvino for bf16.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads // workers, 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3
    # Threads may spin for the next operator of a forward, but not between two pictures: the detector wants the cores.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception types, none public
        raise MienError(f"{path} is not a network that ONNX Runtime can load: {_one_line(error)}") from error
    name, outputs = session.get_inputs()[0].name, [output.name for output in session.get_outputs()]
    return lambda images: dict(zip(outputs, session.run(outputs, {name: images}), strict=True)), "fp32"


def _load_openvino(path: Path, threads: int, workers: int, precision: str) -> tuple[Forward, str]:
    """As `_load_onnxruntime`; further threads wait. An infer request holds one forward's memory, so none is shared."""
    core = import_openvino().Core()
    capable = "BF16" in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    if precision == "bf16" and not capable:
        raise MienError("This CPU does not compute in bf16 (no AVX512_BF16 or AMX). Take --precision fp32.")
    used = "bf16" if precision != "fp32" and capable else "fp32"
    settings: dict[str, Any] = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": workers,
        "INFERENCE_PRECISION_HINT": "bf16" if used == "bf16" else "f32",
    }
    try:
        model = core.read_model(path)
        model.reshape([1, *(dimension.get_length() for dimension in list(model.inputs[0].partial_shape)[1:])])
        compiled = core.compile_model(model, "CPU", settings)
    except Exception as error:
        raise MienError(f"{path} is not a network that OpenVINO can load: {_one_line(error)}") from error
    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(workers):
        free.put(compiled.create_infer_request())

    def one(image: np.ndarray) -> Outputs:
        request = free.get()
        try:
            # Copies: the results lie in memory that the request's next forward writes to.
            found = request.infer([image], share_inputs=True)
            return {port.any_name: np.array(values, np.float32) for port, values in found.items()}
        finally:
            free.put(request)

    return one, used


def _one_line(error: Exception) -> str:
    """The first line of a library's message that says something, at most 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]
