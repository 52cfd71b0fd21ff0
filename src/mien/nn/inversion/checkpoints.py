"""Inversion networks out of released files: ASIT's and pSp's; which encoder a file has, and what it is asked to fit."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mien.core.errors import MienError
from mien.nn.inversion.encoders import AsitEncoder, FeatureModulation, PspEncoder
from mien.nn.inversion.inversion import Inversion, tiled_latent_avg
from mien.nn.inversion.names import asit_names, classifier_names, load_named, psp_names
from mien.nn.stylegan2.checkpoints import find_generator, generator_of
from mien.nn.weights import weights_of

ENCODER, FEATURES = "encoder.", "feature_model."
# The encoders that share pSp's names but not its forward pass.
OTHER_ENCODERS = ("Encoder4Editing", "BackboneEncoder", "ResNetBackboneEncoder", "ProgressiveBackboneEncoder")


def encoder_kind(contents: Mapping[str, Any], *, where: str) -> str:
    """ "asit", "psp" or "ifer". Raises MienError for e4e's and ReStyle's encoders, whose generators alone are read."""
    names = weights_of(contents, where=where)
    stated = contents.get("opts")
    kind = stated.get("encoder_type") if isinstance(stated, Mapping) else None
    if f"{FEATURES}patch_embed.proj.weight" in names:
        return "ifer"
    if f"{ENCODER}patch_embed.proj.weight" in names:
        return "asit"
    first = names.get(f"{ENCODER}input_layer.0.weight")
    if first is None:
        raise MienError(f"{where}: no encoder of ASIT, IFER or pSp in it; it begins with {', '.join(list(names)[:3])}.")
    if kind in OTHER_ENCODERS or first.shape[1] != 3:
        raise MienError(
            f"{where}: the encoder is {kind or 'ReStyle'}'s, which is not built here; its generator alone can be read."
        )
    return "psp"


def asit_options(weights: Mapping[str, Tensor], prefix: str) -> dict[str, Any]:
    """The options of `AsitEncoder` that released weights state: widths, depths, heads, number of codes."""
    own = [name.removeprefix(prefix) for name in weights if name.startswith(prefix)]
    depths = [
        1 + max((int(m[1]) for name in own if (m := re.match(rf"levels\.{i}\.blocks\.(\d+)\.", name))), default=-1)
        for i in range(4)
    ]
    styles = 1 + max((int(m[1]) for name in own if (m := re.match(r"styles\.(\d+)\.", name))), default=-1)
    tables = [weights.get(f"{prefix}levels.{i}.blocks.0.attn.relative_position_bias_table") for i in range(4)]
    ends = ("styles.0.linear.weight", "styles.0.blocks.0.weight", "last_block.weight")
    whole = all(f"{prefix}{name}" in weights for name in ends)
    if 0 in depths or styles < 8 or not whole or any(table is None for table in tables):
        raise MienError("Not a whole ASIT encoder: levels, style heads or position tables are missing.")
    heads = tuple(table.shape[1] for table in tables if table is not None)
    lengths = {
        name: len(weights[f"{prefix}{theirs}"])
        for name, theirs in (
            ("width", "patch_embed.proj.weight"), ("outputs", "styles.0.linear.weight"),
            ("head_width", "styles.0.blocks.0.weight"), ("structure_channels", "last_block.weight"),
        )
    }  # fmt: skip
    return {"depths": tuple(depths), "heads": heads, "styles": styles, **lengths}


def asit_encoder_of(weights: Mapping[str, Tensor], *, prefix: str, where: str, legacy: bool = True) -> AsitEncoder:
    """The encoder of an ASIT or IFER file, in eval mode. legacy: the behaviour that it was trained with."""
    encoder = AsitEncoder(**asit_options(weights, prefix), legacy=legacy).eval()
    load_named(encoder, asit_names(encoder), weights, where=where, prefix=prefix)
    return encoder


def inversion_of(contents: Mapping[str, Any], *, where: str, legacy: bool = True) -> tuple[Inversion, list[str]]:
    """The whole of an ASIT checkpoint, in eval mode, and lines about it for the user."""
    if (kind := encoder_kind(contents, where=where)) != "asit":
        raise MienError(f"{where}: a {kind} file where an ASIT one is asked for.")
    weights = weights_of(contents, where=where)
    encoder = asit_encoder_of(weights, prefix=ENCODER, where=where, legacy=legacy)
    generator, lines = generator_of(contents, where=where)
    network = Inversion(encoder, generator, from_mean=_from_mean(contents))
    mean = find_generator(contents, where=where).latent_avg
    if mean is not None:
        network.latent_avg.copy_(tiled_latent_avg(mean, generator.style_count))
    return network.eval(), lines


def _from_mean(contents: Mapping[str, Any]) -> bool:
    """What the options in the file say, else whether it holds a mean code, which is saved only if it is used."""
    stated = contents.get("opts")
    if isinstance(stated, Mapping) and isinstance(stated.get("start_from_latent_avg"), bool):
        return bool(stated["start_from_latent_avg"])
    return isinstance(contents.get("latent_avg"), Tensor)


def psp_encoder_of(contents: Mapping[str, Any], *, where: str) -> PspEncoder:
    """The encoder of a pSp checkpoint, in eval mode."""
    if (kind := encoder_kind(contents, where=where)) != "psp":
        raise MienError(f"{where}: a {kind} file where a pSp one is asked for.")
    weights = weights_of(contents, where=where)
    styles = sum(bool(re.fullmatch(rf"{ENCODER}styles\.\d+\.linear\.bias", name)) for name in weights)
    encoder = PspEncoder(styles=styles).eval()
    load_named(encoder, psp_names(encoder), weights, where=where, prefix=ENCODER)
    return encoder


def classifier_of(
    contents: Mapping[str, Any], *, where: str, legacy: bool = True
) -> tuple[AsitEncoder, FeatureModulation]:
    """Encoder and head of an IFER checkpoint, in eval mode."""
    if (kind := encoder_kind(contents, where=where)) != "ifer":
        raise MienError(f"{where}: a {kind} file where an IFER one is asked for.")
    weights = weights_of(contents, where=where)
    encoder = asit_encoder_of(weights, prefix=FEATURES, where=where, legacy=legacy)
    own = {name: value for name, value in weights.items() if not name.startswith(FEATURES)}
    for name in ("head.weight", "conv.weight", "style_conv.modulation.weight"):
        if name not in own:
            raise MienError(f"{where}: not a whole IFER classifier: {name} is missing.")
    channels, width = own["conv.weight"].shape[0], own["style_conv.modulation.weight"].shape[1]
    head = FeatureModulation(classes=len(own["head.weight"]), structure_channels=channels, width=width).eval()
    load_named(head, classifier_names(head), own, where=where)
    return encoder, head
