"""SFEW 2.0: where its parts lie, what its names say, and that published numbers are on Val."""

import shutil
from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def sfew(root: Path, train: str, val: str) -> Path:
    picture(root / train / "Angry" / "NightTrain_000519240_00000005.png")
    picture(root / train / "Happy" / "NightTrain_000519240_00000009.png")
    picture(root / val / "Sad" / "PaperMoons_012345678_00000001.PNG")
    return root


FORMS = [
    ("Train/Train_Aligned_Faces", "Val/Val_Aligned_Faces"),
    ("Train_Aligned_Faces", "Val_Aligned_Faces_new"),
    ("Train", "Val"),
    ("Train/Train", "Val/Val"),
]


@pytest.mark.parametrize(("train", "val"), FORMS)
def test_every_form_of_the_folders_is_read(tmp_path: Path, train: str, val: str) -> None:
    reader = open_reader("sfew", sfew(tmp_path, train, val))
    assert reader.splits == ("train", "test") and reader.notes == []
    first, second = reader.samples("train")
    assert (first.key, first.expression) == (f"{train}/Angry/NightTrain_000519240_00000005.png", 0)
    assert (first.subject, first.clip) == ("NightTrain", "NightTrain_000519240") == (second.subject, second.clip)


def test_val_is_the_test_split_unless_the_test_labels_are_there(tmp_path: Path) -> None:
    root = sfew(tmp_path, "Train", "Val")
    picture(root / "Test" / "Test_Aligned_Faces" / "12.png")
    reader = open_reader("sfew", root)
    assert reader.splits == ("train", "test", "unlabelled") and reader.valid_is_test
    assert reader.resolve("val") == "test"
    assert [(s.expression, s.clip) for s in reader.samples("unlabelled")] == [(None, None)]
    shutil.rmtree(root / "Test")
    picture(root / "Test" / "Fear" / "SlowRiver_000000001_00000001.png")
    reader = open_reader("sfew", root)
    assert reader.splits == ("train", "valid", "test") and not reader.valid_is_test
    assert [s.expression for s in reader.samples("test")] == [2]


def test_a_film_in_two_parts_parts_no_persons(tmp_path: Path) -> None:
    root = sfew(tmp_path, "Train", "Val")
    picture(root / "Val" / "Fear" / "NightTrain_000600000_00000001.png")
    reader = open_reader("sfew", root)
    assert {s.subject for split in reader.splits for s in reader.samples(split)} == {None}
    assert "1 films stand in two of the set's parts, first 'NightTrain'" in reader.notes[0]
    assert reader.samples("train")[0].clip == "NightTrain_000519240"


def test_names_of_another_form_have_no_clip(tmp_path: Path) -> None:
    root = sfew(tmp_path, "Train", "Val")
    picture(root / "Train" / "Fear" / "image_12.png")
    by_name = {s.path.name: s for s in open_reader("sfew", root).samples("train")}
    assert by_name["image_12.png"].clip is None and by_name["image_12.png"].subject is None


def test_class_folders_beyond_the_set_are_refused(tmp_path: Path) -> None:
    root = sfew(tmp_path, "Train", "Val")
    picture(root / "Train" / "Contempt" / "a.png")
    with pytest.raises(MienError, match=r"sfew: folder .*Contempt: 'Contempt' is not a class of sfew"):
        open_reader("sfew", root).samples("train")


def test_a_part_without_class_folders(tmp_path: Path) -> None:
    root = sfew(tmp_path, "Train", "Val")
    shutil.rmtree(root / "Val")
    picture(root / "Val" / "1.png")
    with pytest.raises(MienError, match=r"sfew: no class folders under .*Val"):
        open_reader("sfew", root).samples("test")
