"""Recordings whose points, times and heights are known: envelopes, blinks and head motion are those of the videos."""

from dataclasses import replace

import numpy as np
import pytest
from synthetic_truth import FAR, both, face_of, landmarks, noisy, severe

from mien.core.errors import MienError
from mien.runtime.asymmetry import Movement, analyse_track
from mien.runtime.asymmetry.motion import smoothed, split_level
from mien.synthetic.clips import blinks, onset_apex_offset, wander
from mien.synthetic.face.palsy import Palsy

TIMES = np.arange(75) / 25
SMILE = both({"AU12": 0.9, "AU25": 0.5, "AU6": 0.3})
NEAR = replace(FAR, distance=3.0)


def recording(
    apex: dict[str, float], envelope: np.ndarray, *, palsy: Palsy | None = None, head: float = 0.0, blink: bool = False,
    noise: float = 0.0, seed: int = 0, late: dict[str, np.ndarray] | None = None,
) -> tuple[list, np.ndarray]:  # fmt: skip
    """(what a reader says of each frame, the true points of the head that does not move [frames, 68, 3])."""
    rng = np.random.default_rng(seed)
    units = [
        {name: v * float((late or {}).get(name, envelope)[k]) for name, v in apex.items()} for k in range(len(TIMES))
    ]
    if blink:
        for row, closed in zip(units, blinks(TIMES, rng, per_minute=40), strict=True):
            row.update({f"AU45_{side}": float(closed) for side in "LR"})
    points = landmarks(units, palsy=palsy)
    yaw, pitch, roll = (wander(TIMES, rng, size=head) for _ in range(3))
    faces = []
    for k, frame in enumerate(points):
        camera = replace(NEAR, yaw_rad=0.1 + float(yaw[k]), pitch_rad=float(pitch[k]), roll_rad=float(roll[k]))
        face = face_of(frame, camera if head else NEAR, sigma=max(noise, 0.3))
        faces.append(noisy(face, rng) if noise else face)
    return faces, points


def true_ways(points: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Of the right and the left corner of the mouth, from the first frame to the height."""
    corners = points[:, [48, 54]]
    return np.linalg.norm(corners[height].mean(0) - corners[0], axis=-1)


@pytest.mark.parametrize(("side", "weak"), [("L", "left"), ("R", "right")])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_one_sided_smile_is_measured_as_it_was_drawn(side: str, weak: str, seed: int) -> None:
    """Head motion, blinks and reading errors of 0.3 pixels: the ratio of the excursions is that of the truth."""
    envelope, phase = onset_apex_offset(TIMES, np.random.default_rng(seed))
    palsy = Palsy(side, mouth=0.6, flaccid=0.0)
    faces, points = recording(SMILE, envelope, palsy=palsy, head=0.04, blink=True, noise=0.3, seed=seed)
    found = analyse_track(faces, TIMES.tolist())
    right, left = true_ways(points, phase == 2)
    assert found.target == "mouth" and found.affected == weak
    assert found["excursion_ratio"].value.value == pytest.approx(min(right, left) / max(right, left), rel=0.05)
    assert phase[max(found.rest - 2, 0)] in (0, 4) or phase[min(found.rest + 2, 74)] in (0, 4)
    assert 2 in phase[max(found.peak - 2, 0) : found.peak + 3]


def test_the_peak_of_a_pointed_movement_is_found_within_two_frames() -> None:
    for moment in (0.8, 1.3, 1.9):
        envelope = np.exp(-0.5 * ((TIMES - moment) / 0.2) ** 2)
        faces, points = recording(SMILE, envelope, palsy=Palsy("L", mouth=0.5, flaccid=0.0), head=0.03, noise=0.3)
        truth = int(np.argmax(np.linalg.norm(points[:, 48] - points[0, 48], axis=-1)))
        assert abs(analyse_track(faces, TIMES.tolist()).peak - truth) <= 2


def test_both_sides_alike_have_no_weaker_one() -> None:
    envelope, _ = onset_apex_offset(TIMES, np.random.default_rng(5))
    found = analyse_track(recording(SMILE, envelope, head=0.04, noise=0.3)[0], TIMES.tolist(), task="smile")
    assert found.affected == ""
    assert found["excursion_ratio"].value.value > 0.93
    assert found["direction_cosine"].value.value > 0.98
    assert abs(found["onset_delay"].value.value) < 0.03


def test_a_later_onset_and_its_speed() -> None:
    """The left begins 0.2 s later; a raised cosine of height h over 0.5 s is steepest at pi h / 2 / 0.5."""
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.clip((TIMES - 0.6) / 0.5, 0, 1))
    late = 0.5 - 0.5 * np.cos(np.pi * np.clip((TIMES - 0.8) / 0.5, 0, 1))
    faces, _ = recording(SMILE, ramp, late={name: late for name in SMILE if name.endswith("_L")})
    found = analyse_track(faces, TIMES.tolist(), task="smile")
    assert found["onset_delay"].value.value == pytest.approx(-0.2, abs=0.02)
    for speed, way in zip(sides(found, "peak_velocity"), sides(found, "excursion"), strict=True):
        assert speed == pytest.approx(np.pi * way / 2 / 0.5, rel=0.12)
    assert found["time_to_peak"].right.value == pytest.approx(0.5 * (0.856 - 0.205), abs=0.04)


def sides(found: Movement, name: str) -> tuple[float, float]:
    quantity = found[name]
    return quantity.right.value, quantity.left.value


def test_eyes_that_narrow_with_the_mouth_are_reported() -> None:
    envelope, _ = onset_apex_offset(TIMES, np.random.default_rng(1))
    plain = analyse_track(recording(SMILE, envelope)[0], TIMES.tolist())
    linked = analyse_track(recording(SMILE, envelope, palsy=Palsy("L", oral_ocular=0.9))[0], TIMES.tolist())
    assert abs(np.subtract(*sides(plain, "eye_narrowing"))) < 2
    right, left = sides(linked, "eye_narrowing")
    assert left > right + 20


def test_an_eye_that_does_not_close_is_reported_and_what_moves_with_it() -> None:
    envelope, _ = onset_apex_offset(TIMES, np.random.default_rng(2))
    close = both({"AU43": 1.0})
    palsy = Palsy("R", eye=0.9, flaccid=0.0, ocular_oral=0.9)
    found = analyse_track(recording(close, envelope, palsy=palsy)[0], TIMES.tolist())
    assert found.target == "eye" and found.affected == "right"
    right, left = sides(found, "closure")
    assert left > 85 and right < 60
    open_right, open_left = sides(found, "lagophthalmos")
    assert open_right > 3 > open_left
    assert np.greater(*sides(found, "mouth_motion"))


def test_a_corner_that_is_dragged_goes_the_wrong_way() -> None:
    envelope, _ = onset_apex_offset(TIMES, np.random.default_rng(2))
    found = analyse_track(recording(SMILE, envelope, palsy=severe("R", 1.0))[0], TIMES.tolist())
    assert found["directed_ratio"].value.value < 0 < found["excursion_ratio"].value.value


def test_frames_without_a_face_are_left_out_and_counted() -> None:
    envelope, phase = onset_apex_offset(TIMES, np.random.default_rng(3))
    faces, points = recording(SMILE, envelope, palsy=Palsy("L", mouth=0.5, flaccid=0.0))
    for k in (3, 20, 21, 50):
        faces[k] = None
    found = analyse_track(faces, TIMES.tolist())
    right, left = true_ways(points, phase == 2)
    assert found.missing == 4 and len(found.times_s) == 71
    assert found["excursion_ratio"].value.value == pytest.approx(left / right, rel=0.05)


def test_a_known_side_is_kept() -> None:
    envelope, _ = onset_apex_offset(TIMES, np.random.default_rng(3))
    faces, _ = recording(SMILE, envelope, palsy=Palsy("L", mouth=0.5, flaccid=0.0))
    found = analyse_track(faces, TIMES.tolist(), affected="right")
    assert found.affected == "right" and found["excursion_ratio"].value.value > 1.5


def test_mistakes_are_named() -> None:
    faces, _ = recording(SMILE, np.zeros(75))
    for track, times, task, message in (
        (faces[:5], TIMES[:5], "", "10 frames"),
        (faces, TIMES[:70], "", "a time for each frame"),
        (faces, TIMES[::-1], "", "must rise"),
        (faces, TIMES, "rest", "no movement"),
        (faces, TIMES, "smlie", "smile"),
    ):
        with pytest.raises(MienError, match=message):
            analyse_track(track, list(times), task=task)


def test_smoothing_keeps_parabolas_and_rates_however_frames_come() -> None:
    times = np.cumsum(np.random.default_rng(0).uniform(0.02, 0.06, 40))
    values, rates = smoothed((3 * times**2 - times)[:, None], times)
    assert values[:, 0] == pytest.approx(3 * times**2 - times)
    assert rates[:, 0] == pytest.approx(6 * times - 1)


def test_two_levels_are_parted_between_them() -> None:
    assert 1.2 < split_level(np.array([1.0, 1.1, 0.9, 1.2, 5.0, 5.2])) < 5.0
