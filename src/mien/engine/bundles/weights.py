"""`mien weights`: released weight files, what they are, how they become bundles; and whether a bundle is unchanged."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.cli.text import columns
from mien.core.errors import MienError, nearest
from mien.core.spec import primary

if TYPE_CHECKING:
    from mien.nn.weights import LoadReport
    from mien.systems.poster_v2.network import PosterV2
    from mien.systems.system import System

# file as released, what it is, what `mien weights convert` makes of it
RELEASED = {
    "poster_v2": (
        ("ir50.pth", "IR-50 face recogniser, in either layout", "start of training, with the landmark network"),
        ("mobilefacenet_model_best.pth.tar", "MobileFaceNet, 68 landmarks", "start of training, with ir50.pth"),
        ("raf-db, affectnet-7/-8, caer-s .pth", "trained classifiers", "a bundle; name the class order: --labels"),
        ("*_best.pth of the released trainer", "optimiser state, no model", "a bundle, given more (convert --help)"),
    ),
    "parface": (
        ("saae.mdl, 440 entries", "ParFace-Net: autoencoder, landmarks, depth", "a bundle that gives 3D landmarks"),
        ("saae.mdl without LMH", "its self-supervised stages, or 3FabRec's", "a bundle to begin with; --activation"),
        ("3FabRec's saae.mdl with LMH", "the parent network, ReLU", "a bundle that gives landmarks; --activation relu"),
    ),
}  # fmt: skip


def list_weights() -> str:
    """Released weight files that can be read, by system. None of them comes with mien, and nothing is downloaded."""
    parts = [f"{system}:\n{columns([('', *row) for row in rows], gap=1)}" for system, rows in RELEASED.items()]
    return "\n\n".join(parts) + "\n\nConvert: mien weights convert FILE ... --system NAME --output DIR"


def convert(
    *files: str,
    output: str,
    system: str = "poster_v2",
    labels: str | None = None,
    pictures: str | None = None,
    activation: Literal["leaky_relu", "relu"] | None = None,
    legacy: bool | None = None,
) -> str:
    """Released weight files to one bundle. Every name must meet; nothing in a file is executed.

    One trained classifier becomes a bundle to evaluate, export and read with. The two backbones (ir50.pth and the
    landmark network) become a bundle to begin training with: mien fit ... --init DIR.

    Args:
        files: the released files, .pth, .pth.tar, .pt, .mdl or .safetensors.
        output: folder of the bundle.
        system: whose files they are.
        labels: class order that the weights were trained in (see mien data list); never guessed.
        pictures: folder of training pictures, for a "best" file alone: it lacks the statistics of the norms.
        activation: of parface, where the file does not tell: leaky_relu for ParFace, relu for 3FabRec.
        legacy: the released behaviour, faults included; by default of a trained classifier (it was trained so), not of
            backbones to begin with.
    """
    from mien.nn.weights import is_optimizer_state, read_checkpoint
    from mien.systems.bundle import save_bundle

    if system not in RELEASED:
        raise MienError(f"No released files of {system!r} are known.{nearest(system, RELEASED)}")
    contents = {Path(file): read_checkpoint(file) for file in files}
    best = [content for content in contents.values() if is_optimizer_state(content)]
    _right_system(system, contents, activation)
    network: System
    if system == "parface":
        network, said = _autoencoder(contents, labels or pictures, activation, legacy=legacy is not False)
    elif best:
        network, said = _rescued(best[0], _others(contents, best), labels, pictures)
    elif len(contents) == 1 and _is_classifier(next(iter(contents.values()))):
        network, said = _classifier(contents, labels, legacy=legacy is not False)
    else:
        network, said = _backbones(contents, labels, legacy=legacy is True)
    provenance = _provenance(contents, said)
    info = save_bundle(output, network, provenance=provenance, card=_card(network, provenance))
    return "\n".join([*said, f"bundle {output}  {info.model_id}, {_gives(network)}"])


def verify(bundle: str) -> str:
    """Compare the files of a bundle with the SHA-256 that its system.json states.

    Args:
        bundle: folder of the bundle or of a training run, or the name of a model that ships with mien.
    """
    from mien.core.bundle import BundleInfo
    from mien.engine.bundles.predictor import bundle_folder
    from mien.media.files import sha256_of

    folder = bundle_folder(bundle)
    description = folder / "system.json"
    info = BundleInfo.from_json(description.read_text(encoding="utf-8"), where=str(description))
    if not info.files:
        raise MienError(f"{description} states no SHA-256, so nothing can be verified.")
    for name, stated in info.files.items():
        if not (folder / name).is_file():
            raise MienError(f"{folder}: {name} is missing.")
        if (found := sha256_of(folder / name)) != stated:
            raise MienError(
                f"{folder / name} was changed: SHA-256 {found[:12]}..., system.json states {stated[:12]}..."
            )
    return columns([(name, stated, "ok") for name, stated in info.files.items()])


def _right_system(system: str, contents: Mapping[Path, Mapping[str, Any]], activation: str | None) -> None:
    from mien.nn.weights import is_optimizer_state, weights_of

    if system == "parface":
        return
    if activation is not None:
        raise MienError(f"--activation is for --system parface; {system} has one activation.")
    for path, content in contents.items():
        if not is_optimizer_state(content) and "Q.fc.weight" in weights_of(content, where=str(path)):
            raise MienError(f"{path} is a file of ParFace-Net or 3FabRec: add --system parface.")


def _is_classifier(content: Mapping[str, Any]) -> bool:
    from mien.nn.weights import weights_of

    return any(name.startswith("VIT.") for name in weights_of(content))


def _classifier(
    contents: Mapping[Path, Mapping[str, Any]], labels: str | None, *, legacy: bool
) -> "tuple[System, list[str]]":
    """The network of one released classifier, and what is to be said of it."""
    from mien.core.labels import label_set
    from mien.systems.poster_v2.official import convert as converted
    from mien.systems.poster_v2.official import network_from_official
    from mien.systems.system import System

    (path, content), options = next(iter(contents.items())), {}
    if labels:
        options["labels"] = label_set(labels)
    network = network_from_official(content, legacy=legacy, **options)
    assert isinstance(network, System)
    said = [_reported(path, converted(content)[1])]
    if not labels:
        said.append("The class order is not in the file: classes are numbered. Name it with --labels, such as rafdb.")
    return network, said


def _autoencoder(
    contents: Mapping[Path, Mapping[str, Any]], unused: str | None, activation: str | None, *, legacy: bool
) -> "tuple[System, list[str]]":
    """The network of one released file of ParFace-Net or 3FabRec, and what is to be said of it."""
    from mien.systems.parface.official import converted

    if len(contents) != 1 or unused:
        raise MienError("--system parface takes one released file, without --labels and --pictures.")
    path, content = next(iter(contents.items()))
    network, report = converted(content, activation=activation, legacy=legacy)
    config = network.config
    parts = ", ".join(("autoencoder", *config.heads))
    said = [_reported(path, report), f"{config.size} pixels, {config.activation}, {parts}"]
    if "landmarks" not in config.heads:
        said.append("There is no landmark head: this bundle reconstructs pictures, and is to begin training with.")
    return network, said


def _backbones(
    contents: Mapping[Path, Mapping[str, Any]], labels: str | None, *, legacy: bool
) -> "tuple[System, list[str]]":
    """A network to begin training with: its backbones as released, all else freshly initialised."""
    from mien.systems.poster_v2.official import load_backbone

    network = _fresh(labels, legacy=legacy)
    said = [_reported(path, load_backbone(network, content)) for path, content in contents.items()]
    if len(contents) < 2:
        said.append(
            "Only one of the two backbones was given: the other is random. Give both files to begin as published."
        )
    return network, [*said, "The rest is freshly initialised: this bundle is to begin training with, not to read with."]


def _fresh(labels: str | None, *, legacy: bool) -> "PosterV2":
    from mien.systems.poster_v2.network import PosterV2
    from mien.systems.registry import create_model

    network = create_model("poster_v2", labels=labels, legacy=legacy)
    assert isinstance(network, PosterV2)
    return network


def _rescued(
    best: Mapping[str, Any], others: Mapping[Path, Mapping[str, Any]], labels: str | None, pictures: str | None
) -> "tuple[System, list[str]]":
    """The network whose weights a "best" file holds as its optimiser's memory."""
    from mien.systems.poster_v2.official import load_backbone, rescue_best

    if not others or not pictures:
        raise MienError(
            "A 'best' file of the released trainer holds only an optimiser's state. Its weights can be rescued with "
            "the landmark network beside it and training pictures: "
            "mien weights convert BEST mobilefacenet_model_best.pth.tar --pictures DIR."
        )
    network = _fresh(labels, legacy=True)
    said = [_reported(path, load_backbone(network, content)) for path, content in others.items()]
    report = rescue_best(best, network, _batches(pictures, network))
    return network, [*said, f"rescued from the optimiser's state: {report}; norms estimated anew on {pictures}"]


def _batches(pictures: str, network: "PosterV2", *, size: int = 32, most: int = 2048) -> Any:
    """Prepared pictures of a folder as tensors, at most `most` of them, evenly spread."""
    import numpy as np
    import torch

    from mien.core.geometry import crop_of_picture
    from mien.media.crop import normalise, prepare
    from mien.media.image import load_image, picture_files

    paths, spec = picture_files([pictures]), network.picture
    paths = paths[:: -(-len(paths) // most)]
    for start in range(0, len(paths), size):
        loaded = [load_image(path).pixels for path in paths[start : start + size]]
        crops = [prepare(p, crop_of_picture(p.shape[1], p.shape[0], spec), spec) for p in loaded]
        yield torch.from_numpy(normalise(np.stack(crops), spec))


def _others(contents: Mapping[Path, Mapping[str, Any]], best: Sequence[Any]) -> dict[Path, Mapping[str, Any]]:
    return {path: content for path, content in contents.items() if content is not best[0]}


def _reported(path: Path, report: "LoadReport") -> str:
    return f"{path.name}: {report}"


def _provenance(contents: Mapping[Path, Mapping[str, Any]], said: Sequence[str]) -> dict[str, Any]:
    """What the files say of themselves, and their hashes, as plain values."""
    from mien.media.files import sha256_of

    known: dict[str, Any] = {"stage": "converted from released files", "report": list(said)}
    known["files"] = {path.name: sha256_of(path) for path in contents}
    for content in contents.values():
        for key in ("epoch", "best_acc"):
            if key in content:
                value = content[key]
                known[key] = float(value) if hasattr(value, "item") else value
    return known


def _gives(network: "System") -> str:
    about = {
        name: ", ".join(o.names) if o.kind == "classes" else o.kind for name, o in primary(network.outputs).items()
    }
    return "gives " + "; ".join(f"{name} ({text})" for name, text in about.items())


def _card(network: "System", provenance: Mapping[str, Any]) -> str:
    lines = [f"- {name}: {value}" for name, value in provenance.items()]
    return f"# {network.name}, from released files\n\n{_gives(network)}\n\n" + "\n".join(lines) + "\n"
