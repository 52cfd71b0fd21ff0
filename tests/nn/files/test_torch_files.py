"""torch.save's files are read without torch.load: the same values, no program that runs, bounded work and memory."""

import collections
import resource
import struct
import time
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.engine.training.run_folder import RunFolder
from mien.nn.files.inert_pickle import LIMITS
from mien.nn.files.torch_files import read_torch_file
from mien.nn.weights import Inert, read_checkpoint
from shape_checks import unchecked

FORMS = pytest.mark.parametrize("zipped", [True, False])
TYPES = (
    torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
)  # fmt: skip


def same(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and a.stride() == b.stride() and torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return type(a) is type(b) and a == b


def content() -> dict:
    base = torch.arange(24.0).reshape(4, 6)
    return {
        "types": {str(kind): (torch.arange(6) % 2).to(kind) for kind in TYPES},
        "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 3), "turned": base.T, "part": base[1:3, ::2],
        "wide": torch.ones(1).expand(5), "plain": [1, -2, 2**40, 1.5, None, True, "é\ud800", b"\x00\xff", (1,), set()],
        "bytes": bytearray(b"abc"), "complex": 1 + 2j, "keys": {1: "a", 1.5: "b", (1, "x"): "c", None: "d"},
        "shape": torch.Size([2, 3]), "dtype": torch.float16, "set": {1, 2},
        "ordered": collections.OrderedDict(b=1, a=2), "parameter": nn.Parameter(torch.ones(2)),
    }  # fmt: skip


@FORMS
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_values_are_those_of_torch_load(tmp_path: Path, zipped: bool, protocol: int) -> None:
    options = {"_use_new_zipfile_serialization": zipped, "pickle_protocol": protocol}
    torch.save(content(), tmp_path / "a.pth", **options)
    read = read_checkpoint(tmp_path / "a.pth")
    expected = torch.load(tmp_path / "a.pth", weights_only=False)
    assert same(expected, read)
    assert isinstance(read["parameter"], nn.Parameter) and read["parameter"].requires_grad


@FORMS
def test_shared_storages_stay_shared(tmp_path: Path, zipped: bool) -> None:
    whole = torch.arange(10)
    torch.save({"a": whole, "b": whole[2:5]}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "a.pth")
    read["a"][3] = 77
    assert read["b"].tolist() == [2, 77, 4]


def test_types_without_a_storage_of_their_own(tmp_path: Path) -> None:
    kinds = [kind for kind in (torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn)]
    torch.save({str(kind): torch.arange(4).to(kind) for kind in kinds}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert all(read[str(kind)].dtype == kind and read[str(kind)].float().tolist() == [0, 1, 2, 3] for kind in kinds)


@FORMS
def test_optimizers_modules_and_versions(tmp_path: Path, zipped: bool) -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    optimizer = torch.optim.AdamW(net.parameters())
    net(torch.randn(4, 3)).sum().backward()
    optimizer.step()
    saved = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(saved, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    read = read_checkpoint(tmp_path / "a.pth")
    assert same(saved["optimizer"], read["optimizer"]) and read["net"]._metadata == net.state_dict()._metadata
    optimizer.load_state_dict(read["optimizer"])
    net.load_state_dict(read["net"])


def test_a_tensor_with_attributes_is_the_tensor(tmp_path: Path) -> None:
    value = torch.ones(3)
    value.note = "by hand"
    torch.save({"a": value}, tmp_path / "a.pth")
    assert torch.equal(read_checkpoint(tmp_path / "a.pth")["a"], torch.ones(3))


def test_sparse_and_quantised_tensors_are_inert(tmp_path: Path) -> None:
    torch.save({"a": torch.eye(3).to_sparse(), "b": torch.ones(2)}, tmp_path / "a.pth")
    read = read_checkpoint(tmp_path / "a.pth")
    assert isinstance(read["a"], Inert) and read["b"].tolist() == [1, 1]


def entries(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {info.filename: archive.read(info) for info in archive.infolist()}


def write(path: Path, records: dict[str, bytes], kind: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    return path


def pickled(path: Path, data: bytes, **storages: bytes) -> Path:
    """An archive with that data.pkl."""
    stored = {f"a/data/{key.removeprefix('s')}": value for key, value in storages.items()}
    return write(path, {"a/data.pkl": data, "a/version": b"3\n", **stored})


def test_the_byte_order_is_followed(tmp_path: Path) -> None:
    torch.save({"a": torch.tensor([1.5, -2.0]), "b": torch.tensor([1, 2])}, tmp_path / "a.pth")
    records = entries(tmp_path / "a.pth")
    for name, form in (("a/data/0", "2f"), ("a/data/1", "2q")):
        records[name] = struct.pack(f">{form}", *struct.unpack(f"<{form}", records[name]))
    records["a/byteorder"] = b"big"
    read = read_checkpoint(write(tmp_path / "b.pth", records))
    assert read["a"].tolist() == [1.5, -2.0] and read["b"].tolist() == [1, 2]
    records["a/byteorder"] = b"middle"
    with pytest.raises(MienError, match="byte order"):
        read_checkpoint(write(tmp_path / "b.pth", records))


class Writer(nn.Module):
    """A TorchScript module that writes a file when it is loaded."""

    marker: str

    def __init__(self, marker: str) -> None:
        super().__init__()
        self.marker = marker

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.marker, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.marker = state[0]
        self.training = state[1]
        torch.save(torch.ones(1), self.marker)


def directory(data: bytes) -> tuple[bytes, bytes]:
    """An archive's entries, and its directory."""
    size, offset = struct.unpack("<2L", data[-10:-2])
    return data[:offset], data[offset : offset + size]


def two_directories(path: Path, shown: bytes, hidden: bytes) -> None:
    """Python's zipfile finds `shown`, readers that trust the stated offset find `hidden`.

    The directory of `shown` lies right before the end and is found by its length; `hidden` at the stated offset. Both
    must be of one length, so the last entry of the shorter one gets a comment.
    """
    (first, hidden_list), (second, shown_list) = directory(hidden), directory(shown)
    longest = max(len(hidden_list), len(shown_list))

    def padded(listed: bytes) -> bytes:
        if len(listed) == longest:
            return listed
        last, more = listed.rindex(b"PK\x01\x02"), longest - len(listed)
        return listed[: last + 32] + struct.pack("<H", more) + listed[last + 34 :] + b" " * more

    count = struct.unpack("<H", hidden[-12:-10])[0]
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count, count, longest, len(first), 0)
    middle = first + padded(hidden_list)
    # zipfile moves all offsets by what lies between the stated and the found directory
    moved = len(middle) + len(second) - len(first)
    body, place = bytearray(padded(shown_list)), 0
    while (place := body.find(b"PK\x01\x02", place)) >= 0:
        offset = struct.unpack_from("<L", body, place + 42)[0]
        struct.pack_into("<L", body, place + 42, (offset + len(middle) - moved) % 2**32)
        place += 4
    path.write_bytes(middle + second + bytes(body) + end)


@pytest.fixture
def no_dispatch(monkeypatch: pytest.MonkeyPatch):
    """torch's own ways into a file fail the test."""

    def called(*args: object, **kwargs: object) -> None:
        raise BaseException("torch's own reader was called")  # which `except Exception` lets through

    def install() -> None:
        for owner, name in (
            (torch, "load"), (torch.jit, "load"), (torch._C, "PyTorchFileReader"), (torch._C, "import_ir_module"),
        ):  # fmt: skip
            monkeypatch.setattr(owner, name, called)

    return install


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_second_directory_with_a_program_does_not_run(tmp_path: Path, no_dispatch) -> None:
    marker, path = tmp_path / "ran", tmp_path / "evil.pth"
    torch.jit.script(Writer(str(marker))).save(tmp_path / "a.pt")
    torch.save(nn.Linear(3, 2).state_dict(), tmp_path / "b.pth")
    hidden = write(tmp_path / "c.zip", entries(tmp_path / "a.pt")).read_bytes()
    shown = entries(tmp_path / "b.pth")
    names = list(shown)
    while len(shown) < len(zipfile.ZipFile(tmp_path / "c.zip").namelist()):
        shown[f"b/more{len(shown)}"] = b"more"
    two_directories(path, write(tmp_path / "d.zip", shown).read_bytes(), hidden)
    listed = zipfile.ZipFile(path)
    assert set(names) <= set(listed.namelist()) and not any("constants" in name for name in listed.namelist())
    assert listed.read("b/data.pkl") == shown["b/data.pkl"]
    torch.jit.load(path)  # the payload is live for a reader that trusts the offset
    assert marker.exists()
    marker.unlink()
    no_dispatch()
    with pytest.raises(MienError, match="directory is not where it should be") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value) and not marker.exists()
    run = RunFolder(tmp_path / "run")
    run.checkpoint.parent.mkdir(parents=True)
    run.checkpoint.write_bytes(path.read_bytes())
    with pytest.raises(MienError, match=r"last.ckpt cannot be read"):
        run.load()
    assert not marker.exists()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@FORMS
def test_torchs_own_reader_is_never_called(tmp_path: Path, zipped: bool, no_dispatch) -> None:
    torch.jit.script(Writer(str(tmp_path / "ran"))).save(tmp_path / "program.pt")
    torch.save({"a": torch.ones(2)}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    no_dispatch()
    assert read_checkpoint(tmp_path / "a.pth")["a"].tolist() == [1, 1]
    with pytest.raises(MienError, match="TorchScript"):
        read_checkpoint(tmp_path / "program.pt")
    run = RunFolder(tmp_path)
    run.checkpoint.parent.mkdir()
    run.checkpoint.write_bytes((tmp_path / "program.pt").read_bytes())
    with pytest.raises(MienError, match=r"last.ckpt cannot be read"):
        run.load()
    assert not (tmp_path / "ran").exists()


FLOAT = b"ctorch\nFloatStorage\n"


def storage(count: int, key: bytes = b"0") -> bytes:
    head = b"(X\x07\0\0\0storage" + FLOAT + b"X" + struct.pack("<I", len(key)) + key + b"X\x03\0\0\0cpu"
    return head + b"\x8a\x08" + struct.pack("<q", count) + b"tQ"


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def tensor(held: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """A dict with one tensor: the view of a storage of `held` floats."""
    view = numbers(offset)[1:-1] + numbers(*size) + numbers(*stride)
    rebuilt = b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage(held) + view + b"\x89}tR"
    return b"\x80\x02}X\x01\0\0\0a" + rebuilt + b"s."


def test_the_hand_written_tensor_is_one(tmp_path: Path) -> None:
    path = pickled(tmp_path / "a.pth", tensor(4, 1, (3,), (1,)), s0=struct.pack("<4f", 1, 2, 3, 4))
    assert read_checkpoint(path)["a"].tolist() == [2, 3, 4]


@pytest.mark.parametrize(
    "view",
    [
        (4, 0, (5,), (1,)), (4, 2, (3,), (1,)), (4, 0, (2, 2), (4, 1)), (4, -1, (1,), (1,)), (4, 0, (2,), (-1,)),
        (4, 0, (-2,), (1,)), (4, 0, (2,), (2**61,)), (4, 2**61, (1,), (1,)), (4, 0, (2**31, 2**31, 2**31), (0, 0, 0)),
        (4, 5, (0,), (1,)), (4, 0, (1,) * 70, (1,) * 70), (4, 0, (2,), (1, 1)), (4, 0, (2**30,), (0,)),
        (8, 0, (4,), (1,)), (2, 0, (2,), (1,)), (-1, 0, (0,), (1,)), (2**40, 0, (1,), (1,)),
    ],
)  # fmt: skip
def test_a_view_beyond_its_storage_is_refused(tmp_path: Path, view) -> None:
    path = pickled(tmp_path / "a.pth", tensor(*view), s0=struct.pack("<4f", 1, 2, 3, 4))
    with pytest.raises(MienError, match="damaged, or not a PyTorch weight file") as caught:
        read_checkpoint(path)
    assert "\n" not in str(caught.value)


HALF = b"\x80\x04"
ORDERED = b"ccollections\nOrderedDict\n"
BOMBS = {
    "nested tuples": HALF + b"}\x8c\x01a)" + b"2\x86" * 60 + b"s.",
    "nested tuples as a key": HALF + b"})" + b"2\x86" * 60 + b"Ns.",
    "top down": HALF + b"}\x8c\x01a]" + b"".join(b"\x94" if n == 0 else b"" for n in range(1))
    + b"".join(b"(]\x94h" + bytes([n + 1]) + b"e" + b"h" + bytes([n + 1]) for n in range(60)) + b"0" * 60 + b"s.",
    "huge memo index": HALF + b"}r\xff\xff\xff\xffQ.",
    "huge text": HALF + b"\x8d" + struct.pack("<Q", 2**40) + b"a.",
    "huge bytes": HALF + b"\x8e" + struct.pack("<Q", 2**40) + b"a.",
    "huge bytearray": HALF + b"\x96" + struct.pack("<Q", 2**40) + b"a.",
    "huge frame": HALF + b"\x95" + struct.pack("<Q", 2**60) + b"}",
    "huge number": HALF + b"\x8b" + struct.pack("<i", 2**30) + b"a.",
    "many lists": HALF + b"]" * 3_000_000 + b".",
    "many marks": HALF + b"(" * 3_000_000 + b".",
    "deep lists": HALF + b"}\x8c\x01a" + b"]" * 5000 + b"a" * 4999 + b"s.",
    "itself": HALF + b"}\x8c\x01a]\x94h\x00as.",
    "copies": HALF + b"](" + b"K\x01K\x01\x86" * 100_000 + b"e\x940" + (ORDERED + b"h\x00\x85R0") * 100_000 + b"}.",
    "copied text": HALF + b"X" + struct.pack("<I", 2**22) + b"a" * 2**22 + b"\x940"
    + b"(" + b"c_codecs\nencode\nh\x00\x8c\x05utf-8\x86R" * 10_000 + b"t.",
    "keys that meet": HALF + b"}(" + b"".join(
        b"\x8a\x0c" + (n * (2**61 - 1)).to_bytes(12, "little") + b"N" for n in range(100_000)
    ) + b"u.",
    "pairs that meet": HALF + b"}(" + b"".join(
        b"J" + struct.pack("<i", n) + b"\x85N" for n in range(200_000)
    ) + b"u.",
    "many classes": HALF + b"".join(f"cos\na{n}\n0".encode() for n in range(300_000)) + b"}.",
}  # fmt: skip


@unchecked()  # the checks would take most of the time
@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("archived", [True, False])
def test_a_bomb_is_refused_in_time_and_memory(tmp_path: Path, name: str, archived: bool) -> None:
    path = tmp_path / "a.pth"
    if archived:
        pickled(path, BOMBS[name])
    else:
        header = HALF + b"\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"." + HALF + b"M\xe9\x03."
        path.write_bytes(header + HALF + b"}." + BOMBS[name] + HALF + b"].")
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(MienError, match="damaged, or not a PyTorch weight file") as caught:
        read_checkpoint(path)
    assert time.process_time() - start < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000  # KiB
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_long_pickle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="longer than"):
        read_checkpoint(pickled(tmp_path / "a.pth", bytes(LIMITS.pickle_bytes + 1)))


def test_archives_that_readers_disagree_on_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.ones(100)}, tmp_path / "a.pth")
    whole, records = (tmp_path / "a.pth").read_bytes(), entries(tmp_path / "a.pth")
    plain = write(tmp_path / "plain.pth", records).read_bytes()
    assert read_checkpoint(tmp_path / "plain.pth")["a"].sum() == 100
    twice = tmp_path / "twice.pth"
    with zipfile.ZipFile(twice, "w") as archive, pytest.warns(UserWarning, match="Duplicate"):
        for name, data in [*records.items(), ("a/data.pkl", b"\x80\x02}.")]:
            archive.writestr(name, data)
    spoiled = {
        "comment": whole[:-2] + b"\x04\0abcd", "before": b"PK\x03\x04" + whole, "behind": whole + b"more",
        "count": plain[:-12] + b"\x01\0" + plain[-10:], "twice": twice.read_bytes(), "cut": whole[:-30],
        "compressed": write(tmp_path / "b.pth", records, zipfile.ZIP_DEFLATED).read_bytes(),
        "elsewhere": write(tmp_path / "b.pth", records | {"b/x": b"x"}).read_bytes(),
        "renamed": plain.replace(b"a/data/0", b"a/data/1", 1), "changed": plain.replace(b"\0\0\x80?", b"\0\0\0@", 1),
    }  # fmt: skip
    for name, data in spoiled.items():
        (tmp_path / "c.pth").write_bytes(data)
        with pytest.raises(MienError, match="damaged, or not a PyTorch weight file") as caught:
            read_checkpoint(tmp_path / "c.pth")
        assert "\n" not in str(caught.value), name


@FORMS
def test_every_cut_and_many_changes_end_in_one_line(tmp_path: Path, zipped: bool) -> None:
    torch.save({"a": torch.ones(3), "b": [1, "x"]}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pth").read_bytes()
    generator = torch.Generator().manual_seed(5)
    for trial in range(400):
        place, value = (int(torch.randint(n, (1,), generator=generator)) for n in (len(whole), 256))
        data = whole[:place] if trial % 2 else whole[:place] + bytes([value]) + whole[place + 1 :]
        (tmp_path / "b.pth").write_bytes(data)
        try:
            read_torch_file(tmp_path / "b.pth")
        except MienError as error:
            assert "\n" not in str(error)


class _NeverBuilt(nn.Module):
    """Pickled whole by some trainers; what it does when it is built must not happen when it is read."""

    built = 0

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)
        self.blocks = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1, bias=False))

    def __setstate__(self, state: dict) -> None:
        type(self).built += 1
        super().__setstate__(state)


@FORMS
def test_a_module_that_was_pickled_whole_is_read_as_its_weights(tmp_path, zipped):
    module = _NeverBuilt()
    torch.save(module, tmp_path / "whole.pth", _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(tmp_path / "whole.pth")
    assert _NeverBuilt.built == 0
    assert set(found) == set(module.state_dict())
    assert all(torch.equal(found[name], value) for name, value in module.state_dict().items())


def test_an_object_whose_attributes_hold_itself_is_refused(tmp_path):
    module = nn.Linear(1, 1)
    module.loop = [module]
    torch.save(module, tmp_path / "loop.pth")
    with pytest.raises(MienError, match="contains itself"):
        read_checkpoint(tmp_path / "loop.pth")
