"""Released files of CAN: which there are, and what each becomes. Their names and ours: official_names.py."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mien.core.errors import MienError
from mien.systems.official import Contents, ReleasedFile

if TYPE_CHECKING:
    from mien.systems.system import System

FILES = (
    ReleasedFile("best.ckpt of Residual_vaegan", "VAE-GAN of faces or voices", "reconstruction; start of training"),
    ReleasedFile("best.ckpt of MLP_classify", "classifier of the face alone", "classifier; start of training"),
    ReleasedFile("best.ckpt of ia_attention_class", "the context network", "classifier and perceived face"),
    ReleasedFile("best.ckpt of ia_mlp_class", "product of experts", "classifier; state --fusion face or voice"),
)


@dataclass(frozen=True)
class ConvertOptions:
    labels: str | None = None
    """Class order of the weights: can_ravdess or can_mead. It is not in the files and never guessed."""
    fusion: Literal["product", "face", "voice"] | None = None
    """Of an ia_mlp_class file, which does not state what it was trained on: product (of experts) by default."""
    whole: bool = False
    """Keep discriminators and decoders that no output needs."""
    legacy: bool | None = None
    """The released behaviour in further training; true by default."""


def recognise(contents: Contents) -> bool:
    """Whether it is a checkpoint of one of the four released layouts."""
    from mien.nn.weights import weight_names

    names = weight_names(contents)
    return any(f"{prefix}.encoder.main.res_in_64.conv1.weight" in names for prefix in ("model", "model_imgs"))


def convert(files: Mapping[Path, Contents], options: ConvertOptions) -> "tuple[System, list[str]]":
    """The network of one released file, in eval mode."""
    from mien.systems.can.official_names import converted, describe

    if len(files) != 1:
        raise MienError(f"--system can converts one released file at a time; got {len(files)}.")
    path, contents = next(iter(files.items()))
    layout, _ = describe(contents)
    given: dict[str, Any] = {"legacy": options.legacy is not False}
    if options.fusion and layout != "product":
        raise MienError(f"--fusion is for an ia_mlp_class file; {path.name} is of the layout {layout!r}. Leave it out.")
    if options.fusion:
        given["fusion"] = options.fusion
    if layout in ("face", "voice"):
        if options.labels or options.whole:
            raise MienError(f"{path.name} is a VAE-GAN: it has no classes and is always whole. Leave the option out.")
    else:
        given |= {"whole": options.whole} | ({"labels": options.labels} if options.labels else {})
    network, loaded = converted(contents, **given)
    report = [
        f"{path.name}: {loaded}",
        f"layout {layout}, {network.config.size} pixels, code of {network.config.latent}",
    ]
    if layout not in ("face", "voice") and not options.labels:
        report.append(
            "The class order is not in the file: classes are numbered. Name it: --labels can_ravdess, can_mead."
        )
    return network, report
