"""Skin on the atlas: folds where action units act, on their side; brows that ride on the mesh."""

import numpy as np
import pytest

from mien.synthetic.face.build import face_model
from mien.synthetic.picture.appearance import Appearance
from mien.synthetic.picture.colour import lab_to_linear, luminance, skin_colour, to_linear, to_srgb
from mien.synthetic.picture.skin import SkinPainter
from mien.synthetic.picture.studio import studio_of
from mien.synthetic.picture.wrinkles import sided


def _painter() -> SkinPainter:
    return studio_of(face_model()).painter(128)


def _folding(units: dict[str, float], *, age: float = 0.3) -> tuple[float, float]:
    """How much light folds take on the person's right and left half (the picture's left and right)."""
    looks = Appearance(age=age)
    change = _painter().paint(looks, {}).cavity - _painter().paint(looks, units).cavity
    half = change.shape[1] // 2
    return float(np.abs(change[:, :half]).sum()), float(np.abs(change[:, half:]).sum())


@pytest.mark.parametrize("unit", [1, 2, 4, 6, 9, 10, 12, 14, 15])
def test_wrinkles_appear_on_the_active_side_only(unit: int) -> None:
    right, left = _folding({f"AU{unit}_L": 1.0})
    assert left > 1 and right < 0.12 * left
    right, left = _folding({f"AU{unit}_R": 1.0})
    assert right > 1 and left < 0.12 * right


def test_both_sides_fold_alike_and_by_the_unsided_name_too() -> None:
    right, left = _folding({"AU12_L": 0.8, "AU12_R": 0.8})
    assert right == pytest.approx(left, rel=0.05)
    assert sided({"AU12": 0.4}, 12, "L") == 0.4 and sided({"AU12_R": 0.4}, 12, "L") == 0.0


def test_old_skin_folds_deeper_and_a_lost_tone_smooths_it() -> None:
    assert sum(_folding({"AU12": 1.0}, age=0.9)) > sum(_folding({"AU12": 1.0}, age=0.0))
    fold = next(w for w in _painter().wrinkles if w.name == "nasolabial fold" and w.side == "L")
    assert fold.strength({}, 1.0) > 0.5
    assert fold.strength({"sag_fold_L": 1.0}, 1.0) == 0


def test_brows_stand_on_the_brow_points() -> None:
    painter = _painter()
    texture = painter.paint(Appearance(ita_deg=50, hair=(20, 18, 18), brow_darkness=1.0), {})
    dark = luminance(texture.albedo)
    for point in painter.atlas.points[17:27][[1, 2, 3, 6, 7, 8]]:
        x, y = np.round((point - painter.atlas.low) / painter.atlas.step).astype(int)
        assert dark[y - 1 : y + 4, x - 1 : x + 2].min() < 0.5 * np.median(dark)


def test_tones_are_ordered_by_their_angle() -> None:
    shown = [float(luminance(skin_colour(a))) for a in np.linspace(-66, 63, 30)]
    assert np.all(np.diff(shown) > 0)


def test_grey_of_lab_and_the_srgb_curve() -> None:
    np.testing.assert_allclose(lab_to_linear(np.array([100.0, 0, 0])), 1, atol=2e-3)
    values = np.linspace(0, 1, 20, dtype=np.float32)
    np.testing.assert_allclose(to_srgb(to_linear(values)), values, atol=1e-5)
