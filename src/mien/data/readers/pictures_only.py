"""Pictures of faces without expressions or points, for training without labels: what their readers share."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mien.core.records import Box, Sample
from mien.data.readers.reader import Reader
from mien.data.readers.stores import Place
from mien.data.readers.tables import first_there, read_boxes


class PicturesOnly(Reader):
    """Samples with a box where a table of ParFace's form (`image_path,x1,y1,x2,y2,scale`) has one.

    A face without a box is left out where the table is there, and counted: its detector found none.
    """

    def boxes(self, *names: str) -> tuple[dict[str, Box], Path | None]:
        """By the picture's path as the table gives it, and the table; without a table both are empty."""
        table = first_there(self, *names)
        return (read_boxes(self, table), table) if table else ({}, None)

    def boxed(self, places: Mapping[str, Place], split: str, *, boxes: Mapping[str, Box], **more: Any) -> list[Sample]:
        """The samples of the named places, each with its box; `more`: names → values of other fields of Sample."""
        kept = {name: place for name, place in places.items() if not boxes or name in boxes}
        if left := len(places) - len(kept):
            self.note(f"{left:,} of {len(places):,} pictures of {split} have no box and are left out.")
        return [
            Sample(
                place.key, place.path, split, box=boxes.get(name), span=place.span,
                **{field: values.get(name) for field, values in more.items()},
            )
            for name, place in kept.items()
        ]  # fmt: skip
