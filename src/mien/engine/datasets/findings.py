"""What `mien data check` found, and how it says so."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mien.cli.text import columns

if TYPE_CHECKING:
    from mien.data.inspection.published import Release

SHOWN = 10
TINY = 24  # pixels; a picture with a shorter side shows no expression


@dataclass
class Findings:
    """Results of `mien data check`."""

    counts: dict[str, dict[str, int]]
    """Split → class (or "all") → faces."""
    release: "Release | None" = None
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


def counts_table(counts: dict[str, dict[str, int]], release: "Release | None") -> str:
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
    trust = ("; about" if release.approximate else "") + ("; partly from memory" if release.recalled else "")
    return [f"published ({release.name}{trust}): {difference}", f"  source: {release.source}"]


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
