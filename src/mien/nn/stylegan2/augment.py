"""Adaptive discriminator augmentation: what the discriminator sees is altered, more often as it overfits.

Karras et al., Training Generative Adversarial Networks with Limited Data, NeurIPS 2020. Included of their pipeline: all
of pixel blitting (mirror, whole-pixel shift), of general geometry the scale and the rotation, of colour the brightness,
contrast and saturation. Left out: anisotropic scale, quarter turns (faces have an upper side), hue and luma flips,
image-space filters and corruptions, which hardly helped in their study, and the wavelet low-pass around geometry:
bilinear sampling with reflected borders takes its place.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

SHIFT = 0.125  # largest whole-pixel shift, as a share of a side
SCALE, ROTATION_DEG = 0.2, 10.0  # standard deviation of log2 of the scale; largest turn (published: 180)
BRIGHTNESS, CONTRAST, SATURATION = 0.2, 0.5, 1.0  # standard deviations: of a shift, of log2, of log2


class AdaptiveAugment(nn.Module):
    """Alters each picture with the probability `p`, each kind of change on its own; differentiable.

    target: mean sign of the discriminator's logits of real pictures that `p` is moved to keep; pictures: how many it
    takes p to go from 0 to 1. p and the running sign are buffers, so that nothing waits for the device.
    """

    p: Tensor
    sign: Tensor

    def __init__(self, *, start: float = 0.0, target: float = 0.6, pictures: float = 500_000.0) -> None:
        super().__init__()
        self.target, self.pictures = target, pictures
        self.register_buffer("p", torch.tensor(start))
        self.register_buffer("sign", torch.tensor(target))

    @torch.no_grad()
    def observe(self, real_logits: Float[Tensor, "batch 1"], *, decay: float = 0.95) -> None:
        """Moves p by one batch: up where the logits of real pictures are positive more often than `target` says."""
        self.sign.lerp_(real_logits.float().sign().mean(), 1 - decay)
        step = len(real_logits) / self.pictures
        self.p.add_(step * (self.sign - self.target).sign()).clamp_(0, 1)

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> Float[Tensor, "batch 3 h w"]:
        return self._coloured(self._moved(image))

    def _chance(self, image: Tensor) -> Tensor:
        """[batch]: whether a change happens."""
        return torch.rand(image.shape[0], device=image.device) < self.p

    def _normal(self, image: Tensor, deviation: float) -> Tensor:
        """[batch]: 0 where nothing happens."""
        return torch.where(self._chance(image), deviation * torch.randn(image.shape[0], device=image.device), 0.0)

    def _uniform(self, image: Tensor, limit: float) -> Tensor:
        drawn = (2 * torch.rand(image.shape[0], device=image.device) - 1) * limit
        return torch.where(self._chance(image), drawn, 0.0)

    def _moved(self, image: Tensor) -> Tensor:
        """Mirror, shift, scale and rotation in one sampling; a picture that none of them meets stays as it is."""
        height, width = image.shape[2:]
        mirrored = torch.where(self._chance(image) & (torch.rand(len(image), device=image.device) < 0.5), -1.0, 1.0)
        shifts = [
            (self._uniform(image, SHIFT) * side).round() * 2 / side for side in (width, height)
        ]  # in units of half a side, as affine_grid counts
        size = torch.exp2(-self._normal(image, SCALE))
        angle = torch.deg2rad(self._uniform(image, ROTATION_DEG))
        cos, sin = size * angle.cos(), size * angle.sin()
        rows = torch.stack([mirrored * cos, -sin, shifts[0], mirrored * sin, cos, shifts[1]], dim=1)
        grid = F.affine_grid(rows.view(-1, 2, 3).to(image.dtype), list(image.shape), align_corners=False)
        return F.grid_sample(image, grid, padding_mode="reflection", align_corners=False)

    def _coloured(self, image: Tensor) -> Tensor:
        """Brightness, contrast about 0 and saturation about the grey axis."""

        def wide(values: Tensor) -> Tensor:
            return values[:, None, None, None].to(image.dtype)

        image = image * wide(torch.exp2(self._normal(image, CONTRAST))) + wide(self._normal(image, BRIGHTNESS))
        grey = image.mean(1, keepdim=True)
        return grey + (image - grey) * wide(torch.exp2(self._normal(image, SATURATION)))
