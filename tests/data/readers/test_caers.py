"""CAER-S: class folders, and the face boxes of the public detections."""

from collections import Counter
from pathlib import Path

import pytest
import small_sets as sets

from mien.core.errors import MienError
from mien.data.readers import open_reader


def test_classes_and_splits(tmp_path: Path) -> None:
    reader = open_reader("caers", sets.caers(tmp_path / "CAER-S").parent)  # the folder above is understood
    assert reader.splits == ("train", "test") and reader.labels is not None
    assert reader.labels.checksum == "3c33c4e316ae"
    samples = reader.samples("train")
    assert Counter(sample.expression for sample in samples) == dict.fromkeys(range(7), 2)
    happy = next(sample for sample in samples if sample.key == "train/Happy/0001.png")
    assert happy.expression == 3 and happy.box is None and happy.subject is None


def test_boxes_are_asked_for(tmp_path: Path) -> None:
    root = sets.caers(tmp_path)
    assert {sample.box for sample in open_reader("caers", root, boxes=True).samples("test")} == {(4, 5, 20, 22)}
    lines = (root / "test.txt").read_text().splitlines()
    (root / "test.txt").write_text("\n".join(lines[1:]))
    reader = open_reader("caers", root, boxes=True)
    assert len(reader.samples("test")) == 13
    assert reader.notes == [
        "caers: 1 of 14 pictures have no box in test.txt and are left out, first test/Anger/0001.png."
    ]


@pytest.mark.parametrize("line", ["Anger/0001.png,0,4,5,20", "Anger/0001.png,0,4,5,a,22", "Anger/0001.png,0,20,5,4,22"])
def test_bad_boxes_are_named(tmp_path: Path, line: str) -> None:
    root = sets.caers(tmp_path)
    (root / "train.txt").write_text(line)
    with pytest.raises(MienError, match=r"train.txt, line 1: expected `Anger/0001.png,0,x0,y0,x1,y1`"):
        open_reader("caers", root, boxes=True).samples("train")


def test_a_class_beyond_the_set(tmp_path: Path) -> None:
    root = sets.caers(tmp_path)
    sets.picture(root / "train" / "Contempt" / "0001.png")
    with pytest.raises(MienError, match=r"caers: folder .*train/Contempt: 'Contempt' is not a class of caers"):
        open_reader("caers", root).samples("train")
