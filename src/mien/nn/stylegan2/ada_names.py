"""StyleGAN2-ADA's names, in the widespread PyTorch layout of names.py: equal networks, other names and shapes."""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from mien.core.errors import MienError
from mien.nn.stylegan2.ops import fir_kernel

_LAYER = (
    ("weight", "conv.weight"), ("bias", "activate.bias"), ("affine.weight", "conv.modulation.weight"),
    ("affine.bias", "conv.modulation.bias"), ("noise_strength", "noise.weight"),
)  # fmt: skip
_COLOURS = (
    ("weight", "conv.weight"), ("bias", "bias"), ("affine.weight", "conv.modulation.weight"),
    ("affine.bias", "conv.modulation.bias"),
)  # fmt: skip


def from_ada(weights: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], Tensor]:
    """(weights by the PyTorch layout's names, the mean code) of a `G_ema` or `G` as `read_module_pickle` gives it.

    Raises MienError for a network that ours cannot be: class-conditional, not of colours, without skip connections, or
    with another filter.
    """
    _check(weights)
    found = {"input.input": weights["synthesis.b4.const"][None]}
    for name, value in weights.items():
        if layer := re.fullmatch(r"mapping\.fc(\d+)\.(weight|bias)", name):
            found[f"style.{int(layer[1]) + 1}.{layer[2]}"] = value
    sides = sorted(int(m[1]) for name in weights if (m := re.fullmatch(r"synthesis\.b(\d+)\.conv1\.weight", name)))
    _layer(found, weights, "b4.conv1", "conv1", 0)
    _colours(found, weights, "b4.torgb", "to_rgb1")
    for i, side in enumerate(sides[1:]):
        for j in range(2):
            _layer(found, weights, f"b{side}.conv{j}", f"convs.{2 * i + j}", 2 * i + j + 1)
        _colours(found, weights, f"b{side}.torgb", f"to_rgbs.{i}")
    return found, weights["mapping.w_avg"]


def _layer(found: dict[str, Tensor], weights: Mapping[str, Tensor], theirs: str, ours: str, place: int) -> None:
    for ada, layout in _LAYER:
        found[f"{ours}.{layout}"] = _of(weights, f"synthesis.{theirs}.{ada}").reshape(
            (1,) if ada == "noise_strength" else weights[f"synthesis.{theirs}.{ada}"].shape
        )
    found[f"noises.noise_{place}"] = _of(weights, f"synthesis.{theirs}.noise_const")[None, None]


def _colours(found: dict[str, Tensor], weights: Mapping[str, Tensor], theirs: str, ours: str) -> None:
    for ada, layout in _COLOURS:
        found[f"{ours}.{layout}"] = _of(weights, f"synthesis.{theirs}.{ada}")


def _of(weights: Mapping[str, Tensor], name: str) -> Tensor:
    if name not in weights:
        raise MienError(f"Not a StyleGAN2-ADA generator with skip connections: {name} is missing.")
    return weights[name]


def _check(weights: Mapping[str, Tensor]) -> None:
    for name in ("mapping.fc0.weight", "mapping.w_avg", "synthesis.b4.const", "synthesis.b4.torgb.weight"):
        _of(weights, name)
    if "mapping.embed.weight" in weights:
        raise MienError("This StyleGAN2-ADA network is class-conditional (mapping.embed); ours takes no classes.")
    if (colours := len(weights["synthesis.b4.torgb.weight"])) != 3:
        raise MienError(f"This StyleGAN2-ADA network makes {colours} channels; ours makes 3, red, green and blue.")
    for name, value in weights.items():
        if name.endswith("resample_filter") and not _is_filter(value):
            raise MienError(f"This StyleGAN2-ADA network has another filter than [1, 3, 3, 1]: {name}.")


def _is_filter(value: Tensor) -> bool:
    return value.shape == (4, 4) and bool(torch.allclose(value.float(), fir_kernel(), atol=1e-6))
