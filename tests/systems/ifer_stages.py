"""Small stages of StyleGAN2, ASIT and IFER, stepped without a trainer."""

from types import SimpleNamespace
from typing import Any

import torch

import mien
from mien.core.records import Batch
from mien.systems.registry import stage_class
from mien.systems.step import StepOptions

GENERATOR: dict[str, Any] = {"size": 64, "style": 8, "mapping_layers": 2, "most_channels": 8}
ENCODER: dict[str, Any] = {
    "width": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 2, 2), "head_width": 8, "structure_channels": 4,
    "shared_heads": True, "drop_path": 0.0,
}  # fmt: skip
NO_FILES = {"lpips": 0.0, "identity": 0.0}


def stage_of(name: str, stage: str, *, options: dict[str, Any] | None = None, legacy: bool = False, **system: Any):
    """Ready to step."""
    torch.manual_seed(0)
    kind = stage_class(name, stage)
    network = mien.create_model(name, **system)
    made = kind(network, options=options or {}, optim=kind.default_optim, step=StepOptions(legacy=legacy), epochs=1)
    made.steps_per_epoch = 100
    made._trainer = SimpleNamespace(world_size=1, global_rank=0)
    built = made.configure_optimizers()
    optimizers = built if isinstance(built, list) else [built]
    made.__dict__["_optimizers"] = lambda: optimizers
    made.__dict__["_seed"] = lambda: torch.manual_seed(made.position.step)
    return made.train()


def faces(count: int = 4, side: int = 64) -> Batch[torch.Tensor]:
    """Smooth pictures in -1..1 with classes."""
    random = torch.Generator().manual_seed(1)
    coarse = torch.rand(count, 3, 4, 4, generator=random) * 1.6 - 0.8
    image = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return Batch(image=image, index=torch.arange(count), expression=torch.arange(count) % 7)


def changed(before: dict[str, torch.Tensor], module: torch.nn.Module) -> set[str]:
    """Names of the values that are not what they were."""
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


def copied(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}
