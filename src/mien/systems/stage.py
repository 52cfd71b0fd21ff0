"""Stage: one training run of a System with one objective. It says what is minimised; the step is the same for all.

A step takes one batch of the loader. It is computed in `parts` (for memory), its gradient is summed over the parts and
averaged over processes, SAM climbs along that gradient, and all parts are computed again at the top. A stage with
several objectives (a GAN) has an optimiser for each, which step one after the other. Everything random
in a step comes from torch's generator, seeded from (seed, step, rank) when the step begins: a run that was stopped
needs no generator state to go on exactly.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Self

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mien.core.errors import MienError
from mien.core.records import Batch
from mien.nn.sam import SAM, frozen_batch_norm
from mien.systems.bundle import check_state
from mien.systems.config import config_from
from mien.systems.optim import OptimOptions, build_optimizer, ema_decay, learning_rate
from mien.systems.steps import Objective, TorchBatch, average_over_processes, split, step_seed
from mien.systems.system import System

__all__ = ["Position", "Stage", "StepOptions", "TorchBatch", "split", "step_seed"]
Tensors = tuple[Tensor, ...] | list[Tensor]


@dataclass(frozen=True)
class StepOptions:
    """How a step is computed; the result is the same up to rounding, except where BatchNorm sees smaller parts.

    seed: of everything random in a step. parts: a batch is computed in so many. bf16: autocast. channels_last: memory
    layout of pictures and convolutions. legacy: BatchNorm statistics move in both of SAM's passes, as released.
    """

    seed: int = 0
    parts: int = 1
    bf16: bool = False
    channels_last: bool = True
    compile: bool = False
    legacy: bool = False


@dataclass
class Position:
    """Where a run stands: `epoch` epochs are finished, and `batch` batches of the next; `step` steps in all."""

    epoch: int = 0
    batch: int = 0
    step: int = 0


class Stage(L.LightningModule):
    """Subclasses define `loss_terms` (what is minimised), `predict` and `judge` (how a network is measured).

    monitor: the name in `judge` by which an epoch is chosen; larger_is_better says which way. options: the stage's own,
    an `options_class`.
    """

    name: ClassVar[str]
    options_class: ClassVar[type]
    needs_labels: ClassVar[bool] = True  # False where the targets are not classes
    monitor: str
    larger_is_better: bool = True

    @classmethod
    def system_name(cls, name: str) -> str:
        """The registered name of what this stage trains when the config asks for the system `name`."""
        return name

    def __init__(
        self, system: System, *, options: Mapping[str, Any], optim: OptimOptions, step: StepOptions, epochs: int
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.options = config_from(self.options_class, dict(options), where=f"The stage {self.name}")
        self.system, self.optim_options, self.step_options, self.epochs = system, optim, step, epochs
        if step.channels_last:
            system.to(memory_format=torch.channels_last)
        self.ema: AveragedModel | None = None
        if optim.ema:
            self.ema = AveragedModel(system, multi_avg_fn=self._average, use_buffers=True).eval().requires_grad_(False)
        self.position = Position()
        self.steps_per_epoch = 0  # set, like class_counts, by who brings the data
        self.class_counts: tuple[int, ...] = ()
        self.last_rate = 0.0
        self.term_sums: dict[str, Tensor] = {}
        self.scores: dict[str, float] = {}  # of the last validation
        self.predicted: dict[str, np.ndarray] = {}  # in the last validation
        self._validated: list[tuple[Tensor, dict[str, np.ndarray]]] = []
        self._objectives: list[Objective] = []
        self._resumed_optimizers: list[dict[str, Any]] = []
        self._network = (torch.compile(system) if step.compile else system,)  # in a tuple: registered once only

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The outputs of the network that is trained, compiled where that was asked for."""
        return self._network[0](*inputs)

    # What a subclass says

    def loss_terms(self, batch: TorchBatch) -> dict[str, Tensor]:
        """The named, weighted scalars whose sum is minimised; the batch's mean each."""
        raise AssertionError(f"{type(self).__name__} has no loss_terms")

    def predict(self, system: nn.Module, batch: TorchBatch) -> dict[str, np.ndarray]:
        """What `judge` needs of each sample of a validation batch: arrays [batch, ...] by name."""
        raise AssertionError(f"{type(self).__name__} has no predict")

    def judge(self, predicted: dict[str, np.ndarray]) -> dict[str, float]:
        """The scores of the whole validation set, by a name that says the protocol."""
        raise AssertionError(f"{type(self).__name__} has no judge")

    def temperature(self, predicted: dict[str, np.ndarray]) -> float:
        """What the judged network's logits are divided by to be calibrated; 1 where that means nothing."""
        return 1.0

    def start_from(self, other: System) -> None:
        """Takes over weights of an earlier stage's bundle. Raises MienError where the system has no use for them."""
        raise MienError(f"The stage {type(self).__name__} starts from no bundle; leave --init out.")

    def needs_init(self) -> str:
        """Why this stage cannot start from random weights, or nothing. `--init random` overrules it."""
        return ""

    def take(self, state: Mapping[str, Tensor]) -> None:
        """Strictly loads these weights into the system; the average starts at the first step."""
        check_state(self.system, state, where="--init")
        self.system.load_state_dict(dict(state))

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.ema is not None:
            self.ema.eval()
        return self

    # The step

    def objectives(self) -> list[Objective]:
        """In the order of their steps; here one: `loss_terms`, by every parameter that is not frozen."""
        return [Objective(self.loss_terms, {1.0: [p for p in self.system.parameters() if p.requires_grad]})]

    def configure_optimizers(self) -> torch.optim.Optimizer | list[torch.optim.Optimizer]:
        self._objectives = self.objectives()
        if not any(some for objective in self._objectives for some in objective.parameters.values()):
            raise MienError("Nothing can be trained: every parameter of the system is frozen.")
        built = [build_optimizer(self.optim_options, objective.parameters) for objective in self._objectives]
        return built[0] if len(built) == 1 else built

    def training_step(self, batch: TorchBatch, batch_index: int) -> None:
        self._seed()
        self.last_rate = self.learning_rate()
        for objective, optimizer in zip(self._objectives, self._optimizers(), strict=True):
            if self.position.step % objective.every == 0:
                self._descend(objective, optimizer, batch)
        if self.ema is not None:
            self.ema.update_parameters(self.system)
        self.position.step += 1
        self.position.batch += 1

    def _descend(self, objective: Objective, optimizer: torch.optim.Optimizer, batch: TorchBatch) -> None:
        """One step of one optimiser."""
        for group in optimizer.param_groups:
            group["lr"] = self.last_rate * group.get("share", 1.0)
        terms = self._gradient(batch, objective, optimizer)
        if isinstance(optimizer, SAM):
            optimizer.climb()
            with self._second_pass():
                self._gradient(batch, objective, optimizer)
        if self.optim_options.clip:
            nn.utils.clip_grad_norm_(_parameters(optimizer), self.optim_options.clip)
        optimizer.step()
        for name, value in terms.items():
            self.term_sums[name] = self.term_sums.get(name, 0) + value * objective.every

    def _seed(self) -> None:
        """torch.manual_seed would do the same, but asks every kind of device, which costs a small network its step."""
        seed = step_seed(self.step_options.seed, self.position.step, self.global_rank)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def learning_rate(self) -> float:
        """Of the next step."""
        return learning_rate(
            self.optim_options, step=self.position.step, steps_per_epoch=self.steps_per_epoch, epochs=self.epochs
        )

    def _gradient(self, batch: TorchBatch, objective: Objective, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
        """Leaves the batch's mean gradient over all parts and processes in `.grad`; returns the loss terms."""
        optimizer.zero_grad()
        sums: dict[str, Tensor] = {}
        for part, share in split(batch, self.step_options.parts):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.step_options.bf16):
                terms = objective.terms(part)
            torch.stack([t.float() for t in terms.values()]).sum().mul(share).backward()
            for name, value in terms.items():
                sums[name] = sums.get(name, 0) + value.detach().float() * share
        average_over_processes(_parameters(optimizer), self.trainer.world_size)
        return sums

    def _second_pass(self) -> AbstractContextManager[None]:
        return nullcontext() if self.step_options.legacy else frozen_batch_norm(self.system)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        found: Any = self.optimizers(use_pl_optimizer=False)
        return list(found) if isinstance(found, list | tuple) else [found]

    @torch.no_grad()
    def _average(self, averaged: Tensors, current: Tensors, steps: Tensor | int) -> None:
        """EMA over the weights and BatchNorm's statistics; whole numbers (its counter) are copied."""
        weight = 1 - ema_decay(self.optim_options, step=self.position.step)
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(averaged, current, weight)
        else:
            torch._foreach_copy_(averaged, current)

    def transfer_batch_to_device(self, batch: TorchBatch, device: torch.device, dataloader_idx: int) -> TorchBatch:
        moved = {f.name: getattr(batch, f.name) for f in fields(batch)}
        moved = {k: None if v is None else v.to(device, non_blocking=True) for k, v in moved.items()}
        if self.step_options.channels_last:
            moved["image"] = moved["image"].contiguous(memory_format=torch.channels_last)
        return Batch(**moved)

    # Validation

    @property
    def judged(self) -> System:
        """The network that is measured and kept: the averaged one where there is one."""
        judged = self.system if self.ema is None else self.ema.module
        assert isinstance(judged, System)
        return judged

    def on_validation_epoch_start(self) -> None:
        self._validated = []
        self.judged.eval()
        if self.trainer.world_size > 1:  # BatchNorm's statistics are each process's own
            for value in self.judged.buffers():
                torch.distributed.broadcast(value, src=0)

    def validation_step(self, batch: TorchBatch, batch_index: int) -> None:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.step_options.bf16):
            self._validated.append((batch.index.cpu(), self.predict(self.judged, batch)))

    def on_validation_epoch_end(self) -> None:
        self.predicted = self.gathered()
        self.scores = self.judge(self.predicted)

    def gathered(self) -> dict[str, np.ndarray]:
        """The last validation's arrays, each sample once and in the data's order, whichever process saw it."""
        parts = self._validated
        if self.trainer.world_size > 1:
            lists: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(lists, parts)
            parts = [part for some in lists for part in some]
        index = np.concatenate([i.numpy() for i, _ in parts])
        _, first = np.unique(index, return_index=True)
        return {name: np.concatenate([values[name] for _, values in parts])[first] for name in parts[0][1]}

    def begin_next_epoch(self) -> None:
        self.position = Position(epoch=self.position.epoch + 1, step=self.position.step)
        self.term_sums = {}

    # To stop and to go on

    def snapshot(self) -> dict[str, Any]:
        """All that the run needs to go on from here, as tensors and plain values."""
        states = [optimizer.state_dict() for optimizer in self._optimizers()]
        return {
            "system": self.system.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "optimizer": states[0] if len(states) == 1 else states,
            "position": asdict(self.position),
            "sums": {name: float(total) for name, total in self.term_sums.items()},
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes back to a snapshot. The optimisers follow when there are such, at the start of the fit."""
        self.system.load_state_dict(state["system"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        self.position = Position(**state["position"])
        self.term_sums = {name: torch.tensor(total) for name, total in state["sums"].items()}
        held = state["optimizer"]
        self._resumed_optimizers = held if isinstance(held, list) else [held]

    def on_fit_start(self) -> None:
        if self._resumed_optimizers:
            for optimizer, state in zip(self._optimizers(), self._resumed_optimizers, strict=True):
                optimizer.load_state_dict(state)
            self._resumed_optimizers = []
        self.term_sums = {name: total.to(self.device) for name, total in self.term_sums.items()}

    def mean_terms(self) -> dict[str, float]:
        """The loss terms of the epoch so far, averaged over its steps. Raises MienError when one is not finite."""
        means = {name: float(total) / max(1, self.position.batch) for name, total in self.term_sums.items()}
        for name, value in means.items():
            if not np.isfinite(value):
                raise MienError(
                    f"The loss term {name!r} is {value} in epoch {self.position.epoch + 1}. "
                    f"Lower --optim.lr (now {self.optim_options.lr:g}) or set --optim.clip 1."
                )
        return means


def _parameters(optimizer: torch.optim.Optimizer) -> list[nn.Parameter]:
    return [p for group in optimizer.param_groups for p in group["params"]]
