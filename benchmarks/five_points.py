"""Points read from a detector's box in two passes, and from YuNet's five points in as many as they need.

    python benchmarks/five_points.py --shared ../shared [--weights face_detection_yunet_2023mar.onnx] [--every 4]

On every N-th annotated face of 300-W that YuNet finds, upright and turned in the picture: error of the shipped landmark
model by the distance of the outer eye corners, share above 10 %, and how often its network runs for a face. Most of
these faces were in its training; the rows compare with one another only.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from mien.data.readers import open_reader
from mien.media.detect import Detection, YuNetDetector
from mien.media.image import load_image
from mien.media.yunet import weight_file
from mien.runtime.landmarks import Landmarker

TURNS_DEG = (0, 20, 40)


class Counting(Landmarker):
    """Counts the crops that go through its network."""

    crops = 0

    def _outputs(self, pictures, crops):
        self.crops += len(crops)
        return super()._outputs(pictures, crops)


def turned(pixels: np.ndarray, points: np.ndarray, degrees: float) -> tuple[np.ndarray, np.ndarray]:
    matrix = cv2.getRotationMatrix2D((float(points[:, 0].mean()), float(points[:, 1].mean())), degrees, 1.0)
    size = (pixels.shape[1], pixels.shape[0])
    return cv2.warpAffine(pixels, matrix, size, borderMode=cv2.BORDER_REFLECT_101), points @ matrix[:, :2].T + matrix[
        :, 2
    ]


def face_about(found: list[Detection], points: np.ndarray) -> Detection | None:
    x, y = points.mean(0)
    about = [face for face in found if face.box[0] < x < face.box[2] and face.box[1] < y < face.box[3]]
    return max(about, key=lambda face: face.side, default=None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="of yunet; by default the fetched file")
    parser.add_argument("--every", type=int, default=4)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    reader = open_reader("w300", options.shared / "data" / "landmarks" / "300w")
    samples = [sample for split in reader.splits for sample in reader.samples(split)][:: options.every]
    detector, landmarker = YuNetDetector(weight_file(options.weights), threads=1), Counting(threads=1)
    print("| turned by | faces | by | error | above 10 % | passes |\n| --- | --- | --- | --- | --- | --- |")
    for degrees in TURNS_DEG:
        faces = []
        for sample in samples:
            pixels, points = turned(load_image(sample.path).pixels, np.asarray(sample.landmarks_px), degrees)
            if (face := face_about(detector(pixels), points)) is not None:
                faces.append((pixels, points, face))
        for by in ("box", "five points"):
            landmarker.crops, errors = 0, []
            for pixels, points, face in faces:
                read = landmarker.read(pixels, face.box if by == "box" else face).landmarks_px
                errors.append(np.linalg.norm(read - points, axis=1).mean() / np.linalg.norm(points[36] - points[45]))
            cells = (
                f"{np.mean(errors):.2%} | {np.mean(np.array(errors) > 0.1):.1%} | {landmarker.crops / len(faces):.2f}"
            )
            print(f"| {degrees}° | {len(faces)} | {by} | {cells} |", flush=True)


if __name__ == "__main__":
    main()
