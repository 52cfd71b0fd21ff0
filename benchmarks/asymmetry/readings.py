"""Readings of faces with known truth, for `fit.py`: synthetic people and photographs, each read twice.

    python benchmarks/asymmetry/readings.py people --readings READINGS --count 2400
    python benchmarks/asymmetry/readings.py people --readings READINGS --count 300 --repeats
    python benchmarks/asymmetry/readings.py photos FOLDER --readings READINGS [--name NAME]

Every picture goes through the whole reading path of `mien asymmetry` (detector, crop, network, second look), as it is
and mirrored. READINGS gets one npz for each 50 pictures; a run that was interrupted goes on where it stopped. The same
seed gives the same pictures. `people`: three pictures a person, half of them of a task of the examination; a third
without a palsy, the others with a palsy of the whole side (half, complete, or any severity) or of one region; turned by
up to 20 degrees, 45 to 150 pixels between the outer eye corners, half of them with blur, noise, JPEG or bad exposure.
Truth is the head's own points in three dimensions, without camera. `--repeats`: pairs of pictures of other people, each
with one face in two scenes; in every other pair the palsy of the second picture is half as severe.
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from mien.core.geometry import fit_similarity
from mien.core.records import FacePoints
from mien.media.files import atomic_path
from mien.media.image import load_image
from mien.media.listing import picture_files
from mien.runtime.asymmetry.examination import FaceReader, box_around
from mien.runtime.asymmetry.mirror import read_mirrored
from mien.runtime.asymmetry.quality import sharpness
from mien.synthetic.face.expressions import EXPRESSIONS, sample_action_units
from mien.synthetic.face.palsy import REGIONS, Palsy, sample_palsy
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of
from mien.synthetic.picture.camera import PIVOT

SHARD = 50
PICTURES_A_PERSON = 3
TASKS: dict[str, dict[str, float]] = {
    "rest": {},
    "brow_raise": {"AU1": 1.0, "AU2": 1.0},
    "eyes_closed_gently": {"AU43": 1.0},
    "eyes_closed_tightly": {"AU43": 1.0, "AU6": 0.7, "AU7": 0.8},
    "smile": {"AU12": 1.0, "AU6": 0.5, "AU25": 0.6, "AU10": 0.2},
    "snarl": {"AU9": 0.9, "AU10": 0.9},
    "pucker": {"AU18": 1.0, "AU22": 0.3},
    "lower_teeth": {"AU16": 1.0, "AU20": 0.5, "AU25": 0.8},
}
Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    people = kinds.add_parser("people")
    people.add_argument("--count", type=int, default=2400)
    people.add_argument("--seed", type=int, default=2026)
    people.add_argument("--repeats", action="store_true", help="pairs of pictures of one face")
    photos = kinds.add_parser("photos")
    photos.add_argument("folder", type=Path)
    photos.add_argument("--name", help="of the readings; the folder's by default")
    photos.add_argument("--limit", type=int, default=100_000)
    for kind in (people, photos):
        kind.add_argument("--readings", type=Path, required=True, help="folder of the results")
        kind.add_argument("--bundle", help="a landmark bundle; the one that ships by default")
    options = parser.parse_args()
    read = FaceReader(options.bundle, threads=1)
    if options.kind == "people":
        make, name = (_repeat, "repeats") if options.repeats else (_person, "people")
        _collect(options.readings, name, options.count, lambda k: make(options.seed, k), read)
    else:
        files = picture_files([str(options.folder)])[: options.limit]
        _collect(options.readings, options.name or options.folder.name, len(files), lambda k: _photo(files[k]), read)


def _collect(folder: Path, name: str, count: int, make: Any, read: FaceReader) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, count, SHARD):
        path = folder / f"{name}_{start:06d}.npz"
        if path.exists():
            continue
        rows = list(_read(make, range(start, min(start + SHARD, count)), read))
        if rows:
            with atomic_path(path) as temporary, temporary.open("wb") as file:
                np.savez_compressed(file, **{key: np.array([row[key] for row in rows]) for key in rows[0]})
        print(f"{path.name}: {len(rows)} faces", flush=True)


def _read(make: Any, numbers: range, read: FaceReader) -> Iterator[Row]:
    for number in numbers:
        pixels, facts = make(number)
        face = read(pixels)
        if face is None:
            continue
        x0, y0, x1, y1 = box_around(face)
        near = (pixels.shape[1] - 1 - x1, y0, pixels.shape[1] - 1 - x0, y1)
        other = read_mirrored(pixels, lambda flipped, near=near: read(flipped, near=near))
        if other is not None:
            yield {
                "number": number,
                **facts,
                **_reading(face, ""),
                **_reading(other, "mirrored_"),
                **_look(pixels, face),
            }


def _reading(face: FacePoints, prefix: str) -> Row:
    names = ("landmarks_px", "depth_px", "sigma_px", "visible", "confidence", "pose_rad")
    return {prefix + name: np.asarray(getattr(face, name), np.float32) for name in names}


def _look(pixels: np.ndarray, face: FacePoints) -> Row:
    """Sharpness, and the face in grey, upright, 48 x 48: for whatever of the light should matter."""
    places = np.array([[14, 16], [34, 16], [24, 36]], float)
    points = np.asarray(face.landmarks_px, float)
    anchors = np.stack([points[[36, 39]].mean(0), points[[42, 45]].mean(0), points[48:68].mean(0)])
    scale, rotation, shift = fit_similarity(anchors, places)
    matrix = np.concatenate([scale * rotation, shift[:, None]], axis=1)
    grey = cv2.cvtColor(np.ascontiguousarray(pixels), cv2.COLOR_RGB2GRAY)
    small = cv2.warpAffine(grey, matrix, (48, 48), flags=cv2.INTER_AREA)
    return {"sharpness": sharpness(pixels, face), "grey": small}


def _photo(path: Path) -> tuple[np.ndarray, Row]:
    points = path.with_suffix(".pts")
    truth = np.full((68, 2), np.nan)
    if points.exists():
        lines = points.read_text(encoding="ascii").split("{")[1].split("}")[0].split()
        truth = np.array(lines, float).reshape(68, 2) - 1
    return load_image(path).pixels, {"source": path.name, "truth_px": truth}


def _person(seed: int, number: int) -> tuple[np.ndarray, Row]:
    rng = np.random.Generator(np.random.PCG64([seed, number]))
    options = _options(rng)
    kind, palsy = _palsy(rng)
    task, units = _units(rng)
    return _shot(rng, (seed, number // PICTURES_A_PERSON), options, (kind, palsy), (task, units))


def _repeat(seed: int, number: int) -> tuple[np.ndarray, Row]:
    """Numbers 2 k and 2 k + 1 are one face; people of a seed of their own."""
    face = np.random.Generator(np.random.PCG64([seed + 1, number // 2]))
    (kind, palsy), shown = _palsy(face), _units(face)
    if palsy is not None and number % 4 == 3:
        kind, palsy = "healing", replace(palsy, **{region: getattr(palsy, region) / 2 for region in REGIONS})
    scene = np.random.Generator(np.random.PCG64([seed + 1, number, 1]))
    return _shot(scene, (seed + 1, number // 2), _options(scene), (kind, palsy), shown)


def _options(rng: np.random.Generator) -> PeopleOptions:
    size = round(float(np.exp(rng.uniform(np.log(180), np.log(480)))))
    return PeopleOptions(size=size, yaw_max_deg=20, occluders=False, degradations=bool(rng.random() < 0.5))


def _shot(
    rng: np.random.Generator, who: tuple[int, int], options: PeopleOptions, palsy: tuple[str, Palsy | None],
    shown: tuple[str, dict[str, float]],
) -> tuple[np.ndarray, Row]:  # fmt: skip
    """who: seed and number. palsy: its kind and itself. shown: task and action units."""
    (seed, person), (kind, weak), (task, units) = who, palsy, shown
    drawn = replace(person_of(seed, person, options=options), palsy=weak)
    scene = scene_of(rng, drawn, options=options)
    scene = replace(scene, camera=replace(scene.camera, **_view(rng)))
    pixels, found = photograph(drawn, units, scene, options=options)
    head = np.asarray(found["landmarks_3d"], float) @ scene.camera.rotation + PIVOT
    severities = [0.0 if weak is None else getattr(weak, region) for region in REGIONS]
    facts = {"person": person, "kind": kind, "task": task, "side": "" if weak is None else weak.side}
    angles = scene.camera.pitch_rad, scene.camera.yaw_rad, scene.camera.roll_rad
    return pixels, facts | {"severity": severities, "head_m": head, "truth_px": found["landmarks_px"],
                            "true_pose_rad": angles, "distance_m": scene.camera.distance}  # fmt: skip


def _view(rng: np.random.Generator) -> Mapping[str, Any]:
    limit = np.radians(20)
    return {
        "yaw_rad": float(np.clip(rng.normal(0, np.radians(8)), -limit, limit)),
        "pitch_rad": float(np.clip(rng.normal(0, np.radians(6)), -limit, limit)),
        "roll_rad": float(np.clip(rng.normal(0, np.radians(6)), -limit, limit)),
        "distance": float(np.exp(rng.uniform(np.log(0.6), np.log(2.5)))),
    }


def _palsy(rng: np.random.Generator) -> tuple[str, Palsy | None]:
    """Its kind: none, any, half, complete, or one region with its severity."""
    chance, side = rng.random(), "LR"[int(rng.integers(2))]
    flaccid, region = float(rng.uniform(0.7, 1.0)), REGIONS[int(rng.integers(len(REGIONS)))]
    whole = sample_palsy(rng, side=side)
    if chance < 0.3:
        return "none", None
    if chance < 0.55:
        return "any", whole
    if chance < 0.85:
        kind, level = ("half", 0.5) if chance < 0.7 else ("complete", 1.0)
        return kind, Palsy(side, level, level, level, level, flaccid=flaccid)
    level = 0.5 if chance < 0.925 else 1.0
    return f"{region} {'half' if level < 1 else 'complete'}", Palsy(side, **{region: level}, flaccid=flaccid)


def _units(rng: np.random.Generator) -> tuple[str, dict[str, float]]:
    """A task of the examination on a resting face as people have it, or an expression."""
    resting = sample_action_units("neutral", float(rng.uniform(0, 1)), rng=rng)
    if rng.random() < 0.25:
        name = EXPRESSIONS[int(rng.integers(len(EXPRESSIONS)))]
        return "", sample_action_units(name, float(rng.uniform(0.45, 1)), rng=rng)
    task = list(TASKS)[int(rng.integers(len(TASKS)))]
    effort = float(rng.uniform(0.6, 1.0))
    both = {f"{unit}_{side}": effort * weight for unit, weight in TASKS[task].items() for side in "LR"}
    return task, {name: max(resting.get(name, 0.0), both.get(name, 0.0)) for name in {*resting, *both}}


if __name__ == "__main__":
    main()
