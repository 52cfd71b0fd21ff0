"""Heat-map targets and decoding against the published way, which loops over faces and points, in one run.

    python benchmarks/parface_heatmaps.py [--batch 8] [--threads 1 2]

The published way is rebuilt plainly: a template pasted per point with max(), a box blur and an arg-max per map
(OpenCV and numpy), for 68 points of 128 x 128. Ours is both in torch, once as published and once between pixels.
"""

import argparse
import time

import cv2
import numpy as np
import torch

from mien.nn.heatmaps import decode, targets

SIZE, SIGMA, POINTS = 128, 7, 68


def published_template(sigma: int) -> np.ndarray:
    side = 5 * sigma
    half = side // 2 + 1
    grid = np.arange(-half, side - half, dtype=np.float32)
    return np.exp(-(grid[None] ** 2 + grid[:, None] ** 2) / (2 * sigma**2))


def published_targets(points: np.ndarray) -> np.ndarray:
    template = published_template(SIGMA)
    side = len(template)
    maps = np.zeros((*points.shape[:2], SIZE, SIZE), np.float32)
    for face, landmarks in zip(maps, points, strict=True):
        for one, (x, y) in zip(face, landmarks, strict=True):
            left, top = int(min(x, SIZE - 1) - side / 2), int(min(y, SIZE - 1) - side / 2)
            x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + side, SIZE), min(top + side, SIZE)
            if x1 > x0 and y1 > y0:
                window = one[y0:y1, x0:x1]
                np.maximum(window, template[y0 - top : y1 - top, x0 - left : x1 - left], out=window)
    return maps


def published_decode(maps: np.ndarray) -> np.ndarray:
    found = np.zeros((*maps.shape[:2], 2), np.float32)
    for i, face in enumerate(maps):
        for j, one in enumerate(face):
            blurred = cv2.boxFilter(one, -1, (9, 9), borderType=cv2.BORDER_CONSTANT)
            y, x = np.unravel_index(np.argmax(blurred), blurred.shape)
            found[i, j] = x, y
    return found


def per_face_ms(action, batch: int, *, seconds: float) -> float:
    """The fastest of many runs: other processes can only slow one down."""
    action()
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        began = time.perf_counter()
        action()
        best = min(best, time.perf_counter() - began)
    return 1000 * best / batch


def measure(batch: int, threads: int, seconds: float) -> None:
    torch.set_num_threads(threads)
    cv2.setNumThreads(threads)
    points = torch.rand(batch, POINTS, 2, generator=torch.Generator().manual_seed(0)) * SIZE
    array = points.numpy()
    maps = targets(points, size=SIZE, sigma=SIGMA, legacy=True)
    assert np.abs(maps.numpy() - published_targets(array)).max() < 1e-6
    assert np.array_equal(decode(maps, legacy=True).numpy(), published_decode(maps.numpy()))
    actions = {
        "published": (lambda: published_targets(array), lambda: published_decode(maps.numpy())),
        "ours": (lambda: targets(points, size=SIZE), lambda: decode(maps)),
        "ours, legacy": (lambda: targets(points, size=SIZE, legacy=True), lambda: decode(maps, legacy=True)),
    }
    times = {name: [per_face_ms(a, batch, seconds=seconds) for a in both] for name, both in actions.items()}
    for name, (target_ms, decode_ms) in times.items():
        ratios = [ours / new for ours, new in zip(times["published"], (target_ms, decode_ms), strict=True)]
        total = sum(times["published"]) / (target_ms + decode_ms)
        print(
            f"threads {threads} batch {batch} {name:12s} targets {target_ms:6.3f} ms/face ({ratios[0]:4.1f} x)  "
            f"decode {decode_ms:6.3f} ({ratios[1]:4.1f} x)  both {total:4.1f} x"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    for threads in options.threads:
        for batch in options.batch:
            measure(batch, threads, options.seconds)


if __name__ == "__main__":
    main()
