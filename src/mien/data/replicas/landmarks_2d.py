"""Replicas of landmark sets in the plane: 300-W, Menpo, WFLW, AFLW, NeuroFace."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core.framing import box_of
from mien.core.records import Box
from mien.data.replicas.face import Face, Written
from mien.data.replicas.picture import (
    cells,
    encoded,
    in_scene,
    middle,
    write_lines,
    write_mat,
    write_picture,
    write_tar,
)
from mien.data.replicas.schemes import as_19, as_98
from mien.media.points import write_pts

_PRIVATE = ("300W/01_Indoor/indoor", "300W/02_Outdoor/outdoor")
_HIDDEN_IN_AFLW = (5, 11, 14)  # what a turned head hides


def write_w300(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """HELEN's trainset and testset; of the test faces a third each is iBUG's and the private set's. And the boxes."""
    boxes: dict[str, list[dict[str, object]]] = {}
    for face in faces:
        part, split, key = _w300_place(face)
        write_picture(folder / key, face.pixels)
        write_pts((folder / key).with_suffix(".pts"), face.landmarks_px)
        box = box_of(face.landmarks_px)
        if part:
            tight = np.array([box]) + 0.5  # from 1, as the points are on disk
            found = tight + np.array([[-3.0, -5.0, 2.0, 4.0]])
            boxes.setdefault(part, []).append(
                {"imgName": key.rpartition("/")[2], "bb_detector": found, "bb_ground_truth": tight}
            )
        yield Written(key, split, None, box=box, landmarks_px=face.landmarks_px)
    for part, rows in boxes.items():
        write_mat(folder / "Bounding Boxes" / f"bounding_boxes_{part}.mat", {"bounding_boxes": cells(rows)})


def _w300_place(face: Face) -> tuple[str, str, str]:
    """Which file has the box, split, key."""
    if face.split == "train":
        return "helen_trainset", "train", f"helen/trainset/{face.number}_1.jpg"
    if face.number % 3 == 0:
        return "ibug", "test", f"ibug/image_{face.number:03d}_1.jpg"
    if face.number % 3 == 1:
        return "", "300w", f"{_PRIVATE[face.number % 2]}_{face.number:03d}.png"
    return "helen_testset", "test", f"helen/testset/{face.number}_1.jpg"


def write_menpo2d(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`train|test/semifrontal/*.jpg` and `.pts`. No profiles: nobody draws them here."""
    for face in faces:
        key = f"{face.split}/semifrontal/aflw__face_{40000 + face.number}.jpg"
        write_picture(folder / key, face.pixels)
        write_pts((folder / key).with_suffix(".pts"), face.landmarks_px)
        box = box_of(face.landmarks_px)
        yield Written(key, face.split, None, box=box, landmarks_px=face.landmarks_px)


def write_wflw(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """The two lists and `WFLW_images`; the six attributes are those of the face's number, not of the picture."""
    lines: dict[str, list[str]] = {"train": [], "test": []}
    for face in faces:
        size = (round(1.3 * len(face.pixels)), round(1.6 * len(face.pixels)))
        points = _shifted(as_98(face.landmarks_px), middle(face.pixels, size))
        name = f"{face.number % 3}--Drawn/{face.number % 3}_Drawn_Face_{face.number}.jpg"
        write_picture(folder / "WFLW_images" / name, in_scene(face.pixels, size))
        numbers = [f"{value:.6f}" for value in points.ravel()] + [str(round(edge)) for edge in box_of(points)]
        attributes = [str(int((face.number + bit) % 3 == 0)) for bit in range(6)]
        lines[face.split].append(" ".join([*numbers, *attributes, name]))
        key = f"WFLW_images/{name}#{len(lines[face.split])}"
        yield Written(key, face.split, None, box=box_of(points), landmarks_px=points)
    for split, rows in lines.items():
        top = folder / "WFLW_annotations" / "list_98pt_rect_attr_train_test"
        write_lines(top / f"list_98pt_rect_attr_{split}.txt", rows)


def write_aflw(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`AFLWinfo_release.mat` and `data/flickr`; some points of every fifth face are hidden. The first 82 % train."""
    everyone = list(faces)
    cut = round(len(everyone) * 20_000 / 24_386)
    names: list[str] = []
    rows, masks, boxes = [], [], []
    for place, face in enumerate(everyone):
        points = as_19(face.landmarks_px)
        visible = np.ones(19, bool)
        visible[list(_HIDDEN_IN_AFLW)] = face.number % 5 != 0
        names.append(f"{(0, 2, 3)[face.number % 3]}/image{face.number:05d}.jpg")
        write_picture(folder / "data" / "flickr" / names[-1], face.pixels)
        x0, y0, x1, y1 = box_of(points)
        rows.append(points.T.ravel())
        masks.append(visible)
        boxes.append((x0, x1, y0, y1))
        key = f"data/flickr/{names[-1]}#{place + 1}"
        split = "train" if place < cut else "test"
        yield Written(key, split, None, box=(x0, y0, x1, y1), landmarks_px=points, visible=visible)
    arrays = {"data": np.stack(rows).astype(np.float64), "mask_new": np.stack(masks).astype(np.uint8),
              "bbox": np.array(boxes), "ra": np.arange(1.0, len(everyone) + 1)[None]}  # fmt: skip
    write_mat(folder / "AFLWinfo_release.mat", arrays | {"nameList": cells(names, column=True)})


def write_neuroface(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`all.tar` with a picture, its points and its box for every frame; a recording for every picture of a person."""
    files = {}
    for face in faces:
        person = f"{'ANS'[face.person % 3]}{face.person + 1:03d}"
        clip = f"{person}_{face.number % 9 + 1:02d}_SMILE_color"
        stem = f"{clip}_{10 * face.number:04d}"
        x0, y0, x1, y1 = box_of(face.landmarks_px)
        files[f"{stem}.rgb.png"] = encoded(face.pixels, ".png")
        files[f"{stem}.lmk2d.txt"] = "".join(f"{x:.4f} {y:.4f}\n" for x, y in face.landmarks_px).encode()
        files[f"{stem}.bbox.txt"] = f"{x0:.4f} {y0:.4f} {x1:.4f} {y1:.4f}\n".encode()
        box: Box = (x0, y0, x1, y1)
        yield Written(f"all.tar/{stem}.rgb.png", "all", None, person, f"all.tar/{clip}", box, face.landmarks_px)
    write_tar(folder / "all.tar", files)


def _shifted(points: np.ndarray, by: tuple[int, int]) -> np.ndarray:
    """Rounded as the list is written."""
    return np.round(points + np.array(by, np.float32), 6).astype(np.float32)
