"""The depth head's first convolution without the latent's 99 constant planes, against the published way, in one run.

    python benchmarks/parface_depth.py [--batch 1 8] [--threads 1]

The published way repeats the latent vector over 128 x 128, puts it behind the 68 maps and convolves all 167 channels.
Process time, the fastest of many.
"""

import argparse
import time
from collections.abc import Callable

import torch

from mien.nn.resnet_ae import PlaneEncoder

MAPS, LATENT, SIDE = 68, 99, 128


def fastest(action: Callable[[], object], *, seconds: float) -> float:
    action()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.process_time()
        action()
        best = min(best, time.process_time() - began)
    return best


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=3.0)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    net = PlaneEncoder(maps=MAPS, latent=LATENT, side=SIDE, outputs=MAPS).eval()
    for batch in options.batch:
        maps, latent = torch.randn(batch, MAPS, SIDE, SIDE), torch.randn(batch, LATENT)

        def published() -> torch.Tensor:
            planes = latent[:, :, None, None].expand(-1, -1, SIDE, SIDE)  # noqa: B023
            return net.stem_conv(torch.cat([maps, planes], 1))  # noqa: B023

        def ours() -> torch.Tensor:
            return net.stem_map(maps, latent)  # noqa: B023

        apart = float((published() - ours()).abs().max() / published().abs().max())
        times = [1000 * fastest(way, seconds=options.seconds) / batch for way in (published, ours)]
        print(
            f"batch {batch}: published {times[0]:.2f} ms/face, ours {times[1]:.2f}: {times[0] / times[1]:.2f} times "
            f"as quick, apart {apart:.1e} of the largest value"
        )


if __name__ == "__main__":
    main()
