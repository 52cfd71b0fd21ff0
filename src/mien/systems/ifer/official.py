"""Released files of StyleGAN2, ASIT and IFER: which there are, and what each becomes.

Their names and ours are in nn/stylegan2 and nn/inversion.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.systems.official import Contents, ReleasedFile

if TYPE_CHECKING:
    from torch import Tensor

    from mien.systems.system import System

FILES = (
    ReleasedFile("550000.pt", "StyleGAN2 in the PyTorch layout (rosinality), 256 pixels", "stylegan2"),
    ReleasedFile("stylegan2-ffhq-config-f.pt", "the same, 1024 pixels", "stylegan2"),
    ReleasedFile("ffhq.pkl", "StyleGAN2-ADA; any of its .pkl files with skip connections", "stylegan2"),
    ReleasedFile("psp_ffhq_encode.pt", "pSp, e4e or ReStyle: its decoder", "stylegan2"),
    ReleasedFile("best_model.pt", "ASIT: encoder and decoder", "asit; --generator for its decoder alone"),
    ReleasedFile("model_best.pth.tar", "IFER: encoder and classifier", "ifer; state --labels"),
)


@dataclass(frozen=True)
class ConvertOptions:
    generator: bool = False
    """Of an ASIT file the generator alone."""
    labels: str | None = None
    """Class order of an IFER file, such as rafdb; it is not in the file and never guessed."""
    legacy: bool | None = None
    """The published global queries, which released weights were trained with; true by default."""
    latent_samples: int = 100_000
    """Random vectors of the mean code's estimate, where the file has none."""


def recognise(contents: Contents) -> bool:
    """Whether it holds a StyleGAN2 generator, an ASIT or an IFER."""
    from mien.nn.inversion.checkpoints import encoder_kind
    from mien.nn.stylegan2.checkpoints import find_generator

    for read in (find_generator, encoder_kind):
        try:
            read(contents, where="")
        except MienError:
            continue
        return True
    return False


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """The system of one released file, in eval mode. Raises MienError for options that the file does not take."""
    if len(files) != 1:
        raise MienError(f"--system stylegan2 converts one released file at a time; got {len(files)}.")
    path, contents = next(iter(files.items()))
    kind = _kind(contents, path)
    if options.labels and kind != "ifer":
        raise MienError(f"{path.name} has no classes; leave --labels out.")
    if kind == "ifer":
        return _classifier(path, contents, options)
    if kind == "asit" and not options.generator:
        return _inversion(path, contents, options)
    return _generator(path, contents, options)


def _kind(contents: Contents, path: Path) -> str:
    """asit, ifer, or generator for everything that has one."""
    from mien.nn.inversion.checkpoints import encoder_kind

    try:
        kind = encoder_kind(contents, where=str(path))
    except MienError:
        return "generator"
    return kind if kind in ("asit", "ifer") else "generator"


def _generator(path: Path, contents: Contents, options: ConvertOptions) -> "tuple[System, list[str]]":
    from mien.nn.stylegan2.checkpoints import generator_of
    from mien.systems.ifer.generator import StyleGan2
    from mien.systems.registry import create_model

    generator, report = generator_of(contents, where=str(path), samples=options.latent_samples)
    system = create_model("stylegan2", **_stated(generator))
    assert isinstance(system, StyleGan2)
    system.generator.load_state_dict(generator.state_dict())
    return system.eval(), report


def _stated(generator: Any) -> dict[str, Any]:
    """The options that the generator was built with."""
    from mien.nn.stylegan2.names import generator_options, generator_to_official

    return dict(generator_options(generator_to_official(generator)))


def _encoder_options(weights: "Mapping[str, Tensor]", prefix: str) -> dict[str, Any]:
    """Config values of a released encoder."""
    from mien.nn.inversion.checkpoints import asit_options

    given = asit_options(weights, prefix)
    given["style"] = given.pop("outputs")
    del given["styles"]
    return given


def _inversion(path: Path, contents: Contents, options: ConvertOptions) -> "tuple[System, list[str]]":
    from mien.nn.inversion.checkpoints import ENCODER, inversion_of
    from mien.nn.weights import weights_of
    from mien.systems.ifer.inversion import Asit
    from mien.systems.registry import create_model

    legacy = options.legacy is not False
    network, report = inversion_of(contents, where=str(path), legacy=legacy)
    given = _stated(network.generator) | _encoder_options(weights_of(contents), ENCODER)
    system = create_model("asit", **given, from_mean=network.from_mean, legacy=legacy)
    assert isinstance(system, Asit)
    system.inversion.load_state_dict(network.state_dict())
    return system.eval(), report


def _classifier(path: Path, contents: Contents, options: ConvertOptions) -> "tuple[System, list[str]]":
    from mien.nn.inversion.checkpoints import FEATURES, classifier_of
    from mien.nn.stylegan2.generator import SIZES, style_count
    from mien.nn.weights import weights_of
    from mien.systems.ifer.network import Ifer
    from mien.systems.registry import create_model

    legacy = options.legacy is not False
    encoder, head = classifier_of(contents, where=str(path), legacy=legacy)
    styles, classes = sum(encoder.styles.counts), head.head.out_features
    size = next(size for size in SIZES if style_count(size) == styles)
    given = _encoder_options(weights_of(contents), FEATURES)
    system = create_model("ifer", labels=options.labels, size=size, num_classes=classes, legacy=legacy, **given)
    assert isinstance(system, Ifer)
    own = {name: value for name, value in encoder.state_dict().items() if not name.startswith("feature_convs.")}
    system.encoder.load_state_dict(own)
    system.head.load_state_dict(head.state_dict())
    report = [f"{path.name}: IFER of {classes} classes, {size} pixels; all names meet"]
    if not options.labels:
        report.append("The class order is not in the file: classes are numbered. Name it: --labels rafdb.")
    return system.eval(), report
