"""What readers of class folders share: the folder of each split, and in it a folder for each class."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from mien.core.records import Sample
from mien.data.readers.listing import folder_names
from mien.data.readers.reader import Reader


class ClassFolders(Reader):
    """Pictures in folders that are named for their class. Subclasses set `folders`: split → its folder."""

    class_folders: ClassVar[str]
    """What the class folders of a split should be, for the message where there are none."""
    folders: Mapping[str, Path]

    def _read(self, split: str) -> list[Sample]:
        names = folder_names(self.folders[split])
        if not names:
            raise self.error(f"no class folders under {self.folders[split]}. {self.class_folders}")
        return [sample for name in names for sample in self._class(self.folders[split] / name, split)]

    def _class(self, folder: Path, split: str) -> list[Sample]:
        expression = self.class_of(folder)
        return [self._sample(path, split, expression) for path in self.pictures_below(folder)]

    def _sample(self, path: Path, split: str, expression: int) -> Sample:
        return Sample(self.key_of(path), path, split, expression)
