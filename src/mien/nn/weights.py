"""Reading other people's weight files safely, and loading them without a silent gap.

Published checkpoints are pickles, and a pickle may run any code. `read_checkpoint` runs none: tensors and plain
containers are rebuilt, and whatever else a file names becomes an `Inert` stand-in that does nothing (torch_files.py).
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mien.core.errors import MienError, one_line
from mien.nn.files.inert_pickle import Inert
from mien.nn.files.module_pickle import module_weights, read_module_pickle
from mien.nn.files.torch_files import read_torch_file

__all__ = [
    "Inert", "LoadReport", "compare", "is_optimizer_state", "load_weights", "read_checkpoint", "weight_names",
    "weights_of",
]  # fmt: skip
OLDER_FORMAT = bytes.fromhex("6cfc9c46f9206aa85019")  # the number that torch's format before 1.6 begins with
CONTAINERS = ("state_dict", "model_state_dict", "model", "net")


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """The contents of a .safetensors, .pth, .pt, .bin, .pth.tar or StyleGAN2-ADA .pkl file, on the CPU; nothing in it
    is executed.

    Objects of foreign classes (the released trainer pickles its recorders) come back as `Inert`. Raises MienError for a
    missing, empty, damaged or foreign file.
    """
    path = Path(path)
    if not path.is_file():
        raise MienError(f"{path} is a folder, not a weight file." if path.is_dir() else f"No weight file at {path}.")
    with path.open("rb") as file:
        head = file.read(16)
    if not head:
        raise MienError(f"{path}: the file is empty. Fetch it again.")
    if path.suffix == ".safetensors" or head[8:9] == b"{":
        return _read_safetensors(path)
    if not (head.startswith(b"PK") or head.startswith(b"\x80")):
        raise MienError(f"{path}: not a weight file (neither safetensors nor PyTorch's format).")
    if path.suffix == ".pkl" and not (head.startswith(b"PK") or OLDER_FORMAT in head):
        return dict(read_module_pickle(path))
    content = read_torch_file(path)
    if isinstance(content, Inert):
        content = module_weights(content) or content
    if not isinstance(content, dict):
        raise MienError(
            f"{path}: holds a pickled {type(content).__name__}, not a dict of weights. Save its state_dict() instead."
        )
    return content


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except SafetensorError as error:
        reason = one_line(error)[:160]
        raise MienError(f"{path}: damaged or not a safetensors file ({reason}). Fetch it again.") from error


def is_optimizer_state(content: Mapping[str, Any]) -> bool:
    """True for a dict with nothing but an optimiser's `state` and `param_groups`."""
    return set(content) == {"state", "param_groups"}


def weights_of(content: Mapping[str, Any], *, where: str = "This checkpoint") -> dict[str, Tensor]:
    """The tensors by name: out of their container, and without each `module.` that DataParallel puts before the names.

    Raises MienError where there are none, and for an optimiser's state, which holds no model.
    """
    if is_optimizer_state(content):
        raise MienError(
            f"{where} holds only an optimiser's state (state, param_groups) and no model. Where its weights can be "
            "rebuilt, `mien weights convert` does so; in Python `rescue_best` (docs/weights.md)."
        )
    for key in CONTAINERS:
        if isinstance(content.get(key), Mapping):
            content = content[key]
            break
    tensors = {str(name): value.detach() for name, value in content.items() if isinstance(value, Tensor)}
    if strange := [name for name, value in tensors.items() if value.is_complex() or value.is_quantized]:
        raise MienError(f"{where} holds numbers that no weight is (complex or quantised): {_some(strange)}.")
    if not tensors or len(tensors) < len(content):
        strange = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
        raise MienError(f"{where} is not a dict of weights: no tensor under {_some(strange) or 'any name'}.")
    while all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    return tensors


def weight_names(content: Mapping[str, Any]) -> frozenset[str]:
    """The names that `weights_of` gives; none where it raises."""
    try:
        return frozenset(weights_of(content))
    except MienError:
        return frozenset()


def require_finite(network: nn.Module, where: str) -> None:
    """Raises MienError, with the first name, where a weight or a statistic is NaN or infinite."""
    for name, value in network.state_dict().items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise MienError(f"{where}: {name} holds numbers that are not finite (NaN or infinity). Fetch it again.")


@dataclass(frozen=True)
class LoadReport:
    """How given weights match a network's own, by name and shape."""

    matched: tuple[str, ...]
    """Names in both, of the same shape."""
    missing: tuple[str, ...]
    """Names of the network that were not given."""
    unexpected: tuple[str, ...]
    """Names given that the network does not have."""
    mismatched: tuple[str, ...] = ()
    """Names in both, of another shape: the name, the shape given and the shape needed."""
    dropped: tuple[str, ...] = ()
    """Names left out on purpose: parts that never run."""

    def __str__(self) -> str:
        counts = f"{len(self.matched)} matched, {len(self.missing)} missing, {len(self.unexpected)} unexpected"
        return f"{counts}, {len(self.mismatched)} of another shape, {len(self.dropped)} dropped knowingly"

    def require(self, where: str, *, allow_missing: Collection[str] = ()) -> None:
        """Raises MienError unless every name meets; `allow_missing` may be missing, but only as a whole."""
        missing_fits = not self.missing or set(self.missing) == set(allow_missing)
        if missing_fits and not self.unexpected and not self.mismatched:
            return
        parts = {"missing": self.missing, "unexpected": self.unexpected, "of another shape": self.mismatched}
        named = "; ".join(f"{what}: {_some(names)}" for what, names in parts.items() if names)
        raise MienError(f"{where}: the weights do not fit ({self}). {named}.")


def _some(names: Collection[str], count: int = 4) -> str:
    listed = list(names)
    return ", ".join(listed[:count]) + (f" and {len(listed) - count} more" if len(listed) > count else "")


def compare(own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, dropped: Collection[str] = ()) -> LoadReport:
    """Names and shapes of `given` beside those of `own` (a network's state dict); no tensor is read."""
    both = [name for name in own if name in given]
    mismatched = [name for name in both if own[name].shape != given[name].shape]
    return LoadReport(
        matched=tuple(name for name in both if own[name].shape == given[name].shape),
        missing=tuple(name for name in own if name not in given),
        unexpected=tuple(name for name in given if name not in own),
        mismatched=tuple(f"{n} {tuple(given[n].shape)} for {tuple(own[n].shape)}" for n in mismatched),
        dropped=tuple(dropped),
    )


def load_weights(
    network: nn.Module, weights: Mapping[str, Tensor], *, where: str, allow_missing: Collection[str] = ()
) -> LoadReport:
    """Copies the weights into the network and returns the report. Raises MienError before anything is copied."""
    report = compare(network.state_dict(), weights)
    report.require(where, allow_missing=allow_missing)
    network.load_state_dict(dict(weights), strict=False)
    return report
