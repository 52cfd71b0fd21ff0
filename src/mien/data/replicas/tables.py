"""Replicas of sets whose labels are one table or list."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core.labels import label_set
from mien.core.records import Box
from mien.data.replicas.face import Face, Written
from mien.data.replicas.folders import write_plain_folders
from mien.data.replicas.picture import grey, in_scene, write_lines, write_picture, write_rows
from mien.synthetic.drawn_shape import EXPRESSIONS

_FER_SIDE = 48
_EXPW_QUERIES = ("actor", "teacher", "boss", "player", "nurse")  # a part of the names of ExpW's pictures


def write_rafdb(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`Image/aligned/*_aligned.jpg` and the list of the classes."""
    lines = []
    for face in faces:
        name = f"{face.split}_{face.number:05d}"
        key = f"Image/aligned/{name}_aligned.jpg"
        write_picture(folder / key, face.pixels)
        lines.append(f"{name}.jpg {EXPRESSIONS.index(face.expression) + 1}")
        yield Written(key, face.split, face.expression)
    write_lines(folder / "EmoLabel" / "list_patition_label.txt", lines)


def write_ferplus(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """Grey 48 x 48; test faces are FER2013Valid. Seven to ten of the votes are for the expression."""
    classes = label_set("ferplus").classes
    rows: dict[str, list[list[object]]] = {"FER2013Train": [], "FER2013Valid": []}
    for face in faces:
        where = "FER2013Train" if face.split == "train" else "FER2013Valid"
        name = f"fer{face.number:07d}.png"
        write_picture(folder / where / name, grey(face.pixels, (_FER_SIDE, _FER_SIDE)))
        votes = [0] * 10
        votes[classes.index(face.expression)] = 7 + face.number % 4
        votes[(classes.index(face.expression) + 1) % 8] += 3 - face.number % 4
        rows[where].append([name, "(0, 0, 48, 48)", *votes])
        yield Written(f"{where}/{name}", "train" if face.split == "train" else "valid", face.expression)
    for where, table in rows.items():
        write_rows(folder / where / "label.csv", table)


def write_fer2013(folder: Path, faces: Iterable[Face]) -> list[Written]:
    """`fer2013.csv`, sorted by use; of the test faces, one of each class at a time is PrivateTest, then PublicTest."""
    classes = label_set("fer2013").classes
    rows: dict[str, list[tuple[str, str]]] = {"Training": [], "PublicTest": [], "PrivateTest": []}
    tests = 0
    for face in faces:
        usage = "Training" if face.split == "train" else ("PrivateTest", "PublicTest")[tests // len(classes) % 2]
        tests += face.split == "test"
        pixels = " ".join(map(str, grey(face.pixels, (_FER_SIDE, _FER_SIDE)).ravel().tolist()))
        rows[usage].append((face.expression, pixels))
    table = [(usage, *row) for usage, found in rows.items() for row in found]
    lines = [f"{classes.index(expression)},{pixels},{usage}" for usage, expression, pixels in table]
    write_lines(folder / "fer2013.csv", ["emotion,pixels,Usage", *lines])
    splits = {"Training": "train", "PublicTest": "valid", "PrivateTest": "test"}
    return [
        Written(f"fer2013.csv/{number:05d}", splits[usage], expression)
        for number, (usage, expression, _) in enumerate(table)
    ]


def write_expw(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """Scenes with one face, or with two in every third picture; the box is the face without the edge of its square."""
    classes, lines = label_set("expw").classes, []
    pictures = _in_pictures(list(faces))
    for number, (name, together) in enumerate(pictures.items(), 1):
        side = len(together[0].pixels)
        joined = np.concatenate([face.pixels for face in together], axis=1)
        x, y = side // 4 + number % 7, side // 5
        scene = in_scene(joined, (side + 2 * y, joined.shape[1] + side // 2 + 7), at=(x, y))
        write_picture(folder / "data" / "image" / "origin" / name, scene)
        for place, face in enumerate(together):
            left, top, edge = x + place * side, y, side // 10
            box = (left + edge, top + edge, left + side - edge, top + side - edge)
            code = classes.index(face.expression)
            lines.append(f"{name} {place} {box[1]} {box[0]} {box[2]} {box[3]} {20 + face.number % 60:.4f} {code}")
            yield _expw_face(name, place, face, box)
    write_lines(folder / "data" / "label" / "label.lst", lines)


def _in_pictures(faces: list[Face]) -> dict[str, list[Face]]:
    """The faces by the picture that they stand in."""
    found: dict[str, list[Face]] = {}
    for face in faces:
        first = face.number - (face.number % 4 == 0)  # faces 3 and 4 share a picture, then 7 and 8, ...
        name = f"{faces[first - 1].expression}_{_EXPW_QUERIES[first % len(_EXPW_QUERIES)]}_{first}.jpg"
        found.setdefault(name, []).append(face)
    return found


def _expw_face(name: str, place: int, face: Face, box: tuple[int, int, int, int]) -> Written:
    edges: Box = (float(box[0]), float(box[1]), float(box[2]), float(box[3]))
    return Written(f"data/image/origin/{name}#{place}", "all", face.expression, box=edges)


def write_manifest(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`manifest.csv`, with everything that it can say of a picture; the box is the whole picture."""
    columns = ("path", "expression", "split", "subject", "clip", "x0", "y0", "x1", "y1", "valence", "arousal")
    rows: list[list[object]] = [[*columns, "landmarks"]]
    for face in faces:
        key, side = f"pictures/{face.number:05d}.jpg", len(face.pixels)
        write_picture(folder / key, face.pixels)
        clip = f"{face.subject}/{face.number}"
        points = " ".join(f"{value:.3f}" for value in face.landmarks_px.ravel())
        affect = ["" if value is None else value for value in (face.valence, face.arousal)]
        rows.append([key, face.expression, face.split, face.subject, clip, 0, 0, side, side, *affect, points])
        yield Written(key, face.split, face.expression, face.subject, clip, (0.0, 0.0, float(side), float(side)),
                    face.landmarks_px, face.valence, face.arousal)  # fmt: skip
    write_rows(folder / "manifest.csv", rows)


def write_joined(folder: Path, faces: Iterable[Face]) -> list[Written]:
    """Two sets below one `joined.yaml`: every other person in each."""
    parts: dict[str, list[Face]] = {"rafdb": [], "image_folder": []}
    for face in faces:
        parts["rafdb" if face.person % 2 == 0 else "image_folder"].append(face)
    found = {"rafdb": write_rafdb(folder / "rafdb", parts["rafdb"]),
             "image_folder": write_plain_folders(folder / "image_folder", parts["image_folder"])}  # fmt: skip
    lines = ["labels: rafdb", "sets:", "  - {name: rafdb, root: rafdb}"]
    write_lines(
        folder / "joined.yaml", [*lines, "  - {name: image_folder, root: image_folder, reader: {labels: rafdb}}"]
    )
    return [face._replace(key=f"{name}/{face.key}") for name, part in found.items() for face in part]
