"""`mien models`: the systems that can be built, and the bundles that ship."""

from typing import TYPE_CHECKING

from mien.cli.text import columns
from mien.core.spec import described_inputs
from mien.media.bundles import shipped_bundles

if TYPE_CHECKING:
    from mien.core.bundle import BundleInfo


def models() -> str:
    """Systems by the name that --system.name takes, and the bundles that come with mien, by what they are for."""
    from mien.systems.registry import SYSTEMS, list_models

    systems = [(n, SYSTEMS[n][0].partition(":")[2], f"variant {SYSTEMS[n][1]}") for n in list_models("systems")]
    bundles = [(f.name, _used_by(info), described_inputs(info.inputs), _says(info)) for f, info in shipped_bundles()]
    return (
        f"Systems (--system.name, mien.create_model):\n{columns(systems)}\n\n"
        f"Bundles that ship (by name in every command, mien.Analyzer and mien.load):\n{columns(bundles) or 'none'}"
    )


def _used_by(info: "BundleInfo") -> str:
    """The option that takes it."""
    from mien.runtime.voice.perceiver import can_perceive

    if "model.onnx" not in info.files:
        return "fit --init"
    if can_perceive(info):
        return "perceive --bundle"
    return "analyze --landmark-bundle" if info.outputs_of("points") else "analyze --bundle"


def _says(info: "BundleInfo") -> str:
    """What a bundle's outputs are: the class names, or how many where they are numbered."""
    named = (output.names for output in info.outputs_of("classes", "values", "points").values())
    said = [", ".join(names) if len(names) <= 16 else f"{len(names)} points" for names in named]
    return "; ".join(dict.fromkeys(said))
