"""Pixels and points move together; randomness belongs to (seed, epoch, index); erasing is the published one."""

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.core.spec import PictureInput
from mien.data.transforms import RECIPES, Augmentation, Hole, augmentation, erase, generator
from mien.media.crop import normalise
from robustness.mutate import WRONG_VALUES
from shape_checks import unchecked

GEOMETRY = Augmentation(rotation_deg=25, scale=(0.8, 1.2), shift=0.1, erase_probability=0)


def dots(points: np.ndarray, size: int) -> np.ndarray:
    """One Gaussian dot a channel at each of three points."""
    y, x = np.mgrid[:size, :size]
    return np.stack([255 * np.exp(-((x - px) ** 2 + (y - py) ** 2) / 8) for px, py in points], -1).astype(np.uint8)


def found(crop: np.ndarray) -> np.ndarray:
    """Centre of mass of each channel within 8 pixels of its brightest one (beyond, the border may mirror the dot)."""
    y, x = np.mgrid[: len(crop), : len(crop)]
    centres = []
    for channel in np.moveaxis(crop.astype(float), -1, 0):
        top, left = np.unravel_index(channel.argmax(), channel.shape)
        near = channel * ((x - left) ** 2 + (y - top) ** 2 <= 64)
        centres.append([(x * near).sum() / near.sum(), (y * near).sum() / near.sum()])
    return np.array(centres)


@example(3858)
@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_landmarks_land_where_the_pixels_do(index: int) -> None:
    """Points 36, 45 and 30 of 68: after a mirror the dot of the right eye carries the left eye's number."""
    size, marked = 96, [36, 45, 30]
    rng = np.random.default_rng(index)
    points = rng.uniform(0.4, 0.6, (68, 2)).astype(np.float32) * size
    points[marked] = [[34, 40], [60, 42], [48, 55]]
    matrix, mirrored = GEOMETRY.warp(generator(0, 0, index).random(12), size)
    crop, moved = GEOMETRY(dots(points[marked], size), generator(0, 0, index), points)[:2]
    assert moved is not None
    order = SCHEME_68.mirror[marked] if mirrored else marked
    np.testing.assert_allclose(found(crop), moved[order], atol=0.35)
    assert np.linalg.det(matrix[:, :2]) * (-1 if mirrored else 1) > 0


def test_mirror_twice_is_identity() -> None:
    mirror = Augmentation(flip=1, erase_probability=0)
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    points = np.random.default_rng(1).uniform(0, 64, (68, 2)).astype(np.float32)
    once, moved = mirror(crop, generator(0, 0, 0), points)[:2]
    twice, back = mirror(once, generator(0, 0, 1), moved)[:2]
    assert (twice == crop).all() and (once == crop[:, ::-1]).all()
    np.testing.assert_allclose(back, points, atol=1e-5)
    np.testing.assert_allclose(moved, SCHEME_68.mirrored(points, width=63), atol=1e-5)


def test_a_mirror_by_warp_is_the_mirror_by_flip() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    matrix, _ = Augmentation(flip=1).warp(np.zeros(12), 64)
    assert (cv2.warpAffine(crop, matrix, (64, 64)) == crop[:, ::-1]).all()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("shape", [(48, 48), (56, 56, 3)])
def test_the_same_face_in_the_same_epoch_is_the_same_picture(recipe: str, shape: tuple[int, ...]) -> None:
    crop = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, shape, np.uint8), (0, 0), 2)
    first, second = (RECIPES[recipe](crop, generator(1, 2, 3)) for _ in range(2))
    assert (first.crop == second.crop).all() and first.holes == second.holes and first.crop.shape == shape
    if recipe != "none":
        others = [RECIPES[recipe](crop, generator(1, 2, 3 + i)) for i in range(1, 20)]
        assert any(o.holes != first.holes or (o.crop != first.crop).any() for o in others)


def test_none_changes_nothing() -> None:
    crop = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    result = RECIPES["none"](crop, generator(0, 0, 0))
    assert (result.crop == crop).all() and result.holes == ()


def test_streams_of_seed_epoch_and_index_do_not_meet() -> None:
    draws = {generator(*key).random() for key in np.ndindex(5, 6, 7)}
    assert len(draws) == 5 * 6 * 7


def test_changing_one_option_leaves_the_others() -> None:
    u = generator(0, 0, 5).random(12)
    plain, _ = Augmentation(rotation_deg=10).warp(u, 64)
    shifted, _ = Augmentation(rotation_deg=10, shift=0.2).warp(u, 64)
    np.testing.assert_array_equal(plain[:, :2], shifted[:, :2])


def test_published_erasing_has_the_published_statistics() -> None:
    """p 0.5; area 2..10 %; the mean area of torchvision's own draws within four standard errors."""
    torch = pytest.importorskip("torch")
    v1 = pytest.importorskip("torchvision.transforms")
    ours = [RECIPES["published"](np.zeros((112, 112, 3), np.uint8), generator(0, 0, i)).holes for i in range(3000)]
    areas = np.array([(h.bottom - h.top) * (h.right - h.left) / 112**2 for holes in ours for h in holes])
    assert abs(len(areas) / 3000 - 0.5) < 0.04
    assert areas.min() > 0.018 and areas.max() < 0.102
    torch.manual_seed(0)
    picture = torch.zeros(3, 112, 112)
    theirs = [v1.RandomErasing.get_params(picture, (0.02, 0.1), (0.3, 3.3), [0.0])[2:4] for _ in range(1500)]
    expected = np.array([h * w for h, w in theirs]) / 112**2
    assert abs(areas.mean() - expected.mean()) < 4 * areas.std() * np.sqrt(2 / 1500)


def test_erasing_after_normalisation_is_the_mean_colour_before_it() -> None:
    """0 after normalisation is the mean before: painting the crop instead differs by rounding to 8 bits only."""
    spec, hole = PictureInput(size=32), Hole(4, 6, 20, 17)
    crop = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), np.uint8)
    after = normalise(crop, spec)
    erase(after[0], (hole,))
    crop[0, hole.top : hole.bottom, hole.left : hole.right] = np.round(np.array(spec.mean) * 255)
    np.testing.assert_allclose(after, normalise(crop, spec), atol=0.5 / 255 / min(spec.std) + 1e-6)
    assert (after[0, :, 4:20, 6:17] == 0).all()


def test_colours_by_hand() -> None:
    """Brightness alone multiplies; contrast alone keeps the mean; a hue turn keeps grey grey."""
    crop = np.full((8, 8, 3), 100, np.uint8)
    u = np.array([0.75, 0.5, 0.5, 0.5, 0.5])
    assert (Augmentation(brightness=0.4)._coloured(crop, u) == 120).all()
    crop[:4] = 60
    stretched = Augmentation(contrast=0.4)._coloured(crop, np.array([0.5, 1.0, 0.5, 0.5, 0.5]))
    assert stretched[0, 0, 0] == 52 and stretched[7, 0, 0] == 108
    turned = Augmentation(hue=0.5, saturation=0.5)._coloured(crop, np.array([0.5, 0.5, 0.5, 0.9, 0.8]))
    assert np.abs(turned.astype(int) - crop).max() <= 1


def test_light_is_smooth_and_as_strong_as_documented() -> None:
    crop, lit = np.full((33, 33, 3), 100, np.uint8), []
    for i in range(200):
        rng = generator(0, 0, i)
        lit.append(augmentation("none", light=0.2)(crop, rng).crop)
    logarithm = np.log(np.array(lit)[..., 0] / 100)
    assert all((picture[..., 0] == picture[..., 2]).all() for picture in lit)
    for place in (0, 16, 32):  # the values that are drawn
        assert abs(logarithm[:, place, place].std() - 0.2) < 0.04 and abs(logarithm[:, place, place].mean()) < 0.05
    assert np.abs(np.diff(logarithm, axis=1)).max() < 0.12
    shifted = augmentation("none", light=0.2, shift=0.2), augmentation("none", shift=0.2)
    ramp = np.arange(33 * 33 * 3, dtype=np.uint8).reshape(33, 33, 3)
    one, other = (each(ramp, generator(0, 0, 7)) for each in shifted)
    assert one.mirrored == other.mirrored and not (one.crop == other.crop).all()


def test_noise_is_grey_and_as_strong_as_documented() -> None:
    crop = np.full((64, 64, 3), 128, np.uint8)
    noisy = [Augmentation(noise=0.1)._noisy(crop, generator(0, 0, i)).astype(int) for i in range(200)]
    assert all((picture[..., 0] == picture[..., 2]).all() for picture in noisy)
    assert abs(np.mean([picture.std() for picture in noisy]) - 0.05 * 255) < 1.5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"flp": 1}, r"no option 'flp'. Did you mean 'flip'\?"),
        ({"flip": 2}, r"flip must be in 0\.\.1"),
        ({"erase_scale": (0.2, 0.1)}, r"erase_scale must be a range"),
        ({"border": "wrap"}, "'reflect' or 'black'"),
        ({"shift": -0.1}, r"shift must be in 0\.\.1"),
    ],
)
def test_wrong_options_are_named(changes: dict, message: str) -> None:
    with pytest.raises(MienError, match=message):
        augmentation("published", **changes)


def test_wrong_recipes_are_named() -> None:
    with pytest.raises(MienError, match=r"No augmentation recipe 'publish'. Did you mean 'published'\?"):
        augmentation("publish")


@unchecked()
def test_every_wrong_value_of_an_option_is_refused_or_does_no_harm():
    crop, rng = np.full((32, 32, 3), 127, np.uint8), np.random.default_rng(0)
    for name in Augmentation.__dataclass_fields__:
        for wrong in (*WRONG_VALUES, [0, 1], [1, 1e9], [1e-300, 1], -180, 360):
            try:
                recipe = augmentation("strong", **{name: wrong})
            except MienError as error:
                assert len(str(error)) < 300
            else:
                assert recipe(crop, rng)[0].shape == crop.shape
