"""A bundle that inverts faces: pictures to what stands for them and back, by torch or, exported, by ONNX Runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.extras import install_hint
from mien.media.bundles import bundle_folder
from mien.media.files import read_info
from mien.runtime.runner import Runner

if TYPE_CHECKING:
    from mien.systems.ifer.inversion import Asit

PICTURE, CODES, STRUCTURE, FEATURES = "picture", "codes", "structure", "features"
MODEL, WEIGHTS = "model.onnx", "model.safetensors"
STRUCTURE_SIDE = 4
Outputs = dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Inverter:
    """Inverts normalised pictures."""

    info: BundleInfo
    """Of the bundle."""
    outputs: Callable[[np.ndarray], Outputs]
    """float32 [n, 3, size, size] to `picture` of the same shape and the flat codes by name."""

    def shaped(self, outputs: Outputs, number: int) -> Outputs:
        """What stands for one picture: codes [styles, width], structure [channels, 4, 4], features [channels, side,
        side]."""
        config = self.info.config
        shapes = {
            CODES: (-1, int(config["style"])),
            STRUCTURE: (-1, STRUCTURE_SIDE, STRUCTURE_SIDE),
            FEATURES: (-1, int(config["feature_side"]), int(config["feature_side"])),
        }
        return {name: outputs[name][number].reshape(shape) for name, shape in shapes.items() if name in outputs}


def open_inverter(bundle: str, *, structure: bool, residual: bool) -> Inverter:
    """Raises MienError for a bundle that gives no codes and picture, and where torch is needed and is not there."""
    folder = bundle_folder(bundle)
    info = read_info(folder)
    if CODES not in info.outputs or PICTURE not in info.outputs:
        raise MienError(
            f"{bundle} is a {info.system}, which gives {', '.join(info.outputs)} and no latent codes of a picture. "
            "Name a bundle of asit."
        )
    whole = structure and residual
    if whole and (folder / MODEL).is_file() and (find_spec("torch") is None or not (folder / WEIGHTS).is_file()):
        return Inverter(info, Runner(folder).outputs)
    if not (folder / WEIGHTS).is_file():
        raise MienError(f"{bundle} holds no weights, only the exported network: leave --structure and --residual out.")
    if find_spec("torch") is None:
        raise MienError(
            f"Inverting with this bundle needs torch, which is not installed: {install_hint('train')}. Or export it "
            "elsewhere: mien export."
        )
    return Inverter(info, _by_torch(folder, structure=structure, residual=residual))


def _by_torch(folder: Path, *, structure: bool, residual: bool) -> Callable[[np.ndarray], Outputs]:
    import torch

    from mien.systems.bundle import load

    system: Any = load(folder)
    asit = cast("Asit", system)

    def outputs(image: np.ndarray) -> Outputs:
        with torch.inference_mode():
            encoded = asit.encode(torch.from_numpy(image))
            used = structure and asit.config.use_structure
            feature_code = asit.inversion.feature_code(encoded) if residual else None
            codes, place = encoded.codes, encoded.structure if used else None
            found = {PICTURE: asit.inversion.decode(codes, place, feature_code=feature_code).image, CODES: codes}
            if used:
                found[STRUCTURE] = encoded.structure
            if feature_code is not None:
                found[FEATURES] = feature_code
        return {name: value.numpy() if name == PICTURE else value.flatten(1).numpy() for name, value in found.items()}

    return outputs
