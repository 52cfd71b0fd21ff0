"""Arrays of others' .npz and .npy files are read as they are, or refused in one line, in little time and memory."""

import zipfile
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.limits import ARRAY_BYTES
from mien.nn.files.numpy_files import read_npy, read_npz


def header(shape: tuple[int, ...], *, dtype: str = "'<f8'") -> bytes:
    text = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (len(text) + 10) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_writes_comes_back(tmp_path: Path, save) -> None:
    arrays = {
        "a": np.arange(12.0).reshape(3, 4), "f": np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
        "names": np.array(["one", "three"]), "none": np.zeros((0, 3), np.float32), "single": np.array(7),
    }  # fmt: skip
    save(tmp_path / "a.npz", **arrays)
    found = read_npz(tmp_path / "a.npz")
    assert list(found) == list(arrays)
    for name, values in arrays.items():
        assert found[name].dtype == values.dtype and np.array_equal(found[name], values)
    np.save(tmp_path / "a.npy", arrays["f"])
    assert np.array_equal(read_npy(tmp_path / "a.npy"), arrays["f"])


@pytest.mark.parametrize("shape", [(10**12,), (10**30,), (2**62, 2), (-5,), (11,), (0, 10**18), (9,)])
def test_a_header_states_as_much_as_there_is(tmp_path: Path, shape: tuple[int, ...]) -> None:
    (tmp_path / "a.npy").write_bytes(header(shape) + bytes(80))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.write(tmp_path / "a.npy", "a.npy")
    for read, file in ((read_npy, "a.npy"), (read_npz, "a.npz")):
        with pytest.raises(MienError, match=r"not a \.np[yz] of plain"):
            read(tmp_path / file)


@pytest.mark.parametrize("dtype", ["'|O'", "'<f3'", "[('a', '|O')]", "'|V0'", "__import__('os')"])
def test_objects_and_strange_types_are_refused(tmp_path: Path, dtype: str) -> None:
    (tmp_path / "a.npy").write_bytes(header((10,), dtype=dtype) + bytes(80))
    with pytest.raises(MienError, match=r"not a \.npy of plain numbers"):
        read_npy(tmp_path / "a.npy")


def test_an_archive_that_unpacks_to_gigabytes_is_refused_before_it_does(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.npy", "w") as file:
        for _ in range(ARRAY_BYTES // 2**20 + 1):
            file.write(bytes(2**20))
    assert (tmp_path / "a.npz").stat().st_size < 2**20
    with pytest.raises(MienError, match="257 MB of arrays; 256 MB are the most"):
        read_npz(tmp_path / "a.npz")


def test_damage_anywhere_is_one_line(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "a.npz", a=np.random.default_rng(0).random((40, 3)), b=np.arange(100))
    content = (tmp_path / "a.npz").read_bytes()
    refused = 0
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        (tmp_path / "b.npz").write_bytes(damaged)
        try:
            read_npz(tmp_path / "b.npz")
        except MienError as error:
            refused += 1
            assert "\n" not in str(error)
    assert refused > 100
