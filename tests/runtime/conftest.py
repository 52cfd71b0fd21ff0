"""A bundle of a tiny network, and the astronaut's portrait."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_bundle import write_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Reads 64-pixel faces, 8 classes of FER+, random weights."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="session")
def astronaut():
    """uint8 [512, 512, 3]: one face of 88 pixels."""
    return pytest.importorskip("skimage.data").astronaut()


@pytest.fixture
def analyzer(tiny_bundle: Path):
    from mien import Analyzer

    return Analyzer(tiny_bundle, backend="onnxruntime", threads=1, landmarks=False)
