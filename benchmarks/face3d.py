"""The 3D face of a photo against the truth: vertices of synthetic people, landmarks of photographs.

    python benchmarks/face3d.py people --count 200
    python benchmarks/face3d.py photos --root datasets/300w --split-file split.csv
    python benchmarks/face3d.py people --bundle runs/smirk/bundle
    python benchmarks/face3d.py train --root people    # mien data synth people --faces 4400 --pictures 2 --size 112
    python benchmarks/face3d.py points --root lfw/Image/aligned --table lfw.csv

people: persons of another seed than any training. Mean distance of a vertex of the shown face without pose, in mm,
after a similarity, beside those of the mean face and of the mean of all people's parameters; correlation of action
units with their truth. train: the weights of runtime/face3d/point_regression.py, from the part `train` of a folder of
synthetic people, in boxes that are off as a detector's are. photos: inter-ocular NME of the 3D face's projected
landmarks beside that of the landmark model, on the part `valid` of the split, in boxes about a detector's. points: a
table (`--data.name manifest`) of the landmarks that the landmark model finds in pictures of one face each, with which
SMIRK is trained as published: on photographs whose points a network found; faces of which it is unsure are left out.
"""

import argparse
import csv
import os
import sys
from pathlib import Path

import numpy as np

from mien.core.face3d import Face3D, rotation_matrices
from mien.core.framing import POINT_BOXES
from mien.data.readers import open_reader
from mien.data.readers.divided import Divided
from mien.data.split_file import read_split_file
from mien.media.files import atomic_path
from mien.media.image import load_image
from mien.metrics.alignment import nme_per_face
from mien.metrics.face3d import vertex_errors_mm
from mien.runtime.face3d.fit import LandmarkFit
from mien.runtime.face3d.point_regression import FILE, features, trained
from mien.runtime.face3d.regressor import FIT, Regressor
from mien.runtime.landmarks import Landmarker
from mien.synthetic.face.open_face import parameter_row
from mien.synthetic.faces3d import face_named
from mien.synthetic.people import PeopleOptions, portrait
from mien.synthetic.picture.camera import turn

SURE = 0.6  # least mean probability that a point is right, for a face to be trained on
UNITS = ("AU1", "AU2", "AU4", "AU6", "AU9", "AU12", "AU15", "AU25")


def unposed(face: Face3D, rows: np.ndarray) -> np.ndarray:
    """The shown vertices of rows of parameters."""
    first, seen = face.shape_count, np.unique(face.render_triangles)
    found = [face.vertices(r[None, :first], r[None, first:-5], jaw=r[None, -5:-2], lids=r[None, -2:])[0] for r in rows]
    return np.stack(found)[:, seen]


def people(regressor: Regressor, count: int, seed: int) -> None:
    face, options = regressor.face, PeopleOptions(size=192, yaw_max_deg=40)
    rows, truth, points, places, turned = [], [], [], [], []
    for number in range(count):
        pixels, known = portrait(seed, number, options=options)
        found = regressor.read(pixels, known.box, size=192)
        rows.append(np.concatenate([found.shape, found.expression, found.jaw, found.lids]))
        truth.append(parameter_row(known.identity, known.action_units))
        points.append(known.landmarks_px)
        places.append(found.crop.to_picture(found.landmarks(face)))
        angles = np.radians([known.yaw_deg, known.pitch_deg, known.roll_deg])
        rotation = turn(yaw_rad=angles[0], pitch_rad=angles[1], roll_rad=angles[2])
        cosine = (np.trace(rotation_matrices(found.pose) @ rotation.T) - 1) / 2
        turned.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    given, known_rows = np.stack(rows), np.stack(truth)
    wanted = unposed(face, known_rows)
    guesses = {"predicted": given, "mean face": 0 * known_rows, "mean person": known_rows * 0 + known_rows.mean(0)}
    errors = {name: vertex_errors_mm(unposed(face, guess), wanted, aligned=True) for name, guess in guesses.items()}
    for name, values in errors.items():
        share = values.mean() / errors["mean face"].mean()
        print(f"{name:12} {values.mean():.2f} mm, {share:.1%} of the mean face's")
    off = nme_per_face(np.stack(places), np.stack(points), normaliser="interocular").mean()
    print(f"NME of the landmarks {off:.2%}")
    print(f"head pose off by {np.mean(turned):.1f} degrees (median {np.median(turned):.1f})")
    first = face.shape_count
    for name in UNITS:
        column = first + face.expression_names.index(f"{name}_L")
        side = np.corrcoef(given[:, column], known_rows[:, column])[0, 1]
        print(f"{name}_L r {side:.2f}, error {np.abs(given[:, column] - known_rows[:, column]).mean():.3f}", end="; ")
    print()


def photos(regressor: Regressor, root: str, split_file: str) -> None:
    landmarker = Landmarker(threads=1)
    reader = Divided(open_reader("w300", root), read_split_file(split_file), where=split_file)
    truth, fitted, landmarks = [], [], []
    for sample in reader.samples("valid"):
        pixels, points = load_image(sample.path).pixels, np.asarray(sample.landmarks_px, float)
        box = POINT_BOXES["detector"](points)
        found = regressor.read(pixels, box, size=224)
        truth.append(points)
        fitted.append(found.crop.to_picture(found.landmarks(regressor.face)))
        landmarks.append(landmarker.read(pixels, box).landmarks_px)
    for what, inner in (("68 points", slice(None)), ("51 inner points", slice(17, None))):
        sizes = np.linalg.norm(np.stack(truth)[:, 36] - np.stack(truth)[:, 45], axis=-1)[:, None]
        off = [
            (np.linalg.norm(np.stack(found) - np.stack(truth), axis=-1) / sizes)[:, inner].mean()
            for found in (fitted, landmarks)
        ]
        ratio = f"3D face {off[0]:.2%}, landmark model {off[1]:.2%}, {off[0] / off[1]:.2f} x"
        print(f"{len(truth)} photos, {what}: {ratio}")


def train(root: str) -> None:
    landmarker, random = Landmarker(threads=1), np.random.default_rng(0)
    fit, found, rows = LandmarkFit(face_named("open")), [], []
    for sample in open_reader("people", root).samples("train"):
        x0, y0, x1, y1 = POINT_BOXES["detector"](np.asarray(sample.landmarks_px))
        side, (dx, dy) = x1 - x0, random.normal(0, 0.05, 2)
        x, y, half = (x0 + x1) / 2 + dx * side, (y0 + y1) / 2 + dy * side, side / 2 * np.exp(random.normal(0, 0.06))
        points = landmarker.read(load_image(sample.path).pixels, (x - half, y - half, x + half, y + half))
        found.append(features(fit.mean_points, fit.checked(points)))
        rows.append(sample.face3d)
    with atomic_path(FILE) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **trained(np.stack(found), np.stack(rows), landmark_model=landmarker.info.model_id))
    print(f"{FILE}: {len(rows)} faces")


def points(root: str, table: str, count: int) -> None:
    landmarker, files = Landmarker(threads=1), sorted(Path(root).rglob("*.[jp][pn]g"))
    if len(files) > count > 0:
        files = [files[i] for i in sorted(np.random.default_rng(0).permutation(len(files))[:count])]
    below, kept = Path(table).resolve().parent, 0
    with atomic_path(Path(table)) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "landmarks", "split"])
        for path in files:
            found = landmarker.read(load_image(path).pixels)
            if found.confidence is not None and found.confidence.mean() >= SURE:
                row = " ".join(f"{value:.2f}" for value in found.landmarks_px.ravel())
                writer.writerow([os.path.relpath(path.resolve(), below), row, "train"])
                kept += 1
    print(f"{table}: {kept} of {len(files)} pictures")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("people", "photos", "train", "points"))
    parser.add_argument("--count", type=int, default=200, help="of people; of pictures whose points are looked for")
    parser.add_argument("--seed", type=int, default=90)
    parser.add_argument("--root", default="datasets/300w")
    parser.add_argument("--split-file", default="split.csv")
    parser.add_argument("--table", default="points.csv")
    parser.add_argument("--bundle")
    given = parser.parse_args()
    if given.what == "train":
        train(given.root)
        sys.exit()
    if given.what == "points":
        points(given.root, given.table, given.count)
        sys.exit()
    chosen = Regressor(given.bundle or FIT, threads=1)
    if given.what == "people":
        people(chosen, given.count, given.seed)
    else:
        photos(chosen, given.root, given.split_file)
