"""leaks.csv and leaks.html: pairs of faces on two sides, as a table and as pictures."""

import base64
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from markupsafe import Markup

from mien.core.errors import MienError
from mien.core.records import Sample
from mien.data.leakage.fingerprints import grey_picture
from mien.data.leakage.leaks import KINDS, Leak, summary
from mien.media.files import write_csv
from mien.report.page import Section, macro, write_page

COLUMNS = ("kind", "first_side", "first", "second_side", "second", "value", "likeness", "mirrored")
TEMPLATE = "leaks.html"
SHOWN = 120  # pairs of pictures in the page
PIXELS = 96


def write_table(path: Path, found: Sequence[Leak]) -> None:
    """leaks.csv: a row for each pair, with the columns COLUMNS."""
    rows = []
    for leak in found:
        known = _is_pair(leak)
        pair = leak.kind == "near-duplicate" and known
        rows.append([
            leak.kind, leak.sides[0], leak.first.key if known else "", leak.sides[1], leak.second.key, leak.value,
            f"{leak.likeness:.4f}" if pair else "", str(leak.mirrored).lower() if pair else "",
        ])  # fmt: skip
    write_csv(path, COLUMNS, rows)


def write_leaks_page(path: Path, title: str, found: Sequence[Leak], subtitle: str) -> None:
    """leaks.html: counts, then the pairs as pictures, each kind for itself. One file, nothing from elsewhere."""
    sections = [Section("", macro(TEMPLATE, "summary", by_sides(found)))]
    for kind, (_, meaning) in KINDS.items():
        here = [leak for leak in found if leak.kind == kind]
        if here:
            sections.append(Section(f"{kind}: {meaning}, {len(here):,} pair{'s' * (len(here) > 1)}", _pairs(here)))
    write_page(path, title, sections, subtitle=subtitle)


def _pairs(found: Sequence[Leak]) -> Markup:
    """The least alike first: there the doubtful ones would be."""
    ordered = sorted(found, key=lambda leak: (leak.likeness, leak.value, leak.second.key))
    pairs = [(_pictures(leak), _caption(leak)) for leak in ordered[:SHOWN]]
    return macro(TEMPLATE, "pairs", pairs, max(len(found) - SHOWN, 0))


def _shown(leak: Leak) -> list[Sample]:
    """Both faces; of a bundle's training faces there is no picture, so the second alone."""
    return [leak.first, leak.second] if _is_pair(leak) else [leak.second]


def _is_pair(leak: Leak) -> bool:
    """Whether both faces are known: not so for the faces that a bundle was trained on."""
    return leak.likeness == leak.likeness  # not NaN


def _caption(leak: Leak) -> list[str]:
    """The lines below a pair."""
    shown = _shown(leak)
    lines = [f"{side}: {sample.key}" for side, sample in zip(leak.sides[-len(shown) :], shown, strict=True)]
    lines += [f"{leak.kind} {leak.value}"] if leak.value else []
    if _is_pair(leak) and leak.kind == "near-duplicate":
        lines.append(f"likeness {leak.likeness:.3f}{', mirrored' if leak.mirrored else ''}")
    return lines


def _pictures(leak: Leak) -> list[tuple[str, str]]:
    """(base64 of a JPEG, alternative text) of each face."""
    return [(base64.b64encode(_jpeg(sample)).decode(), f"the picture {sample.key}") for sample in _shown(leak)]


def _jpeg(sample: Sample) -> bytes:
    """The grey picture that was compared; plain grey where it cannot be read."""
    try:
        grey = grey_picture(sample)
    except (MienError, OSError):
        grey = np.full((PIXELS, PIXELS), 128, np.uint8)
    resized = cv2.resize(grey, (PIXELS, PIXELS), interpolation=cv2.INTER_CUBIC)
    return bytes(cv2.imencode(".jpg", resized, [cv2.IMWRITE_JPEG_QUALITY, 80])[1])


def by_sides(found: Sequence[Leak]) -> str:
    """`train and valid: 159 near-duplicates; train and test: 1 subject`."""
    sides = dict.fromkeys(leak.sides for leak in found)
    return "; ".join(f"{a} and {b}: {summary(x for x in found if x.sides == (a, b))}" for a, b in sides)
