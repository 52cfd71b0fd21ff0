"""`mien data check`: what is planted in a small set is found, counted and written down."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.data.inspection.published import nearest_release, releases
from mien.data.readers import READERS
from mien.data.replicas import write_drawn
from mien.engine.datasets.check import check

PUBLISHED = {
    "rafdb", "rafdb_folders", "ferplus", "affectnet", "caers", "sfew", "fer2013", "ckplus", "jaffe", "kdef",
    "expw", "w300",
}  # fmt: skip


@pytest.fixture
def rafdb(tmp_path: Path) -> Path:
    return write_drawn(tmp_path / "rafdb", faces=42, layout="rafdb", size=48, test_share=1 / 6)


def problems(folder: Path) -> list[dict[str, str]]:
    with (folder / "problems.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_published_set_has_its_counts_with_a_source() -> None:
    assert set(READERS) >= PUBLISHED
    for name in PUBLISHED:
        found = releases(name)
        assert found, name
        for release in found:
            assert len(release.source) > 20
            for numbers in release.splits.values():
                classes = [number for key, number in numbers.items() if key != "all"]
                assert not classes or "all" not in numbers or sum(classes) == numbers["all"]
    assert not releases("manifest")


def test_the_nearest_release_is_compared_with() -> None:
    eight = nearest_release("affectnet", {"test": {"all": 3999}})
    classes = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger")
    seven = nearest_release("affectnet", {"test": {"all": 3500, **dict.fromkeys(classes, 500)}})
    assert eight is not None
    assert seven is not None
    assert (eight.name, seven.name) == ("8-class release (.npy)", "manually annotated, 7 classes")


def test_what_is_planted_is_found(rafdb: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = sorted((rafdb / "Image/aligned").glob("train*"))
    tests = sorted((rafdb / "Image/aligned").glob("test*"))
    shutil.copy(pictures[0], tests[0])
    pictures[1].write_bytes(b"II*\0\x08\0\0\0\xff\xff not a tiff at all")
    Image.new("RGB", (12, 30)).save(pictures[2])
    pictures[3].unlink()
    (rafdb / "Image/aligned/unheard_of.jpg").write_bytes(pictures[0].read_bytes())
    with pytest.raises(MienError, match=r"1 of 41 pictures cannot be read"):
        check("rafdb", root=str(rafdb), output=str(tmp_path / "out"))
    output, complaints = capsys.readouterr()
    assert complaints == ""
    assert "train has 34 of 12,271" in output
    assert "same file twice: 2 pictures in 1 groups, 1 across splits" in output
    assert "1 pictures have a side below 24 pixels" in output
    assert "1 of 35 pictures listed" in output
    assert "have no label" in output
    rows = problems(tmp_path / "out")
    assert {row["kind"] for row in rows} >= {"broken", "tiny", "missing", "same bytes"}
    (broken,) = (row for row in rows if row["kind"] == "broken")
    assert broken["picture"] == str(pictures[1])
    written = json.loads((tmp_path / "out" / "check.json").read_text(encoding="utf-8"))
    assert (written["broken"], written["missing"], written["counts"]["test"]["all"]) == (1, 1, 7)
    with Image.open(tmp_path / "out" / "contact.png") as sheet:
        assert sheet.width > 500


def test_the_same_photograph_in_other_bytes_is_found(tmp_path: Path) -> None:
    """A mirrored, smaller copy under another label in the other split."""
    astronaut = pytest.importorskip("skimage.data").astronaut()[0:200, 120:320]
    root = tmp_path / "set"
    for split, name, picture in (("train", "calm", astronaut), ("test", "tense", astronaut[::2, ::-2])):
        (root / split / name).mkdir(parents=True)
        Image.fromarray(np.ascontiguousarray(picture)).save(root / split / name / "a.jpg")
    check("image_folder", root=str(root), output=str(tmp_path / "out"))
    written = json.loads((tmp_path / "out" / "check.json").read_text(encoding="utf-8"))
    assert written["near"] == {"groups": 1, "pictures": 2, "across_splits": 1, "unlike_labels": 1}
    assert written["same_bytes"]["groups"] == 0
    assert {row["group"] for row in problems(tmp_path / "out")} == {"1"}


def test_a_missing_picture_alone_is_exit_code_2(rafdb: Path) -> None:
    sorted((rafdb / "Image/aligned").glob("train*"))[3].unlink()
    with pytest.raises(MienError, match=r"1 pictures are listed and missing; the first: .*aligned"):
        check("rafdb", root=str(rafdb))


def test_the_sheet_is_the_same_for_the_same_seed(rafdb: Path, tmp_path: Path) -> None:
    sheets = []
    for number, seed in enumerate((0, 0, 1)):
        check("rafdb", root=str(rafdb), output=str(tmp_path / str(number)), seed=seed)
        sheets.append((tmp_path / str(number) / "contact.png").read_bytes())
    assert sheets[0] == sheets[1]
    assert sheets[0] != sheets[2]


def test_nothing_is_written_into_the_data_set(rafdb: Path) -> None:
    with pytest.raises(MienError, match="lies inside the data set"):
        check("rafdb", root=str(rafdb), output=str(rafdb / "Image"))
    with pytest.raises(MienError, match="Cannot write --output"):
        check("rafdb", root=str(rafdb), output="/dev/null/out")
