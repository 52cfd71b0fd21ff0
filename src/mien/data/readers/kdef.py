"""KDEF: 70 actors, 7 expressions, 5 angles, two sessions; 4,900 pictures of 562 x 762. Lundqvist, Flykt, Öhman, 1998.

`AF01ANHL.JPG` is session A, female 01, angry, half left. The codes of sex, expression and angle are verified against
the set's own page (kdef.se, for its averaged faces), folders and whole names against public code that reads the set.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from mien.core.errors import nearest
from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.reader import Reader

_CODES = ("AF", "AN", "DI", "HA", "NE", "SA", "SU")  # in the order of the label set
ANGLES = ("FL", "HL", "S", "HR", "FR")
_NAME = re.compile(r"([AB])([FM]\d\d)(AF|AN|DI|HA|NE|SA|SU)(FL|HL|S|HR|FR)\.\w+")
_WAY_OUT = "Expected KDEF/AF01/AF01AFS.JPG, ..."


class Kdef(Reader):
    """`KDEF/AF01/AF01AFS.JPG`, also without the folder KDEF or without the persons' folders. One split, "all".

    angles: which of FL HL S HR FR to read (full left, half left, straight, half right, full right); all by default.
    subject: sex and number, the same in both sessions. clip: session, person and expression, one pose from five sides.
    Files of another name (a few of the set's own are misnamed) are left out and counted in the notes. No box: the
    picture shows head and shoulders.
    """

    name = "kdef"
    signs = ("AF01/AF01*", "KDEF/AF01", "AF01AFS.*", "KDEF/AF01AFS.*")

    def __init__(self, root: Path, *, angles: Sequence[str] = ANGLES) -> None:
        super().__init__(root)
        wanted = [angles] if isinstance(angles, str) else list(angles)
        for angle in wanted:
            if angle not in ANGLES:
                raise self.error(f"no angle {angle!r}.{nearest(str(angle), ANGLES)}")
        self.labels = label_set("kdef")
        self.splits = ("all",)
        self._pictures = self._find(wanted)

    def _find(self, wanted: Sequence[str]) -> list[tuple[Path, re.Match[str]]]:
        pictures = [(path, _NAME.fullmatch(path.name.upper())) for path in self._all()]
        known = [(path, parts) for path, parts in pictures if parts]
        others = [path for path, parts in pictures if not parts]
        if not known:
            self.need(self.root / "KDEF" / "AF01" / "AF01AFS.JPG", way_out=_WAY_OUT)
        self.note_other_names(others)
        return [(path, parts) for path, parts in known if parts[4] in wanted]

    def _all(self) -> list[Path]:
        """Pictures of KDEF itself: the averaged faces (AKDEF), which come beside it, are another set."""
        folder = self.root / "KDEF"
        top = folder if folder.is_dir() else self.root
        return [path for path in self.pictures_below(top) if "AKDEF" not in path.relative_to(top).parts]

    def _read(self, split: str) -> list[Sample]:
        return [
            Sample(
                self.key_of(path), path, split, _CODES.index(parts[3]),
                subject=parts[2], clip=parts[1] + parts[2] + parts[3],
            )
            for path, parts in self._pictures
        ]  # fmt: skip
