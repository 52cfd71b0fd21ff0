"""A data set divided as a split file says: its parts take the place of the set's own splits."""

from dataclasses import replace

from mien.core.records import Sample
from mien.data.readers.reader import Reader
from mien.data.split_file import SplitFile


class Divided(Reader):
    """A reader whose splits are those of a split file; splits that the file does not divide stay as they are.

    fold: with a file of folds, the part that is the test split. file: what the split file says.
    """

    def __init__(self, reader: Reader, file: SplitFile, *, fold: int = -1, where: str = "split file") -> None:
        super().__init__(reader.root)
        self.reader, self.file, self.fold, self.where = reader, file, fold, where
        self.name = reader.name  # type: ignore[misc]
        self.labels, self.missing, self.affect_proxy = reader.labels, reader.missing, reader.affect_proxy
        self.notes, self.absent = reader.notes, reader.absent
        if file.data and file.data != reader.name:
            raise self.error(f"{where} divides {file.data}, not {reader.name}.")
        self._refuse_fold()
        self.within = tuple(split for split in reader.splits if not file.within or split in file.within)
        own = ("train", "test") if file.is_folds else file.names
        left = tuple(split for split in reader.splits if split not in self.within)
        if clash := [split for split in own if split in left]:
            raise self.error(f"{where} makes a split {clash[0]!r}, but the set has its own. Divide that one too.")
        order = ("train", "valid", "test")
        self.splits = tuple(sorted((*own, *left), key=lambda name: order.index(name) if name in order else 3))
        self.valid_is_test = reader.valid_is_test and "valid" not in own and "test" not in own

    def _refuse_fold(self) -> None:
        folds = self.file.names
        if self.file.is_folds and str(self.fold) not in folds:
            asked = "none was named" if self.fold < 0 else f"no fold {self.fold}"
            raise self.error(f"{self.where} has {len(folds)} folds; {asked}: --data.fold 0 to {len(folds) - 1}.")
        if not self.file.is_folds and self.fold >= 0:
            raise self.error(f"{self.where} has no folds but the parts {', '.join(folds)}: leave --data.fold out.")

    def _read(self, split: str) -> list[Sample]:
        if split not in self.file.names and not (self.file.is_folds and split in ("train", "test")):
            return self.reader.samples(split)
        faces = [sample for name in self.within for sample in self.reader.samples(name)]
        listed = [sample for sample in faces if sample.key in self.file.parts]
        self._note_unlisted(len(faces) - len(listed), len(faces))
        return [replace(s, split=split) for s in listed if self._part(s.key) == split]

    def _part(self, key: str) -> str:
        part = self.file.parts[key]
        return part if not self.file.is_folds else "test" if int(part) == self.fold else "train"

    def _note_unlisted(self, unlisted: int, total: int) -> None:
        if unlisted == total:
            raise self.error(f"none of the {total} faces under {self.root} is listed in {self.where}.")
        note = f"{unlisted} of {total} faces are not listed in {self.where} and are left out."
        if unlisted and note not in self.notes:
            self.notes.append(note)

    def provenance(self) -> dict[str, object]:
        """What a bundle or a report says of the division."""
        fold = {"fold": self.fold} if self.file.is_folds else {}
        return {"hash": self.file.hash, "seed": self.file.seed, "rule": self.file.rule} | fold
