"""Pictures, videos, sounds, tables and data-set folders, damaged at random: each is read, or refused in one line.

The seed is fixed; `MIEN_FUZZ_SECONDS` gives more time, and with it more cases.
"""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from PIL import Image

from robustness.bounded import SEED, Outcomes, run_bounded, seconds_of_fuzzing, within
from robustness.mutate import mutated

PICTURES = {
    "a.jpg": {}, "p.jpg": {"progressive": True}, "a.png": {}, "a.webp": {}, "l.webp": {"lossless": True}, "a.gif": {},
    "a.bmp": {}, "a.tif": {}, "z.tif": {"compression": "tiff_lzw"}, "d.tif": {"compression": "tiff_adobe_deflate"},
    "a.jp2": {}, "a.ppm": {}, "a.avif": {}, "a.mpo": {},
}  # fmt: skip
VIDEOS = {"a.mp4": "libx264", "a.mkv": "libx264", "a.avi": "mpeg4", "a.mov": "mjpeg"}
SOUNDS = {"a.wav": "WAV", "f.wav": "WAV", "a.flac": "FLAC", "a.ogg": "OGG"}
LAYOUTS = (
    "image_folder", "manifest", "joined", "fer2013", "ckplus", "wflw", "w300", "w300lp", "w300lp_mat", "aflw2000",
    "aflw", "celeba", "parface_palsy", "ls3d", "drawn", "expw", "rafdb",
)  # fmt: skip


def read_picture(path: Path) -> None:
    from mien.media.image import load_image

    picture = load_image(path)
    assert picture.pixels.dtype == np.uint8 and picture.pixels.ndim == 3


def read_video(path: Path) -> None:
    from mien.media.video import frames

    for frame in frames(path):
        assert frame.pixels.ndim == 3 and np.isfinite(frame.timestamp_s)


def read_video_sound(path: Path) -> None:
    from mien.core.spec import SoundInput
    from mien.media.video.soundtrack import opened_soundtrack

    with opened_soundtrack(path, SoundInput()) as track:
        for time_s in (0.0, 0.4, 3.0) if track is not None else ():
            assert np.isfinite(track.until(time_s).samples).all()


def read_one_sound(path: Path) -> None:
    from mien.media.sound.audio import read_sound

    assert np.isfinite(read_sound(path, sample_rate_hz=16000).samples).all()


def read_set(path: Path) -> None:
    """path: a folder called LAYOUT__NUMBER."""
    from mien.core.spec import PictureInput
    from mien.data.faces import cut_face
    from mien.data.readers import open_reader
    from mien.data.replicas import layout_named
    from mien.media.image import load_image

    layout = layout_named(path.name.partition("__")[0])
    reader = open_reader(layout.reader, path, **layout.options)
    for split in reader.splits:
        for sample in reader.samples(split)[:2]:
            _ = sample.landmarks_px is None or np.asarray(sample.landmarks_px)
            cut_face(sample, load_image(sample.path, span=sample.span), PictureInput(size=32))


def damaged(files: dict[str, bytes], folder: Path) -> Iterator[Path]:
    """Endless: each file in turn, one at a time on disk."""
    random = Random(SEED)
    for number in range(10**9):
        for name, content in files.items():
            path = folder / f"{number}_{name}"
            path.write_bytes(mutated(content, random))
            yield path
            path.unlink()


def damaged_sets(sets: dict[str, Path], folder: Path) -> Iterator[Path]:
    """Each set in turn with one of its lists damaged; the pictures are links."""
    random = Random(SEED)
    for number in range(10**9):
        for name, source in sets.items():
            target = folder / f"{name}__{number}"
            shutil.copytree(source, target, copy_function=lambda a, b: Path(b).hardlink_to(a))
            lists = sorted(path for path in target.rglob("*") if path.is_file() and path.suffix not in (".jpg", ".png"))
            chosen = random.choice(lists or sorted(path for path in target.rglob("*") if path.is_file()))
            content = chosen.read_bytes()
            chosen.unlink()
            chosen.write_bytes(random.choice(TABLE_DAMAGE)(content, random))
            yield target
            shutil.rmtree(target)


def another_number(content: bytes, random: Random) -> bytes:
    """One number of a text becomes none, or one that no picture has."""
    words = content.split(b",")
    words[random.randrange(len(words))] = random.choice(
        (b"nan", b"inf", b"-1", b"1e999", b"1e30", b"9" * 5000, b"", b"x", b"\x1b[31m", b'"', b"\0")
    )
    return b",".join(words)


TABLE_DAMAGE: tuple[Callable[[bytes, Random], bytes], ...] = (
    mutated, mutated, another_number, another_number, another_number,
    lambda content, _: b"",
    lambda content, _: content.partition(b"\n")[0] + b"\n",
    lambda content, _: content.decode("latin1").encode("utf-16"),
    lambda content, _: content + b"x" * 200_000,
    lambda content, _: b"\n".join(line + b"," + line for line in content.split(b"\n")),
    lambda content, _: content.replace(b"\n", b"\r"),
)  # fmt: skip


def check(outcomes: Outcomes, *, least: int) -> None:
    assert not outcomes.failures
    assert outcomes.tried >= least
    assert outcomes.read and outcomes.refused  # the damage is neither harmless nor total


def smooth() -> np.ndarray:
    y, x = np.mgrid[0:48, 0:64]
    return np.stack([x * 3, y * 4, x + y], -1).astype(np.uint8)


def test_pictures(tmp_path: Path) -> None:
    for name, options in PICTURES.items():
        Image.fromarray(smooth()).save(tmp_path / name, **options)
    files = {name: (tmp_path / name).read_bytes() for name in PICTURES}
    check(run_bounded(read_picture, within(seconds_of_fuzzing(2), damaged(files, tmp_path), least=100)), least=100)


@pytest.mark.parametrize("read", [read_video, read_video_sound])
def test_videos(tmp_path: Path, read: Callable[[Path], None]) -> None:
    av = pytest.importorskip("av")
    pytest.importorskip("soxr")
    for name, codec in VIDEOS.items():
        write_video(av, tmp_path / name, codec)
    files = {name: (tmp_path / name).read_bytes() for name in VIDEOS}
    check(run_bounded(read, within(seconds_of_fuzzing(2), damaged(files, tmp_path), least=20)), least=20)


def write_video(av: Any, path: Path, codec: str) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height = 64, 48
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        sound = container.add_stream("pcm_s16le" if path.suffix == ".avi" else "aac", rate=16000)
        for shift in range(12):
            pixels = np.ascontiguousarray(np.roll(smooth(), shift, 1))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
        noise = Random(SEED).randbytes(2 * 8000)
        frame = av.AudioFrame.from_ndarray(np.frombuffer(noise, np.int16)[None].copy(), format="s16", layout="mono")
        frame.sample_rate, frame.pts = 16000, 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())


def test_sounds(tmp_path: Path) -> None:
    soundfile = pytest.importorskip("soundfile")
    pytest.importorskip("soxr")
    samples = np.sin(np.arange(4000) / 20) / 2
    for name, form in SOUNDS.items():
        soundfile.write(str(tmp_path / name), samples, 16000, format=form, subtype="FLOAT" if name[0] == "f" else None)
    files = {name: (tmp_path / name).read_bytes() for name in SOUNDS}
    check(run_bounded(read_one_sound, within(seconds_of_fuzzing(1), damaged(files, tmp_path), least=50)), least=50)


def test_data_sets(tmp_path: Path) -> None:
    pytest.importorskip("scipy")
    from mien.data.replicas import write_drawn

    sets = {name: write_drawn(tmp_path / name, faces=16, layout=name, size=48) for name in LAYOUTS}
    check(
        run_bounded(read_set, within(seconds_of_fuzzing(3), damaged_sets(sets, tmp_path / "sets"), least=30)), least=30
    )
