"""Axes: values placed on a scene, with grid lines, tick labels, titles and curves; and the legend below them."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mien.report.svg import Line, Point, Rect, Scene, Text
from mien.report.text import cut_end

Span = tuple[float, float]
LEGEND_LINE = 20.0  # units from one line of a legend to the next
_CHARACTER = 6.4  # units that a character of size 12 needs at most on average
_SWATCH = 20.0  # a colour and the gap behind it


@dataclass(frozen=True)
class Axes:
    """A plot in a rectangle of a scene, linear in x and y."""

    scene: Scene
    """Where it is drawn."""
    box: tuple[float, float, float, float]
    """Left, top, width and height of the plot in the scene, without its labels."""
    x: Span
    """Values at the left and the right edge."""
    y: Span
    """Values at the lower and the upper edge."""

    def place(self, x: float, y: float) -> Point:
        """Where a pair of values lies in the scene."""
        left, top, width, height = self.box
        (x0, x1), (y0, y1) = self.x, self.y
        return left + width * (x - x0) / (x1 - x0), top + height * (1 - (y - y0) / (y1 - y0))

    def add_x_ticks(
        self, *, percent: bool = False, whole: bool = False, unit: str = "", grid: bool = False, count: int = 5
    ) -> None:
        """Labels below the plot. whole: whole numbers only. grid: with a line through the plot at each."""
        _, top, _, height = self.box
        marks = [tick for tick in ticks(*self.x, count=count) if not whole or tick == int(tick)]
        for tick in marks:
            at, _ = self.place(tick, self.y[0])
            text = tick_text(tick, step_of(marks), percent=percent) + unit
            if grid:
                self.scene.add(Line(((at, top), (at, top + height)), "grid", 1))
            self.scene.add(Text(at, top + height + 14, text, 11, "middle", "muted"))

    def add_y_ticks(self, *, percent: bool = False, count: int = 5) -> None:
        """Labels at the left of the plot, with a line through it at each."""
        left, _, width, _ = self.box
        marks = ticks(*self.y, count=count)
        for tick in marks:
            _, at = self.place(self.x[0], tick)
            self.scene.add(Line(((left, at), (left + width, at)), "grid", 1))
            text = tick_text(tick, step_of(marks), percent=percent)
            self.scene.add(Text(left - 8, at, text, 11, "end", "muted"))

    def add_titles(self, *, x: str = "", y: str = "") -> None:
        """What the axes show: x below its labels, y above its own."""
        left, top, width, height = self.box
        if x:
            self.scene.add(Text(left + width / 2, top + height + 34, x, 12, "middle", "muted"))
        if y:
            self.scene.add(Text(max(left - 44, 8), top - 16, y, 12, fill="muted"))

    def add_curve(self, points: Iterable[Point], colour: str, *, width: float = 2, dashed: bool = False) -> None:
        """A line through values (x, y)."""
        self.scene.add(Line(tuple(self.place(*point) for point in points), colour, width, dashed))

    def add_diagonal(self) -> None:
        """A dashed line from corner to corner: y equals x where both axes have one span."""
        self.add_curve(((self.x[0], self.y[0]), (self.x[1], self.y[1])), "muted", width=1.5, dashed=True)

    def add_bars(self, heights: Sequence[float], colour: str, opacity: float = 1.0) -> None:
        """Bars of equal width side by side over the whole of x, standing on the lower edge."""
        left, top, width, height = self.box
        step, base = width / len(heights), top + height
        for number, value in enumerate(heights):
            tall = base - self.place(self.x[0], value)[1]
            self.scene.add(Rect(left + step * number + 1, base - tall, step - 2, tall, colour, opacity))

    def add_baseline(self) -> None:
        """A line along the lower edge."""
        left, top, width, height = self.box
        self.scene.add(Line(((left, top + height), (left + width, top + height)), "muted", 1))


Entry = tuple[str, str, float]  # text, colour, opacity


def legend_height(entries: Sequence[Entry], width: float) -> float:
    """What `add_legend` needs downwards."""
    return LEGEND_LINE * len(_legend_lines(entries, width))


def add_legend(scene: Scene, entries: Sequence[Entry], left: float, top: float, width: float) -> None:
    """Each colour with its text, beside one another as far as the width goes. top: of the first line."""
    most = int((width - _SWATCH) / _CHARACTER)
    for number, line in enumerate(_legend_lines(entries, width)):
        x, y = left, top + LEGEND_LINE * (number + 0.5)
        for text, colour, opacity in line:
            scene.add(Rect(x, y - 5, 14, 10, colour, opacity), Text(x + _SWATCH, y, cut_end(text, most), 12))
            x += _entry_width(text)


def _legend_lines(entries: Sequence[Entry], width: float) -> list[list[Entry]]:
    lines: list[list[Entry]] = []
    room = 0.0
    for entry in entries:
        if not lines or _entry_width(entry[0]) > room:
            lines.append([])
            room = width + 16  # the gap behind the last entry may stand out
        lines[-1].append(entry)
        room -= _entry_width(entry[0])
    return lines


def _entry_width(text: str) -> float:
    return _SWATCH + _CHARACTER * len(text) + 16


def span_of(values: Sequence[float], *, pad: float = 0.0) -> Span:
    """Smallest and largest value, wider by the share `pad` on both sides; around one value half a unit each way."""
    low, high = min(values), max(values)
    if high <= low:
        low, high = low - 0.5, low + 0.5
    margin = pad * (high - low)
    return low - margin, high + margin


def ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """About `count` round numbers between low and high."""
    raw = (high - low) / count
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= raw)
    first = math.ceil(low / step)
    return [round(k * step, 12) for k in range(first, math.floor(high / step) + 1)]


def step_of(marks: Sequence[float]) -> float:
    """The distance of neighbouring ticks; 1 where there is one tick alone."""
    return marks[1] - marks[0] if len(marks) > 1 else 1.0


def tick_text(value: float, step: float, *, percent: bool = False) -> str:
    """The value with as many digits as distinguish neighbouring ticks, and a minus sign in place of a hyphen."""
    if step < 1e-4 and not percent:
        return f"{value:.3g}"
    digits = max(0, math.ceil(-math.log10(100 * step if percent else step) - 1e-9))
    text = f"{value:.{digits}%}" if percent else f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}")
