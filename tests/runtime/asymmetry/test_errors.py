"""Fitted errors of differences, the headline, and change between visits. Points are exact; the errors are those of the
shipped landmark model."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_truth import FAR, TASKS, both, face, severe

from mien.core.errors import MienError
from mien.core.records import FacePoints
from mien.media.files import read_info
from mien.media.image import load_image
from mien.runtime.asymmetry import analyse, mirrored_points
from mien.runtime.asymmetry.examination import FaceReader, examine_picture, shows_movement
from mien.runtime.asymmetry.measures import DEFINITIONS
from mien.runtime.asymmetry.significance.errors import ERRORS_FILE, Conditions, ErrorModel, load_errors
from mien.runtime.asymmetry.significance.headline import MEASURES, headline
from mien.runtime.asymmetry.static import FaceMeasures
from mien.runtime.asymmetry.visits import change_of
from mien.runtime.landmarks import shipped_landmarks
from mien.synthetic.people import PeopleOptions, person_of, photograph, scene_of
from mien.synthetic.picture.camera import Camera

BENCHMARKS = Path(__file__).parents[3] / "benchmarks" / "asymmetry"


@pytest.fixture(scope="module")
def errors() -> ErrorModel:
    folder = shipped_landmarks()
    if folder is None:
        pytest.skip("no landmark model ships with this copy")
    found = load_errors(folder / ERRORS_FILE, mirrored=True, files=read_info(folder).files)
    assert found is not None, "fitted on another network than the one that ships"
    return found


def fitted(errors: ErrorModel, shown: FacePoints, *, moved: bool = False, **conditions: float) -> FaceMeasures:
    measured = analyse(shown)
    usual = Conditions.of(measured, sharpness=0.1, mirror_percent=1.0)
    return errors.applied(measured, replace(usual, sigma=0.028, **conditions), moved=moved)


def test_every_measure_has_its_error_and_the_file_states_its_test(errors: ErrorModel) -> None:
    assert set(errors.measures) == {d.name for d in DEFINITIONS}
    assert min(m.slope for m in errors.measures.values()) >= 1  # nothing is shrunk
    assert 0.88 <= errors.about["coverage_90"] <= 0.92
    assert all(0.87 <= share <= 0.93 for share in errors.about["coverage_90_by_measure"].values())
    assert 0.02 <= errors.about["healthy_clear"] <= 0.08
    palsies = errors.about["palsies_clear"]
    assert palsies["complete/any"] >= 0.95 and palsies["half/any"] >= 0.6


def test_the_error_of_a_difference_is_far_below_that_of_independent_points(errors: ErrorModel) -> None:
    shown = face(sigma=0.028 * 200)  # as the model states on photographs
    points, differences = analyse(shown), fitted(errors, shown)
    for name in ("palpebral_fissure", "brow_height", "commissure_depth"):
        assert differences[name].true.sd < 0.5 * points[name].difference.sd, name


def test_the_mirrored_face_has_the_same_ranges_on_the_other_side(errors: ErrorModel) -> None:
    shown = face(both(TASKS["smile"]), palsy=severe("L", 0.7), camera=replace(FAR, yaw_rad=0.1))
    one, other = fitted(errors, shown), fitted(errors, mirrored_points(shown, width=512))
    for a, b in zip(one.measures, other.measures, strict=True):
        assert a.true.value == pytest.approx(-b.true.value, abs=1e-6), a.name
        assert a.true.half_90 == pytest.approx(b.true.half_90) and a.true.healthy == pytest.approx(b.true.healthy)


def test_a_worse_picture_has_wider_ranges_and_limits(errors: ErrorModel) -> None:
    shown = face()
    good, poor = fitted(errors, shown), fitted(errors, shown, size_px=50.0, sharpness=0.003, mirror=0.03, yaw_deg=15.0)
    wider = [b.true.half_90 / a.true.half_90 for a, b in zip(good.measures, poor.measures, strict=True)]
    assert np.median(wider) > 1.3
    assert all(b.true.healthy >= a.true.healthy - 1e-9 for a, b in zip(good.measures, poor.measures, strict=True))
    assert poor.regions[0].floor > good.regions[0].floor
    usual = Conditions(150.0, 2.0, 0.0, 0.1, 0.028, 0.01)
    assert errors.outside(usual) == []
    assert errors.outside(replace(usual, size_px=20.0, yaw_deg=-40.0)) == ["size", "yaw"]


def test_a_limit_does_not_grow_with_the_difference_that_it_is_for(errors: ErrorModel) -> None:
    even, weak = (fitted(errors, face(palsy=palsy)) for palsy in (None, severe("R", 1.0)))
    assert weak["mouth_tilt"].true.healthy == pytest.approx(even["mouth_tilt"].true.healthy, rel=0.2)
    assert weak["mouth_tilt"].true.half_90 > even["mouth_tilt"].true.half_90


@pytest.mark.parametrize(("side", "name"), [("L", "left"), ("R", "right")])
@pytest.mark.parametrize("task", ["smile", "brow_raise", "eyes_closed_gently"])
def test_the_headline_names_the_region_and_the_side_that_moves_less(
    errors: ErrorModel, side: str, name: str, task: str
) -> None:
    palsy = severe(side, 1.0)
    shown = fitted(errors, face(both(TASKS[task]), palsy=palsy), moved=True)
    rest = fitted(errors, face(palsy=palsy))
    for base in (None, rest):
        found = headline(shown, face_limit=errors.face_limit, task=task, rest=base)
        assert found is not None and found.clear and found.certain and found.weaker == name
        assert found.compared_with_rest is (base is not None)
        assert f"the person's {name} side moves less" in found.sentence and "90 % range" in found.sentence
    wanted = {"smile": "mouth", "brow_raise": "brow", "eyes_closed_gently": "eye"}[task]
    assert shown[found.measure.name].definition.region in (wanted, "mouth")


def test_a_side_that_only_hangs_lower_does_not_move_less(errors: ErrorModel) -> None:
    """The left half of the mouth stands as much lower at rest as in the smile: only the picture at rest can tell."""

    def lowered(shown: FacePoints) -> FacePoints:
        points = shown.landmarks_px.copy()
        points[[53, 54, 55, 64]] += (0, 14)
        return replace(shown, landmarks_px=points)

    rest = fitted(errors, lowered(face()))
    task = fitted(errors, lowered(face(both(TASKS["smile"]))), moved=True)
    alone = headline(task, face_limit=errors.face_limit, task="smile")
    together = headline(task, face_limit=errors.face_limit, task="smile", rest=rest)
    assert alone is not None and alone.weaker == "left"
    assert together is not None and together.weaker == ""


def test_a_healthy_face_has_a_headline_that_says_so(errors: ErrorModel) -> None:
    found = headline(fitted(errors, face()), face_limit=errors.face_limit, task="smile")
    assert found is not None and not found.clear and found.weaker == "" and found.clear_measures == 0
    assert found.sentence.startswith("no region differs more than in healthy faces")


def test_a_difference_that_some_healthy_faces_show_is_named_with_its_doubt(errors: ErrorModel) -> None:
    shown = fitted(errors, face(both(TASKS["smile"]), palsy=severe("L", 1.0)), moved=True)
    excess = max(shown[name].true.excess for name in MEASURES)
    sure, doubtful = (headline(shown, face_limit=limit, task="smile") for limit in (0.9 * excess, 1.1 * excess))
    assert sure is not None and sure.certain and "not certain" not in sure.sentence
    assert doubtful is not None and doubtful.clear and not doubtful.certain and doubtful.weaker == "left"
    assert "not certain" in doubtful.sentence and doubtful.sentence.startswith("mouth: ")


def test_an_unnamed_smile_has_the_limits_of_moving_faces(errors: ErrorModel) -> None:
    assert shows_movement(analyse(face(both(TASKS["smile"]))), "") and not shows_movement(analyse(face()), "")
    assert shows_movement(analyse(face()), "brow_raise") and not shows_movement(
        analyse(face(both(TASKS["smile"]))), "rest"
    )
    rest, moved = fitted(errors, face()), fitted(errors, face(), moved=True)
    assert moved["dental_show"].true.healthy > 2 * rest["dental_show"].true.healthy


def test_change_is_beyond_error_only_where_the_face_changed(errors: ErrorModel) -> None:
    before, same, after = (
        fitted(errors, face(both(TASKS["smile"]), palsy=severe("L", level)), moved=True) for level in (1.0, 1.0, 0.3)
    )
    still = change_of("smile", before["commissure_depth"], same["commissure_depth"])
    moved = change_of("smile", before["commissure_depth"], after["commissure_depth"])
    back = change_of("smile", after["commissure_depth"], before["commissure_depth"])
    assert still is not None and still.verdict == "within error" and still.value == 0
    assert moved is not None and moved.verdict == "more equal" and moved.beyond_90
    assert back is not None and back.verdict == "less equal" and back.value == -moved.value
    assert moved.detectable_90 < moved.detectable_95
    one = before["commissure_depth"].true
    independent = float(np.hypot(one.half_90, after["commissure_depth"].true.half_90))
    assert moved.detectable_90 == pytest.approx(one.repeat * independent)
    assert change_of("", analyse(face())["mrd1"], before["mrd1"]) is None


def test_a_fit_is_used_for_its_own_network_alone(errors: ErrorModel, tmp_path: Path) -> None:
    folder = shipped_landmarks()
    assert folder is not None
    assert load_errors(folder / ERRORS_FILE, mirrored=True, files={"model.onnx": "0" * 64}) is None
    assert load_errors(tmp_path / ERRORS_FILE, mirrored=True, files={}) is None
    files = read_info(folder).files
    content = json.loads((folder / ERRORS_FILE).read_text(encoding="utf-8"))
    content["single"]["measures"]["mrd1"]["error"]["log_scale"].pop()
    for text in ("{", "[]", "{}", json.dumps(content | {"format": 9}), json.dumps(content)):
        broken = tmp_path / ERRORS_FILE
        broken.write_text(text, encoding="utf-8")
        with pytest.raises(MienError, match=ERRORS_FILE):
            load_errors(broken, mirrored=False, files=files)


@pytest.mark.slow
def test_pictures_of_people_who_were_not_in_the_fit(errors: ErrorModel) -> None:
    """Through detector, crop and network: complete palsies smiling are clear on their side, healthy faces have no
    certain finding, and about nine in ten true differences are in their ranges."""
    options = PeopleOptions(size=320, occluders=False, degradations=False)
    read, inside = FaceReader(threads=1), []
    for number in range(4):
        side = ("L", "R", "", "")[number % 4]
        who = replace(person_of(31, number, options=options), palsy=severe(side, 1.0) if side else None)
        rng = np.random.default_rng(number)
        camera = Camera(320, 250, 1.5, yaw_rad=float(rng.uniform(-0.15, 0.15)))
        scene = replace(scene_of(rng, who, options=options), camera=camera)
        task = "smile" if side else "rest"
        pixels, truth = photograph(who, both(TASKS[task]), scene, options=options)
        found = examine_picture(pixels, read, task=task, errors=errors)
        head = truth["landmarks_3d"] @ camera.rotation
        exact = analyse(
            FacePoints(head[:, :2] * (1.0, -1.0), depth_px=head[:, 2].astype(float), pose_rad=(0.0, 0.0, 0.0))
        )
        for measure, true in zip(found.measured.measures, exact.measures, strict=True):
            inside.append(measure.true.low <= true.difference.value <= measure.true.high)
        stated = found.headline()
        assert stated is not None and stated.clear >= bool(side) and (side or not stated.certain), found.finding()
        assert stated.weaker == {"L": "left", "R": "right", "": ""}[side], found.finding()
    assert np.mean(inside) >= 0.75


@pytest.mark.slow
@pytest.mark.shared
def test_portraits_of_healthy_people_are_rarely_clear(errors: ErrorModel, shared: Path) -> None:
    folder = shared / "faces_hq" / "london512" / "neutral"
    if not folder.is_dir():
        pytest.skip("no portraits")
    read, clear, certain = FaceReader(threads=1), [], 0
    for path in sorted(folder.glob("*.jpg"))[::7]:
        found = examine_picture(load_image(path).pixels, read, errors=errors)
        clear += [measure.clear for measure in found.measured.measures]
        stated = found.headline()
        assert stated is not None
        certain += stated.certain
    assert len(clear) >= 9 * 21 and np.mean(clear) <= 0.12 and certain <= 2


def test_ranges_are_fitted_to_hold_in_good_pictures_and_in_poor_ones() -> None:
    """Errors twice as large in small pictures and with heavy tails, half of each difference found: 4,000 faces."""
    pytest.importorskip("scipy")
    if not BENCHMARKS.exists():
        pytest.skip("no benchmarks in this copy")
    fitting = _benchmark("fit")
    rng = np.random.default_rng(3)
    small = rng.random(4000) < 0.5
    true, x = rng.normal(0, 3, 4000), np.zeros((4000, 6))
    x[:, 0] = np.where(small, -1.0, 1.0)
    error = rng.standard_t(4, 4000) * np.where(small, 1.0, 0.5)
    read = (true - error) / 2
    slope, turn = fitting.line_of(read, true, rng.normal(0, 8, 4000))
    assert slope == pytest.approx(2, abs=0.3) and abs(turn) < 0.05
    features = fitting.feature_rows(x, np.abs(read), 0, 1.0)
    spread = fitting.fit_spread(error[:2000], features[:2000])
    half = spread.quantile_90 * np.exp(features @ spread.log_scale)
    for part in (small[2000:], ~small[2000:]):
        assert np.mean(np.abs(error[2000:][part]) <= half[2000:][part]) == pytest.approx(0.9, abs=0.025)
    assert half[small].mean() == pytest.approx(2 * half[~small].mean(), rel=0.15)
    assert fitting.line_of(rng.normal(size=4000), true, np.ones(4000))[0] == 1.0  # noise is not shrunk away


def _benchmark(name: str):
    sys.path.insert(0, str(BENCHMARKS))
    try:
        spec = importlib.util.spec_from_file_location(f"asymmetry_{name}", BENCHMARKS / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module
    finally:
        sys.path.remove(str(BENCHMARKS))
