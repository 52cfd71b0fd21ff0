"""What comes back of a run: logits, scores, and weights in parts that are small enough to be sent."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.data.transforms import augmentation
from mien.media.files import atomic_path
from mien.systems.poster_v2.network import PosterV2
from teacher.faces import Pack, Warps, fixed_warps, normalised, random_warps, warped

PART_BYTES = 63 << 18  # 15.75 MiB: a file that is sent back has at most 16
BATCH = 512
# Scale and shift (in crop sides) of the views whose mean is a prediction, each as it is and mirrored.
VIEWS = ((1.0, (0.0, 0.0)), (1.08, (0.0, 0.0)), (0.93, (0.0, 0.0)), (1.0, (0.03, 0.03)), (1.0, (-0.03, -0.03)))
DRAWN_VIEWS = 4
DRAWN = augmentation("strong", flip=0.5, rotation_deg=10, scale=(0.9, 1.1), shift=0.05)

View = Callable[[int], Warps]  # of so many faces


@torch.no_grad()
def logits_of(network: nn.Module, pixels: Tensor, view: View, *, size: int, bf16: bool) -> Tensor:
    """float32 [n, classes] of the faces in that view."""
    network.eval()
    found = []
    for part in batches(pixels):
        image = normalised(warped(part, view(len(part)), size))
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=bf16):
            found.append(network(image)["expression"].float())
    return torch.cat(found)[: len(pixels)]


def batches(pixels: Tensor) -> Iterator[Tensor]:
    """Of BATCH faces each; the last one is filled up, since cuDNN tries its algorithms anew for every other size."""
    for part in pixels.split(BATCH):
        missing = BATCH - len(part) if len(pixels) > BATCH else 0
        yield torch.cat([part, pixels[:missing]])


def fixed(
    device: torch.device, *, mirrored: bool = False, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> View:
    return lambda count: fixed_warps(count, device, mirrored=mirrored, scale=scale, shift=shift)


def drawn(device: torch.device, seed: int) -> View:
    """Another view of every face."""
    generator = torch.Generator(device).manual_seed(seed)
    return lambda count: random_warps(DRAWN, count, generator)


def predictions(network: nn.Module, pixels: Tensor, *, size: int) -> dict[str, Tensor]:
    """Logits by protocol: single (float32), mirrored (mean with the mirrored face), views (mean of ten)."""
    device = pixels.device
    single = logits_of(network, pixels, fixed(device), size=size, bf16=False)
    other = logits_of(network, pixels, fixed(device, mirrored=True), size=size, bf16=False)
    views = [single, other] + [
        logits_of(network, pixels, fixed(device, mirrored=m, scale=scale, shift=shift), size=size, bf16=True)
        for scale, shift in VIEWS[1:]
        for m in (False, True)
    ]
    return {"single": single, "mirrored": (single + other) / 2, "views": torch.stack(views).mean(0)}


def training_logits(network: nn.Module, pixels: Tensor, *, size: int, seed: int) -> dict[str, np.ndarray]:
    """float16 [n, classes]: of the face, of the mirrored face, and the mean over views drawn for each."""
    device = pixels.device
    plain = logits_of(network, pixels, fixed(device), size=size, bf16=True)
    mirrored = logits_of(network, pixels, fixed(device, mirrored=True), size=size, bf16=True)
    views = [logits_of(network, pixels, drawn(device, seed + i), size=size, bf16=True) for i in range(DRAWN_VIEWS)]
    found = {"logits": plain, "logits_mirrored": mirrored, "logits_drawn": torch.stack(views).mean(0)}
    return {name: value.half().cpu().numpy() for name, value in found.items()}


def teacher_probabilities(folder: Path, pack: Pack) -> Tensor:
    """[n, classes] of the training faces, by the teacher's logits over its views and the mirrored face.

    Raises MienError where the folder holds the logits of other faces.
    """
    with np.load(folder / "logits_train.npz", allow_pickle=False) as file:
        names, kinds = file["names"].tolist(), [file[f"logits{view}"] for view in ("", "_mirrored", "_drawn")]
    if names != pack.names:
        raise MienError(f"{folder} has the logits of other faces than the pack. Take the run's own pack.")
    logits = torch.from_numpy(np.mean(kinds, axis=0, dtype=np.float32))
    return logits.softmax(1).to(pack.train.distribution)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def write_weights(folder: Path, network: PosterV2) -> list[str]:
    """Matrices and convolutions in half precision, the rest as it is, in files of at most PART_BYTES. Their names."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in network.state_dict().items()}
    state = {name: v.half() if v.is_floating_point() and v.ndim > 1 else v for name, v in state.items()}
    parts: list[dict[str, Tensor]] = []
    for name in sorted(state, key=lambda name: -state[name].nbytes):  # the largest first, each where it has room
        room = (part for part in parts if sum(v.nbytes for v in part.values()) + state[name].nbytes <= PART_BYTES)
        part = next(room, None)
        if part is None:
            parts.append(part := {})
        part[name] = state[name]
    names = [f"weights_{number}.safetensors" for number in range(1, len(parts) + 1)]
    for file, part in zip(names, parts, strict=True):
        with atomic_path(folder / file) as temporary:
            temporary.write_bytes(save(part))
    return names


def read_weights(folder: Path, network: PosterV2) -> PosterV2:
    """The network with the weights of `write_weights`. Raises MienError where a part is missing."""
    state: dict[str, Any] = {}
    for path in sorted(folder.glob("weights_*.safetensors")):
        state |= {
            name: value.float() if value.is_floating_point() else value for name, value in load_file(path).items()
        }
    if missing := sorted(network.state_dict().keys() - state.keys()):
        raise MienError(f"{folder} has not all weights: {missing[0]} is missing. Copy every weights_*.safetensors.")
    network.load_state_dict(state)
    return network.eval()
