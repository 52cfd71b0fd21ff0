"""The stages of `mien.systems.ifer` under a schedule of their own, on faces that stay on the device.

Loss terms, step, averaging, seeds and snapshots are those of `mien.systems`. What differs: the learning rate follows
the share of the run that is done, so that a run of so many minutes always ends annealed.
"""

import math
from types import SimpleNamespace
from typing import Any

import torch
from torch import Generator

from inverter.faces import Faces, lit, mirrored, moved, normalised
from mien import create_model
from mien.core.records import Batch
from mien.systems.ifer.generation import Generation
from mien.systems.ifer.reconstruction import InversionTraining
from mien.systems.optim import OptimOptions
from mien.systems.step import StepOptions, TorchBatch, step_seed
from mien.systems.training_step import TrainingStep

WARMUP = 0.03  # of the run
SHARES = {"london": 0.05, "lfw": 0.35, "w300": 0.3, "people": 0.3}  # of a batch
GENERATOR_OPTIM = OptimOptions(name="adam", lr=2e-3, betas=(0.0, 0.99), schedule="constant", ema=0.999)
GENERATOR_OPTIONS = {"r1": 0.2, "path_length": 1.0, "augment_pictures": 200_000}
INVERTER_OPTIM = OptimOptions(
    name="adamw", lr=1e-3, betas=(0.9, 0.99), weight_decay=0.01, schedule="cosine", clip=5, ema=0.998
)
INVERTER_OPTIONS = {
    "l2": 1.0, "laplacian": 0.5, "realism": 0.01, "codes_alone": 0.5, "tune_generator": 1.0, "r1": 0.2,
    "lpips": 0.0, "identity": 0.0, "adversarial": 0.0, "distribution": 0.0,
}  # fmt: skip


class Scheduled(TrainingStep):
    """A stage without a trainer: whoever runs it sets `progress` before each step."""

    progress = 0.0  # share of the run, 0..1
    lr_factor = 1.0  # halved where a run diverged
    falls_from = 0.0  # share of the run from which the learning rate falls, by a cosine to 0

    @property
    def trainer(self) -> Any:  # one process
        return SimpleNamespace(world_size=1, global_rank=0)

    def begin(self) -> None:
        """Builds the optimisers, and fills them where the stage was resumed."""
        built = self.configure_optimizers()
        self._built = built if isinstance(built, list) else [built]
        if self.ema is not None:  # its count is asked for in every step, and on the GPU that waits for the step's end
            self.ema.n_averaged = self.ema.n_averaged.cpu()
        self.on_fit_start()

    def _optimizers(self) -> list[Any]:
        return self._built

    def learning_rate(self, options: OptimOptions, *, step: int | None = None) -> float:
        """Linear warm-up, constant, then a cosine to 0."""
        rising = min(1.0, max(self.progress, 1e-3) / WARMUP)
        done = min(1.0, max(0.0, self.progress - self.falls_from) / (1 - self.falls_from))
        return self.lr_factor * options.lr * rising * (1 + math.cos(math.pi * done)) / 2


class GeneratorRun(Scheduled, Generation):
    """Stage 0. The last third anneals."""

    falls_from = 0.65


class InverterRun(Scheduled, InversionTraining):
    """Stage 1, with the generator tuned too and the discriminator of stage 0 as its critic."""


def generator_stage(device: torch.device, *, seed: int, **config: Any) -> GeneratorRun:
    """On the device, not begun."""
    torch.manual_seed(seed)
    system = create_model("stylegan2_small", **config)
    return _built(GeneratorRun(system, options=GENERATOR_OPTIONS, optim=GENERATOR_OPTIM, **_step(device, seed)), device)


def inverter_stage(device: torch.device, *, seed: int, **config: Any) -> InverterRun:
    """On the device, not begun."""
    torch.manual_seed(seed + 1)
    system = create_model("asit_small", **config)
    return _built(InverterRun(system, options=INVERTER_OPTIONS, optim=INVERTER_OPTIM, **_step(device, seed)), device)


def _step(device: torch.device, seed: int) -> dict[str, Any]:
    return {"step": StepOptions(seed=seed, bf16=device.type == "cuda"), "epochs": 1}


def _built(stage: Any, device: torch.device) -> Any:
    stage.steps_per_epoch = 1_000_000  # the loop ends by its budget
    return stage.to(device)


def batch_of(faces: Faces, stage: Any, shares: torch.Tensor, *, size: int, altered: bool) -> TorchBatch:
    """The batch of the stage's next step: which faces and how they are altered follow from seed and step alone.

    altered: moved and lit too, and not mirrored only.
    """
    device = faces.pixels.device
    generator = Generator(device).manual_seed(step_seed(stage.step_options.seed, stage.position.step, 1))
    places = torch.multinomial(shares, size, replacement=True, generator=generator)
    image = mirrored(normalised(faces.pixels[places]), generator)
    if altered:
        image = lit(moved(image, generator), generator)
    return Batch(image=image.contiguous(memory_format=torch.channels_last), index=places)
