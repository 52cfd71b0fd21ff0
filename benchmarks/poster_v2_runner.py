"""POSTER V2 exported and run by our runner, against the published way (eager fp32 in torch), as ratios of one run.

    python benchmarks/poster_v2_runner.py [--batches 1 16] [--threads 2] [--repeats 7]

Both have the same scrambled weights (benchmarks/poster_v2_torch.py). Variants take turns, and the shortest time of each
counts. On a machine that others use too, `--cpu-time --threads 1` counts this process's own time and gives steadier
ratios. `off` is the largest difference of a logit from the published fp32 ones, beside the largest logit, on smooth
random pictures; `same class` counts 16 of them.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch

import poster_v2_torch as torch_benchmark
from mien.core.errors import MienError
from mien.engine.export.command import export
from mien.runtime.runner import Runner
from mien.systems.bundle import save_bundle

VARIANTS = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "bf16"))


def runners(bundle: Path, threads: int) -> Iterator[tuple[str, Runner]]:
    for backend, precision in VARIANTS:
        try:
            yield f"{backend} {precision}", Runner(bundle, threads=threads, backend=backend, precision=precision)
        except MienError as error:
            print(f"  without {backend} {precision}: {error}")


def pictures(count: int, size: int) -> np.ndarray:
    """Smooth random pictures of unit variance, float32 [count, 3, size, size]."""
    coarse = torch.randn(count, 3, 9, 9, generator=torch.Generator().manual_seed(1))
    fine = torch.nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")
    return (fine / fine.std()).numpy()


def accuracy(published: Callable[[np.ndarray], np.ndarray], variants: dict[str, Runner], size: int) -> dict[str, str]:
    x = pictures(16, size)
    wanted = np.concatenate([published(part) for part in np.split(x, 2)])
    notes = {}
    for name, run in variants.items():
        got = np.concatenate([run(part) for part in np.split(x, 2)])
        off, same = np.abs(got - wanted).max(), (got.argmax(1) == wanted.argmax(1)).mean()
        notes[name] = f"off {off:.1e} (largest logit {np.abs(wanted).max():.2f}), same class {100 * same:.0f} %"
    return notes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--cpu-time", action="store_true", help="process time in place of wall time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu_time:
        torch_benchmark.clock = time.process_time
    network, ours = torch_benchmark.networks()

    def published(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(x)).numpy()

    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder) / "bundle", ours)
        print(export(f"{folder}/bundle").splitlines()[0].rpartition("/")[2])
        variants = dict(runners(Path(folder) / "bundle", args.threads))
        notes = accuracy(published, variants, 224)
        for batch in args.batches:
            compare(batch, {"published, eager fp32": published, **variants}, notes, args)


def compare(batch: int, variants: dict[str, Callable], notes: dict[str, str], args: argparse.Namespace) -> None:
    x = pictures(batch, 224)
    runs = {name: partial(run, x) for name, run in variants.items()}
    for run in runs.values():
        run()
    repeats = args.repeats if batch == 1 else max(3, args.repeats // 2)
    seconds = torch_benchmark.timed(runs, repeats)
    torch_benchmark.report(f"forward, batch {batch}, {args.threads} threads", seconds, notes)


if __name__ == "__main__":
    main()
