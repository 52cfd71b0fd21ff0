"""Files are opened as files: no name and no content makes reading open a socket or another file."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.sound.audio import Sound, read_sound, write_sound
from mien.media.video import frames, video_info, write_video

av = pytest.importorskip("av")


def write_frames(path: Path, *, frames: int) -> None:
    """MPEG-4 of 64 x 48 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for index in range(frames):
            pixels = np.full((48, 64, 3), 40 * index, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())


class Listener:
    """A port of this machine, and what was asked of it."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.asked = self.socket.getsockname()[1], list[bytes]()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(200))


@pytest.fixture
def listener() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.socket.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a name without a folder is what FFmpeg would take for an address."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(port: int) -> list[str]:
    free = free_port()
    return [
        f"http:127.0.0.1:{port}.mp4", f"tcp:127.0.0.1:{free}?listen&timeout=3000000&.mp4", "pipe:0.mp4", "fd:.mp4",
        "concat:a.mp4|b.mp4", "data:video;base64,AAAA.mp4", "subfile,,start,0,end,0,,:a.mp4", "-.mp4", "file:a.mp4",
        "a%03d.mp4", "a?b#c.mp4", "é \N{GRINNING FACE}.mp4",
    ]  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="these names are not allowed there")
def test_a_name_is_a_file(inside: Path, listener: Listener) -> None:
    write_frames(inside / "plain.mp4", frames=3)
    content = Path("plain.mp4").read_bytes()
    for name in names(listener.port):
        Path(name).write_bytes(content)
        assert video_info(name).size == (64, 48), name
        assert len(list(frames(name))) == 3, name
    assert not listener.asked


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_not_utf8(inside: Path) -> None:
    write_frames(inside / "plain.mp4", frames=2)
    name = os.fsdecode(b"\xff\xfe.mp4")
    Path(name).write_bytes(Path("plain.mp4").read_bytes())
    assert len(list(frames(name))) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="these names are not allowed there")
def test_writing_goes_to_a_file(inside: Path, listener: Listener) -> None:
    name = f"http:127.0.0.1:{listener.port}.mp4"
    pictures = np.zeros((3, 48, 64, 3), np.uint8)
    try:
        write_video(name, pictures, rate_hz=10)
    except av.error.EncoderNotFoundError:
        pytest.skip("this PyAV has no H.264")
    assert video_info(name).size == (64, 48) and not listener.asked


def lists(port: int, video: Path) -> dict[str, str]:
    """Files that name others: by address and by neighbour."""
    found = {}
    for kind, target in (
        ("address", f"http://127.0.0.1:{port}/a.mp4"),
        ("neighbour", video.name),
        ("whole", str(video)),
    ):
        found |= {
            f"{kind}_concat": f"ffconcat version 1.0\nfile '{target}'\n",
            f"{kind}_hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
            f"{kind}_dash": f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
            f'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT1S"><Period>'
            f'<AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{target}</BaseURL>'
            f'<SegmentBase indexRange="0-1"/></Representation></AdaptationSet></Period></MPD>',
            f"{kind}_reference": f"[Reference]\nRef1={target}\n",
        }
    return found | {
        "session": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "numbered": "P6 2 2 255\n" + "abc" * 4,
    }


@pytest.mark.parametrize("suffix", [".mp4", ".m3u8", ".ffconcat", ".mpd", ".sdp", ".ppm"])
def test_a_list_of_files_is_no_video(inside: Path, listener: Listener, suffix: str) -> None:
    write_frames(inside / "video.mp4", frames=2)
    for name, text in lists(listener.port, inside / "video.mp4").items():
        path = Path(name + suffix)
        path.write_text(text)
        for read in (video_info, lambda path: list(frames(path))):
            with pytest.raises(MienError, match="not a video that can be read") as caught:
                read(path)
            assert "\n" not in str(caught.value)
    assert not listener.asked


def test_sounds_are_files_too(inside: Path, listener: Listener) -> None:
    pytest.importorskip("soundfile")
    write_sound("a.flac", Sound(np.zeros(800, np.float32), 8000))
    for name in ("-", f"http:127.0.0.1:{listener.port}.flac" if sys.platform != "win32" else "b.flac"):
        Path(name).write_bytes(Path("a.flac").read_bytes())
        assert read_sound(name).sample_rate_hz == 8000
    Path("a.raw").write_bytes(b"12345678")
    with pytest.raises(MienError, match="not a sound that can be read"):
        read_sound("a.raw")
    assert not listener.asked


READ = """
import sys
from mien import Analyzer
from mien.runtime.landmarks import Landmarker
import numpy as np
analyzer = Analyzer(backend=sys.argv[1], landmarks=Landmarker(backend=sys.argv[1]))
analyzer.read(np.zeros((64, 64, 3), np.uint8))
import time
time.sleep(1)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a home of its own")
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_reading_asks_nobody_and_writes_nothing_at_home(tmp_path: Path, listener: Listener, backend: str) -> None:
    pytest.importorskip(backend)
    home = tmp_path / "home"
    home.mkdir()
    proxy = f"http://127.0.0.1:{listener.port}"
    left = {
        key: value
        for key, value in os.environ.items()
        if key.lower() not in ("ci", "no_proxy", "ort_disable_telemetry", "xdg_cache_home")
    }
    env = left | {"HOME": str(home), "https_proxy": proxy, "http_proxy": proxy, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", READ, backend], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not listener.asked
    assert [str(path.relative_to(home)) for path in home.rglob("*")] == []
