"""How a detector's box relates to FER2013's own framing: the box_scale and box_shift of an PictureInput.

    python benchmarks/calibrate_framing.py ../shared/data/expressions/ferplus/FER2013Train --count 400

The pictures (48 x 48, cut by another detector in 2013) are enlarged and given a replicated margin, so that a box may
reach outside; then the detector's box is compared with the picture's own square. Only pictures whose ten votes have a
strict majority for one of the eight expressions are used. Prints medians, means and their spread.
"""

import argparse
import csv
from pathlib import Path

import cv2
import numpy as np

from mien.media.detect import DlibDetector
from mien.media.image import load_image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of FER2013 pictures with FER+'s label.csv")
    parser.add_argument("--count", type=int, default=400, help="pictures, evenly spread over the list")
    options = parser.parse_args()
    files = majority_files(options.folder)
    files = files[:: max(1, len(files) // options.count)][: options.count]
    # The detector's boxes grow in steps of 6/5; enlarging by 4 to 6 spreads the steps evenly over the pictures.
    factors = 4 * 1.5 ** np.random.default_rng(0).uniform(size=len(files))
    found = [row for row in map(measure, files, factors) if row is not None]
    report(np.array(found), len(files))


def majority_files(folder: Path) -> list[Path]:
    """Pictures with more than half of all ten votes in one of the eight classes."""
    with (folder / "label.csv").open(newline="") as file:
        return [folder / row[0] for row in csv.reader(file) if max(map(int, row[2:10])) > 5]


def measure(path: Path, enlarge: float) -> tuple[float, float, float] | None:
    """Picture side over box side, and from the box's to the picture's centre (x, y) in box sides."""
    pixels = load_image(path).pixels
    side = round(pixels.shape[0] * enlarge)
    margin = side // 4
    large = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC)
    faces = DETECTOR(cv2.copyMakeBorder(large, margin, margin, margin, margin, cv2.BORDER_REPLICATE))
    if not faces:
        return None
    box = max(faces, key=lambda face: face.side)
    x0, y0, x1, y1 = box.box
    centre = margin + side / 2
    return side / box.side, (centre - (x0 + x1) / 2) / box.side, (centre - (y0 + y1) / 2) / box.side


def report(rows: np.ndarray, tried: int) -> None:
    print(f"{len(rows)} of {tried} faces found")
    for name, values in zip(("box_scale", "box_shift x", "box_shift y"), rows.T, strict=True):
        low, middle, high = np.percentile(values, [25, 50, 75])
        spread = f"quartiles {low:+.3f} .. {high:+.3f}   sd {values.std():.3f}"
        print(f"{name:12} median {middle:+.3f}   mean {values.mean():+.3f}   {spread}")


DETECTOR = DlibDetector()

if __name__ == "__main__":
    main()
