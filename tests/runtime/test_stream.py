"""Streams: videos, and frames of a program, as they come; the demo videos, with tracks."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tiny_points import frontal_face, steady_frame, write_point_bundle

from mien import Analyzer
from mien.core.errors import MienError
from mien.media.video import FrameSelection


@pytest.fixture(scope="module")
def dots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    face = frontal_face()
    folder = tmp_path_factory.mktemp("dots") / "dots"
    return write_point_bundle(folder, {"landmarks": face[:, :2]}, **steady_frame(face))


@pytest.fixture
def following(tiny_bundle: Path, dots: Path) -> Analyzer:
    return Analyzer(tiny_bundle, backend="onnxruntime", threads=1, landmarks=dots)


def test_frames_of_a_program_are_read_as_they_come(following: Analyzer, astronaut: np.ndarray) -> None:
    asked: list[int] = []

    def forever() -> Iterator[tuple[np.ndarray, float]]:
        for number in range(10**9):
            asked.append(number)
            yield astronaut[:200, 120:320], number / 10

    before = threading.active_count()
    stream = following.stream(forever())
    found = [next(stream) for _ in range(3)]
    assert [(face.frame, face.timestamp_s, face.track_id, face.success) for face in found] == [
        (0, 0.0, 0, True), (1, 0.1, 0, True), (2, 0.2, 0, True),
    ]  # fmt: skip
    assert found[0].origin is not None and found[0].points is not None
    assert len(asked) < 20  # frames wait for their reader
    stream.close()
    assert threading.active_count() <= before + 1  # but for the network's own workers


def test_what_is_no_frame_is_refused(following: Analyzer) -> None:
    with pytest.raises(MienError, match="Frame 0: A picture is uint8"):
        list(following.stream([np.zeros((4, 4), np.float32)]))
    with pytest.raises(MienError, match="no such file"):
        list(following.stream("nothing.mp4"))


def test_a_followed_face_has_the_points_of_the_frame_and_the_box_about_them(
    following: Analyzer, astronaut: np.ndarray
) -> None:
    """The face goes slowly to the right; the point network always answers with the middle of its crop."""
    frames = [np.ascontiguousarray(np.roll(astronaut, number, axis=1)[:250]) for number in range(12)]
    found = list(following.stream(frames))
    assert {face.track_id for face in found} == {0}
    for face in found:
        assert face.points is not None and face.box is not None
        low, high = face.points.landmarks_px.min(0), face.points.landmarks_px.max(0)
        assert face.box[0] <= (low[0] + high[0]) / 2 <= face.box[2]


@pytest.mark.shared
@pytest.mark.parametrize("detect_every", [1, 10])
def test_the_person_of_a_demo_video_is_one_track(shared: Path, detect_every: int) -> None:
    pytest.importorskip("av")
    path = shared / "demo" / "video" / "WolfgangLanger_Pexels.mp4"  # a hand before the face, turns, a tilted head
    analyzer = Analyzer(threads=1, detect_every=detect_every)
    selection = FrameSelection(start_s=4.0, end_s=5.0) if detect_every > 1 else FrameSelection(rate_hz=1.0, end_s=16.0)
    found = list(analyzer.stream(path, selection=selection))
    assert len(found) >= 16 and all(face.success and face.track_id == 0 for face in found)
