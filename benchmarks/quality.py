"""How the accuracy of an expression model falls with the quality of the picture, and which flags are raised meanwhile.

    python benchmarks/quality.py --ferplus FERPLUS --lfw LFW_IN_RAFDB_LAYOUT

Faces of FER2013Valid (48 pixels, strict majority) and of an LFW test part are made worse step by step, then read with
the crop of their picture: accuracy with 95 % Wilson interval, medians of the measures, share of faces with a flag.
Turn, hidden points and confidence come from the landmark model, on LFW alone (128 pixels). Prints Markdown tables.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from mien.core.decode import energies
from mien.core.geometry import crop_of_box
from mien.core.labels import LabelSet
from mien.core.records import Box, FacePoints, Sample
from mien.core.spec import PictureInput
from mien.data.options import DataOptions
from mien.data.selection import select_for_evaluation
from mien.media.bundles import bundle_folder
from mien.media.crop import normalise, prepare
from mien.media.image import load_image
from mien.metrics.significance import wilson_interval
from mien.runtime.landmarks import Landmarker
from mien.runtime.runner import Runner
from mien.runtime.trust.quality import quality_of

Change = Callable[[np.ndarray], np.ndarray]
BATCH = 64


def blurred(share: float) -> Change:
    """Gaussian, of that share of the picture's side as standard deviation."""
    return lambda p: cv2.GaussianBlur(p, (0, 0), share * p.shape[0]) if share else p


def brighter(factor: float) -> Change:
    return lambda p: np.clip(p.astype(np.float32) * factor, 0, 255).round().astype(np.uint8)


def over(amount: float) -> Change:
    """Nearer to white by that share."""
    return lambda p: (255 - (255 - p.astype(np.float32)) * (1 - amount)).round().astype(np.uint8)


def flatter(factor: float) -> Change:
    """Differences from the mean, times the factor."""
    return lambda p: (p.mean() + (p.astype(np.float32) - p.mean()) * factor).clip(0, 255).round().astype(np.uint8)


def smaller(side: int) -> Change:
    """The picture at that many pixels."""
    return lambda p: cv2.resize(p, (side, side), interpolation=cv2.INTER_AREA) if side < p.shape[0] else p


def covered(share: float, *, above: bool) -> Change:
    """A grey bar over that share of the height, from the brows down or from the chin up."""

    def change(pixels: np.ndarray) -> np.ndarray:
        shown, side = pixels.copy(), pixels.shape[0]
        rows = slice(int(0.25 * side), int((0.25 + share) * side)) if above else slice(int((1 - share) * side), side)
        shown[rows] = 90
        return shown

    return change


def cut(share: float) -> Change:
    """The left part of the picture lies outside: as a crop shows it, its edge continued."""

    def change(pixels: np.ndarray) -> np.ndarray:
        shown, gone = pixels.copy(), int(share * pixels.shape[1])
        shown[:, :gone] = shown[:, gone : gone + 1]
        return shown

    return change


STEPS: dict[str, list[tuple[str, Change]]] = {
    "blur, SD in % of the picture's side": [(f"{100 * s:g}", blurred(s)) for s in (0, 0.01, 0.02, 0.03, 0.05, 0.08)],
    "light, times": [(f"{f:g}", brighter(f)) for f in (0.5, 0.25, 0.15, 0.1, 0.05)],
    "nearer to white by": [(f"{s:g}", over(s)) for s in (0.3, 0.5, 0.7, 0.85)],
    "contrast, times": [(f"{f:g}", flatter(f)) for f in (0.5, 0.25, 0.12, 0.06)],
    "picture's side, pixels": [(f"{n}", smaller(n)) for n in (40, 32, 24, 20, 16, 12)],
    "covered from the brows down, share": [(f"{s:g}", covered(s, above=True)) for s in (0.1, 0.2, 0.3)],
    "covered from the chin up, share": [(f"{s:g}", covered(s, above=False)) for s in (0.15, 0.3, 0.45)],
    "cut off at the left, share": [(f"{s:g}", cut(s)) for s in (0.1, 0.2, 0.3, 0.4)],
    "upside down": [("", lambda p: p[::-1].copy())],
    "noise instead": [("", lambda p: np.random.default_rng(p.size).integers(0, 256, p.shape, np.uint8))],
}
SHOWN = ("sharpness", "brightness", "contrast", "size", "energy")
OF_POINTS = ("turn", "hidden", "confidence")


def face_box(width: int, height: int, spec: PictureInput) -> Box:
    """The detector's box of a picture that is itself the crop: the inverse of `crop_of_box`."""
    side = width / spec.box_scale
    x, y = width / 2 - side * spec.box_shift[0], height / 2 - side * spec.box_shift[1]
    return x - side / 2, y - side / 2, x + side / 2, y + side / 2


class Reader:
    """Reads pictures that are crops with one bundle."""

    def __init__(self, bundle: str, threads: int) -> None:
        self.runner = Runner(bundle_folder(bundle), threads=threads)
        self.spec, self.info = self.runner.info.picture, self.runner.info
        calibration = self.info.calibration.get("expression")
        self.limit = calibration.energy_limit if calibration else None

    def logits(self, pictures: Sequence[np.ndarray]) -> np.ndarray:
        crops = [prepare(p, crop_of_box(face_box(*p.shape[1::-1], self.spec), self.spec), self.spec) for p in pictures]
        parts = [
            self.runner.outputs({"image": normalise(np.stack(crops[i : i + BATCH]), self.spec)})["expression"]
            for i in range(0, len(crops), BATCH)
        ]
        return np.concatenate(parts)

    def qualities(
        self, pictures: Sequence[np.ndarray], logits: np.ndarray, share_cut: float = 0.0,
        points: Sequence[FacePoints] | None = None,
    ) -> list:  # fmt: skip
        found = []
        for i, (picture, energy) in enumerate(zip(pictures, energies(logits), strict=True)):
            x0, y0, x1, y1 = face_box(*picture.shape[1::-1], self.spec)
            gone = share_cut * picture.shape[1]
            shown = picture[:, int(gone) :]
            box = (x0 - int(gone), y0, x1 - int(gone), y1)
            found.append(
                quality_of(
                    shown, box, points=points[i] if points else None, energy=float(energy), energy_limit=self.limit
                )
            )
        return found


def faces_of(name: str, root: str, split: str, labels: LabelSet, most: int) -> tuple[list[Sample], list[np.ndarray]]:
    reader = {"majority": "strict"} if name == "ferplus" else {}
    samples = select_for_evaluation(DataOptions(name=name, root=root, reader=reader), labels, split=split).samples
    samples = samples[:: max(1, len(samples) // most)][:most]
    return samples, [load_image(sample.path).pixels for sample in samples]


def row(step: str, right: np.ndarray, qualities: Sequence, shown: Sequence[str]) -> str:
    interval = wilson_interval(int(right.sum()), len(right))
    medians = [[q.values[name] for q in qualities if name in q.values] for name in shown]
    cells = [f"{np.median(m):.3g}" if m else "" for m in medians]
    flags = [flag for q in qualities for flag in q.flags]
    raised = ", ".join(f"{f} {100 * flags.count(f) / len(qualities):.0f} %" for f in dict.fromkeys(flags))
    share = f"{100 * right.mean():.1f} ({100 * interval.low:.0f} to {100 * interval.high:.0f})"
    return f"| {step} | {share} | {' | '.join(cells)} | {raised} |"


def head(title: str, shown: Sequence[str]) -> str:
    return f"\n| {title} | accuracy, % | {' | '.join(shown)} | flags |\n|{' --- |' * (3 + len(shown))}"


def degraded(reader: Reader, truth: np.ndarray, pictures: Sequence[np.ndarray]) -> Iterator[str]:
    for kind, steps in STEPS.items():
        yield head(kind, SHOWN)
        for step, change in steps:
            changed = [change(p) for p in pictures]
            logits = reader.logits(changed)
            share_cut = float(step) if kind.startswith("cut") else 0.0
            yield row(step, logits.argmax(-1) == truth, reader.qualities(changed, logits, share_cut), SHOWN)


def by_points(reader: Reader, truth: np.ndarray, pictures: Sequence[np.ndarray]) -> Iterator[str]:
    """Unchanged faces by turn, and covered ones by what the landmark model says of them."""
    landmarker = Landmarker(threads=1)

    def read(shown: Sequence[np.ndarray]) -> tuple[np.ndarray, list]:
        boxes = [(p, face_box(*p.shape[1::-1], reader.spec)) for p in shown]
        logits = reader.logits(shown)
        return logits.argmax(-1) == truth, reader.qualities(shown, logits, points=landmarker.read_many(boxes))

    right, qualities = read(pictures)
    turn = np.array([q.values["turn"] for q in qualities])
    yield head("turn, degrees", OF_POINTS)
    for low, high in ((0, 10), (10, 20), (20, 30), (30, 45), (45, 180)):
        inside = (turn >= low) & (turn < high)
        if inside.any():
            kept = [q for q, keep in zip(qualities, inside, strict=True) if keep]
            yield row(f"{low} to {high} ({inside.sum()} faces)", right[inside], kept, OF_POINTS)
    for kind in ("covered from the brows down, share", "covered from the chin up, share"):
        yield head(kind, OF_POINTS)
        for step, change in STEPS[kind]:
            yield row(step, *read([change(p) for p in pictures]), OF_POINTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ferplus", type=Path, required=True)
    parser.add_argument("--lfw", type=Path, required=True)
    parser.add_argument("--bundle", default="poster_v2_small_ferplus")
    parser.add_argument("--faces", type=int, default=800, help="of each set, at most")
    parser.add_argument("--point-faces", type=int, default=300, help="that the landmark model reads at each step")
    parser.add_argument("--points-only", action="store_true", help="what the landmark model says, on LFW alone")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    reader = Reader(given.bundle, given.threads)
    labels = reader.info.labels
    sets = {"FER2013Valid": ("ferplus", given.ferplus, "valid"), "LFW": ("rafdb", given.lfw, "test")}
    for title, (name, root, split) in sets.items():
        if given.points_only and title != "LFW":
            continue
        samples, pictures = faces_of(name, str(root), split, labels, given.faces)
        truth = np.array([sample.expression for sample in samples])
        print(f"\n## {title}, {len(samples)} faces", flush=True)
        for line in [] if given.points_only else degraded(reader, truth, pictures):
            print(line, flush=True)
        if title == "LFW":
            few = slice(0, given.point_faces)
            for line in by_points(reader, truth[few], pictures[few]):
                print(line, flush=True)


if __name__ == "__main__":
    main()
