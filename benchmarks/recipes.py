"""What the published recipes need of a GPU: computed from one training step of each config on the CPU, not measured.

    python benchmarks/recipes.py [NAMES...] [--threads 1]

Each config's system and stage are built at their published size and take whole training steps (all objectives, both
passes of SAM) on random faces: on two batch sizes, whose difference is what one face adds. Lazy regularisation is taken
at its share for the arithmetic, and where it occurs for memory. Auxiliary networks have random weights.

- Activations: the storages that autograd saves for the backward pass, each counted once, at their most; weights and
  buffers apart. bf16 is the CPU's autocast, which leaves other layers in fp32 than a GPU's does. Gradients of
  activations and the kernels' workspaces are not counted.
- Arithmetic: 2 for each multiplication and addition of convolutions, matrix products and attention.
- Hours: at a quarter of an H100's 798 TFLOP/s in bf16; and what loading takes, which goes on at the same time.

Prints the rows of the table of docs/gpu.md.
"""

import argparse
import gc
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode, conv_flop_count, sdpa_backward_flop_count, sdpa_flop_count

from gpu_sections import random_faces
from mien.data.inspection.published import releases
from mien.data.options import DataOptions
from mien.engine.training.config import FitConfig, list_configs, resolve, stage_defaults
from mien.engine.training.setup import step_options
from mien.nn.inversion.names import recogniser_names
from mien.nn.iresnet import FaceRecogniser
from mien.nn.losses.lpips import _alex_layers
from mien.nn.losses.reconstruction import _vgg19_layers
from mien.systems.losses import LossMeter
from mien.systems.optim import OptimOptions, build_optimizer
from mien.systems.registry import create_model, stage_class
from mien.systems.stage import ParameterGroup, Stage

Shape = Any  # of a tensor, as torch's counter gives it
RATE = 798e12 / 4  # FLOP/s
LOADED = 3000  # faces/s: JPEG crops of 224 pixels with 14 workers (measured, docs/gpu.md)
GIB = 2**30
FACES = (2, 4)
# Of tensors without numbers, where more cost no more: some stages compare at least three pictures, or compute a single
# one in another way.
IMITATED_FACES = (4, 8)
ALTERNATES = {"synthesis": 2}  # stage -> steps after which its terms repeat, beside its options that end in `_every`
# Systems and stages whose steps take minutes on the CPU. Their tensors have no numbers (torch's fake tensors), which
# count the same; the others' have, which is quicker for small networks, and renderers and mixup look at them.
IMITATED = {"stylegan2", "asit", "can_face", "can_voice", "self_supervised", "fine_tune", "inversion"}
# (system, stage) -> the stage that takes the same steps on other data
ALIKE = {
    ("asit", "fine_tune"): "inversion", ("parface", "landmarks_3da"): "landmarks",
    ("parface", "landmarks_3da_encoder"): "landmarks_encoder",
}  # fmt: skip
AUXILIARY = ("vgg", "lpips_backbone", "lpips_heads", "recogniser")  # options that name a file of weights
COLUMNS = (
    "recipe", "batch", "activations in fp32, GiB", "in bf16, about", "weights, gradients, optimiser", "GFLOP a face",
    "faces x epochs", "hours on one H100", "hours of loading",
)  # fmt: skip
# Faces to train on where mien's table of published counts has none, or of another selection.
TRAIN_FACES = {
    "ferplus": 28_114,  # docs/data/ferplus.md, majority soft
    "celeba": 162_770,  # the set's own list_eval_partition.txt
    "vggface2": 3_140_000,  # Cao et al., FG 2018: 3.31 million, 0.17 of them to test; those below 100 pixels included
}


@dataclass(frozen=True)
class Cost:
    """Of a recipe."""

    kept: float
    """Bytes a face that the backward pass keeps, in fp32."""
    kept_bf16: float
    """The same under autocast."""
    flops: float
    """Of a face in one step, the mean over steps."""
    fixed: int
    """Bytes of all weights, gradients, optimisers and copies of the weights."""


# What is counted


class Kept(torch.autograd.graph.saved_tensors_hooks):
    """While it is open: the bytes that autograd keeps for backward passes, now and at most. apart: not counted."""

    def __init__(self, apart: Iterable[Tensor]) -> None:
        super().__init__(self._pack, lambda held: held.value)
        self._apart = {_place(value) for value in apart}
        self._users: Counter[int] = Counter()
        self.now = self.most = 0

    def _pack(self, value: Tensor) -> "_Held":
        place = _place(value)
        if place not in self._apart:
            self._users[place] += 1
            if self._users[place] == 1:
                self.now += value.untyped_storage().nbytes()
                self.most = max(self.most, self.now)
        return _Held(value, self)

    def let_go(self, value: Tensor) -> None:
        place = _place(value)
        if place not in self._apart:
            self._users[place] -= 1
            if not self._users[place]:
                self.now -= value.untyped_storage().nbytes()


class _Held:
    """A saved tensor; the graph drops it when nobody can ask for it any more."""

    def __init__(self, value: Tensor, kept: Kept) -> None:
        self.value, self.kept = value, kept

    def __del__(self) -> None:
        self.kept.let_go(self.value)


def _place(value: Tensor) -> int:
    return int(value.untyped_storage()._cdata)


def _convolution_backward(grad: Shape, x: Shape, weight: Shape, *rest: Any, out_shape: Any = None) -> int:
    """As many as forward for each gradient asked for. torch's own counts all pairs of channels of a grouped one."""
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, wanted = rest
    return sum(wanted[:2]) * conv_flop_count(x, weight, grad, transposed=transposed)


FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: _convolution_backward,
    # Attention's own kernel of the CPU, which torch does not know.
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu:
        lambda q, k, v, *rest, **more: sdpa_flop_count(q, k, v),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward:
        lambda grad, q, k, v, *rest, **more: sdpa_backward_flop_count(grad, q, k, v),
}  # fmt: skip


def counted(run: Callable[[], object], *, apart: Iterable[Tensor] = ()) -> tuple[int, int]:
    """(bytes that are kept at most, FLOPs) of one run, forward and backward passes within."""
    gc.collect()
    kept, counter = Kept(apart), FlopCounterMode(display=False, custom_mapping=FORMULAS)
    counter.mod_tracker = _NoModules()
    with kept, counter:
        run()
    return kept.most, counter.get_total_flops()


class _NoModules:
    """In place of the tracker that tells FLOPs apart by module, whose hooks refuse gradients of gradients."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


# The recipes


def recipes() -> list[str]:
    """The configs that are published, without small variants and chains."""
    return [name for name in list_configs() if "small" not in name]


def stage_of(config: FitConfig, auxiliary: Path) -> Stage:
    """The stage as `mien fit` builds it, with random weights and on no data. auxiliary: folder for files of weights."""
    kind = stage_class(config.system.name, config.stage.name)
    options = config.system.options | ({"legacy": True} if config.legacy else {})
    system = create_model(kind.system_name(config.system.name), **options)
    files = {name: str(auxiliary / f"{name}.pth") for name in AUXILIARY if hasattr(kind.options_class, name)}
    for name, file in files.items():
        if not Path(file).exists():
            torch.save(auxiliary_weights(name), file)
    stage = kind(
        system, options=config.stage.options | files, optim=config.optim, step=step_options(config),
        epochs=config.trainer.epochs,
    )  # fmt: skip
    stage.steps_per_epoch = 1000
    stage._trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    stage.train()
    return stage


def prepared(stage: Stage) -> AbstractContextManager[object]:
    """Makes the stage ready for steps that change no weight, to be taken in the context that is returned."""
    mode: AbstractContextManager[object] = nullcontext()
    if is_imitated(stage):
        mode = _imitated([stage, *stage.frozen().values()])
        stage.losses = _NoNumbers()
    optimizers = stage.configure_optimizers()
    stage.optimizers = lambda use_pl_optimizer=True: optimizers  # type: ignore[method-assign,assignment]
    for optimizer in stage._optimizers():
        getattr(optimizer, "base_optimizer", optimizer).step = lambda: None
    return mode


def is_imitated(stage: Stage) -> bool:
    return bool(IMITATED & {stage.system.name, stage.name})


def _imitated(modules: Iterable[nn.Module]) -> FakeTensorMode:
    """The mode that the weights and buffers of these modules now belong to."""
    mode, made = FakeTensorMode(), dict[int, Tensor]()
    for module in (part for whole in modules for part in whole.modules()):
        for held in (module._parameters, module._buffers):
            for name, value in held.items():
                if value is not None and not isinstance(value, FakeTensor):
                    held[name] = made.setdefault(id(value), mode.from_tensor(value))
    return mode


class _NoNumbers(LossMeter):
    """Of a stage without numbers. Its gates are asked after the arithmetic, and any answer will do."""

    def latest_values(self) -> dict[str, float]:
        return defaultdict(float)


def auxiliary_weights(option: str) -> dict[str, Tensor]:
    """Random weights, by released names, for the option of a stage that names the file of a network that losses look
    through."""
    if option == "lpips_heads":
        return {f"lin{i}.model.1.weight": torch.rand(1, n, 1, 1) for i, n in enumerate((64, 192, 384, 256, 256))}
    if option == "recogniser":
        recogniser = FaceRecogniser()
        released = recogniser_names(recogniser)
        return {released[name]: value for name, value in recogniser.state_dict().items()}
    layers = _vgg19_layers() if option == "vgg" else _alex_layers()[0]
    return {f"features.{name}": value for name, value in nn.Sequential(*layers).state_dict().items()}


def kinds_of_steps(stage: Stage) -> dict[int, float]:
    """Number of a step of each kind -> the share of such steps. Terms that are computed every n-th step divide them."""
    options = vars(stage.options)
    periods = {value for name, value in options.items() if name.endswith("_every")} | {ALTERNATES.get(stage.name, 1)}
    whole = math.lcm(*periods)
    kinds: dict[tuple[bool, ...], list[int]] = {}
    for step in range(whole):
        kinds.setdefault(tuple(step % period == 0 for period in sorted(periods)), []).append(step)
    return {steps[0]: len(steps) / whole for steps in kinds.values()}


def cost_of(stage: Stage) -> Cost:
    """Of one face in this stage's training steps."""
    kinds, fixed = kinds_of_steps(stage), fixed_bytes(stage)
    with prepared(stage):
        stage.step_options = replace(stage.step_options, bf16=False)
        found = {step: _a_face(stage, step) for step in kinds}
        fullest = max(kinds, key=lambda step: found[step][0])
        stage.step_options = replace(stage.step_options, bf16=True)
        half, _ = _a_face(stage, fullest)
    return Cost(found[fullest][0], half, sum(share * found[step][1] for step, share in kinds.items()), fixed)


def _a_face(stage: Stage, step: int) -> tuple[float, float]:
    """(bytes kept, FLOPs) that one more face adds to that step."""
    few, many = IMITATED_FACES if is_imitated(stage) else FACES
    first, second = (_step(stage, step, faces) for faces in (few, many))
    return (second[0] - first[0]) / (many - few), (second[1] - first[1]) / (many - few)


def _step(stage: Stage, step: int, faces: int) -> tuple[int, int]:
    torch.manual_seed(0)
    batch = random_faces(faces, stage.system.inputs)
    if hasattr(stage, "known_truth") and stage.known_truth:
        batch.face3d = torch.zeros(faces, len(stage.metric))
    batch = stage.transfer_batch_to_device(batch, torch.device("cpu"), 0)
    stage.position.step = step
    modules = nn.ModuleList([stage, *stage.frozen().values()])
    apart = [*modules.parameters(), *modules.buffers()]
    return counted(lambda: stage.training_step(batch, 0), apart=apart)


def fixed_bytes(stage: Stage) -> int:
    """Of weights (frozen networks and averages among them), gradients, SAM's copy, and the optimisers' state."""
    modules = nn.ModuleList([stage, *stage.frozen().values()])
    found = _bytes([*modules.parameters(), *modules.buffers()])
    for objective in stage.objectives():
        options = objective.optim or stage.optim_options
        copies = 1 + bool(options.sam_rho) + states_of(options)
        found += copies * _bytes(objective.parameters)
    return found


def states_of(options: OptimOptions) -> int:
    """How many tensors of its shape the optimiser keeps of a parameter."""
    parameter = nn.Parameter(torch.zeros(2, 2))
    parameter.grad = torch.zeros(2, 2)
    optimizer = build_optimizer(replace(options, sam_rho=0), [ParameterGroup([parameter])])
    optimizer.step()
    return sum(isinstance(v, Tensor) and v.shape == parameter.shape for v in optimizer.state[parameter].values())


def _bytes(values: Iterable[Tensor]) -> int:
    return sum(value.numel() * value.element_size() for value in values)


def train_faces(data: DataOptions) -> int | None:
    """That an epoch visits, where the set's size is published: without what is held out."""
    found = TRAIN_FACES.get(data.name)
    if found is None and (published := releases(data.name)):
        classes = f"{data.reader.get('classes', 8)} classes"
        splits = next((each for each in published if classes in each.name), published[0]).splits
        found = splits.get("train", splits.get("all", {})).get("all")
    held = data.val_fraction if data.val_split == "cut" else 0
    return None if found is None else round(found * (1 - held))


def row(name: str, config: FitConfig, cost: Cost) -> list[str]:
    """The cells of a recipe."""
    batch, epochs, faces = config.data.batch_size, config.trainer.epochs, train_faces(config.data)
    sizes = (_short(size / GIB) for size in (batch * cost.kept, batch * cost.kept_bf16, cost.fixed))
    known, hours = "not known", ["", ""]
    if faces is not None:
        known, seconds = f"{faces:,}", (cost.flops * faces * epochs / RATE, faces * epochs / LOADED)
        hours = [_short(each / 3600) for each in seconds]
    gigaflops = f"{cost.flops / 1e9:.3g}" if cost.flops < 1e12 else f"{cost.flops / 1e9:,.0f}"
    return [f"`{name}`", str(batch), *sizes, gigaflops, f"{known} x {epochs}", *hours]


def _short(value: float) -> str:
    """A tenth is as exact as it is."""
    return "under 0.1" if value < 0.05 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def deciding(config: FitConfig) -> str:
    """Equal for recipes whose steps cost the same."""
    optim, name = config.optim, config.stage.name
    options = vars(stage_class(config.system.name, name).options_from(config.stage.options))
    options = {name: value for name, value in options.items() if name not in ("monitor", "count_hidden")}
    stage = ALIKE.get((config.system.name, name), name), options
    return repr((config.system, stage, optim.name, optim.sam_rho, optim.ema, step_options(config)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAMES", help="of configs; all published ones without")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"| {' | '.join(COLUMNS)} |\n| {' | '.join('---' for _ in COLUMNS)} |")
    known = dict[str, Cost]()
    with tempfile.TemporaryDirectory() as folder:
        for name in args.names or recipes():
            config = resolve([name], {}, defaults=stage_defaults)
            if (key := deciding(config)) not in known:
                known[key] = cost_of(stage_of(config, Path(folder)))
            print(f"| {' | '.join(row(name, config, known[key]))} |", flush=True)


if __name__ == "__main__":
    main()
