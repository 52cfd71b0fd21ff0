"""Rendered faces and voices in batches: the same geometry as the photograph, the same numbers as media gives."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.core.spec import PictureInput, SoundInput
from mien.data.datamodule import FaceDataModule
from mien.data.faces import FaceSet
from mien.data.options import DataOptions
from mien.data.readers import open_reader
from mien.data.transforms import Augmentation, generator, scaled_warp
from mien.media.sound.audio import Sound, read_sound, write_sound
from mien.media.sound.mel import log_mel

IMAGE = PictureInput(size=64, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
VOICE = SoundInput(samples=22050, mels=32)
WARP = Augmentation(
    flip=0.5, rotation_deg=20, scale=(0.8, 1.2), shift=0.1, brightness=0.4, hue=0.2, noise=0.05, erase_probability=1.0
)


def scene(side: int = 96) -> np.ndarray:
    """Smooth and without any symmetry."""
    y, x = np.mgrid[:side, :side] / side
    return (255 * np.stack([x, y, (x * y + np.sin(6 * x)) % 1], -1)).clip(0, 255).astype(np.uint8)


def png(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", pixels[..., ::-1])[1].tobytes())
    return path


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    samples = []
    for i in range(4):
        pixels = np.roll(scene(), 7 * i, axis=1)
        photo, render = png(tmp_path / f"{i}.png", pixels), png(tmp_path / "smirk" / f"{i}.png", pixels)
        write_sound(tmp_path / f"{i // 2}.wav", Sound(np.sin(np.arange(22050) * 0.1 * (1 + i // 2)) / 2, 22050))
        samples.append(
            Sample(
                f"{i}.png", photo, "train", i % 2, box=(10.0, 12.0, 80.0, 82.0), valence=0.1 * i,
                arousal=None if i == 1 else -0.5, voice=tmp_path / f"{i // 2}.wav", render=render,
            )
        )  # fmt: skip
    return samples


PLACES = [(0, i) for i in range(4)]


def test_a_render_is_cut_out_where_its_photograph_is(samples: list[Sample]) -> None:
    batch = FaceSet(samples, {"image": IMAGE, "render": IMAGE}).batch(PLACES)
    np.testing.assert_array_equal(batch.render, batch.image)
    grey = FaceSet(samples, {"image": IMAGE, "render": replace(IMAGE, color="grey")}).batch(PLACES)
    assert grey.render is not None and (grey.render[:, 0] == grey.render[:, 2]).all()


@pytest.mark.parametrize("cache", [False, True])
def test_a_render_moves_as_its_photograph_and_keeps_its_colours(samples: list[Sample], cache: bool) -> None:
    """The photograph's geometry alone, colours off, is what the render gets beside coloured photographs."""
    inputs = {"image": IMAGE, "render": IMAGE}
    faces = FaceSet(samples, inputs, augmentation=WARP, seed=3, cache=cache)
    plain = replace(WARP, brightness=0.0, hue=0.0, noise=0.0, erase_probability=0.0)
    moved = FaceSet(samples, {"image": IMAGE}, augmentation=plain, seed=3)
    for epoch in range(3):
        places = [(epoch, i) for i in range(4)]
        batch, geometry = faces.batch(places), moved.batch(places)
        np.testing.assert_array_equal(batch.render, geometry.image)
        assert np.abs(batch.render - batch.image).max() > 0.1


def test_a_render_of_another_size_gets_the_same_warp(samples: list[Sample]) -> None:
    inputs = {"image": IMAGE, "render": replace(IMAGE, size=128)}
    plain = replace(WARP, brightness=0.0, hue=0.0, noise=0.0, erase_probability=0.0, border="black")
    batch = FaceSet(samples, inputs, augmentation=plain, seed=5).batch(PLACES)
    assert batch.render is not None and batch.render.shape == (4, 3, 128, 128)
    halved = batch.render.reshape(4, 3, 64, 2, 64, 2).mean((3, 5))
    assert np.median(np.abs(halved - batch.image)) < 0.01 and np.abs(halved - batch.image).mean() < 0.03


def test_a_warp_scales_about_the_edges_of_the_crop() -> None:
    matrix, _ = WARP.warp(generator(0, 0, 0).random(12), 64)
    at = np.array([10.0, 20.0])
    small = matrix[:, :2] @ at + matrix[:, 2]
    large = scaled_warp(matrix, 2)
    np.testing.assert_allclose(large[:, :2] @ (2 * at + 0.5) + large[:, 2], 2 * small + 0.5)


def test_a_voice_is_its_mel_picture(samples: list[Sample]) -> None:
    batch = FaceSet(samples, {"image": IMAGE, "voice": VOICE}).batch(PLACES)
    assert batch.voice is not None and batch.voice.shape == (4, *VOICE.shape)
    np.testing.assert_array_equal(batch.voice[0], batch.voice[1])
    for i in (0, 2):
        np.testing.assert_array_equal(batch.voice[i], log_mel(read_sound(samples[i].voice or ""), VOICE))
    alone = FaceSet(samples, {"voice": VOICE}).batch(PLACES)
    assert len(alone) == 4 and alone.image.size == 0
    np.testing.assert_array_equal(alone.voice, batch.voice)


def test_affect_is_nan_where_it_is_unknown(samples: list[Sample]) -> None:
    batch = FaceSet(samples, IMAGE).batch(PLACES)
    want = np.array([[0, -0.5], [0.1, np.nan], [0.2, -0.5], [0.3, -0.5]], np.float32)
    np.testing.assert_array_equal(batch.affect, want)
    assert FaceSet([replace(s, valence=None, arousal=None) for s in samples], IMAGE).batch(PLACES).affect is None


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": IMAGE, "render": IMAGE}, "The network takes 'render', and 2.png has none"),
        ({"image": IMAGE, "voice": VOICE}, "The network takes 'voice', and 2.png has none"),
        ({"image": IMAGE, "voic": VOICE}, r"no input 'voic'. Did you mean 'voice'\?"),
        ({"image": VOICE}, "The input 'image' is a PictureInput; got a SoundInput"),
        ({"render": IMAGE}, "it goes with an input 'image'"),
    ],
)
def test_what_the_data_lack_is_named(samples: list[Sample], inputs: dict, message: str) -> None:
    if "has none" in message:
        samples[2] = replace(samples[2], voice=None, render=None)
    with pytest.raises(MienError, match=message):
        FaceSet(samples, inputs)


def test_broken_renders_and_voices_are_named_or_left_out(samples: list[Sample], tmp_path: Path) -> None:
    (tmp_path / "smirk" / "2.png").write_bytes(b"no picture")
    inputs = {"image": IMAGE, "render": IMAGE}
    with pytest.raises(MienError, match=r"smirk/2.png: not a picture"):
        FaceSet(samples, inputs).batch(PLACES)
    assert FaceSet(samples, inputs, on_broken="skip").batch(PLACES).index.tolist() == [0, 1, 3]
    png(tmp_path / "smirk" / "2.png", scene()[:50])
    with pytest.raises(MienError, match="a render lies in the frame of its photograph, which has 96 x 96 pixels"):
        FaceSet(samples, inputs).batch(PLACES)
    (tmp_path / "1.wav").write_bytes(b"no sound at all")
    voices = FaceSet(samples, {"image": IMAGE, "voice": VOICE}, on_broken="skip")
    assert voices.batch(PLACES).index.tolist() == [0, 1]


def test_a_manifest_names_renders_voices_frames_and_sides(samples: list[Sample], tmp_path: Path) -> None:
    rows = [f"{i}.png,{'ab'[i % 2]},smirk/{i}.png,{i // 2}.wav,{i},{('R', '', 'l', '')[i]}" for i in range(4)]
    (tmp_path / "manifest.csv").write_text("\n".join(["path,label,render,voice,frame,affected", *rows]) + "\n")
    read = open_reader("manifest", tmp_path).samples("all")
    assert [s.affected for s in read] == ["R", None, "L", None] and [s.frame for s in read] == [0, 1, 2, 3]
    assert read[3].render == tmp_path / "smirk" / "3.png" and read[3].voice == tmp_path / "1.wav"
    options = DataOptions(name="manifest", root=str(tmp_path), test_split="all", batch_size=4)
    data = FaceDataModule(options, {"image": IMAGE, "render": IMAGE, "voice": VOICE}, None)
    data.setup("test")
    batch = next(iter(data.test_dataloader()))
    image, render, voice = batch.take(("image", "render", "voice"))
    assert image.shape == render.shape == (4, 3, 64, 64) and voice.shape == (4, *VOICE.shape)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.png,a,smirk/9.png,0.wav,0,R", "1 of 1 renders listed in .*manifest.csv are missing, first .*smirk/9.png"),
        ("0.png,a,smirk/0.png,7.wav,0,R", "1 of 1 voices listed in"),
        ("0.png,a,smirk/0.png,0.wav,-1,R", "row 2: frame is a whole number from 0; got -1"),
        ("0.png,a,smirk/0.png,0.wav,1,both", "row 2: affected is R or L, or empty; got 'BOTH'"),
    ],
)
def test_wrong_columns_are_named(samples: list[Sample], tmp_path: Path, row: str, message: str) -> None:
    (tmp_path / "manifest.csv").write_text(f"path,label,render,voice,frame,affected\n{row}\n")
    with pytest.raises(MienError, match=message):
        open_reader("manifest", tmp_path).samples("all")
