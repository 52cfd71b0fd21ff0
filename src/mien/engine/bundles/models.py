"""`mien models`: the systems that can be built, and the bundles that ship."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mien.cli.text import columns
from mien.core.spec import described_inputs

if TYPE_CHECKING:
    from mien.core.bundle import BundleInfo


def models() -> str:
    """Systems by the name that --system.name takes, and the bundles that come with mien, by what they are for."""
    from mien.systems.registry import SYSTEMS, list_models

    systems = [(name, SYSTEMS[name][0].partition(":")[2], f"variant {SYSTEMS[name][1]}") for name in list_models()]
    bundles = [(f.name, _used_by(info), described_inputs(info.inputs), _says(info)) for f, info in shipped_bundles()]
    return (
        f"Systems (--system.name, mien.create_model):\n{columns(systems)}\n\n"
        f"Bundles that ship:\n{columns(bundles) or 'none'}"
    )


def _used_by(info: "BundleInfo") -> str:
    """The option that takes it."""
    if "model.onnx" not in info.files:
        return "fit --init"
    return "analyze --landmark-bundle" if info.outputs_of("points") else "analyze --bundle"


def _says(info: "BundleInfo") -> str:
    """What a bundle's outputs are: the class names, or how many where they are numbered."""
    named = (output.names for output in info.outputs_of("classes", "values", "points").values())
    return "; ".join(", ".join(names) if len(names) <= 16 else f"{len(names)} points" for names in named)


def shipped_bundles() -> Iterator[tuple[Path, "BundleInfo"]]:
    """The folders under `mien/runtime/bundles`, and what their `system.json` says."""
    from importlib import resources

    from mien.media.files import read_info

    root = Path(str(resources.files("mien.runtime"))) / "bundles"
    for path in sorted(root.glob("*/system.json")):
        yield path.parent, read_info(path.parent)
