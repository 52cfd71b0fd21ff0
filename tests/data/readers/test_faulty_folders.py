"""What operating systems leave in folders, kinds of pictures, roots a level too high, empty labels, endless boxes."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.labels import label_set
from mien.data.options import DataOptions
from mien.data.readers import open_reader
from mien.data.readers.listing import folder_names, is_picture, walk
from mien.data.selection import select_for_evaluation, select_for_training
from mien.media.listing import PICTURES, picture_files

SYSTEM = ("__MACOSX", "@eaDir", "$RECYCLE.BIN", ".AppleDouble", "System Volume Information", "lost+found", "#recycle")


def picture(path: Path, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    value = sum(path.as_posix().encode()) % 200
    Image.fromarray(np.full((16, 16, 3), value, np.uint8)).save(path, **options)
    return path


@pytest.mark.parametrize("name", SYSTEM)
def test_system_folders_are_no_classes_and_are_not_read(tmp_path: Path, name: str) -> None:
    for label in ("happy", "sad"):
        picture(tmp_path / label / "0.jpg")
        picture(tmp_path / label / name / "0.jpg")
    picture(tmp_path / name / "happy" / "1.jpg")
    reader = open_reader("image_folder", tmp_path)
    assert reader.labels is not None and reader.labels.classes == ("happy", "sad")
    assert [sample.key for sample in reader.samples("all")] == ["happy/0.jpg", "sad/0.jpg"]
    assert folder_names(tmp_path) == ["happy", "sad"] and len(list(walk(tmp_path))) == 3
    assert [path.name for path in picture_files([tmp_path])] == ["0.jpg", "0.jpg"]


def test_training_reads_the_kinds_that_analysing_reads(tmp_path: Path) -> None:
    assert all(is_picture(f"a{suffix}") and is_picture(f"a{suffix.upper()}") for suffix in PICTURES)
    picture(tmp_path / "happy" / "0.png")
    picture(tmp_path / "sad" / "1.jfif", format="JPEG")
    picture(tmp_path / "sad" / "2.gif")
    reader = open_reader("image_folder", tmp_path)
    assert [sample.path.suffix for sample in reader.samples("all")] == [".png", ".jfif", ".gif"]
    assert reader.notes == []


@pytest.mark.parametrize(("name", "classes"), [("image_folder", ("happy", "sad")), ("rafdb_folders", ("1", "2"))])
def test_two_folders_of_one_split_are_refused(tmp_path: Path, name: str, classes: tuple[str, str]) -> None:
    for split in ("train", "val", "valid"):
        for label in classes:
            picture(tmp_path / split / label / "0.jpg")
    with pytest.raises(MienError, match=r"'val' and 'valid' are both the split 'valid'. Merge them or rename one."):
        open_reader(name, tmp_path)


def test_folders_beside_the_splits_are_in_a_note(tmp_path: Path) -> None:
    for split in ("train", "Validation", "unlabelled", "validate"):
        for label in ("happy", "sad"):
            picture(tmp_path / split / label / "0.jpg")
    reader = open_reader("image_folder", tmp_path)
    assert reader.splits == ("train", "valid")
    assert reader.notes == ["image_folder: not read, because it is no split: unlabelled, validate."]


def test_pictures_of_unreadable_kinds_are_counted_in_a_note(tmp_path: Path) -> None:
    for label in ("happy", "sad"):
        picture(tmp_path / label / "0.jpg")
    for name in ("1.HEIC", "2.heic", "3.CR2"):
        (tmp_path / "sad" / name).write_bytes(b"0")
    reader = open_reader("image_folder", tmp_path)
    assert len(reader.samples("all")) == 2
    assert len(reader.notes) == 1 and "3 pictures are of kinds that are not read (.cr2 1, .heic 2)" in reader.notes[0]


def test_a_folder_of_unreadable_kinds_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "happy").mkdir()
    (tmp_path / "happy" / "1.heic").write_bytes(b"0")
    with pytest.raises(MienError, match=r"split 'all' is empty.* 1 pictures are of kinds that are not read"):
        open_reader("image_folder", tmp_path).samples("all")


def test_an_empty_label_is_no_label(tmp_path: Path) -> None:
    for number in range(4):
        picture(tmp_path / f"{number}.png")
    (tmp_path / "manifest.csv").write_text("path,label\n0.png,happy\n1.png,sad\n2.png,\n3.png,  \n")
    reader = open_reader("manifest", tmp_path)
    assert reader.labels is not None and reader.labels.classes == ("happy", "sad")
    assert [sample.expression for sample in reader.samples("all")] == [0, 1, None, None]
    chosen = select_for_evaluation(DataOptions(name="manifest", root=str(tmp_path)), reader.labels, split="all")
    assert len(chosen.samples) == 2 and chosen.unlabelled == 2
    assert chosen.notes == ["all: 2 faces without an expression are left out."]


def test_a_column_of_empty_labels_gives_no_classes(tmp_path: Path) -> None:
    picture(tmp_path / "0.png")
    (tmp_path / "manifest.csv").write_text("path,label\n0.png,\n")
    reader = open_reader("manifest", tmp_path)
    assert reader.labels is None and reader.samples("all")[0].expression is None


def test_training_leaves_unlabelled_faces_out(tmp_path: Path) -> None:
    lines = ["path,label"]
    for number in range(12):
        rng = np.random.default_rng(number)
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(tmp_path / f"{number:02d}.png")
        lines.append(f"{number:02d}.png,{('happy', 'sad', '')[number % 3]}")
    (tmp_path / "manifest.csv").write_text("\n".join(lines) + "\n")
    options = DataOptions(name="manifest", root=str(tmp_path), val_fraction=0.25)
    chosen = select_for_training(options, options.target_labels())
    assert all(sample.expression is not None for sample in (*chosen.train, *chosen.val))
    assert len(chosen.train) + len(chosen.val) == 8 and any("without an expression" in note for note in chosen.notes)
    unlabelled = select_for_training(options, None)
    assert len(unlabelled.train) + len(unlabelled.val) == 12


@pytest.mark.parametrize("above", ["archive", "archive/data"])
def test_a_root_a_level_too_high_is_refused_with_the_better_one(tmp_path: Path, above: str) -> None:
    for split in ("train", "test"):
        for label in ("happy", "sad"):
            picture(tmp_path / above / split / label / "0.jpg")
    with pytest.raises(MienError, match=f"one class only, 'archive'.*Name {tmp_path / above} as the root"):
        open_reader("image_folder", tmp_path)
    assert open_reader("image_folder", tmp_path / above).splits == ("train", "test")


def test_one_class_can_be_asked_for_but_not_trained_on(tmp_path: Path) -> None:
    picture(tmp_path / "happy" / "person" / "0.jpg")
    with pytest.raises(MienError, match="one class only"):
        open_reader("image_folder", tmp_path)
    assert len(open_reader("image_folder", tmp_path, classes=["happy"]).samples("all")) == 1
    options = DataOptions(name="image_folder", root=str(tmp_path), reader={"classes": ["happy"]})
    with pytest.raises(MienError, match="image_folder has one class only, 'happy'"):
        select_for_training(options, options.target_labels())


@pytest.mark.parametrize("box", ["0,0,inf,20", "-1e6,-1e6,1e6,1e6", "nan,0,10,10", "0,0,100001,10"])
def test_boxes_without_end_are_refused_with_their_row(tmp_path: Path, box: str) -> None:
    picture(tmp_path / "0.png")
    (tmp_path / "manifest.csv").write_text(f"path,label,x0,y0,x1,y1\n0.png,a,0,0,9,9\n0.png,b,{box}\n")
    with pytest.raises(MienError, match=r"manifest.csv, row 3: (the edges of a box lie within 100,000|a box needs)"):
        open_reader("manifest", tmp_path).samples("all")


def test_boxes_without_end_are_refused_by_every_reader(tmp_path: Path) -> None:
    picture(tmp_path / "label" / "x.jpg")
    picture(tmp_path / "image" / "origin" / "a.jpg")
    (tmp_path / "label" / "label.lst").write_text("a.jpg 0 0 0 inf 20 9.0 3\n")
    with pytest.raises(MienError, match=r"expw: image/origin/a.jpg#0: the edges of a box lie within 100,000 pixels"):
        open_reader("expw", tmp_path).samples("all")


def test_what_an_evaluation_has_no_use_for_is_refused() -> None:
    DataOptions(name="rafdb", root="x", crop_source="landmarks", leaks="drop").refuse_training_options()
    with pytest.raises(MienError, match=r"data.sampler is for training and has no effect on an evaluation"):
        DataOptions(name="rafdb", sampler="imbalanced").refuse_training_options()
    with pytest.raises(MienError, match=r"data.val_fraction, data.drop_last are for training and have no effect"):
        DataOptions(name="rafdb", drop_last=True, val_fraction=0.2).refuse_training_options()


def test_a_data_set_is_opened_and_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mien.data.readers.image_folder import ImageFolder

    for label in ("happy", "sad"):
        picture(tmp_path / label / "0.jpg")
    reads: list[str] = []
    read = ImageFolder._read
    monkeypatch.setattr(ImageFolder, "_read", lambda self, split: reads.append(split) or read(self, split))
    options = DataOptions(name="image_folder", root=str(tmp_path), test_split="all")
    assert options.open() is options.open(evaluation=True)
    for _ in range(2):
        assert len(select_for_evaluation(options, label_set("ferplus")).samples) == 2
    assert reads == ["all"]


def test_spellings_of_one_class_are_one_class(tmp_path: Path) -> None:
    """Case, blanks, Unicode's composed and decomposed letters, synonyms."""
    for number, name in enumerate(("Happy", "happiness", "sad ", "mu\u0308de", "m\u00fcde", "M\u00dcDE")):
        picture(tmp_path / name / f"{number}.jpg")
    reader = open_reader("image_folder", tmp_path)
    assert reader.labels is not None and reader.labels.classes == ("happiness", "m\u00fcde", "sad")
    assert [s.expression for s in reader.samples("all")].count(1) == 3 and len(reader.samples("all")) == 6
    assert any("'Happy', 'happiness' are spellings of one class" in note for note in reader.notes)
    assert reader.labels.index(" HAPPY") == 0 and reader.labels.index("sadness") == 2
