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
from mien.engine.reading.invert.codes import CODES, FEATURES, STRUCTURE
from mien.media.bundles import bundle_folder
from mien.media.files import read_info
from mien.runtime.runner import Runner

if TYPE_CHECKING:
    from mien.systems.ifer.inversion import Asit
    from mien.systems.ifer.refinement import Distance, RefinementOptions

PICTURE, ESTIMATE = "picture", "estimate"  # the latter: the picture before refinement
LOSS_BEFORE, LOSS_AFTER, STEPS = "loss_before", "loss_after", "steps"
MODEL, WEIGHTS = "model.onnx", "model.safetensors"
STRUCTURE_SIDE = 4
Outputs = dict[str, np.ndarray]
Advance = Callable[[int], None]


@dataclass(frozen=True)
class Refinement:
    """How codes are optimised after the encoder's estimate."""

    options: "RefinementOptions"
    """Steps, rate and patience."""
    lpips: "Distance | None" = None
    """Beside the pixels' difference."""


@dataclass(frozen=True, eq=False)
class Inverter:
    """Inverts normalised pictures."""

    info: BundleInfo
    """Of the bundle."""
    outputs: Callable[[np.ndarray, Advance], Outputs]
    """float32 [n, 3, size, size] to `picture` of the same shape and the flat codes by name. With refinement also the
    encoder's `estimate` and, of each picture, loss_before, loss_after and steps; the second argument counts steps."""
    refines: bool = False
    """Whether codes are refined."""

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


def open_inverter(bundle: str, *, structure: bool, residual: bool, refinement: Refinement | None = None) -> Inverter:
    """Raises MienError for a bundle that gives no codes and picture, and where torch is needed and is not there."""
    folder, info = inverting_bundle(bundle)
    whole = structure and residual and refinement is None
    if whole and (folder / MODEL).is_file() and (find_spec("torch") is None or not (folder / WEIGHTS).is_file()):
        runner = Runner(folder)
        return Inverter(info, lambda image, advance: runner.outputs(image))
    if not (folder / WEIGHTS).is_file():
        raise MienError(
            f"{bundle} holds no weights, only the exported network: leave --structure, --residual and --refine out."
        )
    require_torch("Inverting with this bundle", "Or export it elsewhere, and leave --refine out: mien export.")
    asit = load_asit(folder)
    outputs = _by_torch(asit, structure=structure, residual=residual, refinement=refinement)
    return Inverter(info, outputs, refines=refinement is not None)


def inverting_bundle(bundle: str) -> tuple[Path, BundleInfo]:
    """Its folder and description. Raises MienError for a bundle that gives no codes and picture."""
    folder = bundle_folder(bundle)
    info = read_info(folder)
    if CODES not in info.outputs or PICTURE not in info.outputs:
        raise MienError(
            f"{bundle} is a {info.system}, which gives {', '.join(info.outputs)} and no latent codes of a picture. "
            "Name a bundle of asit."
        )
    return folder, info


def require_torch(what: str, otherwise: str = "") -> None:
    """Raises MienError where it is not installed."""
    if find_spec("torch") is None:
        raise MienError(f"{what} needs torch, which is not installed: {install_hint('train')}. {otherwise}".rstrip())


def load_asit(folder: Path) -> "Asit":
    from mien.systems.bundle import load

    system: Any = load(folder)
    return cast("Asit", system)


def _by_torch(
    asit: "Asit", *, structure: bool, residual: bool, refinement: Refinement | None
) -> Callable[[np.ndarray, Advance], Outputs]:
    import torch

    used = structure and asit.config.use_structure
    asit.requires_grad_(False)

    def outputs(image: np.ndarray, advance: Advance) -> Outputs:
        given, found = torch.from_numpy(image), dict[str, torch.Tensor]()
        with torch.no_grad():
            encoded = asit.encode(given)
            codes, place = encoded.codes, encoded.structure if used else None
            features = asit.inversion.feature_code(encoded) if residual else None
        if refinement is not None:
            with torch.no_grad():
                found[ESTIMATE] = asit.inversion.decode(codes, place, feature_code=features).image
            codes, place, measured = _refined(asit, given, (codes, place, features), refinement, advance)
            found |= measured
        with torch.no_grad():
            found[PICTURE] = asit.inversion.decode(codes, place, feature_code=features).image
        found[CODES] = codes.flatten(1)
        if place is not None:
            found[STRUCTURE] = place.flatten(1)
        if features is not None:
            found[FEATURES] = features.flatten(1)
        return {name: value.numpy() for name, value in found.items()}

    return outputs


def _refined(asit: "Asit", image: Any, start: tuple[Any, Any, Any], refinement: Refinement, advance: Advance) -> Any:
    """(codes, structure, {losses and steps}) of every picture, one after the other."""
    import torch

    from mien.systems.ifer.refinement import refine

    codes, place, features = start
    one = [
        refine(
            asit.inversion, image[i : i + 1], codes[i : i + 1], None if place is None else place[i : i + 1],
            feature_code=None if features is None else features[i : i + 1], options=refinement.options,
            lpips=refinement.lpips, advance=advance,
        )
        for i in range(len(image))
    ]  # fmt: skip
    measured = {
        LOSS_BEFORE: torch.tensor([each.before for each in one]),
        LOSS_AFTER: torch.tensor([each.after for each in one]),
        STEPS: torch.tensor([each.steps for each in one]),
    }
    structures = [each.structure for each in one if each.structure is not None]
    return torch.cat([each.codes for each in one]), torch.cat(structures) if structures else None, measured
