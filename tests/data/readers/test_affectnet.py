"""AffectNet in its three forms: what is read, what is left out, and every mistake by its message."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import small_sets as sets

from mien.core.errors import MienError
from mien.data.options import DataOptions
from mien.data.readers import Reader, open_reader
from mien.data.readers.affectnet_arrays import number_in
from mien.data.readers.points import PointsInFile
from mien.data.selection import select_for_training


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(params=["lists", "arrays", "tree"])
def form(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Sixteen training and eight test faces in each of the three layouts."""
    root: Path = getattr(sets, f"affectnet_{request.param}")(tmp_path / "affectnet")
    return root


def affectnet(root: Path, **options: object) -> Reader:
    return open_reader("affectnet", root, **options)


def test_every_form_has_the_eight_classes_and_calls_its_validation_test(form: Path) -> None:
    reader = affectnet(form)
    assert reader.splits == ("train", "test") and reader.resolve("validation") == "test"
    assert reader.labels is not None and reader.labels.checksum == "73fe73362cd6"
    for split, each in (("train", 2), ("test", 1)):
        samples = reader.samples(split)
        assert Counter(sample.expression for sample in samples) == dict.fromkeys(range(8), each)
        assert all(sample.path.is_file() and sample.split == split for sample in samples)
        assert len({sample.key for sample in samples}) == len(samples)


def test_seven_classes_leave_contempt_out_and_say_so(form: Path) -> None:
    reader = affectnet(form, classes=7)
    assert reader.labels is not None and reader.labels.name == "affectnet7"
    assert len(reader.samples("train")) == 14
    assert any("contempt" in note for note in reader.notes)


def test_selecting_on_the_published_test_is_refused(form: Path) -> None:
    with pytest.raises(MienError, match="is the test split, and selecting an epoch on it is refused"):
        select_for_training(DataOptions(name="affectnet", root=str(form), val_split="val"), None)
    chosen = select_for_training(DataOptions(name="affectnet", root=str(form), val_fraction=0.5), None)
    assert (len(chosen.train), len(chosen.val)) == (8, 8)


# The full release


def lists(tmp_path: Path, rows: str = "", **options: object) -> Reader:
    root = sets.affectnet_lists(tmp_path / "affectnet")
    with (root / "Manually_Annotated_file_lists" / "training.csv").open("a") as file:
        file.write(rows)
    return affectnet(root, **options)


def test_a_row_by_hand(tmp_path: Path) -> None:
    reader = lists(tmp_path)
    sample = next(s for s in reader.samples("train") if s.path.name == "training012.jpg")
    assert sample.key == "Manually_Annotated_Images/0/training012.jpg"
    assert (sample.expression, sample.box) == (1, (2, 3, 18, 21))
    assert (sample.valence, sample.arousal) == (0.12, -0.25)
    assert sample.landmarks_px is not None and sample.landmarks_px.shape == (68, 2)
    np.testing.assert_array_equal(np.asarray(sample.landmarks_px)[:2], [[0, 1.5], [3, 4.5]])
    assert sample.landmarks_px.dtype == np.float32
    assert reader.notes == ["affectnet: training.csv: 6 faces are left out (none 2, uncertain 2, non-face 2)."]


def test_points_are_those_of_their_row_across_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Byte offsets are counted over blocks, blank lines and Windows line ends."""
    monkeypatch.setattr("mien.data.readers.affectnet_lists._AT_A_TIME", 3)
    root, rows = tmp_path, [sets.HEADER]
    for i in range(8):
        sets.picture(root / "Manually_Annotated_Images" / "1" / f"{i}.jpg")
        rows += [f"1/{i}.jpg,{i},3,16,18,{';'.join([str(i)] * 136)},{i},0,0", *[""] * (i % 3)]
    (root / "training.csv").write_bytes("\r\n".join(rows).encode())
    for i, sample in enumerate(affectnet(root).samples("train")):
        assert sample.landmarks_px is not None and sample.box is not None
        assert (sample.expression, sample.box[0], float(sample.landmarks_px[0, 0])) == (i, i, i)


def test_rows_are_counted_as_an_editor_counts_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.data.readers.affectnet_lists._AT_A_TIME", 2)
    with pytest.raises(MienError, match=r"training.csv, row 28: 3 fields where 9"):
        lists(tmp_path, "\n\n\n\na,b,c\n").samples("train")


def test_lists_without_header_and_with_fewer_columns(tmp_path: Path) -> None:
    full = affectnet(sets.affectnet_lists(tmp_path / "a", header="")).samples("train")
    assert len(full) == 16 and full[0].box is not None
    root = sets.affectnet_lists(tmp_path / "b")
    table = root / "Manually_Annotated_file_lists" / "training.csv"
    table.write_text("expression,subDirectory_filePath\n3,0/training000.jpg\n")
    (sample,) = affectnet(root).samples("train")
    assert sample.expression == 3 and sample.box is sample.landmarks_px is sample.valence is None


def test_no_box_and_no_affect_are_none(tmp_path: Path) -> None:
    row = f"0/training000.jpg,NULL,NULL,NULL,NULL,NULL,4,-2,-2\n0/training003.jpg,1,1,0,0,{sets.POINTS},4,,0.5\n"
    reader = lists(tmp_path)
    (tmp_path / "affectnet" / "Manually_Annotated_file_lists" / "training.csv").write_text(f"{sets.HEADER}\n{row}")
    first, second = reader.samples("train")
    assert first.box is first.landmarks_px is first.valence is first.arousal is second.box is second.valence is None
    assert second.arousal == 0.5


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0/a.jpg,1,2,3", r"training.csv, row 24: 4 fields where 9 are expected"),
        (f"0/a.jpg,1,2,3,4,{sets.POINTS},11,0,0", r"row 24: expression '11' is not one of 0..10"),
        (f"0/a.jpg,1,2,3,4,{sets.POINTS},happy,0,0", r"row 24: expression 'happy' is not one of 0..10"),
        (f"0/a.jpg,1,x,3,4,{sets.POINTS},1,0,0", r"row 24: face_y 'x' is no number"),
        (f"0/a.jpg,1,2,3,4,{sets.POINTS},1,1.5,0", r"row 24: valence lies in -1..1, or is -2; got 1.5"),
        ("0/a.jpg,1,2,3,4,1;2;3,1,0,0", r"row 24: facial_landmarks are 136 numbers .* got 3"),
        (f"0/a.jpg,1,2,3,4,{sets.POINTS},1,0,0", r"1 of 17 pictures listed in .* missing, first .*0/a.jpg"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(MienError, match=message) as caught:
        lists(tmp_path, row + "\n").samples("train")
    assert "\n" not in str(caught.value)


def test_missing_pictures_can_be_left_out_and_are_counted(tmp_path: Path) -> None:
    reader = lists(tmp_path, f"0/a.jpg,1,2,3,4,{sets.POINTS},1,0,0\n", missing="skip")
    assert len(reader.samples("train")) == 16
    assert any("1 of 17 pictures listed in" in note and "They are left out" in note for note in reader.notes)


def test_pictures_without_a_label_are_counted_over_all_lists(tmp_path: Path) -> None:
    reader = lists(tmp_path)
    sets.picture(tmp_path / "affectnet" / "Manually_Annotated_Images" / "0" / "stray.jpg")
    reader.samples("train")
    assert any("1 pictures have no label" in note and "stray.jpg" in note for note in reader.notes)


def test_the_automatic_part_is_asked_for_by_name(tmp_path: Path) -> None:
    root = sets.affectnet_lists(tmp_path / "affectnet")
    with pytest.raises(MienError, match=r"no automatically_annotated.csv under .* part of the full release"):
        affectnet(root, parts="both")
    sets.picture(root / "Automatically_Annotated_Images" / "7" / "auto.jpg")
    (root / "Automatically_annotated_file_list").mkdir()
    table = root / "Automatically_annotated_file_list" / "automatically_annotated.csv"
    table.write_text(f"{sets.HEADER}\n7/auto.jpg,0,0,9,9,{sets.POINTS},5,0.1,0.2\n")
    assert len(affectnet(root, parts="both").samples("train")) == 17
    automatic = affectnet(root, parts="automatic")
    assert automatic.splits == ("train",)
    assert [s.key for s in automatic.samples("train")] == ["Automatically_Annotated_Images/7/auto.jpg"]


def test_options_are_checked(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="classes must be one of 7, 8; got 6"):
        lists(tmp_path, classes=6)


# The 8-class release


def test_numbers_are_text_in_the_files(tmp_path: Path) -> None:
    root = sets.affectnet_arrays(tmp_path / "affectnet")
    sample = next(s for s in affectnet(root).samples("train") if s.path.stem == "13")
    assert (sample.expression, sample.valence, sample.arousal, sample.box) == (5, -0.65, 0.5, None)
    np.testing.assert_array_equal(np.asarray(sample.landmarks_px)[-1], [67, 67.5])


@pytest.mark.parametrize("value", [np.array("3"), np.array(["-0.25"]), np.array(2), np.float32(0.5), np.array([7.0])])
def test_one_number_as_numpy_reads_it(tmp_path: Path, value: np.ndarray) -> None:
    np.save(tmp_path / "a.npy", value)
    assert number_in(str(tmp_path / "a.npy")) == float(np.asarray(value).reshape(-1)[0])


@pytest.mark.parametrize("content", [b"", b"no array", np.array([None])])
def test_no_number_is_refused_and_never_unpickled(tmp_path: Path, content: object) -> None:
    path = tmp_path / "a.npy"
    path.write_bytes(content) if isinstance(content, bytes) else np.save(path, content, allow_pickle=True)
    with pytest.raises(MienError, match=r"a.npy: not a .npy file with one number"):
        number_in(str(path))


def test_the_index_is_kept_outside_the_data_and_notices_changes(tmp_path: Path, cache: Path) -> None:
    root = sets.affectnet_arrays(tmp_path / "affectnet")
    before = sorted(path for path in root.rglob("*"))
    assert len(affectnet(root, index="off").samples("train")) == 16 and not cache.exists()
    first = affectnet(root).samples("train")
    assert sorted(path for path in root.rglob("*")) == before and len(list(cache.rglob("*.npz"))) == 1
    (root / "train_set" / "annotations" / "3_lnd.npy").unlink()  # a change of the folder: read anew
    np.save(root / "train_set" / "annotations" / "0_exp.npy", np.array("6"))
    again = affectnet(root).samples("train")
    assert Counter(s.expression for s in again) != Counter(s.expression for s in first)
    np.save(root / "train_set" / "annotations" / "0_exp.npy", np.array("0"))  # written over: not seen, until asked
    rebuilt = affectnet(root, index="rebuild").samples("train")
    assert [s.expression for s in rebuilt] == [s.expression for s in first]
    next(cache.rglob("*.npz")).write_bytes(b"damaged")
    assert [s.valence for s in affectnet(root).samples("train")] == [s.valence for s in first]


def test_pictures_without_annotations_and_wrong_ones(tmp_path: Path) -> None:
    root = sets.affectnet_arrays(tmp_path / "affectnet")
    annotations = root / "train_set" / "annotations"
    np.save(annotations / "5_aro.npy", np.array("3"))
    with pytest.raises(MienError, match=r"aro lies in -1..1, or is -2; that of 5.jpg is 3"):
        affectnet(root, index="off").samples("train")
    (annotations / "4_exp.npy").unlink()
    with pytest.raises(MienError, match=r"1 of 16 pictures in .* no annotations, first 4.jpg: no 4_exp.npy"):
        affectnet(root, index="off").samples("train")


def test_missing_landmarks_are_reported_when_they_are_asked_for(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"x_lnd.npy: no landmarks"):
        np.asarray(PointsInFile(str(tmp_path / "x_lnd.npy")))


# Class folders


def test_the_tree_pairs_photo_render_and_affect(tmp_path: Path) -> None:
    root = sets.affectnet_tree(tmp_path / "affectnet")
    photos = {s.path.stem: s for s in affectnet(root).samples("train")}
    renders = affectnet(root, pictures="render").samples("train")
    assert photos["8"].key == "affectnet_clean/train/0/8.jpg" and photos["8"].valence == 0.16
    assert photos["3"].valence is None  # the published code takes 0
    assert {s.path.stem: s.expression for s in renders} == {stem: s.expression for stem, s in photos.items()}
    assert all("affectnet_smirk" in s.path.as_posix() for s in renders)
    assert {s.key for s in renders} == {s.key for s in photos.values()}  # models of either compare face by face
    assert all(s.render is None for s in renders)
    by_stem = {s.path.stem: s.path for s in renders}
    assert {stem: s.render for stem, s in photos.items()} == by_stem and None not in by_stem.values()


def test_the_tree_says_where_folder_and_annotations_differ(tmp_path: Path) -> None:
    reader = affectnet(sets.affectnet_tree(tmp_path / "affectnet"))
    reader.samples("train")
    assert "train: 1 of 16 pictures have no valence and arousal" in " ".join(reader.notes)
    assert "first affectnet_clean/train/4/4.jpg (contempt there); the folder counts" in " ".join(reader.notes)


def test_plain_class_folders_and_their_own_test(tmp_path: Path) -> None:
    for split in ("train", "val", "test"):
        for code in range(8):
            sets.picture(tmp_path / split / str(code) / "a.JPG")
    reader = affectnet(tmp_path)
    assert reader.splits == ("train", "valid", "test") and reader.resolve("val") == "valid"
    (tmp_path / "train" / "9").mkdir()
    with pytest.raises(MienError, match=r"class folder '9'; AffectNet's are 0..7. Named folders: use image_folder"):
        reader.samples("train")
