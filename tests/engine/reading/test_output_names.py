"""Names of what is written: none alike, none too long, whatever the files are called."""

import os
from pathlib import Path

import pytest

from mien.engine.reading.output_names import OutputNames


def test_every_file_has_a_stem_of_its_own() -> None:
    files = [Path(name) for name in ("x/a.jpg", "x/a.png", "y/a.jpg", "z/x/a.jpg", "q/b.jpg", "q/A.jpg", "q/c.mp4")]
    names = OutputNames(files)
    assert len({names.stem(path).casefold() for path in files}) == len(files)
    assert names.stem(Path("x/a.jpg")) == "x__a" and names.stem(Path("q/b.jpg")) == "b"


def test_faces_never_use_the_name_of_another_file() -> None:
    files = [Path(name) for name in ("photo.jpg", "photo_1.jpg", "photo_face1.png", "v.mp4", "v_000003.jpg", "b.jpg")]
    names = OutputNames(files)
    found = [names.face(path, number) for path in files if path.suffix != ".mp4" for number in range(4)]
    found += [names.face(Path("v.mp4"), number, frame=frame) for frame in range(5) for number in range(4)]
    assert len({name.casefold() for name in found}) == len(found)
    assert names.face(Path("photo.jpg"), 0) == "photo" and names.face(Path("photo.jpg"), 2) == "photo_2"
    assert names.face(Path("photo.jpg"), 1) == "photo_face1_" and names.face(Path("b.jpg"), 1) == "b_1"
    assert names.face(Path("v.mp4"), 1, frame=2) == "v_000002_1"
    assert names.face(Path("v.mp4"), 1, frame=3) == "v_frame000003_1"


@pytest.mark.parametrize("letter", ["a", "é", "漢", "\udce9"])
def test_long_names_are_shortened_and_stay_apart(letter: str) -> None:
    long = letter * (250 // len(os.fsencode(letter)))
    files = [Path(f"{long}.jpg"), Path(f"x/{long}.jpg"), Path(f"{long[:-1]}.jpg")]
    names = OutputNames(files)
    faces = [names.face(path, 12, frame=1_000_000) for path in files]
    assert len(set(faces)) == 3 and all(len(os.fsencode(name + ".html")) <= 255 for name in faces)
