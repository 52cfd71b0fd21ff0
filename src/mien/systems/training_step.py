"""TrainingStep: how a batch becomes one step of each optimiser. The same for all stages.

For each objective, one after the other, the batch is computed in `parts` (for memory), the gradient is summed over the
parts and averaged over processes, SAM climbs along it where it is on, and all parts are computed again at the top.
Everything random in a step comes from torch's generator, seeded from (seed, step, rank) when the step begins: a run
that was stopped needs no generator state to go on exactly.
"""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from typing import Any, Self, cast

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from mien.core.errors import MienError
from mien.nn.cuda_graph import GraphedNetwork
from mien.nn.sam import SAM, frozen_batch_norm
from mien.systems.frozen import FrozenNetwork
from mien.systems.losses import LossMeter
from mien.systems.optim import OptimOptions, build_optimizer, ema_decay, learning_rate
from mien.systems.step import (
    Every,
    LossTerms,
    Objective,
    Position,
    StepOptions,
    TorchBatch,
    average_over_processes,
    layer_groups,
    split,
    step_seed,
)
from mien.systems.system import System

_Pairs = tuple[list[Tensor], list[Tensor]]  # averages, and what they are averages of


class TrainingStep(L.LightningModule):
    """A system with its optimisers, average, losses and position. `Stage` adds what differs from stage to stage."""

    def __init__(self, system: System, *, optim: OptimOptions, step: StepOptions, epochs: int) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.system, self.optim_options, self.step_options, self.epochs = system, optim, step, epochs
        if step.channels_last:
            system.to(memory_format=torch.channels_last)
        self.ema: AveragedModel | None = None
        if optim.ema:
            self.ema = AveragedModel(system, use_buffers=True).eval().requires_grad_(False)
        self.position = Position()
        self.steps_per_epoch = 0  # set by who brings the data
        self.losses = LossMeter()
        self._objectives: list[Objective] = []
        self._gated = False
        self._shared: dict[int, Any] = {}  # of the present step
        self._monitored = False  # whether the present step's monitored values are known
        self._resumed_optimizers: list[dict[str, Any]] = []
        # In a tuple: registered once only.
        self._network = (torch.compile(system, dynamic=False) if step.compile else system,)
        self._graphed: GraphedNetwork | None = None
        self._averaged: tuple[_Pairs, _Pairs] | None = None  # of real and of whole numbers; finding them takes 3 ms

    def forward(self, *inputs: Tensor) -> dict[str, Tensor]:
        """The outputs of the network that is trained, compiled or replayed where that was asked for."""
        network = self._network[0]
        if not (self.step_options.cuda_graph and self.training and torch.is_grad_enabled() and inputs[0].is_cuda):
            return network(*inputs)
        if self._graphed is None or len(inputs[0]) > self._graphed.batch:
            self._graphed = None  # its memory first
            self._graphed = GraphedNetwork(cast(nn.Module, network), inputs, bf16=self.step_options.bf16)
            self._seed()
        return self._graphed(*inputs) if self._graphed.fits(inputs) else network(*inputs)

    # What a stage defines

    def objectives(self) -> list[Objective]:
        """In the order of their steps; here one: `loss_terms`, by every parameter that is not frozen."""
        groups = layer_groups(self.system, decay=self.optim_options.layer_decay)
        return [Objective("loss", self.loss_terms, groups)]

    def loss_terms(self, batch: TorchBatch, shared: Any = None) -> LossTerms:
        """The named, weighted scalars whose sum is minimised; the batch's mean each."""
        raise AssertionError(f"{type(self).__name__} has no loss_terms")

    def shared(self, batch: TorchBatch) -> Any:
        """What several objectives need of a batch, such as one forward pass: their terms get it as second argument.

        Computed once a step. Where the batch comes in parts, it is computed for each part and objective, since the
        graphs of all parts would not fit into memory together.
        """
        return None

    def monitored(self, shared: Any) -> LossTerms:
        """Scalars that are logged and that gates may use, but that nobody minimises. Once a step."""
        return {}

    def companions(self) -> Mapping[str, nn.Module]:
        """Modules that are trained or tracked, stand in the checkpoint and not in the bundle (discriminators, averaged
        copies). Each is also an attribute of the stage."""
        return {}

    def update_companions(self) -> None:
        """Called after each step, for what follows the network, such as the moving average of a key network."""

    def frozen(self) -> Mapping[str, FrozenNetwork]:
        """Auxiliary networks that are never trained or saved; each is also an attribute of the stage."""
        return {}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        if self.ema is not None:
            self.ema.eval()
        if self.step_options.freeze_batch_norm:
            for module in self.system.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()
        return self

    # The step

    def configure_optimizers(self) -> torch.optim.Optimizer | list[torch.optim.Optimizer]:
        self._objectives = self.objectives()
        if self.optim_options.layer_decay != 1 and type(self).objectives is not TrainingStep.objectives:
            raise MienError(
                "The objectives of this stage have learning rates of their own; leave optim.layer_decay out."
            )
        for objective in self._objectives:
            if not objective.parameters:
                every = "every parameter of the system is frozen" if objective.name == "loss" else "it has no parameter"
                raise MienError(f"Nothing can be trained by the objective {objective.name!r}: {every}.")
        self._gated = any(not isinstance(objective.when, Every) for objective in self._objectives)
        built = [build_optimizer(self._options_of(o), o.groups) for o in self._objectives]
        return built[0] if len(built) == 1 else built

    def _options_of(self, objective: Objective) -> OptimOptions:
        return objective.optim or self.optim_options

    def training_step(self, batch: TorchBatch, batch_index: int) -> None:
        if not len(batch):  # a resumed epoch of which only the validation is left
            return
        self._seed()
        batch = self._mixed(batch)
        self._shared, self._monitored = {}, False
        for objective, optimizer in zip(self._objectives, self._optimizers(), strict=True):
            if not isinstance(objective.when, Every) or objective.when(self.position.step, {}):
                self._descend(objective, optimizer, batch)
        self._shared = {}
        # In the first step, since later ones may leave an objective out.
        recorded = self._graphed is not None or self.device.type != "cuda"
        if self.step_options.cuda_graph and not recorded and self.position.step == 0:
            raise MienError(
                "trainer.cuda_graph: this stage does not call its network as a whole, so nothing was recorded. "
                "Leave it out."
            )
        if self.ema is not None:
            self._average(self.ema)
        self.update_companions()
        self.position.step += 1
        self.position.batch += 1

    def _seed(self) -> None:
        """torch.manual_seed would do the same, but asks every kind of device, which costs a small network its step."""
        seed = step_seed(self.step_options.seed, self.position.step, self.global_rank)
        torch.default_generator.manual_seed(seed)
        if self.device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _mixed(self, batch: TorchBatch) -> TorchBatch:
        """As the options say; once a step, so that all parts and both passes of SAM see the same faces."""
        mixing = self.step_options.mixing
        if not mixing.active(self.position.epoch):
            return batch
        return mixing(batch, classes=len(self.system.labels))

    def learning_rate(self, options: OptimOptions, *, step: int | None = None) -> float:
        """By these options, of that step or of the next one."""
        step = self.position.step if step is None else step
        return learning_rate(options, step=step, steps_per_epoch=self.steps_per_epoch, epochs=self.epochs)

    def learning_rates(self) -> dict[str, float]:
        """Of the last step: `lr` of the config's options, and `NAME/lr` of objectives with options of their own."""
        options = {"lr": self.optim_options}
        options |= {f"{o.name}/lr": o.optim for o in self._objectives if o.optim is not None}
        return {name: self.learning_rate(each, step=max(0, self.position.step - 1)) for name, each in options.items()}

    def _descend(self, objective: Objective, optimizer: torch.optim.Optimizer, batch: TorchBatch) -> None:
        """The gradient of one objective and, where its condition holds, one step of its optimiser."""
        options = self._options_of(objective)
        rate = self.learning_rate(options)
        for group in optimizer.param_groups:
            group["lr"] = rate * group["lr_scale"]
        terms = self._gradient(batch, objective, optimizer)
        if self._gated:
            average_over_processes(list(terms.values()), self.trainer.world_size)
        self.losses.add(terms)
        if self._gated and not objective.when(self.position.step, self.losses.latest_values()):
            optimizer.zero_grad()
            return
        if isinstance(optimizer, SAM):
            optimizer.climb()
            self._shared = {}
            with self._second_pass():
                self._gradient(batch, objective, optimizer)
            self._shared = {}
        if options.clip:
            nn.utils.clip_grad_norm_(objective.parameters, options.clip)
        optimizer.step()

    def _gradient(self, batch: TorchBatch, objective: Objective, optimizer: torch.optim.Optimizer) -> LossTerms:
        """Leaves the batch's mean gradient over all parts and processes in `.grad`.

        Returns the loss terms, and the monitored values where this step has none yet.
        """
        optimizer.zero_grad()
        parameters, sums = objective.parameters, LossTerms()
        reused = self.step_options.parts == 1 and objective is not self._objectives[-1]
        for part, share in split(batch, self.step_options.parts):
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.step_options.bf16):
                shared = self._shared_of(part, objective)
                terms = objective.terms(part, shared)
                others = {} if self._monitored else self.monitored(shared)
            loss = torch.stack([t.float() for t in terms.values()]).sum().mul(share)
            loss.backward(inputs=parameters, retain_graph=reused and shared is not None)
            for name, value in (terms | others).items():
                sums[name] = sums.get(name, 0) + value.detach().float() * share
        self._monitored = True
        average_over_processes([p.grad for p in parameters if p.grad is not None], self.trainer.world_size)
        return sums

    def _shared_of(self, part: TorchBatch, objective: Objective) -> Any:
        if self.step_options.parts == 1:
            if not self._shared:
                self._shared = {0: self.shared(part)}
            return self._shared[0]
        if objective.detached:
            with torch.no_grad(), frozen_batch_norm(self.system):
                return self.shared(part)
        return self.shared(part)

    def _second_pass(self) -> AbstractContextManager[None]:
        return nullcontext() if self.step_options.legacy else frozen_batch_norm(self.system)

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        found: Any = self.optimizers(use_pl_optimizer=False)
        return list(found) if isinstance(found, list | tuple) else [found]

    @torch.no_grad()
    def _average(self, ema: AveragedModel) -> None:
        """EMA over the weights and BatchNorm's statistics; whole numbers (its counter) are copied, and in the first
        step everything. AveragedModel's own update would wait for the device to read `n_averaged`, twice a step."""
        weight = 1 - ema_decay(self.optim_options, step=self.position.step) if self.position.step else 1.0
        if self._averaged is None:
            self._averaged = _by_kind(ema.module, self.system)
        (real_averages, real), (whole_averages, whole) = self._averaged
        torch._foreach_lerp_(real_averages, real, weight)
        if whole:
            torch._foreach_copy_(whole_averages, whole)
        ema.n_averaged += 1

    def _apply(self, function: Any, recurse: bool = True) -> Self:
        """What moves a module to another device makes new buffers."""
        self._averaged = self._graphed = None
        return super()._apply(function, recurse)

    def transfer_batch_to_device(self, batch: TorchBatch, device: torch.device, dataloader_idx: int) -> TorchBatch:
        moved: TorchBatch = batch.map(lambda value: value.to(device, non_blocking=True))
        if not self.step_options.channels_last:
            return moved
        return moved.map(lambda v: v.contiguous(memory_format=torch.channels_last) if v.ndim == 4 else v)

    def begin_next_epoch(self) -> None:
        self.position = Position(epoch=self.position.epoch + 1, step=self.position.step)
        self.losses.start_epoch()

    def check_finite(self) -> None:
        """Raises MienError where a loss term of this epoch, a weight or a BatchNorm statistic is not finite."""
        for name, value in self.losses.means().items():
            if not np.isfinite(value):
                raise self.diverged(f"The loss term {name!r} is {value}")
        modules = [self.system, *([] if self.ema is None else [self.ema]), *self.companions().values()]
        values = [v for module in modules for v in (*module.parameters(), *module.buffers()) if v.is_floating_point()]
        if values and not bool(torch.stack([value.detach().isfinite().all() for value in values]).all()):
            raise self.diverged("Weights are not finite")

    def diverged(self, what: str) -> MienError:
        """The error to raise."""
        return MienError(
            f"{what} in epoch {self.position.epoch + 1}. Lower --optim.lr (now {self.optim_options.lr:g}) or set "
            "--optim.clip 1."
        )

    # To stop and to go on

    def snapshot(self) -> dict[str, Any]:
        """All that the run needs to go on from here, as tensors and plain values."""
        return {
            "system": self.system.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "companions": {name: module.state_dict() for name, module in self.companions().items()},
            "frozen": {name: network.sha256 for name, network in self.frozen().items()},
            "optimizers": [optimizer.state_dict() for optimizer in self._optimizers()],
            "position": asdict(self.position),
            "losses": self.losses.state_dict(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Goes back to a snapshot. The optimisers follow when there are such, at the start of the fit.

        Raises MienError where the file of a frozen network changed since.
        """
        for name, network in self.frozen().items():
            if (before := state["frozen"].get(name, network.sha256)) != network.sha256:
                raise MienError(
                    f"{network.file} ({name}) is not the file that this run began with (SHA-256 {before[:12]}, now "
                    f"{network.sha256[:12]}). Put the former file back, or begin a new run in another --output."
                )
        self.system.load_state_dict(state["system"])
        if self.ema is not None:
            self.ema.load_state_dict(state["ema"])
        for name, module in self.companions().items():
            module.load_state_dict(state["companions"][name])
        self.position = Position(**state["position"])
        self.losses.load_state_dict(state["losses"])
        self._resumed_optimizers = list(state["optimizers"])

    def on_fit_start(self) -> None:
        if self._resumed_optimizers:
            for optimizer, state in zip(self._optimizers(), self._resumed_optimizers, strict=True):
                optimizer.load_state_dict(state)
            self._resumed_optimizers = []
        self.losses.to(self.device)


def _by_kind(average: nn.Module, network: nn.Module) -> tuple[_Pairs, _Pairs]:
    """Parameters and buffers of both, side by side: real numbers, whole numbers."""
    mine, its = ([*module.parameters(), *module.buffers()] for module in (average, network))
    chosen = [[i for i, value in enumerate(mine) if value.is_floating_point() == real] for real in (True, False)]
    real, whole = (([mine[i] for i in places], [its[i] for i in places]) for places in chosen)
    return real, whole
