"""`mien invert`: codes and reconstructions of aligned faces, by torch and by the exported network alike."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

import mien  # noqa: E402
from mien.__main__ import main  # noqa: E402
from mien.core.framing import ffhq_crop  # noqa: E402
from mien.synthetic.people import PeopleOptions, portrait  # noqa: E402
from mien.systems.bundle import save_bundle  # noqa: E402

SMALL = {
    "style": 8, "mapping_layers": 1, "most_channels": 8, "width": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1),
    "head_width": 8, "structure_channels": 4,
}  # fmt: skip


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    system = mien.create_model("asit_small", **SMALL)
    with torch.no_grad():
        system.inversion.residual.last.weight.normal_(std=0.1)
    folder = tmp_path_factory.mktemp("bundle") / "asit"
    save_bundle(folder, system)
    return folder


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pixels, _ = portrait(1, 0, options=PeopleOptions(size=200, yaw_max_deg=0, occluders=False))
    path = tmp_path_factory.mktemp("photos") / "someone.png"
    Image.fromarray(pixels).save(path)
    return path


def test_each_face_has_its_reconstruction_its_codes_and_a_place_on_the_page(
    bundle: Path, photo: Path, tmp_path: Path
) -> None:
    words = ["invert", str(photo), "--bundle", str(bundle), "--output", str(tmp_path / "out"), "--couple"]
    assert main(words) == 0
    out = tmp_path / "out"
    (row,) = csv.DictReader((out / "faces.csv").open(encoding="utf-8"))
    rebuilt = np.asarray(Image.open(out / "reconstructions" / "someone.png"))
    both = np.asarray(Image.open(out / "coupled" / "someone.png"))
    assert rebuilt.shape == (64, 64, 3) and np.array_equal(both[:, 64:], rebuilt)
    assert float(row["l2"]) == pytest.approx(4 * ((both[:, :64] / 255 - rebuilt / 255) ** 2).mean(), rel=1e-4)
    assert "<img" in (out / "report.html").read_text("utf-8")
    with np.load(out / "codes" / "someone.npz") as codes:
        assert codes["codes"].shape == (10, 8) and codes["structure"].shape == (4, 4, 4)
        assert codes["features"].shape == (8, 16, 16) and str(codes["bundle"]).startswith("asit@")
        system = mien.load(bundle)
        given = {name: torch.from_numpy(codes[name])[None] for name in ("codes", "structure", "features")}
    with torch.inference_mode():
        decoded = system.inversion.decode(given["codes"], given["structure"], feature_code=given["features"]).image[0]
    again = ((decoded.clamp(-1, 1) + 1) * 127.5).round().permute(1, 2, 0).numpy()
    assert np.abs(again - rebuilt).max() <= 1  # the codes are all that is needed
    assert main(["compare-images", str(out / "reconstructions"), str(out / "reconstructions")]) == 0


def test_without_structure_or_residual_the_picture_is_another_one(bundle: Path, photo: Path, tmp_path: Path) -> None:
    pictures = []
    for number, more in enumerate(([], ["--structure", "false"], ["--residual", "false"])):
        words = ["--bundle", str(bundle), "--output", str(tmp_path / str(number)), "--align", "none", *more]
        assert main(["invert", str(photo), *words]) == 0
        pictures.append(np.asarray(Image.open(tmp_path / str(number) / "reconstructions" / "someone.png")))
        with np.load(tmp_path / str(number) / "codes" / "someone.npz") as codes:
            assert ("structure" in codes) == (number != 1) and ("features" in codes) == (number != 2)
    assert not np.array_equal(pictures[0], pictures[1]) and not np.array_equal(pictures[0], pictures[2])


def test_the_exported_network_inverts_alike(bundle: Path, photo: Path, tmp_path: Path, capsys) -> None:
    pytest.importorskip("onnx")
    assert main(["export", str(bundle), "--output", str(tmp_path / "exported")]) == 0
    for name, source in (("torch", bundle), ("onnx", tmp_path / "exported")):
        words = ["--bundle", str(source), "--output", str(tmp_path / name), "--align", "none"]
        assert main(["invert", str(photo), *words]) == 0
    one, other = (np.load(tmp_path / name / "codes" / "someone.npz") for name in ("torch", "onnx"))
    for key in ("codes", "structure", "features"):
        np.testing.assert_allclose(one[key], other[key], atol=1e-4)
    capsys.readouterr()
    words = ["--bundle", str(tmp_path / "exported"), "--output", str(tmp_path / "no"), "--residual", "false"]
    assert main(["invert", str(photo), *words]) == 2
    assert "holds no weights" in capsys.readouterr().err


def test_refinement_comes_nearer_and_says_by_how_much(bundle: Path, photo: Path, tmp_path: Path, capsys) -> None:
    for name, more in (("plain", []), ("refined", ["--refine", "6"])):
        words = ["--bundle", str(bundle), "--output", str(tmp_path / name), "--align", "none", *more]
        assert main(["invert", str(photo), *words]) == 0
    output = capsys.readouterr().out
    plain, refined = (
        next(csv.DictReader((tmp_path / name / "faces.csv").open(encoding="utf-8"))) for name in ("plain", "refined")
    )
    assert refined["estimate_l2"] == plain["l2"] and float(refined["l2"]) < float(plain["l2"])
    assert float(refined["loss_after"]) < float(refined["loss_before"]) and 1 <= int(refined["steps"]) <= 6
    assert f"after {refined['steps']} steps" in output and "estimate_l2" not in plain
    assert "encoder" in (tmp_path / "refined" / "report.html").read_text("utf-8")
    with np.load(tmp_path / "refined" / "codes" / "someone.npz") as codes:
        face = np.asarray(Image.open(photo).resize((64, 64)))
        assert codes["face"].shape == face.shape and np.abs(codes["face"].astype(int) - face).mean() < 4


def test_refinement_without_torch_or_with_files_of_nobody_is_one_line(
    bundle: Path, photo: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["invert", str(photo), "--bundle", str(bundle), "--output", str(tmp_path / "out")]
    for more, message in (
        (["--refine", "-1"], "--refine is a number of steps"),
        (["--lpips-heads", "heads.pth"], "are for --refine STEPS"),
        (
            ["--refine", "5", "--lpips-heads", "heads.pth"],
            "LPIPS needs a file and none is named: --lpips-backbone",
        ),
    ):
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err
    monkeypatch.setattr("mien.engine.reading.invert.inverter.find_spec", lambda name: None)
    assert main([*words, "--refine", "5"]) == 2
    error = capsys.readouterr().err
    assert "--refine needs torch, which is not installed" in error and error.count("\n") == 1


def test_what_cannot_be_inverted_is_one_line(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (90, 90), "white").save(tmp_path / "white.png")
    words = ["invert", str(tmp_path / "white.png"), "--output", str(tmp_path / "out")]
    assert main([*words, "--bundle", str(bundle)]) == 2
    assert "--align none" in capsys.readouterr().err
    assert main([*words, "--bundle", "poster_v2_small_ferplus"]) == 2
    assert "no latent codes" in capsys.readouterr().err


def test_ffhq_alignment_is_as_worked_by_hand_and_turns_with_the_face() -> None:
    # eyes 40 apart, mouth 50 below them: 2 x 40 and 1.8 x 50 = 90 is the larger half side
    points = np.array([[80.0, 100], [120, 100], [100, 125], [85, 150], [115, 150]])
    crop = ffhq_crop(points, size=64)
    assert crop.centre == pytest.approx((100.5, 105.5)) and crop.sides == pytest.approx((180, 180))
    assert crop.roll_rad == pytest.approx(0)
    angle = np.radians(30)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    turned = ffhq_crop(points @ turn.T, size=64)
    assert turned.roll_rad == pytest.approx(angle) and turned.sides == pytest.approx((180, 180))
    np.testing.assert_allclose(turned.to_crop(points @ turn.T), crop.to_crop(points), atol=1e-9)
    with pytest.raises(mien.core.errors.MienError, match="fall together"):
        ffhq_crop(np.zeros((5, 2)), size=64)
