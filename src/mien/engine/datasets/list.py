"""`mien data list`: which data sets can be read, and the published orders of their classes."""

import inspect
from importlib import import_module

from mien.cli.text import columns
from mien.core.labels import label_set, list_label_sets
from mien.data.readers import READERS


def list_data() -> str:
    """Data sets that can be read, how their folders lie, and the published class orders."""
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
