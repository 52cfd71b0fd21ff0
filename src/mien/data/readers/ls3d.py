"""LS3D-W: 68 points of the projected 3D face on about 230,000 pictures. Bulat, Tzimiropoulos, ICCV 2017.

Pictures with a `.t7` file each (a Torch7 tensor, 68 x 2), in `300VW-3D/CatA/<clip>`, `300W-Testset-3D`,
`AFLW2000-3D-Reannotated`, `Menpo-3D`, `LS3D-W_balanced`; or ParFace's list `ls3d.ljson` (`img_path`, `landmarks`) with
the pictures in folders or in `LS3D.tar`. No depth: the points' z was never published. Known from public code only,
which takes the coordinates as from 0.
"""

import struct
from pathlib import Path

import numpy as np

from mien.core.records import Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.listing import walk
from mien.data.readers.stores import Store, tars_in
from mien.data.readers.tables import first_there, read_records

_FOLDERS = {
    "train": "300VW-3D/Trainset", "300vw_a": "300VW-3D/CatA", "300vw_b": "300VW-3D/CatB", "300vw_c": "300VW-3D/CatC",
    "300w": "300W-Testset-3D", "aflw2000": "AFLW2000-3D-Reannotated", "menpo": "Menpo-3D",
    "balanced": "LS3D-W_balanced",
}  # fmt: skip
_WAY_OUT = "Expected 300VW-3D, 300W-Testset-3D, AFLW2000-3D-Reannotated, Menpo-3D, LS3D-W_balanced, or ls3d.ljson."
_TORCH, _NUMBERS = 4, {b"torch.FloatTensor": "<f4", b"torch.DoubleTensor": "<f8"}


class Ls3d(LandmarkSet):
    """The folders that are there, one split each, there or below `LS3D-W`; or the list, one split "all".

    Frames of 300VW have their clip. Parts are other sets' test pictures: see `mien data leaks`.
    """

    name = "ls3d"
    signs = (*_FOLDERS.values(), "ls3d.ljson", "csv/ls3d.ljson", "LS3D-W")

    def __init__(self, root: Path) -> None:
        super().__init__(root / "LS3D-W" if (root / "LS3D-W").is_dir() else root)
        self.list = first_there(self, "ls3d.ljson")
        found = {split: self.root / name for split, name in _FOLDERS.items() if (self.root / name).is_dir()}
        self._folders = {} if self.list else found
        if not self.list and not found:
            self.need(self.root / "300W-Testset-3D", way_out=_WAY_OUT)
        self.splits = tuple(self._folders) or ("all",)

    def _read(self, split: str) -> list[Sample]:
        if self.list is not None:
            return self._listed(self.list, split)
        top = self._folders[split]
        folders = [Path(name) for name, names in walk(top) if any(name.endswith(".t7") for name in names)]
        return [
            self.face(
                self.key_of(picture), picture, split, self.points(read_t7(self, file), file),
                clip=None if folder == top else self.key_of(folder),
            )
            for folder in folders
            for file, picture in self.paired(folder, ".t7")
        ]  # fmt: skip

    def _listed(self, path: Path, split: str) -> list[Sample]:
        records = read_records(self, path, needed=("img_path", "landmarks"))
        names = [str(record["img_path"]) for record in records]
        found = Store(self, tars=tars_in(self.root)).find_all(names, listed_in=path)
        return [
            self.face(
                place.key, place.path, split, self.points(record["landmarks"], f"{path}, record {number}")[:, :2],
                span=place.span, clip=_clip(name),
            )
            for number, (record, name, place) in enumerate(zip(records, names, found, strict=True), 1)
            if place is not None
        ]  # fmt: skip


def _clip(name: str) -> str | None:
    folder = name.rpartition("/")[0]
    return folder if "300VW" in folder else None


def read_t7(reader: LandmarkSet, path: Path) -> np.ndarray:
    """The one tensor of a Torch7 file, float32. Raises the reader's error for anything else; nothing in it can run."""
    content = path.read_bytes()
    try:
        place, kind = _torch_head(content, 0)
        dimensions = struct.unpack_from("<i", content, place)[0]
        if kind not in _NUMBERS or not 1 <= dimensions <= 4:
            raise ValueError("no tensor of numbers")
        sizes = struct.unpack_from(f"<{2 * dimensions + 1}q", content, place + 4)
        place, stored = _torch_head(content, place + 4 + 8 * len(sizes))
        if stored != kind.replace(b"Tensor", b"Storage"):
            raise ValueError("no storage after the tensor")
        count = struct.unpack_from("<q", content, place)[0]
        values = np.frombuffer(content, _NUMBERS[kind], count, place + 8)[sizes[-1] - 1 :]
        shape, strides = sizes[:dimensions], sizes[dimensions:-1]
        if min(shape) < 1 or min(strides) < 0:
            raise ValueError("an empty tensor")
        places = sum(np.ix_(*(np.arange(n) * step for n, step in zip(shape, strides, strict=True))), np.int64(0))
        return np.asarray(values[places], np.float32)
    except (struct.error, ValueError, IndexError) as error:
        raise reader.error(f"{path} is not a Torch7 file of one tensor ({error}).") from error


def _torch_head(content: bytes, place: int) -> tuple[int, bytes]:
    """Where the object's own values begin, and its class: type, number, version, class."""
    kind, _, length = struct.unpack_from("<3i", content, place)
    if kind != _TORCH or content[place + 12 : place + 12 + length] != b"V 1":
        raise ValueError("it does not begin as one")
    place += 12 + length
    length = struct.unpack_from("<i", content, place)[0]
    if not 0 < length < 64:
        raise ValueError("it does not begin as one")
    return place + 4 + length, content[place + 4 : place + 4 + length]
