"""300-W: pictures with `.pts` files of 68 points. Sagonas et al., ICCV workshops 2013; IVC 2016 (the private test set).

train = `helen/trainset`, `lfpw/trainset`, `afw`; test (the "full" set) = `helen/testset`, `lfpw/testset`, `ibug`;
common = test without `ibug`; challenging = `ibug`; 300w = the private `01_Indoor`, `02_Outdoor`. No expressions, no
depth. Checked against genuine pictures and `.pts` files of the three train parts; the other folder names and the boxes
(`Bounding Boxes/bounding_boxes_<part>.mat`) are as public code reads them.
"""

from functools import cache
from pathlib import Path
from types import MappingProxyType

from mien.core.records import Box, Sample
from mien.data.readers.landmark_set import LandmarkSet
from mien.data.readers.matlab import read_mat
from mien.media.points import read_pts

# Part, as the files of boxes are called → where its pictures may lie.
_PARTS: dict[str, tuple[str, ...]] = {
    "afw": ("afw", "train/afw"),
    "helen_trainset": ("helen/trainset", "train/helen"),
    "lfpw_trainset": ("lfpw/trainset", "train/lfpw"),
    "helen_testset": ("helen/testset", "test/common/helen"),
    "lfpw_testset": ("lfpw/testset", "test/common/lfpw"),
    "ibug": ("ibug", "test/challenging/ibug"),
    "indoor": ("300W/01_Indoor", "300w/01_Indoor", "01_Indoor", "test/300W/01_Indoor"),
    "outdoor": ("300W/02_Outdoor", "300w/02_Outdoor", "02_Outdoor", "test/300W/02_Outdoor", "test/300W/01_Outdoor"),
}
_COMMON = ("helen_testset", "lfpw_testset")
_SPLITS = {
    "train": ("afw", "helen_trainset", "lfpw_trainset"), "test": (*_COMMON, "ibug"), "common": _COMMON,
    "challenging": ("ibug",), "300w": ("indoor", "outdoor"),
}  # fmt: skip
_BOXES = ("points", "detector", "ground_truth")
_WAY_OUT = "Expected helen/trainset, lfpw/trainset, afw, ibug, 300W/01_Indoor with .jpg (or .png) and .pts."


class W300(LandmarkSet):
    """300-W as published, there or below `images`; only the folders that are there are read.

    box: the rectangle around the "points", or what the set's organisers give: the "detector"'s, or "ground_truth" (the
    tight box of the points).
    """

    name = "w300"
    signs = (
        "helen/trainset", "lfpw/trainset", "afw/*.pts", "ibug/*.pts", "300W/01_Indoor", "01_Indoor", "train/helen",
        "images/train/helen", "test/common/helen",
    )  # fmt: skip
    aliases = MappingProxyType({"full": "test", "private": "300w"})

    def __init__(self, root: Path, *, box: str = "points") -> None:
        super().__init__(root)
        self.choose("box", box, _BOXES)
        self.box = box
        tops = (self.root, self.root / "images")
        self._folders = {
            part: folder
            for part, names in _PARTS.items()
            if (folder := next((top / name for name in names for top in tops if (top / name).is_dir()), None))
        }
        self.splits = tuple(split for split, parts in _SPLITS.items() if any(part in self._folders for part in parts))
        if not self.splits:
            self.need(self.root / "afw", way_out=_WAY_OUT)

    def _read(self, split: str) -> list[Sample]:
        return [
            self._sample(points, picture, split, part)
            for part in _SPLITS[split]
            if part in self._folders
            for points, picture in self.paired(self._folders[part], ".pts")
        ]

    def _sample(self, points_file: Path, picture: Path, split: str, part: str) -> Sample:
        points = self.points(read_pts(points_file), points_file)
        box = None if self.box == "points" else self._box(part, picture)
        return self.face(self.key_of(picture), picture, split, points, box=box)

    def _box(self, part: str, picture: Path) -> Box:
        boxes, file = self._boxes(part)
        if picture.name not in boxes:
            raise self.error(f"{file} has no box of {picture.name}. Say --data.reader.box points.")
        x0, y0, x1, y1 = boxes[picture.name]
        return x0 - 0.5, y0 - 0.5, x1 - 0.5, y1 - 0.5  # pixel centres from 1 to edges from 0

    @cache  # noqa: B019 - a reader lives as long as its few tables
    def _boxes(self, part: str) -> tuple[dict[str, Box], Path]:
        names = ("Bounding Boxes", "Bounding_Boxes", "BoundingBoxes", "bboxes")
        files = [self.root / name / f"bounding_boxes_{part}.mat" for name in names]
        file = self.first_of(files, way_out="Say --data.reader.box points.")
        field = "bb_detector" if self.box == "detector" else "bb_ground_truth"
        try:
            rows = read_mat(file, "bounding_boxes")["bounding_boxes"]
            boxes = {row["imgName"].strip(): tuple(map(float, row[field].ravel())) for row in rows}
        except (TypeError, KeyError, AttributeError) as error:
            raise self.error(f"{file}: expected cells with imgName, bb_detector and bb_ground_truth.") from error
        if any(len(box) != 4 or box[2] <= box[0] or box[3] <= box[1] for box in boxes.values()):
            raise self.error(f"{file}: a box is x0, y0, x1, y1 with x1 > x0 and y1 > y0.")
        return boxes, file  # type: ignore[return-value]
