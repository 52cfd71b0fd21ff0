"""Any file to upright RGB pixels, or one line that says why not."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from mien.core.errors import MienError
from mien.media.image import load_image
from mien.media.listing import is_video, left_out, picture_files


def smooth(width: int = 96, height: int = 64) -> np.ndarray:
    """A picture without edges, so that lossy formats stay near it; no symmetry, so that a turn is noticed."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 200 / width + 20, y * 150 / height + 50, (x + 2 * y) * 60 / width + 60], -1).astype(np.uint8)


def jpeg(pixels: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def distance(a: np.ndarray, b: np.ndarray) -> float:
    assert a.shape == b.shape
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"quality": 95}), ("a.JPEG", {"quality": 95}), ("p.jpg", {"progressive": True, "quality": 95}),
        ("a.png", {}), ("a.webp", {"quality": 95}), ("a.bmp", {}), ("a.tif", {}),
        ("z.tiff", {"compression": "tiff_lzw"}), ("a.jp2", {}), ("a.ppm", {}), ("a.mpo", {"quality": 95}),
    ],
)  # fmt: skip
def test_every_format_gives_the_same_pixels(tmp_path, name, options):
    Image.fromarray(smooth()).save(tmp_path / name, **options)
    picture = load_image(tmp_path / name)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert distance(picture.pixels, smooth()) < 3
    assert (picture.scale, picture.size, picture.note) == (1.0, (96, 64), "")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    turns = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
        8: lambda a: np.rot90(a, -1),
    }  # fmt: skip  (how a camera held so stores an upright scene)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    stored = np.ascontiguousarray(turns[orientation](smooth()))
    (tmp_path / "a.jpg").write_bytes(jpeg(stored, exif=exif))
    picture = load_image(tmp_path / "a.jpg")
    assert picture.size == (96, 64)
    assert distance(picture.pixels, smooth()) < 2


def test_grey_modes_are_repeated_on_three_channels(tmp_path):
    grey = smooth()[..., 0]
    Image.fromarray(grey).save(tmp_path / "a.png")
    pixels = load_image(tmp_path / "a.png").pixels
    assert (pixels == grey[..., None]).all()
    Image.fromarray(grey > 100).save(tmp_path / "b.png")
    assert (load_image(tmp_path / "b.png").pixels == np.where(grey > 100, 255, 0)[..., None]).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_not_cut(tmp_path, suffix):
    grey = smooth()[..., 0]
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / f"a.{suffix}")
    assert (load_image(tmp_path / f"a.{suffix}").pixels == grey[..., None]).all()


def test_sixteen_bit_rounds_to_the_nearest(tmp_path):
    values = np.array([[0, 128, 129, 385, 386, 65535]], np.uint16)  # halves of 257 are between 128 and 129
    Image.fromarray(values).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").pixels[0, :, 0].tolist() == [0, 0, 1, 1, 2, 255]


def test_floats_and_long_integers(tmp_path):
    grey = smooth()[..., 0]
    for name, values in {
        "unit": (grey / 255).astype(np.float32),
        "bytes": grey.astype(np.float32),
        "ints": grey.astype(np.int32) * 257,
        "byte_ints": grey.astype(np.int32),
    }.items():
        Image.fromarray(values).save(tmp_path / f"{name}.tif")
        assert np.abs(load_image(tmp_path / f"{name}.tif").pixels[..., 0].astype(int) - grey).max() <= 1, name


def test_cmyk_is_not_inverted(tmp_path):
    for name in ("a.jpg", "a.tif"):
        Image.fromarray(smooth()).convert("CMYK").save(tmp_path / name)
        assert distance(load_image(tmp_path / name).pixels, smooth()) < 4


def test_transparency_is_laid_on_white(tmp_path):
    half = np.dstack([np.zeros((4, 4, 3), np.uint8), np.full((4, 4), 128, np.uint8)])
    for name in ("a.png", "a.webp"):
        Image.fromarray(half).save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
        assert abs(int(load_image(tmp_path / name).pixels[0, 0, 0]) - 127) <= 1, name
    Image.fromarray(np.zeros((4, 4), np.uint8)).convert("P").save(tmp_path / "p.png", transparency=0)
    assert (load_image(tmp_path / "p.png").pixels == 255).all()
    Image.fromarray(np.zeros((4, 4), np.uint8)).convert("LA").save(tmp_path / "la.png")
    assert (load_image(tmp_path / "la.png").pixels == 0).all()


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_the_first_frame_of_an_animation(tmp_path, suffix):
    first, second = (Image.new("RGB", (8, 8), color) for color in ((250, 0, 0), (0, 250, 0)))
    options = {"lossless": True} if suffix == "webp" else {}
    first.save(tmp_path / f"a.{suffix}", save_all=True, append_images=[second], duration=100, **options)
    assert load_image(tmp_path / f"a.{suffix}").pixels[4, 4].tolist() == [250, 0, 0]


def test_one_pixel(tmp_path):
    Image.new("RGB", (1, 1), (9, 8, 7)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png").pixels.tolist() == [[[9, 8, 7]]]


def test_strips_leave_no_seams(tmp_path, monkeypatch):
    monkeypatch.setattr("mien.media.image._STRIP_PIXELS", 20 * 64)
    tall = smooth(20, 301)
    Image.fromarray(tall).save(tmp_path / "a.png")
    assert (load_image(tmp_path / "a.png").pixels == tall).all()


@pytest.mark.parametrize(("min_side", "factor"), [(None, 1), (400, 1), (201, 1), (200, 2), (101, 2), (100, 4), (20, 8)])
def test_min_side_reduces_a_jpeg_while_decoding(tmp_path, min_side, factor):
    (tmp_path / "a.jpg").write_bytes(jpeg(smooth(600, 400)))
    picture = load_image(tmp_path / "a.jpg", min_side=min_side)
    assert picture.scale == 1 / factor
    assert picture.pixels.shape == (400 // factor, 600 // factor, 3)
    assert picture.size == (600, 400)
    blocks = smooth(600, 400).reshape(400 // factor, factor, 600 // factor, factor, 3).mean((1, 3))
    assert distance(picture.pixels, blocks) < 2
    assert picture.note == ""


def test_min_side_leaves_other_formats_whole(tmp_path):
    Image.fromarray(smooth()).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png", min_side=8).scale == 1.0


def test_a_large_jpeg_is_reduced_with_a_note_and_a_large_png_refused(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg(smooth(600, 400)))
    picture = load_image(tmp_path / "a.jpg", max_pixels=70_000)
    assert (picture.scale, picture.size) == (0.5, (600, 400))
    assert picture.note == "600 x 400 pixels, read at 1/2 of its size"
    with pytest.raises(MienError, match=r"600 x 400 pixels are above the limit of 0.001 million"):
        load_image(tmp_path / "a.jpg", max_pixels=1_000)
    Image.fromarray(smooth(600, 400)).save(tmp_path / "a.png")
    with pytest.raises(MienError, match=r"600 x 400 .* above the limit of 0.07 million"):
        load_image(tmp_path / "a.png", max_pixels=70_000)


def test_a_progressive_jpeg_counts_its_coefficients(tmp_path, monkeypatch):
    """They stand in memory at full size whatever the scale: 6 bytes a pixel beside the 7 of each decoded one."""
    (tmp_path / "a.jpg").write_bytes(jpeg(smooth(600, 400), progressive=True))
    monkeypatch.setattr("mien.media.image.PICTURE_BYTES", 240_000 * (6 + 2))
    assert load_image(tmp_path / "a.jpg").scale == 0.5
    (tmp_path / "b.jpg").write_bytes(jpeg(smooth(600, 400)))
    assert load_image(tmp_path / "b.jpg").scale == 1.0
    monkeypatch.setattr("mien.media.image.PICTURE_BYTES", 240_000 * 6)
    with pytest.raises(MienError, match="600 x 400 pixels are above the limit"):
        load_image(tmp_path / "a.jpg")


def test_20000_by_20000_is_refused_from_the_header(tmp_path):
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20000, 20000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    (tmp_path / "bomb.png").write_bytes(bomb)
    with pytest.raises(MienError, match="20000 x 20000 pixels are above the limit of 100 million"):
        load_image(tmp_path / "bomb.png")


BAD = {
    "empty.jpg": (b"", "the file is empty"),
    "text.jpg": (b"this is no picture", "not a picture .it begins with"),
    "page.jpg": (b"<!DOCTYPE html><html>", "a web page"),
    "phone.jpg": (b"\x00\x00\x00\x18ftypheic" + bytes(40), "HEIC"),
    "zeros.png": (bytes(500), "not a picture"),
    "cut.jpg": (jpeg(smooth())[:700], "damaged or cut short"),
    "head.jpg": (jpeg(smooth())[:60], "header is damaged"),
    "no_end.jpg": (jpeg(smooth(600, 400))[:-200], "damaged or cut short"),
    "mime.gif": (b"GIF89a", "header is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_that_names_it(tmp_path, name, capfd):
    content, reason = BAD[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(MienError, match=reason) as caught:
        load_image(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["png", "webp", "bmp", "tif", "gif", "jp2", "ppm"])
def test_half_a_file_is_refused_in_every_format(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(300, 200)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(MienError):
        load_image(path)


def test_missing_and_folder(tmp_path):
    with pytest.raises(MienError, match=r"none\.jpg: no such file"):
        load_image(tmp_path / "none.jpg")
    with pytest.raises(MienError, match="a folder"):
        load_image(tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_bytes_give_a_picture_or_a_line(tmp_path, data):
    content = bytearray(data.draw(st.sampled_from([jpeg(smooth()), _png(), _tiff()])))
    for _ in range(4):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (tmp_path / "x.jpg").write_bytes(content[: data.draw(st.integers(1, len(content)))])
    try:
        assert load_image(tmp_path / "x.jpg", max_pixels=10**6).pixels.ndim == 3
    except MienError as error:
        assert "\n" not in str(error)


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, "PNG")
    return buffer.getvalue()


def _tiff() -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(smooth()).save(buffer, "TIFF")
    return buffer.getvalue()


@pytest.fixture
def album(tmp_path) -> Path:
    for name in ("b.jpg", "A.PNG", "notes.txt", "deep/er/c.webp", ".hidden/d.jpg", "._b.jpg", "clip.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    return tmp_path


def names(folder: Path, found: list[Path]) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in found]


def test_a_folder_gives_its_pictures_to_the_bottom(album):
    assert names(album, picture_files([album])) == ["A.PNG", "b.jpg", "deep/er/c.webp"]
    assert names(album, picture_files([album], videos=True)) == ["A.PNG", "b.jpg", "clip.mp4", "deep/er/c.webp"]


def test_patterns_files_and_doubles(album):
    assert names(album, picture_files([str(album / "*.jpg")])) == ["b.jpg"]
    assert names(album, picture_files([str(album / "**" / "*")])) == ["A.PNG", "b.jpg", "deep/er/c.webp"]
    assert names(album, picture_files([album / "b.jpg", album, str(album / "b*")])) == [
        "A.PNG",
        "b.jpg",
        "deep/er/c.webp",
    ]
    assert names(album, picture_files([album / "notes.txt"])) == ["notes.txt"]  # named outright


def test_a_file_with_pattern_signs_in_its_name(album):
    (album / "face[1].jpg").write_bytes(b"x")
    assert names(album, picture_files([album / "face[1].jpg"])) == ["face[1].jpg"]


def test_links_that_turn_in_circles_end(album):
    try:
        (album / "deep" / "up").symlink_to(album, target_is_directory=True)
        (album / "z_again.jpg").symlink_to(album / "b.jpg")
    except OSError:
        pytest.skip("no symbolic links here")
    assert names(album, picture_files([album])) == ["A.PNG", "b.jpg", "deep/er/c.webp"]


def test_nothing_found_says_what_was_looked_for(album):
    (album / "bare").mkdir()
    for item, message in {
        album / "bare": "no pictures in this folder or below it. Known: .jpg",
        album / "*.gif": "the pattern matches no pictures",
        album / "b.jpeg": "no such file or folder. Did you mean 'b.jpg'",
    }.items():
        with pytest.raises(MienError, match=message.replace("(", r"\(")):
            picture_files([item])
    with pytest.raises(MienError, match="No input"):
        picture_files([])


def test_is_video():
    assert is_video("a/B.MP4")
    assert not is_video("a/b.jpg")


def test_a_picture_whose_name_begins_with_a_tilde_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    for name in ("~draft.jpg", "home/a.jpg"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    assert picture_files(["~draft.jpg"]) == [Path("~draft.jpg")]
    assert picture_files(["~"]) == picture_files(["~/a.jpg"]) == [tmp_path / "home" / "a.jpg"]


@pytest.mark.parametrize("orientation", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_tiff_is_turned_once(tmp_path: Path, orientation: int) -> None:
    """Pillow turns TIFF itself, and no other kind."""
    pixels = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.tif", "a.png"):
        Image.fromarray(pixels).save(tmp_path / name, exif=exif)
    tiff, png = load_image(tmp_path / "a.tif"), load_image(tmp_path / "a.png")
    assert tiff.size == png.size == ((20, 30) if orientation > 4 else (30, 20))
    np.testing.assert_array_equal(tiff.pixels, png.pixels)


def test_pipes_and_links_in_circles_are_one_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    (tmp_path / "nothing.jpg").symlink_to(tmp_path / "absent.jpg")
    for name, reason in (("pipe", "a pipe or a device"), ("loop", "symbolic links"), ("nothing", "no such file")):
        with pytest.raises(MienError, match=rf"{name}\.jpg: .*{reason}"):
            load_image(tmp_path / f"{name}.jpg")
    assert len(picture_files([tmp_path])) == 3 and picture_files([tmp_path / "loop.jpg"])


def test_kinds_that_are_not_read_are_counted(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.HEIC", "c.heic", "d.CR2", "e.txt", ".f.heic", "more/g.heif"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert left_out([tmp_path]) == {".heic": 2, ".cr2": 1, ".heif": 1}
    assert left_out([tmp_path, tmp_path / "b.HEIC"]) == {".heic": 2, ".cr2": 1, ".heif": 1}
    assert left_out([str(tmp_path / "*.heic"), tmp_path / "a.jpg"]) == {".heic": 1}


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_only_the_first_of_several_pictures_is_read_and_the_note_says_so(tmp_path: Path, suffix: str) -> None:
    first, second = (Image.fromarray(np.full((20, 30, 3), shade, np.uint8)) for shade in (40, 200))
    first.save(tmp_path / f"one.{suffix}")
    first.save(tmp_path / f"two.{suffix}", save_all=True, append_images=[second])
    assert load_image(tmp_path / f"one.{suffix}").note == ""
    read = load_image(tmp_path / f"two.{suffix}")
    assert abs(int(read.pixels.mean()) - 40) < 5
    assert read.note == "the first of several pictures in this file, the others are not read"


def test_a_transport_stream_is_a_video_and_typescript_is_none(tmp_path: Path) -> None:
    (tmp_path / "film.ts").write_bytes((b"G@" + bytes(186)) * 4)
    (tmp_path / "code.ts").write_text("Good code, " * 100)
    assert picture_files([tmp_path], videos=True) == [tmp_path / "film.ts"] and is_video(tmp_path / "film.ts")
    with pytest.raises(MienError, match="no pictures"):
        picture_files([tmp_path])
    (tmp_path / "film.jpg").write_bytes(b"\x1aE\xdf\xa3" + bytes(40))
    with pytest.raises(MienError, match=r"a video whose name is no video's. Rename it: .mp4"):
        load_image(tmp_path / "film.jpg")


def test_a_folder_that_cannot_be_listed_is_not_left_out_in_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, listed = tmp_path / "closed", os.scandir
    closed.mkdir()
    (tmp_path / "a.jpg").touch()

    def scandir(path: str) -> object:
        if Path(path) == closed:
            raise PermissionError(13, "Permission denied", path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert picture_files([tmp_path]) == [tmp_path / "a.jpg", closed]
    assert picture_files([closed]) == [closed]
