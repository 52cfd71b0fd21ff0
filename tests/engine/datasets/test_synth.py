"""`mien data synth`: the same bytes from the same seed, whole or not at all, and never over what somebody has."""

import hashlib
from pathlib import Path

import pytest

from mien.__main__ import main
from mien.core.errors import MienError
from mien.data import replicas as layouts
from mien.data.readers import open_reader
from mien.data.replicas import LAYOUTS, write_drawn
from mien.engine.datasets.synth import synth

SMALL = {"faces": 16, "size": 24, "pictures": 4}


def digest(folder: Path) -> str:
    """SHA-256 of names and contents."""
    found = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        found.update(f"{path.relative_to(folder).as_posix()}\n".encode() + path.read_bytes())
    return found.hexdigest()


@pytest.mark.parametrize("name", LAYOUTS)
def test_the_same_seed_writes_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_drawn(tmp_path / folder, layout=name, seed=seed, **SMALL)
    assert digest(tmp_path / "a") == digest(tmp_path / "b") != digest(tmp_path / "c")


def test_workers_change_nothing(tmp_path: Path) -> None:
    for workers in (1, 2):
        synth("jaffe", output=str(tmp_path / str(workers)), workers=workers, **SMALL)
    assert digest(tmp_path / "1") == digest(tmp_path / "2")


def test_the_command_says_how_to_read_what_it_wrote(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "sets" / "caers"
    assert main(["data", "synth", "caers", "--output", str(folder), "--faces", "21", "--size", "32"]) == 0
    output = capsys.readouterr().out
    assert "caers: 21 pictures (train 14, test 7)" in output
    assert f"--data.name caers --data.root {folder} --data.reader.boxes true" in output
    assert len(open_reader("caers", folder, boxes=True).samples("test")) == 7
    assert [path.name for path in folder.parent.iterdir()] == ["caers"]


def test_a_folder_that_is_not_empty_is_refused_by_default(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("ten years")
    with pytest.raises(MienError, match=r"mine is not empty. Name another --output, or say --replace true"):
        synth("rafdb", output=str(tmp_path / "mine"), **SMALL)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "ten years"
    synth("rafdb", output=str(tmp_path / "mine"), replace=True, **SMALL)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["EmoLabel", "Image"]
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_an_empty_folder_is_accepted(tmp_path: Path) -> None:
    synth("rafdb", output=str(tmp_path), **SMALL)
    assert len(open_reader("rafdb", tmp_path).samples("train")) > 0


@pytest.mark.parametrize("replace", [False, True])
def test_what_is_stopped_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, replace: bool) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "kept.txt").touch()
    written = layouts.folders.write_picture
    times = []

    def stopped(path: Path, pixels: object) -> None:
        times.append(path)
        if len(times) > 5:
            raise KeyboardInterrupt
        written(path, pixels)  # type: ignore[arg-type]

    monkeypatch.setattr(layouts.folders, "write_picture", stopped)
    folder = tmp_path / "old" if replace else tmp_path / "new"
    with pytest.raises(KeyboardInterrupt):
        synth("rafdb_folders", output=str(folder), replace=replace, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["old"] and (tmp_path / "old" / "kept.txt").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rafbd"], "No layout 'rafbd'. Did you mean 'rafdb'?"),
        (["rafdb", "--style", "drwn"], "No style 'drwn'. Did you mean 'drawn'?"),
        (
            ["rafdb", "--faces", "9"],
            "7 classes in two parts with 7 pictures of each person need about 14 faces; got 9.",
        ),
        (["rafdb", "--size", "3"], "Cannot draw 700 faces of 3 pixels"),
        (["rafdb", "--workers", "0"], "--workers must be at least 1; got 0."),
    ],
)
def test_mistakes_are_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["data", "synth", *arguments, "--output", str(tmp_path / "x")]) == 2
    errors = capsys.readouterr().err
    assert message in errors and errors.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    with pytest.raises(MienError, match="x is a file"):
        synth("rafdb", output=str(tmp_path / "x"), **SMALL)
