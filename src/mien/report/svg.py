"""Scene: a figure of rectangles, lines, dots and text, written as SVG (in reports) or PNG (as a file).

Colours are names. In a report they follow the page's light or dark theme (`var(--ink)`); in a PNG they are those of the
light theme. Needs nothing but Pillow, so a light installation draws the same figures as a full one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup, escape
from PIL import Image, ImageDraw, ImageFont

from mien.core.errors import printable
from mien.media.files import write_text
from mien.media.image import save_png

# The light theme of report.css, for PNG. "series-N" are Okabe and Ito's, which colour-blind readers can distinguish.
COLOURS = {
    "paper": (255, 255, 255),
    "ink": (27, 31, 36),
    "muted": (91, 100, 112),
    "grid": (221, 225, 230),
    "accent": (31, 99, 168),
    "warn": (184, 80, 20),
    "series-1": (0, 114, 178),
    "series-2": (213, 94, 0),
    "series-3": (0, 158, 115),
    "series-4": (204, 121, 167),
    "series-5": (86, 180, 233),
    "series-6": (230, 159, 0),
}
PNG_SCALE = 2  # pixels per unit: sharp in print and on dense screens

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]


def series_colour(number: int) -> str:
    """The colour of the n-th curve, from 0; the seventh has the colour of the first."""
    return f"series-{number % 6 + 1}"


@dataclass(frozen=True)
class Rect:
    """A filled rectangle."""

    x: float
    """Left edge."""
    y: float
    """Upper edge."""
    width: float
    """To the right."""
    height: float
    """Downwards."""
    fill: str
    """A name of COLOURS."""
    opacity: float = 1.0
    """0 is invisible, 1 solid."""

    def svg(self) -> str:
        """The element as SVG text."""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" width="{self.width:.1f}" height="{self.height:.1f}"'
        return f'<rect {place} style="fill:var(--{self.fill})" fill-opacity="{self.opacity:.3f}"/>'

    def paint(self, draw: Any) -> None:
        """Draws it on a Pillow ImageDraw."""
        corners = [self.x, self.y, self.x + self.width, self.y + self.height]
        if self.width > 0 and self.height > 0:
            draw.rectangle([v * PNG_SCALE for v in corners], fill=mixed(self.fill, self.opacity))


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: tuple[Point, ...]
    """At least one; (x, y) in units of the scene."""
    stroke: str
    """A name of COLOURS."""
    width: float = 1.5
    """In units of the scene."""
    dashed: bool = False
    """Dashes in place of a solid line."""

    def svg(self) -> str:
        """The element as SVG text."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)
        dash = ' stroke-dasharray="5 4"' if self.dashed else ""
        look = f'style="stroke:var(--{self.stroke})" stroke-width="{self.width}" stroke-linejoin="round"{dash}'
        return f'<polyline points="{path}" fill="none" {look}/>'

    def paint(self, draw: Any) -> None:
        """Draws it on a Pillow ImageDraw."""
        scaled = [(x * PNG_SCALE, y * PNG_SCALE) for x, y in self.points]
        for start, end in pairwise(scaled):
            for part in _dashes(start, end) if self.dashed else [(start, end)]:
                draw.line(part, fill=COLOURS[self.stroke], width=round(self.width * PNG_SCALE))


@dataclass(frozen=True)
class Area:
    """A filled polygon, such as a band around a curve."""

    points: tuple[Point, ...]
    """Its corners, at least three; (x, y) in units of the scene."""
    fill: str
    """A name of COLOURS."""
    opacity: float = 1.0
    """0 is invisible, 1 solid."""

    def svg(self) -> str:
        """The element as SVG text."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in self.points)
        return f'<polygon points="{path}" style="fill:var(--{self.fill})" fill-opacity="{self.opacity:.3f}"/>'

    def paint(self, draw: Any) -> None:
        """Draws it on a Pillow ImageDraw."""
        draw.polygon([(x * PNG_SCALE, y * PNG_SCALE) for x, y in self.points], fill=mixed(self.fill, self.opacity))


@dataclass(frozen=True)
class Dot:
    """A filled circle."""

    x: float
    """Its centre, across."""
    y: float
    """Its centre, downwards."""
    radius: float
    """In units of the scene."""
    fill: str
    """A name of COLOURS."""

    def svg(self) -> str:
        """The element as SVG text."""
        return f'<circle cx="{self.x:.1f}" cy="{self.y:.1f}" r="{self.radius:.2f}" style="fill:var(--{self.fill})"/>'

    def paint(self, draw: Any) -> None:
        """Draws it on a Pillow ImageDraw."""
        r = self.radius
        corners = [self.x - r, self.y - r, self.x + r, self.y + r]
        draw.ellipse([v * PNG_SCALE for v in corners], fill=COLOURS[self.fill])


@dataclass(frozen=True)
class Text:
    """One line of text. Unprintable characters are drawn as escapes."""

    x: float
    """Of the anchor, across."""
    y: float
    """The middle of the line, downwards."""
    text: str
    """Plain text; it is escaped."""
    size: float = 12
    """Font size in units of the scene."""
    anchor: Anchor = "start"
    """Which part of the text is at x."""
    fill: str = "ink"
    """A name of COLOURS."""
    bold: bool = False
    """A heavier font."""

    def svg(self) -> str:
        """The element as SVG text."""
        place = f'x="{self.x:.1f}" y="{self.y:.1f}" font-size="{self.size}" text-anchor="{self.anchor}"'
        weight = ' font-weight="600"' if self.bold else ""
        look = f'style="fill:var(--{self.fill})" dominant-baseline="central"{weight}'
        return f"<text {place} {look}>{escape(printable(self.text))}</text>"

    def paint(self, draw: Any) -> None:
        """Draws it on a Pillow ImageDraw."""
        anchor = {"start": "lm", "middle": "mm", "end": "rm"}[self.anchor]
        font = ImageFont.load_default(self.size * PNG_SCALE)
        place = (self.x * PNG_SCALE, self.y * PNG_SCALE)
        stroke = 0.6 if self.bold else 0
        text = printable(self.text).replace("\N{MINUS SIGN}", "-")  # which Pillow's own font lacks
        draw.text(place, text, COLOURS[self.fill], font, anchor=anchor, stroke_width=stroke)


Shape = Rect | Line | Area | Dot | Text


@dataclass
class Scene:
    """A figure: shapes on a sheet, the last on top."""

    width: float
    """In units, which are CSS pixels."""
    height: float
    """In units, which are CSS pixels."""
    label: str
    """What the figure shows, in a sentence, for those who cannot see it."""
    shapes: list[Shape] = field(default_factory=list)
    """In the order in which they are drawn."""

    def add(self, *shapes: Shape) -> None:
        """Puts shapes on top of those there are."""
        self.shapes.extend(shapes)

    def svg(self) -> Markup:
        """An inline <svg> that scales down with the page."""
        size = f'viewBox="0 0 {self.width:.0f} {self.height:.0f}" width="{self.width:.0f}" height="{self.height:.0f}"'
        body = "".join(shape.svg() for shape in self.shapes)
        label = escape(printable(self.label))
        return Markup(f'<svg role="img" aria-label="{label}" {size}><title>{label}</title>{body}</svg>')

    def save_svg(self, path: Path) -> None:
        """A file of its own, in the colours of the light theme, written atomically."""
        look = "".join(f"--{name}:rgb{colour};".replace(" ", "") for name, colour in COLOURS.items())
        size = f'width="{self.width:.0f}" height="{self.height:.0f}"'
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:.0f} {self.height:.0f}" {size}>'
            f"<style>svg{{{look}}}text{{font-family:sans-serif}}</style>"
        )
        paper = Rect(0, 0, self.width, self.height, "paper").svg()
        title = f"<title>{escape(printable(self.label))}</title>"
        body = "".join(shape.svg() for shape in self.shapes)
        write_text(path, f"{head}{title}{paper}{body}</svg>\n")

    def png(self, path: Path) -> None:
        """A PNG on white, two pixels per unit, written atomically."""
        image = Image.new("RGB", (round(self.width * PNG_SCALE), round(self.height * PNG_SCALE)), COLOURS["paper"])
        draw = ImageDraw.Draw(image)
        for shape in self.shapes:
            shape.paint(draw)
        save_png(path, image)


def mixed(name: str, opacity: float) -> tuple[int, ...]:
    """The colour laid over white paper with that opacity."""
    return tuple(round(opacity * c + (1 - opacity) * 255) for c in COLOURS[name])


def _dashes(start: Point, end: Point, *, on: float = 10, off: float = 8) -> list[tuple[Point, Point]]:
    (x0, y0), (x1, y1) = start, end
    length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    if length == 0:
        return []
    starts: Sequence[float] = [i * (on + off) / length for i in range(int(length // (on + off)) + 1)]

    def at(t: float) -> Point:
        return x0 + (x1 - x0) * min(t, 1), y0 + (y1 - y0) * min(t, 1)

    return [(at(t), at(t + on / length)) for t in starts]
