"""The two stages of POSTER V2 under a schedule of their own, and the network with a second classifier to train it.

Loss terms, step, averaging, SAM, seeds and snapshots are those of `mien.systems`. What differs: the learning rate
follows the share of the run that is done, which the loop sets, so that a run of so many minutes always ends annealed.
"""

import math
from types import SimpleNamespace
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from mien.systems.optim import OptimOptions
from mien.systems.poster_v2.network import PosterV2, reduce_to
from mien.systems.poster_v2.stages import Expression, Landmarks
from mien.systems.step import LossTerms, Objective, ParameterGroup, StepOptions, TorchBatch
from mien.systems.training_step import TrainingStep

WARMUP = 0.04  # of the run
AUXILIARY_WEIGHT = 0.4


class SupervisedPosterV2(PosterV2):
    """POSTER V2 whose image stream has a classifier of its own while it trains.

    From random weights the gradient otherwise reaches IR-50 only through the fusions and a transformer that starts near
    zero. Lee et al., Deeply-supervised nets, AISTATS 2015.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        width = self.config.widths[2]
        self.auxiliary = nn.Sequential(
            nn.BatchNorm2d(width), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(self.config.dropout),
            nn.Linear(width, self.config.num_classes),
        )  # fmt: skip

    def forward(self, image: Float[Tensor, "batch 3 h w"]) -> dict[str, Tensor]:
        image = reduce_to(image, self.config.trunk_size)
        maps = self.trunk(image)
        logits = self.vit(self.fused(maps, self.landmark_maps(image)))
        return {"expression": logits, "auxiliary": self.auxiliary(maps[2])}

    def published(self) -> PosterV2:
        """The network without the second classifier, with the same weights."""
        plain = PosterV2(self.config, inputs=self.inputs, outputs=self.outputs)
        own = {name: value for name, value in self.state_dict().items() if not name.startswith("auxiliary.")}
        plain.load_state_dict(own)
        return plain.eval()


class Scheduled(TrainingStep):
    """A stage without a trainer: whoever runs it sets `progress` before each step."""

    progress = 0.0  # share of the run, 0..1
    lr_factor = 1.0  # halved where a run diverged

    @property
    def trainer(self) -> Any:  # one process
        return SimpleNamespace(world_size=1, global_rank=0)

    def begin(self) -> None:
        """Builds the optimiser, and fills it where the stage was resumed."""
        self._optimizer = self.configure_optimizers()
        if self.ema is not None:  # its count is asked for in every step, and on the GPU that waits for the step's end
            self.ema.n_averaged = self.ema.n_averaged.cpu()
        self.on_fit_start()

    def _optimizers(self) -> list[Any]:
        return [self._optimizer]

    def learning_rate(self, options: OptimOptions, *, step: int | None = None) -> float:
        """Linear warm-up, then a cosine to 0."""
        if self.progress < WARMUP:
            return self.lr_factor * options.lr * max(self.progress, 1e-3) / WARMUP
        done = min(1.0, (self.progress - WARMUP) / (1 - WARMUP))
        return self.lr_factor * options.lr * (1 + math.cos(math.pi * done)) / 2


class LandmarkTeacher(Scheduled, Landmarks):
    """Stage 0."""


class ExpressionTeacher(Scheduled, Expression):
    """The classifier, under both losses; the transformers at half the rate of the image stream."""

    def objectives(self) -> list[Objective]:
        trained = {name: p for name, p in self.system.named_parameters() if p.requires_grad}
        convolutional = [p for name, p in trained.items() if name.startswith(("trunk.", "auxiliary."))]
        others = [p for name, p in trained.items() if not name.startswith(("trunk.", "auxiliary."))]
        return [Objective("loss", self.loss_terms, (ParameterGroup(convolutional), ParameterGroup(others, 0.5)))]

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        outputs = super().forward(*inputs)
        self._auxiliary = outputs["auxiliary"].float()
        return outputs

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> LossTerms:
        terms = super().loss_terms(batch)
        smoothing = self.options.label_smoothing
        auxiliary = F.cross_entropy(self._auxiliary, batch.distribution, label_smoothing=smoothing)
        return terms | {"auxiliary": AUXILIARY_WEIGHT * auxiliary}


def build(
    kind: type[TrainingStep],
    system: Any,
    device: torch.device,
    optim: OptimOptions,
    *,
    seed: int,
    bf16: bool,
    **options: Any,
) -> Any:
    """The stage on the device, not begun. On a GPU its passes are CUDA graphs: hundreds of small kernels each."""
    step = StepOptions(seed=seed, bf16=bf16, cuda_graph=device.type == "cuda")
    return kind(system, options=options, optim=optim, step=step, epochs=1).to(device)
