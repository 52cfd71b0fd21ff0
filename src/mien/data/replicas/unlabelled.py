"""Replicas of picture sets without expressions or points: MEEI, CelebA, VGGFace2, FFHQ."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from mien.core.framing import box_of
from mien.core.records import Box
from mien.data.replicas.face import Face, Written
from mien.data.replicas.picture import (
    encoded,
    in_scene,
    middle,
    write_lines,
    write_picture,
    write_rows,
    write_tar,
)

_TABLE = ["image_path", "x1", "y1", "x2", "y2", "scale"]
_CELEBA = 218 / 178  # height by width


def write_meei(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """A folder for the video of every person, and of every seventh face a photograph in `normal.tar`; boxes of all."""
    photos, rows = {}, [list(_TABLE)]
    for face in faces:
        person = f"patient_{face.person + 1:02d}" if face.number % 7 else None
        path = f"{person}/{face.number:05d}.png" if person else f"normal/{face.number:05d}.rgb.png"
        if person:
            write_picture(folder / path, face.pixels)
        else:
            photos[path.partition("/")[2]] = encoded(face.pixels, ".png")
        box = box_of(face.landmarks_px)
        rows.append([path, *(f"{edge:.4f}" for edge in box), "0.999"])
        key = path if person else path.replace("normal/", "normal.tar/")
        yield Written(key, "all", None, person, person, box)
    write_tar(folder / "normal.tar", photos)
    write_rows(folder / "MEEI_annotations.csv", rows)


def write_celeba(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`img_align_celeba`, 178:218, the lists of parts and persons, and ParFace's table of boxes."""
    parts, persons, rows = [], [], [list(_TABLE)]
    for face in faces:
        name, side = f"{face.number:06d}.jpg", len(face.pixels)
        size = (round(side * _CELEBA), side)
        write_picture(folder / "img_align_celeba" / name, in_scene(face.pixels, size))
        x, y = middle(face.pixels, size)
        box = _moved(box_of(face.landmarks_px), x, y)
        parts.append(f"{name} {0 if face.split == 'train' else 2}")
        persons.append(f"{name} {face.person + 1}")
        rows.append([f"img_align_celeba/{name}", *(f"{edge:.4f}" for edge in box), "0.999"])
        yield Written(f"img_align_celeba/{name}", face.split, None, str(face.person + 1), None, box)
    write_lines(folder / "list_eval_partition.txt", parts)
    write_lines(folder / "identity_CelebA.txt", persons)
    write_rows(folder / "celeba_annotations.csv", rows)


def write_vggface2(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`train|test/n000001/0001_01.jpg` in larger pictures, and the lists of boxes, in whole pixels."""
    head = ["NAME_ID", "X", "Y", "W", "H"]
    rows: dict[str, list[list[object]]] = {"train": [list(head)], "test": [list(head)]}
    for face in faces:
        name, side = f"n{face.person + 1:06d}/{face.number:04d}_01", len(face.pixels)
        size = (round(1.4 * side), round(1.3 * side))
        write_picture(folder / face.split / f"{name}.jpg", in_scene(face.pixels, size))
        x, y = middle(face.pixels, size)
        x0, y0, x1, y1 = (round(edge) for edge in _moved(box_of(face.landmarks_px), x, y))
        rows[face.split].append([name, x0, y0, x1 - x0, y1 - y0])
        box: Box = (x0, y0, x1, y1)
        yield Written(f"{face.split}/{name}.jpg", face.split, None, name.partition("/")[0], None, box)
    for split, table in rows.items():
        write_rows(folder / "bb_landmark" / f"loose_bb_{split}.csv", table)


def write_ffhq(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`thumbnails128x128/00000/00000.png`, whatever their size; test faces are called by numbers from 60,000 on."""
    for face in faces:
        number = face.number - 1 + (60_000 if face.split == "test" else 0)
        key = f"thumbnails128x128/{number // 1000 * 1000:05d}/{number:05d}.png"
        write_picture(folder / key, face.pixels)
        yield Written(key, "train" if face.split == "train" else "valid", None)


def _moved(box: Box, x: float, y: float) -> Box:
    return box[0] + x, box[1] + y, box[2] + x, box[3] + y
