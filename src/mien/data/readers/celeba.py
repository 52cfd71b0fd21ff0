"""CelebA: 202,599 pictures of 10,177 celebrities. Liu, Luo, Wang, Tang, ICCV 2015.

`img_align_celeba/000001.jpg` (178 x 218) or `img_celeba` (as found), `list_eval_partition.txt` (`000001.jpg 0`: 0
train, 1 valid, 2 test), `identity_CelebA.txt` (`000001.jpg 2880`), `list_bbox_celeba.txt` (two lines of head; x, y,
width, height in `img_celeba`). `.csv` with a head, as Kaggle has them, are read too. ParFace adds
`celeba_annotations.csv` (`image_path`, x1, y1, x2, y2, scale). The layout is that of the set's read-me as public code
reads it.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.core.records import Box, Sample
from mien.data.readers.pictures_only import PicturesOnly
from mien.data.readers.reader import Listing, file_names, is_picture
from mien.data.readers.stores import Place
from mien.data.readers.tables import first_there

_CODES = {"0": "train", "1": "valid", "2": "test"}
_TOPS = ("", "Img", "Anno", "Eval", "csv")
_FOLDERS = {"aligned": "img_align_celeba", "original": "img_celeba"}
_WAY_OUT = "Expected img_align_celeba/*.jpg, with list_eval_partition.txt beside it or below Eval."


class CelebA(PicturesOnly):
    """The set's folders, there or below `Img`, `Anno`, `Eval`. Without the list of parts: one split "all".

    pictures: "aligned" (default), which are faces as they are, or "original", with the set's boxes. Where
    `celeba_annotations.csv` lies there, boxes are those. subject is the identity, where its list is there.
    """

    name = "celeba"
    signs = ("img_align_celeba", "Img/img_align_celeba", "img_celeba", "Img/img_celeba", "list_eval_partition.txt")

    def __init__(self, root: Path, *, pictures: str = "aligned") -> None:
        super().__init__(root)
        self.choose("pictures", pictures, _FOLDERS)
        self.original = pictures == "original"
        folders = [self.root / top / _FOLDERS[pictures] for top in _TOPS]
        folders += [folder / folder.name for folder in folders]  # as Kaggle's archive unpacks
        there = [folder for folder in folders if any(map(is_picture, file_names(folder)))]
        self.folder = there[0] if there else self.need(folders[0], way_out=_WAY_OUT)
        self._parts = {name: _CODES[code] for name, code in self._pairs("list_eval_partition") if code in _CODES}
        splits = set(self._parts.values()) or {"all"}
        self.splits = tuple(split for split in ("train", "valid", "test", "all") if split in splits)

    def _read(self, split: str) -> list[Sample]:
        listing = Listing(self.folder)
        if split == "all":
            names = sorted(name for name in listing.names() if is_picture(name))
        else:
            names = [name for name, part in self._parts.items() if part == split]
        found = self.on_disk(names, listing, listed_in=self.root / "list_eval_partition")
        top = self.key_of(self.folder)
        places = {
            name: Place(f"{top}/{name}", self.folder / there)
            for name, there in zip(names, found, strict=True)
            if there is not None
        }
        persons = dict(self._pairs("identity_CelebA"))
        return self.boxed(places, split, boxes=self._face_boxes(), subject=persons)

    def _face_boxes(self) -> dict[str, Box]:
        boxes, _ = self.boxes("celeba_annotations.csv")
        if boxes:
            return {name.rpartition("/")[2]: box for name, box in boxes.items()}
        if not self.original:
            return {}
        return dict(self._own_boxes())

    def _own_boxes(self) -> Iterator[tuple[str, Box]]:
        for cells, where in self._rows("list_bbox_celeba"):
            try:
                x, y, width, height = map(float, cells[1:5])
            except ValueError:
                raise self.error(f"{where}: expected a picture and x, y, width, height.") from None
            if width > 0 and height > 0:
                yield cells[0], (x, y, x + width, y + height)

    def _pairs(self, stem: str) -> Iterator[tuple[str, str]]:
        return ((cells[0], cells[1]) for cells, _ in self._rows(stem) if len(cells) > 1)

    def _rows(self, stem: str) -> Iterator[tuple[list[str], str]]:
        """Words of each line about a picture, and where it stands; the head lines are passed over."""
        names = [f"{top}/{stem}{suffix}".lstrip("/") for top in _TOPS for suffix in (".txt", ".csv")]
        if (path := first_there(self, *names)) is None:
            return
        for number, line in enumerate(self.lines(path), 1):
            cells = line.replace(",", " ").split()
            if cells and is_picture(cells[0]):
                yield cells, f"{path}, line {number}"
