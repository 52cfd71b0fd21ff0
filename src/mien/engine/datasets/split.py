"""`mien data split`: divides a data set so that no person, clip or photograph stands on two sides."""

from pathlib import Path
from typing import Any, Literal

from mien.cli.text import columns
from mien.core.errors import MienError
from mien.data.divide import divided_reader, protocol_reader
from mien.data.leakage.duplicates import pairs_of_keys
from mien.data.readers import open_reader
from mien.data.readers.divided import Divided
from mien.data.readers.recognise import named_set
from mien.data.split_file import parts_from
from mien.media.files import refuse_existing


def split(
    name: str,
    *,
    root: str = "",
    output: str = "split.csv",
    overwrite: bool = False,
    parts: str = "",
    folds: int = 0,
    protocol: Literal["", "published", "leave_one_subject_out"] = "",
    seed: int = 0,
    within: str = "",
    pictures: bool = True,
    reader: dict[str, Any] | None = None,
) -> str:
    """Split a data set into parts or folds; writes a CSV file with the part of each face.

    Subjects, clips and near-duplicates stay in one part; classes are stratified. Use the file with --data.split_file.

    Args:
        name: reader of the data set (`mien data list` prints all), or its folder, where its layout is recognised or has
            one folder for each class, or its table.
        root: folder of the data set, where `name` is a reader; for manifest, the table.
        output: CSV file to write.
        overwrite: replace the file where it exists; scores of models that were trained with it do not hold any more.
        parts: names and shares of the parts; train=.8,valid=.1,test=.1 by default.
        folds: number of equal folds instead of parts; fold K becomes the test split by --data.fold K.
        protocol: folds by people instead: published takes those of the set's literature (ravdess),
            leave_one_subject_out makes each person a fold.
        seed: seed of the split.
        within: split only these splits of the data set, such as train; the others stay as they are.
        pictures: search for near-duplicates, for which every picture is decoded once.
        reader: options of the reader, such as --reader.majority soft.
    """
    if bool(folds) + bool(parts) + bool(protocol) > 1:
        raise MienError("Name one of --parts, --folds and --protocol.")
    if protocol and within:
        raise MienError("--protocol divides the whole set: leave --within out.")
    if folds and folds < 2:
        raise MienError(f"--folds must be at least 2; got {folds}.")
    refuse_existing([Path(output)], overwrite=overwrite)
    opened = open_reader(*named_set(name, root), **(reader or {}))
    if protocol:
        divided = protocol_reader(opened, protocol, where=output)
        divided.file.write(Path(output))
        return _summary(divided, output, pictures=False)
    splits = tuple(opened.resolve(name.strip()) for name in within.split(",")) if within else opened.splits
    shares = {str(k): 1.0 for k in range(folds)} if folds else parts_from(parts or "train=.8,valid=.1,test=.1")
    divided = divided_reader(opened, shares, seed=seed, pictures=pictures, within=splits, where=output)
    divided.file.write(Path(output))
    return _summary(divided, output, pictures)


def _summary(divided: Divided, output: str, pictures: bool) -> str:
    opened, file = divided.reader, divided.file
    faces = [face for split in divided.within for face in opened.samples(split)]
    pairs = len(pairs_of_keys(faces)) if pictures else 0  # kept in the store
    members = {part: [face for face in faces if file.parts.get(face.key) == part] for part in file.names}
    classes = opened.labels.classes if opened.labels else ()
    rows: list[list[object]] = [["", *members]]
    rows += [[c, *(sum(s.expression == i for s in part) for part in members.values())] for i, c in enumerate(classes)]
    rows.append(["all", *(len(part) for part in members.values())])
    subjects = len({face.subject for face in faces if face.subject is not None})
    kept = f"{pairs:,} pairs of near-duplicates and {subjects:,} known subjects stay on one side each."
    fold = " --data.fold 0" if file.is_folds else ""
    return f"{columns(rows)}\n{kept}\n{output}, hash {file.hash}. Use it: --data.split_file {output}{fold}"
