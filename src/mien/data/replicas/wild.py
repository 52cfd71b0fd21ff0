"""Replicas of the large sets from the web, television and phones: AffectNet in its three forms, CAER-S, AI Hub.

Korean words are those of the sets' own folders and lists.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core.labels import label_set
from mien.core.records import Box
from mien.data.replicas.face import Face, Written
from mien.data.replicas.picture import in_scene, middle, write_picture, write_rows

_AFFECTNET = label_set("affectnet8").classes
_COLUMNS = (
    "subDirectory_filePath", "face_x", "face_y", "face_width", "face_height", "facial_landmarks", "expression",
    "valence", "arousal",
)  # fmt: skip
_CAERS_FOLDERS = {
    "anger": "Anger", "disgust": "Disgust", "fear": "Fear", "happiness": "Happy", "neutral": "Neutral",
    "sadness": "Sad", "surprise": "Surprise",
}  # fmt: skip
_AIHUB_CLASSES = {"joy": "기쁨", "embarrassment": "당황", "anger": "분노", "anxiety": "불안", "hurt": "상처",
                "sadness": "슬픔", "neutral": "중립"}  # fmt: skip
# Nobody draws embarrassment, anxiety and hurt here: a stand-in each, so that every class has pictures of its own.
AIHUB_CLASSES = {"joy": "happiness", "embarrassment": "surprise", "anger": "anger", "anxiety": "fear",
                 "hurt": "disgust", "sadness": "sadness", "neutral": "neutral"}  # fmt: skip


def write_affectnet(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """The full release: pictures of any size with a face box, 68 points, class, valence and arousal in a list."""
    rows: dict[str, list[list[object]]] = {"training": [list(_COLUMNS)], "validation": [list(_COLUMNS)]}
    for face in faces:
        scene = _scene_size(face)
        x, y = middle(face.pixels, scene)
        side, name = len(face.pixels), f"{face.number % 3}/{_digits(face.number, 56)}.jpg"
        write_picture(folder / "Manually_Annotated_Images" / name, in_scene(face.pixels, scene))
        points = (face.landmarks_px + (x, y)).round(2).astype(np.float32)
        text = ";".join(f"{value:.2f}" for value in points.ravel())
        part = "training" if face.split == "train" else "validation"
        affect = [-2 if value is None else value for value in (face.valence, face.arousal)]
        rows[part].append([name, x, y, side, side, text, _AFFECTNET.index(face.expression), *affect])
        box = (float(x), float(y), float(x + side), float(y + side))
        yield Written(f"Manually_Annotated_Images/{name}", face.split, face.expression, None, None, box, points,
                      face.valence, face.arousal)  # fmt: skip
    for part, table in rows.items():
        write_rows(folder / "Manually_Annotated_file_lists" / f"{part}.csv", table)


def write_affectnet_arrays(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """The 8-class release: `train_set|val_set/images/<n>.jpg` and four `.npy` files a face, numbers as text."""
    for face in faces:
        top = folder / ("train_set" if face.split == "train" else "val_set")
        write_picture(top / "images" / f"{face.number}.jpg", face.pixels)
        (top / "annotations").mkdir(parents=True, exist_ok=True)
        texts = {"exp": _AFFECTNET.index(face.expression), "val": _or(face.valence), "aro": _or(face.arousal)}
        for kind, value in texts.items():
            np.save(top / "annotations" / f"{face.number}_{kind}.npy", np.array(str(value)))
        np.save(top / "annotations" / f"{face.number}_lnd.npy", face.landmarks_px.astype(np.float64).ravel())
        yield Written(f"{top.name}/images/{face.number}.jpg", face.split, face.expression, None, None, None,
                      face.landmarks_px, face.valence, face.arousal)  # fmt: skip


def write_affectnet_folders(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """Class folders 0..7 as If3D has them, its table of valence and arousal, and a grey picture for each render."""
    rows: dict[str, list[list[object]]] = {part: [["number", "exp", "val", "aro"]] for part in ("train", "val")}
    for face in faces:
        part, code = "train" if face.split == "train" else "val", _AFFECTNET.index(face.expression)
        key = f"affectnet_clean/{part}/{code}/{face.number}.jpg"
        write_picture(folder / key, face.pixels)
        grey = face.pixels.mean(2, keepdims=True).astype(np.uint8)
        write_picture(folder / "affectnet_smirk" / part / str(code) / f"{face.number}.jpg", grey.repeat(3, 2))
        rows[part].append([face.number, code, _or(face.valence, 0.0), _or(face.arousal, 0.0)])
        affect = face.valence or 0.0, face.arousal or 0.0
        yield Written(key, face.split, face.expression, None, None, None, None, *affect)
    for part, table in rows.items():
        write_rows(folder / "affectnet_annotations" / f"{part}_set_annotation_without_lnd.csv", table)


def write_caers(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """`train|test/<class>/0001.png`, wide frames, and the face boxes that go with the public CAER-Net code."""
    classes = label_set("caers").classes
    lines: dict[str, list[list[object]]] = {"train": [], "test": []}
    for face in faces:
        scene = _scene_size(face, wide=True)
        name, code = _CAERS_FOLDERS[face.expression], classes.index(face.expression)
        key = f"{face.split}/{name}/{face.number:04d}.png"
        write_picture(folder / key, in_scene(face.pixels, scene))
        x, y = middle(face.pixels, scene)
        box: Box = (x, y, x + len(face.pixels), y + len(face.pixels))
        lines[face.split].append([f"{name}/{face.number:04d}.png", code, *box])
        yield Written(key, face.split, face.expression, box=box)
    for split, rows in lines.items():
        write_rows(folder / f"{split}.txt", rows)


def write_aihub(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """A list and a folder of pictures for each class of `Training` and `Validation`; the annotators agree."""
    lists: dict[tuple[str, str], list[dict[str, object]]] = {}
    for face in faces:
        label, scene = _AIHUB_CLASSES[face.expression], _scene_size(face)
        top, mark = ("Training", "TRAIN_01") if face.split == "train" else ("Validation", "VALID")
        person, upload = _digits(face.person, 64), f"2021012616{face.number // 60 % 60:02d}{face.number % 60:02d}"
        name = f"{person}_여_20_{label}_숙박 및 거주공간_{upload}-010-001.jpg"
        key = f"{top}/[원천]EMOIMG_{label}_{mark}/{name}"
        write_picture(folder / key, in_scene(face.pixels, scene))
        x, y = middle(face.pixels, scene)
        box = (float(x), float(y), float(x + len(face.pixels)), float(y + len(face.pixels)))
        lists.setdefault((top, label), []).append(_aihub_record(name, label, box))
        yield Written(key, face.split, face.expression, person, f"{person} {upload}", box)
    for (top, label), records in lists.items():
        mark, kind = ("TRAIN", "training") if top == "Training" else ("VALID", "validation")
        table = folder / top / f"[라벨]EMOIMG_{label}_{mark}" / f"img_emotion_{kind}_data({label}).json"
        table.parent.mkdir(parents=True, exist_ok=True)
        table.write_text(json.dumps(records, ensure_ascii=False, indent=4), encoding="utf-8")


def _aihub_record(name: str, label: str, box: Box) -> dict[str, object]:
    edges = dict(zip(("minX", "minY", "maxX", "maxY"), box, strict=True))
    annotation = {"boxes": edges, "faceExp": label, "bg": "숙박 및 거주공간"}
    record: dict[str, object] = {
        "filename": name,
        "gender": "여",
        "age": 20,
        "isProf": "일반인",
        "faceExp_uploader": label,
    }
    return record | {"bg_uploader": "숙박 및 거주공간"} | {f"annot_{who}": annotation for who in "ABC"}


def _scene_size(face: Face, *, wide: bool = False) -> tuple[int, int]:
    """(height, width) of a picture around the face, different from face to face."""
    height = round(len(face.pixels) * (1.2 + face.number % 5 / 10))
    return height, round(height * (16 / 9 if wide else 1 + face.number % 3 / 5))


def _digits(number: int, count: int) -> str:
    """Hexadecimal digits that look like the sets' hashes and are the same everywhere."""
    return hashlib.sha256(str(number).encode()).hexdigest()[:count]


def _or(value: float | None, absent: float = -2) -> float:
    return absent if value is None else value
