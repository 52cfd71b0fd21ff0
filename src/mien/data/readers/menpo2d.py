"""Menpo 2D: faces with 68 points and profiles with 39. Zafeiriou, Trigeorgis, Chrysos, Deng, Shen, CVPR workshops 2017.

Pictures with `.pts` files (from 1) side by side, in any folders. Also the lists of ParFace's code, `menpo_train.ljson`
and others: records of `img_path` and `landmarks_2d`, whose pictures lie in folders or in `menpo.tar`, `menpo_test.tar`,
`300W.tar`; these count from 0 as far as that code shows. Neither could be held against the set itself. No depth; a
profile's points are those of the visible half, and which half is not said.
"""

from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from mien.core.records import Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.listing import walk
from mien.data.readers.stores import Store, tars_in
from mien.data.readers.tables import first_there, read_records
from mien.media.points import read_pts

_LISTS = {
    "train": "menpo_train.ljson", "test": "menpo_full.ljson", "common": "menpo_common.ljson",
    "challenging": "menpo_challenging.ljson", "300w": "300W.ljson",
}  # fmt: skip
_SIZES = (68, 39)
_WAY_OUT = "Expected pictures with .pts files in folders, or ParFace's menpo_train.ljson."


class Menpo2d(LandmarkSet):
    """Folders of pictures with `.pts`, one split "all" (below `train` and `test`: those); or ParFace's lists.

    points: 68, or 39 for the profiles alone. Faces of the other kind are left out and counted: "skip", or end with an
    error: "refuse" (`others`).
    """

    name = "menpo2d"
    signs = (
        "menpo_*.ljson", "csv/menpo_*.ljson", "*menpo*/*.pts", "semifrontal/*.pts", "*/semifrontal/*.pts",
        "profile/*.pts", "*/profile/*.pts",
    )  # fmt: skip
    aliases = MappingProxyType({"full": "test"})

    def __init__(self, root: Path, *, points: int = 68, others: str = "skip") -> None:
        super().__init__(root)
        self.choose("points", str(points), tuple(map(str, _SIZES)))
        self.choose("others", others, ("skip", "refuse"))
        self.wanted, self.others = points, others
        self._lists = {split: path for split, name in _LISTS.items() if (path := first_there(self, name))}
        tops = {} if self._lists else {split: self.root / split for split in ("train", "test")}
        self._tops = {split: top for split, top in tops.items() if _has_points(top)}
        if not self._lists and not self._tops:
            if not _has_points(self.root):
                self.need(self.root / _LISTS["train"], way_out=_WAY_OUT)
            self._tops = {"all": self.root}
        self.splits = tuple(self._lists) or tuple(self._tops)

    def _read(self, split: str) -> list[Sample]:
        left_out: list[str] = []
        if self._lists:
            samples = self._listed(self._lists[split], split, left_out)
        else:
            folders = (Path(top) for top, names in walk(self._tops[split]) if any(map(_is_points, names)))
            pairs = [pair for folder in folders for pair in self.paired(folder, ".pts")]
            samples = [
                self.face(self.key_of(picture), picture, split, points)
                for file, picture in pairs
                if (points := self._of_kind(read_pts(file), str(file), left_out)) is not None
            ]
        if left_out:
            self.note(
                f"{len(left_out):,} faces of {split} have {sum(_SIZES) - self.wanted} points, not {self.wanted}, and "
                f"are left out, first {left_out[0]} (--data.reader.points)."
            )
        return samples

    def _of_kind(self, values: Any, where: str, left_out: list[str]) -> np.ndarray | None:
        """The points, None for those of the other kind. Raises MienError for any other number of them."""
        count = len(values) if hasattr(values, "__len__") else 0
        if count in _SIZES and count != self.wanted:
            if self.others == "refuse":
                raise self.error(f"{where} has {count} points where {self.wanted} are asked for (others: refuse).")
            left_out.append(where)
            return None
        return self.points(values, where, count=self.wanted)

    def _listed(self, path: Path, split: str, left_out: list[str]) -> list[Sample]:
        records = read_records(self, path, needed=("img_path", "landmarks_2d"))
        store = Store(self, tars=tars_in(self.root), folders=("", "images"))
        found = store.find_all([str(record["img_path"]) for record in records], listed_in=path)
        samples = []
        for number, (record, place) in enumerate(zip(records, found, strict=True), 1):
            points = self._of_kind(record["landmarks_2d"], f"{path}, record {number}", left_out)
            if place is not None and points is not None:
                samples.append(self.face(place.key, place.path, split, points, span=place.span))
        return samples


def _has_points(top: Path) -> bool:
    return any(_is_points(name) for _, names in walk(top) for name in names)


def _is_points(name: str) -> bool:
    return name.lower().endswith(".pts")
