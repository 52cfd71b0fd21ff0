"""`mien edit` and `mien directions`: which codes come from whom, how far a direction goes, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")

import mien  # noqa: E402
from mien.__main__ import main  # noqa: E402
from mien.core.errors import MienError  # noqa: E402
from mien.engine.reading.invert.codes import FaceCodes, layers_of, read_codes  # noqa: E402
from mien.engine.reading.invert.label_directions import label_directions  # noqa: E402
from mien.media.files import read_info  # noqa: E402
from mien.systems.bundle import save_bundle  # noqa: E402

SMALL = {
    "style": 8, "mapping_layers": 1, "most_channels": 8, "width": 8, "depths": (1, 1, 1, 1), "heads": (1, 1, 1, 1),
    "head_width": 8, "structure_channels": 4, "feature_side": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """bundle/ and codes/ of 24 faces, of which the last 12 are happy: 4 more in number 3 of the codes 4 to 7."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("edit")
    save_bundle(folder / "bundle", mien.create_model("asit_small", **SMALL))
    rng, rows = np.random.default_rng(0), ["name,expression"]
    for number in range(24):
        codes = rng.normal(size=(10, 8)).astype(np.float32)
        codes[4:8, 3] += 4 * (number >= 12)
        parts = {"codes": codes, "structure": rng.normal(size=(4, 4, 4)).astype(np.float32)}
        face = np.full((64, 64, 3), 9 * number, np.uint8)
        made = FaceCodes(f"face_{number}", parts, read_info(folder / "bundle").model_id, np.eye(2, 3), face)
        made.write(folder / "codes" / f"{made.name}.npz")
        rows.append(f"photos/{made.name}.jpg,{'happiness' if number >= 12 else 'neutral'}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\nphotos/nobody.jpg,anger\n")
    return folder


def codes_of(path: Path) -> FaceCodes:
    return read_codes(path)


def edit(top: Path, out: Path, *more: str) -> int:
    words = [str(top / "codes" / "face_0.npz"), "--bundle", str(top / "bundle"), "--output", str(out)]
    return main(["edit", *words, *more])


def test_mixing_takes_the_named_layers_of_the_other_face(top: Path, tmp_path: Path) -> None:
    other_file = top / "codes" / "face_20.npz"
    assert edit(top, tmp_path / "out", "--mix", str(other_file), "--layers", "4-7") == 0
    own, other, mixed = map(codes_of, (top / "codes" / "face_0.npz", other_file, tmp_path / "out/codes/face_0_mix.npz"))
    for layer in range(10):
        assert np.allclose(mixed.codes[layer], (other if 4 <= layer <= 7 else own).codes[layer])
    assert np.array_equal(mixed.parts["structure"], own.parts["structure"])
    drawn = np.asarray(Image.open(tmp_path / "out" / "edited" / "face_0_mix.png"))
    system = mien.load(top / "bundle")
    with torch.inference_mode():
        given = torch.from_numpy(mixed.codes)[None], torch.from_numpy(mixed.parts["structure"])[None]
        wanted = system.inversion.decode(*given).image[0].clamp(-1, 1)
    assert np.abs(((wanted + 1) * 127.5).round().permute(1, 2, 0).numpy() - drawn).max() <= 1
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert page.count("<img") == 4 and "layers 4, 5, 6, 7 of face_20, share 1" in page
    words = ["--mix", str(other_file), "--layers", "fine,structure", "--share", "0.25"]
    assert edit(top, tmp_path / "part", *words) == 0
    part = codes_of(tmp_path / "part/codes/face_0_mix.npz")
    assert np.allclose(part.codes[7:], 0.75 * own.codes[7:] + 0.25 * other.codes[7:], atol=1e-6)
    assert np.array_equal(part.codes[:7], own.codes[:7])
    blend = 0.75 * own.parts["structure"] + 0.25 * other.parts["structure"]
    assert np.allclose(part.parts["structure"], blend, atol=1e-6)


def test_an_edit_adds_strength_times_direction(top: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sefa.npz"
    assert main(["directions", str(top / "bundle"), "--output", str(file), "--number", "2", "--layers", "0-3"]) == 0
    with np.load(file) as found:
        vectors, names = found["directions"], list(found["names"])
    assert names == ["sefa_1", "sefa_2"] and vectors.shape == (2, 10, 8)
    assert np.abs(vectors[:, :4]).min(axis=(1, 2)).max() >= 0 and not vectors[:, 4:].any() and vectors[:, :4].any()
    assert np.array_equal(vectors[0, 0], vectors[0, 3])
    assert edit(top, tmp_path / "out", "--directions", str(file), "--direction", "sefa_2:-2,0,1.5") == 0
    own = codes_of(top / "codes" / "face_0.npz")
    for strength in (-2, 1.5):
        name = f"face_0_sefa_2_{strength:+g}"
        assert np.allclose(codes_of(tmp_path / f"out/codes/{name}.npz").codes, own.codes + strength * vectors[1])
        assert (tmp_path / "out" / "edited" / f"{name}.png").is_file()
    assert len(list((tmp_path / "out" / "codes").iterdir())) == 2  # 0 is the face as it was
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert "0 (before)" in page and "sefa_1" not in page and "closed-form factorisation of layers 0-3" in page
    assert "see" in capsys.readouterr().out.lower()


def test_the_direction_of_an_expression_is_found_from_labelled_codes(
    top: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "expressions.npz"
    words = [str(top / "bundle"), "--output", str(file), "--codes", str(top), "--labels", str(top / "labels.csv")]
    assert main(["directions", *words, "--layers", "4-7"]) == 0
    assert "happiness: 12 of 24 faces, AUC" in capsys.readouterr().out
    with np.load(file) as found:
        happy = found["directions"][list(found["names"]).index("happiness")]
    known = np.zeros((10, 8))
    known[4:8, 3] = 0.5
    cosine = (happy * known).sum() / np.linalg.norm(happy)
    assert cosine > 0.9 and not happy[:4].any() and not happy[8:].any()
    codes = np.stack([codes_of(path).codes for path in (top / "codes").iterdir()])
    along = (codes * happy).sum((1, 2)) / np.linalg.norm(happy)
    assert along.std() == pytest.approx(np.linalg.norm(happy), rel=1e-4)  # a strength of 1


def test_label_directions_are_the_known_ones_and_their_scores_are_of_faces_left_out() -> None:
    rng = np.random.default_rng(1)
    known = rng.normal(size=30)
    known /= np.linalg.norm(known)
    labels = np.array(["a"] * 40 + ["b"] * 160 + ["c"] * 3)
    codes = rng.normal(size=(203, 30)) + 4 * (labels == "a")[:, None] * known
    (a, b), few = label_directions(codes, list(labels))
    assert few == ["c"] and (a.name, b.name, a.faces) == ("a", "b", 40) and a.auc > 0.95
    assert float(a.vector @ known) / np.linalg.norm(a.vector) > 0.9 > float(b.vector @ known)
    chance, _ = label_directions(rng.normal(size=(60, 200)), ["a", "b"] * 30)
    assert 0.2 < chance[0].auc < 0.75  # with more numbers than faces, a fit of the faces themselves would give 1
    with pytest.raises(MienError, match="needs 5 faces of its class and 5 others; got 4 a, 20 b"):
        label_directions(rng.normal(size=(24, 3)), ["a"] * 4 + ["b"] * 20)


def test_layers_are_numbers_ranges_and_scales() -> None:
    assert layers_of("4-7", 10) == [4, 5, 6, 7] and layers_of("0, 2,coarse", 10) == [0, 1, 2]
    assert layers_of("middle,fine", 10) == list(range(3, 10)) and layers_of("all", 3) == [0, 1, 2]
    for wrong, message in (("7-12", r"0\.\.9"), ("5-3", r"0\.\.9"), ("thin", "coarse, middle, fine"), ("", "nothing")):
        with pytest.raises(MienError, match=message):
            layers_of(wrong, 10)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([], "--mix CODES --layers 4-7, or --directions FILE"),
        (["--mix", "CODES/face_1.npz"], "--mix needs --layers"),
        (["--mix", "CODES/face_1.npz", "--layers", "4-7,features"], "has no features: leave it out of --layers"),
        (["--mix", "CODES/face_1.npz", "--layers", "4", "--share", "2"], "--share lies in 0..1; got 2."),
        (["--mix", "CODES/../labels.csv", "--layers", "4"], "not a .npz of plain arrays"),
        (["--mix", "CODES/face_99.npz", "--layers", "4"], "no such file"),
        (["--layers", "4", "--directions", "x.npz"], "are for --mix CODES"),
        (["--directions", "CODES/face_1.npz"], "has no names and no directions"),
    ],
)
def test_what_cannot_be_edited_is_one_line(
    top: Path, tmp_path: Path, more: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert edit(top, tmp_path / "out", *(word.replace("CODES", str(top / "codes")) for word in more)) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_codes_of_another_network_and_photos_are_refused(
    top: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    face = codes_of(top / "codes" / "face_0.npz")
    FaceCodes("foreign", face.parts, "asit@000000000000", face.matrix).write(tmp_path / "foreign.npz")
    words = ["--bundle", str(top / "bundle"), "--output", str(tmp_path / "out"), "--mix"]
    words += [str(top / "codes" / "face_1.npz"), "--layers", "4"]
    assert main(["edit", str(tmp_path / "foreign.npz"), *words]) == 2
    assert "was made by asit@000000000000" in capsys.readouterr().err
    assert main(["edit", str(top / "codes" / "face_0.npz"), str(top), *words]) == 2
    assert "Two files of codes are called face_0.npz" in capsys.readouterr().err
    assert main(["edit", "photo.jpg", *words]) == 2
    assert "invert the photo first (mien invert)" in capsys.readouterr().err
    assert main(["directions", "poster_v2_small_ferplus", "--output", str(tmp_path / "no.npz")]) == 2
    assert "has no generator" in capsys.readouterr().err
