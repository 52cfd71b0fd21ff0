"""What a detector's jitter costs: accuracy of the shipped model when crops are moved and scaled off the data's framing.

    python benchmarks/jittered_boxes.py FERPLUS_ROOT [--faces 1000]

Each FER2013Valid face is read once as it is, and with its frame shifted by up to x of its side and scaled by up to
1 + x either way (uniform, seed 0). Pixels outside the picture repeat the border, as in reading.
"""

import argparse

import numpy as np

from mien.core.geometry import Crop
from mien.core.records import Sample
from mien.data.readers import open_reader
from mien.media.crop import normalise, prepare
from mien.media.image import load_image
from mien.runtime.analyzer import shipped_bundle
from mien.runtime.runner import Runner


def accuracy(runner: Runner, samples: list[Sample], jitter: float, *, seed: int = 0) -> float:
    """Share of the samples answered as labelled, with frames jittered by up to `jitter`."""
    rng, spec, crops = np.random.default_rng(seed), runner.info.picture, []
    for sample in samples:
        pixels = load_image(sample.path).pixels
        side = pixels.shape[0] * (1 + jitter) ** rng.uniform(-1, 1)
        centre = pixels.shape[0] / 2 + rng.uniform(-jitter, jitter, 2) * pixels.shape[0]
        crop = Crop((float(centre[0]), float(centre[1])), (side, side), spec.size)
        crops.append(prepare(pixels, crop, spec))
    logits = runner(normalise(np.stack(crops), spec))
    return float((logits.argmax(1) == [sample.expression for sample in samples]).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root")
    parser.add_argument("--faces", type=int, default=1000)
    options = parser.parse_args()
    samples = open_reader("ferplus", options.root).samples("valid")
    samples = samples[:: max(1, len(samples) // options.faces)]
    runner = Runner(shipped_bundle())
    for jitter in (0.0, 0.05, 0.1, 0.15, 0.2):
        print(f"jitter {jitter:.2f}: accuracy {accuracy(runner, samples, jitter):.4f} over {len(samples)} faces")


if __name__ == "__main__":
    main()
