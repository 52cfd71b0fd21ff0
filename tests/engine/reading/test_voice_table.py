"""The voices of videos beside their faces, by the voice model that ships."""

import copy
import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("av")
pytest.importorskip("soxr")

from mien.__main__ import main
from mien.core.errors import MienError
from mien.core.spec import FUNCTIONALS
from mien.engine.reading.voice.table import hearing_of, read_voices, voice_rows
from mien.media.bundles import bundle_folder
from mien.media.sound.audio import Sound, write_sound
from mien.media.video import write_video
from mien.runtime.voice.functionals import functionals
from mien.runtime.voice.network import SHIPPED, VoiceAnalyzer

RATE = 16_000


def hum(seconds: float, hz: float = 150.0) -> np.ndarray:
    phase = 2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE
    return (0.05 * np.cos(phase[:, None] * np.arange(1, 20)).sum(1) / 5).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> VoiceAnalyzer:
    return VoiceAnalyzer(bundle_folder(SHIPPED), threads=1)


@pytest.fixture
def videos(tmp_path: Path) -> list[Path]:
    """With a voice between two silences; without sound; cut off."""
    pictures = np.zeros((16, 32, 32, 3), np.uint8)
    sound = np.concatenate([np.zeros(4 * RATE, np.float32), hum(3.0), np.zeros(4 * RATE, np.float32)])
    write_video(tmp_path / "a.mp4", pictures, rate_hz=2.0, sound=Sound(sound, RATE))
    write_video(tmp_path / "b.mp4", pictures, rate_hz=2.0)
    (tmp_path / "c.mp4").write_bytes((tmp_path / "a.mp4").read_bytes()[:900])
    return [tmp_path / f"{name}.mp4" for name in "abc"]


def test_a_row_a_window_joined_by_time(network, videos, tmp_path):
    lines = read_voices([*videos, tmp_path / "photo.jpg"], network, tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out/voice.csv").open(encoding="utf-8")))
    own = [row for row in rows if row["source"].endswith("a.mp4")]
    assert [float(row["start_s"]) for row in own] == pytest.approx([0, 1.75, 3.5, 5.25, 7.0, 7.5], abs=0.1)
    assert own[0]["from_s"] == "0.000" and [row["to_s"] for row in own[:-1]] == [row["from_s"] for row in own[1:]]
    heard = [row for row in own if row["success"] == "1"]
    assert [row["window"] for row in heard] == ["1", "2", "3"]
    for row in own:
        found = [float(row[f"prob_voice_{name}"] or "nan") for name in network.classes]
        if row in heard:
            assert (
                sum(found) == pytest.approx(1, abs=1e-4)
                and row["expression_voice"] == network.classes[np.argmax(found)]
            )
        else:
            assert np.isnan(found).all() and "silent" in row["note"] and not row["expression_voice"]
    others = {Path(row["source"]).name: row for row in rows if row not in own}
    assert others["b.mp4"]["note"] == "no sound in it" and others["b.mp4"]["success"] == "0"
    assert "c.mp4" in others["c.mp4"]["note"]
    assert "mean over 3 of 6 windows" in lines[0] and "nothing to read (no sound in it)" in lines[1]
    described = json.loads((tmp_path / "out/voice.json").read_text(encoding="utf-8"))
    assert described["state"] == "complete" and "CC BY-NC-SA" in described["provenance"]["licence"]
    assert read_voices(videos[:1], network, None) == lines[:1]
    assert "no video" in read_voices([tmp_path / "photo.jpg"], network, None)[0]


def test_analyze_reads_a_voice_beside_the_faces(videos, tmp_path, capsys):
    command = ["analyze", str(videos[0]), "--landmarks", "no", "--every", "8", "--with", "voice", "--no-overlay"]
    assert main([*command, "--output", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "a.mp4: voice: " in printed and "voices by voice_expression@" in printed
    rows = list(csv.DictReader((tmp_path / "out/readings.csv").open(encoding="utf-8")))
    windows = list(csv.DictReader((tmp_path / "out/voice.csv").open(encoding="utf-8")))
    for row in rows:
        time_s = float(row["timestamp"])
        same = [w for w in windows if w["source"] == row["source"] and float(w["from_s"]) <= time_s < float(w["to_s"])]
        assert len(same) == 1


def test_which_bundle_reads_the_voice():
    faces, voice = bundle_folder("poster_v2_small_ferplus"), bundle_folder(SHIPPED)
    assert hearing_of(None) == (None, None) and hearing_of([faces]) == ([faces], None)
    kept, network = hearing_of([faces, voice], threads=1)
    assert kept == [faces] and network is not None and network.info.labels.name == "ravdess"
    assert hearing_of(None, wanted=True)[1] is not None and hearing_of([voice])[0] is None
    with pytest.raises(MienError, match="One bundle reads the voice"):
        hearing_of([voice, voice])


def test_the_model_that_ships_is_what_its_card_says(network):
    card = (network.runner.folder / "README.md").read_text(encoding="utf-8")
    scores = network.info.provenance["actors_kept_aside"]
    assert f"{100 * scores['accuracy'][0]:.1f} %" in card and "CC BY-NC-SA 4.0" in card and scores["accuracy"][0] >= 0.6
    assert network.given.shape == (FUNCTIONALS,)
    loud, quiet = (network.read_window(Sound((gain * hum(1.5)).astype(np.float32), RATE)) for gain in (1.0, 0.02))
    for name, value in loud["expression"].items():
        assert quiet["expression"][name] == pytest.approx(value, abs=1e-3)


@pytest.mark.shared
def test_the_model_that_ships_tells_acted_voices_apart(shared, network):
    """On the actors that it was trained with; the card has those of actors kept aside."""
    from mien.media.sound.audio import read_sound

    files = sorted((shared / "audio/ravdess_16k").rglob("*.wav"))[::25]
    right = 0
    for path in files:
        found = network.read_window(read_sound(path, sample_rate_hz=RATE))["expression"]
        right += max(found, key=found.__getitem__) == network.classes[int(path.stem.split("-")[2]) - 1]
    assert right / len(files) > 0.6 and functionals(read_sound(files[0]).samples).shape == (FUNCTIONALS,)
    assert len(list(voice_rows(files[0], network))) == 1


def test_sounds_alone_are_read_without_a_face_network(tmp_path, capsys):
    write_sound(tmp_path / "speech.wav", Sound(hum(5.0), RATE))
    (tmp_path / "broken.wav").write_bytes(b"RIFF")
    out = ["--output", str(tmp_path / "out")]
    assert main(["analyze", str(tmp_path / "speech.wav"), str(tmp_path / "broken.wav"), *out]) == 0
    printed = capsys.readouterr().out
    assert "speech.wav: voice: " in printed and "mean over 2 of 2 windows" in printed and "broken.wav" in printed
    rows = list(csv.DictReader((tmp_path / "out/voice.csv").open(encoding="utf-8")))
    assert [row["success"] for row in rows] == ["0", "1", "1"] and not (tmp_path / "out/readings.csv").exists()
    for wrong, message in (
        ([], r"holds the results of an earlier run \(voice\.csv\)"),
        (["--overwrite", "--report"], "--report is about faces, and only sounds were named"),
    ):
        assert main(["analyze", str(tmp_path / "speech.wav"), *out, *wrong]) == 2
        assert re.search(message, capsys.readouterr().err)
    assert main(["analyze", str(tmp_path / "broken.wav")]) == 2
    assert "Nothing could be read: " in capsys.readouterr().err


def test_of_a_folder_sounds_are_taken_where_voices_are_read(videos, tmp_path, capsys):
    write_sound(tmp_path / "speech.wav", Sound(hum(2.0), RATE))
    command = ["analyze", str(tmp_path), "--landmarks", "no", "--every", "16"]
    assert main([*command, "--with", "voice"]) == 0
    assert "speech.wav: voice: " in capsys.readouterr().out
    main(command)
    assert "voice" not in capsys.readouterr().out


def test_the_voice_analyzer_reads_files_and_sounds(tmp_path):
    analyzer = VoiceAnalyzer(threads=1)
    sound = np.concatenate([hum(4.0), np.zeros(4 * RATE, np.float32)])
    write_sound(tmp_path / "speech.wav", Sound(sound, RATE))
    of_file, of_array = analyzer.read(tmp_path / "speech.wav"), analyzer.read(Sound(sound, RATE))
    assert [each.label.split()[0] for each in of_file] == [each.label.split()[0] for each in of_array]
    first, last = of_file[0], of_file[-1]
    assert first.expression == max(first.probabilities, key=first.probabilities.__getitem__)
    assert sum(first.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert (last.expression, last.probabilities) == (None, {}) and "silent" in repr(last)
    assert analyzer.read(Sound(sound[::2].copy(), RATE // 2))[0].window.end_s == pytest.approx(3.5)


def test_a_voice_analyzer_can_be_copied_and_gives_equal_readings(network: VoiceAnalyzer) -> None:
    sound = Sound(hum(1.0), RATE)
    assert copy.deepcopy(network).read(sound) == network.read(sound) != network.read(Sound(hum(1.0, 200.0), RATE))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (Sound(np.full(RATE, np.nan, np.float32), RATE), "no numbers"),
        (Sound(np.zeros(RATE, np.float32), 0), "sample_rate_hz is a whole number, 100 to 768,000; got 0"),
    ],
)
def test_what_is_no_sound_is_refused_in_one_line(network: VoiceAnalyzer, source: Sound, message: str) -> None:
    with pytest.raises(MienError, match=message):
        network.read(source)


@pytest.mark.parametrize("hop_s", [0.0, -1.0, float("nan"), 1e9])
def test_windows_begin_a_hundredth_of_a_second_apart_at_least(hop_s: float) -> None:
    with pytest.raises(MienError, match="hop_s"):
        VoiceAnalyzer(hop_s=hop_s)


def test_a_sound_of_one_sample_a_second_is_refused(network: VoiceAnalyzer, tmp_path: Path) -> None:
    write_sound(tmp_path / "slow.wav", Sound(hum(4.0), 1))
    with pytest.raises(MienError, match="at 1 Hz; 1 to 64 at 100 to 768,000 Hz are read"):
        network.read(tmp_path / "slow.wav")


def test_a_sound_that_is_cut_off_says_so_in_its_last_row_and_read_keeps_no_samples(tmp_path: Path) -> None:
    network = VoiceAnalyzer(hop_s=1.0)
    rate, window_s = network.given.rate_hz, network.given.samples / network.given.rate_hz
    times = np.arange(int((window_s + 3) * rate)) / rate
    write_sound(tmp_path / "whole.wav", Sound(0.3 * np.sin(2 * np.pi * 180 * times).astype(np.float32), rate))
    data = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(data[: int(len(data) * (window_s + 1.5) / (window_s + 3))])
    rows = [row for row, _ in voice_rows(tmp_path / "cut.wav", network)]
    assert len(rows) > 1 and all("cut short" not in row["note"] for row in rows[:-1])
    assert "the sound is cut short: " in rows[-1]["note"] and rows[-1]["success"] == 1
    readings = network.read(tmp_path / "whole.wav")
    assert all("cut short" not in each.window.note for each in readings)
    assert {each.window.kept for each in readings} == {None}
    with pytest.raises(MienError, match=r"VoiceAnalyzer\.stream does"):
        _ = readings[0].window.sound
    assert len(next(network.stream(tmp_path / "whole.wav")).window.sound.samples) == network.given.samples
