"""Losses of landmarks: of coordinates (wing) and of heat maps (adaptive wing, squared error). Element by element."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F


def wing(error: Tensor, *, width: float = 10.0, curvature: float = 2.0) -> Tensor:
    """width * ln(1 + |e| / curvature) for |e| < width, linear and continuous beyond.

    Feng et al., Wing loss, CVPR 2018, equation 5; in their unit, hundredths of the face crop's side suit well.
    """
    size = error.abs()
    offset = width - width * math.log(1 + width / curvature)
    return torch.where(size < width, width * torch.log1p(size / curvature), size - offset)


def adaptive_wing(
    predicted: Tensor, target: Tensor, *, omega: float = 14.0, theta: float = 0.5, epsilon: float = 1.0,
    alpha: float = 2.1, legacy: bool = False,
) -> Tensor:  # fmt: skip
    """omega * ln(1 + |d / epsilon| ^ (alpha - target)) for |d| < theta, linear beyond; target in 0..1.

    Wang et al., Adaptive Wing Loss, ICCV 2019, equation 2. legacy: ParFace-Net's code divides by omega instead of
    epsilon in the logarithm alone, so the loss jumps at theta (0.013 to 2.9 on background) and small errors count
    hardly at all.
    """
    size, power = (target - predicted).abs(), alpha - target
    at_theta = torch.exp(power * math.log(theta / epsilon))  # powers by exp and log: torch.pow takes twice as long
    slope = omega * power * at_theta / (theta * (1 + at_theta))
    offset = theta * slope - omega * torch.log1p(at_theta)
    inside = size.clamp(min=1e-12, max=theta)  # the branch not taken must not overflow in the gradient
    near = omega * torch.log1p(torch.exp(power * (inside / (omega if legacy else epsilon)).log()))
    return torch.where(size < theta, near, slope * size - offset)


def weight_map(target: Tensor, *, weight: float = 10.0, threshold: float = 0.2) -> Tensor:
    """1 + weight where the map, dilated by a pixel, is at least `threshold`; 1 elsewhere.

    Wang et al., section 4.3: so that the few pixels around a point weigh against the background.
    """
    return 1 + weight * (F.max_pool2d(target, 3, stride=1, padding=1) >= threshold).to(target.dtype)


def squared(predicted: Tensor, target: Tensor) -> Tensor:
    return (predicted - target) ** 2
