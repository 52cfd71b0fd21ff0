"""RAF-DB basic, in its own layout (list file) and as class folders.

Li, Deng, Du, CVPR 2017. Classes 1..7 are surprise, fear, disgust, happiness, sadness, anger, neutral. The set has no
validation split and names no subjects.
"""

from pathlib import Path

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.class_folders import ClassFolders
from mien.data.readers.listing import split_folders
from mien.data.readers.reader import Listing, Reader

_CODES = {str(code): code - 1 for code in range(1, 8)}


class RafDb(Reader):
    """`EmoLabel/list_patition_label.txt` (the set's own spelling) and `Image/aligned/*_aligned.jpg`.

    pictures: "aligned" (100x100, as every published number uses) or "original" (`Image/original`, uncropped).
    """

    name = "rafdb"
    signs = ("EmoLabel/list_patition_label.txt",)

    def __init__(self, root: Path, *, pictures: str = "aligned") -> None:
        super().__init__(root)
        self.choose("pictures", pictures, ("aligned", "original"))
        way_out = "Expected the folder made by unpacking basic.zip."
        self.list_file = self.need(self.root / "EmoLabel" / "list_patition_label.txt", way_out=way_out)
        self.pictures = self.need(self.root / "Image" / pictures, way_out=way_out)
        self.labels = label_set("rafdb")
        self._rows = [self._row(line, number) for number, line in enumerate(self.lines(self.list_file), 1)]
        self.splits = tuple(split for split in ("train", "test") if any(row[0] == split for row in self._rows))

    def _row(self, line: str, number: int) -> tuple[str, str, int]:
        """(split, file name, class index) of `train_00001.jpg 5`."""
        name, _, code = line.strip().rpartition(" ")
        split = name.partition("_")[0]
        if code not in _CODES:
            raise self.error(f"{self.list_file}, line {number}: class {code!r} is not one of 1..7.")
        if split not in ("train", "test"):
            raise self.error(f"{self.list_file}, line {number}: {line.strip()!r} does not begin with train_ or test_.")
        return split, name.strip(), _CODES[code]

    def _read(self, split: str) -> list[Sample]:
        listing = Listing(self.pictures)
        rows = [(self._file_name(name), index) for of, name, index in self._rows if of == split]
        found = self.on_disk([name for name, _ in rows], listing, listed_in=self.list_file)
        every = (listing.find(self._file_name(name)) for _, name, _ in self._rows)
        self.note_unlisted(listing, every, listed_in=self.list_file)
        folder = f"Image/{self.pictures.name}"
        return [
            Sample(f"{folder}/{listed}", self.pictures / name, split, index)
            for (listed, index), name in zip(rows, found, strict=True)
            if name
        ]

    def _file_name(self, listed: str) -> str:
        if self.pictures.name == "original":
            return listed
        stem, _, suffix = listed.rpartition(".")
        return f"{stem}_aligned.{suffix}"


class RafDbFolders(ClassFolders):
    """`train|valid|test/1..7/*.jpg`, also below a folder `DATASET` (the form that circulates on Kaggle).

    In POSTER V2's published layout `valid/` holds RAF-DB's test pictures. Where no `test/` stands beside it, it is
    therefore the split "test" here, so that selecting an epoch on it is refused.
    """

    name = "rafdb_folders"
    class_folders = "Expected 1..7, each with its pictures."
    signs = ("train/[1-7]", "DATASET/train/[1-7]")

    def __init__(self, root: Path) -> None:
        super().__init__(root / "DATASET" if (root / "DATASET").is_dir() else root)
        self.labels = label_set("rafdb")
        self.folders = folders = split_folders(self.root)
        if not folders:
            self.need(self.root / "train", way_out="Expected train/1..7 and test/1..7.")
        self.valid_is_test = "valid" in folders and "test" not in folders
        if self.valid_is_test:
            folders["test"] = folders.pop("valid")
        self.splits = tuple(folders)

    def class_of(self, folder: Path) -> int:
        if folder.name not in _CODES:
            raise self.error(f"{folder.parent} has a class folder {folder.name!r}; the classes are 1..7.")
        return _CODES[folder.name]
