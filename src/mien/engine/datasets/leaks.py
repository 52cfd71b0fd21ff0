"""`mien data leaks`: faces shared by two splits, data sets or bundles, as a table and as pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    from mien.core.records import Sample
    from mien.data.leakage.leaks import Leak
    from mien.data.readers import Reader


def leaks(
    name: str,
    *,
    root: str = "",
    against: str = "",
    output: str | None = None,
    overwrite: bool = False,
    strict: bool = False,
    pictures: bool = True,
    split_file: str = "",
    fold: int = -1,
    reader: dict[str, Any] | None = None,
) -> str:
    """Find files, near-duplicate pictures, subjects and clips shared between splits, data sets or a bundle.

    Compares the splits of a data set with one another, or with --against: another data set, or the faces that a bundle
    was trained on. leaks.html shows the pairs and is not for sharing.

    Args:
        name: reader of the data set (`mien data list` prints all), or its folder, where its layout is recognised or has
            one folder for each class, or its table.
        root: folder of the data set, where `name` is a reader; for manifest, the table.
        against: another data set as NAME=DIR, or a bundle (folder, run folder or the name of one that ships).
        output: folder for leaks.csv and leaks.html; by default leaks, and leaks-OTHER with --against OTHER.
        overwrite: replace the leaks.csv and leaks.html of an earlier run.
        strict: end with exit code 2 when there are leaks.
        pictures: compare the pictures; false compares names only.
        split_file: split file whose parts replace the data set's own splits.
        fold: fold that is the test split, of a split file with folds.
        reader: options of the reader, such as --reader.majority soft.
    """
    from mien.data.leakage.leaks import find_leaks, summary
    from mien.data.options import DataOptions
    from mien.data.readers.recognise import named_set
    from mien.engine.datasets.leaks_page import by_sides, write_leaks_page, write_table
    from mien.media.files import refuse_existing

    other = Path(against.partition("=")[0]).name
    folder = Path(output or (f"leaks-{other}" if other else "leaks"))
    refuse_existing([folder / "leaks.csv", folder / "leaks.html"], overwrite=overwrite)
    name, root = named_set(name, root)
    opened = DataOptions(name=name, root=root, reader=reader or {}, split_file=split_file, fold=fold).open()
    sides = {split: opened.samples(split) for split in opened.splits}
    if against and "=" in against:
        found = _against_set(opened, sides, against, pictures)
    elif against:
        found = _against_bundle(against, sides, opened.name)
    else:
        found = [leak for leak in find_leaks(sides, pictures=pictures) if not _nested(sides, leak.sides)]
    write_table(folder / "leaks.csv", found)
    write_leaks_page(folder / "leaks.html", f"Leaks of {opened.name}", found, _scope(sides, against, pictures))
    where = f"{folder / 'leaks.csv'}, {folder / 'leaks.html'}"
    if strict and found:
        raise MienError(f"{summary(found)} on two sides. {where}")
    return f"{by_sides(found)}. {where}" if found else f"No leaks. {where}"


def _nested(sides: dict[str, list["Sample"]], pair: tuple[str, str]) -> bool:
    """Whether one of two splits is a part of the other, as 300-W's common set is of its test set."""
    first, second = ({sample.key for sample in sides[side]} for side in pair)
    return first <= second or second <= first


def _against_set(reader: "Reader", sides: dict[str, list["Sample"]], against: str, pictures: bool) -> list["Leak"]:
    """Every split of the one with every split of the other."""
    from mien.data.leakage.leaks import find_leaks
    from mien.data.readers import open_reader

    name, _, root = against.partition("=")
    other = open_reader(name, root)
    mine, theirs = (reader.name, other.name) if reader.name != other.name else (str(reader.root), str(other.root))
    if mine == theirs:
        raise MienError(f"--against {against} is the set itself: leave it out to compare its splits.")
    found: list[Leak] = []
    for split, samples in sides.items():
        for their_split in other.splits:
            names = f"{mine} {split}", f"{theirs} {their_split}"
            data = dict(zip(names, (reader.name, other.name), strict=True))
            pair = {names[0]: samples, names[1]: other.samples(their_split)}
            found += find_leaks(pair, data=data, pictures=pictures)
    return found


def _against_bundle(bundle: str, sides: dict[str, list["Sample"]], data: str) -> list["Leak"]:
    """The faces that the bundle was trained on or chosen by. Raises MienError for one that records none."""
    from mien.data.leakage.contamination import read_train_faces
    from mien.data.leakage.leaks import Leak
    from mien.media.bundles import bundle_folder
    from mien.media.files import read_info

    folder = bundle_folder(bundle)
    train_faces = read_train_faces(folder, read_info(folder))
    if train_faces is None:
        raise MienError(f"{bundle} carries no fingerprints of its training faces, so nothing can be compared with it.")
    found = []
    for split, samples in sides.items():
        matches = train_faces.matches(samples, data=data)
        for use, kind, hits in (
            ("trained on", "near-duplicate", matches.trained), ("chosen by", "near-duplicate", matches.chosen),
            ("trained on", "subject", matches.subjects), ("trained on", "clip", matches.clips),
        ):  # fmt: skip
            named = {s.key if kind == "near-duplicate" else str(getattr(s, kind)): s
                     for s, hit in zip(samples, hits, strict=True) if hit}  # fmt: skip
            is_picture = kind == "near-duplicate"
            found += [
                Leak(kind, (f"{bundle} ({use})", split), s, s, "" if is_picture else name, float("nan"))
                for name, s in named.items()
            ]
    return found


def _scope(sides: dict[str, list["Sample"]], against: str, pictures: bool) -> str:
    counts = ", ".join(f"{split} {len(samples):,}" for split, samples in sides.items())
    how = "files, near-duplicate pictures, subjects and clips" if pictures else "file names, subjects and clips"
    return f"Compared: {counts} faces{f', against {against}' if against else ''}; for equal {how}."
