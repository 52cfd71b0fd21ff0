"""What the search for leaks finds of changed copies, how often it is wrong, and how long it takes.

    python benchmarks/leaks.py ../shared/data/expressions/ferplus ../shared/data/expressions/lfw_rafstyle/Image/aligned

Copies: real ones are pairs of different files of the first folder whose 24 x 24 grey pixels correlate above 0.97;
others are made by cropping 0 to K of 48 pixels a side, resizing, brightness and JPEG. False alarms: pairs across the
folders, which must share no photograph. Both for pixels (`mien data leaks`) and for fingerprints alone (a bundle).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.records import Sample
from mien.data.leakage.contamination import TrainFaces, train_faces
from mien.data.leakage.duplicates import grey_or_blank, near_duplicates
from mien.data.leakage.fingerprints import fingerprints_of
from mien.media.listing import picture_files

CORRELATION = 0.97


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("others", type=Path, help="a folder with no photograph of the first")
    parser.add_argument("--edits", type=int, default=500, help="pictures of which copies are made")
    options = parser.parse_args()
    faces, others = (
        [Sample(str(path), path) for path in picture_files([f])] for f in (options.pictures, options.others)
    )
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MIEN_CACHE"] = folder
        prints = timed(f"fingerprints of {len(faces):,} pictures", lambda: fingerprints_of(faces))
        twins = timed("search within", lambda: near_duplicates(faces))
        found = {(twin.first, twin.second) for twin in twins}
        pairs = [(a, b) for a, b in correlated(faces) if prints["file"][a] != prints["file"][b]]
        print(f"pixels: {sum(pair in found for pair in pairs):,} of {len(pairs):,} correlated pairs of different files")
        report_bundle(faces, pairs)
        report_edits(faces, options.edits, Path(folder))
        wrong = timed("search across", lambda: near_duplicates(others, faces))
        known = timed("fingerprints alone", lambda: train_faces(faces, [], data="x").matches(others, data="y").trained)
        print(
            f"false alarms of {len(faces) * len(others):,} pairs: pixels {len(wrong)}, fingerprints {int(known.sum())}"
        )


def timed(what: str, work: Callable[[], Any]) -> Any:
    wall, processor = time.perf_counter(), time.process_time()
    result = work()
    print(f"{what}: {time.perf_counter() - wall:.1f} s, {time.process_time() - processor:.1f} s of processor time")
    return result


def correlated(faces: list[Sample]) -> list[tuple[int, int]]:
    """Pairs of places whose 24 x 24 grey pixels correlate above CORRELATION."""
    small = np.stack([cv2.resize(grey_or_blank(face), (24, 24), interpolation=cv2.INTER_AREA) for face in faces])
    rows = small.reshape(len(small), -1).astype(np.float32)
    rows -= rows.mean(1, keepdims=True)
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.where(length > 24 * 4, rows / np.maximum(length, 1e-6), 0)
    pairs = []
    for start in range(0, len(rows), 1024):
        a, b = np.nonzero(rows[start : start + 1024] @ rows[start:].T > CORRELATION)
        pairs += [(start + i, start + j) for i, j in zip(a.tolist(), b.tolist(), strict=True) if j > i]
    return pairs


def report_bundle(faces: list[Sample], pairs: list[tuple[int, int]]) -> None:
    """Each second picture asked of the record of the first one alone, among a thousand others."""
    others = faces[:1000]
    first = [faces[a] for a, _ in pairs]
    record = train_faces([*first, *others], [], data="x")
    found = record.matches([faces[b] for _, b in pairs], data="y").trained
    print(f"fingerprints: {int(found.sum()):,} of {len(pairs):,} correlated pairs of different files")


def report_edits(faces: list[Sample], count: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    chosen = [faces[i] for i in rng.permutation(len(faces))[:count]]
    record = train_faces(chosen, [], data="x")
    kinds = (
        ("cropped by up to 2", 2, False), ("the same, resized, JPEG and brightness", 2, True),
        ("cropped by up to 4, and those", 4, True), ("resized, JPEG and brightness", 0, True),
    )  # fmt: skip
    for name, side, others in kinds:
        report_kind(name, chosen, record, [edited(grey_or_blank(f), rng, side, others) for f in chosen], folder)


def report_kind(name: str, chosen: list[Sample], record: TrainFaces, copies: list[np.ndarray], folder: Path) -> None:
    target = folder / name.replace(" ", "_").replace(",", "")
    target.mkdir()
    for number, copy in enumerate(copies):
        cv2.imwrite(str(target / f"{number:05d}.png"), copy)
    samples = [Sample(path.name, path) for path in sorted(target.iterdir())]
    pixels = {(t.first, t.second) for t in near_duplicates(chosen, samples)}
    right = sum((i, i) in pixels for i in range(len(chosen)))
    matched = record.matches(samples, data="y").trained
    print(f"{name}: pixels {right / len(chosen):.1%}, fingerprints {matched.mean():.1%} of {len(chosen)} copies")


def edited(grey: np.ndarray, rng: np.random.Generator, side: int, others: bool) -> np.ndarray:
    left, top, right, bottom = (int(n) for n in rng.integers(0, side + 1, 4))
    grey = grey[top : len(grey) - bottom, left : grey.shape[1] - right]
    if others:
        scale = rng.uniform(0.6, 2.0)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=how)
        grey = np.clip(grey * rng.uniform(0.75, 1.25) + rng.uniform(-25, 25), 0, 255).astype(np.uint8)
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))]
        grey = cv2.imdecode(cv2.imencode(".jpg", grey, quality)[1], cv2.IMREAD_GRAYSCALE)
    return grey


if __name__ == "__main__":
    main()
