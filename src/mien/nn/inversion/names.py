"""Released names of the ASIT and IFER, pSp, IR-SE50 and IR-101 files and ours."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from mien.nn.inversion.encoders import AsitEncoder, FeatureModulation, PspEncoder
from mien.nn.iresnet import SE50_DEPTHS, FaceRecogniser
from mien.nn.stylegan2.names import renamed
from mien.nn.weights import LoadReport

# (ours, theirs): the first whose beginning matches.
_REDUCE = (
    ("mix.depthwise.", "conv.0."), ("mix.squeeze.fc1.", "conv.2.fc.0."), ("mix.squeeze.fc2.", "conv.2.fc.2."),
    ("mix.pointwise.", "conv.3."), ("", ""),
)  # fmt: skip
_BLOCK = (
    ("attention.bias_table", "attn.relative_position_bias_table"), ("attention.", "attn."), ("", ""),
)  # fmt: skip
_UNIT = (
    ("norm1.", "res_layer.0."), ("conv1.", "res_layer.1."), ("act.", "res_layer.2."), ("conv2.", "res_layer.3."),
    ("norm2.", "res_layer.4."), ("squeeze.", "res_layer.5."), ("shortcut_conv.", "shortcut_layer.0."),
    ("shortcut_norm.", "shortcut_layer.1."),
)  # fmt: skip
_STEM = (("stem_conv.", "input_layer.0."), ("stem_norm.", "input_layer.1."), ("stem_act.", "input_layer.2."))
# Parts that never run, and tables that ours make.
NEVER_RUN = re.compile(r"^(norm|head)\.|\._float_tensor$|\.relative_position_index$")


def _begun(name: str, table: tuple[tuple[str, str], ...]) -> str:
    for ours, theirs in table:
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    raise KeyError(name)


def asit_names(encoder: AsitEncoder) -> dict[str, str]:
    """Our name -> the released one, without the prefix `encoder.` of ASIT and `feature_model.` of IFER."""
    return {name: _asit_name(name) for name in encoder.state_dict()}


def _asit_name(name: str) -> str:
    if found := re.match(r"trunk\.stem\.", name):
        return "patch_embed.proj." + name[found.end() :]
    if found := re.match(r"trunk\.stem_reduce\.", name):
        return "patch_embed.conv_down." + _begun(name[found.end() :], _REDUCE)
    if found := re.match(r"trunk\.reductions\.(\d+)\.", name):
        return f"levels.{found[1]}.downsample." + _begun(name[found.end() :], _REDUCE)
    if found := re.match(r"trunk\.levels\.(\d+)\.blocks\.(\d+)\.", name):
        return f"levels.{found[1]}.blocks.{found[2]}." + _begun(name[found.end() :], _BLOCK)
    if found := re.match(r"trunk\.levels\.(\d+)\.query\.(\d+)\.", name):
        return f"levels.{found[1]}.to_q_global.{found[2]}." + _begun(name[found.end() :], _REDUCE)
    if found := re.match(r"structure_conv\.", name):
        return "last_block." + name[found.end() :]
    if found := re.match(r"feature_convs\.", name):
        return "convs." + name[found.end() :]
    return _pyramid_name(name, "blocks")


def _pyramid_name(name: str, layers: str) -> str:
    """layers: what the released list of a head is called."""
    if found := re.match(r"styles\.lateral\.(\d+)\.", name):
        return f"latlayer{int(found[1]) + 1}." + name[found.end() :]
    if found := re.match(r"styles\.heads\.(\d+)\.body\.layers\.(\d+)\.", name):
        return f"styles.{found[1]}.{layers}.{2 * int(found[2])}." + _begun(name[found.end() :], _BLOCK)
    if found := re.match(r"styles\.heads\.(\d+)\.linear\.", name):
        return f"styles.{found[1]}.linear." + name[found.end() :]
    raise KeyError(f"{name} has no place in a released file")


def psp_names(encoder: PspEncoder) -> dict[str, str]:
    """Our name -> the released one, without the prefix `encoder.`."""
    return {n: _trunk_name(n) if n.startswith("trunk.") else _pyramid_name(n, "convs") for n in encoder.state_dict()}


def recogniser_names(network: FaceRecogniser) -> dict[str, str]:
    """Our name -> the one in released IR-SE50 and IR-101 files."""
    head = (("norm.", "output_layer.0."), ("linear.", "output_layer.3."), ("output_norm.", "output_layer.4."))
    return {
        n: _trunk_name(n, network.depths) if n.startswith("trunk.") else _begun(n, head) for n in network.state_dict()
    }


def _trunk_name(name: str, depths: Sequence[int] = SE50_DEPTHS) -> str:
    name = name.removeprefix("trunk.")
    if found := re.match(r"stages\.(\d+)\.(\d+)\.", name):
        place = sum(depths[: int(found[1])]) + int(found[2])
        return f"body.{place}." + _begun(name[found.end() :], _UNIT)
    return _begun(name, _STEM)


def classifier_names(head: FeatureModulation) -> dict[str, str]:
    """Our name -> the one in released IFER files."""
    return {name: name.replace("affine.", "modulation.") for name in head.state_dict()}


def load_named(
    network: nn.Module, names: Mapping[str, str], weights: Mapping[str, Tensor], *, where: str, prefix: str = ""
) -> LoadReport:
    """Copies released weights in, of names that begin with `prefix`, which is cut off; what never runs is dropped.

    Raises MienError before anything is copied where a name or a shape does not meet.
    """
    own = {name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)}
    kept = {name: value for name, value in own.items() if not NEVER_RUN.search(name) or name in names.values()}
    given, report = renamed(network, names, kept)
    report.require(where)
    network.load_state_dict(given)
    return report
