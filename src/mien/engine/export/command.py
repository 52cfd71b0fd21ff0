"""`mien export`: a bundle's network as ONNX, checked against the original before it takes its place."""

import shutil
import tempfile
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mien.core.bundle import BundleInfo
from mien.core.errors import MienError, nearest
from mien.core.extras import install_hint
from mien.data.options import USED_BY_EVALUATION, DataOptions
from mien.media.files import atomic_path, read_info, sha256_of, write_text

if TYPE_CHECKING:
    from mien.engine.export.onnx_network import Agreement

NOT_IN_HELP = tuple(f"data.{f.name}" for f in fields(DataOptions) if f.name not in USED_BY_EVALUATION)
FORMATS, NO_DATA = ("onnx",), DataOptions()
_READS_WITH = {"classes": "--bundle", "values": "--bundle", "points": "--landmark-bundle"}
MODEL, DESCRIPTION, CARD = "model.onnx", "system.json", "README.md"
SAME_IN_INT8 = 0.9  # share of the faces that are read as by the original


def export(
    bundle: str,
    *,
    data: DataOptions = NO_DATA,
    to: Literal["onnx"] = "onnx",
    output: str | None = None,
    half: bool = False,
    int8: bool = False,
    split: str = "train",
    tolerance: float | None = None,
) -> str:
    """Export a bundle's network to ONNX, after its outputs were compared with the original's.

    Args:
        bundle: folder of the bundle or of a training run; with --int8 also the name of a model that ships with mien.
        data: with --int8, the faces that the ranges of its integers are taken from and the loss is measured on, by the
            options of `mien evaluate`; by default those of the training run.
        to: format.
        output: folder of a new bundle for inference only (ONNX, description, card); by default model.onnx is written
            beside the weights. --int8 asks for one.
        half: store the weights in fp16, which halves the file; computation stays in fp32.
        int8: compute convolutions and matrix products in 8-bit integers: a smaller and, on most CPUs, faster network
            whose outputs differ. Half of 512 faces of the data give the ranges, the other half measure the difference;
            `mien evaluate` and `mien compare` tell what it costs.
        split: of the data, with --int8.
        tolerance: largest accepted difference: of a logit as a share of the largest logit, of a point in sides of the
            crop; by default 0.001, with --int8 0.25.
    """
    if to not in FORMATS:
        raise MienError(f"No format {to!r}.{nearest(to, FORMATS)}")
    from mien.media.bundles import bundle_folder

    source = bundle_folder(bundle)
    if half and int8:
        raise MienError("--half stores weights in fp16 and --int8 in 8 bits: name one of them.")
    if int8 and (output is None or Path(output).resolve() == source.resolve()):
        raise MienError("--int8 gives another network, with outputs of its own: name a folder for it, --output FOLDER.")
    if not int8 and data != NO_DATA:
        raise MienError("--data names faces to take the ranges of integers from. Add --int8, or leave it out.")
    _needs_onnx()
    folder = Path(output) if output else source
    _refuse_foreign(folder, source)
    if int8:
        from mien.engine.evaluation.run_data import with_data_of_run

        return _export_int8(
            source, folder, with_data_of_run(bundle, data), split, 0.25 if tolerance is None else tolerance
        )
    from mien.engine.export.onnx_network import compare, write_onnx
    from mien.nn.files.onnx_file import halve_weights
    from mien.systems.bundle import load

    system = load(source)
    assert system.info is not None
    with atomic_path(folder / MODEL) as path:
        write_onnx(system, path)
        if half:
            halve_weights(path)
        found = compare(system, path)
        _check(found, source, 1e-3 if tolerance is None else tolerance, least=1.0)
    _describe(system.info, source, folder)
    return _summary(folder, found, "") + _how_to_read(system.info, found.kind, folder)


def _export_int8(source: Path, folder: Path, data: DataOptions, split: str, tolerance: float) -> str:
    """From the bundle's own model.onnx where it has one, else from its weights."""
    from mien.engine.export.int8 import calibration_faces, compare_bundles, count_of, quantise

    info = read_info(source)
    ranges, others = calibration_faces(info, data, split)
    about = f"8-bit integers, ranges from {count_of(ranges)} faces of {data.name}, split {split}"
    info = replace(info, provenance=info.provenance | {"int8": about})
    with tempfile.TemporaryDirectory() as temporary:
        original, small = (Path(temporary) / name for name in ("original", "small"))
        original = source if (source / MODEL).is_file() else _exported(source, original)
        small.mkdir()
        quantise(original / MODEL, small / MODEL, ranges)
        _describe(info, source, small)
        found = compare_bundles(small, original, others)
        _check(found, source, tolerance, least=SAME_IN_INT8)
        with atomic_path(folder / MODEL) as path:
            shutil.copyfile(small / MODEL, path)
    compared = f" of {count_of(others)} other faces"
    agreement = f"{found.agreement[0].upper()}{found.agreement[1:]}{compared}"
    note = f"Computed in {about}. {agreement} as {info.model_id}, whose numbers follow."
    _describe(info, source, folder, note=note)
    return _summary(folder, found, compared) + _how_to_read(info, found.kind, folder)


def _exported(source: Path, folder: Path) -> Path:
    """A bundle with the network as it is."""
    from mien.engine.export.onnx_network import write_onnx
    from mien.systems.bundle import load

    system = load(source)
    assert system.info is not None
    folder.mkdir()
    write_onnx(system, folder / MODEL)
    _describe(system.info, source, folder)
    return folder


def _check(found: "Agreement", source: Path, tolerance: float, *, least: float) -> None:
    if not (found.difference <= tolerance and found.same >= least):
        raise MienError(
            f"The exported network of {source} differs from the original: {found.furthest} by {found.difference:.1e} "
            f"{found.of_what} (accepted: {tolerance:g}), {found.agreement} of the pictures. Nothing was written."
        )


def _summary(folder: Path, found: "Agreement", of: str) -> str:
    megabytes = (folder / MODEL).stat().st_size / 1e6
    return (
        f"{folder / MODEL}: {megabytes:.1f} MB, every output within {found.difference:.1e} of the original "
        f"({found.furthest}: {found.of_what}), {found.agreement}{of}."
    )


def _how_to_read(info: BundleInfo, kind: str, folder: Path) -> str:
    """A line on the command that reads with it; empty for a network that none does."""
    from mien.runtime.networks import has_picture_and_voice, has_picture_only
    from mien.runtime.voice.perceiver import can_perceive

    option = _READS_WITH.get(kind, "")
    if option and has_picture_only(info.inputs):
        return f"\nRead pictures with it: mien analyze PHOTO {option} {folder}"
    if can_perceive(info):
        return f"\nPerceive faces with it: mien perceive --face PHOTO --voice SOUND --bundle {folder} --output DIR"
    if kind in ("classes", "values") and has_picture_and_voice(info.inputs):
        return f"\nRead videos with it: mien analyze VIDEO {option} {folder}"
    return ""


def _describe(info: BundleInfo, source: Path, folder: Path, *, note: str = "") -> None:
    """system.json with the hash of model.onnx; in another folder it names only what lies there, and its source.

    note: a paragraph of the card there, below its title.
    """
    digest = {MODEL: sha256_of(folder / MODEL)}
    if folder.resolve() == source.resolve():
        info = replace(info, files=info.files | digest)
    else:
        if info.train_faces:
            shutil.copyfile(source / info.train_faces, folder / info.train_faces)
            digest[info.train_faces] = sha256_of(folder / info.train_faces)
        info = replace(info, files=digest, provenance=info.provenance | {"exported_from": info.model_id})
        if (source / CARD).is_file():
            card = (source / CARD).read_text(encoding="utf-8")
            title, _, rest = card.partition("\n")
            write_text(folder / CARD, f"{title}\n\n**{note}**\n{rest}" if note else card)
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
