"""`mien data check`: whether a data set on this disk is whole, against what was published of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.media.files import home_expanded, refuse_inside, writable_folder

if TYPE_CHECKING:
    from mien.core.records import Sample
    from mien.data.readers import Reader
    from mien.engine.datasets.findings import Findings


def check(
    name: str,
    *,
    root: str = "",
    output: str | None = None,
    reader: dict[str, Any] | None = None,
    decode: bool = True,
    duplicates: bool = True,
    seed: int = 0,
    workers: int | None = None,
) -> str:
    """Check a data set: counts against the published ones, unreadable and duplicate pictures, class balance, sizes.

    Unreadable pictures are listed, and the exit code is then 2.

    Args:
        name: reader of the data set (`mien data list` prints all), or its folder, where its layout is recognised or has
            one folder for each class, or its table.
        root: folder of the data set, where `name` is a reader; for manifest, the table.
        output: folder for check.json, problems.csv and contact.png, a sheet of faces of each class.
        reader: options of the reader, such as --reader.majority strict.
        decode: decode every picture; false only counts, and searches for no duplicates.
        duplicates: search for near-duplicates: the same photograph re-encoded, mirrored or resized.
        seed: seed of the random faces on the contact sheet.
        workers: processes; by default one for each core.
    """
    from mien.cli.text import plain_console
    from mien.data.inspection.published import count, nearest_release
    from mien.data.readers import open_reader
    from mien.data.readers.reader import printable
    from mien.data.readers.recognise import named_set
    from mien.engine.datasets.findings import Findings, counts_table, describe, look

    name, root = named_set(name, root)
    opened = open_reader(name, root, **{"missing": "skip", **(reader or {})})
    folder = folder_for(output, opened)
    splits = {split: opened.samples(split) for split in opened.splits}
    found = Findings(count(splits, opened.labels))
    found.release = nearest_release(opened.name, found.counts)
    console = plain_console(soft_wrap=True, highlight=False)
    console.print(f"{opened.name}, {root}\n{counts_table(found.counts, found.release)}", markup=False)
    # A face of two splits counts in the first: train and test come before what holds both, or is a part of one.
    firsts = {sample.key: sample for samples in reversed(splits.values()) for sample in samples}
    faces = [firsts[key] for key in dict.fromkeys(sample.key for samples in splits.values() for sample in samples)]
    if decode:
        look(faces, opened, found, near=duplicates, workers=workers)
    found.notes += opened.notes
    found.missing = [printable(str(path)) for path in opened.absent]
    found.problems += [
        {"kind": "missing", "group": "", "split": "", "key": "", "detail": "listed, not on disk", "picture": path}
        for path in found.missing
    ]
    for line in describe(found, decode=decode):
        console.print(line, markup=False)
    if folder:
        _write(folder, found, splits, opened, seed)
        console.print(f"{folder}: check.json, problems.csv, contact.png", markup=False)
    return _verdict(found, len(faces), decode=decode)


def _verdict(found: "Findings", faces: int, *, decode: bool) -> str:
    """The last line. Raises MienError where pictures are broken or missing."""
    if found.broken:
        first = next(iter(found.broken.values()))
        raise MienError(f"{len(found.broken)} of {faces} pictures cannot be read; the first: {first}")
    if found.missing:
        raise MienError(f"{len(found.missing):,} pictures are listed and missing; the first: {found.missing[0]}")
    return f"All {faces:,} pictures can be read." if decode else ""


def folder_for(output: str | None, reader: "Reader") -> Path | None:
    """The folder to write to, made. Raises MienError where it cannot be written or lies inside the data set."""
    if output is None:
        return None
    folder = home_expanded(output)
    refuse_inside(folder, reader.root)
    return writable_folder(folder)


def _write(folder: Path, found: "Findings", splits: "dict[str, list[Sample]]", reader: "Reader", seed: int) -> None:
    from mien.data.readers.reader import printable
    from mien.data.splits import split_hash
    from mien.engine.datasets.contact_sheet import PER_LINE, random_faces, write_contact_sheet
    from mien.media.files import write_csv, write_text

    release = {"release": found.release.name, "source": found.release.source} if found.release else {}
    report = {
        "data": reader.name,
        "counts": found.counts,
        "published": release | {"splits": found.release.splits} if found.release else {},
        "hashes": {split: split_hash(samples) for split, samples in splits.items()},
        "broken": len(found.broken),
        "missing": len(found.missing),
        **found.summary,
        "notes": found.notes,
    }
    write_text(folder / "check.json", json.dumps(report, indent=2) + "\n")
    columns = ["kind", "group", "split", "key", "detail", "picture"]
    write_csv(folder / "problems.csv", columns, ([row.get(name, "") for name in columns] for row in found.problems))
    rows = random_faces(splits, reader.labels, each=PER_LINE if reader.labels else 3 * PER_LINE, seed=seed)
    note = f"{sum(n for n, _ in rows.values()):,} faces, a random sample of each (seed {seed})"
    write_contact_sheet(folder / "contact.png", rows, title=f"{reader.name}: {printable(reader.root.name)}", note=note)
