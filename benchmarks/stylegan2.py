"""StyleGAN2's generator and ASIT's encoder: ours against the published way of computing them, as ratios of one run.

    python benchmarks/stylegan2.py [--batches 1 4] [--threads 2] [--repeats 3] [--half] [--compile] [--openvino]
        [--encoder BATCH] [--no-memory]

Generator: 256 pixels from codes with stored noise, random weights in which noise and biases matter. `off` is the
largest difference from the published fp32 picture, as a share of the largest pixel. Variants take turns and the
shortest time of each counts; both wall time and this process's CPU time are shown, since only the latter is steady on a
machine that others use. Memory: the peak of a process of its own that runs one forward, less what it held with model
and inputs. Half precision pays on CPUs with AMX alone: --half asks for it elsewhere.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from mien.nn.inversion.encoders import AsitEncoder
from mien.nn.stylegan2.generator import Generator
from published_stylegan2 import PublishedEncoder, PublishedGenerator

WIDTHS = [512, 512, 512, 512, 512, 256, 128]
Run = Callable[[], object]


class Pictures(nn.Module):
    def __init__(self, generator: Generator) -> None:
        super().__init__()
        self.generator = generator

    def forward(self, codes: Tensor) -> Tensor:
        return self.generator(codes).image


def generator() -> Generator:
    torch.manual_seed(0)
    net = Generator(size=256).eval().requires_grad_(False)
    for name, p in net.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            p.add_(0.1 * torch.randn_like(p))
    return net


def published(ours: Generator) -> PublishedGenerator:
    net = PublishedGenerator(WIDTHS).eval().requires_grad_(False)
    net.copy_from(ours)
    return net


def timed(runs: dict[str, Run], repeats: int) -> dict[str, tuple[float, float]]:
    """(wall, CPU) seconds of the fastest run of each; they take turns."""
    best = {name: (float("inf"), float("inf")) for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best[name] = (min(best[name][0], wall), min(best[name][1], cpu))
    return best


def report(title: str, seconds: dict[str, tuple[float, float]], notes: dict[str, str]) -> None:
    wall, cpu = next(iter(seconds.values()))
    print(f"\n{title}")
    for name, (w, c) in seconds.items():
        print(
            f"  {name:36s} wall {1000 * w:8.0f} ms {wall / w:6.2f}x   CPU {1000 * c:8.0f} ms {cpu / c:6.2f}x"
            f"   {notes.get(name, '')}",
            flush=True,
        )


def openvino_run(net: Generator, codes: Tensor) -> Callable[[], Tensor]:
    import openvino

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generator.onnx"
        torch.onnx.export(Pictures(net).eval(), (codes,), path, dynamo=True, verbose=False, external_data=False)
        threads = {"INFERENCE_NUM_THREADS": torch.get_num_threads()}
        compiled = openvino.Core().compile_model(path, "CPU", threads)
    return lambda: torch.from_numpy(compiled(codes.numpy())[0])


@torch.no_grad()
def compare_generator(batch: int, options: argparse.Namespace) -> None:
    ours = generator()
    theirs, lean = published(ours), ours.for_inference()
    codes = torch.randn(batch, ours.style_count, 512)
    runs: dict[str, Callable[[], Tensor]] = {
        "published, eager fp32": lambda: theirs(codes),
        "ours, eager fp32": lambda: ours(codes).image,
        "ours for_inference, eager fp32": lambda: lean(codes).image,
    }
    if options.half:
        half = ours.for_inference().to(torch.bfloat16).to(memory_format=torch.channels_last)
        runs["ours for_inference, bf16"] = lambda: half(codes.bfloat16()).image
    if options.compile:
        fast = torch.compile(lean, dynamic=False, options={"freezing": True})
        runs["ours for_inference, compiled fp32"] = lambda: fast(codes).image
    if options.openvino:
        runs["ours exported, OpenVINO"] = openvino_run(ours, codes)
    want = theirs(codes)
    notes = {}
    for name, run in runs.items():
        notes[name] = f"off {(run().float() - want).abs().max() / want.abs().max():.1e}"
    report(
        f"generator 256, batch {batch}, {torch.get_num_threads()} threads", timed(dict(runs), options.repeats), notes
    )


@torch.no_grad()
def compare_encoder(batch: int, options: argparse.Namespace) -> None:
    """At the published sizes; half precision and shared heads are ours."""

    def built(**more: bool) -> AsitEncoder:
        torch.manual_seed(0)
        return AsitEncoder(legacy=True, **more).eval().requires_grad_(False)

    ours, theirs, shared = built(), PublishedEncoder(built()), built(shared_heads=True)
    ours.trunk.freeze_biases()
    shared.trunk.freeze_biases()
    image = torch.randn(batch, 3, 256, 256)
    want = theirs(image)
    runs: dict[str, Callable[[], Tensor]] = {
        "published, eager fp32": lambda: theirs(image),
        "ours, eager fp32": lambda: ours(image).codes,
        "ours, shared heads (another network)": lambda: shared(image).codes,
    }
    notes = {"ours, eager fp32": f"off {(ours(image).codes - want).abs().max() / want.abs().max():.1e}"}
    report(f"ASIT encoder, batch {batch}, {torch.get_num_threads()} threads", timed(dict(runs), options.repeats), notes)


@torch.no_grad()
def run_once(which: str, batch: int) -> None:
    """In a process of its own: memory held before one forward and at the peak, MB."""
    ours = generator()
    net = published(ours) if which == "published" else ours.for_inference()
    del ours
    codes = torch.randn(batch, 14, 512)
    held = _status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    net(codes)
    print(held, _status("VmHWM"))


def _status(key: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) / 1024
    raise SystemExit(f"no {key} in /proc/self/status")


def compare_memory(batch: int, options: argparse.Namespace) -> None:
    print(f"\npeak memory of one forward, batch {batch}")
    first = 0.0
    for which in ("published", "ours"):
        command = [
            sys.executable,
            __file__,
            "--once",
            which,
            "--batches",
            str(batch),
            "--threads",
            str(options.threads),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
        held, peak = map(float, done.stdout.split())
        first = first or peak - held
        print(f"  {which:10s} {peak - held:7.0f} MB above the {held:.0f} MB of process and model: "
              f"{(peak - held) / first:.2f} of the published", flush=True)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--half", action="store_true")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--openvino", action="store_true")
    parser.add_argument("--encoder", type=int, default=0, metavar="BATCH")
    parser.add_argument("--no-memory", dest="memory", action="store_false")
    parser.add_argument("--once", choices=("published", "ours"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.once:
        run_once(options.once, options.batches[0])
        return
    for batch in options.batches:
        compare_generator(batch, options)
        if options.memory:
            compare_memory(batch, options)
    if options.encoder:
        compare_encoder(options.encoder, options)


if __name__ == "__main__":
    main()
