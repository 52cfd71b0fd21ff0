"""Rebuilding a classifier from a "best" file of the released trainer, which holds an optimiser's state and no model."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mien.core.errors import MienError
from mien.core.geometry import crop_of_picture
from mien.core.spec import PictureInput
from mien.media.crop import normalise, prepare
from mien.media.image import load_image
from mien.media.listing import picture_files
from mien.nn.weights import LoadReport, compare, is_optimizer_state
from mien.systems.poster_v2.network import PosterV2
from mien.systems.poster_v2.official_names import LAYOUTS, parameter_names


@torch.no_grad()
def rescue_best(optimizer_state: Mapping[str, Any], network: PosterV2, images: Iterable[Tensor]) -> LoadReport:
    """Rebuilds the model of a released "best" file, which holds only its optimiser's state, inside `network`.

    SAM kept a copy of every trained weight (`old_p`), numbered in the order of the released parameters. The frozen
    landmark network is not among them: load it into `network` first (`load_landmark_net`). BatchNorm statistics are
    not in the file either: they are averaged anew over `images`, batches [n, 3, h, w] of training pictures, normalised
    as in training. Raises MienError where the file is of another kind or does not fit.
    """
    kept = _kept_weights(optimizer_state, parameter_names(len(network.vit.head.bias)))
    ours = {our: value for name, value in kept.items() if (our := LAYOUTS[0].rename(name)[1]) is not None}
    trained = {name: p for name, p in network.named_parameters() if not name.startswith("landmark_net.")}
    report = compare(trained, ours)
    report.require("rescue_best")
    first = next(images := iter(images), None)
    if first is None:
        raise MienError("rescue_best: BatchNorm statistics need at least one batch of training pictures; got none.")
    network.load_state_dict(ours, strict=False)
    estimate_norms(network, chain([first], images))
    return report


def _kept_weights(optimizer_state: Mapping[str, Any], names: Sequence[str]) -> dict[str, Tensor]:
    """{released name: the copy that SAM kept of it}."""
    if not is_optimizer_state(optimizer_state):
        raise MienError("rescue_best takes the optimiser state of a released 'best' file (state, param_groups).")
    try:
        count = sum(len(group["params"]) for group in optimizer_state["param_groups"])
        entries = {int(i): entry["old_p"] for i, entry in optimizer_state["state"].items() if "old_p" in entry}
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise MienError("rescue_best: this is not the state of a PyTorch optimiser (state, param_groups).") from error
    if count != len(names):
        raise MienError(f"rescue_best: the file numbers {count} parameters, the released network has {len(names)}.")
    wrong = [i for i, value in entries.items() if not (0 <= i < count and isinstance(value, Tensor))]
    if wrong:
        raise MienError(f"rescue_best: the file has no weight under parameter {wrong[0]} of {count}.")
    return {names[i]: value for i, value in entries.items()}


@torch.no_grad()
def estimate_norms(network: nn.Module, images: Iterable[Tensor]) -> None:
    """Sets every BatchNorm that the network trains to the plain mean of the batches' statistics; ends in eval mode."""
    network.train()
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative mean
    for batch in images:
        network(batch)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def picture_batches(folder: str, spec: PictureInput, *, size: int = 32, limit: int = 2048) -> Iterator[Tensor]:
    """The pictures of a folder as batches [size, 3, h, w], prepared as `spec` says; at most `limit`, evenly spread."""
    paths = picture_files([folder])
    paths = paths[:: -(-len(paths) // limit)]
    for start in range(0, len(paths), size):
        loaded = [load_image(path).pixels for path in paths[start : start + size]]
        crops = [prepare(p, crop_of_picture(p.shape[1], p.shape[0], spec), spec) for p in loaded]
        yield torch.from_numpy(normalise(np.stack(crops), spec))
