"""`mien data split`: divides a data set so that no person, clip or photograph stands on two sides."""

from pathlib import Path
from typing import Any

from mien.cli.text import columns
from mien.core.errors import MienError
from mien.data.leakage.duplicates import pairs_of_keys
from mien.data.readers import open_reader
from mien.data.readers.divided import Divided
from mien.data.split_file import SplitFile, parts_from
from mien.data.splits import divide
from mien.media.files import refuse_existing


def split(
    name: str,
    *,
    root: str,
    output: str = "split.csv",
    overwrite: bool = False,
    parts: str = "",
    folds: int = 0,
    seed: int = 0,
    within: str = "",
    pictures: bool = True,
    reader: dict[str, Any] | None = None,
) -> str:
    """Split a data set into parts or folds; writes a CSV file with the part of each face.

    Subjects, clips and near-duplicates stay in one part; classes are stratified. Use the file with --data.split_file.

    Args:
        name: reader of the data set; `mien data list` prints all.
        root: folder of the data set.
        output: CSV file to write.
        overwrite: replace the file where it exists; scores of models that were trained with it do not hold any more.
        parts: names and shares of the parts; train=.8,valid=.1,test=.1 by default.
        folds: number of equal folds instead of parts; fold K becomes the test split by --data.fold K.
        seed: seed of the split.
        within: split only these splits of the data set, such as train; the others stay as they are.
        pictures: search for near-duplicates, for which every picture is decoded once.
        reader: options of the reader, such as --reader.majority soft.
    """
    if folds and parts:
        raise MienError("Name --parts or --folds, not both.")
    if folds and folds < 2:
        raise MienError(f"--folds must be at least 2; got {folds}.")
    refuse_existing([Path(output)], overwrite=overwrite)
    opened = open_reader(name, root, **(reader or {}))
    splits = tuple(opened.resolve(name.strip()) for name in within.split(",")) if within else opened.splits
    faces = [face for one in splits for face in opened.samples(one)]
    shares = {str(k): 1.0 for k in range(folds)} if folds else parts_from(parts or "train=.8,valid=.1,test=.1")
    pairs = pairs_of_keys(faces) if pictures else []
    divided = divide(faces, shares, seed=seed, pairs=pairs)
    file = SplitFile(
        opened.name, splits, seed, _rule(shares, folds, pictures), {s.key: p for p, ss in divided.items() for s in ss}
    )
    Divided(opened, file, fold=0 if folds else -1, where=output)  # refuses what could not be read later
    file.write(Path(output))
    return _summary(opened, divided, file, output, len(pairs))


def _rule(shares: dict[str, float], folds: int, pictures: bool) -> str:
    whole = sum(shares.values())
    division = f"{folds} folds" if folds else ", ".join(f"{name} {share / whole:g}" for name, share in shares.items())
    return f"{division}; classes in equal shares; subjects, clips{' and near-duplicates' if pictures else ''} together"


def _summary(opened: Any, divided: dict[str, list[Any]], file: Any, output: str, pairs: int) -> str:
    classes = opened.labels.classes if opened.labels else ()
    rows: list[list[object]] = [["", *divided]]
    rows += [[c, *(sum(s.expression == i for s in part) for part in divided.values())] for i, c in enumerate(classes)]
    rows.append(["all", *(len(part) for part in divided.values())])
    subjects = len({s.subject for part in divided.values() for s in part if s.subject is not None})
    kept = f"{pairs:,} pairs of near-duplicates and {subjects:,} known subjects stay on one side each."
    fold = " --data.fold 0" if file.is_folds else ""
    return f"{columns(rows)}\n{kept}\n{output}, hash {file.hash}. Use it: --data.split_file {output}{fold}"
