"""The terms that train an ASIT encoder, with their published weights; which of them need a file, and what if it lacks.

Mao et al. 2022 after Richardson et al. 2021. Terms of weight 0 are not computed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.losses.auxiliary import identity_of, lpips_of, moco_of
from mien.nn.losses.inversion import code_norm, face_crop
from mien.nn.weights import read_checkpoint
from mien.systems.frozen import FrozenNetwork


@dataclass(frozen=True)
class InversionLossOptions:
    l2: float = 1.0
    """Weight of the mean squared difference of the pictures."""
    l2_crop: float = 0.0
    """Weight of the same on the face crop."""
    lpips: float = 0.8
    """Weight of LPIPS; needs lpips_backbone and lpips_heads."""
    lpips_crop: float = 0.0
    """Weight of LPIPS on the face crop; needs the same files."""
    identity: float = 0.1
    """Weight of 1 - the cosine of the faces' embeddings; needs recogniser."""
    moco: float = 0.0
    """Weight of the same of MoCo features, for pictures without faces; needs moco_network, and identity 0."""
    code_norm: float = 0.0
    """Weight of the codes' distance from the mean code."""
    lpips_network: Literal["alex", "vgg"] = "alex"
    """Backbone of LPIPS."""
    lpips_backbone: str = ""
    """File of its ImageNet weights, as torchvision has them."""
    lpips_heads: str = ""
    """File of its linear heads, as the authors of LPIPS released them."""
    recogniser: str = ""
    """File of the IR-SE50 face recogniser (model_ir_se50.pth)."""
    moco_network: str = ""
    """File of MoCo v2's ResNet-50."""

    def __post_init__(self) -> None:
        for name in ("l2", "l2_crop", "lpips", "lpips_crop", "identity", "moco", "code_norm"):
            if getattr(self, name) < 0:
                raise MienError(f"The weight {name} must be at least 0; got {getattr(self, name):g}.")
        if self.identity and self.moco:
            raise MienError("identity is for faces and moco for everything else: set one of the two weights to 0.")


class InversionLosses(nn.Module):
    """The terms of a reconstruction. Auxiliary networks are frozen, and known by path and SHA-256 (`frozen`).

    Raises MienError, by the name of the loss, where a weight is above 0 and its file is not there.
    """

    def __init__(self, options: InversionLossOptions) -> None:
        super().__init__()
        self.options, self._networks = options, dict[str, FrozenNetwork]()
        if options.lpips or options.lpips_crop:
            backbone = _file("LPIPS", options.lpips_backbone, "lpips_backbone", weights="lpips and lpips_crop")
            heads = _file("LPIPS", options.lpips_heads, "lpips_heads", weights="lpips and lpips_crop")
            network = lpips_of(read_checkpoint(backbone), read_checkpoint(heads), which=options.lpips_network)
            self._networks["lpips"] = FrozenNetwork(network, backbone)
            self._networks["lpips_heads"] = FrozenNetwork(network.heads, heads)
        if options.identity:
            file = _file("identity", options.recogniser, "recogniser", weights="identity")
            self._networks["identity"] = FrozenNetwork(identity_of(read_checkpoint(file)), file)
        if options.moco:
            file = _file("MoCo", options.moco_network, "moco_network", weights="moco")
            self._networks["moco"] = FrozenNetwork(moco_of(read_checkpoint(file)), file)

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        """The auxiliary networks by name, for `Stage.frozen`."""
        return self._networks

    def _apply(self, function: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """The networks are no children, since they are never saved; they move to another device all the same."""
        for network in self._networks.values():
            network._apply(function, recurse)
        return super()._apply(function, recurse)

    def forward(self, image: Tensor, target: Tensor, codes: Tensor, mean: Tensor | None = None) -> dict[str, Tensor]:
        """{term: weighted value}. image, target: [batch, 3, side, side] in -1..1; codes: [batch, styles, width];
        mean: the mean code, from which `code_norm` is measured."""
        weights, terms = self.options, dict[str, Tensor]()
        crop, target_crop = face_crop(image), face_crop(target)
        if weights.l2:
            terms["l2"] = weights.l2 * F.mse_loss(image, target)
        if weights.l2_crop:
            terms["l2_crop"] = weights.l2_crop * F.mse_loss(crop, target_crop)
        if weights.lpips:
            terms["lpips"] = weights.lpips * self._networks["lpips"](image, target).mean()
        if weights.lpips_crop:
            terms["lpips_crop"] = weights.lpips_crop * self._networks["lpips"](crop, target_crop).mean()
        for name in ("identity", "moco"):
            if getattr(weights, name):
                terms[name] = getattr(weights, name) * self._networks[name](image, target)
        if weights.code_norm:
            terms["code_norm"] = weights.code_norm * code_norm(codes, mean)
        return terms


def _file(loss: str, path: str, option: str, *, weights: str) -> Path:
    """The file, which must be there."""
    if path and (file := Path(path).expanduser()).is_file():
        return file
    found = f"there is no file {path}" if path else f"{option} names none"
    raise MienError(
        f"The {loss} loss needs a file and {found}. Name it with {option}, or do without: set {weights} to 0."
    )
