"""AI Hub: votes, boxes, persons, and lists that are not as they should be."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
import small_sets as sets

from mien.core.errors import MienError
from mien.data.options import DataOptions
from mien.data.readers import Reader, open_reader
from mien.data.selection import select_for_training

LIST = "img_emotion_training_data(기쁨).json"


def test_lists_and_pictures_are_found_and_validation_is_the_test(tmp_path: Path) -> None:
    reader = open_reader("aihub", sets.aihub(tmp_path))
    assert reader.splits == ("train", "test") and reader.resolve("val") == "test"
    assert reader.labels is not None and reader.labels.checksum == "585948ada6cc"
    samples = reader.samples("train")
    assert Counter(sample.expression for sample in samples) == dict.fromkeys(range(7), 2)
    assert len({sample.subject for sample in samples}) == 2 and len({sample.clip for sample in samples}) == 14
    assert not {s.subject for s in samples} & {s.subject for s in reader.samples("test")}
    assert open_reader("aihub", tmp_path, split="none").splits == ("all",)


def one(folder: Path, *votes: str, **options: object) -> Reader:
    """A set of one picture with these votes."""
    name = sets.aihub_name(7, "기쁨")
    sets.picture(folder / "Training" / "[원천]EMOIMG_기쁨_TRAIN_01" / name)
    record = sets.aihub_record(name, votes, uploader="기쁨", grow=2)
    sets.aihub_list(folder / "Training" / "[라벨]EMOIMG_기쁨_TRAIN" / LIST, [record])
    return open_reader("aihub", folder, **options)


def test_votes_by_hand(tmp_path: Path) -> None:
    (sample,) = one(tmp_path, "분노", "상처", "분노").samples("train")
    assert sample.expression == 2 and sample.distribution == pytest.approx((0, 0, 2 / 3, 0, 1 / 3, 0, 0))
    assert sample.box == (4.0, 5.0, 22.5, 22.0)  # the median of 20.5, 22.5 and 24.5
    assert sample.subject == f"{7:064x}" and sample.clip == f"{7:064x} 20210126165501"


def test_unknown_is_no_class(tmp_path: Path) -> None:
    (sample,) = one(tmp_path, "분노", "알수없음", "분노").samples("train")
    assert sample.expression == 2 and sample.distribution == (0, 0, 1, 0, 0, 0, 0)


@pytest.mark.parametrize(
    ("votes", "options", "expression"),
    [
        (("분노", "상처", "슬픔"), {}, None),
        (("분노", "상처", "슬픔"), {"classes": 3}, 2),  # three kinds of negative agree
        (("분노", "분노", "슬픔"), {"label": "unanimous"}, None),
        (("분노", "상처", "슬픔"), {"label": "uploader"}, 0),
        (("알수없음", "알수없음", "알수없음"), {}, None),
    ],
)
def test_which_label_counts(tmp_path: Path, votes: tuple[str, ...], options: dict, expression: int | None) -> None:
    reader = one(tmp_path, *votes, **options)
    if expression is None:
        with pytest.raises(MienError, match="split 'train' is empty"):
            reader.samples("train")
        assert reader.notes[0].startswith("aihub: train: 1 faces are left out (no ")
    else:
        assert reader.samples("train")[0].expression == expression


def test_three_classes_also_by_the_general_mapping(tmp_path: Path) -> None:
    options = DataOptions(name="aihub", root=str(sets.aihub(tmp_path)), labels="aihub3", val_fraction=0.5)
    chosen = select_for_training(options, options.target_labels())
    assert {sample.expression for sample in chosen.train} == {0, 1, 2}
    assert not {s.subject for s in chosen.train} & {s.subject for s in chosen.val}


def test_names_as_other_systems_unpack_them(tmp_path: Path) -> None:
    """Decomposed Hangul (macOS), `&` unpacked as `_`, and .JPEG for .jpeg."""
    on_disk = unicodedata.normalize("NFD", "ab_여_20_기쁨_산_들_20210101-1-1.JPEG")
    sets.picture(tmp_path / "Training" / on_disk)
    record = sets.aihub_record("ab_여_20_기쁨_산&들_20210101-1-1.jpeg", ["기쁨"] * 3)
    table = sets.aihub_list(tmp_path / "Training" / LIST, [record])
    table.write_bytes(table.read_text(encoding="utf-8").encode("cp949"))
    (sample,) = open_reader("aihub", tmp_path).samples("train")
    assert sample.expression == 0 and sample.subject == "ab"


def test_a_part_of_the_pictures_can_be_read(tmp_path: Path) -> None:
    """The pictures come in many archives, the lists in one: a partial download is common."""
    root = sets.aihub(tmp_path)
    next(root.glob("Training/*기쁨_TRAIN_01/*.jpg")).unlink()
    with pytest.raises(MienError, match=r"1 of 14 pictures listed in .* missing.* --data.reader.missing skip"):
        open_reader("aihub", root).samples("train")
    reader = open_reader("aihub", root, missing="skip")
    sets.picture(root / "Training" / "stray.jpg")
    assert len(reader.samples("train")) == 13 and "They are left out" in reader.notes[0]
    stray = open_reader("aihub", root, missing="skip")
    stray.samples("train")
    assert "aihub: train: 1 pictures have no label in the lists and are not read." in stray.notes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1}', "not a JSON list of records"),
        ('[{"filename": "a.jpg"', r"record 1: broken JSON"),
        ('[{"filename": "a.jpg"},', r"the list is cut short after 1 records"),
        ("[3]", r"record 1: expected an object; got '3'"),
        ('[{"name": "a.jpg"}]', r"record 1: no filename among name"),
        ('[{"filename": "a.jpg", "annot_A": {"faceExp": "졸림"}}]', r"expression '졸림' is none of the seven \(기쁨, "),
        (
            '[{"filename": "a.jpg", "annot_A": {"faceExp": "기쁨", "boxes": {"minX": 1}},'
            ' "annot_B": {"faceExp": "기쁨"}}]',
            r"record 1: a box has minX, minY, maxX, maxY",
        ),
    ],
)
def test_bad_lists_are_named(tmp_path: Path, text: str, message: str) -> None:
    sets.picture(tmp_path / "a.jpg")
    (tmp_path / "list.json").write_text(text, encoding="utf-8")
    with pytest.raises(MienError, match=message) as caught:
        open_reader("aihub", tmp_path).samples("train")
    assert "list.json" in str(caught.value) and "\n" not in str(caught.value)


def test_romanised_and_english_class_names(tmp_path: Path) -> None:
    (sample,) = one(tmp_path, "danghwang", "Embarrassment", "panic").samples("train")
    assert sample.expression == 1
