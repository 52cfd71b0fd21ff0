"""Pictures inside larger files: rows of fer2013.csv, pictures of a shard."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.media.image import load_image


def test_a_row_of_grey_values_is_read_as_a_picture(tmp_path: Path) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text("emotion,pixels,Usage\n3,0 64 128 255,Training\n")
    offset = path.read_bytes().index(b"0 64")
    pixels = load_image(path, span=(offset, len("0 64 128 255"))).pixels
    assert pixels[..., 0].tolist() == [[0, 64], [128, 255]]
    assert pixels.shape == (2, 2, 3)


def test_a_picture_inside_a_shard_is_the_picture_itself(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    path = tmp_path / "shard.tar"
    path.write_bytes(b"before" + encoded.getvalue() + b"after")
    assert np.array_equal(load_image(path, span=(6, len(encoded.getvalue()))).pixels, pixels)


@pytest.mark.parametrize(
    ("text", "message"),
    [("1 2 3", "3 grey values at byte 0 are not a square"), ("1 2 x 4", "not a row of grey"), ("1 2 3 400", "0..255")],
)
def test_text_that_is_no_picture_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "fer2013.csv"
    path.write_text(text)
    with pytest.raises(MienError, match=message):
        load_image(path, span=(0, len(text)))


def test_a_shard_that_was_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "shard.tar"
    path.write_bytes(b"12345")
    with pytest.raises(MienError, match=r"shard\.tar: cut short, 2 of 10 bytes at 3"):
        load_image(path, span=(3, 10))
