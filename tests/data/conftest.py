"""Small drawn data sets, one in each layout, written once."""

from pathlib import Path

import pytest

from mien.data.synthetic.drawn import LAYOUTS, write_drawn


@pytest.fixture(scope="session")
def replicas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Layout → folder with 42 drawn faces of 48 pixels, 35 to train on and 7 to test on."""
    top = tmp_path_factory.mktemp("replicas")
    return {name: write_drawn(top / name, faces=42, layout=name, size=48, test_share=1 / 6) for name in LAYOUTS}
