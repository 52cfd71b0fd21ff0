"""`mien data list`: which data sets can be read, and the published orders of their classes."""

import inspect

from mien.cli.text import columns
from mien.core.extras import imported


def list_data() -> str:
    """Data sets that can be read, how their folders lie, and the published class orders."""
    from mien.core.labels import label_set, list_label_sets
    from mien.data.readers import READERS

    readers = [(name, (inspect.getdoc(imported(target)) or "").partition("\n")[0]) for name, target in READERS.items()]
    orders = [(name, label_set(name).checksum, ", ".join(label_set(name).classes)) for name in list_label_sets()]
    return (
        f"Data sets (--data.name):\n{columns(readers)}\n\nClass orders (--data.labels), with their checksum:\n"
        f"{columns(orders)}\n\nHow each folder must lie: docs/data.md. Is mine whole? mien data check NAME --root DIR"
    )
