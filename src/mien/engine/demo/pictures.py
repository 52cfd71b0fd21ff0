"""The pictures that the tour reads: new drawings, a photograph, and a synthetic face with and without a palsy."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mien.data.replicas import write_drawn
from mien.synthetic.drawn import EXPRESSIONS
from mien.synthetic.face.palsy import Palsy
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of, unframed_portrait
from mien.synthetic.picture.camera import Camera

DRAWING, ROOM = 224, 64  # pixels: side of a drawing, and the room around it in which the detector searches
PORTRAIT = 448  # side of a picture of a synthetic person
PERSON = 3  # of the seed
SMILE = {f"{unit}_{side}": 0.8 for unit in ("AU12", "AU25", "AU6") for side in "LR"}
PALSY = Palsy("L", 0.9, 0.9, 0.9, 0.9)


def draw_pictures(folder: Path, seed: int) -> list[tuple[str, Path]]:
    """A new drawing of each expression, with room around the face: (expression, file)."""
    write_drawn(folder / "drawings", faces=2 * len(EXPRESSIONS), seed=seed + 1_000_003, size=DRAWING, test_share=0.5)
    found = []
    for expression in EXPRESSIONS:
        path = sorted((folder / "drawings").rglob(f"{expression}/*.png"))[0]
        with Image.open(path) as drawing:
            pixels = np.asarray(drawing.convert("RGB"))
        wide = cv2.copyMakeBorder(pixels, ROOM, ROOM, ROOM, ROOM, cv2.BORDER_REPLICATE)
        found.append((expression, _saved(folder / f"drawing_{expression}.png", wide)))
    return found


def photographs(folder: Path, seed: int) -> list[tuple[str, Path]]:
    """The astronaut's portrait, where scikit-image is installed, and a synthetic person: (name, file)."""
    person = unframed_portrait(seed, PERSON, expression="happiness", size=PORTRAIT)
    found = [("a synthetic person, smiling", _saved(folder / "person.png", person))]
    if find_spec("skimage") is not None:
        from skimage.data import astronaut

        found.insert(0, ("an astronaut's portrait", _saved(folder / "astronaut.png", astronaut())))
    return found


def smiling_faces(folder: Path, seed: int) -> list[tuple[str, Path]]:
    """The same synthetic person smiling without and with a palsy of the left side, from the front: (name, file)."""
    options = PeopleOptions(size=PORTRAIT, occluders=False, degradations=False)
    who = person_of(seed, PERSON, options=options)
    scene = scene_of(np.random.default_rng(seed), who, options=options)
    scene = replace(scene, camera=Camera(PORTRAIT, 0.62 * PORTRAIT, 2.5))
    found = []
    for name, palsy in (("healthy", None), ("palsy", PALSY)):
        face = replace(who, palsy=palsy)
        pixels = photograph(face, SMILE, scene, options=options)[0]
        found.append((name, _saved(folder / f"smile_{name}.png", pixels)))
    return found


def _saved(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path
