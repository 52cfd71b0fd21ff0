"""How long 68 points of a face take, and what part of it is the crop, the network and the decoding.

    python benchmarks/landmarks_runner.py [--bundle FOLDER | --system NAME] [--threads 2] [--backend onnxruntime]
        [--passes 1 2] [--repeats 30]

By default the landmark model that ships. --system exports a registered system with random weights first: its time, not
its points. The picture has 1280 x 960 pixels with a face of 400; the shortest time of each counts. `decode` is from the
network's outputs to points in picture pixels with confidence and the head's pose.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from mien.core.geometry import crop_of_box
from mien.engine.bundles.predictor import bundle_folder
from mien.media.crop import normalise, prepare
from mien.runtime.landmarks import SHIPPED_LANDMARKS, Landmarker, decode

BOX = (440.0, 240.0, 840.0, 640.0)


def picture() -> np.ndarray:
    """Smooth noise, uint8 [960, 1280, 3]."""
    import cv2

    coarse = np.random.default_rng(0).integers(0, 255, (15, 20, 3)).astype(np.uint8)
    return cv2.resize(coarse, (1280, 960), interpolation=cv2.INTER_CUBIC)


def shortest_ms(work: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def random_bundle(system: str, folder: Path) -> Path:
    from mien import create_model
    from mien.engine.export.command import export
    from mien.systems.bundle import save_bundle

    save_bundle(folder, create_model(system))
    export(str(folder), tolerance=1.0)
    return folder


def report(bundle: Path, *, threads: int, backend: str, passes: int, repeats: int) -> None:
    landmarker, pixels = Landmarker(bundle, backend=backend, threads=threads, passes=passes), picture()
    spec, crop = landmarker.info.picture, crop_of_box(BOX, landmarker.info.picture)
    images = normalise(prepare(pixels, crop, spec)[None], spec)
    outputs = {name: values[0] for name, values in landmarker._runner.outputs(images).items()}
    parts = {
        "crop": shortest_ms(lambda: normalise(prepare(pixels, crop, spec)[None], spec), repeats),
        "network": shortest_ms(lambda: landmarker._runner.outputs(images), repeats),
        "decode": shortest_ms(lambda: decode(crop, outputs, landmarker.scheme), repeats),
    }
    one = shortest_ms(lambda: landmarker.read(pixels, BOX), repeats)
    many = shortest_ms(lambda: landmarker.read_many([(pixels, BOX)] * 16), max(3, repeats // 5))
    shares = "  ".join(f"{name} {ms:.2f} ms" for name, ms in parts.items())
    print(f"{landmarker!r}, {spec.size} px, passes {passes}")
    print(f"  one face {one:.1f} ms; 16 faces {many:.1f} ms ({many / 16:.1f} each); of one pass: {shares}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default=SHIPPED_LANDMARKS)
    parser.add_argument("--system")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--passes", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--repeats", type=int, default=30)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        random = random_bundle(given.system, Path(folder) / "bundle") if given.system else None
        for passes in given.passes:
            report(
                random or bundle_folder(given.bundle), threads=given.threads, backend=given.backend, passes=passes,
                repeats=given.repeats,
            )  # fmt: skip


if __name__ == "__main__":
    main()
