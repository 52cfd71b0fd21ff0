"""AffectNet as class folders 0..7: as If3D and others lay it out for training.

`{train,val}/{0..7}/<n>.jpg`, also below `affectnet_clean`; beside that may lie `affectnet_smirk` (a rendered face for
each photo under the same name: the photo's `render`) and `affectnet_annotations` with
`{train,val}_set_annotation_without_lnd.csv` (columns number, exp, val, aro). If3D's own code takes 0, 0 where a picture
has no row there; here it is None.
"""

from pathlib import Path

from mien.core.records import Sample
from mien.data.readers.affectnet_lists import CODES
from mien.data.readers.listing import Listing, split_folders
from mien.data.readers.reader import Reader, folder_names

_PHOTOS, _RENDERS = "affectnet_clean", "affectnet_smirk"
_TREES = {"photo": (_PHOTOS, f"Dataset/{_PHOTOS}", "."),
          "render": (_RENDERS, f"Dataset/{_RENDERS}")}  # fmt: skip
Affect = tuple[float, float, int]


class ClassTree:
    """folders: split → its folder. valid_is_test: there is no `test` folder, so that `val` is what numbers are on."""

    def __init__(self, reader: Reader, top: Path, *, classes: int) -> None:
        self.reader, self.top, self.classes = reader, top, classes
        self.folders = split_folders(top)
        self._renders = Listing(top.parent / _RENDERS)
        self.valid_is_test = "valid" in self.folders and "test" not in self.folders
        if self.valid_is_test:
            self.folders["test"] = self.folders.pop("valid")

    @classmethod
    def find(cls, reader: Reader, *, pictures: str, classes: int) -> "ClassTree | None":
        """The tree below the reader's root, None where there is none."""
        for name in _TREES[pictures]:
            tree = cls(reader, reader.root / name, classes=classes)
            if any((folder / "0").is_dir() or (folder / "1").is_dir() for folder in tree.folders.values()):
                return tree
        return None

    def samples(self, split: str) -> list[Sample]:
        """Raises MienError for a class folder that is not 0..7, and for annotations that are no numbers."""
        folder, samples, left_out = self.folders[split], list[Sample](), 0
        affect = self._affect(folder.name)
        for name in folder_names(folder):
            if not name.isdigit() or int(name) > 7:
                raise self.reader.error(
                    f"{folder} has a class folder {name!r}; AffectNet's are 0..7. Named folders: use image_folder."
                )
            pictures = self.reader.pictures_below(folder / name)
            if int(name) >= self.classes:
                left_out += len(pictures)
                continue
            samples += [self._sample(path, split, int(name), affect) for path in pictures]
        if left_out:
            self.reader.note(f"{folder}: {left_out:,} faces are left out (contempt).")
        self._note_affect(samples, affect, split)
        return samples

    def _sample(self, path: Path, split: str, code: int, affect: dict[str, Affect]) -> Sample:
        valence, arousal, _ = affect.get(path.stem, (None, None, None))
        key = path.relative_to(self.reader.root).as_posix()
        if self.top.name == _RENDERS:  # the key of its photo: models of either are compared face by face
            key = key.replace(_RENDERS, _PHOTOS, 1)
        return Sample(key, path, split, code, valence=valence, arousal=arousal, render=self._render(path))

    def _render(self, photo: Path) -> Path | None:
        """The rendered face of the same name, where there is one."""
        if self.top == self.reader.root or self.top.name == _RENDERS:
            return None
        name = photo.relative_to(self.top).as_posix()
        return self._renders.place(self._renders.find(name))

    def _note_affect(self, samples: list[Sample], affect: dict[str, Affect], split: str) -> None:
        if not affect:
            return
        without = sum(sample.valence is None for sample in samples)
        if without:
            self.reader.note(f"{split}: {without:,} of {len(samples):,} pictures have no valence and arousal.")
        other = [s for s in samples if s.path.stem in affect and affect[s.path.stem][2] != s.expression]
        if other:
            self.reader.note(
                f"{split}: {len(other):,} pictures lie in another class's folder than the annotations say, first "
                f"{other[0].key} ({CODES[affect[other[0].path.stem][2]]} there); the folder counts."
            )

    def _affect(self, split_folder: str) -> dict[str, Affect]:
        """Picture number → valence, arousal, class; empty where there is no such table."""
        name = f"{'train' if split_folder == 'train' else 'val'}_set_annotation_without_lnd.csv"
        table = self.top.parent / "affectnet_annotations" / name
        if self.top == self.reader.root or not table.is_file():
            return {}
        rows = self.reader.rows(table, needed=("number", "exp", "val", "aro"))
        return {row["number"]: self._numbers(row, table, number) for number, row in enumerate(rows, 2)}

    def _numbers(self, row: dict[str, str], table: Path, number: int) -> Affect:
        try:
            code, valence, arousal = int(row["exp"]), float(row["val"]), float(row["aro"])
        except (TypeError, ValueError):
            raise self.reader.error(f"{table}, row {number}: exp, val and aro must be numbers.") from None
        if not 0 <= code < len(CODES):
            raise self.reader.error(f"{table}, row {number}: exp is one of 0..{len(CODES) - 1}; got {code}.")
        return valence, arousal, code
