"""`mien landmarks`: a drawing and .pts for every face, and where there is depth, what turns."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.engine.reading.landmarks import landmarks
from mien.media.points import read_pts

sys.path.insert(0, str(Path(__file__).parents[2] / "runtime"))
from tiny_points import frontal_face, write_point_bundle


def bundle(folder: Path, *, solid: bool) -> str:
    face = frontal_face()
    outputs = {"landmarks": face[:, :2], "sigma": np.full(68, 0.01), "visible": np.full(68, 0.9)}
    return str(write_point_bundle(folder, outputs | ({"depth": face[:, 2]} if solid else {})))


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    Image.fromarray(astronaut).save(tmp_path / "a&b.jpg")
    return tmp_path / "a&b.jpg"


def run(*inputs: Path, output: Path, bundle: str, **options) -> str:
    return landmarks([str(item) for item in inputs], output=str(output), bundle=bundle, threads=1, **options)


def test_a_face_with_depth_can_be_turned(photo: Path, tmp_path: Path) -> None:
    summary = run(photo, output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=True))
    assert "a&b.jpg: 1 face, drawn in a&b.png\n  face 0, a&b.pts: box (" in summary
    assert "The head is turned 0° to the viewer's" in summary and "Mean confidence" in summary
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a&b.html", "a&b.obj", "a&b.png", "a&b.pts", "files.jsonl",
    ]  # fmt: skip
    points = read_pts(tmp_path / "out" / "a&b.pts")
    lines = (tmp_path / "out" / "a&b.obj").read_text().splitlines()
    vertices = np.array([line.split()[1:] for line in lines if line.startswith("v ")], float)
    np.testing.assert_allclose(vertices[:, :2] * [1, -1], points, atol=2e-3)
    assert vertices[30, 2] > vertices[0, 2]  # the nose is nearer than the ear
    joined = [tuple(map(int, line.split()[1:])) for line in lines if line.startswith("l ")]
    assert len(joined) == 63 and max(max(pair) for pair in joined) == 68 and (37, 38) in joined


def test_a_name_with_a_line_break_stays_on_its_line(photo: Path, tmp_path: Path) -> None:
    photo = photo.rename(tmp_path / "a\nb.jpg")
    summary = run(photo, output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=False))
    assert "a\\x0ab.jpg: 1 face, drawn in a\\x0ab.png\n  face 0, a\\x0ab.pts: box (" in summary


def test_the_page_stands_alone(photo: Path, tmp_path: Path) -> None:
    run(photo, output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=True))
    page = (tmp_path / "out" / "a&b.html").read_text(encoding="utf-8")
    assert "<title>a&amp;b</title>" in page and "http" not in page.replace("http-equiv", "")
    assert not re.search(r"__[A-Z]+__", page) and "data:image/jpeg;base64," in page
    found = re.search(r"const face = (\{.*\});", page)
    assert found
    data = json.loads(found[1])
    assert len(data["points"]) == 68 and len(data["confidence"]) == 68 and data["regions"][30] == "nose"
    np.testing.assert_allclose(data["frontal"], np.eye(3), atol=0.02)


def test_without_depth_it_says_so(photo: Path, tmp_path: Path) -> None:
    Image.new("RGB", (320, 240), "grey").save(tmp_path / "nobody.png")
    (tmp_path / "empty.jpg").touch()
    files = (photo, tmp_path / "nobody.png", tmp_path / "empty.jpg")
    summary = run(*files, output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=False))
    assert "No 3D: tiny_points@" in summary and "nobody.png: no face found" in summary and "not read: " in summary
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "a&b.png", "a&b.pts", "files.jsonl", "nobody.png",
    ]  # fmt: skip
    drawn, plain = (np.asarray(Image.open(p).convert("RGB")) for p in (tmp_path / "out" / "a&b.png", photo))
    assert (np.abs(drawn.astype(int) - plain).max(-1) > 12).sum() > 40


def test_mistakes_are_one_line(photo: Path, tmp_path: Path) -> None:
    five = str(write_point_bundle(tmp_path / "five", {"landmarks": np.full((5, 2), 0.5)}))
    with pytest.raises(MienError, match="reads 5 points; this command draws 68"):
        run(photo, output=tmp_path / "out", bundle=five)
    with pytest.raises(MienError, match="gives expression: 8 classes, no landmarks"):
        run(photo, output=tmp_path / "out", bundle="poster_v2_small_ferplus")
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(MienError, match=r"Nothing could be read\. .*empty\.jpg: the file is empty"):
        run(tmp_path / "empty.jpg", output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=False))


def test_the_options_of_the_command(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from mien.__main__ import main

    args = [
        "landmarks",
        str(photo),
        "--output",
        str(tmp_path / "o"),
        "--bundle",
        bundle(tmp_path / "b", solid=True),
    ]
    assert main(args) == 0
    assert "points by tiny_points@" in capsys.readouterr().out


def test_no_face_overwrites_the_files_of_another_and_any_name_will_do(photo: Path, tmp_path: Path) -> None:
    import os

    face = np.asarray(Image.open(photo))[:300, 60:360]
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(np.concatenate([face, face], axis=1)).save(folder / "photo.jpg")
    for name in ("photo_1.jpg", "y" * 251 + ".jpg", os.fsdecode(b"caf\xe9.jpg")):
        Image.fromarray(face).save(folder / name, format="JPEG")
    run(folder, output=tmp_path / "out", bundle=bundle(tmp_path / "b", solid=True))
    for suffix in (".pts", ".obj", ".html"):
        assert len(list((tmp_path / "out").glob(f"*{suffix}"))) == 5, suffix
    assert {"photo.pts", "photo_1.pts", "photo_face1.pts"} <= {path.name for path in (tmp_path / "out").iterdir()}


def test_every_face_is_named_drawn_and_written(photo: Path, tmp_path: Path) -> None:
    face = np.asarray(Image.open(photo))
    Image.fromarray(np.concatenate([face, face[:, ::-1]], axis=1)).save(tmp_path / "two.png")
    small = bundle(tmp_path / "b", solid=False)
    lines = run(tmp_path / "two.png", output=tmp_path / "out", bundle=small).splitlines()
    found = re.search(r"two.png: (\d+) faces, drawn in two.png$", lines[0])
    assert found and int(found[1]) >= 2  # the detector may take a badge for a face too
    for number in range(int(found[1])):
        stem = f"two_{number}" if number else "two"
        assert lines[1 + number].startswith(f"  face {number}, {stem}.pts: box (")
        assert len(read_pts(tmp_path / "out" / f"{stem}.pts")) == 68
    drawn = np.asarray(Image.open(tmp_path / "out" / "two.png")).astype(int)
    changed = np.abs(drawn - np.asarray(Image.open(tmp_path / "two.png"))).sum(2) > 0
    assert changed[:, :512].any() and changed[:, 512:].any()


def test_a_used_folder_is_refused_or_cleaned_and_never_mixed(photo: Path, tmp_path: Path) -> None:
    """Neither another person's pictures nor the user's own files are mixed with the results."""
    small, out = bundle(tmp_path / "b", solid=False), tmp_path / "out"
    run(photo, output=out, bundle=small)
    photo.rename(tmp_path / "next.jpg")
    with pytest.raises(MienError, match=r"holds the results of an earlier run \(a&b.p..\). Add --overwrite to replace"):
        run(tmp_path / "next.jpg", output=out, bundle=small)
    (out / "notes.txt").touch()
    run(tmp_path / "next.jpg", output=out, bundle=small, overwrite=True)
    assert sorted(path.name for path in out.iterdir()) == ["files.jsonl", "next.png", "next.pts", "notes.txt"]
    with pytest.raises(MienError, match="holds the results of another command"):
        main_error(["analyze", str(tmp_path / "next.jpg"), "--output", str(out), "--overwrite"])
    with pytest.raises(MienError, match="holds the results of another command"):
        main_error(["asymmetry", str(tmp_path / "next.jpg"), "--output", str(out), "--overwrite"])
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "readings.csv").write_text("of mien analyze")
    with pytest.raises(MienError, match=r"holds the results of another command \(readings\.csv\)"):
        run(tmp_path / "next.jpg", output=tmp_path / "table", bundle=small, overwrite=True)
    assert (tmp_path / "table" / "readings.csv").is_file()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "next.pts").write_text("my own annotation")
    with pytest.raises(MienError, match=r"next\.pts is there and was not written by this command"):
        run(tmp_path / "next.jpg", output=tmp_path / "own", bundle=small)
    assert (tmp_path / "own" / "next.pts").read_text() == "my own annotation"


def main_error(arguments: list[str]) -> None:
    from mien.__main__ import run as command

    command(arguments)
