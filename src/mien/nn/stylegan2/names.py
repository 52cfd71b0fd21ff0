"""Names of the widespread PyTorch layout of StyleGAN2 (rosinality's) and ours, in both directions.

pSp, e4e, ReStyle and ASIT use that layout too, under the prefix `decoder.`. Filters are constants there and stand in
the files; ours make them. Some of its tensors have axes of length 1 that ours lack.
"""

import re
from collections.abc import Iterable, Mapping

from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.stylegan2.discriminator import Discriminator, PictureEmbedding
from mien.nn.stylegan2.generator import Generator
from mien.nn.stylegan2.ops import fir_kernel
from mien.nn.weights import LoadReport, compare

# Ours -> theirs. {i} is a place of ours, {i+1} the next, {2i} and {2i+1} twice it.
GENERATOR = (
    ("mapping.layers.{i}.", "style.{i+1}."),
    ("constant", "input.input"),
    ("first.", "conv1."),
    ("first_rgb.", "to_rgb1."),
    ("blocks.{i}.up.", "convs.{2i}."),
    ("blocks.{i}.conv.", "convs.{2i+1}."),
    ("blocks.{i}.rgb.", "to_rgbs.{i}."),
    ("noise_{i}", "noises.noise_{i}"),
)
BLOCKS = (("conv.affine.", "conv.modulation."), ("noise_strength", "noise.weight"))
DISCRIMINATOR = (
    ("convs.0.conv.", "convs.0.0."),
    ("convs.0.bias", "convs.0.1.bias"),
    ("convs.{i}.conv1.conv.", "convs.{i}.conv1.0."),
    ("convs.{i}.conv1.bias", "convs.{i}.conv1.1.bias"),
    ("convs.{i}.conv2.conv.", "convs.{i}.conv2.1."),
    ("convs.{i}.conv2.bias", "convs.{i}.conv2.2.bias"),
    ("convs.{i}.shortcut.", "convs.{i}.skip.1."),
    ("last_conv.conv.", "final_conv.0."),
    ("last_conv.bias", "final_conv.1.bias"),
    ("hidden.", "final_linear.0."),
    ("logit.", "final_linear.1."),
    ("linear.", "lin."),
)
FILTERS = re.compile(r"(^|\.)(blur\.kernel|upsample\.kernel|conv2\.0\.kernel|skip\.0\.kernel)$")


def generator_names(generator: Generator) -> dict[str, str]:
    """Our name -> the released one; without latent_avg, which released files keep beside the weights."""
    return {name: _generator_name(name) for name in generator.state_dict() if name != "latent_avg"}


def discriminator_names(network: Discriminator | PictureEmbedding) -> dict[str, str]:
    """Our name -> the released one."""
    return {name: translated(name, DISCRIMINATOR) for name in network.state_dict()}


def _generator_name(name: str) -> str:
    theirs = translated(name, GENERATOR)
    for ours, released in BLOCKS:
        theirs = theirs.replace(ours, released)
    if name.endswith(".bias") and re.match(r"(first|blocks\.\d+\.(up|conv))\.bias$", name):
        theirs = theirs.removesuffix("bias") + "activate.bias"
    return theirs


def translated(name: str, table: Iterable[tuple[str, str]]) -> str:
    """`name` with its first matching beginning of the table replaced. Raises KeyError where none matches."""
    for ours, theirs in table:
        if found := re.match(re.escape(ours).replace(r"\{i\}", r"(\d+)"), name):
            i = int(found[1]) if found.groups() else 0
            released = theirs
            for form, value in (("{i}", i), ("{i+1}", i + 1), ("{2i}", 2 * i), ("{2i+1}", 2 * i + 1)):
                released = released.replace(form, str(value))
            return released + name[found.end() :]
    raise KeyError(name)


def generator_options(weights: Mapping[str, Tensor]) -> dict[str, int]:
    """The options of `Generator` that weights in the released layout state.

    Raises MienError where they are no generator's, or its channels are those of no multiplier.
    """
    for name in ("style.1.weight", "input.input", "conv1.conv.weight", "to_rgb1.bias"):
        if name not in weights:
            raise MienError(f"Not a StyleGAN2 generator in the PyTorch layout: {name} is missing.")
    count = sum(bool(re.fullmatch(r"to_rgbs\.\d+\.bias", name)) for name in weights)
    size, widest = 4 * 2**count, weights["input.input"].shape[1]
    last = weights[f"convs.{2 * count - 1}.conv.weight"].shape[1] if count else widest
    multiplier = max(1, last * size // 16384) if size > 32 else 2
    options = {
        "size": size, "style": weights["style.1.weight"].shape[1],
        "mapping_layers": sum(bool(re.fullmatch(r"style\.\d+\.bias", name)) for name in weights),
        "channel_multiplier": multiplier, "most_channels": widest,
    }  # fmt: skip
    return options


def load_generator(generator: Generator, weights: Mapping[str, Tensor], *, where: str = "StyleGAN2") -> LoadReport:
    """Copies released weights into a generator of the same size; latent_avg stays as it is.

    Raises MienError for another size or channel multiplier, in numbers, and where names do not meet.
    """
    stated = generator_options(weights)
    if stated["size"] != generator.size:
        raise MienError(f"{where}: weights of {stated['size']} pixels; this generator makes {generator.size}.")
    names = generator_names(generator)
    given, report = renamed(generator, names, weights)
    if report.mismatched:
        raise MienError(
            f"{where}: channels differ, first {report.mismatched[0]}. Another channel_multiplier? "
            f"The weights state {stated['channel_multiplier']}."
        )
    report.require(where)
    generator.load_state_dict(given, strict=False)
    return report


def load_discriminator(network: Discriminator | PictureEmbedding, weights: Mapping[str, Tensor]) -> LoadReport:
    """Copies released weights into a discriminator, or into the embedding that has its blocks."""
    given, report = renamed(network, discriminator_names(network), weights)
    report.require("StyleGAN2 discriminator")
    network.load_state_dict(given)
    return report


def renamed(
    network: nn.Module, names: Mapping[str, str], weights: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], LoadReport]:
    """(weights by our names and in our shapes, how they match). names: ours -> theirs, of all that a file should have.

    Filters are dropped knowingly. A name that ours lack keeps its own, so that the report shows it.
    """
    own = {name: value for name, value in network.state_dict().items() if name in names}
    ours = {theirs: our for our, theirs in names.items()}
    dropped = [name for name in weights if FILTERS.search(name)]
    given: dict[str, Tensor] = {}
    for name, value in weights.items():
        if name in dropped:
            continue
        our = ours.get(name, name)
        same = our in own and _without_ones(value) == _without_ones(own[our])
        given[our] = value.reshape(own[our].shape) if same else value
    return given, compare(own, given, dropped=dropped)


def _without_ones(tensor: Tensor) -> list[int]:
    return [side for side in tensor.shape if side != 1]


def generator_to_official(generator: Generator) -> dict[str, Tensor]:
    """The state dict in the released layout, shapes, filters and order: what its `load_state_dict` takes strictly."""
    own = generator.state_dict()
    theirs = {released: own[ours] for ours, released in generator_names(generator).items()}
    for name in [name for name in theirs if re.fullmatch(r"convs\.\d*[02468]\.conv\.weight", name)]:
        theirs[name.replace("weight", "blur.kernel")] = fir_kernel(gain=4.0)
    for name in [name for name in theirs if re.fullmatch(r"to_rgbs\.\d+\.bias", name)]:
        theirs[name.replace("bias", "upsample.kernel")] = fir_kernel(gain=4.0)
    return {name: _released_shape(name, theirs[name]) for name in sorted(theirs, key=_released_place)}


def _released_shape(name: str, value: Tensor) -> Tensor:
    if name.endswith(".conv.weight"):
        return value[None]
    return value.view(1, 3, 1, 1) if re.fullmatch(r"to_rgb(1|s\.\d+)\.bias", name) else value


_PARTS = ("style", "input", "conv1", "to_rgb1", "convs", "to_rgbs", "noises")
_LEAVES = (
    "to_rgb_bias", "upsample.kernel", "conv.weight", "conv.blur.kernel", "conv.modulation.weight",
    "conv.modulation.bias", "noise.weight", "activate.bias",
)  # fmt: skip


def _released_place(name: str) -> tuple[int, int, int]:
    part, _, rest = name.partition(".")
    number = re.match(r"(?:noise_)?(\d+)\.?", rest)
    leaf = rest[number.end() :] if number else rest
    leaf = "to_rgb_bias" if part.startswith("to_rgb") and leaf == "bias" else leaf
    place = _LEAVES.index(leaf) if leaf in _LEAVES else int(leaf == "bias")
    return _PARTS.index(part), int(number[1]) if number else 0, place
