"""Tiny data sets in the genuine layouts of AffectNet, CAER-S and AI Hub, written by hand: no face is in them."""

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

HEADER = "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,valence,arousal"
POINTS = ";".join(f"{i * 1.5:.2f}" for i in range(136))
CODES = {"기쁨": 0, "당황": 1, "분노": 2, "불안": 3, "상처": 4, "슬픔": 5, "중립": 6}


def picture(path: Path, side: int = 24) -> Path:
    """Grey blobs that follow from the path's last three parts, so that no two pictures are near-duplicates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.Generator(np.random.PCG64(zlib.crc32("/".join(path.parts[-3:]).encode("utf-8", "replace"))))
    pixels = cv2.resize(rng.integers(0, 256, (8, 8), np.uint8), (side, side), interpolation=cv2.INTER_CUBIC)
    done, content = cv2.imencode(path.suffix.lower(), pixels)
    assert done
    path.write_bytes(content.tobytes())
    return path


def affectnet_lists(root: Path, *, train: int = 22, test: int = 11, header: str = HEADER) -> Path:
    """The full release: the codes 0..10 in turn, the picture `<code>/<split><n>.jpg`."""
    (root / "Manually_Annotated_file_lists").mkdir(parents=True)
    for name, count in (("training", train), ("validation", test)):
        rows = [header] if header else []
        for i in range(count):
            path, code = f"{i % 3}/{name}{i:03d}.jpg", i % 11
            picture(root / "Manually_Annotated_Images" / path)
            affect = "-2,-2" if code > 7 else f"{i / 100},-0.25"
            rows.append(f"{path},2,3,16,18,{POINTS},{code},{affect}")
        (root / "Manually_Annotated_file_lists" / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return root


def affectnet_arrays(root: Path, *, train: int = 16, test: int = 8) -> Path:
    """The 8-class release: numbers as text, as its files hold them."""
    for folder, count in (("train_set", train), ("val_set", test)):
        (root / folder / "annotations").mkdir(parents=True)
        for i in range(count):
            picture(root / folder / "images" / f"{i}.jpg")
            values = {"exp": str(i % 8), "val": f"{-i / 20:.6f}", "aro": "0.5", "lnd": np.arange(136) / 2}
            for kind, value in values.items():
                np.save(root / folder / "annotations" / f"{i}_{kind}.npy", np.array(value))
    return root


def affectnet_tree(root: Path, *, train: int = 16, test: int = 8) -> Path:
    """If3D's three trees; picture 3 has no row in the annotations, and that of 4 says another class."""
    (root / "affectnet_annotations").mkdir(parents=True)
    for split, count in (("train", train), ("val", test)):
        rows = ["number,exp,val,aro"]
        for i in range(count):
            for tree in ("affectnet_clean", "affectnet_smirk"):
                picture(root / tree / split / str(i % 8) / f"{i}.jpg")
            if i != 3:
                rows.append(f"{i},{7 if i == 4 else i % 8},{i / 50},-0.5")
        table = root / "affectnet_annotations" / f"{split}_set_annotation_without_lnd.csv"
        table.write_text("\n".join(rows) + "\n")
    return root


def caers(root: Path, *, each: int = 2) -> Path:
    classes = ("Anger", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
    for split in ("train", "test"):
        lines = []
        for code, name in enumerate(classes):
            for i in range(1, each + 1):
                picture(root / split / name / f"{i:04d}.png")
                lines.append(f"{name}/{i:04d}.png,{code},4,5,20,22")
        (root / f"{split}.txt").write_text("\n".join(lines) + "\n")
    return root


def aihub_record(name: str, votes: Sequence[str], *, uploader: str = "기쁨", grow: int = 0) -> dict[str, object]:
    """One record; the annotators' boxes grow from one to the next."""
    record: dict[str, object] = {
        "filename": name, "gender": "여", "age": 20, "isProf": "일반인", "faceExp_uploader": uploader,
        "bg_uploader": "숙박 및 거주공간",
    }  # fmt: skip
    for i, (who, vote) in enumerate(zip("ABC", votes, strict=True)):
        boxes = {"maxX": 20.5 + i * grow, "maxY": 22.0, "minX": 4.0, "minY": 5.0}
        record[f"annot_{who}"] = {"boxes": boxes, "faceExp": vote, "bg": "실내"}
    return record


def aihub_name(person: int, expression: str, upload: int = 1, serial: int = 1) -> str:
    return f"{person:064x}_여_20_{expression}_숙박 및 거주공간_202101261655{upload:02d}-010-{serial:03d}.jpg"


def aihub(root: Path, *, each: int = 2) -> Path:
    """Seven lists for training and for validation, all votes alike; every person uploads each expression."""
    for top, mark, kind in (("Training", "TRAIN", "training"), ("Validation", "VALID", "validation")):
        for label, code in CODES.items():
            people = range(1 if mark == "TRAIN" else 101, (1 if mark == "TRAIN" else 101) + each)
            names = [aihub_name(person, label, code) for person in people]
            for name in names:
                picture(root / top / f"[원천]EMOIMG_{label}_{mark}{'_01' * (mark == 'TRAIN')}" / name)
            records = [aihub_record(name, [label] * 3, uploader=label) for name in names]
            table = root / top / f"[라벨]EMOIMG_{label}_{mark}" / f"img_emotion_{kind}_data({label}).json"
            aihub_list(table, records)
    return root


def aihub_list(table: Path, records: Sequence[dict[str, object]]) -> Path:
    table.parent.mkdir(parents=True, exist_ok=True)
    table.write_text(json.dumps(list(records), ensure_ascii=False, indent=4), encoding="utf-8")
    return table
