"""What gpu.py measures of POSTER V2 and ParFace-Net: one generator of rows a section."""

import copy
import re
import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import lightning as L
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from mien.core.records import Batch
from mien.core.spec import Input, PictureInput
from mien.data.datamodule import FaceDataModule
from mien.data.options import DataOptions
from mien.engine.training.loop import ResumableData
from mien.media.parallel.limits import cores
from mien.nn.losses.reconstruction import _vgg19_layers
from mien.synthetic.drawn import draw_face
from mien.systems.optim import OptimOptions
from mien.systems.registry import create_model, stage_class
from mien.systems.stage import Stage, StepOptions
from parface_heatmaps import published_decode, published_targets
from poster_v2_torch import autocast, bf16, networks, plain, published_step
from published_poster_v2 import DEPTHS, PublishedPosterV2

Row = dict[str, Any]
SHALLOW = (1, 1, 1)
TINY_POSTER = {
    "input_size": 32, "trunk_size": 32, "stem": 8, "widths": [8, 16, 24], "landmark_widths": [8, 16, 16],
    "landmark_features": 16, "landmark_depths": [1, 1, 1], "head_dim": 8, "token_width": 16, "vit_heads": 2,
    "vit_depth": 1,
}  # fmt: skip
TINY_PARFACE = {"size": 128, "width": 0.125, "latent": 12}
# Names of kernels that multiply matrices or convolve; those that only change a layout are none.
PRODUCTS = re.compile(r"gemm|conv|xmma|cutlass|cudnn|nvjet|fmha|flash|attention|wgrad|dgrad|depthwise|splitk", re.I)
NO_PRODUCTS = re.compile(r"^triton_|nchwtonhwc|nhwctonchw|elementwise|batch_norm|bn_fw|bn_bw", re.I)


class Bench:
    """Where and how often is measured. dry: each thing once, tiny, which shows that it runs and nothing else."""

    def __init__(self, device: str, *, dry: bool) -> None:
        self.device, self.dry, self.cuda = torch.device(device), dry, device == "cuda"
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.benchmark_limit = 4  # of those that cuDNN ranks first; all take a minute
        torch.manual_seed(0)
        if dry:
            torch.set_num_threads(1)

    def ms(self, run: Callable[[], object], *, seconds: float = 1.0) -> float:
        """Median of one run, after warm-up; at most about so many seconds."""
        if self.dry or not self.cuda:
            start = time.perf_counter()
            run()
            return 1000 * (time.perf_counter() - start)
        for _ in range(3):
            run()
        first = self._events(run, 1)[0]
        return statistics.median(self._events(run, int(min(200, max(7, 1000 * seconds / first)))))

    def _events(self, run: Callable[[], object], count: int) -> list[float]:
        events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in range(count)]
        for start, end in events:
            start.record()
            run()
            end.record()
        torch.cuda.synchronize()
        return [start.elapsed_time(end) for start, end in events]

    def row(self, what: str, run: Callable[[], object], *, pictures: int, first: float | None = None) -> Row:
        """Time, memory and, against the time of the first row, how many times as fast."""
        if self.cuda:
            torch.cuda.synchronize()
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        ms = self.ms(run)
        found = {"what": what, "ms": ms, "pictures/s": 1000 * pictures / ms, "times as fast": (first or ms) / ms}
        return found | ({"GiB": torch.cuda.max_memory_allocated() / 2**30} if self.cuda else {})

    def compiled(self, network: nn.Module) -> Callable[..., Any]:
        return network if self.dry else torch.compile(network, dynamic=False)

    def graph(self, run: Callable[[], object]) -> Callable[[], object]:
        """The same work as one CUDA graph, without launches from Python."""
        if not self.cuda:
            return run
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                run()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            run()
        return graph.replay

    def peak(self) -> float:
        """TFLOP/s of a bf16 matrix product on random numbers."""
        side = 128 if self.dry else 8192
        a, b = (torch.randn(side, side, device=self.device, dtype=torch.bfloat16) for _ in range(2))
        return 2 * side**3 / self.ms(lambda: a @ b) / 1e9


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = allowed
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


# POSTER V2


@torch.inference_mode()
def poster_forward(bench: Bench, *, batch: int) -> Iterator[Row]:
    batch = 2 if bench.dry else batch
    peak = bench.peak()
    yield {
        "what": "bf16 matrix product, 8192 x 8192 x 8192",
        "TFLOP/s": peak,
        "of bf16 peak": 1.0,
        "note": _card(bench),
    }
    found = networks(SHALLOW, **TINY_POSTER) if bench.dry else networks()
    published, ours = (network.to(bench.device) for network in found)
    lean = ours.for_inference()
    half = copy.deepcopy(lean).to(torch.bfloat16)
    x = torch.randn(batch, 3, 224, 224, device=bench.device).contiguous(memory_format=torch.channels_last)
    own = F.interpolate(x, size=ours.picture.size) if bench.dry else x
    with FlopCounterMode(display=False) as counter:
        lean(own)
    flops = counter.get_total_flops()  # of convolutions, matrix products and attention
    with tf32(False):
        want = published(x)
    first: float | None = None
    compiled = bf16(bench.compiled(half))
    variants: list[tuple[str, Callable[[Tensor], Tensor], bool, bool]] = [  # name, network, TF32, as a graph
        ("published, eager fp32", plain(published), False, False),
        ("published, eager fp32, TF32", plain(published), True, False),
        ("published, bf16 autocast", autocast(published), False, False),
        ("ours, eager fp32", plain(lean), False, False),
        ("ours, bf16, graph", bf16(half), False, True),
        ("ours, bf16, compiled", compiled, False, False),
        ("ours, bf16, compiled, graph", compiled, False, True),
        ("ours, bf16 autocast, compiled", autocast(bench.compiled(lean)), False, False),
    ]
    if bench.dry:  # the published network computes the same with TF32, and bf16 takes a CPU seconds
        variants = [
            variant
            for variant in variants
            if variant[0] not in ("published, eager fp32, TF32", "published, bf16 autocast")
        ]
    for name, network, allowed, graphed in variants[: 7 if batch != 256 else 8]:
        with tf32(allowed):
            given = x.contiguous() if name.startswith("published") else own  # as released: channels first
            got = network(given).float()
            run = partial(network, given)
            row = bench.row(name, bench.graph(run) if graphed else run, pictures=batch, first=first)
        first = first or row["ms"]
        rate = flops / row["ms"] / 1e9
        off = float((got - want).abs().max() / want.abs().max())
        yield row | {"TFLOP/s": rate, "of bf16 peak": rate / peak, "note": f"off by {off:.1e} of the largest logit"}
    yield from _kernels(bench, partial(compiled, own), flops=flops, peak=peak)


def _card(bench: Bench) -> str:
    return f"{torch.cuda.get_device_name()}, torch {torch.__version__}" if bench.cuda else f"torch {torch.__version__}"


def _kernels(bench: Bench, run: Callable[[], object], *, flops: float, peak: float, count: int = 12) -> Iterator[Row]:
    """Where the time goes on the GPU: all products together, the rest, and the longest kernels."""
    if not bench.cuda:
        return
    run()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(3):
            run()
        torch.cuda.synchronize()
    spent = {e.key: e.self_device_time_total / 3000 for e in profile.key_averages() if e.self_device_time_total}
    products = sum(ms for key, ms in spent.items() if PRODUCTS.search(key) and not NO_PRODUCTS.search(key))
    rate = flops / products / 1e9 if products else 0.0
    note = "FLOPs over the time of these kernels alone"
    yield {"what": "its convolutions and products", "ms": products, "TFLOP/s": rate, "of bf16 peak": rate / peak,
           "note": note}  # fmt: skip
    yield {"what": "its other kernels", "ms": sum(spent.values()) - products}
    for key in sorted(spent, key=spent.__getitem__, reverse=True)[:count]:
        yield {"what": f"kernel {key[:90]}", "ms": spent[key]}


def poster_step(bench: Bench, *, batch: int) -> Iterator[Row]:
    """The published recipe: SAM around Adam, two passes forward and backward."""
    batch = 2 if bench.dry else batch
    x, y = torch.randn(batch, 3, 224, 224, device=bench.device), torch.arange(batch, device=bench.device) % 7
    first: float | None = None
    plans = (("eager fp32", False, False), ("eager fp32, TF32", True, False), ("bf16", False, True))
    for name, allowed, half in plans[: 1 if bench.dry else 3]:
        torch.manual_seed(0)
        network = PublishedPosterV2(7, SHALLOW if bench.dry else DEPTHS).to(bench.device).train()
        step = published_step(network, x, y, half=half)
        with tf32(allowed):
            row = bench.row(f"published, {name}", step, pictures=batch, first=first)
        first = first or row["ms"]
        yield row
        del step, network
    flops = 0.0
    own: dict[str, Row] = {
        "eager fp32": {}, "bf16": {"bf16": True}, "bf16, graph": {"bf16": True, "cuda_graph": True},
        "bf16, compiled, graph": {"bf16": True, "cuda_graph": True, "compile": True},
    }  # fmt: skip
    for name, step_options in list(own.items())[: 2 if bench.dry else 4]:
        step = own_step(
            bench, "poster_v2", "expression", step_options=step_options, batch=batch, sam_rho=0.05,
            system_options={"depths": SHALLOW, **TINY_POSTER} if bench.dry else {},
        )  # fmt: skip
        if not flops:
            with FlopCounterMode(display=False) as counter:
                step()
            flops = counter.get_total_flops()
        with tf32(False):
            row = bench.row(f"ours, {name}", step, pictures=batch, first=first)
        yield row | {"TFLOP/s": flops / row["ms"] / 1e9}
        if name.endswith("graph"):
            yield from _kernels(bench, step, flops=flops, peak=bench.peak())


def own_step(
    bench: Bench, system: str, stage: str, *, step_options: Row, batch: int, sam_rho: float = 0.0,
    system_options: Row | None = None, **options: Any,
) -> Callable[[], None]:  # fmt: skip
    """One step of a stage as `mien fit` takes it, on a batch that is on the device."""
    kind = stage_class(system, stage)
    torch.manual_seed(0)
    network = create_model(kind.system_name(system), **(system_options or {}))
    own = kind.default_optim
    optim = OptimOptions(name=own.name, lr=own.lr, betas=own.betas, schedule="constant", sam_rho=sam_rho)
    built = kind(
        network, options=options, optim=optim, epochs=1, step=StepOptions(**step_options)
    ).to(bench.device)  # fmt: skip
    built.steps_per_epoch = 1000
    optimizers = built.configure_optimizers()
    built.optimizers = lambda use_pl_optimizer=True: optimizers  # type: ignore[method-assign]
    built._trainer = SimpleNamespace(world_size=1, global_rank=0)  # type: ignore[assignment]
    faces = built.transfer_batch_to_device(random_faces(batch, network.inputs), bench.device, 0)
    built.train()
    return lambda: built.training_step(faces, 0)


def random_faces(count: int, inputs: Mapping[str, Input]) -> Batch[Tensor]:
    """Random pictures and voices with every label that a stage may ask for."""
    points, given = (
        0.2 + 0.6 * torch.rand(count, 68, 2),
        {n: torch.rand(count, *i.shape) - 0.4 for n, i in inputs.items()},
    )
    depth = 0.1 * torch.randn(count, 68)
    return Batch(
        image=given.get("image", torch.zeros(count, 3, 8, 8)), render=given.get("render"), voice=given.get("voice"),
        index=torch.arange(count), expression=torch.arange(count) % 7, affect=2 * torch.rand(count, 2) - 1,
        landmarks=points, depth=depth - depth.mean(1, keepdim=True), visible=torch.ones(count, 68),
    )  # fmt: skip


# Pictures on their way


def pictures_to_gpu(bench: Bench) -> Iterator[Row]:
    """Shards of JPEG crops, read, augmented and copied by the data module; alone, then under `mien fit`'s own step."""
    batch, steps, workers = (4, 3, 0) if bench.dry else (144, 120, max(1, min(cores() - 2, 14)))
    with tempfile.TemporaryDirectory() as top:
        _write_shard(Path(top), faces=batch * steps, kinds=4 if bench.dry else 64)
        options = DataOptions(name="manifest", root=top, batch_size=batch, workers=workers, leaks="ignore")
        yield _loading(bench, options)
        plans = [("bf16, graph", 0.05, True), ("bf16", 0.05, False), ("bf16, graph, without SAM", 0.0, True)]
        for name, sam_rho, graph in plans[: 1 if bench.dry else 3]:
            yield _training(bench, options, name=name, sam_rho=sam_rho, graph=graph)


def _write_shard(folder: Path, *, faces: int, kinds: int) -> None:
    """What `mien data prepare --format shards` makes, with its table as CSV: JPEG of 224 pixels at quality 95."""
    random, spans = np.random.default_rng(0), []
    with tarfile.open(folder / "train-00000.tar", "w") as shard:
        for i in range(kinds):
            pixels, _ = draw_face("happiness", random, size=224)
            grain = random.normal(0, 6, pixels.shape)  # as much to decode as in a photograph
            content = cv2.imencode(".jpg", np.clip(pixels + grain, 0, 255).astype(np.uint8), (1, 95))[1].tobytes()
            entry = tarfile.TarInfo(f"{i}.jpg")
            entry.size = len(content)
            spans.append((shard.offset + tarfile.BLOCKSIZE, len(content)))
            shard.addfile(entry, BytesIO(content))
    names = ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral")
    lines = ["path,offset,length,expression,split,key"]
    for i in range(faces + 14):
        split = "train" if i < faces else "val"
        lines.append(f"train-00000.tar,{spans[i % kinds][0]},{spans[i % kinds][1]},{names[i % 7]},{split},{i}")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _module(bench: Bench, options: DataOptions) -> FaceDataModule:
    data = FaceDataModule(options, PictureInput(size=224), options.target_labels())
    data.pin_memory = bench.cuda
    data.setup("fit")
    return data


def _loading(bench: Bench, options: DataOptions) -> Row:
    data = _module(bench, options)
    loader = data.train_dataloader()
    loader.batch_sampler.sampler.set_epoch(0)  # type: ignore[union-attr]
    faces, began = 0, 0.0
    for number, batch in enumerate(loader):
        batch.map(lambda value: value.to(bench.device, non_blocking=True))
        if number == 0:  # the workers have started
            began = time.perf_counter()
        else:
            faces += len(batch)
    if bench.cuda:
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    note = f"{options.workers} workers on {cores()} cores"
    return {"what": "loader to device, no training", "pictures/s": faces / seconds, "note": note}


class Gaps(L.Callback):
    """When steps begin and end on the device; what lies between two is waiting for data (and the loop around them)."""

    def __init__(self, bench: Bench) -> None:
        self.bench, self.marks = bench, list[Any]()

    def _mark(self) -> None:
        if self.bench.cuda:
            event = torch.cuda.Event(enable_timing=True)
            event.record()
            self.marks.append(event)
        else:
            self.marks.append(time.perf_counter())

    def on_train_batch_start(self, *_: Any) -> None:
        self._mark()

    def on_train_batch_end(self, *_: Any) -> None:
        self._mark()

    def shares(self, *, skip: int) -> tuple[float, float]:
        """(seconds from the start of step `skip` to the end of the last, share of them between steps)."""
        if self.bench.cuda:
            torch.cuda.synchronize()
        starts, ends = self.marks[0::2][skip:], self.marks[1::2][skip:]
        busy = sum(self._between(start, end) for start, end in zip(starts, ends, strict=True))
        whole = self._between(starts[0], ends[-1])
        return whole, 1 - busy / whole

    def _between(self, start: Any, end: Any) -> float:
        return start.elapsed_time(end) / 1000 if self.bench.cuda else end - start


def _training(bench: Bench, options: DataOptions, *, name: str, sam_rho: float, graph: bool) -> Row:
    system = create_model("poster_v2_small" if bench.dry else "poster_v2", labels="rafdb", color="rgb", input_size=224)
    kind: type[Stage] = stage_class("poster_v2", "expression")
    stage = kind(
        system, options={}, optim=OptimOptions(sam_rho=sam_rho), epochs=1, step=StepOptions(bf16=True, cuda_graph=graph)
    )
    data, gaps = _module(bench, options), Gaps(bench)
    stage.validation_samples = data.selection.val
    trainer = L.Trainer(
        max_epochs=1, accelerator="gpu" if bench.cuda else "cpu", devices=1, callbacks=[gaps], logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
        limit_val_batches=0, use_distributed_sampler=False, benchmark=True,
    )  # fmt: skip
    trainer.fit(stage.train(), datamodule=ResumableData(data, stage))
    skip = min(2 * options.workers + 6, len(gaps.marks) // 4)  # what was loaded while the first step was recorded
    seconds, idle = gaps.shares(skip=skip)
    faces = options.batch_size * (len(gaps.marks) // 2 - skip)
    note = f"GPU waits {100 * idle:.1f} % of the time between steps; {options.workers} workers"
    return {"what": f"training from shards, {name}", "pictures/s": faces / seconds, "idle": idle, "note": note}


# ParFace-Net


def parface_forward(bench: Bench, *, batch: int) -> Iterator[Row]:
    batch, options = (2, TINY_PARFACE) if bench.dry else (batch, {})
    torch.manual_seed(0)
    network = create_model("parface_3d", discriminators=(), **options).eval().to(bench.device)
    lean = network.for_inference()
    x = torch.rand(batch, 3, network.picture.size, network.picture.size, device=bench.device) - 0.4
    first: float | None = None
    with torch.inference_mode():
        for name, net, half, allowed in (
            ("eager fp32", network, False, False),
            ("for_inference, fp32, TF32", lean, False, True),
            ("for_inference, bf16 autocast", lean, True, False),
        ):

            def run(net: nn.Module = net, half: bool = half) -> Any:
                with torch.autocast(bench.device.type, torch.bfloat16, enabled=half):
                    return net(x)

            with tf32(allowed):
                row = bench.row(f"forward, {name}", run, pictures=batch, first=first)
            first = first or row["ms"]
            yield row
    points = np.random.default_rng(0).random((batch, 68, 2), np.float32) * 128
    maps = published_targets(points)
    for name, action in (("targets", lambda: published_targets(points)), ("decoding", lambda: published_decode(maps))):
        start = time.perf_counter()
        action()
        ms = 1000 * (time.perf_counter() - start)
        yield {"what": f"published heat-map {name}, on the CPU", "ms": ms, "pictures/s": 1000 * batch / ms}


def parface_steps(bench: Bench) -> Iterator[Row]:
    """Each stage's step at its recipe's batch; fp32 without TF32 is how it was published."""
    with tempfile.TemporaryDirectory() as top:
        vgg = Path(top) / "vgg19.pth"
        layers = nn.Sequential(*_vgg19_layers())
        torch.save({f"features.{name}": value for name, value in layers.state_dict().items()}, vgg)
        pictures = {"perceptual": 0.1, "vgg": str(vgg), "adversarial": 0.001}
        for stage in ("landmarks", "landmarks_encoder", "depth", "self_supervised", "fine_tune", "inversion"):
            unlabelled = stage in ("self_supervised", "fine_tune", "inversion")
            batch = 2 if bench.dry else 32 if unlabelled else 40
            system_options = (TINY_PARFACE if bench.dry else {}) | ({} if unlabelled else {"discriminators": ()})
            first: float | None = None
            # VGG-19 in bf16 takes a minute a step on a CPU without AMX or AVX-512, so a dry run leaves it out.
            for half in (False,) if bench.dry and unlabelled else (False, True):
                options = pictures if unlabelled else {}
                step_options = {"bf16": half}
                step = own_step(
                    bench,
                    "parface",
                    stage,
                    step_options=step_options,
                    batch=batch,
                    system_options=system_options,
                    **options,
                )
                with tf32(False):
                    row = bench.row(f"{stage}, {'bf16' if half else 'fp32'}", step, pictures=batch, first=first)
                first = first or row["ms"]
                yield row


@dataclass(frozen=True)
class Section:
    run: Callable[[Bench], Iterator[Row]]
    """What is measured, row by row."""
    share: float
    """Of the time, beside those of the sections after it."""
    systems: tuple[str, ...]
    """Registered names without which it is skipped."""
    packages: tuple[str, ...] = ("lightning",)
