"""Figures of readings: measures over time, one lane each with a band; bars of groups with intervals; a path in a plane.

One lane for each measure: eight curves in one plot cannot be told apart, and colours would have to.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from mien.report.axes import Axes, Entry, add_legend, legend_height, span_of, step_of, tick_text, ticks
from mien.report.svg import Area, Dot, Line, Point, Rect, Scene, Text, series_colour
from mien.report.text import cut_end, cut_middle

LANE, GAP = 40.0, 12.0  # heights of a lane and between lanes
_LEFT, _WIDTH = 128.0, 640.0
MOST_GROUPS = 12  # in a figure of bars


@dataclass(frozen=True, eq=False)
class Lane:
    """One measure over time."""

    name: str
    """At its left."""
    times_s: Float[np.ndarray, " bins"]
    """Rising."""
    values: Float[np.ndarray, " bins"]
    """NaN where there is none."""
    spread: Float[np.ndarray, " bins"]
    """Half the height of the band; NaN for none."""
    span: tuple[float, float] | None = None
    """Of the axis; by default that of the values."""
    unit: str = ""
    """Behind the labels of its axis."""


def course_figure(lanes: Sequence[Lane], *, title: str, gap_s: float, note: str = "") -> Scene:
    """Lanes below one another on one time axis. gap_s: a curve is broken where neighbours are further apart.

    note: below the title, such as what the band is.
    """
    top = 62.0 if note else 44.0
    height = top + len(lanes) * (LANE + GAP) + 30
    end = max((float(lane.times_s[-1]) for lane in lanes if len(lane.times_s)), default=1.0)
    start = min((float(lane.times_s[0]) for lane in lanes if len(lane.times_s)), default=0.0)
    x = (min(start, 0.0), max(end, start + 1e-3))
    label = f"{title}: {', '.join(lane.name for lane in lanes)} over {x[1] - x[0]:.0f} seconds."
    scene = Scene(_LEFT + _WIDTH + 24, height, label)
    scene.add(Text(14, 18, cut_middle(title, 84), 15, bold=True))
    for number, lane in enumerate(lanes):
        _add_lane(scene, lane, top + number * (LANE + GAP), x, gap_s)
    if note:
        scene.add(Text(14, 40, cut_end(note, 120), 12, fill="muted"))
    if lanes:
        bottom = Axes(scene, (_LEFT, top, _WIDTH, len(lanes) * (LANE + GAP) - GAP), x, (0, 1))
        _add_time(bottom)
    return scene


def _add_lane(scene: Scene, lane: Lane, top: float, x: tuple[float, float], gap_s: float) -> None:
    known = np.isfinite(lane.values)
    values = lane.values[known]
    y = lane.span or (span_of(values.tolist(), pad=0.1) if len(values) else (0.0, 1.0))
    axes = Axes(scene, (_LEFT, top, _WIDTH, LANE), x, y)
    scene.add(Rect(_LEFT, top, _WIDTH, LANE, "grid", 0.35))
    scene.add(Text(14, top + LANE / 2, cut_end(lane.name, 15), 13))
    inner = ticks(*y, count=3)
    step = step_of(inner)
    for mark in y if lane.span else {inner[0], inner[-1]}:
        at = axes.place(x[0], mark)[1]
        text = f"{mark:g}".replace("-", "\N{MINUS SIGN}") if lane.span else tick_text(mark, step)
        scene.add(Text(_LEFT - 6, min(max(at, top + 6), top + LANE - 6), text + lane.unit, 10, "end", "muted"))
    if y[0] < 0 < y[1]:
        axes.add_curve(((x[0], 0.0), (x[1], 0.0)), "muted", width=0.7, dashed=True)
    for run in _unbroken(lane.times_s, known, gap_s):
        _add_run(axes, lane, run, y)


def _add_run(axes: Axes, lane: Lane, run: np.ndarray, y: tuple[float, float]) -> None:
    times, values = lane.times_s[run].tolist(), lane.values[run]
    spread = np.nan_to_num(lane.spread[run])
    low, high = (np.clip(edge, *y).tolist() for edge in (values - spread, values + spread))
    if len(times) > 1:
        outline = [*zip(times, high, strict=True), *zip(times[::-1], low[::-1], strict=True)]
        axes.scene.add(Area(tuple(axes.place(*point) for point in outline), "accent", 0.25))
        axes.add_curve(zip(times, np.clip(values, *y).tolist(), strict=True), "accent", width=1.4)
    else:
        axes.scene.add(Dot(*axes.place(times[0], float(np.clip(values[0], *y))), 1.5, "accent"))


def _unbroken(times: np.ndarray, known: np.ndarray, gap_s: float) -> list[np.ndarray]:
    """Indices of known values, split where neighbours are further apart than gap_s."""
    places = np.flatnonzero(known)
    if not len(places):
        return []
    return np.split(places, np.flatnonzero(np.diff(times[places]) > gap_s) + 1)


def _add_time(axes: Axes) -> None:
    """Labels of seconds, or of minutes:seconds from two minutes on."""
    _, top, _, height = axes.box
    for mark in ticks(*axes.x, count=8):
        at, _ = axes.place(mark, 0)
        text = f"{mark:g} s" if axes.x[1] < 120 else _clock(mark)
        axes.scene.add(Text(at, top + height + 14, text, 11, "middle", "muted"))


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


Bar = tuple[str, float, float, float]  # group, value, low, high; NaN without an interval


def shares_figure(bars: Mapping[str, Sequence[Bar]], *, title: str, percent: bool = True) -> Scene:
    """For each name a bar of each group, with its interval as a line; at most MOST_GROUPS groups."""
    groups = list(dict.fromkeys(bar[0] for row in bars.values() for bar in row))[:MOST_GROUPS]
    rows = [(name, [bar for bar in row if bar[0] in groups]) for name, row in bars.items()]
    ends = [v for _, row in rows for bar in row for v in bar[1:] if np.isfinite(v)] or [0.0]
    x = (0.0, max(1e-3, 1.05 * max(ends))) if min(ends) >= 0 else span_of([*ends, 0.0], pad=0.05)
    thick = 18.0 if len(groups) == 1 else 11.0
    entries: list[Entry] = [(group, series_colour(i), 0.85) for i, group in enumerate(groups)] if groups[1:] else []
    heights = [max(1, len(row)) * thick + 10 for _, row in rows]
    top = 44.0
    height = top + sum(heights) + 26 + legend_height(entries, _WIDTH)
    scene = Scene(_LEFT + _WIDTH + 24, height, f"{title}: {', '.join(bars)} of {', '.join(groups)}.")
    scene.add(Text(14, 18, title, 15, bold=True))
    axes = Axes(scene, (_LEFT, top, _WIDTH, sum(heights)), x, (0, 1))
    axes.add_x_ticks(percent=percent, grid=True)
    place = top
    for (name, row), tall in zip(rows, heights, strict=True):
        scene.add(Text(_LEFT - 8, place + (tall - 10) / 2 + 3, cut_end(name, 17), 13, "end"))
        for number, bar in enumerate(row):
            _add_bar(axes, bar, place + 3 + number * thick, thick, series_colour(groups.index(bar[0])))
        place += tall
    add_legend(scene, entries, _LEFT, top + sum(heights) + 26, _WIDTH)
    return scene


def _add_bar(axes: Axes, bar: Bar, top: float, thick: float, colour: str) -> None:
    _, value, low, high = bar
    if not np.isfinite(value):
        return
    zero, at = (axes.place(v, 0)[0] for v in (0.0, value))
    axes.scene.add(Rect(min(zero, at), top, max(abs(at - zero), 1.0), thick - 2, colour, 0.6))
    if high > low:
        y = top + (thick - 2) / 2
        ends = [axes.place(v, 0)[0] for v in (low, high)]
        axes.scene.add(Line(((ends[0], y), (ends[1], y)), "ink", 1.5))
        axes.scene.add(*(Line(((end, y - 3), (end, y + 3)), "ink", 1.5) for end in ends))


def plane_figure(
    x: Float[np.ndarray, " bins"], y: Float[np.ndarray, " bins"], *, title: str, names: tuple[str, str]
) -> Scene:
    """A path in a plane of -1..1, such as arousal over valence: later parts darker, start and end marked."""
    left, top, side = 64.0, 52.0, 320.0
    known = np.isfinite(x) & np.isfinite(y)
    points = [(float(a), float(b)) for a, b in zip(x[known].clip(-1, 1), y[known].clip(-1, 1), strict=True)]
    scene = Scene(left + side + 24, top + side + 76, f"{title}: the path of {names[1]} over {names[0]}.")
    scene.add(Text(14, 18, cut_middle(title, 44), 15, bold=True))
    axes = Axes(scene, (left, top, side, side), (-1, 1), (-1, 1))
    axes.add_y_ticks(count=4)
    axes.add_x_ticks(count=4, grid=True)
    axes.add_titles(x=names[0], y=names[1])
    axes.add_curve(((-1, 0), (1, 0)), "muted", width=0.8)
    axes.add_curve(((0, -1), (0, 1)), "muted", width=0.8)
    for number, part in enumerate(_pieces(points, 12)):
        scene.add(Line(tuple(axes.place(*p) for p in part), "accent", 0.8 + 0.12 * number))
    ends: list[tuple[Point, str, str]] = []
    if points:
        ends = [(points[0], "series-3", "start"), (points[-1], "warn", "end")]
    for point, colour, _ in ends:
        scene.add(Dot(*axes.place(*point), 4.5, colour))
    add_legend(scene, [(text, colour, 1.0) for _, colour, text in ends], left, top + side + 46, side)
    return scene


def _pieces(points: Sequence[Point], count: int) -> list[Sequence[Point]]:
    """The path in so many pieces, each beginning where the last one ends."""
    edges = np.unique(np.linspace(0, max(len(points) - 1, 0), count + 1).astype(int)).tolist()
    return [points[a : b + 1] for a, b in pairwise(edges)]
