"""A crop and its exact inverse, agreement with Pillow's pixel convention, and Umeyama's similarity."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.core.errors import MienError
from mien.core.geometry import Crop, crop_of_box, crop_of_picture, fit_similarity
from mien.core.spec import PictureInput
from shape_checks import unchecked

number = st.floats(-500, 500)
crops = st.builds(
    Crop,
    centre=st.tuples(number, number),
    sides=st.tuples(st.floats(1, 4000), st.floats(1, 4000)),
    size=st.integers(8, 512),
    roll_rad=st.floats(-3.2, 3.2),
)


@given(crops, number, number)
def test_to_crop_undoes_to_picture(crop, x, y):
    point = np.array([[x, y]])
    assert np.allclose(crop.to_crop(crop.to_picture(point)), point, atol=1e-5)


@given(crops)
def test_corners_go_to_corners(crop):
    """The crop's outer corners are the rectangle's, turned about its centre; its middle is the centre."""
    end = crop.size - 0.5
    found = crop.to_picture(np.array([[-0.5, -0.5], [end, -0.5], [end, end], [-0.5, end]])) + 0.5
    half = np.array(crop.sides) / 2
    cos, sin = np.cos(crop.roll_rad), np.sin(crop.roll_rad)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half @ np.array([[cos, sin], [-sin, cos]])
    assert np.allclose(found, corners + crop.centre, atol=1e-6)
    assert np.allclose(found.mean(0), crop.centre, atol=1e-6)


def test_by_hand():
    """A crop of the right half of a 4 x 2 picture, at 8 pixels: pixel 0 has its centre at 2 + 1/8 of the edge scale."""
    crop = Crop((3.0, 1.0), (2.0, 2.0), 8)
    assert crop.box == (2.0, 0.0, 4.0, 2.0)
    assert np.allclose(crop.to_picture(np.array([[0.0, 0.0], [7.0, 7.0]])), [[1.625, -0.375], [3.375, 1.375]])
    assert np.allclose(crop.matrix, [[0.25, 0, 1.625], [0, 0.25, -0.375]])


def test_a_positive_roll_turns_clockwise():
    crop = Crop((0.5, 0.5), (8.0, 8.0), 8, roll_rad=np.pi / 2)
    right = crop.to_picture(np.array([[7.5, 3.5]])) - crop.to_picture(np.array([[3.5, 3.5]]))
    assert np.allclose(right, [[0, 4]])  # the crop's right is the picture's down


def test_the_whole_picture_at_its_own_size_is_the_identity():
    crop = crop_of_picture(64, 64, PictureInput(size=64))
    assert np.allclose(crop.matrix, [[1, 0, 0], [0, 1, 0]])


def test_the_convention_is_pillows():
    """Enlarging a ramp by Pillow puts at every pixel the value that to_picture says."""
    ramp = np.tile(np.arange(0, 64, dtype=np.float32), (64, 1))
    box, size = (10.0, 6.0, 42.0, 38.0), 128
    resized = np.asarray(Image.fromarray(ramp).resize((size, size), Image.Resampling.BILINEAR, box=box))
    crop = crop_of_box(box, PictureInput(size=size))
    expected = crop.to_picture(np.stack([np.arange(size), np.arange(size)], -1).astype(float))[:, 0]
    assert np.allclose(resized[64], expected, atol=1e-4)


def test_squash_and_pad():
    squashed = crop_of_picture(100, 50, PictureInput(size=50, fit="squash"))
    assert squashed.box == (0, 0, 100, 50)
    padded = crop_of_picture(100, 50, PictureInput(size=50, fit="pad"))
    assert padded.box == (0, -25, 100, 75)


def test_box_scale_and_shift_by_hand():
    spec = PictureInput(size=40, box_scale=2.0, box_shift=(0.1, -0.25))
    crop = crop_of_box((10, 20, 30, 60), spec)  # mean side 30, centre (20, 40)
    assert crop.sides == (60, 60)
    assert np.allclose(crop.centre, (23, 32.5))
    turned = crop_of_box((10, 20, 30, 60), spec, roll_rad=np.pi / 2)
    assert np.allclose(turned.centre, (20 + 7.5, 40 + 3))  # the shift turns with the face


@pytest.mark.parametrize("box", [(5, 5, 5, 10), (5, 5, 4, 10), (0, 9, 5, 3), (0, 0, float("nan"), 4)])
def test_an_empty_box_is_refused(box):
    with pytest.raises(MienError, match="x1 > x0 and y1 > y0"):
        crop_of_box(box, PictureInput())


def test_umeyama_by_hand():
    """Twice as large, a quarter turn, moved by (5, -1)."""
    source = np.array([[0.0, 0], [1, 0], [0, 1]])
    target = np.array([[5.0, -1], [5, 1], [3, -1]])
    scale, rotation, shift = fit_similarity(source, target)
    assert np.isclose(scale, 2)
    assert np.allclose(rotation, [[0, -1], [1, 0]])
    assert np.allclose(shift, [5, -1])


def test_umeyamas_own_example():
    """Figure 1 and section IV of the paper: a reflection would fit exactly, a rotation may not be one."""
    source = np.array([[0.0, 0], [1, 0], [0, 2]])
    target = np.array([[0.0, 0], [-1, 0], [0, 2]])
    scale, rotation, shift = fit_similarity(source, target)
    assert np.allclose(rotation, [[0.832, 0.555], [-0.555, 0.832]], atol=5e-4)
    assert np.isclose(scale, 0.721, atol=5e-4)
    assert np.allclose(shift, [-0.8, 0.4], atol=5e-4)


@given(st.integers(0, 10_000), st.sampled_from([2, 3]), st.floats(0.01, 100))
def test_umeyama_finds_what_was_done(seed, dims, scale):
    random = np.random.default_rng(seed)
    source = random.normal(size=(dims + 4, dims))
    rotation, _ = np.linalg.qr(random.normal(size=(dims, dims)))
    rotation[:, 0] *= np.linalg.det(rotation)
    shift = random.normal(size=dims) * 10
    found = fit_similarity(source, scale * source @ rotation.T + shift)
    assert np.isclose(found[0], scale)
    assert np.allclose(found[1], rotation, atol=1e-7)
    assert np.allclose(found[2], shift, atol=1e-6 * max(scale, 1))


@given(st.integers(0, 10_000))
def test_umeyama_is_a_minimum(seed):
    """No nearby similarity has a smaller error; the rotation is proper also for mirrored points."""
    random = np.random.default_rng(seed)
    source, target = random.normal(size=(2, 6, 2))
    scale, rotation, shift = fit_similarity(source, target)
    assert np.isclose(np.linalg.det(rotation), 1)

    def error(angle: float, factor: float, move: np.ndarray) -> float:
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        return float(((factor * scale * source @ (turn @ rotation).T + shift + move - target) ** 2).sum())

    best = error(0, 1, np.zeros(2))
    for angle, factor, dx in ((1e-3, 1, 0), (-1e-3, 1, 0), (0, 1.001, 0), (0, 0.999, 0), (0, 1, 1e-3), (0, 1, -1e-3)):
        assert error(angle, factor, np.array([dx, 0])) >= best - 1e-12


def test_points_that_do_not_span_are_refused():
    for source in (np.ones((4, 2)), np.zeros((3, 2))):
        with pytest.raises(MienError, match="do not all coincide"):
            fit_similarity(source, np.random.default_rng(0).normal(size=source.shape))
    with pytest.raises(MienError, match="two equal lists"), unchecked():
        fit_similarity(np.zeros((3, 2)), np.zeros((4, 2)))
    with pytest.raises(MienError, match="at least 2 points"):
        fit_similarity(np.zeros((1, 2)), np.zeros((1, 2)))
