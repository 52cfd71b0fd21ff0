"""Measures of one face against the exact points of synthetic people."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_truth import FAR, both, face, noisy, severe

from mien.core.errors import MienError
from mien.core.records import FacePoints
from mien.runtime.asymmetry import FaceMeasures, Method, Scale, analyse, mirrored_points
from mien.runtime.asymmetry.curves import angle, area, chord, cubic, parabola
from mien.runtime.asymmetry.measures import BY_NAME, DEFINITIONS

EXACT = Method(draws=0)
SMILE = both({"AU12": 0.8, "AU25": 0.5, "AU6": 0.3})


def differences(found: FaceMeasures) -> dict[str, float]:
    return {measure.name: measure.difference.value for measure in found.measures}


# --- curves and formulas


def test_curves_go_through_their_points() -> None:
    x = np.array([[0.0, 1.0, 2.5, 4.0, 6.0]])
    at = np.array([3.0])
    assert cubic(np.stack([x, x**3 - x], -1)[:, :4], at) == pytest.approx([24.0])
    assert parabola(np.stack([x, 2 * x**2 - x + 1], -1), at) == pytest.approx([16.0])
    assert chord(np.array([[[0.0, 0.0], [2.0, 4.0], [4.0, 0.0]]]), at) == pytest.approx([2.0])
    assert chord(np.array([[[4.0, 0.0], [2.0, 4.0], [0.0, 0.0]]]), np.array([9.0])) == pytest.approx([0.0])
    assert area(np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 3.0], [0.0, 3.0]])) == pytest.approx(6.0)
    assert angle(np.zeros(2), np.array([1.0, 0.0]), np.array([-1.0, 1.0])) == pytest.approx(135.0)


def test_formulas_on_a_face_drawn_by_hand() -> None:
    """Right eye 24 mm wide and 10 high, its lids parabolas; mouth 50 wide, its right corner 4 mm higher."""
    points = np.zeros((68, 2))
    points[[36, 37, 38, 39]] = [(-44, 0), (-36, 16 / 3), (-28, 16 / 3), (-20, 0)]
    points[[41, 40]] = [(-36, -32 / 9), (-28, -32 / 9)]
    points[17:22] = [(x, 20 - (x + 32) ** 2 / 100) for x in (-47, -40, -32, -25, -18)]
    points[[48, 59, 58, 57, 56, 55, 54]] = [
        (-25, -56), (-16, -66), (-8, -68), (0, -70), (8, -68), (16, -66), (25, -60),
    ]  # fmt: skip
    points[[60, 61, 62, 63, 64]] = [(-22, -58), (-10, -57), (0, -57), (10, -57), (22, -58)]
    points[[67, 66, 65]] = [(-10, -61), (0, -61), (10, -61)]
    values = {name: float(definition.formula(points[None])[0]) for name, definition in BY_NAME.items()}
    assert values["mrd1"] == pytest.approx(6.0)
    assert values["mrd2"] == pytest.approx(4.0)
    assert values["palpebral_fissure"] == pytest.approx(10.0)
    assert values["brow_height"] == pytest.approx(20.0)
    assert values["commissure_excursion"] == pytest.approx(np.hypot(25, 14))
    assert values["smile_angle"] == pytest.approx(90 + np.degrees(np.arctan2(14, 25)))
    assert values["commissure_depth"] == pytest.approx(56.0)
    assert values["lower_lip_depth"] == pytest.approx(66 + 2 * (16 - 12.5) / 8)
    assert values["dental_show"] == pytest.approx(4 * 9.5 / 12)
    assert values["canthus_commissure"] == pytest.approx(np.hypot(5, 56))
    assert values["mouth_tilt"] == pytest.approx(np.degrees(np.arctan2(4, 50)))


# --- symmetry


def test_a_symmetric_face_has_no_difference() -> None:
    for units in ({}, SMILE):
        found = analyse(face(units))
        assert max(map(abs, differences(found).values())) < 1e-2
        assert max(m.index.value for m in found.measures if m.index) < 1e-1
        assert max(region.asymmetry.value for region in found.regions) < 1e-2
        assert not any(measure.clear for measure in found.measures)
        assert not any(region.clear for region in found.regions)


def test_one_difference_in_twenty_is_clear_by_chance() -> None:
    """The uncertainty is calibrated: errors as sigma says make 5 % of all differences `clear`."""
    rng, exact = np.random.default_rng(3), face({}, depth=False)
    clear, regions = [], []
    for _ in range(30):
        found = analyse(noisy(exact, rng), method=Method(draws=100))
        clear += [m.clear for m in found.measures if m.name not in ("dental_show", "dental_area")]
        regions += [region.clear for region in found.regions]
    assert 0.02 < np.mean(clear) < 0.09
    assert np.mean(regions) < 0.06


def test_the_stated_deviation_is_that_of_repeated_readings() -> None:
    rng, exact = np.random.default_rng(4), face(SMILE, depth=False)
    stated = {m.name: m.difference.sd for m in analyse(exact).measures}
    runs = [differences(analyse(noisy(exact, rng), method=EXACT)) for _ in range(120)]
    for name, sd in stated.items():
        assert sd == pytest.approx(np.std([run[name] for run in runs]), rel=0.3), name


def test_without_sigma_no_uncertainty_is_claimed() -> None:
    found = analyse(face(sigma=None))
    assert {m.difference.sd for m in found.measures} == {None}
    assert {m.clear for m in found.measures} == {None}
    assert {region.floor for region in found.regions} == {None}


# --- palsy


def test_measures_follow_the_severity_on_the_affected_side() -> None:
    found = [analyse(face(SMILE, palsy=severe("L", severity)), method=EXACT) for severity in (0, 0.25, 0.5, 0.75, 1)]
    # name, sign of right less left in a palsy of the left
    signs = {
        "brow_height": 1, "palpebral_fissure": -1, "mrd2": -1, "commissure_excursion": 1, "smile_angle": 1,
        "commissure_depth": -1, "canthus_commissure": -1, "cce_angle": 1, "mouth_tilt": 1,
    }  # fmt: skip
    for name, sign in signs.items():
        values = sign * np.array([face_[name].difference.value for face_ in found])
        assert np.all(np.diff(values) > 0) and abs(values[0]) < 0.02, (name, values)
    whole = [face_.regions[0].asymmetry.value for face_ in found]
    assert np.all(np.diff(whole) > 0.1)
    assert found[-1]["commissure_excursion"].ratio < 0.8


def test_a_palsy_of_the_right_is_that_of_the_left_mirrored() -> None:
    left = analyse(face(SMILE, palsy=severe("L", 0.7)), method=EXACT)
    right = analyse(face(SMILE, palsy=severe("R", 0.7)), method=EXACT)
    for a, b in zip(left.measures, right.measures, strict=True):
        assert a.difference.value == pytest.approx(-b.difference.value, abs=0.02), a.name
        if a.right and a.left and b.right and b.left:
            assert (a.right.value, a.left.value) == pytest.approx((b.left.value, b.right.value), abs=0.02)


@pytest.mark.parametrize("depth", [True, False])
def test_right_and_left_change_places_under_the_mirror(depth: bool) -> None:
    shown = face(SMILE, palsy=severe("L", 0.7), camera=replace(FAR, roll_rad=0.2, yaw_rad=0.1), depth=depth)
    one, other = analyse(shown, method=EXACT), analyse(mirrored_points(shown, width=512), method=EXACT)
    for a, b in zip(one.measures, other.measures, strict=True):
        assert a.difference.value == pytest.approx(-b.difference.value, abs=1e-9), a.name


# --- pose and scale


@pytest.mark.parametrize("turn", [-20, 20])
def test_a_turned_head_is_not_unequal_where_there_is_depth(turn: int) -> None:
    camera = replace(FAR, yaw_rad=float(np.radians(turn)))
    found = analyse(face({}, camera=camera))
    assert found.frame.turn_deg is not None and found.frame.turn_deg[0] == pytest.approx(turn, abs=1)
    assert not any(measure.clear for measure in found.measures)
    assert max(m.index.value for m in found.measures if m.index) < 6
    flat = analyse(face({}, camera=camera, depth=False))
    assert flat["commissure_excursion"].index.value > 20, "or this test would show nothing"
    assert flat.frame.turn_deg is None and "not taken out" in flat.frame.note


def test_a_near_camera_does_no_harm_where_its_distance_is_known() -> None:
    near = face({}, camera=replace(FAR, distance=1.0, yaw_rad=0.35))
    unknown, known = (analyse(near, method=Method(draws=0, distance_m=d)) for d in (None, 1.0))
    assert unknown["commissure_excursion"].index.value > 8
    assert known["commissure_excursion"].index.value < 4
    assert "taken out for 1 m" in known.frame.note and "not given" in unknown.frame.note
    with pytest.raises(MienError, match="in metres"):
        Method(distance_m=0)


def test_a_turned_palsy_measures_as_the_frontal_one() -> None:
    palsy = severe("L", 0.8)
    frontal = analyse(face(SMILE, palsy=palsy), method=EXACT)
    for yaw, pitch in ((0.3, 0.0), (-0.3, 0.15), (0.0, -0.2)):
        turned = analyse(face(SMILE, palsy=palsy, camera=replace(FAR, yaw_rad=yaw, pitch_rad=pitch)), method=EXACT)
        for name in ("brow_height", "palpebral_fissure", "commissure_depth", "commissure_excursion"):
            assert turned[name].difference.value == pytest.approx(frontal[name].difference.value, abs=1.2), name


def test_place_size_and_tilt_of_the_picture_do_not_matter() -> None:
    shown = face(SMILE, palsy=severe("L", 0.7), depth=False)
    cos, sin = np.cos(0.4), np.sin(0.4)
    moved = replace(shown, landmarks_px=2.5 * shown.landmarks_px @ np.array([[cos, sin], [-sin, cos]]) + (300, -40))
    assert differences(analyse(moved, method=EXACT)) == pytest.approx(differences(analyse(shown, method=EXACT)))


def test_the_scale_is_the_one_asked_for() -> None:
    shown = face(SMILE)
    usual, own = analyse(shown, method=EXACT), analyse(shown, method=Method(Scale.of_pupils(66), draws=0))
    right, left = usual.points_mm[[36, 39]].mean(0), usual.points_mm[[42, 45]].mean(0)
    assert np.linalg.norm(left - right) == pytest.approx(63)
    assert own["brow_height"].right.value == pytest.approx(usual["brow_height"].right.value * 66 / 63)
    assert own["brow_height"].index.value == pytest.approx(usual["brow_height"].index.value)
    by_iris = analyse(shown, method=Method(Scale.of_iris(23.54), draws=0))
    assert by_iris.frame.mm_per_px == pytest.approx(0.5)
    assert analyse(shown, method=Method(Scale.of_pixels(0.5), draws=0)).frame.mm_per_px == pytest.approx(0.5)
    with pytest.raises(MienError, match="above 0"):
        Scale.of_iris(0)


def test_the_frame_leads_back_to_the_picture() -> None:
    for depth in (True, False):
        shown = face(SMILE, camera=replace(FAR, yaw_rad=0.2, roll_rad=0.3), depth=depth)
        found = analyse(shown, method=EXACT)
        assert found.frame.to_picture(found.points_mm) == pytest.approx(shown.landmarks_px)
        assert np.degrees(0.3) == pytest.approx(found.frame.roll_deg, abs=1.5)


def test_a_closed_eye_tilts_the_line_of_the_lids_but_not_that_of_the_corners() -> None:
    winking = face({"AU43_L": 1.0})
    corners = analyse(winking, method=EXACT)["mouth_tilt"].difference.value
    lids = analyse(winking, method=Method(line="pupils", draws=0))["mouth_tilt"].difference.value
    assert abs(corners) < 0.2 < abs(lids)


# --- mistakes


def test_another_number_of_points_is_refused() -> None:
    with pytest.raises(MienError, match="68 points"):
        analyse(FacePoints(np.zeros((5, 2))))


def test_an_index_of_nothing_is_not_given() -> None:
    shut = analyse(face())
    assert shut["dental_show"].index is None and shut["dental_show"].ratio is None
    assert {d.name for d in DEFINITIONS if not d.text or not d.source} == set()
