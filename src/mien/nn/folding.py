"""Fewer layers with the same outputs, for inference: norms into convolutions, two convolutions into one."""

import copy
from collections.abc import Iterator
from itertools import pairwise
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.nn.ddamfn import CoordinateAttention
from mien.nn.face3d.mobilenet import DepthwiseSeparable, InvertedResidual, LastConvolution, MobileNetV3Minimal
from mien.nn.iresnet import IResNet, IResNetUnit
from mien.nn.mobilefacenet import ConvNorm
from mien.nn.resnet_ae import InvertedBlock, InvertedResNet, PlaneEncoder, ResidualBlock, ResNetEncoder
from mien.nn.vae_gan.residual import ResidualEncoder, VaeBlock

NetworkT = TypeVar("NetworkT", bound=nn.Module)

# (convolution, norm that reads nothing but its output) by block. A unit's first norm stays: the zero padding of the
# convolution behind it comes after the norm, so folding it forward would change the border.
PAIRS: dict[type[nn.Module], tuple[tuple[str, str], ...]] = {
    IResNet: (("stem_conv", "stem_norm"),),
    IResNetUnit: (("conv2", "norm2"), ("shortcut_conv", "shortcut_norm")),
    ConvNorm: (("conv", "norm"),),
    CoordinateAttention: (("squeeze", "norm"),),
    MobileNetV3Minimal: (("conv_stem", "bn1"),),
    DepthwiseSeparable: (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    InvertedResidual: (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
    LastConvolution: (("conv", "bn1"),),
    ResNetEncoder: (("stem_conv", "stem_norm"),),
    PlaneEncoder: (("stem_conv", "stem_norm"),),
    ResidualBlock: (("conv1", "norm1"), ("conv2", "norm2"), ("shortcut_conv", "shortcut_norm")),
    InvertedResNet: (("first_conv", "first_norm"),),
    InvertedBlock: (("conv1", "norm1"), ("conv2", "norm2"), ("shortcut_conv", "shortcut_norm")),
    ResidualEncoder: (("first_conv", "first_norm"),),
    VaeBlock: (("conv1", "norm1"), ("conv2", "norm2")),
}


@torch.no_grad()
def folded(network: NetworkT) -> NetworkT:
    """A copy in eval mode with the same outputs up to rounding, norms folded; it cannot be trained."""
    lean = copy.deepcopy(network).eval()
    fold_norms(lean)
    return lean.requires_grad_(False)


def fold_norms(network: nn.Module) -> int:
    """Folds every pair in place (the network must be in eval mode) and returns how many there were."""
    count = 0
    for module in network.modules():
        for conv, norm in _pairs(module):
            if hasattr(module, conv) and isinstance(getattr(module, norm), nn.BatchNorm2d):
                layer = getattr(module, conv)
                up = isinstance(layer, nn.ConvTranspose2d)
                setattr(module, conv, fuse_conv_bn_eval(layer, getattr(module, norm), transpose=up))
                setattr(module, norm, nn.Identity())
                count += 1
    return count


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    yield from PAIRS.get(type(module), ())
    if type(module) is nn.Sequential:
        for (name, layer), (following, _) in pairwise(list(module.named_children())):
            if isinstance(layer, nn.Conv2d):
                yield name, following


@torch.no_grad()
def merge_halvings(first: nn.Conv2d, second: nn.Conv2d, *, side: int) -> tuple[nn.Conv2d, Tensor]:
    """(convolution, bias map): one 7x7 convolution of stride 4 for two 3x3 ones of stride 2 with nothing between them.

    Exact for maps of side x side, a multiple of 4. The first one's bias meets the second one's zero padding at the
    border, so the biases become a map [1, outputs, side / 4, side / 4] to add.
    """
    merged = nn.Conv2d(first.in_channels, second.out_channels, 7, stride=4, padding=3, bias=False)
    w1, w2 = first.weight.double(), second.weight.double()
    merged.weight.copy_(F.conv_transpose2d(w2, w1, stride=2))  # tap 2u + a is the sum over tap u of tap a
    assert first.bias is not None
    between = first.bias[None, :, None, None].expand(1, -1, side // 2, side // 2)
    return merged.to(first.weight.device), F.conv2d(between, second.weight, second.bias, stride=2, padding=1)
