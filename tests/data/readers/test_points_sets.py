"""What the readers of landmark sets say of files that are not as they should be, and what their options do."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.framing import box_of
from mien.core.landmarks import to_68
from mien.data.readers import open_reader
from mien.data.readers.recognise import looks_like
from mien.data.replicas import LAYOUTS
from mien.data.replicas.landmarks_3d import _t7
from mien.data.replicas.picture import write_mat, write_picture, write_tar

SETS = ("w300", "w300lp", "w300lp_mat", "aflw2000", "wflw", "menpo2d", "ls3d", "aflw", "neuroface", "parface_palsy",
        "meei", "celeba", "vggface2", "ffhq")  # fmt: skip
Copied = Callable[[str], Path]


@pytest.fixture
def copied(replicas: dict[str, Path], tmp_path: Path) -> Copied:
    """A replica that may be damaged."""
    return lambda name: Path(shutil.copytree(replicas[name], tmp_path / name))


def first(root: Path, pattern: str) -> Path:
    return sorted(root.rglob(pattern))[0]


def refused(name: str, root: Path, split: str, **options: object) -> str:
    with pytest.raises(MienError) as caught:
        open_reader(name, root, **options).samples(split)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SETS)
def test_a_replica_looks_like_its_own_set(name: str, replicas: dict[str, Path]) -> None:
    assert looks_like(replicas[name]) == [LAYOUTS[name].reader]


@pytest.mark.parametrize("name", SETS)
def test_another_sets_folder_is_recognised(name: str, replicas: dict[str, Path]) -> None:
    reader, other = LAYOUTS[name].reader, "kdef"
    with pytest.raises(MienError, match=rf"^{reader}: .*looks like {other}: say --data.name {other}") as caught:
        open_reader(reader, replicas[other])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "split", "pattern"),
    [("w300", "train", "*_1.jpg"), ("w300lp", "all", "*.jpg"), ("menpo2d", "test", "*.jpg"),
     ("aflw2000", "full", "*.jpg"), ("wflw", "train", "*.jpg"), ("aflw", "train", "*.jpg"), ("ls3d", "train", "*.jpg"),
     ("parface_palsy", "all", "*.jpg"), ("meei", "all", "patient*/*.png"), ("celeba", "train", "*.jpg"),
     ("vggface2", "train", "*.jpg")],
)  # fmt: skip
def test_a_missing_picture_is_named_or_left_out(name: str, split: str, pattern: str, copied: Copied) -> None:
    root, layout = copied(name), LAYOUTS[name]
    whole = open_reader(layout.reader, root, **layout.options).samples(split)
    gone = whole[0].path if name != "meei" else first(root, pattern)
    gone.unlink()
    assert gone.name in refused(layout.reader, root, split, **layout.options)
    reader = open_reader(layout.reader, root, missing="skip", **layout.options)
    assert len(reader.samples(split)) == len(whole) - 1 and "are left out" in reader.notes[0]


@pytest.mark.parametrize(
    ("change", "rule"),
    [(("n_points:  68", "n_points:  67"), "n_points says 67, but 68 points"), (("}", ""), "68"),
     (("{\n", "{\nnan nan\n"), "n_points says 68, but 69 points")],
)  # fmt: skip
def test_bad_pts_files_name_file_and_rule(change: tuple[str, str], rule: str, copied: Copied) -> None:
    file = first(copied("w300") / "helen" / "trainset", "*.pts")
    file.write_text(file.read_text().replace(*change))
    message = refused("w300", file.parents[2], "train")
    assert rule in message and file.name in message


def test_coordinates_that_are_no_numbers_are_refused(copied: Copied) -> None:
    file = first(copied("w300") / "helen" / "trainset", "*.pts")
    lines = file.read_text().splitlines()
    lines[5] = "nan 4.0"
    file.write_text("\n".join(lines))
    assert "point 3 has a coordinate that is no number" in refused("w300", file.parents[2], "train")


def test_another_scheme_in_the_folder_is_refused_or_left_out(copied: Copied) -> None:
    profile = "version: 1\nn_points: 39\n{\n" + "1.5 2.5\n" * 39 + "}\n"
    root = copied("w300")
    first(root / "ibug", "*.pts").write_text(profile)
    assert "expected 68 points of x and y (and z); got 39 x 2" in refused("w300", root, "challenging")
    root = copied("menpo2d")
    first(root / "test", "*.pts").write_text(profile.replace("1.5 2.5\n", "", 1).replace("{\n", "{\n8.5 9.5\n", 1))
    reader = open_reader("menpo2d", root)
    whole = len(list((root / "test").rglob("*.pts")))
    assert len(reader.samples("test")) == whole - 1 and "1 faces of test have 39 points, not 68" in reader.notes[0]
    assert len(open_reader("menpo2d", root, points=39).samples("test")[0].landmarks_px) == 39
    assert "others: refuse" in refused("menpo2d", root, "test", others="refuse")


def test_points_outside_the_picture_are_kept_and_reported(copied: Copied) -> None:
    file = first(copied("w300") / "helen" / "trainset", "*.pts")
    lines = file.read_text().splitlines()
    lines[3] = "-20.0 4.0"
    file.write_text("\n".join(lines))
    reader = open_reader("w300", file.parents[2])
    sample = next(sample for sample in reader.samples("train") if sample.path.stem == file.stem)
    assert sample.landmarks_px is not None and sample.landmarks_px[0].tolist() == [-21, 3]
    assert "1 of 35 faces of train have points left of or above their picture; they are kept" in reader.notes[0]


def test_300w_has_its_full_set_under_both_names_and_its_boxes(replicas: dict[str, Path]) -> None:
    reader = open_reader("w300", replicas["w300"])
    assert reader.splits == ("train", "test", "common", "challenging", "300w")
    assert {s.key for s in reader.samples("full")} == {
        s.key for split in ("common", "challenging") for s in reader.samples(split)
    }
    for sample in open_reader("w300", replicas["w300"], box="ground_truth").samples("full"):
        assert sample.landmarks_px is not None and sample.box == pytest.approx(box_of(sample.landmarks_px), abs=1e-4)
    tight = reader.samples("train")[0].box
    found = open_reader("w300", replicas["w300"], box="detector").samples("train")[0].box
    assert tight and found and np.subtract(found, tight) == pytest.approx([-3, -5, 2, 4], abs=1e-4)
    assert "Say --data.reader.box points." in refused("w300", replicas["w300"], "300w", box="detector")


def test_300w_is_found_as_the_published_code_lays_it(replicas: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "test" / "challenging").mkdir(parents=True)
    (tmp_path / "images" / "train" / "helen").symlink_to(replicas["w300"] / "helen" / "trainset")
    (tmp_path / "images" / "test" / "challenging" / "ibug").symlink_to(replicas["w300"] / "ibug")
    reader = open_reader("w300", tmp_path)
    assert reader.splits == ("train", "test", "challenging") and looks_like(tmp_path) == ["w300"]
    assert reader.samples("train")[0].key.startswith("images/train/helen/")


def test_ranges_of_yaw_part_the_set_and_other_labels_keep_the_box(replicas: dict[str, Path]) -> None:
    reader = open_reader("aflw2000", replicas["aflw2000"])
    parts = [reader.samples(split) for split in ("0_to_30", "30_to_60", "60_to_90")]
    assert sum(map(len, parts)) == len(reader.samples("full")) == 42 and min(map(len, parts)) > 3
    other = open_reader("aflw2000", replicas["aflw2000"], labels="reannotated").samples("test")
    for ours, theirs in zip(reader.samples("test"), other, strict=True):
        assert ours.box == theirs.box and theirs.depth_px is None
        assert np.abs(np.subtract(ours.landmarks_px, theirs.landmarks_px)).max() <= 0.5 + 1e-4


def test_a_mat_file_of_another_kind_is_refused(copied: Copied) -> None:
    root = copied("aflw2000")
    write_mat(first(root, "*.mat"), {"other": np.zeros((2, 2))})
    assert "no variable 'pt3d_68'. It has: other." in refused("aflw2000", root, "full")


def test_depth_that_grows_away_from_the_viewer_is_refused(copied: Copied) -> None:
    root = copied("parface_palsy")
    for file in root.glob("*.ljson"):
        records = json.loads(file.read_text())
        for record in records:
            record["landmarks_MAL3D"] = [[x, y, -z] for x, y, z in record["landmarks_MAL3D"]]
        file.write_text(json.dumps(records))
    assert "noses lie behind jaws" in refused("parface_palsy", root, "test")


def test_palsy_parts_grow_and_persons_stay_in_one(replicas: dict[str, Path]) -> None:
    counts = [
        len(open_reader("parface_palsy", replicas["parface_palsy"], part=n).samples("train")) for n in range(1, 7)
    ]
    assert counts == sorted(counts) and counts[0] < counts[-1] == 35
    reader = open_reader("parface_palsy", replicas["parface_palsy"])
    assert len(reader.samples("full")) == 42
    assert not {s.subject for s in reader.samples("train")} & {s.subject for s in reader.samples("test")}


def test_lists_may_be_a_record_a_line_and_columns(copied: Copied) -> None:
    root = copied("parface_palsy")
    whole = open_reader("parface_palsy", root).samples("test")
    file = root / "palsy_test.ljson"
    records = json.loads(file.read_text())
    for text in (
        "\n".join(map(json.dumps, records)),
        json.dumps({name: {str(i): r[name] for i, r in enumerate(records)} for name in records[0]}),
    ):
        file.write_text(text)
        assert [s.key for s in open_reader("parface_palsy", root).samples("test")] == [s.key for s in whole]
    file.write_text("[1, 2")
    assert "palsy_test.ljson is no JSON" in refused("parface_palsy", root, "test")
    file.write_text(json.dumps([{"img_path": "a/b.jpg", "landmark_MAL3D": []}]))
    assert "has no column 'landmarks_MAL3D'. Did you mean 'landmark_MAL3D'?" in refused("parface_palsy", root, "test")


def test_pictures_in_a_tar_are_found_as_the_lists_call_them(replicas: dict[str, Path], tmp_path: Path) -> None:
    source = open_reader("ls3d", replicas["ls3d"]).samples("train")[:3]
    files = {f"{s.key.rpartition('.')[0]}.rgb.jpg": s.path.read_bytes() for s in source}
    write_tar(tmp_path / "LS3D.tar", files)
    names = [s.key.rpartition(".")[0].replace("/", ".") + ".jpg" for s in source]
    records = [
        {"img_path": name, "landmarks": np.asarray(s.landmarks_px).tolist()}
        for name, s in zip(names, source, strict=True)
    ]
    (tmp_path / "ls3d.ljson").write_text(json.dumps(records))
    found = open_reader("ls3d", tmp_path).samples("all")
    assert [s.key for s in found] == [f"LS3D.tar/{name}" for name in sorted(files)]
    for sample, original in zip(found, source, strict=True):
        assert sample.span is not None
        offset, length = sample.span
        assert sample.path.read_bytes()[offset : offset + length] == original.path.read_bytes()


def test_a_torch_file_of_anything_else_is_refused(copied: Copied) -> None:
    root = copied("ls3d")
    file = first(root / "300W-Testset-3D", "*.t7")
    for content in (b"", b"\x80\x04cos\nsystem\n", _t7(np.zeros((68, 2), np.float32))[:200], bytes(400)):
        file.write_bytes(content)
        assert "not a Torch7 file of one tensor" in refused("ls3d", root, "300w")


def test_wflw_parts_points_and_broken_lines(copied: Copied) -> None:
    root = copied("wflw")
    reader = open_reader("wflw", root)
    assert len(reader.samples("blur")) < len(reader.samples("test")) and reader.resolve("pose") == "largepose"
    ours, theirs = (open_reader("wflw", root, points=n).samples("test")[0].landmarks_px for n in (68, 98))
    assert ours is not None and theirs is not None and (ours == to_68(theirs)).all()
    rect = open_reader("wflw", root, box="rect").samples("test")[0].box
    assert rect is not None and all(edge == round(edge) for edge in rect)
    file = first(root, "*_test.txt")
    file.write_text(file.read_text().replace(" 0 ", " 2 ", 1))
    if "expected 196 coordinates" not in (message := refused("wflw", root, "test")):
        raise AssertionError(message)


def test_aflw_reads_its_database_and_leaves_out_faces_with_hidden_points(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "aflw.sqlite") as database:
        database.execute("CREATE TABLE FaceImages (file_id TEXT, filepath TEXT)")
        database.execute("CREATE TABLE Faces (face_id INTEGER, file_id TEXT)")
        database.execute("CREATE TABLE FeatureCoords (face_id INTEGER, feature_id INTEGER, x REAL, y REAL)")
        for face, count in ((7, 21), (8, 20)):
            database.execute("INSERT INTO FaceImages VALUES (?, ?)", (f"f{face}", f"0/image{face}.jpg"))
            database.execute("INSERT INTO Faces VALUES (?, ?)", (face, f"f{face}"))
            rows = [(face, i, i * 2.0, i * 1.5) for i in range(1, count + 1)]
            database.executemany("INSERT INTO FeatureCoords VALUES (?, ?, ?, ?)", rows)
    write_picture(tmp_path / "data" / "flickr" / "0" / "image7.jpg", np.full((50, 50, 3), 90, np.uint8))
    reader = open_reader("aflw", tmp_path, points=21)
    (sample,) = reader.samples("all")
    assert sample.key == "data/flickr/0/image7.jpg#7" and np.asarray(sample.landmarks_px)[20].tolist() == [42, 31.5]
    assert "1 of 2 faces do not have all 21 points" in reader.notes[0]
    assert "a pickle can run code" in refused("aflw", tmp_path, "test")


def test_unlabelled_pictures_without_box_are_counted(copied: Copied) -> None:
    root = copied("celeba")
    table = root / "celeba_annotations.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-3]))
    reader = open_reader("celeba", root)
    splits = [reader.samples(split) for split in reader.splits]
    assert sum(map(len, splits)) == 39 and "have no box and are left out" in reader.notes[0]
    table.unlink()
    assert open_reader("celeba", root).samples("train")[0].box is None
    small = open_reader("vggface2", copied("vggface2"), min_height=30)
    assert len(small.samples("train")) <= 35
    assert "is empty" in refused("vggface2", copied("meei").parent / "vggface2", "train", min_height=5000)


def test_a_packed_tar_is_refused(copied: Copied) -> None:
    import gzip

    root = copied("neuroface")
    (root / "all.tar").write_bytes(gzip.compress((root / "all.tar").read_bytes()))
    assert "not a plain .tar file" in refused("neuroface", root, "all")
