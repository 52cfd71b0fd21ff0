"""`mien export`: a bundle's network as ONNX, checked against the original before it takes its place."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError, nearest
from mien.core.extras import install_hint
from mien.media.files import atomic_path, sha256_of, write_text

if TYPE_CHECKING:
    from mien.systems.system import System

FORMATS = ("onnx",)
_READS_WITH = {"classes": "--bundle", "values": "--bundle", "points": "--landmark-bundle"}
MODEL, DESCRIPTION, CARD = "model.onnx", "system.json", "README.md"


def export(
    bundle: str,
    *,
    to: Literal["onnx"] = "onnx",
    output: str | None = None,
    half: bool = False,
    tolerance: float = 1e-3,
) -> str:
    """Export a bundle's network to ONNX, after its outputs were compared with the original's.

    Args:
        bundle: folder of the bundle or of a training run.
        to: format.
        output: folder of a new bundle for inference only (ONNX, description, card); by default model.onnx is written
            beside the weights.
        half: store the weights in fp16, which halves the file; computation stays in fp32.
        tolerance: largest accepted difference: of a logit as a share of the largest logit, of a point in sides of the
            crop.
    """
    if to not in FORMATS:
        raise MienError(f"No format {to!r}.{nearest(to, FORMATS)}")
    from mien.media.bundles import bundle_folder

    source = bundle_folder(bundle)
    _needs_onnx()
    from mien.engine.bundles.onnx_network import compare, halve_weights, write_onnx
    from mien.systems.bundle import load

    system = load(source)
    folder = Path(output) if output else source
    _refuse_foreign(folder, source)
    with atomic_path(folder / MODEL) as path:
        write_onnx(system, path)
        if half:
            halve_weights(path)
        found = compare(system, path)
        if not (found.difference <= tolerance and found.same == 1.0):
            raise MienError(
                f"The exported network of {source} differs from the original: by {found.difference:.1e} "
                f"{found.of_what} (accepted: {tolerance:g}), {found.agreement} of the check's pictures. "
                "Nothing was written."
            )
    assert system.info is not None
    _describe(system.info, source, folder)
    megabytes = (folder / MODEL).stat().st_size / 1e6
    summary = f"{folder / MODEL}: {megabytes:.1f} MB, {found.main} within {found.difference:.1e} of the original "
    summary += f"({found.of_what}), {found.agreement}."
    return summary + _how_to_read(system, found.kind, folder)


def _how_to_read(system: "System", kind: str, folder: Path) -> str:
    """A line on `mien analyze`; empty for a network that it cannot read with."""
    from mien.runtime.networks import has_picture_and_voice, has_picture_only

    option = _READS_WITH.get(kind, "")
    if option and has_picture_only(system.inputs):
        return f"\nRead pictures with it: mien analyze PHOTO {option} {folder}"
    if kind in ("classes", "values") and has_picture_and_voice(system.inputs):
        return f"\nRead videos with it: mien analyze VIDEO {option} {folder}"
    return ""


def _describe(info: BundleInfo, source: Path, folder: Path) -> None:
    """system.json with the hash of model.onnx; in another folder it names only what lies there, and its source."""
    digest = {MODEL: sha256_of(folder / MODEL)}
    if folder.resolve() == source.resolve():
        info = replace(info, files=info.files | digest)
    else:
        if info.train_faces:
            shutil.copyfile(source / info.train_faces, folder / info.train_faces)
            digest[info.train_faces] = sha256_of(folder / info.train_faces)
        info = replace(info, files=digest, provenance=info.provenance | {"exported_from": info.model_id})
        if (source / CARD).is_file():
            write_text(folder / CARD, (source / CARD).read_text(encoding="utf-8"))
    write_text(folder / DESCRIPTION, info.to_json())


def _refuse_foreign(folder: Path, source: Path) -> None:
    if folder.resolve() == source.resolve() or not folder.exists():
        return
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / DESCRIPTION).is_file()):
        raise MienError(f"{folder} is there and is not a bundle, so nothing is written into it. Name another --output.")


def _needs_onnx() -> None:
    from importlib.util import find_spec

    for package in ("onnx", "onnxscript"):
        if not find_spec(package):
            raise MienError(f"Export needs {package}, which is not installed: {install_hint('train', 'export')}.")
