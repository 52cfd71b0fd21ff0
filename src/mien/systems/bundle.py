"""Bundles written and read: weights as safetensors, `system.json` that rebuilds the network, and a card.

A bundle holds all that is needed to use a network and nothing that can execute. It is complete or it is not there.
"""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from mien.core.bundle import TRAIN_FACES_NAMES, BundleInfo
from mien.core.errors import MienError, nearest
from mien.core.licence import Licence
from mien.core.trust.calibration import Calibration
from mien.core.typed import checked, named
from mien.media import files
from mien.media.bundles import bundle_folder, bundle_name, shipped_names
from mien.media.files import sha256_of
from mien.media.policy import require_allowed
from mien.nn.initialisation import without_initialisation
from mien.systems.bundle_folder import previous_bundle, replace_bundle
from mien.systems.registry import SYSTEMS, config_dict, system_from_info

if TYPE_CHECKING:
    from mien.systems.system import System

SPARE = 10_000_000  # a network may ask for so many weights more than its file holds before its config is refused
WEIGHTS, DESCRIPTION, CARD = "model.safetensors", "system.json", "README.md"


def save_bundle(
    folder: Path | str,
    system: "System",
    *,
    temperatures: Mapping[str, float] | None = None,
    calibration: Mapping[str, Calibration] | None = None,
    provenance: Mapping[str, Any] | None = None,
    card: str = "",
    extra: Mapping[str, bytes] | None = None,
    licence: Licence | None = None,
) -> BundleInfo:
    """Writes the bundle and returns what its `system.json` says; a bundle already there is replaced as a whole.

    temperatures, calibration: of outputs of classes, by name. extra: further files by name, such as the fingerprints of
    the training faces; their hashes are stated too. licence: None where nobody has stated it.

    Raises MienError when the folder cannot be written, or holds something that is not a bundle: nothing changes then.
    """
    folder = Path(folder)
    if folder.exists() and not (folder / DESCRIPTION).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise MienError(f"{folder} is there and is not a bundle, so it is not replaced. Name another folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            dir=folder.parent, prefix=f".{folder.name}.", ignore_cleanup_errors=True
        ) as temp:
            new = Path(temp) / "new"
            new.mkdir()
            for name, content in (extra or {}).items():
                (new / name).write_bytes(content)
            info = _write(new, system, dict(provenance or {}), card)
            info = replace(
                info, temperatures=dict(temperatures or {}), calibration=dict(calibration or {}), licence=licence
            )
            (new / DESCRIPTION).write_text(info.to_json(), encoding="utf-8")
            replace_bundle(folder, new)
    except (OSError, SafetensorError) as error:
        raise MienError(f"Cannot write {folder}: {error}. What was written before is kept.") from error
    return info


def _write(folder: Path, system: "System", provenance: dict[str, Any], card: str) -> BundleInfo:
    """Weights and card; the description without what was fitted."""
    extra = {path.name: sha256_of(path) for path in sorted(folder.iterdir())}
    state = {name: value.detach().cpu().contiguous().clone() for name, value in system.state_dict().items()}
    (folder / WEIGHTS).write_bytes(save(state))  # save_file would hide it from other users
    info = BundleInfo(
        system=system.name,
        config=config_dict(system),
        inputs=system.inputs,
        outputs=system.outputs,
        files={WEIGHTS: sha256_of(folder / WEIGHTS)} | extra,
        provenance=provenance,
        controls=system.controls,
    )
    (folder / CARD).write_text(card or f"# {info.model_id}\n", encoding="utf-8")
    return info


def read_info(folder: Path | str) -> BundleInfo:
    """What `system.json` says; the weights are not read. Raises MienError when the folder is not a bundle."""
    path = _in_place(Path(folder)) / DESCRIPTION
    if not path.is_file():
        raise MienError(f"{folder} is not a bundle: it has no {DESCRIPTION}.{_hint(Path(folder))}")
    return files.read_info(path.parent)


def _in_place(folder: Path) -> Path:
    """The folder, or the former bundle where a kill came before its successor was in place."""
    previous = previous_bundle(folder)
    return previous if not folder.exists() and previous.is_dir() else folder


def load(folder: Path | str) -> "System":
    """The system of a bundle, in eval mode, with `.info`. The weights' hash must be the one `system.json` states.

    folder: of the bundle, a run folder with `bundle/` in it, or the name of a bundle that ships (`mien.list_models`).
    Raises MienError for a folder that is not a bundle, is incomplete or was changed, and for weights that do not fit.
    """
    folder = _named(Path(checked(folder, str, key="A bundle")))
    info, path = read_info(folder), _in_place(folder) / WEIGHTS
    require_allowed(bundle_name(folder), info.licence)
    if not path.is_file():
        only = " It can be read with `mien analyze`, not trained." if "model.onnx" in info.files else ""
        raise MienError(f"{folder}: {WEIGHTS} is missing.{only}")
    stated = info.files.get(WEIGHTS, "")
    if sha256_of(path) != stated:
        raise MienError(
            f"{path} is not the file that {DESCRIPTION} names (SHA-256 {stated[:12] or 'not stated'}). "
            "Copy the bundle again."
        )
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise MienError(f"{path}: not a safetensors file ({error}).") from error
    stored = sum(value.numel() for value in state.values())
    with named(str(path.parent / DESCRIPTION)), without_initialisation():
        system = system_from_info(info, weights=4 * stored + SPARE)
    check_state(system, state, where=str(path))
    system.load_state_dict(state)
    system.info = replace(info, outputs=system.outputs, controls=system.controls)
    return system.eval()


def check_state(system: "System", state: Mapping[str, torch.Tensor], *, where: str) -> None:
    """Raises MienError with the first name or shape in which the weights differ from the system's."""
    own = system.state_dict()
    missing, unexpected = sorted(own.keys() - state.keys()), sorted(state.keys() - own.keys())
    if missing or unexpected:
        kinds = (("missing", missing), ("unexpected", unexpected))
        differences = "; ".join(f"{len(names)} {kind} ({names[0]}, ...)" for kind, names in kinds if names)
        raise MienError(f"{where}: not the weights of this {system.name}: {differences}.")
    for name, value in own.items():
        if state[name].shape != value.shape:
            came, wanted = list(state[name].shape), list(value.shape)
            gives = ", ".join(f"{n} ({len(o.names)})" for n, o in system.outputs.items() if o.names)
            classes = f" The system gives {gives}." if came[1:] == wanted[1:] and gives else ""
            raise MienError(f"{where}: {name} has shape {came}, this {system.name} needs {wanted}.{classes}")


def _named(folder: Path) -> Path:
    """Where the bundle of that name or path lies; what is no bundle is returned as it is."""
    if previous_bundle(folder).is_dir():  # a kill came while it was being replaced
        return folder
    try:
        return bundle_folder(folder)
    except MienError:
        return folder


def _hint(folder: Path) -> str:
    if not folder.exists() and str(folder) in SYSTEMS:
        return f" {folder} is a system without weights: mien.create_model({str(folder)!r}) builds it."
    if not folder.exists():
        return (
            f" The folder does not exist.{nearest(str(folder), shipped_names()).replace('Known', 'Bundles that ship')}"
        )
    if folder.is_file():
        return " It is a file; a bundle is a folder (official checkpoints: `mien weights convert`)."
    inside = folder / "bundle"
    return f" Did you mean {inside}?" if (inside / DESCRIPTION).is_file() else ""


def from_hub(name: str) -> Path:
    """The local folder of a bundle on the Hugging Face hub, `owner/model`, downloaded once. Needs huggingface_hub."""
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise MienError(f"No folder {name}; to fetch it from the hub: pip install huggingface_hub.") from error
    try:
        return Path(snapshot_download(name, allow_patterns=[WEIGHTS, DESCRIPTION, CARD, *TRAIN_FACES_NAMES]))
    except Exception as error:  # the client has a dozen kinds, for network, name and permission
        raise MienError(f"{name} is neither a folder nor on the hub ({type(error).__name__}).") from error
