"""A network as ONNX: written, and compared with the original."""

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.framing import POINT_BOXES
from mien.core.geometry import crop_of_box
from mien.core.spec import Control, Input, Output, PictureInput, VectorInput
from mien.media.crop import normalise, prepare
from mien.nn.files.onnx_file import strip_notes
from mien.runtime.backends import import_onnxruntime
from mien.synthetic.people import portrait
from mien.systems.system import System

OPSET = 20  # the first with Gelu and LayerNormalization as one node each; ONNX Runtime 1.18 and OpenVINO 2024 read it
# A heat map of noise may have two peaks of one height, of which rounding chooses: so many points may be elsewhere.
TIED = 0.02
SAME_POINT = 1e-3  # sides of the crop
CHECKED = 16  # samples that the exported network is compared on


@dataclass(frozen=True)
class Agreement:
    """How an exported network compares with the original."""

    kind: str
    """Of the main output."""
    same: float
    """Share of the check's pictures given the same class; without classes, of those within the tolerance of reading."""
    furthest: str
    """The output that differs most."""
    difference: float
    """By how much, in the unit `of_what`."""
    of_what: str
    """Unit of the difference."""

    @property
    def agreement(self) -> str:
        return f"the same {'class' if self.kind == 'classes' else self.kind} on {100 * self.same:.3g}%"


def write_onnx(system: System, path: Path) -> None:
    """The network for inference; inputs, controls and outputs named and shaped as the system declares, any batch."""
    import torch

    free_batch = {0: torch.export.Dim("batch", min=1, max=65536)}
    shapes = {name: about.shape for name, about in _ports(system).items()}
    with _quietly(), _rules_of_one_output():
        program = torch.onnx.export(
            _with_outputs_in_order(system),
            tuple(torch.zeros(2, *shape) for shape in shapes.values()),
            dynamo=True,
            optimize=True,
            opset_version=OPSET,
            input_names=list(shapes),
            output_names=list(system.outputs),
            dynamic_shapes={"inputs": tuple(free_batch for _ in shapes)},
            verbose=False,
        )
        assert program is not None
        program.save(str(path), external_data=False)
    strip_notes(path)


def _ports(system: System) -> dict[str, Input | Control]:
    """What the exported network takes, in the order of the arguments of `forward`."""
    return {name: system.inputs[name] for name in system.input_names} | dict(system.controls)


def _with_outputs_in_order(system: System) -> Any:
    """The network for inference with its outputs as a tuple in the declared order."""
    import torch

    lean, names = system.for_inference(), list(system.outputs)

    class InOrder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = lean

        def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
            outputs = self.network(*inputs)
            return tuple(outputs[name] for name in names)

    return InOrder().eval()


def compare(system: System, path: Path) -> Agreement:
    """The ONNX file, on ONNX Runtime in fp32, against the system, on inputs of no one."""
    import torch

    inputs = _check_inputs(system)
    with torch.inference_mode():
        found = system.eval()(*(torch.from_numpy(inputs[name]) for name in _ports(system)))
    session = import_onnxruntime().InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    wanted = {name: found[name].numpy() for name in names}
    # One by one and together: the batch must be free.
    single = [session.run(names, {k: v[i : i + 1] for k, v in inputs.items()}) for i in range(CHECKED)]
    alone = {name: np.concatenate([outputs[k] for outputs in single]) for k, name in enumerate(names)}
    together = dict(zip(names, session.run(names, inputs), strict=True))
    found = (agreement(got, wanted, system.outputs) for got in (alone, together))
    return max(found, key=lambda each: each.difference)


def agreement(
    got: Mapping[str, np.ndarray], wanted: Mapping[str, np.ndarray], outputs: Mapping[str, Output], *,
    same_point: float = SAME_POINT,
) -> Agreement:  # fmt: skip
    """Of outputs by name, [samples, ...]. same_point: in sides of the crop; of other numbers, in their unit."""
    main = next(iter(wanted))
    kind = outputs[main].kind
    if kind == "classes":
        same = (got[main].argmax(1) == wanted[main].argmax(1)).mean()
    else:
        apart = np.abs(got[main] - wanted[main]).reshape(len(got[main]), -1)
        same = (np.quantile(apart, 1 - TIED, axis=1) <= same_point).mean()
    differences = {name: _difference(outputs[name], got[name], wanted[name]) for name in wanted}
    furthest = max(differences, key=lambda name: differences[name])
    unit = "sides of the crop" if outputs[furthest].kind == "points" else "share of the largest"
    return Agreement(kind, float(same), furthest, differences[furthest], unit)


def _check_inputs(system: System) -> dict[str, np.ndarray]:
    """CHECKED samples of each input and control: noise and smooth colours, noise for sounds; synthetic faces where
    points are read, since noise gives a heat map many summits of one height."""
    points = any(output.kind == "points" for output in system.outputs.values())
    found = {}
    for name in system.input_names:
        about = system.inputs[name]
        if isinstance(about, VectorInput):
            found[name] = np.random.default_rng(0).normal(size=(CHECKED, *about.shape)).astype(np.float32)
        elif not isinstance(about, PictureInput):
            found[name] = np.random.default_rng(0).random((CHECKED, *about.shape)).astype(np.float32)
        else:
            found[name] = _check_faces(about) if points else _check_pictures(about.size)
    for name, control in system.controls.items():
        random = np.random.default_rng(1).normal(control.default, 0.5, (CHECKED, control.length)).astype(np.float32)
        random[: CHECKED // 2] = control.default
        found[name] = random
    return found


def _difference(output: Output, got: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, as a share of the largest value; of points in sides of the crop, all but a share TIED."""
    apart = np.abs(got - wanted)
    if output.kind == "points" or output.of:
        return float(np.quantile(apart, 1 - TIED))
    return float(apart.max()) / max(float(np.abs(wanted).max()), 1e-6)


def _check_pictures(size: int, count: int = CHECKED) -> np.ndarray:
    """float32 [count, 3, size, size] of about unit variance; the second half are smooth."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 1, (count // 2, 3, size, size))
    coarse = rng.normal(0, 1, (count - count // 2, 7, 7, 3)).astype(np.float32)
    smooth = [cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC).transpose(2, 0, 1) for picture in coarse]
    return np.concatenate([noise, np.stack(smooth)]).astype(np.float32)


def _check_faces(spec: PictureInput, count: int = CHECKED) -> np.ndarray:
    """float32 [count, 3, size, size]: synthetic people, cut out and normalised as the system asks."""
    crops = []
    for number in range(count):
        pixels, points_px = _check_face(number)
        crops.append(prepare(pixels, crop_of_box(POINT_BOXES[spec.point_box](points_px), spec), spec))
    return normalise(np.stack(crops), spec)


@lru_cache(maxsize=CHECKED)
def _check_face(number: int) -> tuple[np.ndarray, np.ndarray]:
    """A synthetic portrait and its points in pixels; drawn once for all exports of a process."""
    pixels, truth = portrait(0, number)
    return pixels, truth.landmarks_px


@contextlib.contextmanager
def _rules_of_one_output() -> Iterator[None]:
    """Inside, onnxscript leaves out the rule that makes a Split of two Slices of the halves of an axis.

    From every node, whatever that is, it looks for the second Slice in the whole graph: a quarter of the export of
    ASIT. It changes no network of mien. Versions of onnxscript that keep their rules elsewhere try it.
    """
    from onnxscript import rewriter

    every = getattr(rewriter, "_DEFAULT_REWRITE_RULES", ())
    kept = tuple(rule for rule in every if _has_one_output(rule))
    if kept:
        rewriter._DEFAULT_REWRITE_RULES = kept
    try:
        yield
    finally:
        if kept:
            rewriter._DEFAULT_REWRITE_RULES = every


def _has_one_output(rule: Any) -> bool:
    return bool(getattr(getattr(rule, "_target_pattern", None), "has_single_output_node", True))


def _quietly() -> Any:
    """torch's exporter prints and warns of its own doings; what matters raises."""
    stack = contextlib.ExitStack()
    stack.enter_context(warnings.catch_warnings())
    warnings.simplefilter("ignore")
    stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
    for name in ("torch.onnx", "onnxscript", "onnx_ir"):
        logger = logging.getLogger(name)
        stack.callback(logger.setLevel, logger.level)
        logger.setLevel(logging.ERROR)
    return stack
