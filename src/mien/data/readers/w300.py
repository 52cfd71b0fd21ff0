"""300-W: pictures with `.pts` files of 68 points. Sagonas et al., ICCV workshops 2013.

train = `helen/trainset`, `lfpw/trainset`, `afw`; test (the "full" set) = `helen/testset`, `lfpw/testset`, `ibug`;
common = test without `ibug`; challenging = `ibug`. The box is the points' own bounding rectangle. No expressions.
"""

from pathlib import Path

from mien.core.records import Sample
from mien.data.readers.points import box_of, read_pts
from mien.data.readers.reader import Reader, file_names, is_picture

_COMMON = ("helen/testset", "lfpw/testset")
_FOLDERS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "test": (*_COMMON, "ibug"),
    "common": _COMMON,
    "challenging": ("ibug",),
}


class W300(Reader):
    """300-W as published; only the folders that are there are read. Points outside the picture are kept."""

    name = "w300"
    signs = ("helen/trainset", "lfpw/trainset", "afw/*.pts", "ibug/*.pts")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._folders = {
            split: [self.root / name for name in names if (self.root / name).is_dir()]
            for split, names in _FOLDERS.items()
        }
        self.splits = tuple(split for split, folders in self._folders.items() if folders)
        if not self.splits:
            self.need(
                self.root / "afw", way_out="Expected helen/trainset, lfpw/trainset, afw, ibug with .jpg and .pts."
            )

    def _read(self, split: str) -> list[Sample]:
        return [sample for folder in self._folders[split] for sample in self._folder(folder, split)]

    def _folder(self, folder: Path, split: str) -> list[Sample]:
        names = file_names(folder)
        pictures = {Path(name).stem: name for name in sorted(names) if is_picture(name)}
        stems = sorted(Path(name).stem for name in names if name.lower().endswith(".pts"))
        missing = [folder / f"{stem}.jpg" for stem in stems if stem not in pictures]
        self.refuse_missing(missing, listed_in=folder, total=len(stems))
        if rest := sorted(set(pictures) - set(stems)):
            self.note(
                f"{len(rest):,} pictures in {folder} have no .pts file and are not read, first {pictures[rest[0]]}."
            )
        there = [stem for stem in stems if stem in pictures]
        return [self._sample(folder / f"{stem}.pts", folder / pictures[stem], split) for stem in there]

    def _sample(self, points_file: Path, picture: Path, split: str) -> Sample:
        points = read_pts(points_file)
        if len(points) != 68:
            raise self.error(f"{points_file} has {len(points)} points; the set has 68.")
        key = picture.relative_to(self.root).as_posix()
        return Sample(key, picture, split, box=box_of(points), landmarks_px=points)
