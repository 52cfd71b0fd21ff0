"""Readings that other processes give: the same table as of one process, whatever comes back first or is killed."""

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import analyzed
import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core.errors import MienError
from mien.data.parallel import shared_out
from mien.engine.reading.sharing import readings as module
from mien.engine.reading.sharing import task as task_module
from mien.engine.reading.sharing.task import ReadingTask, Recipe, computed_by, read_task
from mien.media.video import ALL_FRAMES
from mien.runtime.analyzer import Analyzer

run = partial(analyzed.run, overlay=False)
needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="needs ray: pip install '.[cluster]'")


class LastFirst:
    """Does the task that came last first, in this process; tasks and results travel as between processes.

    killed: positions of tasks whose process is killed when they are first tried.
    """

    def __init__(self, width: int = 2, killed: tuple[int, ...] = ()) -> None:
        self.width, self.killed = width, set(killed)
        self.runs: list[int] = []
        self.most = self._count = 0
        self._sent: dict[int, bytes] = {}

    def submit(self, function, task) -> int:
        self._sent[self._count] = pickle.dumps((function, task))
        self._count += 1
        self.most = max(self.most, len(self._sent))
        return self._count - 1

    def done(self, handles) -> list[int]:
        return [max(handles)]

    def result(self, handle: int):
        function, task = pickle.loads(self._sent[handle])
        for _ in range(2 if handle in self.killed else 1):  # what a killed process had read is lost
            self.runs.append(handle)
            found = function(task)
        del self._sent[handle]
        return pickle.loads(pickle.dumps(found))


@pytest.fixture
def photos(tmp_path: Path, portrait: np.ndarray) -> Path:
    """Nine pictures, the fourth with two faces, the fifth with none, the sixth broken, the last a link to nothing."""
    (tmp_path / "photos").mkdir()
    for number in range(9):
        pixels = np.clip(portrait.astype(int) + 4 * number, 0, 255).astype(np.uint8)
        pixels = np.concatenate([pixels, pixels], axis=1) if number == 3 else pixels
        Image.fromarray(np.full_like(portrait, 90) if number == 4 else pixels).save(
            tmp_path / "photos" / f"{number}.png"
        )
    (tmp_path / "photos" / "5.png").write_text("no picture")
    (tmp_path / "photos" / "8.png").unlink()
    (tmp_path / "photos" / "8.png").symlink_to("nothing.png")
    return tmp_path / "photos"


def shared(monkeypatch: pytest.MonkeyPatch, executor: LastFirst) -> None:
    """Instead of a cluster."""

    @contextmanager
    def cluster(address: str):
        yield executor

    monkeypatch.setattr(module, "ray_cluster", cluster)


def same_tables(one: Path, two: Path) -> bool:
    sidecars = [json.loads((folder / "readings.json").read_text()) for folder in (one, two)]
    for each in sidecars:
        each.pop("ray", None)
    names = ("readings.csv", "readings.parquet")
    return sidecars[0] == sidecars[1] and all((one / n).read_bytes() == (two / n).read_bytes() for n in names)


def test_the_same_table_whatever_comes_back_first(photos: Path, tmp_path: Path, bundle: str, monkeypatch) -> None:
    run(photos, output=tmp_path / "one", bundle=bundle)
    executor = LastFirst(killed=(0, 3))
    shared(monkeypatch, executor)
    text = run(photos, output=tmp_path / "two", bundle=bundle, ray="auto")
    assert same_tables(tmp_path / "one", tmp_path / "two") and "9 pictures in" in text
    assert sorted(set(executor.runs)) == list(range(9)) and executor.runs.count(3) == 2
    assert executor.runs[:2] == [7, 6] and executor.most <= 4 * executor.width
    assert json.loads((tmp_path / "two" / "readings.json").read_text())["ray"] == {"address": "auto", "processes": 2}


def test_pictures_come_before_videos_and_each_video_is_one_task(
    photos: Path, portrait: np.ndarray, tmp_path: Path, bundle: str, monkeypatch
) -> None:
    from mien.media.video import write_video

    pytest.importorskip("av")
    for name in ("a.mp4", "b.mp4"):
        write_video(photos / name, np.repeat(portrait[None], 3, 0), rate_hz=10)
    (photos / "c.mp4").write_text("no video")
    run(photos, output=tmp_path / "one", bundle=bundle)
    executor = LastFirst(width=9)
    shared(monkeypatch, executor)
    run(photos, output=tmp_path / "two", bundle=bundle, ray="auto")
    assert same_tables(tmp_path / "one", tmp_path / "two") and len(executor.runs) == 9 + 3


def test_an_interrupted_run_goes_on_with_or_without_the_cluster(
    photos: Path, tmp_path: Path, bundle: str, monkeypatch
) -> None:
    run(photos, output=tmp_path / "one", bundle=bundle)

    class Interrupted(LastFirst):
        def result(self, handle: int):
            if handle == 0:
                raise KeyboardInterrupt
            return super().result(handle)

    for again in ({}, {"ray": "auto"}):
        output = tmp_path / f"two{len(again)}"
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            shared(patched, Interrupted(width=1))
            run(photos, output=output, bundle=bundle, ray="auto")
        shared(monkeypatch, LastFirst())
        run(photos, output=output, bundle=bundle, resume=True, **again)
        assert same_tables(tmp_path / "one", output)


def test_a_machine_that_sees_other_things_is_named(photos: Path, bundle: str, monkeypatch) -> None:
    options = {"bundle": [Path(bundle)], "backend": "onnxruntime", "threads": 1, "landmarks": False}
    recipe = Recipe(options, ALL_FRAMES, photos, computed_by(Analyzer(**options)))
    task = ReadingTask(recipe, (Path("0.png"),), False)
    (read,) = read_task(task)
    assert read.source == "0.png" and read.readings[0].success and read.picture is not None
    assert read.picture.pixels.size == 0 and read.readings[0].columns is None  # what travels is small
    for wrong, text in (
        (replace(task, paths=(Path("gone.png"),)), "does not see gone.png"),
        (replace(task, recipe=replace(recipe, folder=photos / "gone")), "has no folder"),
        (replace(task, recipe=replace(recipe, computes=("mien 0.0", *recipe.computes[1:]))), "this run with mien 0.0"),
    ):
        with pytest.raises(MienError, match=text):
            read_task(wrong)
    assert len(task_module._kept) == 1  # one model in memory


def test_results_are_handed_on_in_order_and_few_wait() -> None:
    executor = LastFirst(width=2)
    found = shared_out(abs, range(-30, 0), executor, ordered=True)
    assert list(found) == [(i, 30 - i) for i in range(30)] and executor.most == 8
    executor = LastFirst(width=2)
    unordered = list(shared_out(abs, range(-30, 0), executor))
    assert unordered[0] == (7, 23) and sorted(unordered) == [(i, 30 - i) for i in range(30)]
    assert list(shared_out(abs, [], LastFirst())) == []
    failing = shared_out(len, ["a", 5, "b"], LastFirst(width=1), ordered=True)
    with pytest.raises(TypeError):
        list(failing)


def test_mistakes_are_named(photos: Path, tmp_path: Path, capsys, monkeypatch) -> None:
    photo = str(photos / "0.png")
    assert main(["analyze", photo, "--ray", "local", "--output", str(tmp_path / "o")]) == 2
    assert "add --no-overlay" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    assert main(["analyze", photo, "--ray", "local"]) == 2
    error = capsys.readouterr().err
    assert "--ray needs ray, which is not installed: pip install" in error and "[cluster]" in error
    assert error.count("\n") == 1


@needs_ray
def test_a_killed_process_loses_nothing(portrait: np.ndarray, tmp_path: Path, bundle: str) -> None:
    """Two processes of a local cluster, of which one is killed in the middle of its batch."""
    (tmp_path / "photos").mkdir()
    for number in range(40):
        pixels = np.clip(portrait.astype(int) + number, 0, 255).astype(np.uint8)
        Image.fromarray(np.kron(pixels, np.ones((3, 3, 1), np.uint8))).save(tmp_path / "photos" / f"{number:02d}.png")
    run(tmp_path / "photos", output=tmp_path / "one", bundle=bundle)
    options = ["--bundle", bundle, "--backend", "onnxruntime", "--threads", "1", "--landmarks", "no", "--no-overlay"]
    command = [sys.executable, "-m", "mien", "analyze", str(tmp_path / "photos"), "--output", str(tmp_path / "two")]
    driver = subprocess.Popen([*command, *options, "--ray", "local:2"], start_new_session=True)
    killed = kill_a_worker(driver, tmp_path / "two" / "readings.csv")
    assert driver.wait(timeout=300) == 0 and killed
    assert same_tables(tmp_path / "one", tmp_path / "two")


def kill_a_worker(driver: subprocess.Popen, table: Path) -> int:
    """The number of a process of the driver's that computes a task, killed once the table has a row; 0 for none."""
    while driver.poll() is None:
        rows = table.read_bytes().count(b"\n") if table.is_file() else 0
        for process in Path("/proc").glob("[0-9]*") if rows > 1 else ():
            try:
                title, parent = (process / "cmdline").read_bytes(), ancestors(int(process.name))
            except (OSError, ValueError):
                continue
            if title.startswith(b"ray::_run") and driver.pid in parent:
                os.kill(int(process.name), signal.SIGKILL)
                return int(process.name)
        time.sleep(0.005)
    return 0


def ancestors(process: int) -> list[int]:
    found = []
    while process > 1:
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        found.append(process)
    return found


@needs_ray
def test_no_cluster_is_one_line(photos: Path, capsys) -> None:
    assert main(["analyze", str(photos / "0.png"), "--ray", "127.0.0.1:1"]) == 2
    error = capsys.readouterr().err
    assert "no cluster is reached" in error.splitlines()[-1]
