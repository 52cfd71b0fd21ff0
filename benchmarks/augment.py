"""Decode + crop + augment, one core: our path against torchvision's ImageFolder chain, in one run, interleaved.

    python benchmarks/augment.py [--pictures 60] [--rounds 5]

Pictures: drawn faces, 512-pixel JPEGs to 224, POSTER V2's published recipe (flip, erasing, ImageNet normalisation).
torchvision decodes with Pillow and resizes with anti-aliasing; ours decodes at a reduced scale where that keeps 224
pixels. A second line gives the small case: FER+-like 48-pixel PNGs, strong recipe, from the cache and from disk.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder

from mien.core.spec import IMAGENET_MEAN, IMAGENET_STD, PictureInput
from mien.data.faces import FaceSet
from mien.data.readers import open_reader
from mien.data.replicas import write_drawn
from mien.data.transforms import augmentation


def seconds_each(work: Callable[[], None], count: int) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) / count


def interleaved(first: Callable[[], None], second: Callable[[], None], count: int, rounds: int) -> tuple[float, float]:
    """Median seconds a face of both, measured in turns so that a busy machine slows both alike."""
    times = [(seconds_each(first, count), seconds_each(second, count)) for _ in range(rounds)]
    a, b = np.median(np.array(times), axis=0)
    return float(a), float(b)


def torchvision_chain(folder: Path, size: int, *, grey: bool = False) -> ImageFolder:
    """The published order: Resize, RandomHorizontalFlip, ToTensor, Normalize, RandomErasing (official code, RAF-DB)."""
    colour = [transforms.Grayscale(3)] if grey else []
    if grey:
        colour += [transforms.RandomAffine(15, (0.08, 0.08), (0.85, 1.15)), transforms.ColorJitter(0.2, 0.3)]
    chain = [
        transforms.Resize((size, size)),
        transforms.RandomHorizontalFlip(),
        *colour,
        transforms.ToTensor(),
        transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        transforms.RandomErasing(scale=(0.02, 0.1)),
    ]
    return ImageFolder(str(folder), transform=transforms.Compose(chain))


def report(name: str, theirs: float, ours: float) -> None:
    print(f"{name:34s} torchvision {theirs * 1e3:6.3f} ms   ours {ours * 1e3:6.3f} ms   ratio {theirs / ours:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    with tempfile.TemporaryDirectory() as temporary:
        large = write_drawn(Path(temporary, "large"), faces=arguments.pictures, layout="rafdb_folders", size=512)
        small = write_drawn(Path(temporary, "small"), faces=10 * arguments.pictures, layout="drawn", size=48)
        compare_large(large, arguments.rounds)
        compare_small(small, arguments.rounds)


def compare_large(folder: Path, rounds: int) -> None:
    chain = torchvision_chain(folder / "train", 224)
    faces = FaceSet(open_reader("rafdb_folders", folder).samples("train"), PictureInput(), augmentation=augmentation())
    places = [(0, i) for i in range(len(faces))]

    def theirs() -> None:
        for start in range(0, len(chain), 16):
            torch.stack([chain[i][0] for i in range(start, min(start + 16, len(chain)))])

    def ours() -> None:
        for start in range(0, len(places), 16):
            faces.batch(places[start : start + 16])

    theirs(), ours()
    report("512-pixel JPEG to 224, published", *interleaved(theirs, ours, len(faces), rounds))


def compare_small(folder: Path, rounds: int) -> None:
    chain = torchvision_chain(folder / "train", 48, grey=True)
    samples, spec = open_reader("drawn", folder).samples("train"), PictureInput(size=48, color="grey")
    for name, cache in (("48-pixel PNG, strong, from disk", False), ("48-pixel PNG, strong, cached", True)):
        faces = FaceSet(samples, spec, augmentation=augmentation("strong"), cache=cache)
        places = [(0, i) for i in range(len(faces))]

        def theirs() -> None:
            for start in range(0, len(chain), 128):
                torch.stack([chain[i][0] for i in range(start, min(start + 128, len(chain)))])

        def ours(faces: FaceSet = faces, places: list[tuple[int, int]] = places) -> None:
            for start in range(0, len(places), 128):
                faces.batch(places[start : start + 128])

        theirs(), ours()
        report(name, *interleaved(theirs, ours, len(faces), rounds))


if __name__ == "__main__":
    main()
