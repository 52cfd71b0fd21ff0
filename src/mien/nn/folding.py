"""Folding BatchNorm into the convolution before it, for inference."""

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from mien.nn.iresnet import IResNet, IResNetUnit
from mien.nn.mobilefacenet import ConvNorm

# (convolution, norm that reads nothing but its output) by block. A unit's first norm stays: the zero padding of the
# convolution behind it comes after the norm, so folding it forward would change the border.
PAIRS: dict[type[nn.Module], tuple[tuple[str, str], ...]] = {
    IResNet: (("stem_conv", "stem_norm"),),
    IResNetUnit: (("conv2", "norm2"), ("shortcut_conv", "shortcut_norm")),
    ConvNorm: (("conv", "norm"),),
}


def fold_norms(network: nn.Module) -> int:
    """Folds every pair in place (the network must be in eval mode) and returns how many there were."""
    count = 0
    for module in network.modules():
        for conv, norm in PAIRS.get(type(module), ()):
            if hasattr(module, conv) and isinstance(getattr(module, norm), nn.BatchNorm2d):
                setattr(module, conv, fuse_conv_bn_eval(getattr(module, conv), getattr(module, norm)))
                setattr(module, norm, nn.Identity())
                count += 1
    return count
