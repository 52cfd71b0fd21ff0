"""Numbers stay with persons who cross, hide and come back after a cut; tracks end where there is no face."""

import sys
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.geometry import intersection_over_union
from mien.core.records import Box
from mien.runtime.tracking.checkpoints import FACES, Checkpoints
from mien.runtime.tracking.state import State
from mien.runtime.tracking.tracker import BoxTracker, CutDetector, FaceTracker, TrackOptions

sys.path.insert(0, str(Path(__file__).parent))
from stage import RATE_HZ, Actor, Stage, StagedDetector, StagedLandmarker, actors, play


@pytest.fixture(scope="module")
def cast() -> list[Actor]:
    return actors(9)


def tracker(detect_every: int = 10, max_faces: int | None = None) -> tuple[FaceTracker, StagedDetector]:
    detector = StagedDetector()
    return FaceTracker(detector, StagedLandmarker(detector), TrackOptions(detect_every, max_faces)), detector


def numbers_of(stage: Stage, found: list[tuple[int, Box]]) -> dict[int, list[int]]:
    """By person in view, the numbers of the boxes on the face."""
    return {
        person: [number for number, other in found if intersection_over_union(box, other) > 0.5]
        for person, box in stage.boxes().items()
    }


@pytest.mark.parametrize("follow", [True, False])
def test_numbers_stay_with_persons_who_cross_hide_and_come_back(cast: list[Actor], follow: bool) -> None:
    following, detector = tracker()
    boxes = BoxTracker()
    owner: dict[int, int] = {}
    missed = total = 0
    for index, stage in enumerate(play(cast)):
        detector.stage, time_s = stage, index / RATE_HZ
        if follow:
            found = [(face.track_id, face.box) for face in following(stage.pixels, time_s)]
        else:
            detected = [face.box for face in detector(stage.pixels)]
            found = list(zip(boxes(stage.pixels, detected, time_s), detected, strict=True))
        assert len({number for number, _ in found}) == len(found)
        for person, numbers in numbers_of(stage, found).items():
            total, missed = total + 1, missed + (len(numbers) != 1)
            for number in numbers:
                assert owner.setdefault(number, person) == person, f"frame {index}"
    assert sorted(owner) == [0, 1, 2]  # nobody has got a second number either
    assert missed <= (0.04 * total if follow else 0)
    assert not follow or detector.calls < 30  # of 150 frames


def test_a_track_ends_where_its_face_has_gone(cast: list[Actor]) -> None:
    following, detector = tracker()
    for index in range(6):
        place = [(cast[0], (100.0, 100.0))] if index < 3 else []
        detector.stage = Stage(place, shade=90, number=index)
        assert len(following(detector.stage.pixels, index / RATE_HZ)) == (index < 3)


def test_sure_points_are_followed_for_a_while_without_the_detector(cast: list[Actor]) -> None:
    """As of a face in profile, which dlib does not find."""
    following, detector = tracker()
    detector.stage = Stage([(cast[0], (100.0, 100.0))], shade=90, number=0)
    following(detector.stage.pixels, 0.0)
    following.detect = lambda pixels: []
    found = [len(following(detector.stage.pixels, index / RATE_HZ)) for index in range(1, 80)]
    assert all(found[:45]) and not any(found[62:])


def test_at_most_so_many_faces_and_those_that_are_tracked_stay(cast: list[Actor]) -> None:
    following, detector = tracker(max_faces=1)
    ids = []
    for index in range(30):
        places = [(cast[0], (100.0, 100.0))] + ([(cast[1], (300.0, 100.0))] if index > 5 else [])
        detector.stage = Stage(places, shade=90, number=index)
        ids += [face.track_id for face in following(detector.stage.pixels, index / RATE_HZ)]
    assert ids == [0] * 30


def test_frames_far_apart_are_all_searched(cast: list[Actor]) -> None:
    following, detector = tracker()
    for index in range(5):
        detector.stage = Stage([(cast[0], (100.0 + 8 * index, 100.0))], shade=90, number=index)
        assert [face.track_id for face in following(detector.stage.pixels, float(index))] == [0]
    assert detector.calls == 5


def test_a_cut_is_a_sudden_change_of_the_whole_picture() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 255, (2, 90, 160, 3)).astype(np.uint8)
    is_cut = CutDetector()
    shown = [one, one, one, other, other, one]
    assert [is_cut(pixels, 0.04 * i) for i, pixels in enumerate(shown)] == [False, False, False, True, False, True]
    assert not is_cut(other, 2.0)  # after so long anything may have changed
    fading = CutDetector()
    assert not any(fading(np.full((90, 160, 3), 100 + 3 * step, np.uint8), 0.04 * step) for step in range(40))


def test_wrong_options() -> None:
    with pytest.raises(MienError, match="detect_every must be 1"):
        TrackOptions(0)


@pytest.mark.parametrize("follow", [True, False])
def test_a_tracker_goes_on_from_a_stored_state_bit_for_bit(cast: list[Actor], tmp_path: Path, follow: bool) -> None:
    def tracked(first: int, last: int, before: State | None = None) -> tuple[list[tuple], State]:
        following, detector = tracker()
        boxes, found = BoxTracker(), list[tuple]()
        if before is not None:
            (following if follow else boxes).restore(before)
        for index, stage in enumerate(islice(play(cast), first, last), first):
            detector.stage, time_s = stage, index / RATE_HZ
            if follow:
                faces = following(stage.pixels, time_s)
                found += [(f.track_id, f.box, f.score, f.points and f.points.landmarks_px.tobytes()) for f in faces]
            else:
                given = [face.box for face in detector(stage.pixels)]
                found += zip(boxes(stage.pixels, given, time_s), given, strict=True)
        return found, (following if follow else boxes).state()

    whole, end = tracked(0, 70)
    start, state = tracked(0, 43)
    state.write(tmp_path / "state.npz")
    rest, end_of_rest = tracked(43, 70, State.read(tmp_path / "state.npz"))
    assert start + rest == whole and len(rest) > 27
    assert end_of_rest.values == end.values
    assert {name: array.tobytes() for name, array in end_of_rest.arrays.items()} == {
        name: array.tobytes() for name, array in end.arrays.items()
    }


@pytest.mark.parametrize(
    "spoiled",
    [
        {"looks": np.zeros((9, 3), np.float32)},
        {"points_0": np.zeros((68, 3))},
        {"looks": np.zeros((0, 320), np.float32)},
    ],
)
def test_a_state_of_something_else_is_refused_in_one_line(cast: list[Actor], spoiled: dict[str, np.ndarray]) -> None:
    following, detector = tracker()
    for index, stage in enumerate(islice(play(cast), 2)):
        detector.stage = stage
        following(stage.pixels, index / RATE_HZ)
    state = following.state()
    parts = {FACES: replace(state, arrays=state.arrays | {f"tracks/{name}": value for name, value in spoiled.items()})}
    with pytest.raises(MienError, match="no state of faces in it"):
        Checkpoints(start=parts).restore(FACES, tracker()[0])
