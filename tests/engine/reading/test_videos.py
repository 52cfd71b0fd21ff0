"""Videos through `mien analyze`: chosen frames, tracks, videos with labelled faces, cameras, pipes, wrong options."""

import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from analyzed import rows, run

from mien.core.errors import MienError
from mien.engine.reading import run as module
from mien.engine.reading.inputs import live_sources, seconds
from mien.media.streams import source as sources
from mien.media.tables import TableWriter
from mien.media.video.decoder import Decoder

av = pytest.importorskip("av")
RATE = 8000


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, portrait: np.ndarray) -> Path:
    """Twenty frames in two seconds, with a sound; in the last five nobody."""
    from mien.media.sound.audio import Sound
    from mien.media.video import write_video

    pictures = np.repeat(portrait[None], 20, 0)
    pictures[15:] = 90
    path = tmp_path_factory.mktemp("video") / "video.mp4"
    tone = np.sin(np.arange(2 * RATE) / RATE * 2 * np.pi * 300).astype(np.float32) * 0.5
    write_video(path, pictures, rate_hz=10, sound=Sound(tone, RATE))
    return path


@pytest.fixture(scope="module")
def drawn_whole(video: Path, bundle: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run with an overlay video, in segments of six frames, that nobody stopped."""
    folder = tmp_path_factory.mktemp("drawn") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "SEGMENT_FRAMES", 6)
        run(video, output=folder, bundle=bundle, overlay_video=True)
    return folder


def test_chosen_frames_are_read_and_recorded(video: Path, tmp_path: Path, bundle: str) -> None:
    run(video, output=tmp_path / "out", bundle=bundle, fps=5.0, start="0.5", end="0:01.2", overlay=False, max_faces=1)
    assert [row["timestamp"] for row in rows(tmp_path / "out")] == ["0.500000", "0.600000", "0.800000", "1.000000"]
    described = json.loads((tmp_path / "out" / "readings.json").read_text())
    names = ("every", "fps", "start_s", "end_s", "detect_every", "max_faces")
    assert [described[name] for name in names] == [1, 5.0, 0.5, 1.2, 1, 1]
    assert "same in all frames" in described["columns"]["track_id"]["meaning"]
    with pytest.raises(MienError, match=r"was read with fps 5.0, this run has None"):
        run(video, output=tmp_path / "out", bundle=bundle, overlay=False, resume=True)


def test_followed_faces_have_one_number_and_end_with_the_face(
    video: Path, tmp_path: Path, bundle: str, dots: str
) -> None:  # fmt: skip
    options = {"landmarks": "yes", "landmark_bundle": dots, "overlay": False}
    run(video, output=tmp_path / "every", bundle=bundle, detect_every=1, **options)
    run(video, output=tmp_path / "tracked", bundle=bundle, **options)
    every, tracked = rows(tmp_path / "every"), rows(tmp_path / "tracked")
    assert [row["success"] for row in every] == [row["success"] for row in tracked] == ["1"] * 15 + ["0"] * 5
    for found in (every, tracked):
        assert [row["track_id"] for row in found] == ["0"] * 15 + [""] * 5
    assert json.loads((tmp_path / "tracked" / "readings.json").read_text())["detect_every"] == 10
    with pytest.raises(MienError, match=r"was read with detect_every 10, this run has 1"):
        run(video, output=tmp_path / "tracked", bundle=bundle, detect_every=1, resume=True, **options)


def test_a_video_with_labelled_faces_keeps_times_and_sound(video: Path, tmp_path: Path, bundle: str) -> None:
    from mien.media.video import frames

    run(video, output=tmp_path / "out", bundle=bundle, overlay_video=True, start="0.5")
    drawn = list(frames(tmp_path / "out" / "overlays" / "video.mp4"))
    assert [frame.timestamp_s for frame in drawn] == pytest.approx(np.arange(15) / 10, abs=2e-3)
    original = list(frames(video))[5:]
    changed = [float(np.abs(a.pixels.astype(int) - b.pixels).mean()) for a, b in zip(drawn, original, strict=True)]
    assert min(changed) > 1  # a frame about the face, or the note that there is none
    with av.open(str(tmp_path / "out" / "overlays" / "video.mp4")) as container:
        sound = container.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(1.5, abs=0.25)


def packets(path: Path) -> list[tuple[str, int, int, bytes]]:
    with av.open(str(path)) as container:
        found = container.demux()
        return [(packet.stream.type, packet.pts, packet.dts, bytes(packet)) for packet in found if packet.size]


@pytest.mark.parametrize(("stop", "first"), [(3, None), (8, 6), (20, 18)])
def test_a_run_that_stops_goes_on_to_the_same_overlay_video(
    *, video: Path, drawn_whole: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch, stop: int,
    first: int | None,
) -> None:  # fmt: skip
    """stop: rows that are written when Ctrl-C comes. first: the frame it goes on from; None is the video's start."""
    append, count = TableWriter.append, [0]

    def stopping(self: TableWriter, table_rows: list) -> None:
        append(self, table_rows)
        count[0] += 1
        if count[0] == stop:
            raise KeyboardInterrupt

    monkeypatch.setattr(module, "SEGMENT_FRAMES", 6)
    options = {"bundle": bundle, "overlay_video": True}
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt) as stopped:
        patched.setattr(TableWriter, "append", stopping)
        run(video, output=tmp_path / "out", **options)
    goes_on = f"goes on from frame {first} of {video}, behind" if first else f"reads {video} again from its start"
    assert goes_on in stopped.value.__notes__[0]
    assert list((tmp_path / "out").glob("overlays/*")) == [] and len(rows(tmp_path / "out")) == stop

    decoded = []
    pixels_of = Decoder.pixels_of
    monkeypatch.setattr(Decoder, "pixels_of", lambda *given: decoded.append(1) or pixels_of(*given))
    printed = run(video, output=tmp_path / "out", resume=True, **options)
    assert (f"read on from frame {first}, behind" if first else "read again from its start, since no state") in printed
    assert len(decoded) == 20 - (first or 0)
    assert rows(tmp_path / "out") == rows(drawn_whole)
    assert packets(tmp_path / "out" / "overlays" / "video.mp4") == packets(drawn_whole / "overlays" / "video.mp4")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {path.name for path in drawn_whole.iterdir()}
    again = run(video, output=tmp_path / "out", resume=True, **options)  # nothing is left to do
    assert (
        "20 read before" in again and len(decoded) == 20 - (first or 0) and rows(tmp_path / "out") == rows(drawn_whole)
    )


class Device:
    """A camera that is unplugged after four frames."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.left = pixels[..., ::-1], 4

    def isOpened(self) -> bool:
        return True

    def read(self):
        self.left -= 1
        return self.left >= 0, self.pixels

    def release(self) -> None:
        pass


def test_a_camera_that_is_unplugged_is_one_line_and_its_rows_are_saved(
    portrait: np.ndarray, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources.cv2, "VideoCapture", lambda number: Device(portrait))
    said = run("0", output=tmp_path / "out", bundle=bundle, overlay=False)
    assert "not read: camera_0: gives no more frames after" in said
    found = rows(tmp_path / "out")
    assert {row["source"] for row in found} == {"camera_0"}
    assert found[-1]["success"] == "0" and "unplugged" in found[-1]["note"]
    assert len(found) >= 2 and all(row["success"] == "1" for row in found[:-1])
    with pytest.raises(MienError, match="--resume reads the rest of files; camera_0 cannot be read again"):
        run("0", output=tmp_path / "out", bundle=bundle, resume=True)


def test_raw_frames_through_standard_input(
    portrait: np.ndarray, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.TextIOWrapper(io.BufferedReader(io.BytesIO(portrait.tobytes() * 3)))
    monkeypatch.setattr(sys, "stdin", pipe)
    run("-", output=tmp_path / "out", bundle=bundle, overlay=False, stdin_frames="200x200@10")
    found = rows(tmp_path / "out")
    assert [(row["source"], row["timestamp"], row["track_id"]) for row in found] == [
        ("stdin", "0.000000", "0"), ("stdin", "0.100000", "0"), ("stdin", "0.200000", "0"),
    ]  # fmt: skip


def test_a_video_through_standard_input(
    video: Path, tmp_path: Path, bundle: str, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    with av.open(str(video)) as container, av.open(str(tmp_path / "a.mkv"), "w") as target:
        stream = target.add_stream_from_template(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper((tmp_path / "a.mkv").open("rb")))
    run("-", output=tmp_path / "out", bundle=bundle, overlay=False, end="0.5")
    assert [row["source"] for row in rows(tmp_path / "out")] == ["stdin"] * 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fps": 5.0, "every": 2}, "fps and every both choose frames"),
        ({"fps": -1.0}, "fps must be a number of frames a second above 0"),
        ({"start": "2", "end": "1"}, "end must lie after start"),
        ({"start": "1:75"}, "60 or more of its smaller units"),
        ({"end": "soon"}, "--end is a time in seconds or as minutes:seconds"),
        ({"start": "9"}, "the video ends at 1.90 s, before start"),
        ({"max_faces": 0}, "--max-faces must be 1 or more"),
        ({"detect_every": 0}, "--detect-every must be 1 or more"),
        ({"stdin_frames": "6x4@5"}, "--stdin-frames says what comes through standard input"),
    ],
)
def test_wrong_options_are_one_line(video: Path, tmp_path: Path, bundle: str, options: dict, message: str) -> None:
    with pytest.raises(MienError, match=message) as caught:
        run(video, output=tmp_path / "out", bundle=bundle, **options)
    assert "\n" not in str(caught.value)


def test_what_is_a_camera_and_what_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "1").touch()
    files, live = live_sources(["0", "1", "a.jpg"], None)
    assert files == ["1", "a.jpg"] and list(live) == [Path("camera_0")]
    assert [seconds(text, "start") for text in ("90", "1:30", "1:02:03.5", None)] == [90, 90, 3723.5, None]
