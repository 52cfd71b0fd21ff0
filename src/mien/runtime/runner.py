"""Runner: an exported network on OpenVINO or ONNX Runtime. No torch, also where torch is installed.

OpenVINO is taken by itself where it is installed (the extra `fast`), else ONNX Runtime. Large networks run in
bfloat16 where OpenVINO and the CPU can; small ones stay in float32, where bfloat16 would save a millisecond and change
the third digit of a probability. So do networks that find points: bfloat16 moved those of the small landmark model by
0.1 pixels of its crop of 48 on average and by 0.3 at most, and 0.02 is what reading allows itself. The weights are
checked against the SHA-256 in `system.json` before they are loaded.

A row never depends on its batch, to the last bit. Through a large network every face goes alone, on all threads. Of a
small one up to four faces go together on one thread, several groups at a time, where that was found to give the bits of
each alone (graph.grouping): on one thread of two shared cores a face then takes 2.4 ms instead of 3.6 with the small
expression model and 7.9 instead of 9.3 with the small landmark model on ONNX Runtime (OpenVINO: 1.9 for 3.2, 7.4 for
8.6).
"""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np
from jaxtyping import Float

from mien.core.bundle import BundleInfo, with_outputs_found
from mien.core.errors import MienError, nearest
from mien.core.extras import install_hint
from mien.core.spec import Control, Input, Output
from mien.media.bundles import bundle_name
from mien.media.files import INFO_FILE, read_info, sha256_of
from mien.media.parallel.limits import checked_count, cores
from mien.media.parallel.threads import Pool, begins_anew_in_copies, finished_at_exit
from mien.media.policy import require_allowed
from mien.runtime.backends import import_onnxruntime, import_openvino
from mien.runtime.graph.call import Shape
from mien.runtime.graph.grouping import LARGEST, TRIED_AFTER, Arrays, Forward, Grouped
from mien.runtime.graph.limits import check_graph
from mien.runtime.graph.prelu import without_prelu

MODEL_FILE = "model.onnx"
BACKENDS, PRECISIONS = ("auto", "onnxruntime", "openvino"), ("auto", "fp32", "bf16")
# OpenVINO compiles for each size of group, which takes about what 128 groups save, and 50 to 80 MB.
_COMPILED_AFTER, _COMPILED_SAVES = 128, 0.15
LARGE_BYTES = 50_000_000  # model.onnx from here on is computed in bf16 by itself
Outputs = Arrays
Grouping = Callable[[int], Forward | None]  # what runs a group of that many samples


class Runner:
    """Inputs float32 [n, ...], prepared as `info.inputs` says -> outputs float32 [n, ...] by name, any n.

    Where the network has one input, the array alone will do. Called it gives the main output, the first one declared;
    `outputs` gives all (`names`), and takes the network's controls (`info.controls`) beside its inputs; those that are
    not given are their defaults. info: what the bundle says. backend, precision: what is really used. threads: None is
    every core that this process may use. One object may be called from any number of threads: they share its workers,
    and each gets its own outputs, bit for bit what a call alone gives. Raises MienError, one line, for a folder that is
    no bundle, weights that are missing, changed or damaged, a graph that takes more than a network may
    (graph.limits), and a backend that is not installed.
    """

    def __init__(
        self, bundle: str | Path, *, threads: int | None = None, backend: str = "auto", precision: str = "auto"
    ) -> None:
        self.folder = Path(bundle)
        self.info = read_info(self.folder)
        require_allowed(bundle_name(self.folder), self.info.licence)
        self.threads = _thread_count(threads)
        self.backend = choose_backend(backend)
        if precision not in PRECISIONS:
            raise MienError(f"No precision {precision!r}.{nearest(precision, PRECISIONS)}")
        path = _verified_model(self.folder, self.info)
        self._ports: dict[str, Input | Control] = {**self.info.network_inputs, **self.info.controls}
        shapes = tuple((name, (1, *about.shape)) for name, about in self._ports.items())
        _check_graph_once(path, self.info.files[MODEL_FILE], shapes)
        only_classes = all(output.kind == "classes" for output in self.info.outputs.values())
        if precision == "auto" and (not only_classes or path.stat().st_size < LARGE_BYTES):
            precision = "fp32"
        self._large = path.stat().st_size >= LARGE_BYTES
        self._workers = 1 if self._large else self.threads
        self.precision = precision
        self._networks = [self._loaded(path)]
        self._process, self._loading = os.getpid(), Lock()
        begins_anew_in_copies(self)
        self._pool = Pool(self._workers, "mien-network")
        self._shapes = self._checked_outputs()
        self.info = with_outputs_found(self.info, self._shapes)
        self.names, self.main = tuple(self._shapes), next(iter(self.info.outputs))

    def __reduce__(self) -> tuple[Any, tuple[()]]:
        """A copy, and one that another process gets, loads its network anew."""
        again = partial(type(self), threads=self.threads, backend=self.backend, precision=self.precision)
        return partial(again, self.folder), ()

    def __call__(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Float[np.ndarray, "n *output"]:
        """The main output. Raises MienError as `outputs` does."""
        return self.outputs(inputs)[self.main]

    @finished_at_exit
    def outputs(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Outputs:
        """Raises MienError for missing inputs and other shapes, and when an output is not finite."""
        arrays = self._checked_inputs(inputs)
        if len(next(iter(arrays.values()))) == 0:
            return {name: np.zeros((0, *shape), np.float32) for name, shape in self._shapes.items()}
        outputs = self._named(self._forward(arrays))
        for name, values in outputs.items():
            if not np.isfinite(values).all():
                where = f"on {self.backend} ({self.precision})"
                raise MienError(f"{self.folder / MODEL_FILE} gives {name} that are not finite {where}.")
        return outputs

    def _checked_inputs(self, inputs: np.ndarray | Mapping[str, np.ndarray]) -> Arrays:
        """Contiguous float32 arrays by name of the input or control, in the declared order."""
        declared = self._ports
        given = dict(inputs) if isinstance(inputs, Mapping) else {next(iter(declared)): inputs}
        count = len(next(iter(given.values()))) if given else 0
        for name, control in self.info.controls.items():
            given.setdefault(name, np.full((count, control.length), control.default, np.float32))
        if given.keys() != declared.keys():
            raise MienError(
                f"{self.info.system} takes {' and '.join(declared)}; got {' and '.join(given) or 'nothing'}."
            )
        for name, about in declared.items():
            if given[name].shape[1:] != about.shape:
                wanted = ", ".join(map(str, about.shape))
                raise MienError(f"{self.info.system} takes {name} [n, {wanted}]; got {list(given[name].shape)}.")
        if len({len(given[name]) for name in declared}) > 1:
            counts = ", ".join(f"{len(given[name])} of {name}" for name in declared)
            raise MienError(f"{self.info.system} takes as many of each input; got {counts}.")
        return {name: np.ascontiguousarray(given[name], np.float32) for name in declared}

    def _named(self, found: Outputs) -> Outputs:
        """The graph's outputs by their declared names: a graph with one output may call it what it likes."""
        declared = list(self.info.outputs)
        return {declared[0]: next(iter(found.values()))} if len(found) == 1 else found

    def _forward(self, inputs: Arrays) -> Outputs:
        """In groups, of large networks one by one; several groups on the workers, one in the calling thread."""
        count = len(next(iter(inputs.values())))
        size = 1 if self._large else min(LARGEST, -(-count // self._workers))
        groups = [{n: values[i : i + size] for n, values in inputs.items()} for i in range(0, count, size)]
        side_by_side = self._workers > 1 and len(groups) > 1
        parts = list((self._pool.map if side_by_side else map)(self._network(), groups))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _loaded(self, path: Path) -> Grouped:
        load = _load_openvino if self.backend == "openvino" else _load_onnxruntime
        one, grouping, self.precision = load(path, self.threads, self._workers, self.precision)
        compiles = self.backend == "openvino"
        after, worth = (_COMPILED_AFTER, _COMPILED_SAVES) if compiles else (TRIED_AFTER, 0.0)
        return Grouped(one, grouping, after=after, worth=worth)

    def forked(self) -> None:
        """In a copied process: the next forward loads the network, whose threads were not copied."""
        self._loading = Lock()

    def _network(self) -> Grouped:
        """Those of other processes are kept: to be freed they would wait for their threads."""
        if self._process != os.getpid():
            with self._loading:
                if self._process != os.getpid():
                    self._networks.append(self._loaded(_verified_model(self.folder, self.info)))
                    self._process = os.getpid()
        return self._networks[-1]

    def _checked_outputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes for one sample, by output, from blank inputs through the network.

        Raises MienError for a network that does not take or give what `system.json` declares.
        """
        blank = {name: np.zeros((1, *about.shape), np.float32) for name, about in self._ports.items()}
        try:
            found = self._named(self._forward(blank))
        except Exception as error:
            shapes = " and ".join(str(list(values.shape)) for values in blank.values())
            raise MienError(f"{self.folder / MODEL_FILE} does not run on {shapes}: {_one_line(error)}") from error
        for name, output in self.info.outputs.items():
            if name not in found:
                raise MienError(f"{self.folder / MODEL_FILE} gives {sorted(found)}, but {INFO_FILE} names {name!r}.")
            if (wanted := self._declared_shape(output)) is not None and found[name].shape[1:] != wanted:
                what = f"{len(output.names)} {output.kind}" if output.names else f"a picture of {list(wanted)}"
                got = list(found[name].shape)
                raise MienError(f"{self.folder / MODEL_FILE} gives {name} of {got}, but {INFO_FILE} names {what}.")
        return {name: values.shape[1:] for name, values in found.items()}

    def _declared_shape(self, output: Output) -> tuple[int, ...] | None:
        """Of one sample; None where the declaration leaves it open."""
        if output.kind == "points":
            return len(output.names), 2
        if output.kind == "picture":
            return self.info.picture.shape
        return (len(output.names),) if output.names else None


def choose_backend(backend: str) -> str:
    """The backend that a request gets. Raises MienError for an unknown one and for one that is not installed."""
    if backend not in BACKENDS:
        raise MienError(f"No backend {backend!r}.{nearest(backend, BACKENDS)}")
    if backend == "auto":
        return "openvino" if find_spec("openvino") else "onnxruntime"
    if not find_spec(backend):
        how = install_hint("fast") if backend == "openvino" else "pip install onnxruntime"
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


_within_limits: set[tuple[str, tuple[tuple[str, Shape], ...]]] = set()
"""SHA-256 and input shapes of the graphs that this process has found to be within the limits."""


def _check_graph_once(path: Path, digest: str, shapes: tuple[tuple[str, Shape], ...]) -> None:
    """`check_graph` for a file with that SHA-256, unless one with the same was checked before: it takes 0.1 s."""
    if (digest, shapes) not in _within_limits:
        check_graph(path, dict(shapes))
        _within_limits.add((digest, shapes))


def _thread_count(threads: int | None) -> int:
    return cores() if threads is None else checked_count(threads, "--threads")


def _load_onnxruntime(path: Path, threads: int, workers: int, precision: str) -> tuple[Forward, Grouping, str]:
    """What gives the outputs of one sample, from up to `workers` threads at a time; what runs groups; the precision."""
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
        content = without_prelu(path.read_bytes()) or str(path)
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a dozen exception types, none public
        raise MienError(f"{path} is not a network that ONNX Runtime can load: {_one_line(error)}") from error
    inputs, outputs = ([port.name for port in ports] for ports in (session.get_inputs(), session.get_outputs()))

    def one(arrays: Arrays) -> Outputs:
        return dict(zip(outputs, session.run(outputs, _by_graph_name(arrays, inputs)), strict=True))

    return one, lambda _: one, "fp32"


def _load_openvino(path: Path, threads: int, workers: int, precision: str) -> tuple[Forward, Grouping, str]:
    """As `_load_onnxruntime`; further threads wait. A model is compiled for the largest group too, 0.3 s."""
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

    def sized(count: int) -> Forward:
        model = core.read_model(path)
        model.reshape({port: [count, *_lengths(port)] for port in model.inputs})
        return _compiled(core.compile_model(model, "CPU", settings), workers)

    try:
        return sized(1), lambda count: sized(count) if count == LARGEST else None, used
    except Exception as error:
        raise MienError(f"{path} is not a network that OpenVINO can load: {_one_line(error)}") from error


def _compiled(compiled: Any, workers: int) -> Forward:
    """A model of OpenVINO as a function. An infer request holds one forward's memory, so none is shared."""
    free: SimpleQueue[Any] = SimpleQueue()
    for _ in range(workers):
        free.put(compiled.create_infer_request())
    inputs = [port.any_name for port in compiled.inputs]

    def forward(arrays: Arrays) -> Outputs:
        request = free.get()
        try:
            # Copies: the results lie in memory that the request's next forward writes to.
            found = request.infer(_by_graph_name(arrays, inputs), share_inputs=True)
            return {port.any_name: np.array(values, np.float32) for port, values in found.items()}
        finally:
            free.put(request)

    return forward


def _lengths(port: Any) -> list[int]:
    """Of all axes after the batch."""
    return [dimension.get_length() for dimension in list(port.partial_shape)[1:]]


def _by_graph_name(arrays: Arrays, names: Sequence[str]) -> Arrays:
    """The arrays under the graph's names: a graph with one input may call it what it likes."""
    return {names[0]: next(iter(arrays.values()))} if len(names) == 1 and len(arrays) == 1 else arrays


def _one_line(error: Exception) -> str:
    """The first line of a library's message that says something, at most 160 characters."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:160]
