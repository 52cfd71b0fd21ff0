"""MATLAB files become plain values; damaged and hostile ones end in one line, before memory or the stack do."""

import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.data.readers.matlab import read_mat
from mien.data.replicas.picture import cells, write_mat

BOXES = [
    {"imgName": "a 1.jpg", "bb_detector": np.array([[1.5, 2, 3, 4]])},
    {"imgName": "b.jpg", "bb_detector": np.zeros((1, 4))},
]
VALUES = {
    "numbers": np.arange(6, dtype=np.float32).reshape(2, 3), "one": np.ones((1, 1)), "short": np.ones((2, 2), np.int16),
    "text": "a word", "bounding_boxes": cells(BOXES), "nameList": cells(["0/x.jpg", "3/yy.jpg"], column=True),
}  # fmt: skip


def element(kind: int, data: bytes) -> bytes:
    return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)


def of_class(number: int, *, flags: int = 0, sizes: tuple[int, ...] = (1, 1), rest: bytes = b"") -> bytes:
    """A file with one variable "x" of a class."""
    body = element(6, struct.pack("<II", number | flags, 0)) + element(5, struct.pack(f"<{len(sizes)}i", *sizes))
    body += element(1, b"x") + rest
    return b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H2s", 0x0100, b"IM") + element(14, body)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    write_mat(tmp_path / "x.mat", VALUES)
    found = read_mat(tmp_path / "x.mat")
    assert found["text"] == "a word" and found["nameList"] == ["0/x.jpg", "3/yy.jpg"]
    assert [box["imgName"] for box in found["bounding_boxes"]] == ["a 1.jpg", "b.jpg"]
    assert found["numbers"].dtype == np.float32 and (found["numbers"] == VALUES["numbers"]).all()
    assert (found["bounding_boxes"][0]["bb_detector"] == [[1.5, 2, 3, 4]]).all()
    assert found["short"].shape == (2, 2)


@pytest.mark.parametrize("compress", [False, True])
def test_packed_and_plain_files_are_the_same(tmp_path: Path, compress: bool) -> None:
    io = pytest.importorskip("scipy.io")
    path = tmp_path / "x.mat"
    cube = np.arange(24.0).reshape(2, 3, 4)
    values = {"cell": cells(["word", np.arange(3.0)]), "struct": {"a": 1.5, "b": "x"}, "cube": cube,
              "byte": cube.astype(np.uint8), "nothing": np.zeros((0, 0)), "blank": ""}  # fmt: skip
    io.savemat(path, values, do_compression=compress)
    found = read_mat(path)
    assert found["cell"][0] == "word" and (found["cell"][1] == [0, 1, 2]).all()
    assert found["struct"]["a"] == 1.5 and found["struct"]["b"] == "x"
    assert (found["cube"] == cube).all() and found["byte"].dtype == np.uint8
    assert found["nothing"].size == 0 and found["blank"] == ""
    assert set(read_mat(path, "cube", "cell")) == {"cube", "cell"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (of_class(16), "x is a function handle"), (of_class(3), "x is an object"), (of_class(17), "x is an object"),
        (of_class(5), "x is a sparse array"), (of_class(6, flags=0x0800), "x is complex"),
        (of_class(6, sizes=(3, 3), rest=element(9, bytes(8))), "not a .mat file that can be read here"),
        (of_class(6, sizes=(1 << 30, 1 << 30), rest=element(9, bytes(8))), "x is too large"),
        (of_class(6, sizes=(-1, 1), rest=element(9, bytes(8))), "x is too large"),
        (of_class(1, sizes=(1, 1 << 30)), "x is too large"), (of_class(2, sizes=(1, 1 << 30)), "x is too large"),
        (of_class(4, sizes=(1, 1 << 30), rest=element(16, b"")), "x is too large"),
        (of_class(1, sizes=(1, 4)), "not a .mat file that can be read here"),
        (of_class(6, rest=element(9, bytes(8)))[:-12], "cut short"),
        (b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512), "HDF5: save it again in MATLAB with -v7"),
        (b"\x89HDF\r\n\x1a\n" + bytes(200), "version 7.3"), (b"", "does not begin as MATLAB"),
        (b"\x80\x04cos\nsystem\n" + bytes(200), "does not begin as MATLAB"),
    ],
)  # fmt: skip
def test_other_kinds_are_refused_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "hostile.mat"
    path.write_bytes(content)
    with pytest.raises(MienError) as caught:
        read_mat(path)
    assert message in str(caught.value) and "hostile.mat" in str(caught.value) and "\n" not in str(caught.value)


def test_a_bomb_and_an_abyss_are_refused(tmp_path: Path) -> None:
    head = of_class(6)[:128]
    packer = zlib.compressobj(9)
    zeros = bytes(1 << 20)
    bomb = b"".join(packer.compress(zeros) for _ in range(600)) + packer.flush()
    (tmp_path / "bomb.mat").write_bytes(head + struct.pack("<II", 15, len(bomb)) + bomb)
    with pytest.raises(MienError, match="too large"):
        read_mat(tmp_path / "bomb.mat")
    inner = b""
    for _ in range(2000):
        head_of_cell = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<2i", 1, 1)) + element(1, b"")
        inner = element(14, head_of_cell + inner)
    (tmp_path / "deep.mat").write_bytes(of_class(1, rest=inner))
    with pytest.raises(MienError, match="nested too deep"):
        read_mat(tmp_path / "deep.mat")


def test_without_scipy_the_message_names_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mat(tmp_path / "x.mat", VALUES)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(MienError, match=r"x.mat needs SciPy: pip install '\S*\[train\]'"):
        read_mat(tmp_path / "x.mat")


def test_the_same_values_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mat", "b.mat"):
        write_mat(tmp_path / name, VALUES)
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    assert b"Created" not in (tmp_path / "a.mat").read_bytes()


def test_damage_anywhere_ends_in_a_mien_error(tmp_path: Path) -> None:
    write_mat(tmp_path / "x.mat", VALUES)
    content = (tmp_path / "x.mat").read_bytes()
    rng = np.random.Generator(np.random.PCG64(0))
    refused = 0
    for _ in range(400):
        damaged = bytearray(content)
        for place in rng.integers(100, len(content), 4):
            damaged[place] = rng.integers(256)
        (tmp_path / "y.mat").write_bytes(damaged[: rng.integers(100, len(content))] if rng.random() < 0.3 else damaged)
        try:
            read_mat(tmp_path / "y.mat")
        except MienError:
            refused += 1
    assert refused > 100


def test_a_missing_variable_is_reported_with_those_that_are_there(tmp_path: Path) -> None:
    write_mat(tmp_path / "x.mat", VALUES)
    with pytest.raises(MienError, match=r"no variable 'pt3d_68'. It has: bounding_boxes, nameList, numbers"):
        read_mat(tmp_path / "x.mat", "pt3d_68")


@pytest.mark.shared
def test_genuine_files_are_read_as_scipy_reads_them(shared: Path) -> None:
    io = pytest.importorskip("scipy.io")
    files = sorted((shared / "landmarks" / "AFLW2000").glob("*.mat"))
    assert len(files) == 12
    for file in files:
        ours, theirs = read_mat(file), io.loadmat(file)
        assert set(ours) == {name for name in theirs if not name.startswith("__")}
        assert all((ours[name] == theirs[name]).all() for name in ours)
