"""The output folder: one run at a time, no two runs' files side by side, and nothing deleted that no run has listed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.engine.reading.output_folder import LOCK, OutputFolder


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A folder that a run has written into."""
    with OutputFolder(tmp_path) as folder:
        folder.begin()
        (tmp_path / "readings.csv").write_text("source\n")
        for parts in (("overlays", "a.jpg"), ("points", "a.pts"), ("contact_sheet.jpg",)):
            path = folder.new_file(*parts)
            path.parent.mkdir(exist_ok=True)
            path.touch()
    return tmp_path


def test_an_earlier_run_is_neither_mixed_with_nor_deleted_unasked(used: Path) -> None:
    before = sorted(used.rglob("*"))
    with pytest.raises(MienError, match=r"earlier run \(readings\.csv\)\. Add --resume .* or --overwrite"):
        OutputFolder(used).__enter__()
    with pytest.raises(MienError, match="name one of them"):
        OutputFolder(used, resume=True, overwrite=True)
    with OutputFolder(used, resume=True) as folder:
        folder.begin()
    assert sorted(used.rglob("*")) == before


def test_overwriting_deletes_what_the_run_has_listed_and_nothing_else(used: Path) -> None:
    (used / "notes.txt").touch()
    with (used / "files.jsonl").open("a") as file:
        file.write(
            json.dumps("notes.txt") + "\n" + json.dumps("../outside") + "\n" + json.dumps("points/..") + "\n[tor"
        )
    (used.parent / "outside").touch()
    with OutputFolder(used, overwrite=True) as folder:
        folder.begin()
    assert sorted(path.name for path in used.iterdir()) == ["notes.txt", "overlays", "points"]
    assert (used.parent / "outside").exists()


def test_files_that_no_run_has_listed_are_left_alone(used: Path) -> None:
    (used / "overlays" / "mine.jpg").touch()
    with pytest.raises(MienError, match="that no run has listed"), OutputFolder(used, overwrite=True) as folder:
        folder.begin()
    assert (used / "overlays" / "mine.jpg").exists()


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from mien.engine.reading.output_folder import OutputFolder\n"
        "held = OutputFolder(pathlib.Path(sys.argv[1])).__enter__(); print('ready', flush=True); sys.stdin.read()"
    )
    first = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )  # fmt: skip
    assert first.stdout and first.stdout.readline() == b"ready\n"
    with pytest.raises(MienError, match=rf"another run \(process {first.pid}\) writes into it"):
        OutputFolder(tmp_path).__enter__()
    first.kill()
    first.wait()
    assert (tmp_path / LOCK).read_text() == str(first.pid)  # what a kill leaves behind
    with OutputFolder(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    assert list(tmp_path.iterdir()) == []
