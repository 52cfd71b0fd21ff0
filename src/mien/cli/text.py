"""Plain text for a terminal or a pipe: aligned columns."""

from collections.abc import Iterable, Sequence
from typing import Any

from mien.core.errors import printable


def plain_console(**options: Any) -> Any:
    """A rich Console for text with names from data in it: what would control the terminal stands as an escape."""
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **how: Any) -> Any:
            return super().render_str(printable(text, keep="\n\t"), **how)

    return Plain(**options)


def columns(rows: Iterable[Sequence[object]], *, gap: int = 2) -> str:
    """Rows as lines, each column as wide as its widest cell; numbers stand on the right. "" without rows."""
    cells = [[str(cell) for cell in row] for row in rows]
    if not cells:
        return ""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join((" " * gap).join(map(_placed, row, widths)).rstrip() for row in cells)


def _placed(cell: str, width: int) -> str:
    return cell.rjust(width) if cell.replace(",", "").replace(".", "").isdigit() else cell.ljust(width)
