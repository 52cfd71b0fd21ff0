"""`mien compare-images`: pairing by stem, one table for several folders, and what is refused."""

import csv
import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Three flat pictures: rebuilt exactly in `exact`, each 51 grey levels too bright in `bright`."""
    for folder, more in (("truth", 0), ("exact", 0), ("bright", 51)):
        (tmp_path / folder).mkdir()
        for number, level in enumerate((0, 51, 102)):
            pixels = np.full((16, 16, 3), level + more, np.uint8)
            suffix = "bmp" if folder == "truth" else "png"
            Image.fromarray(pixels).save(tmp_path / folder / f"face_{number}.{suffix}")
    return tmp_path


def test_several_folders_stand_in_one_table(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(folders / name) for name in ("exact", "bright", "truth")]
    metrics = ["--metrics", "l2,psnr,ssim,ms_ssim", "--legacy", "--output", str(folders / "out")]
    assert main(["compare-images", *words, *metrics, "--bootstrap", "100"]) == 0
    found = json.loads((folders / "out" / "metrics.json").read_text("utf-8"))
    exact, bright = ({s["metric"]: s for s in run["scores"]} for run in found["runs"])
    assert exact["l2"]["value"] == 0 and exact["ssim@11"]["value"] == pytest.approx(1)
    assert bright["l2"]["value"] == pytest.approx(0.16)  # 0.2 of 1, 0.4 of 2
    assert bright["psnr"]["value"] == pytest.approx(-20 * np.log10(0.2)) == bright["psnr@published"]["value"]
    assert bright["l2"]["low"] <= bright["l2"]["value"] <= bright["l2"]["high"] and "ms_ssim@1" in bright
    rows = list(csv.DictReader((folders / "out" / "pictures.csv").open(encoding="utf-8")))
    assert [row["picture"] for row in rows] == 2 * ["face_0", "face_1", "face_2"]
    table = (folders / "out" / "metrics.md").read_text("utf-8").splitlines()
    assert len(table) == 4 and "l2 (lower is better)" in table[0]
    assert "bright: 3 pictures" in capsys.readouterr().out


def test_jpeg_is_noted_and_sizes_meet_when_asked(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (folders / "bright").glob("*.png"):
        Image.open(path).resize((24, 24)).save(path.with_suffix(".jpg"))
        path.unlink()
    words = ["compare-images", str(folders / "bright"), str(folders / "truth"), "--metrics", "l2"]
    assert main(words) == 2
    assert "24 x 24 pixels" in capsys.readouterr().err
    assert main([*words, "--resize", "16"]) == 0
    output = capsys.readouterr().out
    assert "3 of 3 rebuilt pictures are JPEG" in output and "resized to 16" in output


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--metrics", "l3"], "No metric 'l3'. Did you mean 'l2'?"),
        (["--metrics", "lpips"], "--lpips-backbone FILE"),
        (["--metrics", "id"], "--recogniser FILE (ArcFace IR-SE50), --curricular FILE (CurricularFace IR-101)"),
        (["--metrics", "id", "--recogniser", "nowhere.pth"], "there is no file nowhere.pth"),
        (["--metrics", "l2,fid"], "The metric fid needs a file and none is named: --inception FILE"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    folders: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare-images", str(folders / "exact"), str(folders / "truth"), *more]) == 2
    assert message in capsys.readouterr().err


def test_folders_that_do_not_pair_are_refused(folders: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folders / "exact" / "face_2.png").unlink()
    assert main(["compare-images", str(folders / "exact"), str(folders / "truth")]) == 2
    error = capsys.readouterr().err
    assert "1 of 3 names have no picture in" in error and "face_2" in error
    assert main(["compare-images", str(folders / "truth")]) == 2


def test_fid_is_of_the_whole_sets_and_its_file_is_named(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a network that gives the mean colour: 0.2 apart in three channels, with equal covariances."""
    pytest.importorskip("torch")
    import mien.nn.inception
    import mien.nn.weights

    (folders / "inception.pth").write_bytes(b"weights")
    read: list[Path] = []
    monkeypatch.setattr(mien.nn.weights, "read_checkpoint", lambda path: read.append(path) or {})
    monkeypatch.setattr(mien.nn.inception, "inception_of", lambda contents: lambda pictures: pictures.mean((2, 3)))
    words = ["compare-images", *(str(folders / name) for name in ("exact", "bright", "truth")), "--metrics", "fid"]
    assert main([*words, "--inception", str(folders / "inception.pth"), "--output", str(folders / "out")]) == 0
    found = json.loads((folders / "out" / "metrics.json").read_text("utf-8"))
    (exact,), (bright,) = (run["scores"] for run in found["runs"])
    assert len(read) == 1  # once for both folders
    assert exact["value"] == pytest.approx(0, abs=1e-9) and bright["value"] == pytest.approx(3 * 0.04, rel=1e-4)
    assert "3 pictures, fewer than 2,048" in bright["note"] and bright["low"] is None
    named = found["networks"]["fid@inception_2048"]
    assert named["sha256"] == hashlib.sha256(b"weights").hexdigest() and named["file"].endswith("inception.pth")
    table = (folders / "out" / "metrics.md").read_text("utf-8")
    assert "fid@inception_2048 (lower is better)" in table and named["sha256"][:12] in table


def test_identity_names_its_network_and_counts_pictures_without_a_face(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = pytest.importorskip("torch")
    import mien.nn.losses.auxiliary
    import mien.nn.weights
    from mien.synthetic.people import PeopleOptions, portrait

    pixels, _ = portrait(1, 0, options=PeopleOptions(size=160, yaw_max_deg=0, occluders=False))
    blank = np.full_like(pixels, 200)
    for folder, pictures in (("rebuilt", (pixels, blank, pixels)), ("truth", (pixels, pixels, blank))):
        (tmp_path / folder).mkdir()
        for number, picture in enumerate(pictures):
            Image.fromarray(picture).save(tmp_path / folder / f"{number}.png")

    def embed(face):
        assert face.shape == (1, 3, 112, 112)
        return torch.nn.functional.normalize(face.flatten(1), dim=1)

    for name in ("se50.pth", "101.pth"):
        (tmp_path / name).write_bytes(name.encode())
    monkeypatch.setattr(mien.nn.weights, "read_checkpoint", lambda path: {})
    monkeypatch.setattr(mien.nn.losses.auxiliary, "recogniser_of", lambda contents, which: embed)
    words = ["compare-images", str(tmp_path / "rebuilt"), str(tmp_path / "truth"), "--metrics", "id"]
    files = ["--bootstrap", "0", "--recogniser", str(tmp_path / "se50.pth"), "--curricular", str(tmp_path / "101.pth")]
    assert main([*words, *files, "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    (run,) = found["runs"]
    assert [score["metric"] for score in run["scores"]] == ["id@ir_se50", "id@ir_101"]
    assert [score["n"] for score in run["scores"]] == [2, 2] and "1 of 3 pairs" in run["scores"][0]["note"]
    assert found["networks"]["id@ir_101"]["network"] == "CurricularFace IR-101"
    assert "no face was found in 1 of 3 true pictures (2)" in run["notes"][0] and "1 of 3 rebuilt" in run["notes"][1]
    rows = list(csv.DictReader((tmp_path / "out" / "pictures.csv").open(encoding="utf-8")))
    assert float(rows[0]["id@ir_101"]) == pytest.approx(1) and rows[2]["id@ir_101"] == ""
    assert float(rows[1]["id@ir_101"]) < 0.99


TEMPLATE = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)


def test_points_of_mtcnn_bring_a_face_onto_the_template() -> None:
    from mien.engine.evaluation.images.identity import MtcnnPoints

    pixels = np.random.default_rng(0).integers(0, 256, (240, 260, 3), dtype=np.uint8)

    def face(points: np.ndarray) -> np.ndarray:
        aligner = MtcnnPoints(lambda given: np.stack([points, points + 30]))  # the second has a lower score
        crop = aligner.crop(pixels)
        assert crop is not None
        return aligner.cut(pixels, crop)

    for found, wanted in (
        (face(TEMPLATE + [10, 20]), pixels[20:132, 10:122]),
        (face(2 * TEMPLATE), pixels[:224:2, :224:2]),  # samples, not means
        (face(np.stack([120 - TEMPLATE[:, 1], TEMPLATE[:, 0]], 1)), np.rot90(pixels[:112, 9:121])),
    ):
        assert np.abs(found.astype(int) - wanted).max() <= 1
    outside = face(TEMPLATE - [30, 0])
    assert not outside[:, :29].any() and np.abs(outside[:, 31:].astype(int) - pixels[:112, 1:82]).max() <= 1
    assert MtcnnPoints(lambda given: np.ones((1, 5, 2))).crop(pixels) is None
    assert MtcnnPoints(lambda given: np.empty((0, 5, 2))).crop(pixels) is None
    assert MtcnnPoints(lambda given: np.full((1, 5, 2), np.inf)).crop(pixels) is None


def test_identity_by_mtcnn_leaves_out_pairs_without_a_face_and_names_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    torch = pytest.importorskip("torch")
    import mien.nn.losses.auxiliary
    import mien.nn.mtcnn.files
    import mien.nn.weights

    yellow, red, grey = (np.full((120, 120, 3), color, np.uint8) for color in ((255, 255, 0), (255, 0, 0), 200))
    for folder, pictures in (("rebuilt", (yellow, grey, red)), ("truth", (red, red, grey))):
        (tmp_path / folder).mkdir()
        for name, picture in zip("abc", pictures, strict=True):
            Image.fromarray(picture).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "101.pth").write_bytes(b"recogniser")
    (tmp_path / "mtcnn").mkdir()
    for name in ("pnet.npy", "rnet.npy", "onet.pt", "pnet.pt"):
        (tmp_path / "mtcnn" / name).write_bytes(name.encode())
    read: list[list[str]] = []

    def mtcnn_of(files, options):
        """Finds a face in pictures that are not grey."""
        read.append([path.name for path in files.values()])
        points = TEMPLATE[None] + 4 * options.legacy
        return lambda pixels: SimpleNamespace(landmarks_px=points[: int(np.ptp(pixels) > 0)])

    monkeypatch.setattr(mien.nn.weights, "read_checkpoint", lambda path: {})
    monkeypatch.setattr(mien.nn.mtcnn.files, "mtcnn_of", mtcnn_of)
    monkeypatch.setattr(
        mien.nn.losses.auxiliary, "recogniser_of",
        lambda contents, which: lambda face: torch.nn.functional.normalize(face.mean((2, 3)), dim=1),
    )  # fmt: skip
    words = ["compare-images", str(tmp_path / "rebuilt"), str(tmp_path / "truth"), "--metrics", "id", "--legacy"]
    words += ["--id-crop", "mtcnn", "--curricular", str(tmp_path / "101.pth"), "--bootstrap", "0"]
    assert main(words) == 2
    assert "--mtcnn DIR" in capsys.readouterr().err
    words += ["--mtcnn", str(tmp_path / "mtcnn")]
    assert main([*words, "--output", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "metrics.json").read_text("utf-8"))
    (run,) = found["runs"]
    scores = {score["metric"]: score for score in run["scores"]}
    names = list(scores)[:2]
    assert names == ["id@ir_101_mtcnn", "id@ir_101_mtcnn_published"]
    # (1, 1, -1) and (1, -1, -1) have the cosine 1/3.
    assert all(scores[name]["value"] == pytest.approx(1 / 3) and scores[name]["n"] == 1 for name in names)
    assert run["left_out"] == {name: ["b", "c"] for name in names}
    assert "id (MTCNN): no face was found in 1 of 3 true pictures (c): left out" in run["notes"][0]
    assert "id (MTCNN as published): no face was found in 1 of 3 rebuilt pictures (b): left out" in run["notes"][3]
    assert read == [["pnet.npy", "rnet.npy", "onet.pt"]] * 2  # pSp's where both are there
    assert found["networks"]["mtcnn onet"]["sha256"] == hashlib.sha256(b"onet.pt").hexdigest()
    assert found["networks"]["mtcnn pnet"]["network"] == "MTCNN's P-Net"
    assert main([word.replace("mtcnn", "points") if word == "mtcnn" else word for word in words]) == 2
    assert "--mtcnn is for --id-crop mtcnn; here --id-crop is points" in capsys.readouterr().err
    (tmp_path / "mtcnn" / "rnet.npy").unlink()
    assert main(words) == 2
    assert "has no rnet.npy (pSp's MTCNN) and no rnet.pt" in capsys.readouterr().err
