"""Divides a data set in parts or folds: classes in equal shares, people, clips and near-duplicates on one side each."""

from collections.abc import Mapping

from mien.data.leakage.duplicates import pairs_of_keys
from mien.data.readers.divided import Divided
from mien.data.readers.reader import Reader
from mien.data.split_file import SplitFile
from mien.data.splits import divide


def divided_reader(
    reader: Reader, shares: Mapping[str, float], *, seed: int, pictures: bool = True, within: tuple[str, ...] = (),
    where: str = "split file",
) -> Divided:  # fmt: skip
    """The reader, divided in parts of these shares; parts that are called 0, 1, ... are folds, the first of them test.

    within: the splits to divide; all without any. pictures: look for near-duplicates. where: names the division in
    messages. Raises MienError when a part would be empty.
    """
    splits = within or reader.splits
    faces = [face for split in splits for face in reader.samples(split)]
    divided = divide(faces, shares, seed=seed, pairs=pairs_of_keys(faces) if pictures else [])
    parts = {face.key: part for part, members in divided.items() for face in members}
    file = SplitFile(reader.name, splits, seed, _rule(shares, pictures), parts)
    return Divided(reader, file, fold=0 if file.is_folds else -1, where=where)


def _rule(shares: Mapping[str, float], pictures: bool) -> str:
    whole, is_folds = sum(shares.values()), all(part.isdigit() for part in shares)
    parts = ", ".join(f"{name} {share / whole:g}" for name, share in shares.items())
    division = f"{len(shares)} folds" if is_folds else parts
    return f"{division}; classes in equal shares; subjects, clips{' and near-duplicates' if pictures else ''} together"
