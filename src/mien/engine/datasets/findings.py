"""What `mien data check` finds in the pictures, and how it says so."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mien.cli.progress import progress_bar
from mien.cli.text import columns
from mien.core.records import Sample
from mien.data.inspection.pictures import Facts, inspect
from mien.data.inspection.published import Release
from mien.data.leakage.duplicates import groups, near_duplicates
from mien.data.readers import Reader
from mien.data.readers.reader import printable

SHOWN = 10
TINY = 24  # pixels; a picture with a shorter side shows no expression


@dataclass
class Findings:
    """Results of `mien data check`."""

    counts: dict[str, dict[str, int]]
    """Split → class (or "all") → faces."""
    release: Release | None = None
    """Published counts that come nearest."""
    broken: dict[str, str] = field(default_factory=dict)
    """Key → why it cannot be read."""
    missing: list[str] = field(default_factory=list)
    """Keys of listed pictures that are not there."""
    problems: list[dict[str, str]] = field(default_factory=list)
    """Rows of problems.csv."""
    summary: dict[str, Any] = field(default_factory=dict)
    """For check.json."""
    notes: list[str] = field(default_factory=list)
    """Of the reader."""


def look(faces: Sequence[Sample], reader: Reader, found: Findings, *, near: bool, workers: int | None) -> None:
    """Opens every picture; fills `found`."""
    pictures = list({sample.place: sample for sample in faces}.values())
    with progress_bar("opening pictures", len(pictures)) as advance:
        facts = inspect(pictures, advance=advance, workers=workers)
    for sample, fact in zip(pictures, facts, strict=True):
        if fact.why_broken:
            found.broken[sample.key] = printable(fact.why_broken)
            _note(found, "broken", sample, printable(fact.why_broken))
        elif sample.has_picture and min(fact.size) < TINY:
            _note(found, "tiny", sample, f"{fact.size[0]} x {fact.size[1]} pixels")
    whole = [(sample, fact) for sample, fact in zip(pictures, facts, strict=True) if not fact.why_broken]
    found.summary["sizes"] = sizes([fact.size for sample, fact in whole if sample.has_picture])
    found.summary["same_bytes"] = _exact(whole, reader, found)
    if near:
        found.summary["near"] = _near(whole, reader, found)


def _exact(whole: Iterable[tuple[Sample, Facts]], reader: Reader, found: Findings) -> dict[str, int]:
    """Pictures whose files are the same byte for byte."""
    groups: dict[bytes, list[Sample]] = defaultdict(list)
    for sample, fact in whole:
        groups[fact.sha256].append(sample)
    doubled = [group for group in groups.values() if len(group) > 1]
    return _grouped("same bytes", doubled, reader, found)


def _near(whole: Sequence[tuple[Sample, Facts]], reader: Reader, found: Findings) -> dict[str, int]:
    """Pictures that show the same photograph with other bytes; frames of one clip are meant to be alike."""
    samples = [sample for sample, _ in whole]
    pairs = [
        (twin.first, twin.second)
        for twin in near_duplicates(samples)
        if whole[twin.first][1].sha256 != whole[twin.second][1].sha256
        and (samples[twin.first].clip is None or samples[twin.first].clip != samples[twin.second].clip)
    ]
    alike = [[samples[place] for place in group] for group in groups(pairs)]
    return _grouped("near-duplicate", alike, reader, found)


def _grouped(kind: str, groups: Sequence[Sequence[Sample]], reader: Reader, found: Findings) -> dict[str, int]:
    """Notes each group of like pictures; returns how many there are, across splits and with unlike labels."""
    numbers = {"groups": len(groups), "pictures": 0, "across_splits": 0, "unlike_labels": 0}
    for number, group in enumerate(groups, 1):
        splits, classes = {s.split for s in group}, {s.expression for s in group}
        numbers["pictures"] += len(group)
        numbers["across_splits"] += len(splits) > 1
        numbers["unlike_labels"] += len(classes) > 1
        parts = [kind] + ["across splits"] * (len(splits) > 1) + ["unlike labels"] * (len(classes) > 1)
        for sample in group:
            label = reader.labels.classes[sample.expression] if reader.labels and sample.expression is not None else ""
            _note(found, kind, sample, "; ".join([*parts, label] if label else parts), group=str(number))
    return numbers


def _note(found: Findings, kind: str, sample: Sample, detail: str, *, group: str = "") -> None:
    row = {"kind": kind, "group": group, "split": sample.split, "key": printable(sample.key), "detail": detail}
    found.problems.append(row | {"picture": printable(str(sample.path))})


def sizes(found: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """Smallest, median and largest width and height, and how many different sizes there are."""
    if not found:
        return {}
    values = np.array(found)
    middle = np.median(values, axis=0).astype(int)
    named = {"smallest": values.min(0), "median": middle, "largest": values.max(0)}
    return {name: pair.tolist() for name, pair in named.items()} | {"different": len(set(found))}


def counts_table(counts: dict[str, dict[str, int]], release: Release | None) -> str:
    """A row a class, for each split what is here and, where it differs in name or number, what was published."""
    rows: list[list[object]] = [[""]]
    published = release.splits if release else {}
    for split in counts:
        rows[0] += [split, *(["published"] if split in published else []), "%"]
    for name in dict.fromkeys(name for numbers in counts.values() for name in numbers):
        row: list[object] = [name]
        for split, numbers in counts.items():
            row.append(f"{numbers.get(name, 0):,}")
            if split in published:
                row.append(f"{published[split][name]:,}" if name in published[split] else "")
            row.append(f"{100 * numbers.get(name, 0) / max(numbers['all'], 1):.1f}")
        rows.append(row)
    return columns(rows)


def describe(found: Findings, *, decode: bool) -> list[str]:
    """The findings in lines for a terminal."""
    lines = _against_published(found) + _balance(found)
    if decode and (size := found.summary.get("sizes")):
        one = size["different"] == 1
        sizes = [f"{w} x {h}" for w, h in (size["smallest"], size["median"], size["largest"])]
        lines.append(f"sizes: all {sizes[0]}" if one else f"sizes: {sizes[0]} to {sizes[2]}, median {sizes[1]} pixels")
    for name, title in (("same_bytes", "same file twice"), ("near", "same photograph in other bytes")):
        if numbers := found.summary.get(name):
            lines.append(f"{title}: {_doubled(numbers)}")
    tiny = sum(row["kind"] == "tiny" for row in found.problems)
    lines += [f"tiny: {tiny:,} pictures have a side below {TINY} pixels"] if tiny else []
    lines += [f"note: {note}" for note in found.notes]
    if found.broken:
        lines.append(f"broken: {len(found.broken):,}")
        lines += [f"  {why}" for why in list(found.broken.values())[:SHOWN]]
        lines += [f"  and {len(found.broken) - SHOWN:,} more"] if len(found.broken) > SHOWN else []
    return lines


def _doubled(numbers: dict[str, int]) -> str:
    if not numbers["groups"]:
        return "none"
    text = f"{numbers['pictures']:,} pictures in {numbers['groups']:,} groups"
    return f"{text}, {numbers['across_splits']:,} across splits, {numbers['unlike_labels']:,} with unlike labels"


def _against_published(found: Findings) -> list[str]:
    release = found.release
    if release is None:
        return []
    away = [text for split, numbers in release.splits.items() for text in _away(split, numbers, found.counts)]
    difference = "as published" if not away else "; ".join(away)
    return [f"published ({release.name}): {difference}", f"  source: {release.source}"]


def _away(split: str, published: dict[str, int], counts: dict[str, dict[str, int]]) -> list[str]:
    """How a split differs; class by class where it is nearly whole."""
    here = counts.get(split)
    if here is None:
        return [f"no {split} here"]
    total = published.get("all", 0)
    if total and abs(here["all"] - total) > 0.05 * total:
        return [f"{split} has {here['all']:,} of {total:,}, {100 * here['all'] / total:.0f} %"]
    return [
        f"{split} {'' if name == 'all' else name + ' '}{here.get(name, 0) - number:+,}"
        for name, number in published.items()
        if here.get(name, 0) != number
    ]


def _balance(found: Findings) -> list[str]:
    lines = []
    for split, numbers in found.counts.items():
        classes = {name: n for name, n in numbers.items() if name not in ("all", "no expression")}
        if len(classes) < 2:
            continue
        if len(set(classes.values())) == 1:
            lines.append(f"balance of {split}: {next(iter(classes.values())):,} of every class")
            continue
        least, most = min(classes, key=lambda c: classes[c]), max(classes, key=lambda c: classes[c])
        ratio = f"{classes[most] / classes[least]:.1f} times" if classes[least] else "infinitely many times"
        lines.append(f"balance of {split}: {most} is {ratio} {least}")
    return lines
