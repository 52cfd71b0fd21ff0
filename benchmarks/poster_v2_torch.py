"""POSTER V2 in torch: our forward and SAM step against the published way of computing them, as ratios of one run.

    python benchmarks/poster_v2_torch.py [--batches 1 16] [--threads 2] [--repeats 5] [--no-compile] [--train BATCH]

Variants take turns, and the shortest time of each counts. On a machine that others use too, `--cpu-time --threads 1`
counts this process's own time and gives steadier ratios. Compilation is warm-up and is not timed. Weights are random
with norms and scales made to matter; `off` is the largest difference from the published fp32 logits, as a share of the
largest of them, on random pictures.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mien import create_model
from mien.nn.sam import SAM, frozen_batch_norm
from mien.systems.poster_v2.official_names import to_official
from published_poster_v2 import DEPTHS, PublishedPosterV2


def networks(depths: tuple[int, int, int] = DEPTHS, **options: Any) -> tuple[nn.Module, nn.Module]:
    """(published, ours) in eval mode, at the published depths of the image backbone both with the same scrambled
    weights. options: of ours, for a dry run."""
    torch.manual_seed(0)
    ours = create_model("poster_v2", num_classes=7, legacy=True, depths=depths, **options).eval()
    with torch.no_grad():
        for name, tensor in ours.state_dict().items():
            if name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
            elif "gamma" in name:
                tensor.fill_(0.3)
            elif tensor.is_floating_point() and tensor.ndim < 2:
                tensor.add_(0.1 * torch.randn_like(tensor))
    published = PublishedPosterV2(7, depths).eval()
    if depths == DEPTHS:
        published.load_state_dict(to_official(ours))
    return published, ours


def logits(found: Tensor | dict[str, Tensor]) -> Tensor:
    """Of the published network, which gives them alone, or of ours, which names them."""
    return found if isinstance(found, Tensor) else found["expression"]


def plain(network: Callable) -> Callable[[Tensor], Tensor]:
    return lambda x: logits(network(x))


def autocast(network: Callable) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, torch.bfloat16):
            return logits(network(x))

    return run


def bf16(network: Callable) -> Callable[[Tensor], Tensor]:
    return lambda x: logits(network(x.to(torch.bfloat16)))


def forward_variants(published: nn.Module, ours: nn.Module, *, compiled: bool) -> dict[str, Callable[[Tensor], Tensor]]:
    lean = ours.for_inference()
    half = ours.for_inference().to(torch.bfloat16)
    variants = {
        "published, eager fp32": plain(published),
        "published, bf16 autocast": autocast(published),
        "ours, eager fp32": plain(ours),
        "ours for_inference, fp32": plain(lean),
        "ours for_inference, bf16 autocast": autocast(lean),
        "ours for_inference, bf16": bf16(half),
    }
    if compiled:
        fast, fast_half = (torch.compile(net, dynamic=False, options={"freezing": True}) for net in (lean, half))
        variants |= {
            "ours for_inference, compiled fp32": plain(fast),
            "ours for_inference, compiled bf16": bf16(fast_half),
        }
    return variants


clock = time.perf_counter


def timed(variants: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds of the fastest run of each; the variants take turns."""
    best = dict.fromkeys(variants, float("inf"))
    for _ in range(repeats):
        for name, run in variants.items():
            start = clock()
            run()
            best[name] = min(best[name], clock() - start)
    return best


def report(title: str, seconds: dict[str, float], notes: dict[str, str] | None = None) -> None:
    first = next(iter(seconds.values()))
    print(f"\n{title}")
    for name, value in seconds.items():
        print(f"  {name:38s} {1000 * value:9.1f} ms   {first / value:5.2f}x   {(notes or {}).get(name, '')}")


@torch.inference_mode()
def compare_forward(batch: int, repeats: int, *, compiled: bool) -> None:
    published, ours = networks()
    x = torch.randn(batch, 3, 224, 224).contiguous(memory_format=torch.channels_last)
    want = published(x)
    variants = forward_variants(published, ours, compiled=compiled)
    notes = {}
    for name, run in variants.items():
        got = run(x).float()  # warm-up, and compilation
        off, same = (got - want).abs().max() / want.abs().max(), (got.argmax(1) == want.argmax(1)).float().mean()
        notes[name] = f"off {off:.1e}, same class {100 * same:.0f} %"
    report(f"forward, batch {batch}", timed({n: lambda r=r: r(x) for n, r in variants.items()}, repeats), notes)


def published_step(network: nn.Module, x: Tensor, y: Tensor, *, half: bool = False) -> Callable[[], None]:
    """SAM around Adam over all parameters, BatchNorm moving in both passes, as released (in fp32)."""
    sam = SAM(torch.optim.Adam(network.parameters(), lr=3.5e-5), rho=0.05)

    def run() -> None:
        for move in (sam.climb, sam.step):
            with torch.autocast(x.device.type, torch.bfloat16, enabled=half):
                loss = F.cross_entropy(network(x), y)
            loss.backward()
            move()
            sam.zero_grad()

    return run


def our_step(network: nn.Module, x: Tensor, y: Tensor, *, half: bool) -> Callable[[], None]:
    trained = [p for p in network.parameters() if p.requires_grad]
    sam = SAM(torch.optim.Adam(trained, lr=3.5e-5, fused=True), rho=0.05)

    def backward() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = F.cross_entropy(logits(network(x)), y)
        loss.backward()

    def run() -> None:
        backward()
        sam.climb()
        sam.zero_grad()
        with frozen_batch_norm(network):
            backward()
        sam.step()
        sam.zero_grad()

    return run


def compare_training(batch: int, repeats: int) -> None:
    def fresh() -> nn.Module:
        torch.manual_seed(0)
        return create_model("poster_v2", num_classes=7).train().to(memory_format=torch.channels_last)

    x, y = torch.randn(batch, 3, 224, 224), torch.arange(batch) % 7
    last = x.contiguous(memory_format=torch.channels_last)
    variants = {
        "published, eager fp32": published_step(PublishedPosterV2(7).train(), x, y),
        "ours, fp32": our_step(fresh(), last, y, half=False),
        "ours, bf16 autocast": our_step(fresh(), last, y, half=True),
    }
    for run in variants.values():
        run()
    report(f"SAM training step, batch {batch}", timed(variants, repeats))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--cpu-time", action="store_true", help="process time in place of wall time")
    parser.add_argument("--train", type=int, default=0, metavar="BATCH", help="also time SAM steps with that batch")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.cpu_time:
        global clock  # noqa: PLW0603
        clock = time.process_time
    for batch in args.batches:
        compare_forward(batch, args.repeats, compiled=not args.no_compile)
    if args.train:
        compare_training(args.train, args.repeats)


if __name__ == "__main__":
    main()
