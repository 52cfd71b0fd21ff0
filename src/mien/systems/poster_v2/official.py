"""Released files of POSTER V2: which there are, and what each becomes. Their names and ours: official_names.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.systems.official import Contents, ReleasedFile
from mien.systems.registry import create_model

if TYPE_CHECKING:
    from mien.systems.poster_v2.network import PosterV2
    from mien.systems.system import System

FILES = (
    ReleasedFile("ir50.pth", "IR-50 face recogniser, either layout", "start of training"),
    ReleasedFile("mobilefacenet_model_best.pth.tar", "MobileFaceNet, 68 landmarks", "start of training"),
    ReleasedFile("raf-db.pth, affectnet-7.pth, ...", "trained classifiers", "classifier; state --labels"),
    ReleasedFile("*_best.pth of the trainer", "optimiser state, no model", "classifier; needs --pictures"),
)


@dataclass(frozen=True)
class ConvertOptions:
    labels: str | None = None
    """Class order that the weights were trained in (see mien data list). It is not in the files and never guessed."""
    pictures: str | None = None
    """Folder of training pictures, for a '*_best' file alone: it lacks the statistics of the norms."""
    legacy: bool | None = None
    """The released behaviour, faults included. By default true for trained classifiers, which were trained with it, and
    false for backbones to start training from."""


def recognise(contents: Contents) -> bool:
    """Whether it is a classifier, IR-50, MobileFaceNet or the optimiser state that the released trainer saves."""
    from mien.nn.weights import is_optimizer_state, weight_names
    from mien.systems.poster_v2.official_names import LAYOUTS

    names = weight_names(contents)
    return is_optimizer_state(contents) or any(layout.mark in names for layout in LAYOUTS)


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """One classifier, or a "best" file with MobileFaceNet, as a network to use; backbones as a network to train."""
    from mien.nn.weights import is_optimizer_state

    best = [path for path, contents in files.items() if is_optimizer_state(contents)]
    if best:
        others = {path: contents for path, contents in files.items() if path != best[0]}
        return _rescued(files[best[0]], others, options)
    if options.pictures:
        raise MienError("--pictures is for a '*_best' file, which holds only an optimiser's state. Leave it out.")
    path, contents = next(iter(files.items()))
    if len(files) == 1 and _is_classifier(contents):
        return _classifier(path, contents, options)
    return _backbones(files, options)


def _is_classifier(contents: Contents) -> bool:
    from mien.nn.weights import weights_of

    return any(name.startswith("VIT.") for name in weights_of(contents))


def _classifier(path: Path, contents: Contents, options: ConvertOptions) -> "tuple[System, list[str]]":
    from mien.systems.poster_v2 import official_names
    from mien.systems.system import System

    labels = {"labels": label_set(options.labels)} if options.labels else {}
    network = official_names.network_from_official(contents, legacy=options.legacy is not False, **labels)
    assert isinstance(network, System)
    report = [f"{path.name}: {official_names.convert(contents)[1]}"]
    if not labels:
        report.append("The class order is not in the file: classes are numbered. Name it with --labels, such as rafdb.")
    return network, report


def _backbones(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """A network to start training from: its backbones as released, the rest freshly initialised."""
    network = _fresh(options.labels, legacy=options.legacy is True)
    report = _loaded(network, files)
    if len(files) < 2:
        report.append("Only one of the two backbones was given: the other is random. Give both to start as published.")
    report.append("The rest is freshly initialised: train from this bundle (mien fit ... --init DIR); it cannot read.")
    return network, report


def _rescued(best: Contents, others: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """The network whose weights a "best" file holds as its optimiser's state."""
    if not others or not options.pictures:
        raise MienError(
            "A 'best' file of the released trainer holds only an optimiser's state. Its weights can be rescued with "
            "the landmark network beside it and training pictures: "
            "mien weights convert BEST mobilefacenet_model_best.pth.tar --pictures DIR."
        )
    if options.legacy is False:
        raise MienError("A network rescued from a 'best' file has the released behaviour: leave --no-legacy out.")
    from mien.systems.poster_v2.rescue import picture_batches, rescue_best

    network = _fresh(options.labels, legacy=True)
    report = _loaded(network, others)
    rescued = rescue_best(best, network, picture_batches(options.pictures, network.picture))
    norms = f"BatchNorm statistics estimated on {Path(options.pictures).name}"
    return network, [*report, f"rescued from the optimiser's state: {rescued}; {norms}"]


def _fresh(labels: str | None, *, legacy: bool) -> "PosterV2":
    network: Any = create_model("poster_v2", labels=labels, legacy=legacy)
    return network.eval()


def _loaded(network: "PosterV2", files: Mapping[Path, Contents]) -> list[str]:
    """Loads the backbones; one report line for each file."""
    from mien.systems.poster_v2.official_names import load_backbone

    return [f"{path.name}: {load_backbone(network, contents)}" for path, contents in files.items()]
