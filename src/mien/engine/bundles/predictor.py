"""A bundle's network ready for inference: arrays by input name in, arrays by output name out, on PyTorch or ONNX.

Commands that need no torch import this module, so torch is not imported at its top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.media.bundles import bundle_folder
from mien.runtime.runner import Runner

RunnerName = Literal["auto", "torch", "onnx"]
Arrays = dict[str, "np.ndarray"]
WEIGHTS = {"torch": "model.safetensors", "onnx": "model.onnx"}
"""File that each runner reads."""


@dataclass(frozen=True)
class Predictor:
    """A network with its description."""

    info: BundleInfo
    """What its bundle says."""
    engine: str
    """What computes it, as text for reports."""
    outputs: Callable[[Arrays], Arrays]
    """Inputs by name, [batch, ...] as `info.inputs` describes, to all declared outputs by name, [batch, ...]."""


def open_predictor(bundle: str, *, runner: RunnerName = "auto", device: str = "auto") -> Predictor:
    """Raises MienError for a folder that is no bundle, and where the runner asked for finds no weights of its kind."""
    folder = bundle_folder(bundle)
    if runner == "auto":
        runner = "torch" if (folder / WEIGHTS["torch"]).is_file() and find_spec("torch") else "onnx"
    if runner not in WEIGHTS:
        raise MienError(f"No runner {runner!r}. Known: auto, torch, onnx.")
    if not (folder / WEIGHTS[runner]).is_file():
        way_out = (
            f" Install PyTorch ({install_hint('train')}) or export it: mien export BUNDLE --to onnx."
            if runner == "onnx"
            else " Use --runner onnx."
        )
        raise MienError(f"{folder} has no {WEIGHTS[runner]}, which the {runner} runner needs.{way_out}")
    return _torch_predictor(folder, device) if runner == "torch" else _onnx_predictor(folder)


def _torch_predictor(folder: Path, device: str) -> Predictor:
    import torch

    from mien.systems.bundle import load

    system = load(folder)
    assert system.info is not None
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        place = torch.device(device)
        network = system.for_inference().to(place)
    except (RuntimeError, AssertionError) as error:  # an unknown word, or a device that is not there
        raise MienError(f"--device {device} cannot be used: {str(error).splitlines()[0]} Try cpu.") from error

    def outputs(inputs: Arrays) -> Arrays:
        with torch.inference_mode():
            found = network(*(torch.from_numpy(inputs[name]).to(place) for name in system.input_names))
        return {name: values.double().cpu().numpy() for name, values in found.items()}

    return Predictor(system.info, f"PyTorch {torch.__version__} on {place}", outputs)


def _onnx_predictor(folder: Path) -> Predictor:
    runner = Runner(folder)
    return Predictor(runner.info, f"ONNX on {runner.backend}, {runner.precision}", runner.outputs)
