"""What torch.save wrote, read without torch.load: no dispatch to TorchScript, no second reader, nothing executed.

torch.load looks a zip archive's names up with a reader of its own and may hand the file to `torch.jit.load`, whatever
another reader saw in it. Here one reader decides names and contents. Both formats are read: zip archives (PyTorch 1.6
and later) and the older row of pickles with the storages behind them. Memory is bounded by the file's own length
and the limits of `inert_pickle`.
"""

import io
import mmap
import struct
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch
from torch import Tensor, nn

from mien.core.errors import MienError, one_line
from mien.nn.files.inert_pickle import Budget, Constructor, Inert, PickleError, inert_class, read_pickle, refuse_key

# PyTorch's layout of an archive's directory: no comment, nothing before, between or behind.
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_TAIL_BYTES = 56 + 20 + 22  # the three end records together
_DIRECTORY_BYTES = 16 * 2**20
_SMALL_RECORD_BYTES = 64  # byteorder
# The first objects of the older format (torch.serialization).
_MAGIC, _PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
_STORAGES = {
    "DoubleStorage": torch.float64, "FloatStorage": torch.float32, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32,
    "ShortStorage": torch.int16, "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
    "ComplexDoubleStorage": torch.complex128, "ComplexFloatStorage": torch.complex64, "UntypedStorage": torch.uint8,
}  # fmt: skip
# A view may repeat its storage's elements (expand), up to so many.
_REPEATED = 2**20
_DIMENSIONS = 64


class TorchScriptError(PickleError):
    """The archive is a program."""


@dataclass(frozen=True, slots=True, eq=False)
class Storage:
    """A typed range of bytes of a file."""

    data: torch.UntypedStorage
    """All bytes of the file's record."""
    dtype: torch.dtype
    """Of the elements."""
    start: int
    """First byte of `data`."""
    length: int
    """Bytes."""


def read_torch_file(path: Path) -> Any:
    """The object in a file of torch.save, on the CPU. Objects of foreign classes are `Inert`.

    Raises MienError for a file that is damaged, no such file, or beyond the limits, and for a TorchScript program.
    """
    try:
        with path.open("rb") as file:
            return _read_archive(file) if file.read(2) == b"PK" else _read_pickles(file)
    except TorchScriptError as error:
        raise MienError(
            f"{path}: a TorchScript program, not a dict of weights. Save its state_dict() instead."
        ) from error
    except Exception as error:  # damaged files raise nearly anything
        reason = one_line(error)[:160]
        raise MienError(f"{path}: damaged, or not a PyTorch weight file ({reason}). Fetch it again.") from error


def _read_archive(file: BinaryIO) -> Any:
    length = file.seek(0, 2)
    entries = _entry_count(file, length)
    with zipfile.ZipFile(file) as archive:
        records = _records(archive, entries, length)

        def small(name: str) -> bytes:
            if records[name].file_size > _SMALL_RECORD_BYTES:
                raise PickleError(f"its record {name} is too long")
            return archive.read(records[name])

        order = small("byteorder").decode("ascii", "replace") if "byteorder" in records else "little"
        if order not in ("little", "big"):
            raise PickleError(f"its byte order is {order!r}")
        storages = _Storages(length)
        budget = Budget()
        if records["data.pkl"].file_size > budget.bytes:
            raise PickleError(f"its pickle is longer than {budget.bytes:,} bytes")
        pickled = archive.read(records["data.pkl"])
        content, _ = read_pickle(pickled, 0, lookup=lookup, persistent=storages.of_archive, budget=budget)
        for key, storage in storages.known.items():
            record = records.get(f"data/{key}")
            if record is None or record.file_size != storage.length:
                raise PickleError(f"its storage {key} is missing or of another length")
            with archive.open(record) as stored:
                _fill(storage, stored.readinto, order)  # type: ignore[attr-defined]
    return content


def _entry_count(file: BinaryIO, length: int) -> int:
    """How many entries the archive's directory states.

    Raises PickleError unless the directory lies where every reader looks: right before the end, at its stated offset.
    Readers differ in what they make of a comment, of bytes before the archive and of an offset that does not fit; so a
    file could show one directory to one of them and another to the next.
    """
    tail = _at(file, max(0, length - _TAIL_BYTES), length)
    if len(tail) < 22 or tail[-22:-18] != _END or tail[-2:] != b"\0\0":
        raise PickleError("the file ends too early, or something follows its directory")
    stated = struct.unpack("<4H2L", tail[-18:-2])  # two disks, two counts, size, offset
    behind = length - 22
    if tail[-42:-38] == _LOCATOR64:
        behind = length - _TAIL_BYTES
        if not tail.startswith(_END64) or struct.unpack("<LQL", tail[-38:-22]) != (0, behind, 1):
            raise PickleError("its directory's end is not where it should be")
        record_bytes, *whole = struct.unpack("<Q4x2L4Q", tail[4:56])
        saturated = (0xFFFF,) * 4 + (0xFFFFFFFF,) * 2
        agree = all(a in (b, most) for a, b, most in zip(stated, whole, saturated, strict=True))
        if record_bytes != 44 or not agree:
            raise PickleError("its directory's two ends disagree")
        stated = tuple(whole)
    disk, first_disk, here, entries, size, offset = stated
    if disk or first_disk or here != entries or offset + size != behind or size > _DIRECTORY_BYTES:
        raise PickleError("its directory is not where it should be, or too long")
    return int(entries)


def _at(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)


def _records(archive: zipfile.ZipFile, entries: int, length: int) -> dict[str, zipfile.ZipInfo]:
    """The records by their names within the archive's one folder: data.pkl, byteorder, data/0, ..."""
    listed = archive.infolist()
    top = listed[0].filename.partition("/")[0] if listed else ""
    records: dict[str, zipfile.ZipInfo] = {}
    if any(info.filename.endswith("constants.pkl") for info in listed):
        raise TorchScriptError("a program")
    for info in listed:
        folder, _, name = info.filename.partition("/")
        if folder != top or name in records or info.orig_filename != info.filename:
            raise PickleError(f"its record {info.filename!r} is there twice, or beside the archive's one folder")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size or info.flag_bits & 0x61:
            raise PickleError(f"its record {info.filename!r} is compressed, which PyTorch never does")
        records[name] = info
    if len(listed) != entries or sum(info.file_size for info in listed) > length:
        raise PickleError("its directory states more than the file holds")
    if "data.pkl" not in records:
        raise PickleError("it has no data.pkl")
    return records


def _read_pickles(file: BinaryIO) -> Any:
    """The older format: magic number, version, system, object, keys of the storages; then length and bytes of each."""
    if _at(file, 257, 262) == b"ustar":
        raise PickleError("a tar archive (PyTorch before 0.1.10 or packed files); unpack it first")
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        return _pickled(data, file, Budget())


def read_storage(content: bytes, *, budget: Budget) -> Storage:
    """The storage that a plain pickle of a tensor holds as bytes of the older format. Raises PickleError."""
    found = _pickled(content, io.BytesIO(content), budget)
    if not isinstance(found, Storage):
        raise PickleError("its pickle holds something else than a storage in bytes")
    return found


def _pickled(data: bytes | mmap.mmap, stream: BinaryIO, budget: Budget) -> Any:
    """The object in the older format; `stream` reads the same bytes as `data`."""
    storages, place = _Storages(len(data)), 0
    found: list[Any] = []
    for _ in range(5):
        one, place = read_pickle(data, place, lookup=lookup, persistent=storages.of_pickles, budget=budget)
        found.append(one)
        if found[0] != _MAGIC or (len(found) > 1 and found[1] != _PROTOCOL):
            raise PickleError("it does not begin with PyTorch's magic number")
    keys = found[4]
    if not isinstance(keys, list) or sorted(keys) != sorted(storages.known):
        raise PickleError("its list of storages does not fit")
    stream.seek(place)
    for key in keys:
        storage = storages.known[key]
        if struct.unpack("<q", stream.read(8))[0] * storage.dtype.itemsize != storage.length:
            raise PickleError(f"its storage {key} is of another length")
        _fill(storage, stream.readinto, "little")  # type: ignore[attr-defined]
    return found[3]


class _Storages:
    """The storages that a pickle refers to, by their keys; allocated here and filled when the pickle has been read."""

    def __init__(self, file_bytes: int) -> None:
        self.left, self.known = file_bytes, dict[str, Storage]()

    def of_archive(self, saved: Any) -> Any:
        kind, storage_type, key, _location, count = saved
        if _text(kind) != "storage":
            raise PickleError(f"its pickle refers to a {kind!r}")
        return self._storage(storage_type, _text(key), count)

    def of_pickles(self, saved: Any) -> Any:
        if _text(saved[0]) == "module":  # a class with its source
            return saved[1]
        *first, view = saved
        storage = self.of_archive(first)
        if view is None:
            return storage
        _, start, count = view
        start, length = start * storage.dtype.itemsize, count * storage.dtype.itemsize
        if not 0 <= start <= start + length <= storage.length:
            raise PickleError("its pickle views more of a storage than there is")
        return Storage(storage.data, storage.dtype, start, length)

    def _storage(self, storage_type: Any, key: str, count: Any) -> Storage:
        if not isinstance(storage_type, torch.dtype) or type(count) is not int or count < 0:
            raise PickleError(f"its storage {key} has a type that is not read here")
        length = count * storage_type.itemsize
        if key not in self.known:
            self.left -= length
            if self.left < 0:
                raise PickleError("its storages are longer than the file")
            self.known[key] = Storage(torch.UntypedStorage(length), storage_type, 0, length)
        elif (self.known[key].dtype, self.known[key].length) != (storage_type, length):
            raise PickleError(f"its storage {key} is referred to in two ways")
        return self.known[key]


def _text(value: Any) -> str:
    """Python 2 wrote some of these as bytes."""
    text = value.decode("ascii") if isinstance(value, bytes) else value
    if not isinstance(text, str):
        raise PickleError(f"its pickle refers to a {type(value).__name__}")
    return text


def _fill(storage: Storage, read_into: Callable[[memoryview], int | None], order: str) -> None:
    """The storage's bytes from a stream. Raises PickleError where it ends too early."""
    if not storage.length:
        return
    view: memoryview = torch.empty(0, dtype=torch.uint8).set_(storage.data).numpy().data
    while view:
        count = read_into(view)
        if not count:
            raise PickleError("the file ends too early")
        view = view[count:]
    if order != sys.byteorder and storage.dtype.itemsize > 1:
        storage.data.byteswap(storage.dtype)


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any, dtype: torch.dtype | None = None) -> Any:
    """rest: requires_grad, hooks (never kept), metadata. Raises PickleError for elements outside of the storage."""
    if isinstance(storage, Inert):
        return Inert()
    if not isinstance(storage, Storage) or not isinstance(size, tuple) or not isinstance(stride, tuple):
        raise PickleError("its pickle makes a tensor of what is no storage")
    dtype = dtype or storage.dtype
    numbers = (offset, *size, *stride)
    if len(size) != len(stride) or len(size) > _DIMENSIONS or any(type(n) is not int or n < 0 for n in numbers):
        raise PickleError("its pickle makes a tensor of no shape")
    count, last = 1, offset
    for side, step in zip(size, stride, strict=True):
        count, last = count * side, last + (side - 1) * step
    held = storage.length // dtype.itemsize
    if storage.start % dtype.itemsize or (count and last >= held) or offset > held or max(numbers) >= 2**62:
        raise PickleError("its pickle makes a tensor that is larger than its storage")
    if count > max(held, _REPEATED):
        raise PickleError(f"its pickle repeats a storage of {held:,} elements to {count:,}")
    if len(rest) > 2 and rest[2]:
        raise PickleError("its pickle makes a conjugate or negative view, which is not read here")
    start = storage.start // dtype.itemsize + offset
    tensor = torch.empty(0, dtype=dtype).set_(storage.data, start, size, stride)
    return tensor.requires_grad_(bool(rest and rest[0] and (dtype.is_floating_point or dtype.is_complex)))


def _tensor_of_type(storage: Any, offset: Any, size: Any, stride: Any, *rest: Any) -> Any:
    """A tensor of an untyped storage: its type comes after requires_grad and hooks."""
    grad, hooks, dtype, *more = rest
    if not isinstance(dtype, torch.dtype):
        raise PickleError("its pickle makes a tensor of no type")
    return _tensor(storage, offset, size, stride, grad, hooks, *more, dtype=dtype)


def _parameter(data: Any, requires_grad: Any = True, *_: Any) -> Any:
    if isinstance(data, Inert):
        return data
    if not isinstance(data, Tensor):
        raise PickleError("its pickle makes a parameter of what is no tensor")
    floats = data.dtype.is_floating_point or data.dtype.is_complex
    return nn.Parameter(data.detach(), bool(requires_grad) and floats)


def _subclassed(function: Any, _kind: Any, arguments: Any, _state: Any) -> Any:
    """A tensor with attributes or of a subclass: the tensor alone."""
    if not isinstance(function, Constructor) or not isinstance(arguments, tuple) or function is _SUBCLASSED:
        return Inert()
    return function.build(*arguments)


def _size(sides: Any = ()) -> torch.Size:
    if not isinstance(sides, list | tuple) or any(type(n) is not int or not 0 <= n < 2**62 for n in sides):
        raise PickleError("its pickle makes a shape of what are no numbers")
    return torch.Size(sides)


def _ordered(pairs: Any = ()) -> OrderedDict[Any, Any]:
    built: OrderedDict[Any, Any] = OrderedDict()
    for key, value in pairs.items() if isinstance(pairs, dict) else pairs:
        refuse_key(key)
        built[key] = value
    return built


def _set(make: Callable[[Iterable[Any]], Any], items: Any = ()) -> Any:
    items = list(items)
    for item in items:
        refuse_key(item)
    return make(items)


def _encoded(text: Any, encoding: Any = "utf-8") -> bytes:
    """How protocol 2 writes bytes."""
    if not isinstance(text, str) or encoding not in ("latin1", "utf-8"):
        raise PickleError("its pickle encodes what is no text")
    return text.encode(encoding)


def _bytes(content: Any = b"", *encoding: Any) -> bytes:
    if isinstance(content, str):
        return _encoded(content, *encoding)
    if not isinstance(content, bytes | bytearray):
        raise PickleError("its pickle makes bytes of something else")
    return bytes(content)


def _complex(real: Any, imaginary: Any) -> complex:
    return complex(float(real), float(imaginary))


_SUBCLASSED = Constructor(_subclassed, 60)
_PLAIN = {
    "set": Constructor(lambda *items: _set(set, *items), 8),
    "frozenset": Constructor(lambda *items: _set(frozenset, *items), 8),
    "bytes": Constructor(_bytes),
    "bytearray": Constructor(lambda *content: bytearray(_bytes(*content))),
    "complex": Constructor(_complex),
}
# All that a file can call; none of it runs foreign code. Every other name becomes Inert.
CONSTRUCTORS: dict[tuple[str, str], Constructor] = {
    ("collections", "OrderedDict"): Constructor(_ordered, 10),
    ("torch", "Size"): Constructor(_size),
    ("torch._utils", "_rebuild_tensor"): Constructor(_tensor, 40),
    ("torch._utils", "_rebuild_tensor_v2"): Constructor(_tensor, 40),
    ("torch._utils", "_rebuild_tensor_v3"): Constructor(_tensor_of_type, 40),
    ("torch._utils", "_rebuild_parameter"): Constructor(_parameter, 40),
    ("torch._utils", "_rebuild_parameter_with_state"): Constructor(_parameter, 40),
    ("torch.nn.parameter", "Parameter"): Constructor(_parameter, 40),
    ("torch._tensor", "_rebuild_from_type_v2"): _SUBCLASSED,
    ("_codecs", "encode"): Constructor(_encoded),
    **{(module, name): built for module in ("builtins", "__builtin__") for name, built in _PLAIN.items()},
}


def lookup(module: str, name: str) -> Any:
    """What a name in a pickle of torch stands for: a Constructor, a dtype, or an `Inert` class."""
    if (module, name) in CONSTRUCTORS:
        return CONSTRUCTORS[module, name]
    if module in ("torch", "torch.cuda", "torch.storage") and name in _STORAGES:
        return _STORAGES[name]
    if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
        return getattr(torch, name)
    return inert_class(module, name)
