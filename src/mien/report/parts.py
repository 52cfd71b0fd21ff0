"""The parts of a section, each a macro of templates/parts.html. Text is escaped; Markup, such as a `bar`, is not."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import Any

from markupsafe import Markup

from mien.report.page import macro
from mien.report.svg import Scene

Cell = str | Markup


def facts(values: Mapping[str, object]) -> Markup:
    """Names beside values, as a table; entries that are None or "" are left out."""
    return macro("parts.html", "facts", values)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, caption: Cell = "", left: Sequence[int] = (0,)
) -> Markup:
    """A table whose rows have a cell for each column. left: the columns that are aligned to the left."""
    return macro("parts.html", "table", columns, list(rows), caption=caption, left=left)


def bar(share: float, text: str) -> Markup:
    """A number in 0..1 as a bar with its text."""
    return macro("parts.html", "bar", share, text)


def small(text: str) -> Markup:
    """Text in small, muted print; "" stays empty."""
    return macro("parts.html", "small", text)


def code(text: str) -> Markup:
    """A file name or a key, in a font of equal widths."""
    return macro("parts.html", "code", text)


def marked(text: str, css_class: str) -> Markup:
    """Text with a class of the style sheet."""
    return macro("parts.html", "marked", text, css_class)


def cards(values: Mapping[str, str]) -> Markup:
    """Numbers in large print over their names."""
    return macro("parts.html", "cards", values)


def warning(*lines: str) -> Markup:
    """A box that must not be missed; empty without lines."""
    return macro("parts.html", "warning", lines)


def figure(scene: Scene, *, caption: Cell = "") -> Markup:
    """A scene as inline SVG, with its description for screen readers."""
    return macro("parts.html", "figure", scene, caption=caption)


def figures(scenes: Iterable[Scene]) -> Markup:
    """Scenes side by side as far as there is room."""
    return macro("parts.html", "figures", list(scenes))


def gallery(pictures: Iterable[tuple[Markup, str]]) -> Markup:
    """Pictures of one size side by side, each above its caption; they break into lines on a narrow screen."""
    return macro("parts.html", "gallery", list(pictures))


def photo(image: Any, *, alt: str, css_class: str = "", quality: int = 80) -> Markup:
    """A Pillow image as a JPEG inside the page."""
    content = BytesIO()
    image.save(content, format="JPEG", quality=quality)
    return picture(content.getvalue(), alt=alt, css_class=css_class, kind="jpeg")


def picture(content: bytes, *, alt: str, css_class: str = "", kind: str = "png") -> Markup:
    """An encoded picture as <img>, inside the page. kind: "png", "jpeg" or "webp"."""
    return macro("parts.html", "picture", base64.b64encode(content).decode(), alt, css_class, kind)
