"""Where bundles lie: the ones that ship, by name, and what a name or a path of a bundle means."""

from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError, nearest
from mien.core.typed import checked
from mien.media.files import INFO_FILE, read_info


def shipped_folder() -> Path:
    """The folder that holds the bundles that come with mien, each under its name."""
    return Path(str(resources.files("mien"))) / "runtime" / "bundles"


def shipped_names() -> list[str]:
    """Of the bundles that come with mien, sorted."""
    return sorted(path.parent.name for path in shipped_folder().glob(f"*/{INFO_FILE}"))


def shipped_bundles() -> Iterator[tuple[Path, BundleInfo]]:
    """The folders of the bundles that come with mien, and what their `system.json` says."""
    for name in shipped_names():
        yield shipped_folder() / name, read_info(shipped_folder() / name)


def shipped_with(*outputs: str, values: tuple[str, ...] = ()) -> Path | None:
    """The first bundle that comes with mien and gives all these outputs, and in one output all these values; None where
    none does."""
    for folder, info in shipped_bundles():
        named = any(set(values) <= set(output.names) for output in info.outputs_of("values").values())
        if set(outputs) <= info.outputs.keys() and (named or not values):
            return folder
    return None


def bundle_folder(bundle: str | Path) -> Path:
    """The folder of a bundle: its path, that of a run folder with `bundle/` in it, or the name of a shipped bundle.

    Raises MienError for anything else, with the nearest name.
    """
    path = Path(checked(bundle, str, key="A bundle"))
    for folder in (path, path / "bundle", shipped_folder() / path):
        if (folder / INFO_FILE).is_file():
            return folder
    kind = f"a folder without {INFO_FILE}" if path.is_dir() else "no such folder" if not path.exists() else "a file"
    ships = nearest(str(bundle), shipped_names()).replace("Known:", "Bundles that ship:")
    raise MienError(
        f"{bundle} is not a bundle ({kind}). Expected a folder with {INFO_FILE} and the weights, a run folder, or the "
        f"name of a bundle that ships.{ships}"
    )


def bundle_name(folder: str | Path) -> str:
    """As a person names it: that of a bundle that ships, else the folder."""
    folder = Path(folder)
    return folder.name if folder.parent == shipped_folder() else str(folder)
