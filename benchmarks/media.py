"""Times of the way in: loading for training against torchvision's chain, decoding, cropping, detection. One core.

    python benchmarks/media.py                                   # pictures made of scikit-image's astronaut
    python benchmarks/media.py --pictures ../shared/data/faces_hq/london512

The published chain is ImageFolder with Resize((224, 224)), RandomHorizontalFlip, ToTensor, Normalize and RandomErasing;
ours is the same recipe by FaceSet: decoded at 1/2 where 512 pixels become 224, cropped, flipped, normalised, erased.
Both read files and end in float32 batches of 32. Rounds alternate, and the ratio is that of the medians
of processor time.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image

from mien.core.geometry import crop_of_picture
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.media.crop import normalise, prepare
from mien.media.detect import DlibDetector
from mien.media.image import load_image
from mien.media.listing import picture_files

SPEC = PictureInput(size=224)
BATCH = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=Path, help="a folder of JPEGs instead of the made ones")
    parser.add_argument("--rounds", type=int, default=9)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as folder:
        files = picture_files([options.pictures]) if options.pictures else astronauts(Path(folder))
        loading(files[:64], options.rounds)
        large = astronaut(4000, 3000, Path(folder) / "large.jpg")
        decoding(files[0], large)
        cropping()
        detection(astronaut(512, 512, Path(folder) / "one.jpg"), large)


def loading(files: list[Path], rounds: int) -> None:
    """Prints faces per second of both chains and their ratio."""
    ours, theirs = our_loader(files), torchvision_loader(files)
    times = {"ours": [], "torchvision": []}
    for _ in range(rounds + 1):
        for name, load in (("ours", ours), ("torchvision", theirs)):
            times[name].append(seconds(load))
    per_face = {name: float(np.median(values[1:])) / len(files) for name, values in times.items()}
    for name, value in per_face.items():
        print(f"loading, {name:12} {value * 1e3:6.2f} ms a face, {1 / value:6.0f} faces a second")
    print(f"loading, ratio        {per_face['torchvision'] / per_face['ours']:.2f}x (to reach: 2x)")


def our_loader(files: list[Path]) -> Callable[[], None]:
    from mien.data.faces import FaceSet
    from mien.data.transforms import Augmentation

    samples = [Sample(path.name, path, expression=0) for path in files]
    faces = FaceSet(samples, SPEC, augmentation=Augmentation())

    def load() -> None:
        for start in range(0, len(files), BATCH):
            faces.batch([(0, index) for index in range(start, min(start + BATCH, len(files)))])

    return load


def torchvision_loader(files: list[Path]) -> Callable[[], None]:
    import torch
    from torch.utils.data import default_collate
    from torchvision import transforms
    from torchvision.datasets.folder import default_loader

    torch.set_num_threads(1)
    chain = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            transforms.Normalize(SPEC.mean, SPEC.std),
            transforms.RandomErasing(scale=(0.02, 0.1)),
        ]
    )

    def load() -> None:
        for start in range(0, len(files), BATCH):
            default_collate([(chain(default_loader(str(path))), 0) for path in files[start : start + BATCH]])

    return load


def decoding(small: Path, large: Path) -> None:
    for path, min_side in ((small, None), (small, 224), (large, None), (large, 640)):
        picture = load_image(path, min_side=min_side)
        width, height = picture.size
        time_ms = milliseconds(lambda p=path, m=min_side: load_image(p, min_side=m))
        print(f"decoding {width} x {height} at {picture.scale:<5} {time_ms:7.2f} ms")


def cropping() -> None:
    pixels = astronaut_pixels(512, 512)
    image = Image.fromarray(pixels)
    crop = crop_of_picture(512, 512, SPEC)
    crops = prepare(pixels, crop, SPEC)[None]
    print(f"cropping 512 to 224   {milliseconds(lambda: prepare(pixels, crop, SPEC)):7.2f} ms")
    print(f"  by Pillow           {milliseconds(lambda: image.resize((224, 224), Image.Resampling.BILINEAR)):7.2f} ms")
    print(f"normalising one crop  {milliseconds(lambda: normalise(crops, SPEC)):7.2f} ms")


def detection(small: Path, large: Path) -> None:
    """From the file to the boxes, as reading does it: decoded no smaller than the detector's first pass needs."""
    detector = DlibDetector()
    for path in (small, large):
        read = lambda p=path: detector(load_image(p, min_side=640).pixels)  # noqa: E731
        faces = read()
        width, height = load_image(path, min_side=64).size
        print(f"detecting in {width} x {height}: {len(faces)} face, {milliseconds(read):7.2f} ms with decoding")


def astronauts(folder: Path, count: int = 64) -> list[Path]:
    """512-pixel JPEGs, each a slightly other cut of the portrait."""
    rng = np.random.default_rng(0)
    pixels = astronaut_pixels(620, 620)
    files = []
    for index in range(count):
        x, y = rng.integers(0, 108, 2)
        files.append(folder / f"{index:03}.jpg")
        Image.fromarray(pixels[y : y + 512, x : x + 512]).save(files[-1], quality=92)
    return files


def astronaut(width: int, height: int, path: Path) -> Path:
    Image.fromarray(astronaut_pixels(width, height)).save(path, quality=92)
    return path


def astronaut_pixels(width: int, height: int) -> np.ndarray:
    from skimage.data import astronaut as portrait

    return cv2.resize(portrait(), (width, height), interpolation=cv2.INTER_CUBIC)


def milliseconds(call: Callable[[], object], *, repeats: int = 15) -> float:
    call()
    return float(np.median([seconds(call) for _ in range(repeats)])) * 1e3


def seconds(call: Callable[[], object]) -> float:
    """Of the processor, not of the clock: other programs on the machine then matter less."""
    start = time.process_time()
    call()
    return time.process_time() - start


if __name__ == "__main__":
    main()
