"""`mien perceive` with a network worked by hand: pictures and videos, and voices of every kind."""

import csv
import json
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("soxr")
sys.path.insert(0, str(Path(__file__).parents[1] / "toy"))
from context_bundle import CLASSES, SIDE, SOUND, write_context_bundle
from PIL import Image

from mien.__main__ import main
from mien.core.decode import probabilities
from mien.core.errors import MienError
from mien.engine.reading.perceive.drawings import changed_photo
from mien.engine.reading.perceive.faces import LargestFace
from mien.media.sound.audio import Sound, write_sound
from mien.media.sound.mel import log_mel
from mien.runtime.voice.perceiver import Perceived, Perceiver
from mien.synthetic.people import portrait

RATE = SOUND.rate_hz


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_context_bundle(tmp_path_factory.mktemp("bundles") / "hand")


@pytest.fixture
def face(tmp_path: Path) -> Path:
    """A grey square that is a face where the detector is none."""
    Image.fromarray(np.full((SIDE, SIDE, 3), 102, np.uint8)).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def tone(seconds: float, *, level: float = 0.3, rate: int = RATE, seed: int = 0) -> Sound:
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).normal(0, 0.02, len(times))
    return Sound((level * np.sin(2 * np.pi * 220 * times) + level * noise).astype(np.float32), rate)


def voice(path: Path, *parts: Sound) -> Path:
    write_sound(path, Sound(np.concatenate([part.samples for part in parts]), parts[0].sample_rate_hz))
    return path


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open(encoding="utf-8")))


@pytest.fixture
def run(bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def command(*words: object, output: str = "out", bundle: Path = bundle) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main([*map(str, ("perceive", *words, "--bundle", bundle, "--output", tmp_path / output))])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return command


def test_a_face_with_a_voice_has_the_numbers_worked_by_hand(run, face, tmp_path):
    sound = tone(0.75)
    heard = voice(tmp_path / "v.wav", sound)
    code, out, errors = run("--face", face, "--voice", heard, "--detector", "none")
    assert (code, errors) == (0, "") and "face with voice: " in out
    level = float(log_mel(Sound(np.round(sound.samples * 32768) / 32768, RATE), SOUND).mean())
    (row,) = rows(tmp_path / "out/windows.csv")
    expected = {"face": [0.4, 0.4, 0.4, 0.0], "voice": [0, 0, 0, 4 * level], "both": [0.4, 0.4, 0.4, 4 * level]}
    for way, logits in expected.items():
        found = [float(row[f"prob_{way}_{name}"]) for name in CLASSES]
        np.testing.assert_allclose(found, probabilities(np.array(logits, float)), atol=1e-3)
    assert row["expression_both"] == "anger" and (row["start_s"], row["to_s"]) == ("0.000", "0.750")
    assert float(row["change"]) == pytest.approx(level / 2, abs=0.003)
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "face.png as perceived with v.wav" in page and "http" not in page.split("<main>")[1]
    stated = json.loads((tmp_path / "out/perceive.json").read_text(encoding="utf-8"))
    assert stated["expressions"]["both"]["anger"] == pytest.approx(float(row["prob_both_anger"]), abs=1e-4)
    strengths = np.asarray(Image.open(tmp_path / "out/strengths.png").convert("L"), float)
    middles = [strengths[100, 14 + 238 * i + 112] for i in range(5)]
    assert np.diff(middles).min() > 0 and middles[0] == pytest.approx(0.45 * 255, abs=1)
    run("--face", face, "--voice", heard, "--detector", "none", output="again")
    assert (tmp_path / "again/windows.csv").read_bytes() == (tmp_path / "out/windows.csv").read_bytes()


def test_the_network_that_ships_is_the_default_and_follows_the_voice(tmp_path, capsys):
    """Whatever the voices are: another voice, another picture; at strength 0 none at all."""
    pixels, _ = portrait(0, 0)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    rate = 22050
    low = voice(tmp_path / "low.wav", tone(2.0, level=0.1, rate=rate, seed=1))
    high = voice(tmp_path / "high.wav", Sound(tone(2.0, rate=rate, seed=2).samples[::3].repeat(2), rate))
    words, found = ["perceive", "--face", str(tmp_path / "face.png"), "--detector", "none"], {}
    for name, heard, more in (("low", low, []), ("high", high, []), ("none", low, ["--strength", "0"])):
        assert main([*words, "--voice", str(heard), "--output", str(tmp_path / name), *more]) == 0
        found[name] = rows(tmp_path / name / "windows.csv")[0]
    assert "model can@" in capsys.readouterr().out
    assert float(found["none"]["shift"]) == 0 == float(found["none"]["change"])
    assert min(float(found[name]["shift"]) for name in ("low", "high")) > 0.01
    assert found["low"]["prob_face_anger"] == found["high"]["prob_face_anger"]
    assert found["low"]["shift"] != found["high"]["shift"] and found["low"]["change"] != found["high"]["change"]


def test_without_a_network_that_ships_one_must_be_named(face, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("mien.engine.reading.perceive.source.shipped_with", lambda *outputs: None)
    heard = voice(tmp_path / "v.wav", tone(0.75))
    code = main(["perceive", "--face", str(face), "--voice", str(heard), "--output", str(tmp_path / "out")])
    assert code == 2 and "No context network ships with this mien: --bundle BUNDLE." in capsys.readouterr().err


def test_strength_and_draws(run, face, tmp_path):
    heard = voice(tmp_path / "v.wav", tone(0.75))
    words = ("--face", face, "--voice", heard, "--detector", "none")
    assert run(*words, "--strength", 0, "--samples", 40)[0] == 0
    (row,) = rows(tmp_path / "out/windows.csv")
    assert float(row["change"]) == 0 and row["prob_both_joy"] == row["prob_face_joy"]
    drawn = json.loads((tmp_path / "out/perceive.json").read_text(encoding="utf-8"))["samples"]
    assert drawn["count"] == 40 and drawn["deviation"]["face"]["joy"] == 0
    assert 0.02 < drawn["deviation"]["both"]["joy"] < 0.1
    assert "40 draws" in (tmp_path / "out/report.html").read_text(encoding="utf-8")
    old = write_context_bundle(tmp_path / "old", controls=False)
    assert run(*words, bundle=old, output="plain")[0] == 0 and not (tmp_path / "plain/strengths.png").exists()
    code, _, errors = run(*words, "--strength", 0.5, bundle=old, output="other")
    assert code == 2 and "has no control 'strength'" in errors and errors.count("\n") == 1


def test_windows_slide_over_a_long_voice_and_silent_ones_are_empty_rows(run, face, tmp_path):
    silence = Sound(np.zeros(RATE * 2, np.float32), RATE)
    clipped = Sound(np.clip(tone(1.0, level=2.0).samples, -1, 1), RATE)
    heard = voice(tmp_path / "v.wav", tone(1.0), silence, clipped)
    code, out, _ = run("--face", face, "--voice", heard, "--detector", "none", "--hop-s", 0.5)
    found = rows(tmp_path / "out/windows.csv")
    assert code == 0 and [float(row["start_s"]) for row in found] == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.25]
    assert [row["to_s"] for row in found[:-1]] == [row["from_s"] for row in found[1:]] and found[-1]["to_s"] == "4.000"
    silent = [row for row in found if row["success"] == "0"]
    assert {row["window"] for row in silent} == {"2", "3", "4"}
    assert all("silent" in row["note"] and not row["prob_both_joy"] and not row["change"] for row in silent)
    assert "clipped" in found[-1]["note"] and "nan" not in (tmp_path / "out/windows.csv").read_text().lower()
    assert "5 of 8 windows" in out
    page = (tmp_path / "out/report.html").read_text(encoding="utf-8")
    assert "3 of 8 windows are silent" in page and "clipped" in page


@pytest.mark.parametrize(
    ("sound", "message"),
    [
        (Sound(np.zeros(RATE, np.float32), RATE), "silent (-120 dB of full scale)"),
        (tone(0.05), "0.05 s of sound; at least 0.3 s"),
    ],
)
def test_a_voice_that_says_nothing_is_refused_in_one_line(run, face, tmp_path, sound, message):
    code, _, errors = run("--face", face, "--voice", voice(tmp_path / "v.wav", sound), "--detector", "none")
    assert code == 2 and message in errors and errors.count("\n") == 1


def test_any_rate_and_number_of_channels(run, face, tmp_path):
    soundfile = pytest.importorskip("soundfile")
    samples = tone(0.75, rate=44_100).samples
    soundfile.write(tmp_path / "surround.wav", np.repeat(samples[:, None], 8, 1), 44_100)
    voice(tmp_path / "phone.wav", tone(0.75, rate=4000))
    for name, note in (("surround", False), ("phone", True)):
        assert run("--face", face, "--voice", tmp_path / f"{name}.wav", "--detector", "none", output=name)[0] == 0
        page = (tmp_path / name / "report.html").read_text(encoding="utf-8")
        assert ("recorded at 4000 Hz: nothing above 2000 Hz" in page) is note


def test_a_long_recording_is_read_evenly(run, face, tmp_path, monkeypatch):
    from mien.engine.reading.perceive import still

    monkeypatch.setattr(still, "MOST_WINDOWS", 10)
    heard = voice(tmp_path / "v.wav", tone(12.0))
    assert run("--face", face, "--voice", heard, "--detector", "none")[0] == 0
    found = rows(tmp_path / "out/windows.csv")
    assert 5 <= len(found) <= 10 and found[0]["from_s"] == "0.000"
    assert [row["to_s"] for row in found[:-1]] == [row["from_s"] for row in found[1:]]


def test_a_video_becomes_a_video_with_its_sound(run, portrait, tmp_path):
    av = pytest.importorskip("av")
    from mien.media.streams.writer import video_writer
    from mien.media.video import frames

    with video_writer(tmp_path / "clip.mp4", size=(200, 200), rate_hz=8.0, sound_rate_hz=RATE) as video:
        video.sound(np.concatenate([tone(1.0).samples, np.zeros(RATE * 2, np.float32)]))
        for time_s in (0.0, 0.1, 0.3, 0.8, 2.4):  # unevenly
            video.picture(portrait, time_s)
        video.picture(np.zeros_like(portrait), 2.6)
    code, out, errors = run("--face", tmp_path / "clip.mp4")
    assert (code, errors) == (0, "") and "5 of 6 frames" in out
    found = rows(tmp_path / "out/frames.csv")
    times = [float(row["timestamp_s"]) for row in found]
    np.testing.assert_allclose(times, [0, 0.1, 0.3, 0.8, 2.4, 2.6], atol=0.002)
    windows = {row["window"]: row for row in rows(tmp_path / "out/windows.csv")}
    for row in found:
        window = windows[row["window"]]
        assert float(window["from_s"]) <= float(row["timestamp_s"]) < float(window["to_s"])
    assert found[0]["expression_both"] and not found[4]["expression_both"] and found[4]["expression_face"]
    assert "silent" in found[4]["note"] and found[5]["success"] == "0" and found[5]["note"] == "no face found"
    assert float(found[4]["change"]) == 0 < float(found[0]["change"])
    with av.open(str(tmp_path / "out/perceived.mp4")) as container:
        kinds = {stream.type: float(stream.duration * stream.time_base) for stream in container.streams}
        assert kinds["audio"] == pytest.approx(2.7, abs=0.25)
    np.testing.assert_allclose([f.timestamp_s for f in frames(tmp_path / "out/perceived.mp4")], times, atol=0.002)


def test_frames_behind_the_end_of_the_voice_have_none():
    from mien.engine.reading.perceive.source import Heard
    from mien.engine.reading.perceive.video import WindowsByTime
    from mien.runtime.voice.windows import voice_windows

    windows = voice_windows([tone(2.0).samples], rate_hz=RATE, samples=RATE, hop_s=0.5, name="voice")
    by_time = WindowsByTime(Heard(window, None, {}) for window in windows)
    found = [by_time.at(time_s) for time_s in (0.0, 0.7, 0.8, 1.9, 2.1, 2.3)]
    assert [each and each.window.number for each in found] == [0, 0, 1, 2, 2, None]
    assert [each.window.number for each in by_time.passed] == [0, 1, 2]


def test_what_lacks_a_face_or_a_voice_is_refused_in_one_line(run, face, portrait, tmp_path):
    pytest.importorskip("av")
    from mien.media.video import write_video

    write_video(tmp_path / "mute.mp4", portrait[None].repeat(2, 0), rate_hz=5.0)
    heard = voice(tmp_path / "v.wav", tone(0.75))
    (tmp_path / "text.wav").write_text("no sound")
    cases = {
        ("--face", face): "a picture, which has no voice: --voice SOUND",
        ("--face", face, "--voice", heard): "no face found",
        ("--face", tmp_path / "mute.mp4"): "a video without sound. Name the voice",
        ("--face", heard, "--voice", heard): "not a picture",
        ("--face", face, "--detector", "none", "--voice", tmp_path / "text.wav"): "not a sound that can be read",
        ("--face", face, "--voice", heard, "--strength", 3): "--strength must be in 0..2",
        ("--face", face, "--voice", heard, "--detector", "none", "--voice-bundle", "poster_v2_small_ferplus"): (
            "that takes a voice alone"
        ),
    }
    for words, message in cases.items():
        code, _, errors = run(*words)
        assert code == 2 and message in errors and errors.count("\n") == 1, (words, errors)
    code, _, errors = run("--face", face, "--voice", heard, bundle=Path("poster_v2_small_ferplus"))
    assert code == 2 and "name a context network (can)" in errors


def test_the_same_face_and_voice_are_the_same_numbers(bundle):
    network, face = Perceiver(bundle, threads=1), np.full((SIDE, SIDE, 3), 51, np.uint8)
    mel = network.heard(tone(0.75))
    one, other = network.perceive(face, mel), network.perceive(face, mel)
    assert np.array_equal(one.perceived, other.perceived) and one.expressions == other.expressions
    assert np.all(one.plain == round(255 * (0.1 + 0.25))) and one.shift == pytest.approx(float(mel.mean()), abs=1e-5)
    drawn = [network.perceive(face, mel, seed=seed).expressions["both"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_photo_gets_twice_the_change_of_the_reconstructions():
    photo = np.full((8, 8, 3), 100, np.uint8)
    plain, perceived = np.full((2, 4, 4, 3), 50, np.uint8)
    perceived = perceived.copy()
    perceived[:, 2:] += 20
    perceived[:, :2] -= 50
    changed = changed_photo(photo, Perceived({}, perceived, plain, 0.0))
    assert changed[4, 7, 0] == 140 and changed[4, 0, 0] == 0 and (photo == 100).all()


def test_the_box_of_a_face_moves_steadily_through_a_video(portrait, bundle, tmp_path, monkeypatch):
    picture = Perceiver(bundle, threads=1).picture
    finder = LargestFace(picture, "dlib")
    first = finder.follow(portrait)
    moved = finder.follow(np.roll(portrait, 12, axis=1))
    alone = finder(np.roll(portrait, 12, axis=1))
    assert first and moved and alone and first.box and moved.box and alone.box
    assert first.crop.shape == (SIDE, SIDE, 3) and first.photo.shape == (224, 224, 3)  # the same crop, larger
    small = cv2.resize(first.photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(float) - first.crop).mean() < 6
    assert 0 < moved.box[0] - first.box[0] < 0.5 * (alone.box[0] - first.box[0])
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path))
    with pytest.raises(MienError, match="mien weights fetch yunet"):
        LargestFace(picture, "yunet")
