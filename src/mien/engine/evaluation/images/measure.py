"""Metrics of pairs of pictures, computed pair by pair, so that a set may be larger than memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.errors import MienError, nearest
from mien.engine.evaluation.images.pairs import Pair
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score, mean_scores
from mien.media.image import load_image
from mien.metrics import image_quality
from mien.metrics.reconstruction import psnr

Metric = Callable[[np.ndarray, np.ndarray], np.ndarray]
KNOWN = ("l2", "psnr", "ssim", "ms_ssim", "lpips", "id")
LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True)
class NetworkFiles:
    """Files of the networks that lpips and id look through."""

    lpips_network: str = "alex"
    """Backbone of LPIPS."""
    lpips_backbone: str = ""
    """Its ImageNet weights."""
    lpips_heads: str = ""
    """Its linear heads."""
    recogniser: str = ""
    """IR-SE50."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A folder of rebuilt pictures."""

    folder: str
    """As named on the command line."""
    stems: list[str]
    """Of the pairs, sorted."""
    columns: dict[str, np.ndarray]
    """By metric, one value a pair."""
    scores: list[Score]
    """Their means."""
    notes: list[str]
    """What a reader of the numbers must know."""


def measured(
    folder: str, pairs: Sequence[Pair], names: Sequence[str], *, resize: int, legacy: bool, files: NetworkFiles,
    bootstrap: Bootstrap,
) -> Measured:  # fmt: skip
    """Raises MienError for an unknown metric, a missing file, and pictures of two sizes that are not resized."""
    first = _pixels(pairs[0].truth, resize)
    metrics = metrics_of(names, side=min(first.shape[:2]), legacy=legacy, files=files)
    rows = []
    for pair in pairs:
        rebuilt, truth = _pixels(pair.rebuilt, resize), _pixels(pair.truth, resize)
        if rebuilt.shape != truth.shape:
            raise MienError(
                f"{pair.rebuilt} has {rebuilt.shape[1]} x {rebuilt.shape[0]} pixels, {pair.truth} {truth.shape[1]} x "
                f"{truth.shape[0]}. --resize N brings all to N x N."
            )
        given = [pixels.transpose(2, 0, 1)[None].astype(np.float64) / 255 for pixels in (rebuilt, truth)]
        rows.append([float(metric(*given)[0]) for metric in metrics.values()])
    columns = dict(zip(metrics, np.array(rows).T, strict=True))
    notes = [f"resized to {resize} pixels before measuring"] if resize else []
    if lossy := sum(pair.rebuilt.suffix.lower() in LOSSY for pair in pairs):
        notes.append(f"{lossy} of {len(pairs)} rebuilt pictures are JPEG, whose own errors are measured too: use PNG")
    return Measured(folder, [pair.stem for pair in pairs], columns, mean_scores(columns, bootstrap), notes)


def metrics_of(names: Sequence[str], *, side: int, legacy: bool, files: NetworkFiles) -> dict[str, Metric]:
    """By the name that carries the protocol. side: the shorter one of the pictures."""
    found: dict[str, Metric] = {}
    for name in names:
        if name not in KNOWN:
            raise MienError(f"No metric {name!r}.{nearest(name, KNOWN)} There are {', '.join(KNOWN)}.")
        found |= _metric(name, side, files)
    if legacy:
        found |= {"psnr@published": image_quality.published_psnr, "ssim@published": image_quality.published_ssim}
    if not found:
        raise MienError(f"--metrics names none; there are {', '.join(KNOWN)}.")
    return found


def _metric(name: str, side: int, files: NetworkFiles) -> dict[str, Metric]:
    if name == "ms_ssim":
        scales = max(1, image_quality.scales_that_fit(side))
        return {f"ms_ssim@{scales}": lambda a, b: image_quality.ms_ssim(a, b, scales=scales)}
    if name == "lpips":
        return {f"lpips@{files.lpips_network}": _lpips(files)}
    if name == "id":
        return {"id@ir_se50": _identity(files)}
    return {{"ssim": "ssim@11"}.get(name, name): {"l2": image_quality.l2, "psnr": psnr,
            "ssim": image_quality.gaussian_ssim}[name]}  # fmt: skip


def _lpips(files: NetworkFiles) -> Metric:
    backbone = _file("lpips", files.lpips_backbone, "--lpips-backbone")
    heads = _file("lpips", files.lpips_heads, "--lpips-heads")
    from mien.nn.losses.auxiliary import lpips_of
    from mien.nn.weights import read_checkpoint

    which: Any = files.lpips_network
    network = lpips_of(read_checkpoint(backbone), read_checkpoint(heads), which=which).eval()
    return _of_tensors(network)


def _identity(files: NetworkFiles) -> Metric:
    recogniser = _file("id", files.recogniser, "--recogniser")
    from mien.nn.losses.auxiliary import identity_of
    from mien.nn.weights import read_checkpoint

    network = identity_of(read_checkpoint(recogniser))
    return _of_tensors(lambda a, b: (network.embed(a) * network.embed(b)).sum(1))


def _of_tensors(network: Callable[[Any, Any], Any]) -> Metric:
    """The network of pictures in -1..1 as a metric of pictures in 0..1."""
    import torch

    def metric(predicted: np.ndarray, truth: np.ndarray) -> np.ndarray:
        given = [torch.from_numpy(2 * pictures - 1).float() for pictures in (predicted, truth)]
        with torch.inference_mode():
            return np.asarray(network(*given).double().reshape(-1).numpy())

    return metric


def _file(metric: str, path: str, option: str) -> Path:
    if path and (file := Path(path).expanduser()).is_file():
        return file
    found = f"there is no file {path}" if path else "none is named"
    raise MienError(f"The metric {metric} needs a file and {found}: {option} FILE. Or leave {metric} out of --metrics.")


def _pixels(path: Path, resize: int) -> np.ndarray:
    """uint8 RGB; reduced by areas, enlarged by cubic interpolation."""
    pixels = load_image(path).pixels
    if not resize or pixels.shape[:2] == (resize, resize):
        return pixels
    smaller = min(pixels.shape[:2]) > resize
    return cv2.resize(pixels, (resize, resize), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
