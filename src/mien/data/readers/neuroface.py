"""Toronto NeuroFace: frames of people with ALS, after a stroke, and healthy ones. Bandini et al., IEEE JBHI 2021.

About 3,300 frames, `NAME.rgb.png` with `NAME.lmk2d.txt` (68 lines `x y`) and `NAME.bbox.txt` (`x0 y0 x1 y1`), in
folders or in `ALS.tar`, `Stroke.tar`, `HealthyControls.tar`, `all.tar`. This is the form that ParFace's code reads;
neither it nor the naming of persons could be held against the set itself. Coordinates are taken as from 0. No depth, no
expressions.
"""

import re
from pathlib import Path

import numpy as np

from mien.core.records import Box, Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.listing import is_picture, walk
from mien.data.readers.stores import Place, members, tars_in

_PERSON = re.compile(r"[A-Za-z]{1,3}[_-]?\d{1,4}(?=[_.-])")
_WAY_OUT = "Expected NAME.rgb.png with NAME.lmk2d.txt and NAME.bbox.txt, in folders or in all.tar."


class NeuroFace(LandmarkSet):
    """All frames, undivided: one split "all". `all.tar` is read alone where it lies beside the others.

    box: the set's own "rect" (default), or the rectangle around the "points". subject: what a frame's name begins with
    (letters and a number: `A002_...`), None with a note where names begin otherwise; clip: the name without its last
    number.
    """

    name = "neuroface"
    signs = ("*.lmk2d.txt", "*/*.lmk2d.txt", "HealthyControls.tar", "ALS.tar", "all.tar")

    def __init__(self, root: Path, *, box: str = "rect") -> None:
        super().__init__(root)
        self.choose("box", box, ("rect", "points"))
        self.box = box
        self._places = self._inside() or dict(self._below())
        if not any(name.endswith(".lmk2d.txt") for name in self._places):
            self.need(self.root / "all.tar", way_out=_WAY_OUT)
        self.splits = ("all",)

    def _inside(self) -> dict[str, Place]:
        tars = tars_in(self.root)
        whole = [tar for tar in tars if tar.name == "all.tar"]
        return {f"{tar.name}/{name}": place for tar in whole or tars for name, place in members(tar)}

    def _below(self) -> list[tuple[str, Place]]:
        top = len(str(self.root)) + 1
        found = (f"{folder}/{name}"[top:] for folder, names in walk(self.root) for name in names)
        return [(key, Place(key, self.root / key)) for key in found]

    def _read(self, split: str) -> list[Sample]:
        pictures = {_stem(key): key for key in self._places if is_picture(key)}
        listed = [_stem(key) for key in self._places if key.endswith(".lmk2d.txt")]
        absent = [self.root / f"{stem}.rgb.png" for stem in listed if stem not in pictures]
        self.refuse_missing(absent, listed_in=self.root, total=len(listed))
        if rest := sorted(set(pictures) - set(listed)):
            self.note(f"{len(rest):,} pictures have no .lmk2d.txt and are not read, first {pictures[rest[0]]}.")
        samples = [self._sample(stem, self._places[pictures[stem]], split) for stem in listed if stem in pictures]
        if nameless := [sample for sample in samples if sample.subject is None]:
            self.note(f"of {len(nameless):,} frames nobody knows the person: {nameless[0].key} begins with no number.")
        return samples

    def _sample(self, stem: str, picture: Place, split: str) -> Sample:
        points = self.points(self._rows(f"{stem}.lmk2d.txt", 2), f"{stem}.lmk2d.txt")
        box: Box | None = None
        if self.box == "rect":
            rows = self._rows(f"{stem}.bbox.txt", 4)
            if rows.shape != (1, 4) or rows[0, 2] <= rows[0, 0] or rows[0, 3] <= rows[0, 1]:
                raise self.error(f"{stem}.bbox.txt: expected one line x0 y0 x1 y1 with x1 > x0 and y1 > y0.")
            x0, y0, x1, y1 = rows[0].tolist()
            box = (x0, y0, x1, y1)
        name = stem.rpartition("/")[2]
        person = _PERSON.match(name)
        return self.face(
            picture.key, picture.path, split, points, box=box, span=picture.span,
            subject=person[0] if person else None, clip=f"{stem.rpartition('/')[0]}/{_clip(name)}".lstrip("/"),
        )  # fmt: skip

    def _rows(self, key: str, columns: int) -> np.ndarray:
        if key not in self._places:
            raise self.error(f"no {key} under {self.root}, but its picture is there. Copy the set again.")
        try:
            text = self._places[key].read().decode("ascii")
            return np.array([line.split() for line in text.splitlines() if line.strip()], np.float32).reshape(
                -1, columns
            )
        except (UnicodeDecodeError, ValueError) as error:
            raise self.error(f"{key}: expected lines of {columns} numbers.") from error


def _stem(key: str) -> str:
    """Without `.rgb.png` or `.lmk2d.txt`: the last two of its parts."""
    folder, _, name = key.rpartition("/")
    stem = ".".join(name.split(".")[:-2]) or name.partition(".")[0]
    return f"{folder}/{stem}" if folder else stem


def _clip(name: str) -> str:
    return re.sub(r"[_-]?\d+$", "", name) or name
