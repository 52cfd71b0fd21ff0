"""ExpW: the order of its box columns, pictures with several faces, and lists that say too much or too little."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader

FIRST = "angry_actor_104.jpg 0 28 113 226 141 22.9362 0"  # the set's own first row


def expw(root: Path, *lines: str, label: str = "data/label", origin: str = "data/image/origin") -> Path:
    (root / label).mkdir(parents=True, exist_ok=True)
    (root / origin).mkdir(parents=True, exist_ok=True)
    (root / label / "label.lst").write_text("".join(f"{line}\n" for line in lines))
    for line in lines:
        (root / origin / line.rsplit(maxsplit=7)[0]).touch()
    return root


@pytest.mark.parametrize(
    ("label", "origin"), [("data/label", "data/image/origin"), ("label", "image/origin"), (".", "origin")]
)
def test_the_box_is_top_left_right_bottom(tmp_path: Path, label: str, origin: str) -> None:
    reader = open_reader("expw", expw(tmp_path, FIRST, label=label, origin=origin))
    (sample,) = reader.samples("all")
    assert sample.box == (113, 28, 226, 141)  # left, top, right, bottom: 113 pixels square
    assert (sample.key, sample.expression) == (f"{origin}/angry_actor_104.jpg#0", 0)
    assert sample.path.is_file() and sample.subject is None


def test_a_picture_may_have_several_faces_and_a_name_with_a_blank(tmp_path: Path) -> None:
    root = expw(tmp_path, "sad man_1.jpg 0 1 2 9 8 50 4", "sad man_1.jpg 1 1 12 19 8 60.5 6")
    assert [(s.key, s.expression) for s in open_reader("expw", root).samples("all")] == [
        ("data/image/origin/sad man_1.jpg#0", 4), ("data/image/origin/sad man_1.jpg#1", 6),
    ]  # fmt: skip
    assert len(open_reader("expw", root, min_confidence=55).samples("all")) == 1


def test_lines_that_stand_twice_are_read_once_and_torn_ones_left_out(tmp_path: Path) -> None:
    root = expw(tmp_path, FIRST, FIRST, "b.jpg 0 1 2 9 8 50 4", "b.jpg 0 1 2 9 8 50 5", "c.jpg 0 1 2 9 8 50 5")
    reader = open_reader("expw", root)
    for _ in range(2):  # notes do not grow
        assert [s.path.name for s in reader.samples("all")] == ["angry_actor_104.jpg", "c.jpg"]
    assert reader.notes == [
        "expw: 2 lines of label.lst name a face again; each is read once.",
        "expw: 1 faces have two different labels and are left out, first b.jpg.",
    ]


def test_missing_pictures_and_pictures_without_a_label(tmp_path: Path) -> None:
    root = expw(tmp_path, FIRST, "b.jpg 0 1 2 9 8 50 4")
    (root / "data" / "image" / "origin" / "b.jpg").unlink()
    (root / "data" / "image" / "origin" / "extra.jpg").touch()
    with pytest.raises(MienError, match=r"expw: 1 of 2 pictures listed in .*label.lst are missing, first .*b.jpg"):
        open_reader("expw", root).samples("all")
    reader = open_reader("expw", root, missing="skip")
    assert len(reader.samples("all")) == 1
    assert any("1 of 2 pictures" in note and "left out" in note for note in reader.notes)
    assert any("1 pictures have no label" in note and "extra.jpg" in note for note in reader.notes)


def test_an_extension_in_capitals_is_the_same_picture(tmp_path: Path) -> None:
    root = expw(tmp_path, FIRST)
    origin = root / "data" / "image" / "origin"
    (origin / "angry_actor_104.jpg").rename(origin / "angry_actor_104.JPG")
    (sample,) = open_reader("expw", root).samples("all")
    assert sample.path.name == "angry_actor_104.JPG" and sample.key.endswith("angry_actor_104.jpg#0")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b.jpg 0 1 2 9 8 50 7", "line 2: class '7' is not one of 0..6"),
        ("b.jpg 0 1 2 9 8 4", "line 2: expected name, face, top, left, right, bottom, confidence, class; got 'b.jpg 0"),
        ("b.jpg 0 1 x 9 8 50 4", "line 2: expected name"),
        ("b.jpg 0 1 9 2 8 50 4", "line 2: a box needs right > left and bottom > top; got top 1, left 9, right 2"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: str, message: str) -> None:
    root = expw(tmp_path, FIRST)
    table = root / "data" / "label" / "label.lst"
    table.write_text(f"{FIRST}\n{line}\n")
    with pytest.raises(MienError, match=message):
        open_reader("expw", root)
