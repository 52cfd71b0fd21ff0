"""Drawn faces: class folders as `image_folder` reads them, in RAF-DB's classes, a `.pts` file beside each picture."""

from dataclasses import replace
from pathlib import Path

from mien.core.records import Sample
from mien.data.readers.image_folder import ImageFolder
from mien.media.points import read_pts


class Drawn(ImageFolder):
    """What `data.replicas.write_drawn` writes. The picture's own framing is the face crop (no box)."""

    name = "drawn"

    def __init__(self, root: Path) -> None:
        super().__init__(root, labels="rafdb")

    def _sample(self, path: Path, split: str, expression: int) -> Sample:
        return replace(super()._sample(path, split, expression), landmarks_px=read_pts(path.with_suffix(".pts")))
