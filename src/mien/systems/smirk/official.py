"""The released file of SMIRK: its three encoders become a network; the generator beside them is left out by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mien.core.errors import MienError
from mien.systems.official import Contents, ReleasedFile

if TYPE_CHECKING:
    from mien.systems.system import System

ENCODER, GENERATOR = "smirk_encoder.", "smirk_generator."
FILES = (
    ReleasedFile(
        "SMIRK_em1.pt", "SMIRK: encoders of pose, shape and expression; generator", "FLAME's parameters from a photo"
    ),
)


@dataclass(frozen=True)
class ConvertOptions:
    face: str = "none"
    """Name of your registered FLAME (`mien assets add`), with which the bundle also gives the 68 landmarks; none for
    the parameters alone."""


def recognise(contents: Contents) -> bool:
    """Whether its names begin as those of SMIRK's encoders."""
    from mien.nn.weights import weight_names

    return any(name.startswith(f"{ENCODER}pose_encoder.") for name in weight_names(contents))


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """The encoders, every name accounted for."""
    from mien.nn.weights import compare, load_weights, weights_of
    from mien.systems.registry import create_model
    from mien.systems.smirk.network import Smirk

    if len(files) != 1:
        raise MienError(f"--system smirk converts one released file at a time; got {len(files)}.")
    path, contents = next(iter(files.items()))
    held = weights_of(contents, where=str(path))
    weights = {name.removeprefix(ENCODER): value for name, value in held.items() if name.startswith(ENCODER)}
    shapes, expressions = (weights.get(f"{kind}_encoder.{kind}_layers.0.bias") for kind in ("shape", "expression"))
    if shapes is None or expressions is None:
        raise MienError(f"{path}: no heads of shape and expression, so it is no released file of SMIRK.")
    network = create_model("smirk", face=options.face, shapes=len(shapes), expressions=len(expressions) - 5)
    assert isinstance(network, Smirk)
    dropped = [name for name in held if name.startswith(GENERATOR)]
    foreign = {name: value for name, value in held.items() if not name.startswith((ENCODER, GENERATOR))}
    load_weights(network.encoder, weights | foreign, where=str(path))
    report = [f"{path.name}: {compare(network.encoder.state_dict(), weights, dropped=dropped)}"]
    if options.face == "none":
        report.append("It gives parameters of FLAME, whose files are yours to register: mien assets add, then --face.")
    return network.eval(), report
