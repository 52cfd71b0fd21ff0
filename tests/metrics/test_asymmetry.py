"""The asymmetry of a face: worked by hand, unmoved by what must not move it, and a model that flattens it is found."""

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.landmarks import SCHEME_68
from mien.metrics import asymmetry
from mien.metrics.asymmetry import asymmetry_bias, asymmetry_index, mirror_of, pair_gaps, region_asymmetry

MEAN_FACE = np.random.default_rng(4).uniform(-60, 60, (68, 2))
MEAN_FACE = (MEAN_FACE + SCHEME_68.mirrored(MEAN_FACE, width=0)) / 2
MEAN_FACE[[36, 45]] = [(-50, -20), (50, -20)]  # outer eye corners 100 apart


def unequal(n: int = 40, *, dims: int = 2, seed: int = 0) -> np.ndarray:
    """Faces of more and less asymmetry, turned and moved."""
    rng = np.random.default_rng(seed)
    base = np.concatenate([MEAN_FACE, np.zeros((68, dims - 2))], axis=1)
    faces = base + rng.uniform(0, 6, (n, 1, 1)) * rng.normal(size=(n, 68, dims))
    rotation = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
    return faces @ (rotation * np.sign(np.linalg.det(rotation))).T + 30


def halved(faces: np.ndarray) -> np.ndarray:
    """Half of what a face differs from its mirror image by is taken away."""
    image = mirror_of(faces)(faces)[:, SCHEME_68.mirror]
    return (3 * faces + image) / 4


def test_a_symmetric_face_has_none_whichever_way_it_is_turned() -> None:
    angle = np.deg2rad(17)
    turned = MEAN_FACE @ np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).T + [300, 20]
    for face in (MEAN_FACE, turned, 3 * turned):
        assert asymmetry_index(face) == pytest.approx(0, abs=1e-12)
    normal = mirror_of(turned).normal
    np.testing.assert_allclose(normal, [np.cos(angle), np.sin(angle)], atol=1e-12)  # from the person's right to left


def test_worked_by_hand() -> None:
    face = MEAN_FACE.copy()
    face[48] += [3.0, 4.0]  # a mouth corner 5 off, of eye corners 100 apart: 5 % in one of 29 pairs
    assert asymmetry_index(face) == pytest.approx(0.05 / 29)
    regions = region_asymmetry(face)
    assert regions["mouth"] == pytest.approx(0.05 / 8)
    for name in ("brow", "eye", "nose", "jaw"):
        assert regions[name] == pytest.approx(0, abs=1e-12)
    gaps = pair_gaps(face)
    assert gaps.shape == (29, 2)
    np.testing.assert_allclose(gaps[[a for a, _ in SCHEME_68.mirror_pairs].index(48)], [3, 4], atol=1e-9)


@pytest.mark.parametrize("dims", [2, 3])
def test_size_place_turn_and_mirroring_change_nothing(dims: int) -> None:
    faces = unequal(5, dims=dims)
    index, rng = asymmetry_index(faces), np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(dims, dims)))[0]
    rotation *= np.sign(np.linalg.det(rotation)) if dims == 3 else 1
    if np.linalg.det(rotation) < 0:
        rotation[:, 0] *= -1
    np.testing.assert_allclose(asymmetry_index(2.5 * faces @ rotation.T - 70), index, rtol=1e-9)
    np.testing.assert_allclose(asymmetry_index(SCHEME_68.mirrored(faces, width=400)), index, rtol=1e-9)


@pytest.mark.parametrize("dims", [2, 3])
def test_the_mirror_is_the_best_one(dims: int) -> None:
    """No other line or plane brings the stable points nearer to their images."""
    face, rng = unequal(1, dims=dims)[0], np.random.default_rng(0)
    best, stable = mirror_of(face), list(asymmetry.STABLE)

    def misfit(mirror: asymmetry.Mirror) -> float:
        return float(((face - mirror(face)[SCHEME_68.mirror])[stable] ** 2).sum())

    for _ in range(200):
        normal = best.normal + rng.normal(size=dims) * rng.choice([0.01, 0.3])
        other = asymmetry.Mirror(best.centre + rng.normal(size=dims), normal / np.linalg.norm(normal))
        assert misfit(other) >= misfit(best)


def test_ninety_eight_points_are_reduced_to_their_68() -> None:
    points = np.random.default_rng(0).uniform(0, 100, (98, 2))
    from mien.core.landmarks import to_68

    assert asymmetry_index(points) == asymmetry_index(to_68(points))


def test_a_model_that_halves_the_asymmetry_has_slope_one_half() -> None:
    truth = unequal(200)
    bias = asymmetry_bias(halved(truth), truth, resamples=200)
    assert bias.slope == pytest.approx(0.5, abs=0.01)
    assert bias.gain == pytest.approx(0.5, abs=1e-9)
    assert bias.intercept == pytest.approx(0, abs=1e-3)
    assert bias.r2 == pytest.approx(1, abs=1e-3)
    assert bias.intervals is not None
    for name in ("slope", "intercept", "r2", "gain"):
        assert bias.intervals[name].low <= getattr(bias, name) <= bias.intervals[name].high


def test_a_perfect_model_has_slope_one_and_a_constant_one_none() -> None:
    truth = unequal(30, dims=3)
    perfect = asymmetry_bias(truth, truth, resamples=0)
    assert (perfect.slope, perfect.r2, perfect.gain) == pytest.approx((1, 1, 1))
    assert (perfect.intercept, perfect.intervals) == (pytest.approx(0), None)
    constant = asymmetry_bias(np.broadcast_to(truth[0], truth.shape), truth, resamples=50)
    assert (constant.slope, constant.r2) == pytest.approx((0, 0), abs=1e-9)
    assert constant.intercept == pytest.approx(asymmetry_index(truth[0]))


def test_noise_raises_the_index_and_leaves_the_gain() -> None:
    truth = unequal(400)
    noisy = truth + 2 * np.random.default_rng(9).normal(size=truth.shape)
    bias = asymmetry_bias(noisy, truth, resamples=0)
    assert bias.slope < 0.97
    assert bias.intercept > 0.005
    assert bias.gain == pytest.approx(1, abs=0.03)


def test_refusals() -> None:
    faces = unequal(5)
    with pytest.raises(MienError, match="at least three faces"):
        asymmetry_bias(faces[:2], faces[:2])
    with pytest.raises(MienError, match="same asymmetry"):
        asymmetry_bias(faces, np.stack([faces[0]] * 5))
    with pytest.raises(MienError, match="show no direction"):
        mirror_of(np.zeros((68, 2)))
    with pytest.raises(MienError, match="not a number"):
        asymmetry_index(np.where(np.arange(68)[:, None] == 8, np.nan, MEAN_FACE))
    with pytest.raises(MienError, match="both points of each mirror pair"):
        mirror_of(faces, stable=(36, 27))
    with pytest.raises(MienError, match="68 points can be taken"):
        asymmetry_index(np.zeros((5, 2)))
    with pytest.raises(MienError, match="eye corners of a face coincide"):
        asymmetry_index(np.where(np.isin(np.arange(68), (36, 45))[:, None], 0.0, MEAN_FACE))


def turned(faces: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """As pictures of heads that are turned by so much: one side shrinks and the other grows."""
    middle = faces[:, asymmetry.STABLE].mean(1, keepdims=True)
    away = faces - middle
    away[..., 0] += np.sin(yaw)[:, None] * 0.3 * np.abs(away[..., 0])
    return middle + away


def test_eyes_drawn_alike_are_found_where_the_index_hides_them() -> None:
    """The model copies the whole face, and finds a third of what the right eye opens wider than the left one."""
    rng = np.random.default_rng(4)
    truth = MEAN_FACE + 2 * rng.normal(size=(200, 68, 2))
    wider = rng.normal(size=(200, 1))
    predicted = truth.copy()
    for faces, share in ((truth, 1.0), (predicted, 1 / 3)):
        for upper, lower, sign in (((37, 38), (41, 40), 1), ((43, 44), (47, 46), -1)):
            faces[:, lower] = MEAN_FACE[list(lower)]
            faces[:, upper] = faces[:, lower]
            faces[:, upper, 1] -= 6 + sign * share * wider
    value, interval = asymmetry.opening_gain(predicted, truth, opening="lids", resamples=100)
    assert value == pytest.approx(1 / 3)
    assert interval is not None and interval.low == pytest.approx(1 / 3)
    assert asymmetry_bias(predicted, truth, resamples=0).slope > 0.95
    assert asymmetry.opening_gain(truth, truth, opening="brows", resamples=0) == (pytest.approx(1), None)
    with pytest.raises(MienError, match="open alike"):
        asymmetry.opening_gain(predicted, np.repeat(MEAN_FACE[None], 200, axis=0), opening="lids")


def test_at_equal_turn_the_flattening_shows_that_the_turn_hides() -> None:
    """The model follows the turn of the head fully and halves what is the face's own."""
    rng = np.random.default_rng(3)
    faces = MEAN_FACE + 2 * rng.normal(size=(300, 68, 2))
    faces[:, list(asymmetry.STABLE)] = MEAN_FACE[list(asymmetry.STABLE)]
    yaw = rng.uniform(-0.6, 0.6, 300)
    truth, predicted = turned(faces, yaw), turned(halved(faces), yaw)
    plain = asymmetry_bias(predicted, truth, resamples=0)
    assert plain.slope > 1  # the turn hides it
    assert plain.gain > 0.7
    value, interval = asymmetry.gain_at_equal_turn(predicted, truth, yaw, resamples=100)
    assert value == pytest.approx(0.5, abs=0.05)
    assert interval is not None and interval.low <= value <= interval.high
    assert asymmetry.gain_at_equal_turn(truth, truth, yaw, resamples=0) == (pytest.approx(1), None)
    mouth, _ = asymmetry.gain_at_equal_turn(predicted, truth, yaw, region="mouth", resamples=0)
    assert mouth == pytest.approx(0.5, abs=0.05)
    with pytest.raises(MienError, match="at least eight faces"):
        asymmetry.gain_at_equal_turn(truth[:4], truth[:4], yaw[:4])
