"""One object for many threads, and one row for one face: to the last bit, alone or among others, on both backends."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien import Analyzer
from mien.core.records import Reading
from mien.runtime import runner
from mien.runtime.analyzer import shipped_bundle
from mien.runtime.landmarks import Landmarker, shipped_landmarks
from mien.runtime.runner import Runner
from mien.synthetic.people import portrait

BACKENDS = ("onnxruntime", "openvino")
THREADS = 6


@pytest.fixture(params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    pytest.importorskip(request.param)
    return request.param


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    """Six synthetic people, 256 pixels."""
    return [np.asarray(Image.fromarray(portrait(0, n)[0]).resize((256, 256))) for n in range(6)]


def noise(count: int, side: int) -> np.ndarray:
    return np.random.default_rng(7).normal(0, 1, (count, 3, side, side)).astype(np.float32)


def bundles() -> Iterator[Path]:
    yield shipped_bundle()
    points = shipped_landmarks()
    if points is not None:
        yield points


@pytest.mark.parametrize("bundle", bundles(), ids=lambda path: path.name)
@pytest.mark.parametrize("large", [False, True])
def test_a_row_does_not_depend_on_its_batch(
    bundle: Path, large: bool, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(runner, "LARGE_BYTES", 0)
    run = Runner(bundle, backend=backend, precision="fp32", threads=2)
    faces = noise(9, run.info.picture.size)
    alone = [run.outputs(faces[i : i + 1]) for i in range(len(faces))]
    for size in (2, 5, 9):
        for start in range(0, len(faces), size):
            batch = run.outputs(faces[start : start + size])
            for name, values in batch.items():
                for row, value in enumerate(values):
                    np.testing.assert_array_equal(value, alone[start + row][name][0], err_msg=f"{name} of {size}")


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("large", [False, True])
def test_one_runner_for_many_threads(
    tiny_bundle: Path, threads: int, large: bool, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(runner, "LARGE_BYTES", 0)
    run, faces = Runner(tiny_bundle, backend=backend, threads=threads), noise(9, 64)
    alone = [run(faces[i : i + 1])[0] for i in range(len(faces))]

    def read(n: int) -> bool:
        chosen = np.random.default_rng(n).choice(len(faces), n % 7 + 1)
        return all(np.array_equal(row, alone[i]) for row, i in zip(run(faces[chosen]), chosen, strict=True))

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(read, range(120)))


def test_a_row_of_a_small_network_does_not_depend_on_the_threads(backend: str) -> None:
    rows = [
        Runner(shipped_bundle(), backend=backend, threads=n)(noise(3, Runner(shipped_bundle()).info.picture.size))
        for n in (1, 2, 4)
    ]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_array_equal(rows[0], rows[2])


def values_of(readings: list[Reading]) -> list[tuple]:
    """What reading found, as bytes where it is an array: equal only to the last bit."""
    return [
        (r.success, r.box, r.score, r.probabilities, r.points and r.points.landmarks_px.tobytes(),
         r.points and r.points.confidence is not None and r.points.confidence.tobytes())
        for r in readings
    ]  # fmt: skip


def test_one_analyzer_for_many_threads_and_a_folder(tmp_path: Path, pictures: list[np.ndarray], backend: str) -> None:
    landmarks = Landmarker(backend=backend, threads=2) if shipped_landmarks() else None
    analyzer = Analyzer(backend=backend, threads=2, landmarks=landmarks)
    alone = [values_of(analyzer.read(picture)) for picture in pictures]
    assert len({repr(values) for values in alone}) == len(alone) and sum(values[0][0] for values in alone) >= 4
    for n, picture in enumerate(pictures):
        Image.fromarray(picture).save(tmp_path / f"{n}.png")
    for batch_size in (1, 4):
        folder = analyzer.read_many([tmp_path], batch_size=batch_size)
        assert [values_of(read.readings) for read in folder] == alone

    def read(n: int) -> bool:
        if n % 10:
            return values_of(analyzer.read(pictures[n % 6])) == alone[n % 6]
        return [values_of(read.readings) for read in analyzer.read_many([tmp_path], batch_size=3)] == alone

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(read, range(24)))


def test_one_landmarker_for_many_threads(pictures: list[np.ndarray], backend: str) -> None:
    if shipped_landmarks() is None:
        pytest.skip("no landmark model ships with this copy")
    landmarker = Landmarker(backend=backend, threads=2)
    box = (60.0, 60.0, 200.0, 200.0)
    alone = [landmarker.read(picture, box).landmarks_px for picture in pictures]
    together = landmarker.read_many([(picture, box) for picture in pictures] * 3)
    for number, face in enumerate(together):
        np.testing.assert_array_equal(face.landmarks_px, alone[number % 6])

    def read(n: int) -> bool:
        return np.array_equal(landmarker.read(pictures[n % 6], box).landmarks_px, alone[n % 6])

    with ThreadPoolExecutor(THREADS) as pool:
        assert all(pool.map(read, range(24)))
