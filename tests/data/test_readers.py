"""Every reader on a small replica and, where it is there, on real folders with counts known beforehand."""

import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.framing import box_of
from mien.data.readers import READERS, open_reader
from mien.media.points import read_pts, write_pts


def test_a_class_has_the_same_name_in_every_layout(replicas: dict[str, Path]) -> None:
    """Face 1 is drawn surprised: in rafdb that is class 0, in ferplus 2, by folder name whatever the order says."""
    for name in ("rafdb", "rafdb_folders", "ferplus", "image_folder", "manifest", "drawn"):
        reader = open_reader(name, replicas[name])
        first = next(s for s in reader.samples("train") if "00001" in s.key)
        assert reader.labels is not None and first.expression is not None
        assert reader.labels.classes[first.expression] == "surprise", name


def test_unknown_names_are_answered_with_the_nearest() -> None:
    with pytest.raises(MienError, match=r"No data set reader 'ferpluss'. Did you mean 'ferplus'\?"):
        open_reader("ferpluss", "x")
    with pytest.raises(MienError, match=r"no option 'majorty'. Did you mean 'majority'\?"):
        open_reader("ferplus", "x", majorty="soft")
    with pytest.raises(MienError, match=r"no majority 'strikt'. Did you mean 'strict'\?"):
        open_reader("ferplus", "x", majority="strikt")


@pytest.mark.parametrize(
    "name", [name for name in sorted(READERS) if name not in ("image_folder", "drawn", "manifest")]
)
def test_a_wrong_folder_is_one_line_that_says_what_was_expected(name: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=rf"^{name}: no .* (Expected|Make such)") as caught:
        open_reader(name, tmp_path)
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"^rafdb: no folder .*nowhere"):
        open_reader("rafdb", tmp_path / "nowhere")


def test_a_split_that_is_not_there(replicas: dict[str, Path]) -> None:
    with pytest.raises(MienError, match=r"rafdb: no split 'valid' .* It has: train, test"):
        open_reader("rafdb", replicas["rafdb"]).samples("valid")


# RAF-DB


@pytest.fixture
def rafdb(replicas: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(replicas["rafdb"], tmp_path / "rafdb"))


def test_rafdb_byte_order_mark_and_blank_lines_do_no_harm(rafdb: Path) -> None:
    table = rafdb / "EmoLabel" / "list_patition_label.txt"
    table.write_bytes(b"\xef\xbb\xbf" + table.read_bytes().replace(b"\n", b"\r\n") + b"\r\n\r\n")
    assert len(open_reader("rafdb", rafdb).samples("train")) == 35


@pytest.mark.parametrize(
    ("line", "message"),
    [("train_00001.jpg 8", "class '8' is not one of 1..7"), ("foo_1.jpg 3", "does not begin with train_ or test_")],
)
def test_rafdb_names_file_line_and_rule(rafdb: Path, line: str, message: str) -> None:
    table = rafdb / "EmoLabel" / "list_patition_label.txt"
    table.write_text(table.read_text() + line)
    with pytest.raises(MienError, match=rf"list_patition_label.txt, line 43: .*{message}"):
        open_reader("rafdb", rafdb)


def test_missing_pictures_are_counted_and_the_first_named(rafdb: Path) -> None:
    for number in (3, 5):
        (rafdb / "Image" / "aligned" / f"train_{number:05d}_aligned.jpg").unlink()
    with pytest.raises(MienError, match=r"2 of 35 pictures listed in .* missing, first .*train_00003_aligned.jpg"):
        open_reader("rafdb", rafdb).samples("train")


def test_posters_valid_folder_is_the_test_split(replicas: dict[str, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(replicas["rafdb_folders"], tmp_path / "DATASET"))
    (root / "test").rename(root / "valid")
    reader = open_reader("rafdb_folders", tmp_path)  # the DATASET form
    assert reader.splits == ("train", "test")
    assert reader.resolve("valid") == reader.resolve("val") == "test"
    assert len(reader.samples("valid")) == 7


def test_class_folders_beyond_the_set_are_refused(replicas: dict[str, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(replicas["rafdb_folders"], tmp_path / "set"))
    (root / "train" / "8").mkdir()
    with pytest.raises(MienError, match=r"class folder '8'; the classes are 1..7"):
        open_reader("rafdb_folders", root).samples("train")


# FER+


def ferplus_with(folder: Path, *votes: str) -> Path:
    (folder / "FER2013Train").mkdir(parents=True)
    rows = [f'fer{i}.png,"(0, 0, 48, 48)",{row}\n' for i, row in enumerate(votes)]
    for i in range(len(votes)):
        (folder / "FER2013Train" / f"fer{i}.png").touch()
    (folder / "FER2013Train" / "label.csv").write_text("".join(rows))
    return folder


def kept(root: Path, **options: object) -> dict[str, int | None]:
    try:
        return {s.path.stem: s.expression for s in open_reader("ferplus", root, **options).samples("train")}
    except MienError:
        return {}


def test_majorities_by_hand(tmp_path: Path) -> None:
    """Six of ten; five of ten; a tie of classes; unknown on top; half unknown; mostly not a face."""
    root = ferplus_with(
        tmp_path,
        "0,6,4,0,0,0,0,0,0,0", "5,4,1,0,0,0,0,0,0,0", "0,0,0,4,4,2,0,0,0,0", "0,4,0,0,0,0,0,0,6,0",
        "3,0,0,2,0,0,0,0,5,0", "2,0,0,0,0,0,0,0,0,8",
    )  # fmt: skip
    assert kept(root, majority="strict") == {"fer0": 1}
    assert kept(root, majority="plurality") == {"fer0": 1, "fer1": 0}
    assert kept(root, majority="soft") == {"fer0": 1, "fer1": 0, "fer2": 3, "fer4": 0}
    by_name = {s.path.stem: s.distribution for s in open_reader("ferplus", root, majority="soft").samples("train")}
    assert by_name["fer4"] == pytest.approx((0.6, 0, 0, 0.4, 0, 0, 0, 0))


def test_votes_on_the_circumplex(tmp_path: Path) -> None:
    """Half happiness (0.81, 0.51), half neutral (0, 0); then sadness alone."""
    root = ferplus_with(tmp_path, "5,5,0,0,0,0,0,0,0,0", "0,0,0,9,0,0,0,0,1,0")
    happy, sad = open_reader("ferplus", root, majority="soft", affect=True).samples("train")
    assert (happy.valence, happy.arousal) == pytest.approx((0.405, 0.255))
    assert (sad.valence, sad.arousal) == pytest.approx((-0.63, -0.27))
    plain = open_reader("ferplus", root, majority="soft").samples("train")[0]
    assert plain.valence is None and plain.arousal is None


def test_single_votes_can_be_dropped_as_ferplus_does(tmp_path: Path) -> None:
    """5 of 10 is no strict majority, 5 of the 9 that remain is."""
    root = ferplus_with(tmp_path, "5,4,1,0,0,0,0,0,0,0")
    assert kept(root) == {} and kept(root, drop_single_votes=True) == {"fer0": 0}


@pytest.mark.parametrize("row", ["1,2,3", "1,2,3,4,5,6,7,8,9,x", "-1,2,3,4,5,6,7,8,9,0"])
def test_a_bad_row_of_votes_is_named(tmp_path: Path, row: str) -> None:
    root = ferplus_with(tmp_path, "9,0,0,0,0,0,0,0,1,0", row)
    with pytest.raises(MienError, match=r"label.csv, line 2: expected .* ten vote counts"):
        open_reader("ferplus", root).samples("train")


# Class folders and manifests of one's own


def test_image_folder_without_splits_is_all(replicas: dict[str, Path]) -> None:
    reader = open_reader("image_folder", replicas["image_folder"] / "train", labels="ferplus")
    assert reader.splits == ("all",) and len(reader.samples("all")) == 35
    assert reader.labels is not None and reader.labels.name == "ferplus"


def test_image_folder_synonyms_and_unknown_folders(tmp_path: Path) -> None:
    for name in ("Happy", "SAD", "bored"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "A.JPG").touch()
    with pytest.raises(MienError, match=r"bored.* is not a class of rafdb"):
        open_reader("image_folder", tmp_path, labels="rafdb").samples("all")
    shutil.rmtree(tmp_path / "bored")
    assert [s.expression for s in open_reader("image_folder", tmp_path, labels="rafdb").samples("all")] == [3, 4]
    own = open_reader("image_folder", tmp_path, classes=["SAD", "Happy"])
    assert [s.expression for s in own.samples("all")] == [1, 0]


def test_image_folder_with_loose_pictures(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(MienError, match=r"no class folders under .*<class>"):
        open_reader("image_folder", tmp_path)


def manifest(folder: Path, text: str, *pictures: str) -> Path:
    for name in pictures:
        (folder / name).touch()
    (folder / "mine.csv").write_text(text, encoding="utf-8-sig")
    return folder / "mine.csv"


def test_manifest_by_hand(tmp_path: Path) -> None:
    table = manifest(
        tmp_path,
        "path,label,split,subject,x0,y0,x1,y1,score\na.png,happy,train,p1,1,2,11,22,0.5\nb.png,sad,val,,,,,,\na.png,sad,train,p2,3,4,5,6,1\n",
        "a.png",
        "b.png",
    )
    reader = open_reader("manifest", table, labels="rafdb")
    assert reader.splits == ("train", "valid")
    first, second = reader.samples("train")
    assert (first.key, first.expression, first.subject, first.box) == ("a.png", 3, "p1", (1, 2, 11, 22))
    assert (second.key, second.expression, second.path) == ("a.png#2", 4, first.path)
    (third,) = reader.samples("validation")
    assert third.subject is None and third.box is None
    found = open_reader("manifest", table).labels
    assert found is not None and found.classes == ("happy", "sad")


def test_manifest_class_columns_are_a_distribution(tmp_path: Path) -> None:
    table = manifest(tmp_path, "path,sad,happy\na.png,1,3\n", "a.png")
    (sample,) = open_reader("manifest", table, classes=["happy", "sad"]).samples("all")
    assert sample.expression == 0 and sample.distribution == (0.75, 0.25)


def test_manifest_as_parquet_equals_csv(tmp_path: Path, replicas: dict[str, Path]) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    root = replicas["manifest"]
    rows = open_reader("manifest", root).samples("train")
    columns = {
        "path": [str(s.path.resolve()) for s in rows],
        "expression": ["fear"] * len(rows),
        "subject": [None] * len(rows),
    }
    pq.write_table(pa.table(columns), tmp_path / "manifest.parquet")
    read = open_reader("manifest", tmp_path).samples("all")
    assert sorted(s.path for s in read) == sorted(s.path.resolve() for s in rows)
    assert {s.subject for s in read} == {None}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pfad,label\na.png,happy\n", "no column 'path'"),
        ("path,expresion\na.png,happy\n", r"column 'expresion'. Did you mean 'expression'\?"),
        ("path,label,splt\na.png,happy,train\n", r"column 'splt'. Did you mean 'split'\?"),
        ("path,label,x0\na.png,happy,1\n", "a box needs all of x0, y0, x1, y1"),
        ("path,label\na.png\n", "row 2: 1 fields where the header has 2"),
        ("path,label\nb.png,happy\n", "1 of 1 pictures listed in .* missing, first .*b.png"),
        ("path,label,x0,y0,x1,y1\na.png,happy,5,0,1,1\n", "row 2: a box needs x1 > x0"),
        ("path,label,x0,y0,x1,y1\na.png,happy,l,0,1,1\n", "row 2: column 'x0' holds 'l', not a number"),
        ("path,label\na.png,happines\n", r"row 2: 'happines' is not a class of rafdb. Did you mean 'happiness'\?"),
    ],
)
def test_manifest_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    table = manifest(tmp_path, text, "a.png")
    with pytest.raises(MienError, match=message) as caught:
        open_reader("manifest", table, labels="rafdb").samples("all")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"), [(b"path,label\n", "Is it a CSV"), (b"PAR1 and then nothing", "damaged Parquet file")]
)
def test_what_is_no_parquet(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "manifest.parquet").write_bytes(content)
    with pytest.raises(MienError, match=message):
        open_reader("manifest", tmp_path)


# Points


def test_points_are_one_based_on_disk(tmp_path: Path) -> None:
    points = np.array([[0.0, 0.0], [10.25, 3.5]], np.float32)
    write_pts(tmp_path / "a.pts", points)
    assert "1.000000 1.000000" in (tmp_path / "a.pts").read_text()
    np.testing.assert_allclose(read_pts(tmp_path / "a.pts"), points, atol=1e-5)
    assert box_of(points) == (0.5, 0.5, 10.75, 4.0)


@pytest.mark.parametrize(
    "text", ["", "version: 1\nn_points: 68\n{\n1 2\n}", "n_points: 1\n{\n1 x\n}", "n_points: 1\n{\n1 2\n"]
)
def test_broken_points_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.pts").write_text(text)
    with pytest.raises(MienError, match=r"a\.pts"):
        read_pts(tmp_path / "a.pts")


def test_w300_points_without_their_picture(replicas: dict[str, Path], tmp_path: Path) -> None:
    root = Path(shutil.copytree(replicas["w300"], tmp_path / "w300"))
    (root / "helen" / "trainset" / "3_1.jpg").unlink()
    with pytest.raises(MienError, match=r"1 of 35 pictures .* first .*3_1.jpg"):
        open_reader("w300", root).samples("train")


# The real sets


@pytest.mark.shared
def test_rafdb_layout_for_real(shared: Path) -> None:
    reader = open_reader("rafdb", shared / "expressions" / "lfw_rafstyle")
    assert [len(reader.samples(split)) for split in reader.splits] == [2631, 572]
    counts = Counter(reader.labels.classes[s.expression or 0] for s in reader.samples("train"))  # type: ignore[union-attr]
    assert counts == {
        "happiness": 1099, "neutral": 1100, "surprise": 224, "anger": 133, "sadness": 62, "disgust": 7, "fear": 6,
    }  # fmt: skip


@pytest.mark.shared
@pytest.mark.parametrize(("majority", "counts"), [("strict", [21438, 2545]), ("soft", [28114, 3167])])
def test_ferplus_for_real(shared: Path, majority: str, counts: list[int]) -> None:
    reader = open_reader("ferplus", shared / "expressions" / "ferplus", majority=majority)
    assert reader.splits == ("train", "valid")
    assert [len(reader.samples(split)) for split in reader.splits] == counts


@pytest.mark.shared
def test_ferplus_strict_majority_agrees_with_the_published_list(shared: Path) -> None:
    """`small_majority.csv` was matched by pixels: 313 of its 8,246 rows carry the votes of a twin picture."""
    root = shared / "expressions" / "ferplus"
    reader = open_reader("ferplus", root)
    ours = {s.key: reader.labels.classes[s.expression or 0] for split in reader.splits for s in reader.samples(split)}  # type: ignore[union-attr]
    rows = [line.split(",")[:2] for line in (root / "small_majority.csv").read_text().splitlines()[1:]]
    agree = sum(ours.get(path) == name for path, name in rows)
    assert len(rows) == 8246 and agree >= 8246 - 313


@pytest.mark.shared
def test_w300_for_real(shared: Path) -> None:
    reader = open_reader("w300", shared / "landmarks" / "300w")
    samples = reader.samples("train")
    assert len(samples) == 1045 and reader.labels is None
    assert Counter(s.key.split("/")[0] for s in samples) == {"afw": 170, "helen": 870, "lfpw": 5}
    assert all(s.landmarks_px is not None and s.landmarks_px.shape == (68, 2) for s in samples)
