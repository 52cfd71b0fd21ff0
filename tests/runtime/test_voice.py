"""A network with a voice reads a video with its sound; without one its cells are empty and the note says why."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, save
from tiny_points import frontal_face, write_point_bundle

from mien import Analyzer
from mien.core.bundle import BundleInfo
from mien.core.errors import MienError
from mien.core.labels import LabelSet
from mien.core.spec import Output, PictureInput, SoundInput
from mien.media.sound.audio import Sound
from mien.media.sound.mel import log_mel
from mien.media.video import frames, write_video

pytest.importorskip("av")
pytest.importorskip("soxr")

VOICE = SoundInput(rate_hz=8000, samples=4000, fft=256, hop=250, mels=4, high_hz=4000.0)
LOUDNESS = Output("values", ("loudness", "brightness"))
VOLUME = Output.classes(LabelSet("volume", ("loud", "bright")))


def write_listening(folder: Path, voice: SoundInput = VOICE) -> Path:
    """A network that gives the mean of its log-mel picture and that of its picture."""
    folder.mkdir(parents=True)
    nodes = [
        helper.make_node("ReduceMean", ["voice"], ["heard"], axes=[2, 3], keepdims=0),
        helper.make_node("ReduceMean", ["image"], ["shown"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["shown", "last"], ["column"]),
        helper.make_node("Concat", ["heard", "column"], ["affect"], axis=1),
        helper.make_node("Identity", ["affect"], ["volume"]),
    ]
    last = helper.make_tensor("last", TensorProto.INT64, [1], [1])
    shapes = {"image": (3, 32, 32), "voice": voice.shape, "affect": (2,), "volume": (2,)}
    ports = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["batch", *shape]) for n, shape in shapes.items()]
    graph = helper.make_graph(nodes, "listening", ports[:2], ports[2:], [last])
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "model.onnx")
    files = {"model.onnx": hashlib.sha256((folder / "model.onnx").read_bytes()).hexdigest()}
    inputs = {"image": PictureInput(size=32), "voice": voice}
    info = BundleInfo("listening", {}, inputs, {"affect": LOUDNESS, "volume": VOLUME}, files=files)
    (folder / "system.json").write_text(info.to_json(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_listening(tmp_path_factory.mktemp("bundles") / "listening")


def write_clip(path: Path, astronaut: np.ndarray, sound: Sound | None) -> Path:
    """Twelve frames in 1.2 s: the astronaut, in every fourth one nobody."""
    pictures = np.repeat(astronaut[None, 40:240, 120:320], 12, 0)
    pictures[::4] = 90
    write_video(path, pictures, rate_hz=10.0, sound=sound)
    return path


def with_exact_sound(video: Path, path: Path, sound: Sound) -> Path:
    """The pictures of a video, with this sound as PCM in whole numbers."""
    import av

    with av.open(str(video)) as source, av.open(str(path), "w") as container:
        pictures = container.add_stream_from_template(source.streams.video[0])
        voice = container.add_stream("pcm_s16le", rate=sound.sample_rate_hz, layout="mono")
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = pictures
                container.mux(packet)
        whole = np.round(sound.samples * 32768).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = sound.sample_rate_hz, 0
        container.mux(voice.encode(frame))
        container.mux(voice.encode())
    return path


@pytest.fixture(scope="module")
def tone() -> Sound:
    """At the rate of the network, in steps of 16 bits: the first 0.6 s a tone, then noise."""
    times = np.arange(9600) / 8000
    noise = np.random.default_rng(0).normal(0, 0.1, len(times))
    samples = np.where(times < 0.6, 0.5 * np.sin(2 * np.pi * 700 * times), noise)
    return Sound((np.round(samples * 32768) / 32768).astype(np.float32), 8000)


def readings_of(analyzer: Analyzer, video: Path, **options: int) -> list:
    return [reading for read in analyzer.read_video(video, **options) for reading in read.readings]


@pytest.mark.parametrize("padding", ["zeros", "repeat"])
def test_each_frame_gets_the_sound_that_ends_with_it(tmp_path, astronaut, tone, padding):
    voice = SoundInput(**{**VOICE.to_dict(), "padding": padding})
    bundle = write_listening(tmp_path / "bundle", voice)
    video = with_exact_sound(write_clip(tmp_path / "a.mp4", astronaut, None), tmp_path / "b.mkv", tone)
    readings = readings_of(Analyzer(bundle, backend="onnxruntime", threads=1, landmarks=False), video)
    assert [reading.success for reading in readings] == [False, True, True, True] * 3
    for reading, frame in zip(readings, frames(video), strict=True):
        if not reading.success:
            continue
        end = round(frame.timestamp_s * 8000)
        heard = tone.samples[max(0, end - 4000) : end]
        silence = np.zeros(4000 - len(heard), np.float32)
        repeated = np.concatenate([heard] * 10)[-4000:]
        window = repeated if padding == "repeat" else np.concatenate([silence, heard])
        expected = float(log_mel(Sound(window.astype(np.float32), 8000), voice).mean())
        assert reading.outputs["affect"]["loudness"] == pytest.approx(expected, abs=1e-5)
        assert reading.note == ""


def test_numbers_do_not_depend_on_batches_or_on_the_first_frame(listening, tmp_path, astronaut, tone):
    video = write_clip(tmp_path / "a.mp4", astronaut, tone)
    analyzer = Analyzer(listening, backend="onnxruntime", threads=2, landmarks=False)
    readings = readings_of(analyzer, video)
    for options in ({"batch_size": 1}, {"workers": 1, "batch_size": 5}):
        assert readings_of(analyzer, video, **options) == readings
    assert readings_of(analyzer, video, first=6) == readings[6:]
    assert readings_of(analyzer, video, every=2) == readings[::2]


def test_without_sound_the_cells_are_empty_and_the_note_says_why(listening, tiny_bundle, tmp_path, astronaut):
    video = write_clip(tmp_path / "a.mp4", astronaut, None)
    analyzer = Analyzer([listening, tiny_bundle], backend="onnxruntime", threads=1, landmarks=False)
    alone = Analyzer(tiny_bundle, backend="onnxruntime", threads=1, landmarks=False)
    pairs = [[readings_of(each, video)[1] for each in (analyzer, alone)]]
    pairs.append([each.read(astronaut)[0] for each in (analyzer, alone)])
    for reading, other in pairs:
        assert reading.success and reading.expression is None and list(reading.outputs) == ["expression"]
        assert reading.outputs["expression"] == other.outputs["expression"] and other.note == ""
        assert reading.note == f"no voice, needed by {analyzer.networks[0].info.model_id}"
        row = analyzer.columns.row(reading)
        assert row.get("loudness") is None and row.get("prob_loud") is None and row["expression"] is None
    assert analyzer.read(np.full((200, 200, 3), 90, np.uint8))[0].note == "no face found"
    assert "ends at the frame's time" in analyzer.columns.described()["voice"]
    assert "voice" not in alone.columns.described()


def test_points_and_a_voice_are_read_together(listening, tmp_path, astronaut, tone):
    dots = write_point_bundle(tmp_path / "dots", {"landmarks": frontal_face()[:, :2]})
    video = write_clip(tmp_path / "a.mp4", astronaut, tone)
    analyzer = Analyzer([listening, dots], backend="onnxruntime", threads=1)
    reading = readings_of(analyzer, video)[1]
    assert reading.points is not None and reading.expression in ("loud", "bright")


def test_a_video_that_cannot_be_opened_is_refused_in_one_line(listening, tmp_path):
    (tmp_path / "a.mp4").write_text("no video")
    with pytest.raises(MienError, match="not a video that can be read"):
        readings_of(Analyzer(listening, backend="onnxruntime", threads=1, landmarks=False), tmp_path / "a.mp4")
