"""One resampling for training, evaluation and reading: near Pillow and torchvision, exact where that is possible."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.core.geometry import Crop, crop_of_box, crop_of_picture
from mien.core.spec import PictureInput
from mien.media.crop import _taps, crop_pixels, normalise, prepare, scaled_crop
from mien.media.image import Picture

_SPEC = importlib.util.spec_from_file_location("golden", Path(__file__).parents[1] / "golden" / "preprocessing.py")
golden = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(golden)


def crop_at(box: tuple[float, ...], size: int) -> Crop:
    x0, y0, x1, y1 = box
    return Crop(((x0 + x1) / 2, (y0 + y1) / 2), (x1 - x0, y1 - y0), size)


def portrait() -> np.ndarray:
    return pytest.importorskip("skimage.data").astronaut()


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    assert ours.shape == theirs.shape
    assert ours.dtype == np.uint8
    return np.abs(ours.astype(int) - theirs)


@pytest.mark.parametrize("case", range(len(golden.CASES)))
def test_the_stored_crops_of_pillow(case):
    stored = np.load(golden.FILE)
    box, size = golden.CASES[case]
    away = difference(prepare(stored["picture"], crop_at(box, size), PictureInput(size=size)), stored[f"crop{case}"])
    assert away.mean() < 1.0
    assert np.quantile(away, 0.99) <= 4
    assert away.max() <= 20


def test_the_golden_file_is_what_pillow_still_makes():
    stored = np.load(golden.FILE)
    assert (stored["picture"] == golden.picture()).all()
    image = Image.fromarray(stored["picture"])
    for i, (box, size) in enumerate(golden.CASES):
        now = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box))
        assert difference(now, stored[f"crop{i}"]).max() <= 1


@pytest.mark.parametrize("size", [224, 112, 48])
def test_near_pillow_and_torchvision_on_a_portrait(size):
    torch, functional = pytest.importorskip("torch"), pytest.importorskip("torchvision.transforms.v2.functional")
    pixels = portrait()
    ours = prepare(pixels, crop_of_picture(512, 512, PictureInput(size=size)), PictureInput(size=size))
    pillow = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    vision = functional.resize(tensor, [size, size], antialias=True).permute(1, 2, 0).numpy()
    for theirs in (pillow, vision):
        away = difference(ours, theirs)
        assert away.mean() < 0.75
        assert np.quantile(away, 0.999) <= 10


@settings(max_examples=40, deadline=None)
@given(
    x=st.floats(0, 100), y=st.floats(0, 100), side=st.floats(20, 400), size=st.sampled_from([16, 40, 64, 112]),
)  # fmt: skip
def test_any_box_inside_the_picture_is_near_pillow(x, y, side, size):
    pixels = portrait()
    box = (x, y, x + side, y + side)
    pillow = np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR, box=box))
    away = difference(prepare(pixels, crop_at(box, size), PictureInput(size=size)), pillow)
    assert away.mean() < 1.6  # a bound for detailed corners of the picture; 0.2 to 0.7 is usual


@pytest.mark.parametrize("reduction", [1, 2, 3, 4])
def test_whole_reductions_are_exact_within_rounding(reduction):
    noise = np.random.default_rng(1).integers(0, 256, (64 * reduction, 64 * reduction, 3), np.uint8)
    crop = crop_of_picture(*noise.shape[1::-1], PictureInput(size=64))
    pillow = np.asarray(Image.fromarray(noise).resize((64, 64), Image.Resampling.BILINEAR))
    away = difference(prepare(noise, crop, PictureInput(size=64)), pillow)[
        1:-1, 1:-1
    ]  # at the border Pillow renormalises
    assert away.max() <= 2


def test_a_picture_of_the_networks_size_is_passed_through():
    pixels = golden.picture()[:112, :112]
    assert (prepare(pixels, crop_of_picture(112, 112, PictureInput(size=112)), PictureInput(size=112)) == pixels).all()


def test_the_quick_way_for_whole_pictures_is_the_same_way():
    pixels = portrait()
    spec = PictureInput(size=224)
    quick = prepare(pixels, crop_of_picture(512, 512, spec), spec)
    general = prepare(pixels, Crop((256.0, 256.0), (512.0, 512.0), 224, roll_rad=1e-12), spec)
    assert difference(quick, general).max() <= 2


def test_rolled_crops_turn_the_picture():
    """A quarter turn is exact; a ramp sampled at 30 degrees has the value of its formula."""
    pixels = golden.picture()[:120, :120]
    spec = PictureInput(size=120)
    turned = prepare(pixels, Crop((60.0, 60.0), (120.0, 120.0), 120, roll_rad=np.pi / 2), spec)
    assert difference(turned, np.rot90(pixels, 1)).max() <= 1
    y, x = np.mgrid[0:200, 0:200]
    ramp = np.repeat((x * 0.5 + y * 0.7)[..., None], 3, 2).astype(np.uint8)
    crop = Crop((100.0, 95.0), (90.0, 90.0), 40, roll_rad=np.pi / 6)
    grid = np.stack(np.meshgrid(np.arange(40.0), np.arange(40.0)), -1)
    expected = crop.to_picture(grid) @ [0.5, 0.7]
    assert np.abs(prepare(ramp, crop, PictureInput(size=40))[..., 0] - expected).max() <= 1.5


def test_the_border_continues_outside():
    pixels = np.full((50, 50, 3), 10, np.uint8)
    pixels[:, -1] = 200
    spec = PictureInput(size=40)
    out = prepare(pixels, Crop((90.0, 25.0), (40.0, 40.0), 40), spec)
    assert (out == 200).all()
    assert (prepare(pixels, Crop((-500.0, -500.0), (40.0, 40.0), 40), spec) == 10).all()


def test_pad_keeps_the_proportions_and_squash_does_not():
    pixels = np.zeros((100, 50, 3), np.uint8)
    pixels[40:60, 15:35] = 255
    for fit, ratio in (("pad", 1.0), ("squash", 2.0)):
        spec = PictureInput(size=64, fit=fit)
        face = prepare(pixels, crop_of_picture(50, 100, spec), spec)[..., 0] > 127
        assert abs(face.any(0).sum() / face.any(1).sum() - ratio) < 0.25


def test_grey_is_itu_601_repeated():
    pixels = golden.picture()
    spec = PictureInput(size=64, color="grey")
    crop = crop_of_picture(200, 150, spec)
    grey = prepare(pixels, crop, spec)
    assert (grey[..., 0] == grey[..., 1]).all()
    assert (grey[..., 0] == grey[..., 2]).all()
    rgb = prepare(pixels, crop, PictureInput(size=64)).astype(float)
    assert np.abs(grey[..., 0] - rgb @ [0.299, 0.587, 0.114]).max() <= 1


def test_nearest_is_pillows():
    pixels = golden.picture()
    spec = PictureInput(size=40, resample="nearest")
    theirs = np.asarray(Image.fromarray(pixels).resize((40, 40), Image.Resampling.NEAREST))
    assert (prepare(pixels, crop_of_picture(200, 150, spec), spec) == theirs).all()


def test_a_mirrored_picture_gives_the_mirrored_crop():
    pixels, spec = golden.picture(), PictureInput(size=96)
    crop = crop_of_box((40, 30, 140, 130), spec)
    mirrored = crop_of_box((60, 30, 160, 130), spec)
    there = prepare(np.ascontiguousarray(pixels[:, ::-1]), mirrored, spec)[:, ::-1]
    assert difference(prepare(pixels, crop, spec), there).max() <= 2


def test_points_move_with_the_pixels():
    """A dot drawn at a picture point is found where `to_crop` says."""
    pixels = np.zeros((120, 160, 3), np.uint8)
    pixels[70, 50] = 255
    for roll in (0.0, 0.4):
        crop = Crop((55.0, 66.0), (60.0, 60.0), 180, roll_rad=roll)
        light = prepare(pixels, crop, PictureInput(size=180))[..., 0].astype(float)
        y, x = np.mgrid[0:180, 0:180]
        found = np.array([(light * x).sum(), (light * y).sum()]) / light.sum()
        assert np.abs(found - crop.to_crop(np.array([50.0, 70.0]))).max() < 0.1


def test_normalise_is_the_formula():
    crops = np.random.default_rng(0).integers(0, 256, (3, 8, 9, 3), np.uint8)
    spec = PictureInput(size=8, mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4))
    out = normalise(crops, spec)
    expected = ((crops / 255 - spec.mean) / spec.std).transpose(0, 3, 1, 2)
    assert out.dtype == np.float32
    assert out.flags.c_contiguous
    assert np.abs(out - expected).max() < 1e-6
    assert normalise(crops[:0], spec).shape == (0, 3, 8, 9)


def test_a_picture_decoded_at_half_its_size_gives_about_the_same_crop():
    pixels = portrait()
    half = np.asarray(Image.fromarray(pixels).reduce(2))
    spec = PictureInput(size=96)
    crop = crop_of_box((130.0, 20.0, 330.0, 230.0), spec)
    whole = crop_pixels(Picture(pixels, 1.0, (512, 512)), crop, spec)
    np.testing.assert_array_equal(whole, prepare(pixels, crop, spec))
    reduced = crop_pixels(Picture(half, 0.5, (512, 512)), crop, spec)
    assert difference(reduced, whole).mean() < 3
    x0, y0, x1, y1 = crop.box
    assert scaled_crop(crop, 0.5, 0.25).box == pytest.approx((x0 / 2, y0 / 4, x1 / 2, y1 / 4))


def test_filters_of_very_large_reductions_stay_small():
    """Of a box of 100,000 pixels at 112, the table of the filter would otherwise take a gigabyte."""
    for block in (64, 300):
        steps = round(np.log2(3 * block) * 48)
        np.testing.assert_allclose(_taps(steps, block), _taps(round(np.log2(96) * 48), 32), atol=0.02)
        assert _taps(steps, block).sum() == pytest.approx(1, abs=1e-5)
