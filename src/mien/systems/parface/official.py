"""Released files of ParFace-Net and its parent 3FabRec: which there are, and what each becomes.

Their names and ours: official_names.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.errors import MienError
from mien.systems.official import Contents, ReleasedFile

if TYPE_CHECKING:
    from mien.systems.system import System

FILES = (
    ReleasedFile("saae.mdl, 440 entries", "ParFace-Net: autoencoder, landmarks, depth", "3D landmarks"),
    ReleasedFile("saae.mdl without LMH", "autoencoder of either network", "start of training; state --activation"),
    ReleasedFile("saae.mdl of 3FabRec with LMH", "the parent network", "landmarks; --activation relu"),
)


@dataclass(frozen=True)
class ConvertOptions:
    activation: Literal["leaky_relu", "relu"] | None = None
    """Needed for a file without depth head, which does not state it: leaky_relu for ParFace, relu for 3FabRec."""
    legacy: bool | None = None
    """The released behaviour, faults included; true by default."""


def recognise(contents: Contents) -> bool:
    """Whether it is a `saae.mdl` of ParFace-Net or 3FabRec."""
    from mien.nn.weights import weight_names

    return "Q.fc.weight" in weight_names(contents)


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """The network of one `saae.mdl`, with the heads and discriminators that are in it."""
    from mien.systems.parface.official_names import converted

    if len(files) != 1:
        raise MienError(f"--system parface converts one released file at a time; got {len(files)}.")
    path, contents = next(iter(files.items()))
    network, loaded = converted(contents, activation=options.activation, legacy=options.legacy is not False)
    config = network.config
    parts = ", ".join(("autoencoder", *config.heads))
    report = [f"{path.name}: {loaded}", f"{config.size} pixels, {config.activation}, {parts}"]
    if "landmarks" not in config.heads:
        report.append("There is no landmark head: this bundle reconstructs pictures, and is to start training from.")
    return network, report
