"""SFEW 2.0: still frames of films, 7 classes. Dhall et al., ICCV workshops 2011; version 2.0: EmotiW, ICMI 2015.

Folders and names (`Train_Aligned_Faces/Angry/Airheads_000519240_00000005.png`) are verified against public code that
reads the set; what the last number means (a frame or a person) is not, and nothing here depends on it.
"""

import re
from pathlib import Path

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.class_folders import ClassFolders
from mien.data.readers.reader import file_names, folder_names, is_picture

_FOLDERS = ("Train", "Val", "Test")
_NAME = re.compile(r"(?P<movie>.+)_(?P<time>\d{9})_(?P<frame>\d+)\.\w+")  # time: hmmss and milliseconds
_WAY_OUT = "Expected Train_Aligned_Faces/Angry, ... and Val_Aligned_Faces/Angry, ..., or Train/Angry, ... and Val/."


class Sfew(ClassFolders):
    """`Train|Val|Test/*_Aligned_Faces/<class>/*.png`; one of the two folder levels may be missing.

    The labels of Test are not public and published numbers are on Val, so Val is the split "test" here and selecting
    an epoch on it is refused. Where Test has class folders, Val is "valid" and Test "test"; where it has none, its
    pictures are the split "unlabelled". clip: film and time of the frame. subject: the film, which stands for its
    actors; unknown for all when a film stands in two of the set's own parts, since then films do not part persons.
    """

    name = "sfew"
    class_folders = _WAY_OUT
    signs = ("Train_Aligned_Faces", "Train/Train_Aligned_Faces", "Train/Angry")

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.labels = label_set("sfew")
        found = {folder_name: folder for folder_name in _FOLDERS if (folder := self._folder(folder_name)) is not None}
        if not {"Train", "Val"} & found.keys():
            self.need(self.root / "Train_Aligned_Faces", way_out=_WAY_OUT)
        self.folders = self._named(found)
        self.splits = tuple(self.folders)
        self.valid_is_test = "valid" not in self.splits
        self._films_part_persons = self._films_are_apart()

    def _folder(self, folder_name: str) -> Path | None:
        """The folder of a part: the deepest of the known forms that is there."""
        aligned = (f"{folder_name}_Aligned_Faces", f"{folder_name}_Aligned_Faces_new")
        forms = [*(f"{folder_name}/{name}" for name in aligned), *aligned, f"{folder_name}/{folder_name}", folder_name]
        return next((self.root / form for form in forms if (self.root / form).is_dir()), None)

    def _named(self, found: dict[str, Path]) -> dict[str, Path]:
        labelled_test = "Test" in found and bool(folder_names(found["Test"]))
        names = {"Train": "train", "Val": "valid" if labelled_test else "test"}
        names["Test"] = "test" if labelled_test else "unlabelled"
        return {names[folder_name]: folder for folder_name, folder in found.items()}

    def _films_are_apart(self) -> bool:
        """Whether no film stands in two parts; a note says so otherwise."""
        films = {split: {film for path in self.pictures_below(folder) if (film := _film(path.name))}
                 for split, folder in self.folders.items()}  # fmt: skip
        twice = sorted({film for a in films for b in films if a < b for film in films[a] & films[b]})
        if twice:
            self.note(
                f"{len(twice)} films stand in two of the set's parts, first {twice[0]!r}: subjects are left unknown."
            )
        return not twice

    def _read(self, split: str) -> list[Sample]:
        folder = self.folders[split]
        if split == "unlabelled":
            names = sorted(name for name in file_names(folder) if is_picture(name))
            return [self._sample(folder / name, split, None) for name in names]
        return super()._read(split)

    def _sample(self, path: Path, split: str, expression: int | None) -> Sample:
        parts = _NAME.fullmatch(path.name)
        clip = f"{parts['movie']}_{parts['time']}" if parts else None
        film = parts["movie"] if parts and self._films_part_persons else None
        return Sample(self.key_of(path), path, split, expression, subject=film, clip=clip)


def _film(name: str) -> str | None:
    parts = _NAME.fullmatch(name)
    return parts["movie"] if parts else None
