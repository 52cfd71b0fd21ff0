"""Which cheap measure tells crops that are no upright face from faces: energy of the logits, and what points say.

    python benchmarks/plausibility.py --ferplus FERPLUS --lfw LFW_IN_RAFDB_LAYOUT --shared ../shared

For each measure the limit is the 99th percentile over the unchanged faces of even number; false flags are those of the
other half. Crops: upside down, noise, painted backgrounds, and random squares of group photos outside of all faces.
Measures, each larger where it looks less like a face: energy of the logits (the flag `unlike_training`); 1 - least mean
confidence of a region of points (`uncertain_points`), and of all points; residual of 68 points with depth against the
mean face, after a similarity, in outer eye corners' distances; roll in degrees; total variation between the shares of
the crop and of its mirror image, which costs one more pass; the largest of the last four ranks.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from detectors import group_photos, nobody
from mien.core.decode import energies, probabilities
from mien.core.geometry import fit_similarity, intersection_over_union
from mien.core.records import FacePoints
from mien.runtime.landmarks import Landmarker
from mien.runtime.pose import neutral_face
from mien.runtime.trust.quality import region_confidence
from quality import Reader, face_box, faces_of


def outside_faces(folder: Path, count: int) -> list[np.ndarray]:
    """Squares of group photos that touch no annotated face."""
    rng, found = np.random.default_rng(5), []
    photos = list(group_photos(folder))
    while len(found) < count:
        pixels, boxes = photos[int(rng.integers(len(photos)))]
        side = int(rng.integers(40, min(200, *pixels.shape[:2])))
        x, y = int(rng.integers(pixels.shape[1] - side)), int(rng.integers(pixels.shape[0] - side))
        if all(intersection_over_union((x, y, x + side, y + side), box) == 0 for box in boxes):
            found.append(np.ascontiguousarray(pixels[y : y + side, x : x + side]))
    return found


def residual(points: FacePoints) -> float:
    """Root mean squared distance from the mean face, over the distance of the outer eye corners."""
    if points.depth_px is None:
        return float("nan")
    solid = np.column_stack([points.landmarks_px[:, 0], -points.landmarks_px[:, 1], points.depth_px]).astype(float)
    scale, turn, shift = fit_similarity(neutral_face(), solid)
    off = scale * neutral_face() @ turn.T + shift - solid
    return float(np.sqrt((off**2).sum(1).mean()) / max(np.linalg.norm(solid[36] - solid[45]), 1e-9))


def measures(reader: Reader, landmarker: Landmarker, pictures: Sequence[np.ndarray]) -> dict[str, np.ndarray]:
    logits = reader.logits(pictures)
    mirrored = reader.logits([np.ascontiguousarray(p[:, ::-1]) for p in pictures])
    points = landmarker.read_many([(p, face_box(*p.shape[1::-1], reader.spec)) for p in pictures])
    temperature = reader.info.temperature("expression")
    shares = [probabilities(x, temperature=temperature) for x in (logits, mirrored)]
    return {
        "energy": energies(logits),
        "least confidence of a region": np.array([1 - min(region_confidence(p).values()) for p in points]),
        "mean confidence": np.array([1 - float(np.mean(p.confidence)) for p in points]),
        "residual of the mean face": np.array([residual(p) for p in points]),
        "roll, degrees": np.array([abs(np.degrees(p.pose_rad[2])) if p.pose_rad else 180.0 for p in points]),
        "mirror image": np.abs(shares[0] - shares[1]).sum(1) / 2,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--ferplus", "--lfw", "--shared"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--faces", type=int, default=200)
    given = parser.parse_args()
    reader, landmarker = Reader("poster_v2_small_ferplus", 1), Landmarker(threads=1)
    labels = reader.info.labels
    for title, name, root, split in (
        ("FER2013Valid", "ferplus", given.ferplus, "valid"), ("LFW", "rafdb", given.lfw, "test")
    ):  # fmt: skip
        _, faces = faces_of(name, str(root), split, labels, given.faces)
        side = faces[0].shape[0]
        crops = outside_faces(given.shared / "data" / "landmarks" / "dlib_faces", given.faces // 2)
        others = {
            "upside down": [f[::-1].copy() for f in faces],
            "noise": [np.random.default_rng(i).integers(0, 256, f.shape, np.uint8) for i, f in enumerate(faces[:100])],
            "painted": [cv2.resize(p, (side, side)) for p, _ in nobody(given.faces // 2)],
            "photo without a face": [cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) for p in crops],
        }
        known = measures(reader, landmarker, faces)
        strange = {kind: measures(reader, landmarker, pictures) for kind, pictures in others.items()}
        both = {kind: combined(values, known) for kind, values in {"": known, **strange}.items()}
        print(f"\n| {title}, {len(faces)}: measure | limit | false flags | {' | '.join(others)} |\n|{' --- |' * 7}")
        for measure in (*known, "largest rank"):
            of = {"": known[measure], **{k: v[measure] for k, v in strange.items()}} if measure in known else both
            limit = float(np.nanquantile(of[""][::2], 0.99))
            shares = [100 * np.mean(values > limit) for values in (of[""][1::2], *(of[kind] for kind in others))]
            print(f"| {measure} | {limit:.3g} | {' | '.join(f'{s:.0f} %' for s in shares)} |", flush=True)


def combined(values: dict[str, np.ndarray], known: dict[str, np.ndarray]) -> np.ndarray:
    """The largest, over the measures but energy and roll, of a value in standard deviations of the known faces."""
    names = [name for name in known if name not in ("energy", "roll, degrees")]
    return np.max([(values[n] - known[n].mean()) / known[n].std() for n in names], axis=0)


if __name__ == "__main__":
    main()
