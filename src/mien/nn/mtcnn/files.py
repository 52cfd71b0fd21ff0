"""MTCNN's released files: pSp's pnet.npy, rnet.npy and onet.npy, and facenet-pytorch's .pt files of the same names.

Both hold the authors' networks. They differ in names, and in the order in which a map [channels, height, width] becomes
a row for the linear layer: pSp flattens channels, width, height; facenet-pytorch width, height, channels.
"""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.nn.files.array_pickles import read_arrays
from mien.nn.inversion.names import load_named
from mien.nn.mtcnn.cascade import CascadeOptions, Mtcnn
from mien.nn.mtcnn.networks import ONet, PNet, RNet
from mien.nn.weights import read_checkpoint, weights_of

NAMES = ("pnet", "rnet", "onet")
SUFFIXES = (".npy", ".pt")
TITLES = {"pnet": "MTCNN's P-Net", "rnet": "MTCNN's R-Net", "onet": "MTCNN's O-Net"}
_PSP = "features.conv1.weight"  # in each of pSp's files
# Layers of ours behind the trunk: (pSp's, facenet-pytorch's).
_HEADS: dict[str, dict[str, tuple[str, str]]] = {
    "pnet": {"face": ("conv4_1", "conv4_1"), "offsets": ("conv4_2", "conv4_2")},
    "rnet": {
        "linear": ("features.conv4", "dense4"), "act": ("features.prelu4", "prelu4"),
        "face": ("conv5_1", "dense5_1"), "offsets": ("conv5_2", "dense5_2"),
    },
    "onet": {
        "linear": ("features.conv5", "dense5"), "act": ("features.prelu5", "prelu5"),
        "face": ("conv6_1", "dense6_1"), "offsets": ("conv6_2", "dense6_2"), "points": ("conv6_3", "dense6_3"),
    },
}  # fmt: skip


def files_in(folder: Path) -> dict[str, Path]:
    """{name: file} of the three networks; pSp's where both are there. Raises MienError for a missing one."""
    if not folder.is_dir():
        raise MienError(f"No folder {folder}, which should hold MTCNN's pnet, rnet and onet.")
    found = {}
    for name in NAMES:
        there = [path for suffix in SUFFIXES if (path := folder / f"{name}{suffix}").is_file()]
        if not there:
            raise MienError(f"{folder} has no {name}.npy (pSp's MTCNN) and no {name}.pt (facenet-pytorch's).")
        found[name] = there[0]
    return found


def mtcnn_of(files: dict[str, Path], options: CascadeOptions | None = None) -> Mtcnn:
    """The cascade of these files, as `files_in` gives them. Raises MienError for a file of another network."""
    options = options or CascadeOptions()
    networks = {"pnet": PNet(legacy=options.legacy), "rnet": RNet(), "onet": ONet()}
    for name, network in networks.items():
        _load(network, name, files[name])
    return Mtcnn(**networks, options=options)  # type: ignore[arg-type]


def _load(network: nn.Module, name: str, path: Path) -> None:
    weights = _weights(path)
    which = 0 if _PSP in weights else 1
    names = {ours: _released(ours, name, which) for ours in network.state_dict()}
    if "linear.weight" in names and (rows := weights.get(names["linear.weight"])) is not None and rows.ndim == 2:
        weights[names["linear.weight"]] = _by_rows(rows, which)
    load_named(network, names, weights, where=f"{path}, {TITLES[name]}")


def _weights(path: Path) -> dict[str, Tensor]:
    if path.suffix != ".npy":
        return weights_of(read_checkpoint(path), where=str(path))
    arrays = read_arrays(path)
    tensors = {n: torch.from_numpy(v.astype(np.float32)) if isinstance(v, np.ndarray) else v for n, v in arrays.items()}
    return weights_of(tensors, where=str(path))


def _released(ours: str, name: str, which: int) -> str:
    layer, _, kind = ours.rpartition(".")
    if layer.startswith("trunk."):
        return ("features." if which == 0 else "") + f"{layer.removeprefix('trunk.').replace('act', 'prelu')}.{kind}"
    return f"{_HEADS[name][layer][which]}.{kind}"


def _by_rows(weight: Tensor, which: int) -> Tensor:
    """Columns in the order channels, height, width; the map that they are of has a side of 3."""
    if weight.shape[1] % 9:
        return weight
    if which == 0:
        return weight.unflatten(1, (-1, 3, 3)).transpose(2, 3).flatten(1)
    return weight.unflatten(1, (3, 3, -1)).permute(0, 3, 2, 1).flatten(1)
