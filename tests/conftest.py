"""Fixtures that every room uses: where the shared data are, and how many threads a test may take."""

import gc
import os
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

sys.path.append(str(Path(__file__).parent))  # for `shape_checks`
# Before anything imports mien: every call is checked against its annotations, with the shapes and dtypes of arrays.
# MIEN_CHECK_SHAPES=0 turns it off, and so does a machine without beartype. Processes that tests start run without it.
CHECKED = os.environ.get("MIEN_CHECK_SHAPES", "1") != "0" and find_spec("beartype") is not None
if CHECKED:
    import shape_checks

    shape_checks.install()
# How long a test takes to draw its values says how busy the machine is.
settings.register_profile("mien", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mien")
# Before anything imports torch: tests run side by side (pytest -n 2), and the threads of two would fight for the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Fingerprints of test pictures have no place in the user's own cache.
_CACHE = tempfile.TemporaryDirectory(prefix="mien-tests-")
os.environ["MIEN_CACHE"] = _CACHE.name
from mien.cli.memory import keep_freed_memory  # noqa: E402 (after the checks were installed)

keep_freed_memory()

SHARED = Path(os.environ.get("MIEN_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is imported and collected lives as long as the process: the garbage collector need never search it."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_report_header() -> str:
    return "" if CHECKED else "annotations are not checked: beartype is missing, or MIEN_CHECK_SHAPES is 0"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of shared real data beside the checkout; the test is skipped, by name, where it is missing."""
    folder = SHARED / "data"
    if not folder.is_dir():
        pytest.skip("needs ../shared/data (real faces), which is not on this machine")
    return folder


@pytest.fixture(scope="session")
def parity() -> Path:
    """The folder of stored outputs of the published implementations."""
    return Path(__file__).parent / "parity"


@pytest.fixture(scope="session")
def _loaded() -> dict[Any, Any]:
    return {}


@pytest.fixture
def loaded_and_found_once(_loaded: dict[Any, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each worker, not each command, loads a network of one SHA-256 and one setting, and searches a picture for faces.

    OpenVINO compiles the two networks that `mien analyze` takes for 0.9 s; dlib takes three quarters of the time that
    photos of one face take. tests/runtime and tests/media load and search each anew.
    """
    from mien.media.detect import DlibDetector
    from mien.media.files import sha256_of
    from mien.runtime import runner

    def once(load: Any) -> Any:
        def loaded(path: Path, *settings: Any) -> Any:
            key = (load.__name__, sha256_of(path), settings)
            if key not in _loaded:
                _loaded[key] = load(path, *settings)
            return _loaded[key]

        return loaded

    for name in ("_load_openvino", "_load_onnxruntime"):
        monkeypatch.setattr(runner, name, once(getattr(runner, name)))
    search = DlibDetector._search

    def found(detector: DlibDetector, grey: Any, scale: float) -> Any:
        key = (sha256(grey.tobytes()).digest(), grey.shape, scale, detector.min_score)
        if key not in _loaded:
            _loaded[key] = search(detector, grey, scale)
        return list(_loaded[key])

    monkeypatch.setattr(DlibDetector, "_search", found)


def pytest_runtest_setup() -> None:
    """What torch.onnx.export finds out again and again is found out once, as soon as a test has loaded it: 497
    translations of operators whose source it parses in every call (0.9 s), and for every operator of a network how many
    GPUs there are (7 % of an export)."""
    registration = sys.modules.get("torch.onnx._internal.exporter._registration")
    if registration is None or isinstance(vars(registration.ONNXRegistry)["from_torchlib"], staticmethod):
        return
    registration.ONNXRegistry.from_torchlib = staticmethod(cache(registration.ONNXRegistry.from_torchlib))
    gpus = sys.modules["torch.cuda"]
    gpus.device_count = cache(gpus.device_count)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each worker gets one piece of the list, so that few fixtures of a file or folder are built by both; the one that
    is done first takes from the end of the other's."""
    from xdist.scheduler import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the piece of each worker, files of tests that start processes come first: best done from a small process.

    Late in the suite a worker of 4 GB was several times killed when it came back from a process it had started: by a
    segmentation fault that the kernel sent (SI_KERNEL, no address) at an instruction that touches no memory.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    starts = {path: _starts_processes(path) for path in {item.path for item in items}}
    piece = {item: i * workers // len(items) for i, item in enumerate(items)}
    first_of_file = {item.path: piece[item] for item in reversed(items)}  # a file is in one piece
    items.sort(key=lambda item: (first_of_file[item.path], not starts[item.path]))


def _starts_processes(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    return "subprocess" in text or "run_script" in text
