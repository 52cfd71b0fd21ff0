"""What exceeds a limit is refused in one line before it costs time or memory; what a file claims is not believed."""

import io
import struct
import subprocess
import sys
import threading
import time
import weakref
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.__main__ import main
from mien.core import limits
from mien.core.errors import MienError
from mien.data.readers import open_reader
from mien.data.readers.points import PointsInFile
from mien.media import image
from mien.media.image import decoding_bytes, load_image
from mien.media.parallel.limits import Budget
from mien.media.sound.audio import read_sound
from mien.runtime import analyzer, faces
from mien.runtime.analyzer import batches
from robustness.bounded import run_bounded
from robustness.test_fuzz_media import read_one_sound, read_picture, write_video

SIGNED = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *, colour: int = 2, packed: bytes = b"", before: bytes = b"") -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0))
    return SIGNED + head + before + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def packed_zeros(size: int) -> bytes:
    packer = zlib.compressobj(1)
    return (
        b"".join(packer.compress(bytes(1 << 24)) for _ in range(size >> 24))
        + packer.compress(bytes(size % (1 << 24)))
        + packer.flush()
    )


def jpeg_in_scans(side: int, scans: int) -> bytes:
    """A grey progressive JPEG whose scans each say only that nothing changes."""
    file = io.BytesIO()
    Image.new("L", (64, 64), 90).save(file, "JPEG", progressive=True)
    content, place, head = file.getvalue(), 2, b""
    while content[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        part = content[place:end]
        if part[1] == 0xC2:
            part = part[:5] + struct.pack(">HH", side, side) + part[9:]
        head, place = head + (b"" if part[1] == 0xC4 else part), end
    table = b"\xff\xc4\x00\x14\x10\x01" + bytes(15) + b"\xe0"  # one symbol: a run of 16384 empty blocks
    runs = -(-((side // 8) ** 2) // 16384)
    data = bytes(int(word, 2) for word in ["00000000"] * (15 * runs // 8 + 1))
    scan = b"\xff\xda\x00\x08\x01\x01\x00\x01\x3f\x01" + data
    return b"\xff\xd8" + head + table + scan * scans + b"\xff\xd9"


def hostile_pictures() -> dict[str, bytes]:
    tile = packed_zeros(64 * (64 * 3 + 1))
    grey = Image.new("L", (64, 64))
    gif = io.BytesIO()
    grey.save(gif, "GIF")
    photo = io.BytesIO()
    grey.save(photo, "JPEG")
    start = photo.getvalue()[2:]
    return {
        "wide.png": png(2_000_000, 1, packed=packed_zeros(6_000_001)),
        "empty_parts.png": png(64, 64, packed=tile, before=chunk(b"abCd", b"") * 200_000),
        "text_bomb.png": png(64, 64, packed=tile, before=chunk(b"zTXt", b"a\0\0" + packed_zeros(1 << 28))),
        "long_text.png": png(64, 64, packed=tile, before=chunk(b"tEXt", b"a\0" + bytes(40 << 20))),
        "more_pixels_than_stated.png": png(64, 64, packed=packed_zeros(1 << 28)),
        "comments.jpg": b"\xff\xd8" + b"\xff\xfe\0\2" * 300_000 + start,
        "exif_parts.jpg": b"\xff\xd8" + b"\xff\xe1\0\x10Exif\0\0II*\0\x08\0\0\0" * 100_000 + start,
        "scans.jpg": jpeg_in_scans(1024, 101),
        "scans_of_many_pixels.jpg": jpeg_in_scans(8000, 21),
        "comment.ppm": b"P6 #" + b"x" * 30_000_000,
        "frames.gif": gif.getvalue()[:-1] + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0" * 200_000 + b";",
    }  # fmt: skip


def test_pictures_that_claim_or_hide_much(tmp_path: Path) -> None:
    paths = []
    for name, content in hostile_pictures().items():
        (tmp_path / name).write_bytes(content)
        paths.append(tmp_path / name)
    (tmp_path / "sparse.jpg").touch()
    with (tmp_path / "sparse.jpg").open("r+b") as file:
        file.truncate(1 << 40)
    outcomes = run_bounded(read_picture, [*paths, tmp_path / "sparse.jpg"], seconds=3, megabytes=200)
    assert not outcomes.failures
    assert outcomes.tried == 12 and outcomes.refused >= 8, outcomes.messages


def test_jpegs_are_read_in_as_many_scans_as_cameras_write(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(jpeg_in_scans(1024, 100))
    assert load_image(tmp_path / "a.jpg").size == (1024, 1024)
    (tmp_path / "a.jpg").write_bytes(jpeg_in_scans(8000, 20))
    assert decoding_bytes(tmp_path / "a.jpg") == 13 * 64_000_000
    (tmp_path / "a.jpg").write_bytes(jpeg_in_scans(1024, 101))
    with pytest.raises(MienError, match="a JPEG in 101 scans, of which 100 are read"):
        load_image(tmp_path / "a.jpg")


def test_transparent_pictures_take_seven_bytes_a_pixel(tmp_path: Path) -> None:
    """A whole picture composed on white would take 18, so that two of 10,000 x 10,000 took 3.9 GB."""
    (tmp_path / "a.png").write_bytes(png(3000, 3000, colour=6, packed=packed_zeros(3000 * 12_001)))
    outcomes = run_bounded(read_picture, [tmp_path / "a.png"], megabytes=9 * 9_000_000 // 2**20)
    assert not outcomes.failures and outcomes.read == 1


def test_a_budget_lets_in_what_fits_and_the_large_ones_alone() -> None:
    budget, inside, most, lock = Budget(10), [], [], threading.Lock()

    def work(amount: int) -> None:
        with budget.held(amount):
            with lock:
                inside.append(amount)
                most.append(tuple(inside))
            time.sleep(0.01)
            with lock:
                inside.remove(amount)

    threads = [threading.Thread(target=work, args=(amount,)) for amount in [4, 3, 25, 6, 2, 40, 5, 1] * 3]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(most) == 24 and not inside
    assert all(sum(held) <= 10 or len(held) == 1 for held in most)
    assert any(len(held) > 1 for held in most)


def test_threads_decode_within_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.png").write_bytes(png(500, 500, colour=6, packed=packed_zeros(500 * 2001)))
    inside, most, pixels = [], [], image._pixels

    def counted(*arguments: object) -> object:
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return pixels(*arguments)

    monkeypatch.setattr(image, "_pixels", counted)
    for held, at_most in ((500 * 500 * 7, 1), (500 * 500 * 7 * 3, 3)):
        most.clear()
        monkeypatch.setattr(image.DECODING, "_most", held)
        threads = [threading.Thread(target=load_image, args=(tmp_path / "a.png",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert len(most) == 8 and max(most) == at_most


def test_pictures_are_read_within_one_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that are decoded, wait for a network or are with the caller; also a large one between small ones."""
    for number, side in enumerate([300, 300, 300, 900, 300, 300, 300, 300, 900, 900, 300, 300]):
        packed = packed_zeros(side * (4 * side + 1))
        (tmp_path / f"{number:02d}_{side}.png").write_bytes(png(side, side, colour=6, packed=packed))
    small, large = 300 * 300 * 7, 900 * 900 * 7
    held, most, lock, load = [0], [0], threading.Lock(), faces.load_image

    def add(amount: int) -> None:
        with lock:
            held[0] += amount
            most[0] = max(most[0], held[0])

    def counted(path: Path, **how: Any) -> image.Picture:
        taken = small if "_300" in path.name else large
        add(taken)
        time.sleep(0.02)
        picture = load(path, **how)
        add(picture.pixels.size - taken)
        weakref.finalize(picture.pixels, add, -picture.pixels.size)
        return picture

    monkeypatch.setattr(faces, "load_image", counted)
    monkeypatch.setattr(batches, "READING_BYTES", 3 * small)
    reader = analyzer.Analyzer(backend="onnxruntime", threads=1, landmarks=False)
    for read in reader.read_files(sorted(tmp_path.iterdir()), workers=4):
        assert read.picture is not None
        del read
    assert 2 * small < most[0] <= large and held[0] == 0


def test_memory_of_large_pictures_goes_back_when_they_are_freed() -> None:
    """glibc keeps blocks of less than 32 MB for later: a process that has read large pictures would stay large."""
    assert Image.core.get_block_size() > 32 * limits.MB


def wav(
    *, rate: int = 8000, channels: int = 1, bits: int = 16, block: int = 2, riff: int | None = None,
    data: int | None = None, tag: int = 1, first: bytes = b"",
) -> bytes:  # fmt: skip
    samples = (np.sin(np.arange(4000) / 9) * 9000).astype("<i2").tobytes()
    form = struct.pack("<HHIIHH", tag, channels, rate, 0, block, bits)
    length = len(samples) if data is None else data
    parts = b"WAVE" + first + b"fmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", length) + samples
    return b"RIFF" + struct.pack("<I", len(parts) if riff is None else riff) + parts


SOUNDS = {
    "riff_0.wav": (wav(riff=0), ""), "riff_ff.wav": (wav(riff=2**32 - 1), ""), "data_ff.wav": (wav(data=2**32 - 1), ""),
    "data_7f.wav": (wav(data=2**31 - 1), ""), "block_0.wav": (wav(block=0), ""),
    "data_0.wav": (wav(data=0), "without a single sample"), "rate_0.wav": (wav(rate=0), "at 0 Hz"),
    "rate_31.wav": (wav(rate=2**31), "2,147,483,648 Hz"), "channels.wav": (wav(channels=65535), "65,535 channels"),
    "bits.wav": (wav(bits=65535), "damaged"), "no_channels.wav": (wav(channels=0), "damaged"),
    "first.wav": (wav(first=b"data" + struct.pack("<I", 8) + bytes(8)), "damaged"),
    "nan.wav": (wav(tag=3, bits=32, block=4).replace(wav()[44:48], b"\0\0\xc0\x7f", 1), "no numbers"),
    "slow.wav": (wav(rate=1), "at 1 Hz; 1 to 64 at 100"),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUNDS)
def test_sounds_that_lie_give_what_is_there_or_a_line(tmp_path: Path, name: str) -> None:
    pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    content, reason = SOUNDS[name]
    (tmp_path / name).write_bytes(content)
    if reason:
        with pytest.raises(MienError, match=reason):
            read_sound(tmp_path / name, sample_rate_hz=200_000 if name == "slow.wav" else 16000)
    else:
        assert len(read_sound(tmp_path / name).samples) == 4000


def test_sounds_of_hours_are_refused_without_being_held(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    with (tmp_path / "sparse.wav").open("wb") as file:
        file.write(wav(data=2**32 - 1))
        file.truncate(1 << 32)
    soundfile.write(str(tmp_path / "a.flac"), np.zeros(9_000_000, np.int16), 8000)
    length = bytearray((tmp_path / "a.flac").read_bytes())
    length[21:26] = bytes((length[21] | 0x0F, *b"\xff\xff\xff\xff"))  # 2^36 samples, the header says
    (tmp_path / "lies.flac").write_bytes(length)
    outcomes = run_bounded(read_one_sound, sorted(tmp_path.glob("*.*")), megabytes=600)
    assert not outcomes.failures and any("Cut it into parts" in message for message in outcomes.messages)


def test_videos_of_more_than_8k_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    av = pytest.importorskip("av")
    from mien.media import video
    from mien.media.video import container

    write_video(av, tmp_path / "a.mp4", "libx264")
    assert len(list(video.frames(tmp_path / "a.mp4"))) == 12
    monkeypatch.setattr(container, "FRAME_PIXELS", 3000)
    with pytest.raises(MienError, match=r"more than 0\.003 million pixels"):
        next(video.frames(tmp_path / "a.mp4"))


def test_libraries_and_names_do_not_write_to_the_terminal(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff prints a line for a damaged strip; the name would colour what follows it."""
    file = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(file, "TIFF", compression="tiff_lzw")
    name = tmp_path / "a\x1b[31m\nb[bold].tif"
    name.write_bytes(file.getvalue()[:300] + bytes(500) + file.getvalue()[800:])
    Image.new("RGB", (64, 64)).save(tmp_path / "good.png")
    words = ["analyze", str(name), str(tmp_path / "good.png"), "--output", str(tmp_path / "out"), "--overwrite"]
    done = subprocess.run([sys.executable, "-m", "mien", *words], capture_output=True, text=True, check=True)
    assert done.stderr == "" and "\x1b" not in done.stdout and r"a\x1b[31m b[bold].tif: damaged" in done.stdout
    capfd.readouterr()
    assert main([*words[:2], *words[3:]]) == 2
    errors = capfd.readouterr().err
    assert errors.count("\n") == 1 and "\x1b" not in errors


def test_an_error_is_one_line_of_a_length() -> None:
    assert str(MienError("a\nb\x1b[31m\udce9\u202e")) == r"a b\x1b[31m\udce9\u202e"
    assert len(str(MienError("x" * 10**6))) < 2000
    assert limits.PICTURE_BYTES < 1000 * limits.MB


@pytest.mark.parametrize("name", ["f3.npy", "huge.npy", "empty.npy", "zip.npy", "odd.npy", "objects.npy"])
def test_arrays_of_points_that_are_none(tmp_path: Path, name: str) -> None:
    file = io.BytesIO()
    np.save(file, np.zeros((68, 2)))
    good, archive = file.getvalue(), io.BytesIO()
    np.savez(archive, a=np.zeros(3))
    content = {
        "f3.npy": good.replace(b"<f8", b"<f3"), "huge.npy": good.replace(b"(68, 2), }        ", b"(99999999999, 2), }"),
        "empty.npy": b"", "zip.npy": archive.getvalue(), "odd.npy": good[:-8],
        "objects.npy": good.replace(b"<f8", b"|O "),
    }  # fmt: skip
    (tmp_path / name).write_bytes(content[name])
    with pytest.raises(MienError, match="no landmarks"):
        PointsInFile(str(tmp_path / name)).read()


def test_a_foreign_set_that_surprises_is_one_line(tmp_path: Path) -> None:
    scipy_io = pytest.importorskip("scipy.io")
    Image.new("RGB", (40, 40)).save(tmp_path / "image00002.jpg")
    scipy_io.savemat(tmp_path / "image00002.mat", {"pt3d_68": np.ones((3, 68)), "Pose_Para": np.zeros((1, 0))})
    with pytest.raises(MienError, match=r"aflw2000: .* is damaged, or not laid out as expected"):
        open_reader("aflw2000", tmp_path).samples("test")
