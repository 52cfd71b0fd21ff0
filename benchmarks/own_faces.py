"""A few faces of one's own: `mien fit poster_v2/own_folder` on 60 faces a class of LFW, measured on its test part.

    python benchmarks/own_faces.py LFW_IN_RAFDB_LAYOUT --output DIR [--init BUNDLE] [--draws 0 1 2] [-- --optim.lr 1e-3]

Five classes; each draw is another 300 faces of the train part and another seed of the training. What stands behind `--`
is added to the command. The model it starts from is measured on the same test faces as it is, all its classes allowed.
Balanced accuracy is the mean of the five recalls, in percent.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mien.core.records import Sample
from mien.data.readers import open_reader

CLASSES, FACES = ("neutral", "happiness", "surprise", "sadness", "anger"), 60
ByClass = dict[str, list[Sample]]


def write_folder(root: Path, samples: dict[str, ByClass]) -> None:
    """Links, by split and class."""
    for split, by_class in samples.items():
        for name, faces in by_class.items():
            (root / split / name).mkdir(parents=True, exist_ok=True)
            for sample in faces:
                link = root / split / name / sample.path.name
                if not link.exists():
                    link.symlink_to(sample.path.resolve())


def by_class(lfw: Path, split: str) -> ByClass:
    reader = open_reader("rafdb", str(lfw))
    found: ByClass = {name: [] for name in CLASSES}
    for sample in reader.samples(split):
        name = reader.labels.classes[sample.expression]
        if name in found:
            found[name].append(sample)
    return found


def mien(*words: str) -> None:
    subprocess.run([sys.executable, "-m", "mien", *words], check=True, stdout=subprocess.DEVNULL)


def recalls(folder: Path) -> dict[str, float]:
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    values = {row["metric"]: row["value"] for row in rows}
    return {name: 100 * values[f"recall/{name}"] for name in CLASSES}


def report(title: str, folder: Path, seconds: float) -> float:
    found = recalls(folder)
    mean = float(np.mean(list(found.values())))
    print(
        f"| {title} | {mean:.1f} | {' | '.join(f'{value:.0f}' for value in found.values())} | {seconds:.0f} |",
        flush=True,
    )
    return mean


def measure(output: Path, draw: int, faces: tuple[ByClass, ByClass], *, init: str, more: Sequence[str]) -> float:
    """faces: of the train and of the test part."""
    train, test = faces
    rng = np.random.default_rng(draw)
    chosen = {name: [faces[i] for i in rng.choice(len(faces), FACES, replace=False)] for name, faces in train.items()}
    root, run = output / f"draw_{draw}", output / f"run_{draw}"
    write_folder(root, {"train": chosen, "test": test})
    start = time.monotonic()
    seed = ["--trainer.seed", str(draw), "--data.seed", str(draw), "--data.leaks", "ignore"]
    mien("fit", "poster_v2/own_folder", "--data.root", str(root), "--init", init, "--output", str(run), *seed, *more)
    seconds = time.monotonic() - start
    mien("evaluate", str(run), "--output", str(output / f"scores_{draw}"))
    return report(f"draw {draw}", output / f"scores_{draw}", seconds)


def main() -> None:
    own, more = (sys.argv[1:], []) if "--" not in sys.argv else split_at(sys.argv[1:], "--")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lfw", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--init", default="poster_v2_small_ferplus")
    parser.add_argument("--draws", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args(own)
    train, test = (by_class(options.lfw, split) for split in ("train", "test"))
    write_folder(options.output / "as_it_is", {"test": test})
    print(f"| | balanced accuracy | {' | '.join(CLASSES)} | s |\n|{' --- |' * (len(CLASSES) + 3)}")
    start = time.monotonic()
    data = ["--data.name", "image_folder", "--data.root", str(options.output / "as_it_is"), "--data.leaks", "ignore"]
    mien("evaluate", options.init, *data, "--output", str(options.output / "as_it_is_scores"))
    before = report("as it is", options.output / "as_it_is_scores", time.monotonic() - start)
    found = [measure(options.output, draw, (train, test), init=options.init, more=more) for draw in options.draws]
    print(f"\nmean {np.mean(found):.1f} (SD {np.std(found, ddof=1) if len(found) > 1 else 0:.1f}), "
          f"{np.mean(found) - before:+.1f} points")  # fmt: skip


def split_at(items: Sequence[str], mark: str) -> tuple[list[str], list[str]]:
    place = list(items).index(mark)
    return list(items[:place]), list(items[place + 1 :])


if __name__ == "__main__":
    main()
