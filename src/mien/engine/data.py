"""`mien data list` and `mien data check`: which data sets can be read, and whether one on this disk is whole."""

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mien.core.errors import MienError
from mien.engine.text import columns

if TYPE_CHECKING:
    from mien.core.records import Sample
    from mien.data.readers import Reader

BROKEN_SHOWN = 10


def list_data() -> str:
    """Data sets that can be read, how their folders lie, and the published class orders."""
    from mien.core.labels import label_set, list_label_sets
    from mien.data.readers import READERS

    readers = [(name, _first_line(target)) for name, target in READERS.items()]
    orders = [(name, label_set(name).checksum, ", ".join(label_set(name).classes)) for name in list_label_sets()]
    return (
        f"Data sets (--data.name):\n{columns(readers)}\n\nClass orders (--data.labels), with their checksum:\n"
        f"{columns(orders)}\n\nHow each folder must lie: docs/data.md. Is mine whole? mien data check NAME --root DIR"
    )


def _first_line(target: str) -> str:
    """Of the docstring of `module:class`."""
    module, attribute = target.split(":")
    return (inspect.getdoc(getattr(import_module(module), attribute)) or "").partition("\n")[0]


def check(name: str, *, root: str, reader: dict[str, Any] | None = None, decode: bool = True) -> str:
    """Count the faces of a data set by split and class, and open every picture.

    Broken pictures are named, and the exit code is then 2.

    Args:
        name: the reader, as `mien data list` names it.
        root: folder of the data set (of manifest: the table).
        reader: options of the reader, such as --reader.majority strict.
        decode: open every picture; false only counts.
    """
    from rich.console import Console

    from mien.data.readers import open_reader

    opened = open_reader(name, root, **(reader or {}))
    splits = {split: opened.samples(split) for split in opened.splits}
    counted = f"{opened.name}, {root}\n{columns(_counts(opened, splits))}"
    if not decode:
        return counted
    console = Console(soft_wrap=True, highlight=False)
    console.print(counted)
    pictures = {sample.path: sample for samples in splits.values() for sample in samples}
    broken = list(_broken(list(pictures.values())))
    if not broken:
        return f"All {len(pictures):,} pictures can be read."
    for line in broken[:BROKEN_SHOWN]:
        console.print(f"  {line}")
    raise MienError(f"{len(broken)} of {len(pictures)} pictures cannot be read; the first: {broken[0]}")


def _counts(reader: "Reader", splits: dict[str, list["Sample"]]) -> list[list[object]]:
    """A row for each class, a column for each split; samples without a class at the end."""
    tallies = [Counter(sample.expression for sample in samples) for samples in splits.values()]
    classes = reader.labels.classes if reader.labels else ()
    rows: list[list[object]] = [["", *splits], *([c, *(t[i] for t in tallies)] for i, c in enumerate(classes))]
    if any(None in tally for tally in tallies):
        rows.append(["no expression", *(tally[None] for tally in tallies)])
    return [*rows, ["all", *(len(samples) for samples in splits.values())]]


def _broken(samples: Sequence["Sample"]) -> Iterator[str]:
    """Why a picture cannot be read, for each that cannot."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        answers = track(
            pool.map(_why_broken, samples), "opening pictures", len(samples), console=console, transient=True
        )
        yield from (answer for answer in answers if answer)


def _why_broken(sample: "Sample") -> str:
    from mien.media.image import load_image

    try:
        load_image(sample.path, span=sample.span)
    except (MienError, OSError) as error:
        return str(error)
    return ""
