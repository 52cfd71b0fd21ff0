"""Optional packages by the extra that installs them, how to install one, and imports that wait until needed."""

import json
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

EXTRAS = {
    "train": ("torch", "lightning", "safetensors", "scipy", "skimage", "tensorboard", "onnx", "onnxscript"),
    "video": ("av",),
    "audio": ("soundfile", "soxr"),
    "fast": ("openvino",),
    "cluster": ("ray",),
}  # fmt: skip


def install_hint(*extras: str) -> str:
    """`pip install '.[video]'`, as it works for this copy of mien.

    In the folder of its source `.`, elsewhere that folder's path; what was installed from an address is named by it.
    """
    return f"pip install {shlex.quote(_install_target(','.join(extras)))}"


def missing_extra(error: ImportError) -> tuple[str, str]:
    """The package that could not be imported and the extra that has it; ("", "") for a package of none."""
    package = (error.name or "").split(".")[0]
    extra = next((extra for extra, packages in EXTRAS.items() if package in packages), "")
    return (package, extra) if extra else ("", "")


def missing_text(error: ImportError, what: str = "This") -> str:
    """`WHAT needs torch, which is not installed: pip install '.[train]'.`; empty for a package of no extra."""
    package, extra = missing_extra(error)
    return f"{what} needs {package}, which is not installed: {install_hint(extra)}." if extra else ""


def _install_target(extras: str) -> str:
    from importlib import metadata
    from urllib.parse import unquote

    source = Path(__file__).parents[3]
    if (source / "pyproject.toml").is_file() and (source / "src" / "mien").is_dir():
        return _of_folder(source, extras)
    try:
        stated = json.loads(metadata.distribution("mien").read_text("direct_url.json") or "{}")
        url, is_git = str(stated.get("url", "")), "vcs_info" in stated
    except (metadata.PackageNotFoundError, ValueError, AttributeError):
        url, is_git = "", False
    if url.startswith("file://"):
        return _of_folder(Path(unquote(url.removeprefix("file://"))), extras)
    return f"mien[{extras}]" + (f" @ {'git+' if is_git else ''}{url}" if url else "")


def _of_folder(folder: Path, extras: str) -> str:
    """A folder, or an archive, of which pip installs."""
    try:
        here = folder.samefile(Path.cwd())
    except OSError:  # one of them is gone
        here = False
    return f".[{extras}]" if here or not folder.exists() else f"{folder}[{extras}]"


def imported(target: str) -> Any:
    """What `module:name` names; its module is imported now."""
    module, _, name = target.partition(":")
    return getattr(import_module(module), name)
