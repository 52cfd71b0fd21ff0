"""If3D's two-trunk network exported and run by our runner, against eager fp32 in torch, as ratios of one run.

    python benchmarks/fusion.py [--fusion attention] [--batches 1 16] [--threads 2] [--repeats 5]

Eager is the released network (`legacy`): 32-bit, every norm on its own, contiguous. Both have the same random weights.
Variants take turns, and the shortest time of each counts. On a machine that others use too, `--cpu-time --threads 1`
counts this process's own time. `off` is the largest difference of a logit from
eager, as a share of the largest logit.
"""

import argparse
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

import poster_v2_torch as torch_benchmark
from mien import create_model
from mien.engine.export.command import DESCRIPTION, MODEL, export
from mien.engine.export.int8 import quantise
from mien.media.files import read_info, sha256_of, write_text
from mien.runtime.runner import Runner
from mien.systems.bundle import save_bundle
from poster_v2_runner import pictures, runners

SIZE = 112


def inputs(batch: int) -> dict[str, np.ndarray]:
    return {"image": pictures(batch, SIZE), "render": pictures(batch, SIZE)[..., ::-1].copy()}


def in_int8(folder: Path, threads: int) -> Runner:
    """The exported network as `mien export --int8` computes it, its ranges those of other random pictures."""
    quantise(folder / "bundle" / MODEL, folder / "bundle" / MODEL, [inputs(32)])
    info = read_info(folder / "bundle")
    files = info.files | {MODEL: sha256_of(folder / "bundle" / MODEL)}
    write_text(folder / "bundle" / DESCRIPTION, replace(info, files=files).to_json())
    return Runner(folder / "bundle", threads=threads, backend="onnxruntime")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fusion", choices=("attention", "linear", "gate", "spp"), default="attention")
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--cpu-time", action="store_true", help="process time in place of wall time")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu_time:
        torch_benchmark.clock = time.process_time
    torch.manual_seed(0)
    network = create_model("if3d", fusion=args.fusion, legacy=True).eval()

    def eager(given: dict[str, np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return network(*(torch.from_numpy(given[name]) for name in ("image", "render")))["expression"].numpy()

    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder) / "bundle", network)
        export(f"{folder}/bundle")
        variants = {"eager fp32": eager} | dict(runners(Path(folder) / "bundle", args.threads))
        variants["onnxruntime int8"] = in_int8(Path(folder), args.threads)
        for batch in args.batches:
            given = inputs(batch)
            runs = {name: partial(run, given) for name, run in variants.items()}
            found = {name: run() for name, run in runs.items()}
            wanted = found["eager fp32"]
            off = {name: np.abs(values - wanted).max() / np.abs(wanted).max() for name, values in found.items()}
            notes = {name: f"off {share:.1e}" for name, share in off.items()}
            seconds = torch_benchmark.timed(runs, args.repeats)
            torch_benchmark.report(f"{args.fusion}, batch {batch}, {args.threads} threads", seconds, notes)


if __name__ == "__main__":
    main()
