"""Tests of what a GPU computes. They are skipped without CUDA; MIEN_GPU_TESTS_DEVICE=cpu runs them on the CPU instead,
which shows that every line runs, and nothing of a GPU."""

import os
from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("lightning")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/gpu" in item.path.as_posix():
            item.add_marker(pytest.mark.gpu)


@pytest.fixture(scope="session")
def device() -> str:
    """cuda, or what MIEN_GPU_TESTS_DEVICE says."""
    wanted = os.environ.get("MIEN_GPU_TESTS_DEVICE", "cuda")
    if wanted == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return wanted


@pytest.fixture(autouse=True)
def no_tf32() -> Iterator[None]:
    """Products of float32 keep its precision, so that the CPU's numbers are the measure."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    yield
    torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
