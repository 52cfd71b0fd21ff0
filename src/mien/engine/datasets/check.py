"""`mien data check`: whether a data set on this disk is whole, against what was published of it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.engine.datasets.findings import TINY, Findings, counts_table, in_words
from mien.media.files import home_expanded, writable_folder

if TYPE_CHECKING:
    from mien.core.records import Sample
    from mien.data.inspection.pictures import Facts
    from mien.data.readers import Reader


def check(
    name: str,
    *,
    root: str,
    output: str | None = None,
    reader: dict[str, Any] | None = None,
    decode: bool = True,
    duplicates: bool = True,
    seed: int = 0,
    workers: int | None = None,
) -> str:
    """Is a data set whole? Counts against the published ones, broken and doubled pictures, class balance, sizes.

    Broken pictures are named, and the exit code is then 2.

    Args:
        name: the reader, as `mien data list` names it.
        root: folder of the data set (of manifest: the table).
        output: folder for check.json, problems.csv and contact.png, a sheet of faces of each class.
        reader: options of the reader, such as --reader.majority strict.
        decode: open every picture; false only counts, and looks for no duplicates.
        duplicates: look for the same photograph in other bytes too, mirrored or another size.
        seed: of the random faces on the contact sheet.
        workers: processes; by default one for each core.
    """
    from mien.cli.text import plain_console
    from mien.data.inspection.published import count, nearest_release
    from mien.data.readers import open_reader
    from mien.data.readers.reader import printable

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
        _look(faces, opened, found, near=duplicates, workers=workers)
    found.notes += opened.notes
    found.missing = [printable(str(path)) for path in opened.absent]
    found.problems += [
        {"kind": "missing", "group": "", "split": "", "key": "", "detail": "listed, not on disk", "picture": path}
        for path in found.missing
    ]
    for line in in_words(found, decode=decode):
        console.print(line, markup=False)
    if folder:
        _write(folder, found, splits, opened, seed)
        console.print(f"{folder}: check.json, problems.csv, contact.png", markup=False)
    return _verdict(found, len(faces), decode=decode)


def _verdict(found: Findings, faces: int, *, decode: bool) -> str:
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
    if folder.resolve().is_relative_to(reader.root.resolve()):
        raise MienError(f"--output {folder} lies inside the data set {reader.root}, which is never written to.")
    return writable_folder(folder)


def _look(faces: "Sequence[Sample]", reader: "Reader", found: Findings, *, near: bool, workers: int | None) -> None:
    """Opens every picture; fills `found`."""
    from mien.cli.progress import progress_bar
    from mien.data.inspection.pictures import inspect
    from mien.data.readers.reader import printable

    pictures = list({(sample.path, sample.span): sample for sample in faces}.values())
    with progress_bar("opening pictures", len(pictures)) as advance:
        facts = inspect(pictures, advance=advance, workers=workers)
    for sample, fact in zip(pictures, facts, strict=True):
        if fact.why_broken:
            found.broken[sample.key] = printable(fact.why_broken)
            _note(found, "broken", sample, printable(fact.why_broken))
        elif min(fact.size) < TINY:
            _note(found, "tiny", sample, f"{fact.size[0]} x {fact.size[1]} pixels")
    whole = [(sample, fact) for sample, fact in zip(pictures, facts, strict=True) if not fact.why_broken]
    found.summary["sizes"] = sizes([fact.size for _, fact in whole])
    found.summary["same_bytes"] = _exact(whole, reader, found)
    if near:
        found.summary["near"] = _near(whole, reader, found)


def _exact(whole: "Iterable[tuple[Sample, Facts]]", reader: "Reader", found: Findings) -> dict[str, int]:
    """Pictures whose files are the same byte for byte."""
    groups: dict[bytes, list[Sample]] = defaultdict(list)
    for sample, fact in whole:
        groups[fact.sha256].append(sample)
    doubled = [group for group in groups.values() if len(group) > 1]
    return _grouped("same bytes", doubled, reader, found)


def _near(whole: "Sequence[tuple[Sample, Facts]]", reader: "Reader", found: Findings) -> dict[str, int]:
    """Pictures that show the same photograph with other bytes; frames of one clip are meant to be alike."""
    from mien.data.leakage.duplicates import groups, near_duplicates

    samples = [sample for sample, _ in whole]
    pairs = [
        (twin.first, twin.second)
        for twin in near_duplicates(samples)
        if whole[twin.first][1].sha256 != whole[twin.second][1].sha256
        and (samples[twin.first].clip is None or samples[twin.first].clip != samples[twin.second].clip)
    ]
    alike = [[samples[place] for place in group] for group in groups(len(samples), pairs)]
    return _grouped("near-duplicate", alike, reader, found)


def _grouped(kind: str, groups: "Sequence[Sequence[Sample]]", reader: "Reader", found: Findings) -> dict[str, int]:
    """Notes each group of like pictures; returns how many there are, across splits and with unlike labels."""
    numbers = {"groups": len(groups), "pictures": 0, "across_splits": 0, "unlike_labels": 0}
    for number, group in enumerate(groups, 1):
        splits, classes = {s.split for s in group}, {s.expression for s in group}
        numbers["pictures"] += len(group)
        numbers["across_splits"] += len(splits) > 1
        numbers["unlike_labels"] += len(classes) > 1
        words = [kind] + ["across splits"] * (len(splits) > 1) + ["unlike labels"] * (len(classes) > 1)
        for sample in group:
            label = reader.labels.classes[sample.expression] if reader.labels and sample.expression is not None else ""
            _note(found, kind, sample, "; ".join([*words, label] if label else words), group=str(number))
    return numbers


def _note(found: Findings, kind: str, sample: "Sample", detail: str, *, group: str = "") -> None:
    from mien.data.readers.reader import printable

    row = {"kind": kind, "group": group, "split": sample.split, "key": printable(sample.key), "detail": detail}
    found.problems.append(row | {"picture": printable(str(sample.path))})


def sizes(found: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Smallest, median and largest width and height, and how many different sizes there are."""
    import numpy as np

    if not found:
        return {}
    values = np.array(found)
    middle = np.median(values, axis=0).astype(int)
    named = {"smallest": values.min(0), "median": middle, "largest": values.max(0)}
    return {name: pair.tolist() for name, pair in named.items()} | {"different": len(set(found))}


def _write(folder: Path, found: Findings, splits: "dict[str, list[Sample]]", reader: "Reader", seed: int) -> None:
    from mien.data.readers.reader import printable
    from mien.data.splits import split_hash
    from mien.engine.datasets.contact_sheet import PER_LINE, random_faces, write_contact_sheet
    from mien.media.files import write_csv, write_text

    release = {"release": found.release.name, "source": found.release.source} if found.release else {}
    told = {
        "data": reader.name,
        "counts": found.counts,
        "published": release | {"splits": found.release.splits} if found.release else {},
        "hashes": {split: split_hash(samples) for split, samples in splits.items()},
        "broken": len(found.broken),
        "missing": len(found.missing),
        **found.summary,
        "notes": found.notes,
    }
    write_text(folder / "check.json", json.dumps(told, indent=2) + "\n")
    columns = ["kind", "group", "split", "key", "detail", "picture"]
    write_csv(folder / "problems.csv", columns, ([row.get(name, "") for name in columns] for row in found.problems))
    rows = random_faces(splits, reader.labels, each=PER_LINE if reader.labels else 3 * PER_LINE, seed=seed)
    note = f"{sum(n for n, _ in rows.values()):,} faces, a random sample of each (seed {seed})"
    write_contact_sheet(folder / "contact.png", rows, title=f"{reader.name}: {printable(reader.root.name)}", note=note)
