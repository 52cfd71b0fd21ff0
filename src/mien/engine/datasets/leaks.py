"""`mien data leaks`: faces shared by two splits, data sets or bundles, as a table and as pictures."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError

if TYPE_CHECKING:
    from markupsafe import Markup

    from mien.core.records import Sample
    from mien.data.leakage.leaks import Leak
    from mien.data.readers import Reader

COLUMNS = ("kind", "first_side", "first", "second_side", "second", "value", "likeness", "mirrored")
TEMPLATE = "leaks.html"
SHOWN = 120  # pairs of pictures in the page
PIXELS = 96


def leaks(
    name: str,
    *,
    root: str,
    against: str = "",
    output: str = "leaks",
    strict: bool = False,
    pictures: bool = True,
    split_file: str = "",
    fold: int = -1,
    reader: dict[str, Any] | None = None,
) -> str:
    """Find files, near-duplicate pictures, subjects and clips that stand on two sides.

    Between the splits of a data set; or between it and another set; or between it and the faces that a bundle was
    trained on. Writes leaks.csv and leaks.html, which shows the pairs, for your own eyes.

    Args:
        name: the reader, as `mien data list` names it.
        root: folder of the data set.
        against: another set as NAME=DIR, or a bundle (folder, run folder or the name of one that ships).
        output: folder for the table and the page.
        strict: end with exit code 2 when there are leaks.
        pictures: open every picture; false compares names only.
        split_file: a split file whose parts are the sides, in place of the set's own splits.
        fold: with a split file of folds, the fold that is the test split.
        reader: options of the reader, such as --reader.majority soft.
    """
    from mien.data.leakage.leaks import find_leaks, summary
    from mien.data.options import DataOptions

    opened = DataOptions(name=name, root=root, reader=reader or {}, split_file=split_file, fold=fold).open()
    sides = {split: opened.samples(split) for split in opened.splits}
    if against and "=" in against:
        found = _against_set(opened, sides, against, pictures)
    elif against:
        found = _against_bundle(against, sides, opened.name)
    else:
        found = [leak for leak in find_leaks(sides, pictures=pictures) if not _nested(sides, leak.sides)]
    folder = Path(output)
    write_table(folder / "leaks.csv", found)
    write_leaks_page(folder / "leaks.html", f"Leaks of {opened.name}", found, _scope(sides, against, pictures))
    where = f"{folder / 'leaks.csv'}, {folder / 'leaks.html'}"
    if strict and found:
        raise MienError(f"{summary(found)} on two sides. {where}")
    return f"{_by_sides(found)}. {where}" if found else f"No leaks. {where}"


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
    """The faces that the bundle was trained on or chosen by. Raises MienError for one that does not remember any."""
    from mien.data.leakage.contamination import read_seen
    from mien.data.leakage.leaks import Leak
    from mien.engine.bundles.predictor import bundle_folder
    from mien.media.files import read_info

    folder = bundle_folder(bundle)
    seen = read_seen(folder, read_info(folder))
    if seen is None:
        raise MienError(f"{bundle} carries no fingerprints of its training faces, so nothing can be compared with it.")
    found = []
    for split, samples in sides.items():
        met = seen.met_in(samples, data=data)
        for use, kind, hits in (
            ("trained on", "near-duplicate", met.trained), ("chosen by", "near-duplicate", met.chosen),
            ("trained on", "subject", met.subjects), ("trained on", "clip", met.clips),
        ):  # fmt: skip
            named = {s.key if kind == "near-duplicate" else str(getattr(s, kind)): s
                     for s, hit in zip(samples, hits, strict=True) if hit}  # fmt: skip
            is_picture = kind == "near-duplicate"
            found += [
                Leak(kind, (f"{bundle} ({use})", split), s, s, "" if is_picture else name, float("nan"))
                for name, s in named.items()
            ]
    return found


def write_table(path: Path, found: Sequence["Leak"]) -> None:
    """leaks.csv: a row for each pair, with the columns COLUMNS."""
    from mien.media.files import write_csv

    rows = []
    for leak in found:
        known = _is_pair(leak)
        pair = leak.kind == "near-duplicate" and known
        rows.append([
            leak.kind, leak.sides[0], leak.first.key if known else "", leak.sides[1], leak.second.key, leak.value,
            f"{leak.likeness:.4f}" if pair else "", str(leak.mirrored).lower() if pair else "",
        ])  # fmt: skip
    write_csv(path, COLUMNS, rows)


def write_leaks_page(path: Path, title: str, found: Sequence["Leak"], subtitle: str) -> None:
    """leaks.html: counts, then the pairs as pictures, each kind for itself. One file, nothing from elsewhere."""
    from mien.data.leakage.leaks import KINDS
    from mien.report.page import Section, macro, write_page

    sections = [Section("", macro(TEMPLATE, "summary", _by_sides(found)))]
    for kind, (_, meaning) in KINDS.items():
        here = [leak for leak in found if leak.kind == kind]
        if here:
            sections.append(Section(f"{kind}: {meaning}, {len(here):,} pair{'s' * (len(here) > 1)}", _pairs(here)))
    write_page(path, title, sections, subtitle=subtitle)


def _pairs(found: Sequence["Leak"]) -> "Markup":
    """The least alike first: there the doubtful ones would be."""
    from mien.report.page import macro

    ordered = sorted(found, key=lambda leak: (leak.likeness, leak.value, leak.second.key))
    pairs = [(_pictures(leak), _caption(leak)) for leak in ordered[:SHOWN]]
    return macro(TEMPLATE, "pairs", pairs, max(len(found) - SHOWN, 0))


def _shown(leak: "Leak") -> list["Sample"]:
    """Both faces; of a bundle's training faces there is no picture, so the second alone."""
    return [leak.first, leak.second] if _is_pair(leak) else [leak.second]


def _is_pair(leak: "Leak") -> bool:
    """Whether both faces are known: not so for the faces that a bundle was trained on."""
    return leak.likeness == leak.likeness  # not NaN


def _caption(leak: "Leak") -> list[str]:
    """The lines below a pair."""
    shown = _shown(leak)
    lines = [f"{side}: {sample.key}" for side, sample in zip(leak.sides[-len(shown) :], shown, strict=True)]
    lines += [f"{leak.kind} {leak.value}"] if leak.value else []
    if _is_pair(leak) and leak.kind == "near-duplicate":
        lines.append(f"likeness {leak.likeness:.3f}{', mirrored' if leak.mirrored else ''}")
    return lines


def _pictures(leak: "Leak") -> list[tuple[str, str]]:
    """(base64 of a JPEG, alternative text) of each face."""
    import base64

    return [(base64.b64encode(_jpeg(sample)).decode(), f"the picture {sample.key}") for sample in _shown(leak)]


def _jpeg(sample: "Sample") -> bytes:
    """The grey picture that was compared; plain grey where it cannot be read."""
    import cv2
    import numpy as np

    from mien.data.leakage.fingerprints import grey_picture

    try:
        grey = grey_picture(sample)
    except (MienError, OSError):
        grey = np.full((PIXELS, PIXELS), 128, np.uint8)
    resized = cv2.resize(grey, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def _by_sides(found: Sequence["Leak"]) -> str:
    """`train and valid: 159 near-duplicates; train and test: 1 subject`."""
    from mien.data.leakage.leaks import summary

    sides = dict.fromkeys(leak.sides for leak in found)
    return "; ".join(f"{a} and {b}: {summary(x for x in found if x.sides == (a, b))}" for a, b in sides)


def _scope(sides: dict[str, list["Sample"]], against: str, pictures: bool) -> str:
    counts = ", ".join(f"{split} {len(samples):,}" for split, samples in sides.items())
    how = "files, near-duplicate pictures, subjects and clips" if pictures else "file names, subjects and clips"
    return f"Compared: {counts} faces{f', against {against}' if against else ''}; for equal {how}."
