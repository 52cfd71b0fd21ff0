"""Class folders with names of the user's own: `<class>/*.jpg` or `train|valid|test/<class>/*.jpg`."""

from collections.abc import Sequence
from pathlib import Path

from mien.core.labels import label_set
from mien.data.readers.class_folders import ClassFolders
from mien.data.readers.listing import split_folders
from mien.data.readers.reader import file_names, folder_names, is_picture


class ImageFolder(ClassFolders):
    """Folders named for their class; a class is found by its folder's name, never by its position.

    labels: a published order by name ("rafdb"): folder names must be classes of it or synonyms. classes: an order of
    the user's own. Neither: the sorted folder names of all splits. Without split folders there is one split, "all".
    """

    name = "image_folder"
    class_folders = "Pictures lie in folders named for their class."

    def __init__(self, root: Path, *, labels: str | None = None, classes: Sequence[str] | None = None) -> None:
        super().__init__(root)
        self.need(self.root, way_out="Expected a folder with one folder a class.")
        self.folders = split_folders(self.root) or {"all": self.root}
        self.splits = tuple(self.folders)
        if "all" not in self.folders:
            self._note_other_folders()
        if classes is not None:
            self.labels = label_set(self.name, classes)
        elif labels is not None:
            self.labels = label_set(labels)
        else:
            self.labels = self.label_set_of(self._found_classes(), self.root)

    def _note_other_folders(self) -> None:
        splits = {folder.name for folder in self.folders.values()}
        if beside := [name for name in folder_names(self.root) if name not in splits]:
            more = f" and {len(beside) - 5} more" if len(beside) > 5 else ""
            self.note(f"not read, because it is no split: {', '.join(beside[:5])}{more}.")

    def _found_classes(self) -> tuple[str, ...]:
        names = sorted({name for folder in self.folders.values() for name in folder_names(folder)})
        if not names:
            raise self.error(
                f"no class folders under {self.root}. Expected <class>/*.jpg or train/<class>/*.jpg there."
            )
        if len(names) == 1:
            self._refuse_root_above(next(iter(self.folders.values())) / names[0])
        return tuple(names)

    def _refuse_root_above(self, only: Path) -> None:
        """Raises MienError when the one class folder holds folders, not pictures: the root is a level too high."""
        below, better = folder_names(only), only
        while len(below) == 1 and folder_names(better / below[0]):
            better = better / below[0]
            below = folder_names(better)
        if below and not any(map(is_picture, file_names(only))):
            raise self.error(
                f"one class only, {only.name!r}, under {only.parent}, and folders in it ({', '.join(below[:4])}). "
                f"Name {better} as the root; if {only.name!r} is the class, say --data.reader.classes [{only.name}]."
            )
