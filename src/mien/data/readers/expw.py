"""ExpW: 91,793 faces in pictures from a web search, 7 classes. Zhang, Luo, Loy, Tang, IJCV 2018 (arXiv 1609.06426).

`label.lst` has eight columns without a header: image_name face_id_in_image face_box_top face_box_left face_box_right
face_box_bottom face_box_cofidence expression_label (the set's own spelling). The box is top, LEFT, RIGHT, bottom.
Verified against the set's read-me as its users quote it, and its first row, `angry_actor_104.jpg 0 28 113 226 141
22.9362 0`, whose box is a square in this order only.
"""

from pathlib import Path
from typing import NamedTuple

from mien.core.labels import label_set
from mien.core.records import Box, Sample
from mien.data.readers.listing import Listing
from mien.data.readers.reader import Reader

_CODES = {str(code): code for code in range(7)}
_WAY_OUT = "Expected label/label.lst and image/origin/*.jpg, there or below data/."
_COLUMNS = "name, face, top, left, right, bottom, confidence, class"


class _Face(NamedTuple):
    picture: str
    number: str
    box: Box
    confidence: float
    expression: int


class ExpW(Reader):
    """`data/label/label.lst` and `data/image/origin/*.jpg`, also without `data`, or `label.lst` beside `origin`.

    min_confidence: faces whose box has less are left out (the detector's score as the file gives it).
    A picture may have several faces: keys are `PICTURE#FACE`. Not divided: one split, "all". A line that stands twice
    is read once; a face with two different labels is left out: both are counted in the notes. No subjects.
    """

    name = "expw"
    signs = ("label/label.lst", "data/label/label.lst", "label.lst")

    def __init__(self, root: Path, *, min_confidence: float = 0.0) -> None:
        super().__init__(root)
        self.min_confidence = float(min_confidence)
        self.labels = label_set("expw")
        self.splits = ("all",)
        tops = (self.root, self.root / "data")
        self.table = self.first_of((t / n for t in tops for n in ("label/label.lst", "label.lst")), way_out=_WAY_OUT)
        folders = (t / n for t in tops for n in ("image/origin", "image", "origin"))
        self.pictures = self.first_of(folders, way_out=_WAY_OUT)
        self._faces = [self._face(line, number) for number, line in enumerate(self.lines(self.table), 1)]

    def _read(self, split: str) -> list[Sample]:
        listing, names = Listing(self.pictures), list(dict.fromkeys(face.picture for face in self._faces))
        places = dict(zip(names, self.on_disk(names, listing, listed_in=self.table), strict=True))
        self.note_unlisted(listing, places.values(), listed_in=self.table)
        folder = self.key_of(self.pictures)
        return [
            Sample(f"{folder}/{face.picture}#{face.number}", self.pictures / place, split, face.expression,
                   box=face.box)
            for face in self._distinct()
            if face.confidence >= self.min_confidence and (place := places[face.picture])
        ]  # fmt: skip

    def _face(self, line: str, number: int) -> _Face:
        cells = line.rsplit(maxsplit=7)  # a name may have blanks
        try:
            name, face, code = cells[0].strip(), cells[1], cells[7]
            top, left, right, bottom, confidence = (float(cell) for cell in cells[2:7])
        except (ValueError, IndexError):
            raise self.error(f"{self.table}, line {number}: expected {_COLUMNS}; got {line.strip()[:60]!r}.") from None
        if code not in _CODES:
            raise self.error(f"{self.table}, line {number}: class {code!r} is not one of 0..6.")
        if not (right > left and bottom > top):
            raise self.error(
                f"{self.table}, line {number}: a box needs right > left and bottom > top; "
                f"got top {top:g}, left {left:g}, right {right:g}, bottom {bottom:g}."
            )
        return _Face(name, face, (left, top, right, bottom), confidence, _CODES[code])

    def _distinct(self) -> list[_Face]:
        by_place: dict[tuple[str, str], _Face] = {}
        torn: set[tuple[str, str]] = set()
        for face in self._faces:
            place = (face.picture, face.number)
            if by_place.setdefault(place, face).expression != face.expression:
                torn.add(place)
        if twice := len(self._faces) - len(by_place):
            self.note(f"{twice:,} lines of {self.table.name} name a face again; each is read once.")
        if torn:
            self.note(f"{len(torn):,} faces have two different labels and are left out, first {min(torn)[0]}.")
        return [face for place, face in by_place.items() if place not in torn]
