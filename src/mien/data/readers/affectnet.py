"""AffectNet, in the three forms that are about. Mollahosseini, Hasani, Mahoor, IEEE Trans. Affective Computing, 2017.

Codes: 0 neutral, 1 happiness, 2 sadness, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt, and in the full release
8 none, 9 uncertain, 10 non-face. AffectNet's own test set was never published: every published number is on its
validation set, so that is the split "test" here, and selecting an epoch on it is refused.

The layouts are those that public code reads (file names, columns, codes, text in the .npy files, 287,651 and 3,999
pictures); nobody could hold them against the release itself here, which is given on request only. Whether the landmarks
count pixels from 0 or from 1 is not written down anywhere; they are taken as from 0.
"""

from collections.abc import Iterator
from pathlib import Path

from mien.core.labels import label_set
from mien.core.records import Sample
from mien.data.readers.affectnet_arrays import Annotations
from mien.data.readers.affectnet_lists import CODES, ListFile, Rows
from mien.data.readers.affectnet_tree import ClassTree
from mien.data.readers.reader import Listing, Reader, folder_names

PARTS = {"manual": ("manual",), "automatic": ("automatic",), "both": ("manual", "automatic")}
_LIST_FOLDERS = {
    "manual": ("Manually_Annotated_file_lists", "Manually_annotated_file_lists", "Manually_Annotated/file_lists",
               "Manually_Annotated/Manually_Annotated_file_lists", "Manually_Annotated", ""),
    "automatic": ("Automatically_Annotated_file_lists", "Automatically_annotated_file_list",
                  "Automatically_Annotated_file_list", "Automatically_Annotated/file_lists",
                  "Automatically_Annotated/Automatically_Annotated_file_lists", "Automatically_Annotated", ""),
}  # fmt: skip
_PICTURE_FOLDERS = {
    part: (f"{part}_Images", f"{part}/{part}_Images", f"{part}_compressed/{part}_Images",
           f"{part}_compressed/{part}/{part}_Images", part)
    for part in ("Manually_Annotated", "Automatically_Annotated")
}  # fmt: skip
_WAY_OUT = (
    "Expected Manually_Annotated_file_lists/training.csv with Manually_Annotated_Images (the full release), "
    "train_set/images with train_set/annotations (the 8-class release), or class folders train/0..7."
)


class AffectNet(Reader):
    """The full release (CSV lists), the 8-class release (.npy files), or class folders 0..7; found by what is there.

    classes: 8, or 7 without contempt. parts: of the full release the faces that people labelled ("manual"), that a
    network labelled ("automatic", train only), or "both". pictures: of class folders in If3D's form the "photo" or its
    "render" (`affectnet_smirk`). index: the 8-class release is four files a face; what they say is kept in the user's
    cache folder ("auto"), read anew and kept ("rebuild"), or not kept ("off").
    """

    name = "affectnet"
    signs = (
        "Manually_Annotated_Images", "Manually_Annotated*/Manually_Annotated_Images", "training.csv",
        "train_set/images", "val_set/images", "affectnet_clean", "train/0", "val/0", "valid/0",
    )  # fmt: skip

    def __init__(
        self, root: Path, *, classes: int = 8, parts: str = "manual", pictures: str = "photo", index: str = "auto"
    ) -> None:
        super().__init__(root)
        self.choose("classes", classes, (7, 8))
        self.choose("parts", parts, PARTS)
        self.choose("pictures", pictures, ("photo", "render"))
        self.choose("index", index, ("auto", "rebuild", "off"))
        self.classes, self.parts, self.index = classes, parts, index
        self.labels = label_set(f"affectnet{classes}")
        self._lists = self._find_lists()
        self._arrays = {} if self._lists else self._find_arrays()
        self._tree = None if self._lists or self._arrays else ClassTree.find(self, pictures=pictures, classes=classes)
        found = self._lists or self._arrays or (self._tree.folders if self._tree else {})
        if not found:
            self.need(self.root / "Manually_Annotated_file_lists", way_out=_WAY_OUT)
        self.valid_is_test = self._tree is None or self._tree.valid_is_test
        self.splits = tuple(split for split in ("train", "valid", "test") if split in found)

    def _read(self, split: str) -> list[Sample]:
        if self._lists:
            return [sample for part, table in self._lists[split] for sample in self._listed(part, table, split)]
        if self._arrays:
            return Annotations(self, self._arrays[split], classes=self.classes, index=self.index).samples(split)
        assert self._tree is not None
        return self._tree.samples(split)

    # The full release

    def _find_lists(self) -> dict[str, list[tuple[str, Path]]]:
        """Split → (part, list file) of those that are there."""
        wanted = {"manual": {"train": "training.csv", "test": "validation.csv"},
                  "automatic": {"train": "automatically_annotated.csv"}}  # fmt: skip
        found: dict[str, list[tuple[str, Path]]] = {}
        for part in PARTS[self.parts]:
            for split, name in wanted[part].items():
                tables = (self.root / folder / name for folder in _LIST_FOLDERS[part])
                if table := next((table for table in tables if table.is_file()), None):
                    found.setdefault(split, []).append((part, table))
                elif self.parts != "manual" and split == "train":
                    self.need(self.root / _LIST_FOLDERS[part][0] / name, way_out="It is part of the full release.")
        return found

    def _listed(self, part: str, table: Path, split: str) -> list[Sample]:
        pictures = self._picture_folder("Manually_Annotated" if part == "manual" else "Automatically_Annotated")
        listing, rows = Listing(pictures), ListFile(self, table, classes=self.classes).read()
        found = self.on_disk(rows.paths, listing, listed_in=table)
        self._note_rows(rows, table)
        if part == "automatic" or split == "train":
            every = [listing.find(path) for path in (*rows.unused, *self._paths_elsewhere(part, table))]
            self.note_unlisted(listing, [*found, *every], listed_in=table.parent)
        places = map(listing.place, found)
        columns = zip(
            rows.paths, places, rows.expression, rows.boxes, rows.points, rows.valence, rows.arousal, strict=True
        )
        top = pictures.name
        return [
            Sample(f"{top}/{path}", place, split, code, None, box, points, valence, arousal)
            for path, place, code, box, points, valence, arousal in columns
            if place is not None
        ]

    def _picture_folder(self, part: str) -> Path:
        return self.first_of((self.root / name for name in _PICTURE_FOLDERS[part]), way_out=_WAY_OUT)

    def _paths_elsewhere(self, part: str, table: Path) -> Iterator[str]:
        """What the other lists of the same part name: their pictures lie in the same folders."""
        for other, path in (pair for pairs in self._lists.values() for pair in pairs):
            if other == part and path != table:
                yield from ListFile(self, path, classes=self.classes).paths()

    def _note_rows(self, rows: Rows, table: Path) -> None:
        if rows.left_out:
            counts = ", ".join(f"{name} {rows.left_out[name]:,}" for name in CODES if rows.left_out[name])
            self.note(f"{table.name}: {sum(rows.left_out.values()):,} faces are left out ({counts}).")
        boxless = rows.boxes.count(None)
        if 0 < boxless < len(rows.paths):
            self.note(f"{table.name}: {boxless:,} faces have no box; their whole picture is the face.")

    # The 8-class release

    def _find_arrays(self) -> dict[str, Path]:
        found = {name.lower(): self.root / name for name in folder_names(self.root)}
        names = {"train_set": "train", "val_set": "test", "validation_set": "test"}
        return {split: found[name] for name, split in names.items() if (found.get(name, Path()) / "images").is_dir()}
