"""A file of others comes once, whole, and is known by its SHA-256; nothing else takes its place."""

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.engine.bundles import fetch as module
from mien.engine.bundles.fetch import FETCHABLE, Fetchable, fetch
from mien.media.files import sha256_of
from mien.media.yunet import FILE, fetched_file, weight_file


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that stands for YuNet's, which is fetched from the folder `there`."""
    monkeypatch.setenv("MIEN_CACHE", str(tmp_path / "cache"))
    original = tmp_path / "original.onnx"
    original.write_bytes(b"weights" * 5000)
    there = tmp_path / "there.onnx"
    same = FETCHABLE["yunet"]
    found = Fetchable(FILE, sha256_of(original), original.stat().st_size, same.licence, same.what, (str(there),))
    monkeypatch.setitem(module.FETCHABLE, "yunet", found)
    return original


def test_it_is_fetched_once_and_found_by_the_detector(known: Path, tmp_path: Path) -> None:
    (tmp_path / "there.onnx").write_bytes(known.read_bytes())
    said = fetch("yunet")
    path = fetched_file()
    assert path is not None and str(path) in said and "licence: MIT" in said and sha256_of(known) in said
    assert path.read_bytes() == known.read_bytes() and weight_file(None) == path
    (tmp_path / "there.onnx").unlink()
    assert fetch("yunet").startswith("yunet is there already")


def test_another_file_does_not_take_its_place(known: Path, tmp_path: Path) -> None:
    (tmp_path / "there.onnx").write_bytes(b"login first" * 1_000_000)
    with pytest.raises(MienError, match=r"another file.*--source FILE"):
        fetch("yunet")
    path = fetched_file()
    assert path is not None and not path.exists()
    assert fetch("yunet", source=str(known)) and path.is_file()
    path.write_bytes(b"damaged")
    with pytest.raises(MienError, match=r"none\.onnx: No such file"):
        fetch("yunet", source=str(tmp_path / "none.onnx"))
    assert path.read_bytes() == b"damaged" and fetch("yunet", source=str(known))
    assert path.read_bytes() == known.read_bytes()


def test_what_is_not_known_is_named() -> None:
    with pytest.raises(MienError, match=r"called 'yunnet'.*yunet"):
        fetch("yunnet")
    assert all(address.startswith("https://") for address in FETCHABLE["yunet"].addresses)
