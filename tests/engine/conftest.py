"""Small data and small systems for training runs."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from forked import Forked

HERE = Path(__file__).parent
TINY = [  # POSTER V2 with every part of the paper, small enough to be trained in a test
    "--system.name=poster_v2_small", "--system.options.input_size=32", "--system.options.trunk_size=32",
    "--system.options.widths=[8, 16, 24]", "--system.options.depths=[1, 1, 1]", "--system.options.stem=8",
    "--system.options.landmark_widths=[8, 16, 16]", "--system.options.landmark_features=16",
    "--system.options.landmark_depths=[1, 1, 1]", "--system.options.head_dim=8", "--system.options.token_width=16",
    "--system.options.vit_heads=2", "--system.options.vit_depth=1", "--trainer.device=cpu", "--trainer.progress=false",
]  # fmt: skip


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven times eight drawn faces, 32 pixels: 42 to train on and 14 to test."""
    from mien.data.replicas import write_drawn

    return write_drawn(tmp_path_factory.mktemp("faces"), faces=56, size=32, test_share=0.25)


@pytest.fixture(scope="session")
def talking_faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As many drawn faces in a manifest, each with a voice, every other one with valence and arousal."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        from toy.talking_faces import write_talking_faces

        return write_talking_faces(tmp_path_factory.mktemp("talking_faces"))


@pytest.fixture(scope="module")
def toys() -> Iterator[None]:
    """Registers the systems of tests/engine/toy, by a line each, for all tests of a file."""
    from mien.systems import registry

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(HERE))
        from toy.register import TOYS

        for name, target in TOYS.items():
            patch.setitem(registry.SYSTEMS, name, target)
        yield


@pytest.fixture
def toy(toys: None) -> None:
    """The same for one test."""


@pytest.fixture
def tiny() -> list[str]:
    return list(TINY)


@pytest.fixture
def run_script():
    """Runs a script, here or anywhere, in a forked process; returns the finished process."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return Forked(HERE / arguments[0], *arguments[1:]).finished()

    return run


@pytest.fixture
def one_thread():
    """Sums in one order, so that runs can be compared bit for bit."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
