"""Commands that read faces share the networks that they load, a face and two tiny bundles."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for `analyzed`
sys.path.insert(0, str(Path(__file__).parents[2] / "runtime"))
from tiny_bundle import write_tiny_bundle
from tiny_points import frontal_face, steady_frame, write_point_bundle


@pytest.fixture(autouse=True)
def _networks(loaded_and_found_once: None) -> None:
    """Commands share networks and found faces."""


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of expressions."""
    return str(write_tiny_bundle(tmp_path_factory.mktemp("bundle")))


@pytest.fixture(scope="session")
def dots(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of points: every face has the same, which do not move with the crop."""
    face = frontal_face()
    dots = write_point_bundle(tmp_path_factory.mktemp("dots"), {"landmarks": face[:, :2]}, **steady_frame(face))
    return str(dots)


@pytest.fixture(scope="session")
def portrait() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()[40:240, 120:320]
