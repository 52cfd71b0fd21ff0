"""`mien reconstruct`: three panels for each face, in the picture's own colours."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError

torch = pytest.importorskip("torch")

from mien import create_model  # noqa: E402
from mien.engine.reading.reconstruct import GAP, LEAST_SIDE, reconstruct  # noqa: E402
from mien.systems.bundle import save_bundle  # noqa: E402


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    torch.manual_seed(0)
    system = create_model("parface_autoencoder", size=128, width=0.125, latent=8, discriminators=())
    save_bundle(tmp_path / "bundle", system)
    return str(tmp_path / "bundle")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    astronaut = pytest.importorskip("skimage.data").astronaut()
    Image.fromarray(astronaut).save(tmp_path / "a.png")
    return tmp_path / "a.png"


def test_a_face_its_reconstruction_and_their_difference(bundle: str, photo: Path, tmp_path: Path) -> None:
    summary = reconstruct([str(photo)], bundle=bundle, output=str(tmp_path / "out"))
    assert "% of full scale on average" in summary and "reconstructed by parface@" in summary
    pixels = np.asarray(Image.open(tmp_path / "out" / "a.png")).astype(int)
    first, second, third = (
        pixels[GAP : GAP + LEAST_SIDE, left : left + LEAST_SIDE]
        for left in (GAP + i * (LEAST_SIDE + GAP) for i in range(3))
    )
    assert first.std() > 30  # the photo
    # an untrained decoder answers about the mean face colour that was taken off
    np.testing.assert_allclose(second.mean((0, 1)), 255 * np.array([0.518, 0.418, 0.361]), atol=60)
    assert np.abs(third - np.clip(3 * np.abs(first - second), 0, 255)).mean() < 4  # panels are enlarged


def test_an_output_of_a_picture_does_without_a_method(
    bundle: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mien.systems.parface.network import ParFace

    for name in ("method", "output"):
        reconstruct([str(photo)], bundle=bundle, output=str(tmp_path / name))
        monkeypatch.delattr(ParFace, "reconstruct", raising=False)
    assert (tmp_path / "method" / "a.png").read_bytes() == (tmp_path / "output" / "a.png").read_bytes()


def test_mistakes_are_one_line(bundle: str, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match="does not reconstruct pictures"):
        reconstruct([str(photo)], bundle="poster_v2_landmarks_small_300w", output=str(tmp_path / "out"))
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(MienError, match=r"Nothing could be read\. .*the file is empty"):
        reconstruct([str(tmp_path / "empty.jpg")], bundle=bundle, output=str(tmp_path / "out"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MienError, match=r"needs torch, which is not installed: pip install '\S*\[train\]'"):
        reconstruct([str(photo)], bundle=bundle, output=str(tmp_path / "out"))
