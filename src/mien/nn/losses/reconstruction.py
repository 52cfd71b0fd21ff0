"""How much two pictures differ: by pixels, by structure, and as VGG-19 sees them. Batches [batch, 3, height, width]."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien.core.errors import MienError
from mien.nn.weights import read_checkpoint

WINDOW, WINDOW_SIGMA = 31, 1.5  # of the structure term, pixels
VGG19 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0)  # 0: pooling
VGG19_FILE = "vgg19-dcbb9e9d.pth"  # as torchvision calls it in its cache
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def absolute(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference times 255: in grey levels, where pictures span 1."""
    return 255 * (predicted - target).abs().mean()


def squared(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference, not scaled: published so, and three orders of magnitude below `absolute`."""
    return F.mse_loss(predicted, target)


def structure(predicted: Tensor, target: Tensor, *, data_range: float = 1.0, legacy: bool = False) -> Tensor:
    """[batch]: 1 - the mean contrast-structure term of SSIM (2 cov + c) / (var + var + c), c = (0.03 data_range)^2.

    Wang et al. 2004, without the luminance term; a Gaussian window, no padding. legacy: the range of each
    picture is guessed, as published: 2 where a pixel of `target` is below -0.5, otherwise 1 (255 above 128).
    """
    constant = (0.03 * (_guessed_range(target) if legacy else data_range)) ** 2
    return 1 - _contrast_structure(predicted, target, constant).mean((1, 2, 3))


def _contrast_structure(a: Tensor, b: Tensor, constant: float | Tensor) -> Tensor:
    mean_a, mean_b = _smoothed(a), _smoothed(b)
    variance_a, variance_b = _smoothed(a * a) - mean_a**2, _smoothed(b * b) - mean_b**2
    covariance = _smoothed(a * b) - mean_a * mean_b
    return (2 * covariance + constant) / (variance_a + variance_b + constant)


def structure_window(like: Tensor) -> Tensor:
    """[31]: the Gaussian, with sum 1."""
    grid = torch.arange(WINDOW, dtype=like.dtype, device=like.device) - WINDOW // 2
    window = torch.exp(-(grid**2) / (2 * WINDOW_SIGMA**2))
    return window / window.sum()


def _smoothed(picture: Tensor) -> Tensor:
    """The windowed mean at every place where the window fits, along one axis after the other."""
    flat, window = picture.flatten(0, 1).unsqueeze(1), structure_window(picture)
    flat = F.conv2d(F.conv2d(flat, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))
    return flat.squeeze(1).unflatten(0, picture.shape[:2])


def _guessed_range(picture: Tensor) -> Tensor:
    """[batch, 1, 1, 1]"""
    low, high = (getattr(picture.detach(), which)((1, 2, 3), keepdim=True) for which in ("amin", "amax"))
    return torch.where(high > 128, 255.0, 1.0) - torch.where(low < -0.5, -1.0, 0.0)


class Perceptual(nn.Module):
    """Sum over layers of VGG-19's `features` of the mean squared difference of their outputs (Johnson et al. 2016).

    layers: indices in torchvision's list; 3, 8, 15 and 22 are relu1_2, relu2_2, relu3_3 and relu4_2. Nothing beyond
    the last of them is built. mean, std: how the pictures were normalised, which is undone before ImageNet's own.
    legacy: it is not undone, so the pictures are normalised twice. side: the pictures are resized to it.

    weights: by torchvision's names (`features.0.weight`); see `vgg19_weights`.
    """

    def __init__(
        self, weights: Mapping[str, Tensor], *, layers: Sequence[int] = (8,), mean: Sequence[float] = (0.0, 0.0, 0.0),
        std: Sequence[float] = (1.0, 1.0, 1.0), side: int = 224, legacy: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        built = _vgg19_layers()
        if not layers or not all(0 <= layer < len(built) for layer in layers):
            raise MienError(f"The perceptual loss takes layers 0 to {len(built) - 1} of VGG-19; got {list(layers)}.")
        self.layers, self.side = tuple(sorted(layers)), side
        self.features = nn.Sequential(*built[: self.layers[-1] + 1])
        given = {name: value for name, value in weights.items() if name in self.state_dict()}
        if lacking := sorted(self.state_dict().keys() - given.keys()):
            raise MienError(f"Not the weights of torchvision's VGG-19: {lacking[0]} is missing.")
        self.load_state_dict(given)
        offset = torch.zeros(3) if legacy else torch.tensor(mean)
        scale = torch.ones(3) if legacy else torch.tensor(std)
        self.register_buffer("scale", (torch.tensor(IMAGENET_STD) / scale).view(3, 1, 1), persistent=False)
        self.register_buffer("centre", ((torch.tensor(IMAGENET_MEAN) - offset) / scale).view(3, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    scale: Tensor
    centre: Tensor

    def forward(self, predicted: Tensor, target: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self._features_of(target)
        return torch.stack([F.mse_loss(a, b) for a, b in zip(self._features_of(predicted), wanted, strict=True)]).sum()

    def _features_of(self, picture: Tensor) -> list[Tensor]:
        x = (picture - self.centre) / self.scale
        x = F.interpolate(x, size=(self.side, self.side), mode="bilinear", align_corners=False)
        found = []
        for i, layer in enumerate(self.features):
            x = layer(x)
            if i in self.layers:
                found.append(x)
        return found


def _vgg19_layers() -> list[nn.Module]:
    layers: list[nn.Module] = []
    channels = 3
    for width in VGG19:
        layers += [nn.MaxPool2d(2)] if not width else [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
        channels = width or channels
    return layers


def vgg19_file(path: str | Path = "") -> Path:
    """The file of VGG-19's ImageNet weights: that one, or torchvision's cache. Nothing is ever downloaded here.

    Raises MienError, which says how to get it, where there is no such file.
    """
    file = Path(path).expanduser() if path else Path(torch.hub.get_dir()) / "checkpoints" / VGG19_FILE
    if not file.is_file():
        raise MienError(
            f"The perceptual loss needs VGG-19's ImageNet weights, and there is no file {file}. Get it once with "
            "python -c \"import torchvision; torchvision.models.vgg19(weights='DEFAULT')\", name your own with "
            "--stage.options.vgg FILE, or do without: --stage.options.perceptual 0."
        )
    return file


def vgg19_weights(path: str | Path = "") -> dict[str, Tensor]:
    """VGG-19's ImageNet weights of `vgg19_file(path)`."""
    return dict(read_checkpoint(vgg19_file(path)))


def ssim(predicted: Tensor, target: Tensor) -> Tensor:
    """[batch]: SSIM (Wang et al. 2004) of pictures in 0..1 with a uniform 7x7 window, as scikit-image's default."""
    count = 49
    mean_a, mean_b = (F.avg_pool2d(p, 7, stride=1) for p in (predicted, target))
    unbiased = count / (count - 1)
    variance_a, variance_b, covariance = (
        unbiased * (F.avg_pool2d(a * b, 7, stride=1) - ma * mb)
        for a, b, ma, mb in (
            (predicted, predicted, mean_a, mean_a),
            (target, target, mean_b, mean_b),
            (predicted, target, mean_a, mean_b),
        )
    )
    luminance = (2 * mean_a * mean_b + 1e-4) / (mean_a**2 + mean_b**2 + 1e-4)
    return (luminance * (2 * covariance + 9e-4) / (variance_a + variance_b + 9e-4)).mean((1, 2, 3))
