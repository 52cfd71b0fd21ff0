"""JAFFE: 213 grey pictures of ten Japanese women, 256 x 256. Lyons, Kamachi, Gyoba, FG 1998; Zenodo 3451524.

`KA.AN1.39.tiff` is person KA, anger, take 1, picture 39. Names are verified against public code that reads the set, the
counts and the size against its page at Zenodo. The class codes have no numbers: the order here is that of the codes.
"""

import re
from pathlib import Path

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader

_CODES = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")  # in the order of the label set
_NAME = re.compile(r"([A-Z]{2})\.([A-Z]{2})(\d+)\.(\d+)\.TIFF?")
_WAY_OUT = "Expected pictures such as KA.AN1.39.tiff there or in folders below."


class Jaffe(Reader):
    """`KA.AN1.39.tiff`, in the folder or below it. Not divided: one split, "all".

    subject: the person's initials. clip: person and class, the takes of one pose. Pictures of another name are left out
    and counted in the notes. The picture is the portrait as published, hair and neck included: it has no box.
    """

    name = "jaffe"
    signs = ("[A-Z][A-Z].AN[0-9].*", "jaffe*/[A-Z][A-Z].AN[0-9].*")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.labels = label_set("jaffe")
        self.splits = ("all",)
        pictures = self.pictures_below(self.root)
        self._pictures = [(path, parts) for path in pictures if (parts := _NAME.fullmatch(path.name.upper()))]
        if not self._pictures:
            self.need(self.root / "KA.AN1.39.tiff", way_out=_WAY_OUT)
        others = [path for path in pictures if not _NAME.fullmatch(path.name.upper())]
        self.note_other_names(others)

    def _read(self, split: str) -> list[Sample]:
        samples = []
        for path, parts in self._pictures:
            person, code = parts[1], parts[2]
            if code not in _CODES:
                raise self.error(f"{path}: class {code!r} is none of {', '.join(_CODES)}.")
            samples.append(
                Sample(
                    self.key_of(path), path, split, _CODES.index(code),
                    subject=person, clip=f"{person}.{code}",
                )
            )  # fmt: skip
        return samples
