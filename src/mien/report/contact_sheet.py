"""Contact sheets: thumbnails with captions in lines, below one another or in titled rows, as one picture."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import printable
from mien.report.svg import COLOURS
from mien.report.text import cut_middle

if TYPE_CHECKING:
    from PIL.ImageFont import FreeTypeFont

Pixels = UInt8[np.ndarray, "_ _ 3"]
EMPTY = (238, 238, 238)  # ground of a tile whose picture cannot be read
_HEADER = 64  # pixels above the rows where the sheet has a title
_TITLE, _NOTE, _ROW_TITLE, _SMALLEST = 20, 13, 18, 9  # font sizes in pixels


@dataclass(frozen=True)
class Tile:
    """A thumbnail."""

    caption: str
    """Drawn below it; its middle is left out where it is too long."""
    pixels: Pixels | None
    """RGB, at most as wide and high as the sheet's tiles; None for a picture that cannot be read."""


@dataclass(frozen=True)
class Row:
    """Thumbnails that belong together, on as many lines as they need."""

    title: str
    """Drawn at their left; "" for none."""
    tiles: Sequence[Tile]
    """In the order shown."""
    note: str = ""
    """Drawn below the title in small print."""
    warns: bool = False
    """Whether the note is in the warning colour."""


@dataclass(frozen=True)
class _Layout:
    """Positions on a sheet; all in pixels."""

    side: int
    height: int
    """Of the highest tile."""

    columns: int
    left: int
    """Width of the titles at the left."""
    top: int
    """Where the first line begins."""
    captions: bool
    """Whether any tile has a caption."""

    @property
    def gap(self) -> int:
        return max(8, self.side // 20)

    @property
    def font(self) -> "FreeTypeFont":
        return _font(max(10, self.side // 20))

    @property
    def caption(self) -> int:
        return round(1.6 * self.font.size) if self.captions else 0

    @property
    def line(self) -> int:
        return self.height + self.caption + self.gap

    def corner(self, line: int, column: int) -> tuple[int, int]:
        """Upper left corner of a tile's place."""
        return self.left + self.gap + column * (self.side + self.gap), self.top + self.gap + line * self.line


def contact_sheet(items: Sequence[tuple[str, Pixels | None]], *, columns: int = 6, side: int = 320) -> Pixels:
    """Thumbnails of at most side x side, each with its caption below; None is a picture that cannot be read."""
    columns = min(columns, max(1, math.ceil(math.sqrt(len(items)))))
    return row_sheet([Row("", [Tile(*item) for item in items])], columns=columns, side=side)


def row_sheet(rows: Sequence[Row], *, columns: int, side: int, title: str = "", note: str = "") -> Pixels:
    """Rows of thumbnails, each with its title at the left, at most `columns` on a line."""
    layout = _layout(rows, columns, side, titled=bool(title))
    lines = [max(1, -(-len(row.tiles) // columns)) for row in rows]
    width, height = layout.corner(sum(lines), layout.columns)
    sheet = Image.new("RGB", (width, height), COLOURS["paper"])
    draw = ImageDraw.Draw(sheet)
    draw.text((2 * layout.gap, 14), _fitted(title, width - 4 * layout.gap, _TITLE), COLOURS["ink"], _font(_TITLE))
    draw.text((2 * layout.gap, 40), _fitted(note, width - 4 * layout.gap, _NOTE), COLOURS["muted"], _font(_NOTE))
    first = 0
    for row, count in zip(rows, lines, strict=True):
        _draw_row(sheet, row, first, layout)
        first += count
    return np.asarray(sheet)


def _layout(rows: Sequence[Row], columns: int, side: int, *, titled: bool) -> _Layout:
    tiles = [tile for row in rows for tile in row.tiles]
    heights = [tile.pixels.shape[0] for tile in tiles if tile.pixels is not None]
    return _Layout(
        side=side, height=max(heights, default=side // 2),
        columns=min(columns, max((len(row.tiles) for row in rows), default=1)) or 1,
        left=round(1.7 * side) if any(row.title for row in rows) else 0, top=_HEADER if titled else 0,
        captions=any(tile.caption for tile in tiles),
    )  # fmt: skip


def _draw_row(sheet: Image.Image, row: Row, first: int, layout: _Layout) -> None:
    draw = ImageDraw.Draw(sheet)
    if row.title:
        _draw_title(draw, row, layout.corner(first, 0)[1], layout, sheet.width)
    for number, tile in enumerate(row.tiles):
        line, column = divmod(number, layout.columns)
        _draw_tile(sheet, tile, layout.corner(first + line, column), layout)


def _draw_title(draw: ImageDraw.ImageDraw, row: Row, top: int, layout: _Layout, width: int) -> None:
    """Name and note beside the row's first line, under a rule."""
    left, room = 2 * layout.gap, layout.left - 2 * layout.gap
    middle = top + layout.height / 2
    draw.line((layout.gap, top - layout.gap // 2, width - layout.gap, top - layout.gap // 2), COLOURS["grid"])
    size = next((s for s in range(_ROW_TITLE, _SMALLEST, -1) if _font(s).getlength(row.title) <= room), _SMALLEST)
    draw.text((left, middle - 12), _fitted(row.title, room, size), COLOURS["ink"], _font(size), anchor="lm")
    colour = COLOURS["warn" if row.warns else "muted"]
    draw.text((left, middle + 12), _fitted(row.note, room, _NOTE), colour, _font(_NOTE), anchor="lm")


def _draw_tile(sheet: Image.Image, tile: Tile, corner: tuple[int, int], layout: _Layout) -> None:
    """The picture in the middle of its place, and its caption."""
    draw = ImageDraw.Draw(sheet)
    (left, top), side, tall = corner, layout.side, layout.height
    if tile.pixels is None:
        draw.rectangle((left, top, left + side - 1, top + tall - 1), EMPTY)
        text = _fitted("cannot be read", side, round(layout.font.size))
        draw.text((left + side / 2, top + tall / 2), text, COLOURS["warn"], layout.font, anchor="mm")
    else:
        height, width = tile.pixels.shape[:2]
        sheet.paste(Image.fromarray(tile.pixels), (left + (side - width) // 2, top + (tall - height) // 2))
    caption = _fitted(tile.caption, side, round(layout.font.size))
    draw.text((left + side / 2, top + tall + 2), caption, COLOURS["muted"], layout.font, anchor="ma")


def _fitted(text: str, room: float, size: int) -> str:
    """The text, its middle left out as far as it is wider than the room."""
    text, font = printable(text), _font(size)
    length = len(text)
    while length > 5 and font.getlength(cut_middle(text, length)) > room:
        length -= 1
    return cut_middle(text, length)


def _font(size: int) -> "FreeTypeFont":
    return cast("FreeTypeFont", ImageFont.load_default(size))
