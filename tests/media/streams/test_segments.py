"""Videos in segments: however often their writing is interrupted, the joined video has the same packets."""

from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.streams.segments import SegmentedVideo, remove_segments
from mien.media.streams.writer import TICKS
from mien.media.video import frames

av = pytest.importorskip("av")
TIMES = [0.0, 0.1, 0.2, 0.2, 0.35, 0.9, 1.0, 1.1, 1.2, 4.0, 4.1, 4.2]  # uneven, one twice


def pictures() -> list[np.ndarray]:
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 1)).repeat(3, 2).astype(np.uint8)
    return [np.roll(noise, 3 * number, 1) for number in range(len(TIMES))]


def packets(path: Path) -> list[tuple[int, int, bytes]]:
    with av.open(str(path)) as container:
        return [(packet.pts, packet.dts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def begun(folder: Path) -> SegmentedVideo:
    return SegmentedVideo(folder, size=(32, 32), rate_hz=10.0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Segments of five pictures, joined without a break."""
    folder = tmp_path_factory.mktemp("whole")
    video = begun(folder / "segments")
    for number, (picture, time_s) in enumerate(zip(pictures(), TIMES, strict=True), 1):
        video.picture(picture, time_s)
        if number % 5 == 0:
            video.state()
    video.join(folder / "a.mp4", None)
    return folder / "a.mp4"


def test_a_joined_video_has_every_picture_at_its_time(whole: Path) -> None:
    shown = list(frames(whole))
    assert [frame.timestamp_s for frame in shown] == pytest.approx(TIMES, abs=2 / TICKS)
    wrong = [
        np.abs(frame.pixels.astype(int) - picture).mean() for frame, picture in zip(shown, pictures(), strict=True)
    ]
    other = [np.abs(shown[0].pixels.astype(int) - picture).mean() for picture in pictures()[1:]]
    assert max(wrong) < 0.5 * min(other)
    decoding = [packet[1] for packet in packets(whole)]
    assert decoding == sorted(set(decoding)) and all(pts >= dts for pts, dts, _ in packets(whole))


@pytest.mark.parametrize("kept", [0, 1, 2])
def test_it_goes_on_behind_its_last_state(whole: Path, tmp_path: Path, kept: int) -> None:
    """A kill within the segment behind: its file, half or whole, counts for nothing."""
    video, state = begun(tmp_path / "segments"), None
    for number, (picture, time_s) in enumerate(zip(pictures()[: 5 * kept + 3], TIMES, strict=False), 1):
        video.picture(picture, time_s)
        if number % 5 == 0:
            state = video.state()
    video.close_segment()
    del video
    (tmp_path / "segments" / f".{kept:06d}.abcdefgh.nut").write_bytes(b"half")

    video = begun(tmp_path / "segments") if state is None else SegmentedVideo.restored(tmp_path / "segments", state)
    assert len(list((tmp_path / "segments").glob("*"))) == kept
    for number, (picture, time_s) in enumerate(zip(pictures(), TIMES, strict=True)):
        if number >= 5 * kept:
            video.picture(picture, time_s)
            if (number + 1) % 5 == 0:
                video.state()
    video.join(tmp_path / "b.mp4", None)
    assert packets(tmp_path / "b.mp4") == packets(whole)
    remove_segments(tmp_path / "segments")
    assert [path.name for path in tmp_path.iterdir()] == ["b.mp4"]


def test_a_state_whose_segments_are_not_as_they_were_is_refused(tmp_path: Path) -> None:
    video = begun(tmp_path)
    video.picture(pictures()[0], 0.0)
    state = video.state()
    for wrong, message in (
        ({**state, "encoder": "PyAV 0"}, "was encoded by PyAV 0, this is"),
        ({**state, "segments": [[0]]}, "a damaged drawn video"),
        ({**state, "segments": [[0, 7]]}, "000000.nut of its drawn video is missing or damaged"),
    ):
        with pytest.raises(MienError, match=message):
            SegmentedVideo.restored(tmp_path, wrong)
    (tmp_path / "000000.nut").unlink()
    with pytest.raises(MienError, match="missing or damaged"):
        SegmentedVideo.restored(tmp_path, state)
