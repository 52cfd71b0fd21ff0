"""Sound goes out and comes back sample by sample; what is no sound, or needs an extra, is refused in one line."""

import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.media.sound.audio import Sound, opened_sound, read_sound, resample, write_sound
from shape_checks import unchecked


def tone(*, hz: float = 440.0, sample_rate_hz: int = 16_000, seconds: float = 0.5) -> Sound:
    times = np.arange(int(seconds * sample_rate_hz)) / sample_rate_hz
    return Sound((0.5 * np.sin(2 * np.pi * hz * times)).astype(np.float32), sample_rate_hz)


def write_pcm(path: Path, data: bytes, *, width: int, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(8000)
        file.writeframes(data)


def test_sixteen_bits_come_back_exactly(tmp_path):
    whole = np.array([-32768, -1, 0, 1, 12345, 32767])
    write_sound(tmp_path / "a.wav", Sound((whole / 32768).astype(np.float32), 22_050))
    sound = read_sound(tmp_path / "a.wav")
    assert sound.sample_rate_hz == 22_050
    assert sound.samples.dtype == np.float32
    assert np.array_equal(sound.samples * 32768, whole)
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_full_scale_is_written_as_the_largest_number(tmp_path):
    write_sound(tmp_path / "a.wav", Sound(np.array([1.0, -1.0], np.float32), 8000))
    assert read_sound(tmp_path / "a.wav").samples.tolist() == [32767 / 32768, -1.0]


@pytest.mark.parametrize(
    ("width", "data", "expected"),
    [
        (1, bytes([0, 128, 192]), [-1.0, 0.0, 0.5]),
        (3, b"\x00\x00\x80" + b"\x00\x00\x00" + b"\x00\x00\x40", [-1.0, 0.0, 0.5]),
        (4, b"\x00\x00\x00\x80" + b"\x00\x00\x00\x00" + b"\x00\x00\x00\x40", [-1.0, 0.0, 0.5]),
    ],
)
def test_other_widths_of_whole_numbers(tmp_path, width, data, expected):
    write_pcm(tmp_path / "a.wav", data, width=width)
    assert read_sound(tmp_path / "a.wav").samples.tolist() == expected


def test_channels_are_averaged_and_a_cut_file_ends_with_its_last_whole_sample(tmp_path):
    path = tmp_path / "a.wav"
    write_pcm(path, np.array([[8192, 0], [0, -8192], [16384, 16384]], "<i2").tobytes(), width=2, channels=2)
    assert read_sound(path).samples.tolist() == [0.125, -0.125, 0.5]
    path.write_bytes(path.read_bytes()[:-3])
    assert read_sound(path).samples.tolist() == [0.125, -0.125]


def test_plain_wav_needs_no_extra_and_the_rest_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    monkeypatch.setitem(sys.modules, "soxr", None)
    write_sound(tmp_path / "a.wav", tone())
    assert len(read_sound(tmp_path / "a.wav", sample_rate_hz=16_000).samples) == 8000
    with pytest.raises(MienError, match=r"Resampling from 16000 to 8000 Hz needs soxr: pip install '\S*\[audio\]'"):
        read_sound(tmp_path / "a.wav", sample_rate_hz=8000)
    with pytest.raises(MienError, match=r"Writing \.flac needs soundfile: pip install '\S*\[audio\]'"):
        write_sound(tmp_path / "a.flac", tone())
    (tmp_path / "b.mp3").write_bytes(b"ID3" + bytes(100))
    with pytest.raises(MienError, match=r"pip install '\S*\[audio\]'"):
        read_sound(tmp_path / "b.mp3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.wav", "b.mp3"]


def test_resampling_keeps_a_tone_and_removes_what_does_not_fit():
    pytest.importorskip("soxr")
    low = resample(tone(hz=440, sample_rate_hz=48_000), 16_000)
    assert low.sample_rate_hz == 16_000
    assert len(low.samples) == 8000
    assert np.abs(low.samples - tone().samples)[500:-500].max() < 1e-3
    assert np.abs(resample(tone(hz=9000, sample_rate_hz=48_000), 16_000).samples[500:-500]).max() < 1e-3
    same = tone()
    assert resample(same, 16_000) is same


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_other_formats(tmp_path, suffix):
    pytest.importorskip("soundfile")
    write_sound(tmp_path / f"a{suffix}", tone())
    sound = read_sound(tmp_path / f"a{suffix}")
    assert sound.sample_rate_hz == 16_000
    assert np.corrcoef(sound.samples[:8000], tone().samples)[0, 1] > 0.99


def test_float_wav_is_read_and_no_numbers_are_refused(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", np.array([0.25, -0.5]), 8000, subtype="FLOAT")
    assert read_sound(tmp_path / "a.wav").samples.tolist() == [0.25, -0.5]
    for wrong in (np.nan, np.inf, 3e38, -1e5):  # 3e38 would be infinite once resampled
        soundfile.write(tmp_path / "b.wav", np.array([0.25, wrong]), 8000, subtype="FLOAT")
        with pytest.raises(MienError, match=r"no numbers .NaN or infinity., or beyond 65,536 times full scale"):
            read_sound(tmp_path / "b.wav", sample_rate_hz=16_000)


def test_what_is_no_sound_is_refused(tmp_path):
    with pytest.raises(MienError, match="no such file"):
        read_sound(tmp_path / "none.wav")
    with pytest.raises(MienError, match="a folder, not a sound"):
        read_sound(tmp_path)
    (tmp_path / "empty.wav").touch()
    with pytest.raises(MienError, match="0 bytes"):
        read_sound(tmp_path / "empty.wav")
    write_pcm(tmp_path / "silent.wav", b"", width=2)
    with pytest.raises(MienError, match="without a single sample"):
        read_sound(tmp_path / "silent.wav")
    pytest.importorskip("soundfile")
    (tmp_path / "text.wav").write_text("not sound at all, only words")
    with pytest.raises(MienError, match="not a sound that can be read"):
        read_sound(tmp_path / "text.wav")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.array([0.0, 1.5]), r"within -1 and 1; got a peak of 1\.5"),
        (np.array([0.0, np.nan]), "within -1 and 1"),
        (np.zeros((2, 2)), "mono"),
        (np.zeros(0), "at least one"),
    ],
)
def test_what_cannot_be_written_is_refused_and_nothing_is_left(tmp_path, samples, message):
    with pytest.raises(MienError, match=message), unchecked():
        write_sound(tmp_path / "a.wav", Sound(samples.astype(np.float32), 16_000))
    with pytest.raises(MienError, match=r"\.wav, \.flac, \.ogg; got 'a\.mp3'"):
        write_sound(tmp_path / "a.mp3", tone())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_blocks_are_the_whole_and_may_be_longer_than_it(tmp_path, monkeypatch, suffix):
    if suffix == ".flac":
        pytest.importorskip("soundfile")
    write_sound(tmp_path / f"a{suffix}", tone(seconds=1.0))
    monkeypatch.setattr("mien.media.sound.audio._BLOCK", 1000)
    monkeypatch.setattr("mien.media.sound.audio.SOUND_BYTES", 60_000)
    with opened_sound(tmp_path / f"a{suffix}") as stream:
        read = [block.copy() for block in stream.blocks]
    assert stream.rate_hz == 16_000 and {len(block) for block in read} == {1000}
    with pytest.raises(MienError, match="Cut it into parts"):
        read_sound(tmp_path / f"a{suffix}")
    monkeypatch.setattr("mien.media.sound.audio.SOUND_BYTES", 64_000)
    assert np.array_equal(np.concatenate(read), read_sound(tmp_path / f"a{suffix}").samples)


@pytest.mark.parametrize("kind", ["pcm.wav", "float.wav", "a.aiff", "a.mp3"])
def test_a_sound_that_is_cut_off_says_so_once_it_was_read(tmp_path: Path, kind: str) -> None:
    path, samples = tmp_path / kind, tone(seconds=4.0).samples
    if kind == "pcm.wav":
        write_sound(path, Sound(samples, 16_000))
    else:
        soundfile = pytest.importorskip("soundfile")
        soundfile.write(str(path), samples, 16_000, subtype="FLOAT" if kind == "float.wav" else None)
    for share, note in ((1.0, ""), (0.6, "the sound is cut short: ")):
        (tmp_path / f"cut_{kind}").write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with opened_sound(tmp_path / f"cut_{kind}") as stream:
            read = sum(map(len, stream.blocks))
        assert stream.shortfall().startswith(note) and bool(stream.shortfall()) == bool(note)
    assert read < 0.7 * len(samples) and "of the 4.0" in stream.shortfall()


def test_a_length_that_nobody_knew_is_no_cut(tmp_path: Path) -> None:
    write_sound(tmp_path / "a.wav", tone(seconds=1.0))
    data = bytearray((tmp_path / "a.wav").read_bytes())
    for unknown in (0xFFFF_FFFF, 0x7FFF_FFFF, 0):
        data[4:8] = data[40:44] = unknown.to_bytes(4, "little")
        (tmp_path / "b.wav").write_bytes(data)
        try:
            with opened_sound(tmp_path / "b.wav") as stream:
                assert sum(map(len, stream.blocks)) in (0, 16_000)
                assert stream.shortfall() == ""
        except MienError:
            assert unknown == 0
