"""Packs aligned faces into one file for `benchmarks/gpu_inverter.py`, which then needs no data set, reader or search.

    python benchmarks/inverter/pack.py --london LONDON --lfw LFW --w300 300W --people 6000 --cache DIR PACK.npz

Every face is cut out by `mien.core.framing.ffhq_crop`: of the London set by its five points, of 300-W by its 68, of
synthetic people by their exact ones, of LFW by those that the shipped landmark model finds. Held out are whole people
of the London set and of the synthetic ones, every tenth face of 300-W, and the whole test part of LFW. Faces lie in
sheets, one JPEG for each source and part. --cache keeps the drawn people, so that drawing can be stopped and go on.
The file holds people's faces: it is not to be published.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from mien.core.errors import MienError
from mien.core.framing import ffhq_crop
from mien.core.landmarks import to_68
from mien.core.spec import PictureInput
from mien.data.readers import open_reader
from mien.data.recent import load_picture
from mien.media.crop import prepare
from mien.media.detect import create_detector
from mien.media.files import atomic_path
from mien.media.image import load_image
from mien.runtime.landmarks import Landmarker
from mien.synthetic.people import CLASSES, PeopleOptions, portrait

sys.path.insert(0, str(Path(__file__).parents[1]))
from inverter.faces import HELD_OUT, SIDE, SOURCES, TRAIN, VERSION

QUALITY = {"london": (94, 97), "lfw": (90, 97), "w300": (90, 97), "people": (84, 95)}  # of JPEG: trained on, held out
LONDON_HELD_OUT, TENTH = 5, 10  # every so manieth person
PICTURES, SEED, CHUNK = 2, 77, 100
PEOPLE = PeopleOptions(size=128, yaw_max_deg=35, degradations=False, occluders=False, least_intensity=0.3)
Parts = dict[int, list[np.ndarray]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("london", "lfw", "w300"):
        parser.add_argument(f"--{name}", type=Path, help="folder of the data set")
    parser.add_argument("--people", type=int, default=6000, help="synthetic pictures, two of each person (6000)")
    parser.add_argument("--cache", type=Path, required=True, help="folder of the drawn people")
    parser.add_argument("--cached", action="store_true", help="take the people that are drawn, and draw none")
    parser.add_argument("output", type=Path, help="the file to write, .npz; - draws people only")
    options = parser.parse_args()
    try:
        people = drawn_people(options)
        if str(options.output) != "-":
            write_pack(options, people)
    except MienError as error:
        sys.exit(f"error: {error}")


def write_pack(options: argparse.Namespace, people: Parts) -> None:
    """Writes the pack and prints what is in it."""
    found = {"london": london_faces(options.london), "w300": w300_faces(options.w300), "people": people}
    found["lfw"] = lfw_faces(options.lfw, options.cache)
    arrays = {"version": np.array(VERSION), "side": np.array(SIDE)}
    for source in SOURCES:
        for part, faces in found[source].items():
            quality = QUALITY[source][part == HELD_OUT]
            arrays[f"{source}_{part}_jpg"] = sheet(np.stack(faces), grey=source == "lfw", quality=quality)
            arrays[f"{source}_{part}_count"] = np.array(len(faces))
            size = arrays[f"{source}_{part}_jpg"].nbytes
            print(f"{source:8} {('trained on', 'held out')[part]:10} {len(faces):6} faces {size / 1e6:6.2f} MB")
    with atomic_path(options.output) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


def aligned(pixels: np.ndarray, landmarks_px: np.ndarray) -> np.ndarray:
    """uint8 [SIDE, SIDE, 3]"""
    return prepare(pixels, ffhq_crop(landmarks_px, size=SIDE), PictureInput(size=SIDE))


def london_faces(root: Path) -> Parts:
    """By the five points of labels.csv; every fifth person held out."""
    with (root / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    persons = sorted({row["person"] for row in rows})
    parts: Parts = {TRAIN: [], HELD_OUT: []}
    for row in rows:
        points = np.array([float(value) for name, value in row.items() if name.endswith(("_x", "_y"))]).reshape(5, 2)
        held_out = persons.index(row["person"]) % LONDON_HELD_OUT == LONDON_HELD_OUT - 1
        parts[HELD_OUT if held_out else TRAIN].append(aligned(load_image(root / row["path"]).pixels, points))
    return parts


def w300_faces(root: Path) -> Parts:
    """By their 68 points, every tenth held out."""
    parts: Parts = {TRAIN: [], HELD_OUT: []}
    for number, sample in enumerate(open_reader("w300", root).samples("train")):
        points = to_68(np.asarray(sample.landmarks_px))
        part = HELD_OUT if number % TENTH == TENTH - 1 else TRAIN
        parts[part].append(aligned(load_picture(sample).pixels, points))
    return parts


def lfw_faces(root: Path, cache: Path) -> Parts:
    """By the points that the shipped landmark model finds in the largest face; kept in the cache."""
    kept = cache / "lfw.npz"
    if kept.is_file():
        with np.load(kept, allow_pickle=False) as arrays:
            return {part: list(arrays[str(part)]) for part in (TRAIN, HELD_OUT)}
    landmarker, find, missed = Landmarker(), create_detector("dlib"), 0
    parts: Parts = {TRAIN: [], HELD_OUT: []}
    for part, name in ((TRAIN, "train"), (HELD_OUT, "test")):
        for path in sorted((root / "Image" / "aligned").glob(f"{name}_*.jpg")):
            pixels = load_image(path).pixels
            boxes = [face.box for face in sorted(find(pixels), key=lambda face: -face.side)]
            if not boxes:
                missed += 1
                continue
            parts[part].append(aligned(pixels, landmarker.read(pixels, boxes[0]).landmarks_px))
    print(f"lfw: no face found in {missed} pictures")
    with atomic_path(kept) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **{str(part): np.stack(faces) for part, faces in parts.items()})
    return parts


def drawn_people(options: argparse.Namespace) -> Parts:
    """Every tenth person held out. Those of the cache, and what it lacks unless --cached."""
    options.cache.mkdir(parents=True, exist_ok=True)
    files = [options.cache / f"people_{start:06d}.npz" for start in range(0, options.people, CHUNK)]
    if not options.cached:
        for file in files:
            if not file.is_file():
                draw(file, count=CHUNK)
    parts: Parts = {TRAIN: [], HELD_OUT: []}
    for file in files:
        if file.is_file():
            for number, face in faces_of_chunk(file):
                parts[HELD_OUT if number // PICTURES % TENTH == TENTH - 1 else TRAIN].append(face)
    return parts


def faces_of_chunk(file: Path) -> Iterator[tuple[int, np.ndarray]]:
    first = int(file.stem.removeprefix("people_"))
    with np.load(file, allow_pickle=False) as arrays:
        yield from enumerate(arrays["faces"], start=first)


def draw(file: Path, *, count: int) -> int:
    """Draws the pictures whose first number the file's name says; writes the aligned faces."""
    first = int(file.stem.removeprefix("people_"))
    faces = []
    for number in range(first, first + count):
        expression = CLASSES[(number * 5 + number // PICTURES) % len(CLASSES)]
        pixels, truth = portrait(SEED, number, person=number // PICTURES, expression=expression, options=PEOPLE)
        faces.append(aligned(pixels, truth.landmarks_px))
    with atomic_path(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, faces=np.stack(faces))
    return len(faces)


def sheet(faces: np.ndarray, *, grey: bool, quality: int) -> np.ndarray:
    """The faces beside and below one another as a JPEG file's bytes. Sides are multiples of JPEG's blocks."""
    count, side = faces.shape[:2]
    columns = int(np.ceil(np.sqrt(count)))
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, side, side, 3), np.uint8)
    padded[:count] = faces
    grid = padded.reshape(rows, columns, side, side, 3).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(rows * side, columns * side, 3)
    convert: Callable[..., np.ndarray] = cv2.cvtColor
    grid = convert(grid, cv2.COLOR_RGB2GRAY if grey else cv2.COLOR_RGB2BGR)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_OPTIMIZE, 1]
    done, data = cv2.imencode(".jpg", grid, flags)
    if not done:
        raise MienError(f"A sheet of {count} faces could not be encoded.")
    return data


if __name__ == "__main__":
    main()
