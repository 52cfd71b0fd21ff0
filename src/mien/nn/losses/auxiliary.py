"""Networks that losses look through, out of the contents of released files. Nothing is downloaded."""

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor

from mien.core.errors import MienError
from mien.nn.inversion.names import load_named, recogniser_names
from mien.nn.inversion.resnet50 import ResNet50
from mien.nn.iresnet import FaceRecogniser, ir_101
from mien.nn.losses.inversion import IdentityLoss, MocoLoss
from mien.nn.losses.lpips import Backbone, Lpips
from mien.nn.weights import load_weights, weights_of

MOCO_PREFIX = "encoder_q."
RECOGNISERS = {"ir_se50": "ArcFace IR-SE50", "ir_101": "CurricularFace IR-101"}


def lpips_of(backbone: Mapping[str, Any], heads: Mapping[str, Any], *, which: Backbone = "alex") -> Lpips:
    """LPIPS of torchvision's AlexNet or VGG-16 file and of the released linear heads."""
    found = {name: value for name, value in weights_of(backbone).items() if name.startswith("features.")}
    return Lpips({**found, **weights_of(heads)}, backbone=which)


def recogniser_of(contents: Mapping[str, Any], which: Literal["ir_se50", "ir_101"]) -> FaceRecogniser:
    """ArcFace's IR-SE50 (`model_ir_se50.pth`) or CurricularFace's IR-101 (`CurricularFace_Backbone.pth`).

    Raises MienError for the file of another network.
    """
    recogniser = FaceRecogniser() if which == "ir_se50" else ir_101()
    load_named(recogniser, recogniser_names(recogniser), weights_of(contents), where=RECOGNISERS[which])
    return recogniser.eval().requires_grad_(False)


def identity_of(contents: Mapping[str, Any]) -> IdentityLoss:
    """The identity loss of a released IR-SE50 file."""
    return IdentityLoss(recogniser_of(contents, "ir_se50"))


def moco_of(contents: Mapping[str, Any]) -> MocoLoss:
    """The MoCo loss of a released MoCo v2 file; its last layer is left out. Plain ResNet-50 names are read too."""
    return MocoLoss(_resnet_of(weights_of(contents)))


def _resnet_of(weights: Mapping[str, Tensor]) -> ResNet50:
    query = {name.removeprefix(MOCO_PREFIX): v for name, v in weights.items() if name.startswith(MOCO_PREFIX)}
    own = {name: value for name, value in (query or weights).items() if not name.startswith("fc.")}
    if "layer4.2.conv3.weight" not in own:
        raise MienError("Not MoCo's ResNet-50: layer4.2.conv3.weight is missing.")
    network = ResNet50()
    load_weights(network, own, where="MoCo's ResNet-50")
    return network
