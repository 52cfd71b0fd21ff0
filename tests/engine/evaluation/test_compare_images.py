"""`mien compare-images`: pairing by stem, one table for several folders, and what is refused."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three flat pictures: rebuilt exactly in `exact`, each 51 grey levels too bright in `bright`."""
    for folder, more in (("truth", 0), ("exact", 0), ("bright", 51)):
        (tmp_path / folder).mkdir()
        for number, level in enumerate((0, 51, 102)):
            pixels = np.full((16, 16, 3), level + more, np.uint8)
            suffix = "bmp" if folder == "truth" else "png"
            Image.fromarray(pixels).save(tmp_path / folder / f"face_{number}.{suffix}")
    return tmp_path


def test_several_folders_stand_in_one_table(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(folders / name) for name in ("exact", "bright", "truth")]
    metrics = ["--metrics", "l2,psnr,ssim,ms_ssim", "--legacy", "--output", str(folders / "out")]
    assert main(["compare-images", *words, *metrics, "--bootstrap", "100"]) == 0
    found = json.loads((folders / "out" / "metrics.json").read_text("utf-8"))
    exact, bright = ({s["metric"]: s for s in run["scores"]} for run in found["runs"])
    assert exact["l2"]["value"] == 0 and exact["ssim@11"]["value"] == pytest.approx(1)
    assert bright["l2"]["value"] == pytest.approx(0.16)  # 0.2 of 1, 0.4 of 2
    assert bright["psnr"]["value"] == pytest.approx(-20 * np.log10(0.2)) == bright["psnr@published"]["value"]
    assert bright["l2"]["low"] <= bright["l2"]["value"] <= bright["l2"]["high"] and "ms_ssim@1" in bright
    rows = list(csv.DictReader((folders / "out" / "pictures.csv").open(encoding="utf-8")))
    assert [row["picture"] for row in rows] == 2 * ["face_0", "face_1", "face_2"]
    table = (folders / "out" / "metrics.md").read_text("utf-8").splitlines()
    assert len(table) == 4 and "l2 (lower is better)" in table[0]
    assert "bright: 3 pictures" in capsys.readouterr().out


def test_jpeg_is_noted_and_sizes_meet_when_asked(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folders / "bright").glob("*.png"):
        Image.open(path).resize((24, 24)).save(path.with_suffix(".jpg"))
        path.unlink()
    words = ["compare-images", str(folders / "bright"), str(folders / "truth"), "--metrics", "l2"]
    assert main(words) == 2
    assert "24 x 24 pixels" in capsys.readouterr().err
    assert main([*words, "--resize", "16"]) == 0
    output = capsys.readouterr().out
    assert "3 of 3 rebuilt pictures are JPEG" in output and "resized to 16" in output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metrics", "l3"], "No metric 'l3'. Did you mean 'l2'?"),
        (["--metrics", "lpips"], "--lpips-backbone FILE"),
        (["--metrics", "id", "--recogniser", "nowhere.pth"], "there is no file nowhere.pth"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    folders: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-images", str(folders / "exact"), str(folders / "truth"), *more]) == 2
    assert message in capsys.readouterr().err


def test_folders_that_do_not_pair_are_refused(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "exact" / "face_2.png").unlink()
    assert main(["compare-images", str(folders / "exact"), str(folders / "truth")]) == 2
    error = capsys.readouterr().err
    assert "1 of 3 names have no picture in" in error and "face_2" in error
    assert main(["compare-images", str(folders / "truth")]) == 2
