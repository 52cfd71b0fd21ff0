"""Divides a data set in parts or folds: classes in equal shares, people, clips and near-duplicates on one side each;
or by people, as a protocol of the literature says.
"""

from collections.abc import Mapping, Sequence

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


PROTOCOLS = ("published", "leave_one_subject_out")


def protocol_reader(reader: Reader, protocol: str, *, where: str = "split file") -> Divided:
    """The reader in folds of people, the first of them test. published: those of the set's literature, of which people
    that are not here stay away; leave_one_subject_out: each person a fold, sorted by name.

    Raises MienError for a set without published folds, for samples without a subject, and for fewer than two folds.
    """
    faces = [face for split in reader.splits for face in reader.samples(split)]
    subjects = {face.key: face.subject for face in faces if face.subject is not None}
    if len(subjects) < len(faces):
        raise reader.error(f"{len(faces) - len(subjects):,} of {len(faces):,} samples name no subject to divide by.")
    folds = _folds(reader, protocol, sorted(set(subjects.values())))
    fold_of = {subject: str(number) for number, fold in enumerate(folds) for subject in fold}
    parts = {key: fold_of[subject] for key, subject in subjects.items() if subject in fold_of}
    if len(set(parts.values())) < 2:
        raise reader.error(f"{protocol} gives fewer than two folds of the {len(set(subjects.values()))} people here.")
    rule = f"{protocol}: {len(folds)} folds of subjects"
    return Divided(reader, SplitFile(reader.name, reader.splits, 0, rule, parts), fold=0, where=where)


def _folds(reader: Reader, protocol: str, subjects: Sequence[str]) -> Sequence[Sequence[str]]:
    if protocol == "leave_one_subject_out":
        return [[subject] for subject in subjects]
    here = [[subject for subject in fold if subject in subjects] for fold in reader.published_folds]
    if not here:
        raise reader.error("no published folds are known. Take --folds N or --protocol leave_one_subject_out.")
    if not all(here):
        raise reader.error(f"nobody of published fold {here.index([])} is here. Take --folds N.")
    return here


def _rule(shares: Mapping[str, float], pictures: bool) -> str:
    whole, is_folds = sum(shares.values()), all(part.isdigit() for part in shares)
    parts = ", ".join(f"{name} {share / whole:g}" for name, share in shares.items())
    division = f"{len(shares)} folds" if is_folds else parts
    return f"{division}; classes in equal shares; subjects, clips{' and near-duplicates' if pictures else ''} together"
