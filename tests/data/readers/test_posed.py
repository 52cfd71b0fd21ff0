"""CK+, JAFFE and KDEF: what stands in names and in parallel trees, by hand."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.readers.ckplus import CkPlus

POINTS = "".join(f"   {100 + i:.7e}   {50 + 2 * i:.7e}\n" for i in range(68))


def touch(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def sequence(root: Path, clip: str, frames: int, code: str | None, *, points: bool = True) -> Path:
    stem = clip.replace("/", "_")
    for number in range(1, frames + 1):
        touch(root / "cohn-kanade-images" / clip / f"{stem}_{number:08d}.png")
        if points:
            touch(root / "Landmarks" / clip / f"{stem}_{number:08d}_landmarks.txt", POINTS)
    (root / "Emotion" / clip).mkdir(parents=True, exist_ok=True)  # the set has empty folders for the unlabelled
    if code is not None:
        touch(root / "Emotion" / clip / f"{stem}_{frames:08d}_emotion.txt", code)
    return root


@pytest.fixture
def ckplus(tmp_path: Path) -> Path:
    root = sequence(tmp_path / "ck", "S005/001", 6, "   3.0000000e+00\n")
    sequence(root, "S005/002", 4, None)
    touch(root / "cohn-kanade-images" / "S005" / ".DS_Store")
    touch(root / "FACS" / "S005" / "001" / "S005_001_00000006_facs.txt", "   9.0000000e+00   4.0000000e+00\n   17 0\n")
    return sequence(root, "S010/001", 2, "   7.0000000e+00")


def read(root: Path, **options: object) -> dict[str, str]:
    reader = open_reader("ckplus", root, **options)
    assert reader.labels is not None
    return {s.path.stem: reader.labels.classes[s.expression or 0] for s in reader.samples("all")}


def test_ckplus_takes_the_last_frames_and_a_neutral_first_one(ckplus: Path) -> None:
    assert read(ckplus) == {
        "S005_001_00000001": "neutral", "S005_001_00000004": "disgust", "S005_001_00000005": "disgust",
        "S005_001_00000006": "disgust", "S010_001_00000001": "neutral", "S010_001_00000002": "surprise",
    }  # fmt: skip
    assert set(read(ckplus, frames=1, neutral="none").values()) == {"disgust", "surprise"}
    assert read(ckplus, neutral="all")["S005_002_00000001"] == "neutral"
    sequence(ckplus, "S011/001", 1, "5")  # half copied: the one frame is not neutral too
    assert read(ckplus)["S011_001_00000001"] == "happiness"
    assert open_reader("ckplus", ckplus, neutral="none").labels.name == "ckplus7"  # type: ignore[union-attr]


def test_ckplus_points_boxes_persons_and_action_units(ckplus: Path) -> None:
    reader = open_reader("ckplus", ckplus)
    assert isinstance(reader, CkPlus)
    sample = reader.samples("all")[0]
    assert (sample.subject, sample.clip, sample.split) == ("S005", "S005/001", "all")
    assert sample.landmarks_px is not None and sample.landmarks_px.shape == (68, 2)
    np.testing.assert_array_equal(sample.landmarks_px[1], (101, 52))
    assert sample.box == (100.5, 50.5, 167.5, 184.5)
    assert reader.action_units("S005/001") == {9: 4, 17: 0} and reader.action_units("S010/001") == {}
    assert reader.notes == ["ckplus: 1 of 3 sequences have no label and give no expression."]


def test_ckplus_as_unpacked_into_folders_of_the_archives(ckplus: Path) -> None:
    for inner, outer in (("cohn-kanade-images", "extended-cohn-kanade-images"), ("Emotion", "Emotion_labels")):
        (ckplus / inner).rename(ckplus / "aside")
        (ckplus / outer).mkdir()
        (ckplus / "aside").rename(ckplus / outer / inner)
    assert len(read(ckplus)) == 6


def test_ckplus_without_landmarks_takes_the_whole_picture_and_says_so(ckplus: Path) -> None:
    shutil.rmtree(ckplus / "Landmarks")
    reader = open_reader("ckplus", ckplus)
    assert {(s.box, s.landmarks_px) for s in reader.samples("all")} == {(None, None)}
    assert "no Landmarks" in reader.notes[1]


def test_ckplus_half_copied(ckplus: Path) -> None:
    shutil.rmtree(ckplus / "cohn-kanade-images" / "S010")
    assert "ckplus: 1 labelled sequences have no pictures, first S010/001." in open_reader("ckplus", ckplus).notes
    shutil.rmtree(ckplus / "Emotion")
    with pytest.raises(MienError, match=r"ckplus: no Emotion under .* Expected"):
        open_reader("ckplus", ckplus)


@pytest.mark.parametrize("code", ["8", "1.5", "anger", ""])
def test_ckplus_codes_beyond_the_set(ckplus: Path, code: str) -> None:
    touch(ckplus / "Emotion" / "S005" / "001" / "S005_001_00000006_emotion.txt", code)
    with pytest.raises(MienError, match=r"S005_001_00000006_emotion.txt: expected one file .* one number 0..7"):
        open_reader("ckplus", ckplus)


def test_ckplus_broken_points(ckplus: Path) -> None:
    touch(ckplus / "Landmarks" / "S005" / "001" / "S005_001_00000001_landmarks.txt", "1 2\n3 4\n")
    with pytest.raises(MienError, match=r"_landmarks.txt: expected 68 rows of x and y; got 2"):
        open_reader("ckplus", ckplus).samples("all")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"frames": 0}, "frames must be at least 1; got 0"), ({"neutral": "al"}, r"no neutral 'al'.*'all'"),
     ({"frame": 2}, r"no option 'frame'. Did you mean 'frames'")],
)  # fmt: skip
def test_ckplus_options(ckplus: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(MienError, match=message):
        open_reader("ckplus", ckplus, **options)


# JAFFE


def test_jaffe_names(tmp_path: Path) -> None:
    for name in ("KA.AN1.39.tiff", "jaffe/YM.SU3.62.TIFF", "KA.NE2.27.tif"):
        touch(tmp_path / name)
    reader = open_reader("jaffe", tmp_path)
    assert reader.splits == ("all",) and reader.notes == []
    assert [(s.key, s.expression, s.subject, s.clip) for s in reader.samples("all")] == [
        ("KA.AN1.39.tiff", 0, "KA", "KA.AN"), ("KA.NE2.27.tif", 4, "KA", "KA.NE"),
        ("jaffe/YM.SU3.62.TIFF", 6, "YM", "YM.SU"),
    ]  # fmt: skip


def test_jaffe_counts_other_pictures_and_refuses_other_classes(tmp_path: Path) -> None:
    touch(tmp_path / "KA.AN1.39.tiff")
    touch(tmp_path / "thumbnail.png")
    assert "1 pictures do not have the set's names and are left out" in open_reader("jaffe", tmp_path).notes[0]
    touch(tmp_path / "KA.CO1.40.tiff")
    with pytest.raises(MienError, match=r"KA.CO1.40.tiff: class 'CO' is none of AN, DI"):
        open_reader("jaffe", tmp_path).samples("all")


# KDEF


@pytest.fixture
def kdef(tmp_path: Path) -> Path:
    for name in ("AF01/AF01AFS.JPG", "AF01/AF01SUHL.JPG", "BF01/BF01NEFR.jpg", "AM35/AM35ANS.JPG", "AM31/AM31H.JPG"):
        touch(tmp_path / "KDEF" / name)
    touch(tmp_path / "AKDEF" / "FAFFL.JPG")
    return tmp_path


def test_kdef_names(kdef: Path) -> None:
    reader = open_reader("kdef", kdef)
    found = {s.path.name: (s.expression, s.subject, s.clip) for s in reader.samples("all")}
    assert found == {
        "AF01AFS.JPG": (0, "F01", "AF01AF"), "AF01SUHL.JPG": (6, "F01", "AF01SU"), "BF01NEFR.jpg": (4, "F01", "BF01NE"),
        "AM35ANS.JPG": (1, "M35", "AM35AN"),
    }  # fmt: skip
    assert reader.notes[0].startswith("kdef: 1 pictures do not have the set's names and are left out, first ")
    assert "AM31H.JPG" in reader.notes[0]


@pytest.mark.parametrize("root", ["KDEF", "flat"])
def test_kdef_without_its_folders(kdef: Path, root: str) -> None:
    (kdef / "flat").mkdir()
    for path in (kdef / "KDEF").rglob("*.JPG"):
        shutil.copy(path, kdef / "flat" / path.name)
    assert len(open_reader("kdef", kdef / root).samples("all")) == (4 if root == "KDEF" else 3)


def test_kdef_angles(kdef: Path) -> None:
    assert [s.path.name for s in open_reader("kdef", kdef, angles=["HL", "FR"]).samples("all")] == [
        "AF01SUHL.JPG", "BF01NEFR.jpg",
    ]  # fmt: skip
    assert len(open_reader("kdef", kdef, angles="S").samples("all")) == 2
    with pytest.raises(MienError, match=r"kdef: no angle 'HI'. Did you mean 'H[LR]'"):
        open_reader("kdef", kdef, angles=["HI"])
    with pytest.raises(MienError, match=r"kdef: split 'all' is empty"):
        open_reader("kdef", kdef, angles=["HR"]).samples("all")
