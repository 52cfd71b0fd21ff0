"""Replicas of landmark sets in space: 300W-LP, AFLW2000-3D, LS3D-W, ParFace. Depth is a bowl's (`schemes.bowl`)."""

import json
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from mien.core.framing import box_of
from mien.data.replicas.face import Face, Written
from mien.data.replicas.picture import write_mat, write_picture, write_rows
from mien.data.replicas.schemes import bowl

_LP_PARTS = ("AFW", "HELEN", "IBUG", "LFPW")


def write_w300lp(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """The folders, and JVCR's list with depth."""
    records = []
    for face in faces:
        found = _lp_files(folder, face)
        depth = bowl(face.landmarks_px)
        x0, y0, x1, y1 = box_of(face.landmarks_px)
        records.append({
            "dataset": "300wLP", "isValidation": 0.0, "img_paths": found.key, "bbox": [x0, y0, x1 - x0, y1 - y0],
            "landmarks": _listed(face.landmarks_px, depth), "landmarks_2d": _listed(face.landmarks_px),
            "objpos": [(x0 + x1) / 2, (y0 + y1) / 2], "scale_provided": (x1 - x0 + y1 - y0) / 400,
        })  # fmt: skip
        yield found._replace(depth_px=depth, pose_rad=None)
    (folder / "300wLP_anno_tr.json").write_text(json.dumps(records), encoding="utf-8")


def write_w300lp_mat(folder: Path, faces: Iterable[Face]) -> list[Written]:
    """The folders alone, as the release has them."""
    return [_lp_files(folder, face) for face in faces]


def _lp_files(folder: Path, face: Face) -> Written:
    part = _LP_PARTS[face.person % len(_LP_PARTS)]
    clip = f"{part}_{100000 + face.person}_1"
    name, pose = f"{clip}_{face.number % 17}", _pose(face.number)
    write_picture(folder / part / f"{name}.jpg", face.pixels)
    points = face.landmarks_px.astype(np.float64) + 1
    whole = {"pt2d": points.T, "Pose_Para": np.array([[*pose, 0, 0, 0, 1e-4]], np.float32)}
    write_mat(folder / part / f"{name}.mat", whole)
    write_mat(folder / "landmarks" / part / f"{name}_pts.mat", {"pts_2d": points, "pts_3d": points})
    box = box_of(face.landmarks_px)
    return Written(f"{part}/{name}.jpg", "all", None, clip=clip, box=box, landmarks_px=face.landmarks_px, pose_rad=pose)


def write_aflw2000(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """Pictures with `.mat`, and the re-annotated points (the same, rounded). Poses are in the files only."""
    head = ["image", "row_in_AFLW2000-3D_arrays", *(f"{axis}{i}" for i in range(68) for axis in "xy")]
    rows: list[list[object]] = [list(head)]
    for face in faces:
        name, pose, depth = f"image{face.number + 1:05d}", _pose(face.number), bowl(face.landmarks_px)
        write_picture(folder / f"{name}.jpg", face.pixels)
        points = np.concatenate([face.landmarks_px.T + 1, depth[None]]).astype(np.float32)
        more = {"Pose_Para": np.array([[*pose, 0, 0, 0, 1e-4]], np.float32), "roi": np.ones((1, 4), np.int16)}
        write_mat(folder / f"{name}.mat", {"pt2d": np.full((2, 21), -1.0), **more, "pt3d_68": points})
        rows.append([name, face.number - 1, *(f"{value + 1:.0f}.000" for value in face.landmarks_px.ravel())])
        yield Written(f"{name}.jpg", "test", None, box=box_of(face.landmarks_px), landmarks_px=face.landmarks_px,
                      depth_px=depth, pose_rad=pose)  # fmt: skip
    write_rows(folder / "reannotated_pts68.csv", rows)


def write_ls3d(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """300VW's videos to train on, a person each, and 300-W's test set; points in Torch7 files."""
    for face in faces:
        clip = f"300VW-3D/Trainset/{face.person + 1:03d}" if face.split == "train" else None
        key = f"{clip}/{face.number:04d}.jpg" if clip else f"300W-Testset-3D/indoor_{face.number:03d}.png"
        write_picture(folder / key, face.pixels)
        (folder / key).with_suffix(".t7").write_bytes(_t7(face.landmarks_px))
        split = "train" if clip else "300w"
        yield Written(key, split, None, clip=clip, box=box_of(face.landmarks_px), landmarks_px=face.landmarks_px)


def write_parface_palsy(folder: Path, faces: Iterable[Face]) -> Iterator[Written]:
    """A folder for every person; the first of six lists has a sixth of the frames to train on, the last all of them."""
    records: dict[str, list[dict[str, object]]] = {"train": [], "test": []}
    for face in faces:
        sequence, depth = f"sequence_{face.person + 1:02d}", bowl(face.landmarks_px)
        key = f"{sequence}/{face.number:05d}.jpg"
        write_picture(folder / key, face.pixels)
        points = _listed(face.landmarks_px, depth)
        records[face.split].append({"img_path": f"palsy/videos/{key}", "landmarks_MAL3D": points})
        box = box_of(face.landmarks_px)
        yield Written(key, face.split, None, sequence, sequence, box, face.landmarks_px, depth_px=depth)
    lists = {f"palsy_labeled_{n}": records["train"][: -(-len(records["train"]) * n // 6)] for n in range(1, 7)}
    lists |= {"palsy_test": records["test"], "palsy_annotations": records["train"] + records["test"]}
    for name, rows in lists.items():
        (folder / f"{name}.ljson").write_text(json.dumps(rows), encoding="utf-8")


def _listed(points: np.ndarray, depth: np.ndarray | None = None) -> list[list[float]]:
    columns = points if depth is None else np.concatenate([points, depth[:, None]], axis=1)
    rows: list[list[float]] = np.round(columns.astype(np.float64), 4).tolist()
    return rows


def _pose(number: int) -> tuple[float, float, float]:
    """pitch, yaw, roll in radians: yaw goes through all the published ranges."""
    pitch, yaw, roll = number * 7 % 31 - 15, number * 37 % 161 - 80, number * 5 % 21 - 10
    return float(np.float32(np.deg2rad(pitch))), float(np.float32(np.deg2rad(yaw))), float(np.float32(np.deg2rad(roll)))


def _t7(points: np.ndarray) -> bytes:
    """A Torch7 file of one FloatTensor."""
    rows, columns = points.shape

    def named(number: int, name: bytes) -> bytes:
        return struct.pack("<3i", 4, number, 3) + b"V 1" + struct.pack("<i", len(name)) + name

    head = struct.pack("<i5q", 2, rows, columns, columns, 1, 1)
    content = points.astype("<f4").tobytes()
    storage = named(2, b"torch.FloatStorage") + struct.pack("<q", rows * columns) + content
    return named(1, b"torch.FloatTensor") + head + storage
