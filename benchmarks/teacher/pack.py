"""Packs FER+ and 300-W into one file for `benchmarks/gpu_teacher.py`, which then needs no data set, reader or search.

    python benchmarks/teacher/pack.py FERPLUS 300W PACK.npz

Faces lie in sheets. Those to train on are a JPEG of quality 93, whose blocks end where the faces do (2.3 grey levels
off, root mean square, for half of the bytes); those to report on are a PNG, exact. Which are trained on, held out and
left out is the selection of `configs/poster_v2/1_ferplus_small`, near-duplicates dropped; what is reported on is that
of `mien evaluate --split valid`. The crops of 300-W have the framing of `configs/poster_v2/0_landmarks_300w_small` and
a margin for augmentation. The file holds people's faces: it is not to be published.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.core.options import from_plain
from mien.core.records import Sample
from mien.core.spec import PictureInput
from mien.data.faces import prepare_face
from mien.data.options import DataOptions
from mien.data.selection import select_for_evaluation, select_for_training
from mien.media.files import atomic_path
from mien.media.listing import picture_files

sys.path.insert(0, str(Path(__file__).parents[1]))
from teacher.faces import HELD_OUT, MARGIN, SIDE, TRAIN, UNUSED, VERSION

CONFIGS = Path(__file__).parents[2] / "configs" / "poster_v2"
LABELS = label_set("ferplus")
QUALITY = 93


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("ferplus", "w300"):
        parser.add_argument(name, type=Path, help="folder of the data set")
    parser.add_argument("output", type=Path, help="the file to write, .npz")
    options = parser.parse_args()
    try:
        write_pack(options.ferplus, options.w300, options.output)
    except MienError as error:
        sys.exit(f"error: {error}")


def write_pack(ferplus: Path, w300: Path, output: Path) -> None:
    """Writes the pack and prints what is in it."""
    arrays = {"version": np.array(VERSION), "classes": np.array(LABELS.classes)}
    arrays |= training_faces(ferplus) | reported_faces(ferplus) | landmark_faces(w300)
    with atomic_path(output) as temporary:
        np.savez_compressed(temporary, **arrays)
    for name, array in arrays.items():
        print(f"{name:20} {array.dtype!s:8} {array.shape}")
    print(f"{output}: {output.stat().st_size / 1e6:.1f} MB")


def training_faces(root: Path) -> dict[str, np.ndarray]:
    """Every picture of FER2013Train; `train_part` says what it is for."""
    options, _ = settings("1_ferplus_small", root)
    selection = select_for_training(options, LABELS)
    print(*selection.notes, sep="\n")
    folder = root / "FER2013Train"
    samples = {f"{folder.name}/{file.name}": Sample("", file) for file in picture_files([folder])}
    parts = dict.fromkeys(samples, UNUSED)
    for part, chosen in ((TRAIN, selection.train), (HELD_OUT, selection.val)):
        parts |= dict.fromkeys((sample.key for sample in chosen), part)
        samples |= {sample.key: sample for sample in chosen}
    pixels = crops(list(samples.values()), PictureInput(size=SIDE, color="grey"))[0]
    return {
        "train_sheet": sheet(pixels, quality=QUALITY), "train_names": np.array(list(samples)),
        "train_part": np.array(list(parts.values()), np.uint8),
    } | labels_of("train", list(samples.values()))  # fmt: skip


def reported_faces(root: Path) -> dict[str, np.ndarray]:
    """The strict majority of FER2013Valid."""
    evaluated = DataOptions(name="ferplus", root=str(root), test_split="valid")
    samples = select_for_evaluation(evaluated, LABELS).samples
    pixels = crops(samples, PictureInput(size=SIDE, color="grey"))[0]
    names = np.array([sample.key for sample in samples])
    return {"valid_sheet": sheet(pixels), "valid_names": names} | labels_of("valid", samples)


def landmark_faces(root: Path) -> dict[str, np.ndarray]:
    """300-W's training faces; points in sides of the crop without its margin."""
    options, given = settings("0_landmarks_300w_small", root)
    selection = select_for_training(options, None)
    samples = selection.train + selection.val
    whole = SIDE + 2 * MARGIN
    box_scale = given["box_scale"] * whole / SIDE
    spec = PictureInput(size=whole, color="grey", box_scale=box_scale, box_shift=tuple(given["box_shift"]))
    pixels, points = crops(samples, spec)
    parts = [TRAIN] * len(selection.train) + [HELD_OUT] * len(selection.val)
    points = (np.stack(points) + 0.5 - MARGIN) / SIDE
    return {
        "points_sheet": sheet(pixels, quality=QUALITY), "points": points.astype(np.float32),
        "points_part": np.array(parts, np.uint8),
    }  # fmt: skip


def settings(name: str, root: Path) -> tuple[DataOptions, dict[str, Any]]:
    """Data and input options of a config."""
    config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text(encoding="utf-8"))
    return from_plain(DataOptions, config["data"] | {"root": str(root)}, where="data"), config["input"]


def crops(samples: Sequence[Sample], spec: PictureInput) -> tuple[np.ndarray, list[np.ndarray | None]]:
    """uint8 [n, size, size] and the points in crop pixels."""
    prepared = [prepare_face(sample, spec) for sample in samples]
    return np.stack([face[..., 0] if face.ndim == 3 else face for face, _ in prepared]), [p for _, p in prepared]


def labels_of(side: str, samples: Sequence[Sample]) -> dict[str, np.ndarray]:
    """Class (-1: none) and distribution of the votes (all 0: none)."""
    none = (0.0,) * len(LABELS)
    expression = [-1 if sample.expression is None else sample.expression for sample in samples]
    distribution = [none if sample.distribution is None else sample.distribution for sample in samples]
    return {
        f"{side}_expression": np.array(expression, np.int64),
        f"{side}_distribution": np.array(distribution, np.float32),
    }


def sheet(faces: np.ndarray, *, quality: int | None = None) -> np.ndarray:
    """The faces beside and below one another as the bytes of a PNG file, or of a JPEG of that quality."""
    count, side = len(faces), faces.shape[1]
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, side, side), np.uint8)
    padded[:count] = faces
    grid = padded.reshape(rows, columns, side, side).transpose(0, 2, 1, 3).reshape(rows * side, columns * side)
    extension, options = (".png", []) if quality is None else (
        ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    )  # fmt: skip
    return cv2.imencode(extension, grid, options)[1].ravel()


if __name__ == "__main__":
    main()
