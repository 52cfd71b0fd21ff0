"""`mien data stats`: numbers worked out by hand."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.inspection.pictures import Facts, inspect
from mien.data.inspection.statistics import channels, groups, histogram, landmarks, shared_subjects
from mien.data.readers.points import PointsInFile
from mien.data.replicas import write_drawn
from mien.engine.datasets.stats import stats


def two_colours(folder: Path) -> Path:
    """Two classes of one picture each: black, and red 255, green 51."""
    for name, colour in (("calm", (0, 0, 0)), ("tense", (255, 51, 0))):
        (folder / name).mkdir(parents=True)
        cv2.imwrite(str(folder / name / "a.png"), np.full((40, 30, 3), colour[::-1], np.uint8))
    return folder


def test_channels_and_light_by_hand(tmp_path: Path) -> None:
    stats("image_folder", root=str(two_colours(tmp_path / "set")), output=str(tmp_path / "out"))
    found = json.loads((tmp_path / "out" / "stats.json").read_text(encoding="utf-8"))
    assert found["channels"]["mean"] == [0.5, 0.1, 0.0]
    assert found["channels"]["std"] == [0.5, 0.1, 0.0]
    assert found["width"]["p50"] == 30
    assert found["height"]["p50"] == 40
    assert found["sharpness"]["p100"] == 0
    assert found["brightness"]["p100"] == pytest.approx(0.299 + 0.587 * 0.2, abs=0.01)
    assert found["imbalance"] == {"all": 1.0}
    with Image.open(tmp_path / "out" / "stats.png") as picture:
        assert picture.width == 1440


def test_std_is_over_pixels_not_over_pictures() -> None:
    half = Facts(mean=(0.5,) * 3, square=(0.5,) * 3)  # half of the pixels 0, half of them 1
    assert channels([half, half])["std"] == [0.5] * 3


def test_people_and_clips_are_counted() -> None:
    samples = [Sample(str(i), Path(str(i)), subject=who) for i, who in enumerate(["a", "a", "a", "b", None])]
    found = groups(samples, "subject")
    assert (found["known"], found["unknown_pictures"]) == (2, 1)
    assert (found["pictures_each"]["p0"], found["pictures_each"]["p100"]) == (1, 3)
    assert shared_subjects({"train": samples[:2], "test": samples[2:]}) == {"train and test": 1}
    assert shared_subjects({"test": samples, "common": samples[:2]}) == {}  # a part of it


def test_points_outside_of_the_picture_are_counted() -> None:
    points = np.array([[0, 0], [9, 9], [-3, 0], [5, 12]], np.float32)
    found = landmarks([Sample("a", Path("a"), landmarks_px=points), Sample("b", Path("b"))], [Facts(size=(10, 10))] * 2)
    assert found == {"faces": 1, "points": [4], "outside_share": 0.5, "faces_with_points_outside": 1}


def test_points_that_stay_in_their_file_are_counted_too(tmp_path: Path) -> None:
    np.save(tmp_path / "points.npy", np.array([0, 0, 9, 9, -3, 0, 5, 12], np.float32))
    sample = Sample("a", Path("a"), landmarks_px=PointsInFile(str(tmp_path / "points.npy")))
    found = landmarks([sample], [Facts(size=(10, 10))])
    assert found == {"faces": 1, "points": [4], "outside_share": 0.5, "faces_with_points_outside": 1}


def test_a_histogram_counts_what_lies_outside_with_its_ends() -> None:
    found = histogram([-5, -1, 0.05, 1, 7], -1, 1)
    assert (found["counts"][0], found["counts"][-1], sum(found["counts"])) == (2, 2, 5)


def test_affect_of_a_manifest_is_shown(tmp_path: Path) -> None:
    root = two_colours(tmp_path)
    (root / "manifest.csv").write_text(
        "path,expression,valence,arousal,subject\ncalm/a.png,calm,0.5,-0.5,x\ntense/a.png,tense,-0.5,0.7,x\n"
    )
    output = stats("manifest", root=str(root))
    assert "mean +0.000 on 2 faces" in output
    assert "mean +0.100 on 2 faces" in output
    assert "1, 2 to 2 pictures each" in output


def test_processes_measure_what_one_measures(tmp_path: Path) -> None:
    from mien.core.spec import PictureInput
    from mien.data.readers import open_reader

    root = write_drawn(tmp_path, faces=14, size=32)
    samples = open_reader("image_folder", root).samples("train")
    many = samples * (600 // len(samples) + 1)
    assert inspect(many, spec=PictureInput(size=112), workers=2)[: len(samples)] == inspect(
        samples, spec=PictureInput(size=112)
    )


def test_nothing_readable_and_a_bad_limit_are_refused(tmp_path: Path) -> None:
    root = two_colours(tmp_path / "set")
    with pytest.raises(MienError, match="--limit must be at least 0"):
        stats("image_folder", root=str(root), limit=-1)
    for path in root.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(MienError, match=r"None of 2 pictures can be read; the first: .*empty"):
        stats("image_folder", root=str(root))
