"""Metrics of pairs of pictures, computed pair by pair, so that a set may be larger than memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from mien.cli.progress import tracked
from mien.core.errors import MienError, nearest
from mien.engine.evaluation.images.networks import Metric, NetworkFiles, NetworkMetrics
from mien.engine.evaluation.images.pairs import Pair
from mien.engine.evaluation.options import Bootstrap
from mien.engine.evaluation.scores import Score, mean_scores
from mien.media.image import load_image
from mien.metrics import image_quality
from mien.metrics.reconstruction import psnr

WITH_NETWORKS = ("lpips", "id", "fid")
KNOWN = ("l2", "psnr", "ssim", "ms_ssim", *WITH_NETWORKS)
LOSSY = (".jpg", ".jpeg")


@dataclass(frozen=True, eq=False)
class Measured:
    """A folder of rebuilt pictures."""

    folder: str
    """As named on the command line."""
    stems: list[str]
    """Of the pairs, sorted."""
    columns: dict[str, np.ndarray]
    """By metric, one value a pair; NaN where it is undefined."""
    scores: list[Score]
    """Their means, then what is measured of the whole set."""
    notes: list[str]
    """What a reader of the numbers must know."""
    networks: dict[str, dict[str, str]] = field(default_factory=dict)
    """{metric: {network, file, sha256}}"""


def measured(
    folder: str, pairs: Sequence[Pair], names: Sequence[str], *, resize: int, legacy: bool, looking: NetworkMetrics,
    bootstrap: Bootstrap,
) -> Measured:  # fmt: skip
    """Raises MienError for pictures of two sizes that are not resized. names: as `networks_of` has checked them."""
    first = _pixels(pairs[0].truth, resize)
    looking.restart()
    metrics = metrics_of(names, side=min(first.shape[:2]), legacy=legacy, looking=looking)
    rows = []
    for pair in tracked(pairs, "measuring pictures", len(pairs)):
        given = _pair_of(pair, resize)
        rows.append([float(metric(*given)[0]) for metric in metrics.values()])
        for whole in looking.sets.values():
            whole.add(*given)
    columns = dict(zip(metrics, np.array(rows).T, strict=True)) if metrics else {}
    scores = [*_means(columns, bootstrap), *(whole.score() for whole in looking.sets.values())]
    notes = [f"resized to {resize} pixels before measuring"] if resize else []
    if lossy := sum(pair.rebuilt.suffix.lower() in LOSSY for pair in pairs):
        notes.append(f"{lossy} of {len(pairs)} rebuilt pictures are JPEG, whose own errors are measured too: use PNG")
    stems = [pair.stem for pair in pairs]
    notes += [note for faces in looking.faces for note in faces.notes(stems)]
    notes += [f"{score.metric}: {score.note}" for score in scores if score.note]
    return Measured(folder, stems, columns, scores, notes, looking.networks)


def networks_of(names: Sequence[str], *, legacy: bool, files: NetworkFiles) -> NetworkMetrics:
    """What of these metrics looks through networks, loaded once for all folders.

    Raises MienError for an unknown metric, for none at all, and for a missing file.
    """
    for name in names:
        if name not in KNOWN:
            raise MienError(f"No metric {name!r}.{nearest(name, KNOWN)} There are {', '.join(KNOWN)}.")
    if not names and not legacy:
        raise MienError(f"--metrics names none; there are {', '.join(KNOWN)}.")
    looking = NetworkMetrics(legacy=legacy)
    for name in names:
        if name in WITH_NETWORKS:
            looking.add(name, files)
    return looking


def metrics_of(names: Sequence[str], *, side: int, legacy: bool, looking: NetworkMetrics) -> dict[str, Metric]:
    """Of pairs, by the name that carries the protocol. side: the shorter one of the pictures."""
    found: dict[str, Metric] = {}
    for name in names:
        found |= _plain(name, side) if name not in WITH_NETWORKS else {}
    found |= looking.pairs
    if legacy:
        found |= {"psnr@published": image_quality.published_psnr, "ssim@published": image_quality.published_ssim}
    return found


def _plain(name: str, side: int) -> dict[str, Metric]:
    if name == "ms_ssim":
        scales = max(1, image_quality.scales_that_fit(side))
        return {f"ms_ssim@{scales}": lambda a, b: image_quality.ms_ssim(a, b, scales=scales)}
    return {{"ssim": "ssim@11"}.get(name, name): {"l2": image_quality.l2, "psnr": psnr,
            "ssim": image_quality.gaussian_ssim}[name]}  # fmt: skip


def _means(columns: dict[str, np.ndarray], bootstrap: Bootstrap) -> list[Score]:
    """Of each column over the pairs that it has a value of; columns without gaps share their resamples."""
    whole = {name: values for name, values in columns.items() if not np.isnan(values).any()}
    found = {score.metric: score for score in mean_scores(whole, bootstrap)}
    for name, values in columns.items():
        if name in found:
            continue
        kept = values[~np.isnan(values)]
        missing = f"{len(values) - len(kept)} of {len(values)} pairs have no value and are left out"
        if len(kept):
            found[name] = replace(mean_scores({name: kept}, bootstrap)[0], note=missing)
        else:
            found[name] = Score(name, None, note="no pair has a value")
    return [found[name] for name in columns]


def _pair_of(pair: Pair, resize: int) -> tuple[np.ndarray, np.ndarray]:
    """(rebuilt, truth), float64 [1, 3, height, width] in 0..1."""
    rebuilt, truth = _pixels(pair.rebuilt, resize), _pixels(pair.truth, resize)
    if rebuilt.shape != truth.shape:
        raise MienError(
            f"{pair.rebuilt} has {rebuilt.shape[1]} x {rebuilt.shape[0]} pixels, {pair.truth} {truth.shape[1]} x "
            f"{truth.shape[0]}. --resize N brings all to N x N."
        )
    first, second = (pixels.transpose(2, 0, 1)[None].astype(np.float64) / 255 for pixels in (rebuilt, truth))
    return first, second


def _pixels(path: Path, resize: int) -> np.ndarray:
    """uint8 RGB; reduced by areas, enlarged by cubic interpolation."""
    pixels = load_image(path).pixels
    if not resize or pixels.shape[:2] == (resize, resize):
        return pixels
    smaller = min(pixels.shape[:2]) > resize
    return cv2.resize(pixels, (resize, resize), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
