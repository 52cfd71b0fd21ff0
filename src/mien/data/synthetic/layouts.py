"""Writes drawn faces as a data set folder, in the genuine layout of each reader."""

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from mien.core.errors import MienError, nearest
from mien.core.labels import label_set
from mien.data.readers.points import write_pts
from mien.data.synthetic.drawn_shape import EXPRESSIONS


class Face(NamedTuple):
    number: int  # from 1
    split: str
    expression: str
    pixels: np.ndarray
    landmarks_px: np.ndarray


def write_drawn(
    folder: Path | str, *, faces: int = 700, seed: int = 0, layout: str = "image_folder", size: int = 112,
    test_share: float = 0.2,
) -> Path:  # fmt: skip
    """Writes `faces` pictures, as many of each expression, the last share of them as test. Returns the folder.

    The same arguments write the same pictures. Raises MienError for an unknown layout.
    """
    if layout not in LAYOUTS:
        raise MienError(f"No layout {layout!r}.{nearest(layout, LAYOUTS)}")
    if faces < 2 * len(EXPRESSIONS):
        raise MienError(f"Drawn faces come {len(EXPRESSIONS)} expressions in two splits; got faces = {faces}.")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    LAYOUTS[layout](folder, _faces(faces, seed, size, test_share))
    return folder


def _faces(count: int, seed: int, size: int, test_share: float) -> Iterator[Face]:
    from mien.data.synthetic.drawn import draw_face

    test = max(len(EXPRESSIONS), round(count * test_share))
    for i in range(count):
        rng = np.random.Generator(np.random.PCG64([seed, i]))
        expression = EXPRESSIONS[i % len(EXPRESSIONS)]
        yield Face(i + 1, "train" if i < count - test else "test", expression, *draw_face(expression, rng, size=size))


def _write_class_folders(folder: Path, faces: Iterator[Face]) -> None:
    """`train|test/<expression>/*.png`, and the points beside each picture: for `drawn` and `image_folder`."""
    for face in faces:
        path = folder / face.split / face.expression / f"{face.number:05d}.png"
        _write_picture(path, face.pixels)
        write_pts(path.with_suffix(".pts"), face.landmarks_px)


def _write_numbered_folders(folder: Path, faces: Iterator[Face]) -> None:
    """`train|test/1..7/*.jpg`: `rafdb_folders`."""
    for face in faces:
        code = EXPRESSIONS.index(face.expression) + 1
        _write_picture(folder / face.split / str(code) / f"{face.split}_{face.number:05d}_aligned.jpg", face.pixels)


def _write_rafdb(folder: Path, faces: Iterator[Face]) -> None:
    lines = []
    for face in faces:
        name = f"{face.split}_{face.number:05d}"
        _write_picture(folder / "Image" / "aligned" / f"{name}_aligned.jpg", face.pixels)
        lines.append(f"{name}.jpg {EXPRESSIONS.index(face.expression) + 1}\n")
    (folder / "EmoLabel").mkdir(exist_ok=True)
    (folder / "EmoLabel" / "list_patition_label.txt").write_text("".join(lines), encoding="utf-8")


def _write_ferplus(folder: Path, faces: Iterator[Face]) -> None:
    """Grey 48x48; test faces are FER2013Valid. Seven to ten of the votes are for the expression."""
    classes = label_set("ferplus").classes
    rows: dict[str, list[list[object]]] = {"FER2013Train": [], "FER2013Valid": []}
    for face in faces:
        where = "FER2013Train" if face.split == "train" else "FER2013Valid"
        grey = cv2.cvtColor(cv2.resize(face.pixels, (48, 48), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
        _write_picture(folder / where / f"fer{face.number:07d}.png", grey)
        votes = [0] * 10
        votes[classes.index(face.expression)] = 7 + face.number % 4
        votes[(classes.index(face.expression) + 1) % 8] += 3 - face.number % 4
        rows[where].append([f"fer{face.number:07d}.png", "(0, 0, 48, 48)", *votes])
    for where, table in rows.items():
        with (folder / where / "label.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(table)


def _write_w300(folder: Path, faces: Iterator[Face]) -> None:
    for face in faces:
        path = folder / "helen" / ("trainset" if face.split == "train" else "testset") / f"{face.number}_1.jpg"
        _write_picture(path, face.pixels)
        write_pts(path.with_suffix(".pts"), face.landmarks_px)


def _write_manifest(folder: Path, faces: Iterator[Face]) -> None:
    """`manifest.csv`; one subject a picture, the whole picture as box."""
    rows: list[list[object]] = [["path", "expression", "split", "subject", "x0", "y0", "x1", "y1"]]
    for face in faces:
        name = f"pictures/{face.number:05d}.jpg"
        _write_picture(folder / name, face.pixels)
        side = len(face.pixels)
        rows.append([name, face.expression, face.split, f"person{face.number}", 0, 0, side, side])
    with (folder / "manifest.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)


def _write_picture(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = pixels[..., ::-1] if pixels.ndim == 3 else pixels
    options = [cv2.IMWRITE_JPEG_QUALITY, 92] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), bgr, options):
        raise MienError(f"Cannot write {path}. Is the disk full, or the folder read-only?")


LAYOUTS: dict[str, Callable[[Path, Iterator[Face]], None]] = {
    "image_folder": _write_class_folders,
    "drawn": _write_class_folders,
    "rafdb": _write_rafdb,
    "rafdb_folders": _write_numbered_folders,
    "ferplus": _write_ferplus,
    "w300": _write_w300,
    "manifest": _write_manifest,
}
