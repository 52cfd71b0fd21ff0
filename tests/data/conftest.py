"""Small drawn data sets, one in each layout, written once."""

from pathlib import Path

import pytest

from mien.data.replicas import LAYOUTS, Written, faces_of
from mien.data.replicas.face import Face


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, list[Written]]]:
    """Layout → folder with 42 drawn faces of 48 pixels, seven of each person, and what was written of each."""
    top = tmp_path_factory.mktemp("replicas")
    drawn: dict[object, list[Face]] = {}  # most layouts have the same classes, and are written of the same faces
    found = {}
    for name, layout in LAYOUTS.items():
        key = *layout.classes.items(), layout.frames
        if key not in drawn:
            drawn[key] = list(faces_of(
                "drawn", faces=42, seed=0, size=48, pictures=7, test_share=1 / 6, classes=layout.classes,
                frames=layout.frames,
            ))  # fmt: skip
        found[name] = top / name, layout.write(top / name, drawn[key])
    return found


@pytest.fixture(scope="session")
def replicas(written: dict[str, tuple[Path, list[Written]]]) -> dict[str, Path]:
    """Layout → its folder; with seven classes 35 faces to train on and 7 to test on."""
    return {name: folder for name, (folder, _) in written.items()}
